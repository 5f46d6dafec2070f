"""How the commands read the images of a folder, and write others under the same names."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from datamodules.files import ImageFiles, UnreadableImageError, image_paths
from datamodules.folder import classes_of
from lightning_gans.callbacks.drawing import save_picture, to_bytes
from lightning_gans.cli.commands.opening import computing, saved_data, value_range
from lightning_gans.cli.places import check_out
from lightning_gans.cli.screen import say
from lightning_gans.core.gan import GAN
from lightning_gans.errors import InputError, printable
from lightning_gans.progress import Work

__all__ = ["FolderImages", "check_names", "check_new", "images_of", "save_images"]

MOST, ENTRIES = 250, 2**22
"""Images and numbers of a batch, at most; it has one image at least."""


class FolderImages:
    """The images below a folder, as a model reads them.

    They get their channels and size as those of an `ImageFolder` do, which is said once.

    Args:
        folder: that the images are in, or in folders below it.
        channels: 1 for grey, 3 for RGB.
        size: (H, W) that they are scaled and cut to; None leaves each as large as it is.
        value_range: what the bytes 0 and 255 become.
        crop: see `ImageFolder`.

    Attributes:
        names: of the files, below the folder, such as ``cats/1.jpg``.
        num_classes: folders right below the folder, if all images are in two or more of them.
        labels: of the images then, int64, shape (N,); None otherwise.

    Raises:
        InputError: if there is no such folder, it holds no images, or one that cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        channels: int,
        size: tuple[int, int] | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        crop: tuple[int, int] | None = None,
    ) -> None:
        if not folder.is_dir():
            raise InputError(f"in: there is no folder {folder}. Use the folder of your images.")
        try:
            paths = image_paths(folder)
        except ValueError as error:
            raise InputError(f"in: {str(error).removeprefix('path: ')}") from error
        self.names = [path.relative_to(folder).as_posix() for path in paths]
        classes, self.labels = classes_of(folder, paths)
        self.num_classes = len(classes)
        self.value_range = value_range
        self._files = ImageFiles(paths, size, channels, crop)
        self._shapes = self._looked_at()
        self._say_changes()

    def __len__(self) -> int:
        return len(self.names)

    def _looked_at(self) -> list[tuple[int, int, int]]:
        """Returns the shapes of all images, or refuses those that cannot be decoded."""
        shapes, problems = [], []
        with Work("looking at images", len(self), "images") as work:
            for row in work.over(range(len(self))):
                try:
                    self._files.decode(row)
                    shapes.append(self._files.shape(row))
                except UnreadableImageError as error:
                    problems.append(str(error))
        if problems:
            raise InputError(
                f"in: {len(problems):,} of {len(self):,} images cannot be used. {problems[0]}. "
                "Remove them."
            )
        return shapes

    def _say_changes(self) -> None:
        """Says which images are not read as they are."""
        number, channels, size = len(self), self._files.channels, self._files.size
        others = sum(shape[0] != channels for shape in self._shapes)
        if others:
            kind = "grey" if channels == 1 else "RGB"
            say(f"{others:,} of {number:,} images have other channels and are converted to {kind}")
        others = 0 if size is None else sum(shape[1:] != size for shape in self._shapes)
        if size is not None and others:
            height, width = size
            say(
                f"{others:,} of {number:,} images have another size and are scaled and cut to "
                f"{height} x {width} pixels"
            )

    def batches(self, work: Work) -> Iterator[tuple[slice, Tensor]]:
        """Yields images of one size in the value range, shape (N, C, H, W), and their rows.

        Args:
            work: that counts them.

        Raises:
            InputError: if an image cannot be read any more.
        """
        work.total, work.unit = len(self), "images"
        low, high = self.value_range
        for rows in self._parts():
            try:
                images = self._files.read(torch.arange(rows.start, rows.stop))
            except UnreadableImageError as error:
                raise InputError(f"in: {error}. Run the command again.") from error
            yield rows, images.float().mul_((high - low) / 255).add_(low)
            work.done += len(images)

    def _parts(self) -> Iterator[slice]:
        """Yields rows of one size, as many as go into a batch."""
        start, files = 0, self._files
        sides = (files.size or files.crop or shape[1:] for shape in self._shapes)
        for size, group in groupby(sides):
            most = max(1, min(MOST, ENTRIES // (files.channels * prod(size))))
            end = start + sum(1 for _ in group)
            while start < end:
                stop = min(start + most, end)
                yield slice(start, stop)
                start = stop


def images_of(model: GAN, folder: Path, path: Path, allow: Sequence[str] = ()) -> FolderImages:
    """Returns the images of a folder as the data module of a model would read them.

    They are cropped, too, if the model was trained on an `ImageFolder` that crops.

    Args:
        model: that is to read them.
        folder: of the images.
        path: checkpoint or run that the model is of.
        allow: see `opened`.

    Raises:
        InputError: if the model reads no images, or as `FolderImages`.
    """
    with computing("samples"):
        shape = tuple(model.sample(1).shape[1:])
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(
            f"in: a model of samples of shape {shape} reads no images. Use lightning_gans.load in "
            "Python, and its model's encode and reconstruct."
        )
    channels, *size = shape
    try:
        crop = getattr(saved_data(path, allow), "crop", None)
    except InputError:  # data of the user's own, which is not needed here
        crop = None
    return FolderImages(folder, channels, (size[0], size[1]), value_range(model), crop)


def check_new(out: Path, *endings: str) -> None:
    """Refuses what is there already, or cannot be made, before any work is done for it.

    Args:
        out: a file, or a folder if it may have no ending.
        endings: those that it may have.

    Raises:
        InputError: if it is there, has another ending, or there is no place for it.
    """
    if out.name and out.exists():
        raise InputError(f"out: {out} already exists. Use a new name; nothing is overwritten.")
    check_out(out, *endings)


def check_names(names: Sequence[str]) -> None:
    """Refuses names that are the same but for their endings.

    Raises:
        InputError: if there are such: images of theirs would have one name.
    """
    found: dict[Path, str] = {}
    for name in names:
        path = _written(name)
        other = found.setdefault(path, name)
        if other != name:
            raise InputError(
                f"in: {printable(other)} and {printable(name)} would both become "
                f"{printable(str(path))}. Rename one of them."
            )


def save_images(
    images: Tensor, names: Sequence[str], folder: Path, limits: tuple[float, float]
) -> None:
    """Writes images as ``.png`` files with the names, but for their endings, of others.

    Args:
        images: grey or RGB, shape (N, C, H, W).
        names: of the others, which may be in folders.
        folder: to write into.
        limits: what becomes black and white.
    """
    for image, name in zip(to_bytes(images, limits), names, strict=True):
        path = folder / _written(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(image.movedim(0, -1).squeeze(-1).numpy(), path)


def _written(name: str) -> Path:
    return Path(name).with_suffix(".png")
