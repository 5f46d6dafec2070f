"""``lightning-gans encode``: the codes of the images of a folder, as an array or a table."""

import csv
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import torch

from lightning_gans.cli.commands.folders import check_new, images_of
from lightning_gans.cli.commands.opening import computing, encoding, writing
from lightning_gans.files import replacing

__all__ = ["encode"]


def encode(
    ckpt_path: Path,
    folder: Path,
    out: Path,
    *,
    weights: str | None = None,
    allow: Sequence[str] = (),
) -> None:
    """Writes the code that a model's encoder finds for each image of a folder.

    Args:
        ckpt_path: file or run folder of a model with an encoder.
        folder: of the images, see `images_of`.
        out: a new ``.npy`` array of records with the fields ``file``, the name below the folder,
            and ``code``, float32, shape (Z,); or a new ``.csv`` table with the columns ``file``
            and ``z0`` to ``z<Z - 1>``.
        weights: see `opened`.
        allow: see `opened`.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_new(out, ".npy", ".csv")
    model = encoding(ckpt_path, weights, allow)
    images = images_of(model, folder, ckpt_path, allow)
    parts = []
    with writing(out) as work:
        for _, part in images.batches(work):
            with computing("codes"):
                parts.append(model.encode(part).float().cpu())
        codes = torch.cat(parts).numpy()
        with replacing(out) as file:
            if out.suffix == ".npy":
                width = max(map(len, images.names))
                fields = [("file", np.str_, width), ("code", np.float32, codes.shape[1:])]
                table = np.empty(len(codes), fields)
                table["file"], table["code"] = images.names, codes
                np.save(file, table)
                return
            text = TextIOWrapper(file, "utf-8", "surrogateescape", newline="", write_through=True)
            writer = csv.writer(text)
            writer.writerow(["file", *(f"z{index}" for index in range(codes.shape[1]))])
            writer.writerows(
                [name, *(f"{value:.9g}" for value in code)]
                for name, code in zip(images.names, codes, strict=True)
            )
            text.detach()
