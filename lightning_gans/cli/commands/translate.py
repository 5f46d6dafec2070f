"""``lightning-gans translate``: what becomes of the images of a folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightning_gans.cli.commands.folders import (
    FolderImages,
    check_names,
    check_new,
    save_images,
)
from lightning_gans.cli.commands.opening import opened, writing
from lightning_gans.core.translating import TranslationModule
from lightning_gans.errors import InputError, one_line
from lightning_gans.files import filling

__all__ = ["translate"]


def translate(
    ckpt_path: Path,
    folder: Path,
    out: Path,
    *,
    direction: str = "a_to_b",
    weights: str | None = None,
    allow: Sequence[str] = (),
) -> None:
    """Writes what a model makes of each image of a folder, in its size and under its name.

    Images of any size are translated as they are: they are made larger by reflections at their
    edges until they fit the network, and what has become of these is cut off again. Those for a
    network of one size, such as a perceptron, are scaled and cut to it.

    Args:
        ckpt_path: file or run folder of a model that translates.
        folder: of the images, which may be in folders below it.
        out: a new folder, for ``.png`` files.
        direction: ``a_to_b``, of pairs from source to target, or ``b_to_a`` if the model
            translates both ways.
        weights: see `opened`.
        allow: see `opened`.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_new(out, "")
    model = opened(ckpt_path, weights, allow)
    if not isinstance(model, TranslationModule):
        raise InputError(
            f"ckpt_path: a {type(model).__name__} does not translate images. Use a model that "
            "does, such as CycleGAN or Pix2Pix."
        )
    if direction not in model.translators:
        raise InputError(
            f"direction: a {type(model).__name__} only translates {', '.join(model.translators)}, "
            f"got {direction}. Leave --direction out."
        )
    read, made = model.shapes if direction == "a_to_b" else model.shapes[::-1]
    if any(len(shape) != 3 or shape[0] not in (1, 3) for shape in (read, made)):
        raise InputError(
            f"ckpt_path: the model turns samples of shape {read} into samples of shape {made}, "
            "which are no grey or RGB images. Load it in Python."
        )
    limits = model.value_range or (-1.0, 1.0)
    stride = getattr(getattr(model, model.translators[direction]), "stride", None)
    sides = read[1], read[2]
    images = FolderImages(folder, read[0], sides if stride is None else None, limits)
    check_names(images.names)
    with writing(out) as work, filling(out) as partial:
        for rows, part in images.batches(work):
            translated = _translated(model, part, direction, sides, stride)
            save_images(translated, images.names[rows], partial, limits)


def _translated(
    model: TranslationModule,
    images: Tensor,
    direction: str,
    sides: tuple[int, int],
    stride: int | None,
) -> Tensor:
    """Returns what becomes of images, shape (N, C, H, W), in their own height and width."""
    height, width = images.shape[2:]
    padded, top, left = images, 0, 0
    if stride is not None:
        rows, columns = (
            _room(side, own, stride) for side, own in zip((height, width), sides, strict=True)
        )
        (top, _), (left, _) = rows, columns
        # Unlike PyTorch's, this reflects as often as need be.
        wide = np.pad(images.numpy(), ((0, 0), (0, 0), rows, columns), "reflect")
        padded = torch.from_numpy(wide)
    try:
        made = model.translate(padded, direction)
    except Exception as error:  # what a damaged file leads to is anyone's guess
        reason = one_line(f"{type(error).__name__}: {error}")
        raise InputError(f"ckpt_path: the model translates no images: {reason}") from error
    return made[:, :, top : top + height, left : left + width].cpu()


def _room(side: int, own: int, stride: int) -> tuple[int, int]:
    """Returns the pixels to add before and behind a side so that it fits a network.

    Sides fit that differ from the network's own by multiples of its stride, and that are not so
    small that nothing is left in its middle.

    Args:
        side: of the image.
        own: of the images that the network was made for.
        stride: of the network.
    """
    least = max(side, min(own, 2 * stride))
    room = least + (own - least) % stride - side
    return room // 2, room - room // 2
