"""Images from a folder."""

from collections.abc import Sequence
from os.path import expanduser
from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.downloaded import CIFAR10
from datamodules.files import ImageFiles, image_paths, sides_of
from datamodules.images import ImageData, ImagePart
from datamodules.reading import FolderReader
from datamodules.stream import generator_for
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["ImageFolder", "classes_of"]


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
        num_workers: processes that decode images which are not kept, or threads that read those
            which are; by default the cores for each process of the run, at most 8.
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
        size = sides_of("image_size", image_size)
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")
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
        self.path = Path(expanduser(path))
        self.crop = None if crop is None else sides_of("crop", crop)
        self.classes: list[str] = []
        self._reader = FolderReader(cache, num_workers, skip_broken)

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
        """Finds and checks the images and, if training is to keep them, reads them."""
        if not self._reader.is_due(stage):
            return
        paths = image_paths(self.path)
        self.classes, labels = classes_of(self.path, paths)
        channels, *size = self.data_shape
        files = ImageFiles(paths, (size[0], size[1]), channels, self.crop, labels)
        (source,) = self._reader.read(str(self.path), stage, self.trainer, files)
        self.num_workers = self._reader.num_workers
        if len(source) < 20:
            raise ValueError(
                f"path: {self.path} has {len(source)} images, of which some are to be held out. "
                "Use at least 20."
            )
        order = torch.randperm(len(source), generator=generator_for(0, EVALUATION_DATA, 0))
        held_out = min(self.num_eval_samples, max(2, len(source) // 20))
        validation, test, rest = order.tensor_split((held_out, 2 * held_out))
        self.training = self.chosen(ImagePart(source, rest))
        self.held_out = ((source, validation), (source, rest[:held_out]), (source, test))


def classes_of(folder: Path, paths: Sequence[Path]) -> tuple[list[str], Tensor | None]:
    """Returns the names of the classes and the label of each file, if there are two classes.

    Args:
        folder: whose folders are the classes, if all files are below these.
        paths: of the files.

    Returns:
        The names, and the labels, int64, shape (N,); no names and None without classes.
    """
    parts = [path.relative_to(folder).parts for path in paths]
    names = sorted({part[0] for part in parts})
    if len(names) < 2 or any(len(part) < 2 for part in parts):
        return [], None
    numbers = {name: number for number, name in enumerate(names)}
    return names, torch.tensor([numbers[part[0]] for part in parts])
