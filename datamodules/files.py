"""Images in files: where they are, and how one is decoded."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

__all__ = ["ImageFiles", "UnreadableImageError", "image_paths", "shown", "sides_of"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""Bytes that stand at the end of whole files."""


class UnreadableImageError(ValueError):
    """A file is no image, is damaged, or is smaller than what is to be cut out of it."""


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Names the file that cannot be read.

    Raises:
        UnreadableImageError: whatever goes wrong inside.
    """
    try:
        yield
    except UnreadableImageError:
        raise
    except Exception as error:  # there is no telling what a decoder stumbles over
        raise UnreadableImageError(f"{shown(path)} cannot be read as an image: {error}") from error


class ImageFiles:
    """Images on the disk, decoded when they are read.

    An image is turned upright by its EXIF orientation and cropped at its centre, then scaled to
    cover ``size`` and cut at its centre to fit. Transparency is laid on white; 16-bit grey is
    brought to 8 bits; every mode becomes grey or RGB.

    Args:
        paths: one file an image.
        size: (H, W) of the result; None leaves each image as large as it is.
        channels: 1 for grey, 3 for RGB.
        crop: (H, W) of what is cut from the centre first, or None.
        labels: int64, shape (N,), or None.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: tuple[int, int] | None,
        channels: int,
        crop: tuple[int, int] | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self.paths = paths
        self.size = size
        self.channels = channels
        self.crop = crop
        self.labels = labels

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows, which have one size, uint8, shape (N, C, H, W).

        Raises:
            UnreadableImageError: as `decode`.
        """
        return torch.stack([self.decode(row) for row in rows.tolist()])

    def decode(self, row: int) -> Tensor:
        """Returns one image, uint8, shape (C, H, W).

        Raises:
            UnreadableImageError: if it cannot be decoded or is smaller than the crop.
        """
        path = self.paths[row]
        with _readable(path):
            with Image.open(path) as opened:
                image = _eight_bits(ImageOps.exif_transpose(opened))
            image = self.cut(image, path).convert("L" if self.channels == 1 else "RGB")
        if self.size is not None:
            height, width = self.size
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        pixels = np.array(image, np.uint8).reshape(image.height, image.width, self.channels)
        return torch.from_numpy(pixels).movedim(-1, 0)

    def shape(self, row: int) -> tuple[int, int, int]:
        """Returns (C, H, W) of a file by its header: 1 for grey or else 3, and its sides upright.

        Raises:
            UnreadableImageError: if it is no image.
        """
        path = self.paths[row]
        with _readable(path), Image.open(path) as image:
            channels = 1 if Image.getmodebase(image.mode) == "L" else 3
            return channels, *_upright_size(image)

    def glance(self, row: int) -> None:
        """Looks at the header and the end of a file, and decodes it only if they look odd.

        Raises:
            UnreadableImageError: if it is no image, is cut off or is smaller than the crop.
        """
        path = self.paths[row]
        with _readable(path), Image.open(path) as image, path.open("rb") as file:
            size = _upright_size(image) if self.checks_size else None
            file.seek(max(0, path.stat().st_size - 16))
            end = ENDS.get(image.format or "")
            whole = end is not None and end in file.read() and image.mode != "F"
        if size is not None:
            self.check_size(*size, path)
        if not whole:
            self.decode(row)

    @property
    def checks_size(self) -> bool:
        """Whether an image may be refused for its size, which takes time to find out."""
        return self.crop is not None

    def check_size(self, height: int, width: int, path: Path) -> None:
        """Refuses an image that nothing can be cut out of.

        Raises:
            UnreadableImageError: if it is smaller than the crop.
        """
        if self.crop is not None and (height < self.crop[0] or width < self.crop[1]):
            raise UnreadableImageError(
                f"{shown(path)} has {height} x {width} pixels, less than the crop of "
                f"{self.crop[0]} x {self.crop[1]}"
            )

    def cut(self, image: Image.Image, path: Path) -> Image.Image:
        """Returns the part of an upright image that is scaled: what is cut from its centre.

        Raises:
            UnreadableImageError: as `check_size`.
        """
        self.check_size(image.height, image.width, path)
        if self.crop is None:
            return image
        left, top = (image.width - self.crop[1]) // 2, (image.height - self.crop[0]) // 2
        return image.crop((left, top, left + self.crop[1], top + self.crop[0]))


def sides_of(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Returns height and width of an argument that may be a single number.

    Args:
        name: of the argument.
        value: the number, or both.

    Raises:
        ValueError: if one is below 1.
    """
    sides = (value, value) if isinstance(value, int) else (value[0], value[1])
    if min(sides) < 1:
        raise ValueError(f"{name}: each side must be at least 1, got {value}.")
    return sides


def image_paths(folder: Path, argument: str = "path") -> list[Path]:
    """Returns all files below a folder whose names are those of images, in a fixed order.

    Args:
        folder: the folder.
        argument: that names it, for messages.

    Raises:
        ValueError: if it is no folder or holds no images.
    """
    try:
        exists = folder.is_dir()
    except OSError as error:
        raise ValueError(f"{argument}: {folder} cannot be read: {error}") from error
    if not exists:
        raise ValueError(
            f"{argument}: there is no folder {folder}. Use --data.{argument} with the folder of "
            "your images."
        )
    try:
        files = list(_files(folder))
    except OSError as error:
        raise ValueError(f"{argument}: a folder cannot be read: {error}") from error
    paths = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(
            f"{argument}: {folder} holds {len(files)} files, none of them an image "
            f"({', '.join(SUFFIXES)})."
        )
    return paths


def _files(folder: Path) -> Iterator[Path]:
    """Yields all regular files below a folder, through links too, but to each folder by one link.

    Links that lead round would have no end, links among many folders hardly any, and a pipe that
    is opened waits for ever.
    """
    linked = {_identity(folder)}
    waiting = [(folder, linked)]
    while waiting:
        place, above = waiting.pop()
        for entry in os.scandir(place):
            path = Path(entry.path)
            if entry.is_symlink() and _leads_round(path):
                continue
            if entry.is_file():
                yield path
            elif entry.is_dir():
                own = _identity(path)
                if entry.is_symlink():
                    if own in above or own in linked:
                        continue
                    linked.add(own)
                waiting.append((path, above | {own}))


def _leads_round(link: Path) -> bool:
    """Tells whether a link leads to itself, directly or by way of others."""
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def shown(path: Path) -> str:
    """Returns a path for messages: the name of a file may hold anything, escape codes too."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Returns an image without transparency and with 8 bits a channel."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image)
    image.load()
    return image


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
    return image.size if turned else (image.height, image.width)
