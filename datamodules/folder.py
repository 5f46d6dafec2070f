"""Images from a folder: decoded once into memory, or again and again by worker processes."""

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from typing_extensions import override

from datamodules.downloaded import CIFAR10
from datamodules.images import ImageBytes, ImageData, ImagePart
from datamodules.stream import EVALUATION_DATA, generator_for
from lightning_gans.progress import Work

__all__ = ["ImageFiles", "ImageFolder", "UnreadableImageError"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""Bytes that stand at the end of whole files."""


class UnreadableImageError(ValueError):
    """A file is no image, is damaged, or is smaller than what is to be cut out of it."""


class ImageFiles:
    """Images on the disk, decoded when they are read.

    An image is turned upright by its EXIF orientation and cropped at its centre, then scaled to
    cover ``size`` and cut at its centre to fit. Transparency is laid on white; 16-bit grey is
    brought to 8 bits; every mode becomes grey or RGB.

    Args:
        paths: one file an image.
        size: (H, W) of the result.
        channels: 1 for grey, 3 for RGB.
        crop: (H, W) of what is cut from the centre first, or None.
        labels: int64, shape (N,), or None.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: tuple[int, int],
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
        """Returns the images of some rows, uint8, shape (N, C, H, W).

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
        try:
            with Image.open(path) as opened:
                image = _eight_bits(ImageOps.exif_transpose(opened))
        except Exception as error:  # there is no telling what a decoder stumbles over
            raise UnreadableImageError(
                f"{_shown(path)} cannot be read as an image: {error}"
            ) from error
        if self.crop is not None:
            image = _centre(image, self.crop, path)
        height, width = self.size
        image = image.convert("L" if self.channels == 1 else "RGB")
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        pixels = np.array(image, np.uint8).reshape(height, width, self.channels)
        return torch.from_numpy(pixels).movedim(-1, 0)

    def glance(self, row: int) -> None:
        """Looks at the header and the end of a file, and decodes it only if they look odd.

        Raises:
            UnreadableImageError: if it is no image, is cut off or is smaller than the crop.
        """
        path = self.paths[row]
        try:
            with Image.open(path) as image, path.open("rb") as file:
                size = None if self.crop is None else _upright_size(image)
                file.seek(max(0, path.stat().st_size - 16))
                end = ENDS.get(image.format or "")
                whole = end is not None and end in file.read() and image.mode != "F"
        except Exception as error:  # there is no telling what a decoder stumbles over
            raise UnreadableImageError(
                f"{_shown(path)} cannot be read as an image: {error}"
            ) from error
        if self.crop is not None and size is not None:
            _check_crop(*size, self.crop, path)
        if not whole:
            self.decode(row)


class ImageFolder(ImageData):
    """All images below a folder; two or more folders right below it are classes.

    A twentieth of the images, 2 at least and ``num_eval_samples`` at most, is held out to
    validate, and as many to test on. How an image gets its size and channels: see `ImageFiles`.

    Args:
        path: the folder.
        image_size: pixels of each side, or (H, W).
        channels: 1 for grey, 3 for RGB.
        crop: pixels of each side, or (H, W), of what is cut from the centre before the image is
            scaled; the largest part of the right proportions if it is not given.
        cache: keep the decoded images in memory, or else decode them again for every batch. By
            default they are kept if they take at most half of the memory that is available.
        num_workers: processes that decode where they are not kept, threads where they are; as many
            as there are cores for each process of the run, at most 8, if it is not given.
        skip_broken: leave out, and count, what cannot be read or is smaller than the crop. To find
            out, every image is decoded before training, kept or not.
        value_range: see `ImageData`.
        horizontal_flip: see `ImageData`.
        dequantize: see `ImageData`.
        subset: see `ImageData`.
        subset_seed: see `ImageData`.
        batch_size: see `ImageData`.
        num_eval_samples: see `ImageData`.

    Attributes:
        classes: names of the classes in the order of their labels; none if there are no classes.

    Raises:
        ValueError: if an argument is out of range, there are fewer than 20 images, or an image
            cannot be read. Of images that are not kept in memory the header and the end are looked
            at; what is wrong in between is raised when they are decoded.
    """

    def __init__(
        self,
        path: str,
        image_size: int | tuple[int, int] = 64,
        channels: int = 3,
        crop: int | tuple[int, int] | None = None,
        cache: bool | None = None,
        num_workers: int | None = None,
        skip_broken: bool = False,
        value_range: tuple[float, float] = (-1.0, 1.0),
        horizontal_flip: bool = False,
        dequantize: bool = False,
        subset: int | None = None,
        subset_seed: int = 0,
        batch_size: int = 64,
        num_eval_samples: int = 10_000,
    ) -> None:
        if not path:
            raise ValueError("path must name a folder, got ''.")
        size = _sides("image_size", image_size)
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")
        if num_workers is not None and num_workers < 0:
            raise ValueError(f"num_workers must be at least 0, got {num_workers}.")
        super().__init__(
            (channels, *size),
            value_range,
            horizontal_flip=horizontal_flip,
            dequantize=dequantize,
            subset=subset,
            subset_seed=subset_seed,
            batch_size=batch_size,
            num_eval_samples=num_eval_samples,
        )
        self.path = Path(path)
        self.crop = None if crop is None else _sides("crop", crop)
        self.cache = cache
        self.skip_broken = skip_broken
        self.classes: list[str] = []
        self._given_workers = num_workers

    @property
    def num_classes(self) -> int | None:
        """How many classes there are, or None; known once the data has been set up."""
        return len(self.classes) or None

    @property
    def content(self) -> str | None:
        """What the images show, for metrics that know about it: "objects" if it is CIFAR-10."""
        return CIFAR10.content if tuple(self.classes) == CIFAR10.classes else None

    @override
    def setup(self, stage: str | None = None) -> None:
        """Finds and checks the images and, if they are to be kept, reads them."""
        if hasattr(self, "training"):
            return
        paths = _image_paths(self.path)
        self.classes, labels = _classes(self.path, paths)
        channels, *size = self.data_shape
        files = ImageFiles(paths, (size[0], size[1]), channels, self.crop, labels)
        source = self._kept(files) if self._keeps(files) else self._checked(files)
        if len(source) < 20:
            raise ValueError(f"path: {self.path} needs at least 20 images, got {len(source)}.")
        order = torch.randperm(len(source), generator=generator_for(0, EVALUATION_DATA, 0))
        held_out = min(self.num_eval_samples, max(2, len(source) // 20))
        validation, test, rest = order.tensor_split((held_out, 2 * held_out))
        self.training = self.chosen(ImagePart(source, rest))
        self.held_out = ((source, validation), (source, rest[:held_out]), (source, test))

    def _keeps(self, files: ImageFiles) -> bool:
        """Decides, and says, whether the decoded images are kept in memory."""
        keeps = self.cache
        if keeps is None:
            needed, free = len(files) * math.prod(self.data_shape), _available_memory()
            keeps = needed * self._processes <= free / 2
            if self.trainer is not None:  # memory that one process takes is no longer free
                keeps = self.trainer.strategy.broadcast(keeps)
            what = "are kept in memory" if keeps else "are decoded for every batch"
            rank_zero_only(print)(
                f"{len(files):,} images of {self.path} {what}: they take {needed / 2**20:,.0f} "
                f"MiB of {free / 2**20:,.0f} MiB that are free (cache: null)"
            )
        self.num_workers = 0 if keeps else self._workers
        return keeps

    @property
    def _processes(self) -> int:
        """The processes of the run on this machine."""
        return self.trainer.num_devices if self.trainer else 1

    @property
    def _workers(self) -> int:
        if self._given_workers is not None:
            return self._given_workers
        return max(1, min(8, _available_cores() // self._processes))

    def _kept(self, files: ImageFiles) -> ImageBytes:
        images = torch.empty((len(files), *self.data_shape), dtype=torch.uint8)

        def keep(row: int) -> None:
            images[row] = files.decode(row)

        good = self._good_rows(len(files), keep)
        if len(good) < len(files):
            for place, row in enumerate(good):  # in place: there may be no room for a copy
                images[place] = images[row]
        labels = None if files.labels is None else files.labels[good]
        return ImageBytes(images[: len(good)], labels)

    def _checked(self, files: ImageFiles) -> ImageFiles:
        look = files.decode if self.skip_broken else files.glance
        good = self._good_rows(len(files), look)
        files.labels = None if files.labels is None else files.labels[good]
        files.paths = [files.paths[row] for row in good]
        return files

    def _good_rows(self, number: int, read: Callable[[int], object]) -> list[int]:
        """Returns the rows that can be read.

        Raises:
            ValueError: if one cannot be, and is not to be skipped.
        """

        def problem(row: int) -> str | None:
            try:
                read(row)
            except UnreadableImageError as error:
                return str(error)
            return None

        def problems_of(rows: range) -> list[str | None]:
            return [problem(row) for row in rows]

        # In chunks: a task for each image would take more memory than small images do.
        chunks = [range(start, min(start + 256, number)) for start in range(0, number, 256)]
        problems: list[str | None] = []
        with (
            Work("reading images", number, "images") as work,
            ThreadPoolExecutor(max(1, self._workers)) as pool,
        ):
            for found in pool.map(problems_of, chunks):
                problems += found
                work.done += len(found)
        bad = [text for text in problems if text is not None]
        if bad and not self.skip_broken:
            raise ValueError(
                f"path: {len(bad):,} of {number:,} images cannot be used. {bad[0]}. Remove them, "
                "or use skip_broken: true."
            )
        if bad:
            rank_zero_only(print)(f"left out {len(bad):,} of {number:,} images: {bad[0]}")
        return [row for row, text in enumerate(problems) if text is None]


def _shown(path: Path) -> str:
    """Returns a path for messages: the name of a file may hold anything, escape codes too."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _sides(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, int) else (value[0], value[1])
    if min(sides) < 1:
        raise ValueError(f"{name}: each side must be at least 1, got {value}.")
    return sides


def _image_paths(folder: Path) -> list[Path]:
    """Returns all files below a folder whose names are those of images, in a fixed order."""
    try:
        exists = folder.is_dir()
    except OSError as error:
        raise ValueError(f"path: {folder} cannot be read: {error}") from error
    if not exists:
        raise ValueError(
            f"path: there is no folder {folder}. Use --data.path with the folder of your images."
        )
    files = list(_files(folder))
    paths = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(
            f"path: {folder} holds {len(files)} files, none of them an image "
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
            if entry.is_file():
                yield path
            elif entry.is_dir():
                own = _identity(path)
                if entry.is_symlink():
                    if own in above or own in linked:
                        continue
                    linked.add(own)
                waiting.append((path, above | {own}))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _classes(folder: Path, paths: Sequence[Path]) -> tuple[list[str], Tensor | None]:
    """Returns the names of the classes and the label of each file, if there are two classes."""
    parts = [path.relative_to(folder).parts for path in paths]
    names = sorted({part[0] for part in parts})
    if len(names) < 2 or any(len(part) < 2 for part in parts):
        return [], None
    numbers = {name: number for number, name in enumerate(names)}
    return names, torch.tensor([numbers[part[0]] for part in parts])


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


def _centre(image: Image.Image, crop: tuple[int, int], path: Path) -> Image.Image:
    """Cuts the centre out of an image."""
    _check_crop(image.height, image.width, crop, path)
    left, top = (image.width - crop[1]) // 2, (image.height - crop[0]) // 2
    return image.crop((left, top, left + crop[1], top + crop[0]))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
    return image.size if turned else (image.height, image.width)


def _check_crop(height: int, width: int, crop: tuple[int, int], path: Path) -> None:
    if height < crop[0] or width < crop[1]:
        raise UnreadableImageError(
            f"{_shown(path)} has {height} x {width} pixels, less than the crop of "
            f"{crop[0]} x {crop[1]}"
        )


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _available_memory() -> int:
    """Returns the bytes of memory that programs can still take here."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2]
    with suppress(OSError):
        status = Path("/proc/meminfo").read_text()
        found = [int(size) * 1024 for size in re.findall(r"MemAvailable:\s*(\d+) kB", status)]
    with suppress(OSError, ValueError):  # a container may have less than its machine
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        found.append(limit - used)
    return max(0, min(found))
