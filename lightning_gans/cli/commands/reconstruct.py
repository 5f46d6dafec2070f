"""``lightning-gans reconstruct``: images of a folder as a model makes them from their codes."""

from collections.abc import Sequence
from pathlib import Path

from lightning_gans.cli.commands.folders import check_names, check_new, images_of, save_images
from lightning_gans.cli.commands.opening import computing, encoding, value_range, writing
from lightning_gans.errors import InputError
from lightning_gans.files import filling

__all__ = ["reconstruct"]


def reconstruct(
    ckpt_path: Path,
    folder: Path,
    out: Path,
    *,
    weights: str | None = None,
    allow: Sequence[str] = (),
) -> None:
    """Writes what a model generates from the codes of the images of a folder.

    A model with classes gives each image the class of its own: these are the folders right below
    the folder, in the order of their names.

    Args:
        ckpt_path: file or run folder of a model with an encoder.
        folder: of the images, see `images_of`.
        out: a new folder; each image has the name of its original, as a ``.png``.
        weights: see `opened`.
        allow: see `opened`.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_new(out, "")
    model = encoding(ckpt_path, weights, allow)
    images = images_of(model, folder, ckpt_path, allow)
    check_names(images.names)
    if model.num_classes is not None and model.num_classes != images.num_classes:
        raise InputError(
            f"in: the model has {model.num_classes} classes, but {folder} has a folder of images "
            f"for each of {images.num_classes}. Use a folder with one for each class, in the "
            "order of their names."
        )
    classes = None if model.num_classes is None else images.labels
    with writing(out) as work, filling(out) as partial:
        for rows, part in images.batches(work):
            labels = None if classes is None else classes[rows]
            with computing("reconstructions"):
                again = model.reconstruct(part, labels).cpu()
            save_images(again, images.names[rows], partial, value_range(model))
