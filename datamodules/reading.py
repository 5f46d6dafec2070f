"""How the images of folders are read: once into memory, or again and again by worker processes."""

import math
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only

from datamodules.files import ImageFiles, UnreadableImageError
from datamodules.images import ImageBytes, ImageSource
from lightning_gans.progress import Work

__all__ = ["FolderReader"]


class FolderReader:
    """Reads files of images into memory if there is room, or else only checks them.

    Args:
        cache: keep the decoded images in memory, or else decode them again for every batch. By
            default they are kept if they take at most half of the memory that is available.
        num_workers: processes that decode images which are not kept, or threads that read those
            which are; by default the cores for each process of the run, at most 8.
        skip_broken: leave out, and count, what cannot be read or is smaller than the crop; None
            where nobody is asked, since each image belongs to another.

    Attributes:
        num_workers: processes that decode the images of the last reading for batches.

    Raises:
        ValueError: if ``num_workers`` is below 0.
    """

    def __init__(
        self, cache: bool | None, num_workers: int | None, skip_broken: bool | None = None
    ) -> None:
        if num_workers is not None and num_workers < 0:
            raise ValueError(f"num_workers must be at least 0, got {num_workers}.")
        self.cache = cache
        self.skip_broken = skip_broken
        self.num_workers = 0
        self._given_workers = num_workers
        self._read_to_train: bool | None = None

    def is_due(self, stage: str | None) -> bool:
        """Tells whether a stage has to read images: the first one, and training after others."""
        return not self._read_to_train and (self._read_to_train is None or _trains(stage))

    def read(
        self, name: str, stage: str | None, trainer: Trainer | None, *sets: ImageFiles
    ) -> list[ImageSource]:
        """Returns what gives the images of some sets of files, all kept or none.

        Without training each image is used once or never, so none is kept.

        Args:
            name: of the folder, for messages.
            stage: of the trainer, "fit" or None to train.
            trainer: of the run, if there is one; its processes decide alike.
            sets: of files.

        Raises:
            ValueError: if an image cannot be read, and is not to be skipped.
        """
        processes = trainer.num_devices if trainer else 1
        workers = self._given_workers
        if workers is None:
            workers = max(1, min(8, _available_cores() // processes))
        keeps = self.cache if _trains(stage) else False
        if keeps is None:
            number = sum(map(len, sets))
            needed = sum(len(files) * files.channels * math.prod(_sides(files)) for files in sets)
            free = _available_memory()
            keeps = needed * processes <= free / 2
            if trainer is not None:  # memory that one process takes is no longer free
                keeps = trainer.strategy.broadcast(keeps)
            what = "are kept in memory" if keeps else "are decoded for every batch"
            rank_zero_only(print)(
                f"{number:,} images of {name} {what}: they take {needed / 2**20:,.1f} "
                f"MiB of {free / 2**20:,.0f} MiB that are free"
            )
        self.num_workers = 0 if keeps else workers
        read = self._kept if keeps else self._checked
        found: list[ImageSource] = [read(files, workers) for files in sets]
        self._read_to_train = _trains(stage)
        return found

    def _kept(self, files: ImageFiles, workers: int) -> ImageBytes:
        images = torch.empty((len(files), files.channels, *_sides(files)), dtype=torch.uint8)

        def keep(row: int) -> None:
            images[row] = files.decode(row)

        good = self._good_rows(len(files), keep, workers)
        if len(good) < len(files):
            for place, row in enumerate(good):  # in place: there may be no room for a copy
                images[place] = images[row]
        labels = None if files.labels is None else files.labels[good]
        return ImageBytes(images[: len(good)], labels)

    def _checked(self, files: ImageFiles, workers: int) -> ImageFiles:
        look = files.decode if self.skip_broken else files.glance
        good = self._good_rows(len(files), look, workers)
        files.labels = None if files.labels is None else files.labels[good]
        files.paths = [files.paths[row] for row in good]
        return files

    def _good_rows(self, number: int, read: Callable[[int], object], workers: int) -> list[int]:
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
            ThreadPoolExecutor(max(1, workers)) as pool,
        ):
            for found in pool.map(problems_of, chunks):
                problems += found
                work.done += len(found)
        bad = [text for text in problems if text is not None]
        if bad and not self.skip_broken:
            choice = "" if self.skip_broken is None else ", or use --data.skip_broken true"
            raise ValueError(
                f"path: {len(bad):,} of {number:,} images cannot be used. {bad[0]}. Remove "
                f"them{choice}."
            )
        if bad:
            rank_zero_only(print)(f"left out {len(bad):,} of {number:,} images: {bad[0]}")
        return [row for row, text in enumerate(problems) if text is None]


def _trains(stage: str | None) -> bool:
    return stage in (None, "fit")


def _sides(files: ImageFiles) -> tuple[int, int]:
    """Returns height and width that a data module scales all its images to."""
    assert files.size is not None
    return files.size


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _available_memory() -> int:
    """Returns the bytes of memory that programs can still take here."""
    found: list[int] = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2]
    with suppress(OSError):
        status = Path("/proc/meminfo").read_text()
        found = [int(size) * 1024 for size in re.findall(r"MemAvailable:\s*(\d+) kB", status)]
    with suppress(OSError, ValueError):  # a container may have less than its machine
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        found.append(limit - used)
    return max(0, min(found, default=2**30))
