"""``lightning-gans sample``: a picture, a folder of images, an array or an animation."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gans.callbacks.drawing import PICTURES, save_gif, save_picture, to_bytes
from lightning_gans.cli.commands.opening import (
    check_number,
    checked_classes,
    computing,
    generated,
    generating,
    latents,
    picture,
    value_range,
    writing,
)
from lightning_gans.cli.commands.refining import (
    refined_latents,
    refinement_of,
    refiner_of,
    say_refined,
)
from lightning_gans.cli.places import check_out
from lightning_gans.core.exports import is_export
from lightning_gans.core.latent import LatentModule
from lightning_gans.core.standing import check_standing
from lightning_gans.errors import InputError, printable
from lightning_gans.files import filling, replacing
from lightning_gans.progress import Work
from lightning_gans.sampling import Refiner, standing_statistics

__all__ = ["sample"]

MOST = 1_000_000
"""Samples of one call."""
PASS = 64
"""Samples whose statistics are estimated at a time."""


def sample(
    ckpt_path: Sequence[Path],
    out: Path,
    *,
    n: int | None = None,
    classes: Sequence[int] = (),
    seed: int = 0,
    weights: str | None = None,
    allow: Sequence[str] = (),
    truncation: float | None = None,
    refine: str | None = None,
    settings: Mapping[str, Any] | None = None,
    standing_passes: int | None = None,
) -> None:
    """Generates samples of the same latents with every checkpoint, and writes them.

    Those of models with classes are ordered by class; a picture has a row for each.

    Args:
        ckpt_path: files or run folders; more than one for a ``.gif``, of a frame each.
        out: a ``.png`` or ``.jpg`` of all samples, a ``.npy`` array in the range of the data, a
            ``.gif``, or a new folder with one ``.png`` an image. The two images of a pair are next
            to each other, but joined along the channels in an array.
        n: number of samples, at least 1, a multiple of the number of classes; 64 of them, or 8 of
            each class, if it is not given.
        classes: of the samples, as many of each; all if none are given.
        seed: decides the latents.
        weights: see `opened`.
        allow: see `opened`.
        truncation: psi, see `lightning_gans.sampling.truncate`; none if it is not given.
        refine: how latents are chosen, see `lightning_gans.sampling`; those of the prior are drawn
            if it is not given.
        settings: of that.
        standing_passes: batches of 64 that the statistics of the generator's BatchNorms are
            estimated from, see `standing_statistics`; those of training if it is not given.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_number("n", 1 if n is None else n, 1, MOST)
    check_number("standing_passes", 1 if standing_passes is None else standing_passes, 1, 1000)
    if out.name and out.suffix == "" and out.exists():
        raise InputError(f"out: {out} already exists. Use a new folder.")
    check_out(out, *PICTURES, ".npy", ".gif", "")
    if len(ckpt_path) > 1 and out.suffix != ".gif":
        raise InputError(f"out: {len(ckpt_path)} checkpoints make a .gif, got {out}.")
    refiner = refiner_of(refine, settings or {})
    if refiner is not None and refiner.reads_discriminator and weights == "averaged":
        raise InputError(
            f"weights: {refine} asks the discriminator, which has learnt against the generator "
            "itself and not against its average. Leave --weights out."
        )
    with Work("opening", len(ckpt_path), "checkpoints") as work:
        models = [
            _opened(path, weights, allow, refiner, truncation) for path in work.over(ckpt_path)
        ]
    if len({model.num_classes for model in models}) > 1:
        raise InputError("ckpt_path: the checkpoints are of models with different classes.")
    samples = []
    for model, path in zip(models, ckpt_path, strict=True):
        chosen = checked_classes(model, classes)
        draw = partial(latents, model, seed=seed)
        refinement = None
        if refiner is not None:
            refinement = refinement_of(model, refiner, path, allow, seed)
            draw = partial(refined_latents, refinement)
        if standing_passes is not None:
            _stand(model, draw(PASS * standing_passes), seed)
        samples.append(_samples(model, n, chosen, draw))
        if refinement is not None:
            say_refined(refinement)
    if out.suffix == ".npy":
        with writing(out), replacing(out) as file:
            np.save(file, samples[0].numpy())
    elif out.suffix == "":
        with writing(out) as work:
            _save_images(models[0].pictured(samples[0]), value_range(models[0]), out, work)
    else:
        if len({part.shape for part in samples}) > 1:
            raise InputError("ckpt_path: the checkpoints make samples of different shapes.")
        rows, shown = len(checked_classes(models[0], classes)), len(samples[0])
        columns = shown // rows if rows else isqrt(shown - 1) + 1
        frames = [
            picture(
                model, part, columns=columns, title=printable(f"{type(model).__name__}, {path}")
            )
            for model, part, path in zip(models, samples, ckpt_path, strict=True)
        ]
        with writing(out):
            if out.suffix == ".gif":
                save_gif(frames, out)
            else:
                save_picture(frames[0], out)


def _opened(
    path: Path,
    weights: str | None,
    allow: Sequence[str],
    refiner: Refiner | None,
    truncation: float | None,
) -> LatentModule:
    """Opens a model, and with the generator itself if the discriminator is asked about it."""
    asks = refiner is not None and refiner.reads_discriminator
    # An export has no other weights, and no discriminator either, which the refiner tells.
    which = "raw" if asks and not is_export(path) else weights
    return generating(path, which, allow, truncation)


def _stand(model: LatentModule, latent: Tensor, seed: int) -> None:
    """Gives the BatchNorms of a generator the statistics of latents, shape (N, Z).

    Raises:
        InputError: if it has none, or cannot read them.
    """
    try:
        check_standing(model, "standing_passes")
    except ValueError as error:
        raise InputError(str(error)) from error
    with computing("samples"):
        model.generator = standing_statistics(model, torch.split(latent, PASS), seed)


def _samples(
    model: LatentModule, n: int | None, classes: Sequence[int], draw: Callable[[int], Tensor]
) -> Tensor:
    """Generates samples, class after class if there are classes."""
    if not classes:
        return generated(model, draw(n or 64))
    n = n or 8 * len(classes)
    if n % len(classes) != 0:
        raise InputError(
            f"n: {n} samples cannot be split evenly over {len(classes)} classes. Use a multiple "
            f"of {len(classes)}."
        )
    labels = torch.tensor(classes).repeat_interleave(n // len(classes))
    return generated(model, draw(n), labels)


def _save_images(images: Tensor, limits: tuple[float, float], folder: Path, work: Work) -> None:
    """Writes every image into a file of its own; the folder is whole or not there."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(
            f"out: samples of shape {tuple(images.shape[1:])} are not images. Use a .npy file."
        )
    pixels = to_bytes(images, limits).permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
    work.total, work.unit = len(pixels), "images"
    with filling(folder) as partial:
        for index, image in enumerate(work.over(pixels)):
            save_picture(image, partial / f"{index:06d}.png")
