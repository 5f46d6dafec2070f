"""Images of two kinds from folders: in pairs, or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import expanduser
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from typing_extensions import override

from datamodules.files import ImageFiles, UnreadableImageError, image_paths, shown, sides_of
from datamodules.reading import FolderReader
from datamodules.stream import generator_for
from datamodules.translation import Direction, TranslationData, evaluation_order
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["PairedFolder", "UnpairedFolders"]

LEAST = 20
"""Images that some can be held out of."""
SHOWN = 3
"""Files that a message names at most."""
Paths = Sequence[Path]


class HalfFiles(ImageFiles):
    """The left or the right half of each file.

    Args:
        paths: as for `ImageFiles`, as are ``size`` and ``channels``.
        size: (H, W) of the result.
        channels: 1 for grey, 3 for RGB.
        half: which one.
    """

    def __init__(
        self, paths: Paths, size: tuple[int, int], channels: int, half: Literal["left", "right"]
    ) -> None:
        super().__init__(paths, size, channels)
        self.half = half

    @property
    @override
    def checks_size(self) -> bool:
        return True

    @override
    def check_size(self, height: int, width: int, path: Path) -> None:
        if width % 2:
            raise UnreadableImageError(
                f"{shown(path)} has {height} x {width} pixels, a width that is odd, but holds two "
                "images of one width side by side"
            )

    @override
    def cut(self, image: Image.Image, path: Path) -> Image.Image:
        self.check_size(image.height, image.width, path)
        left = 0 if self.half == "left" else image.width // 2
        return image.crop((left, 0, left + image.width // 2, image.height))


@dataclass(frozen=True)
class RandomCrop:
    """Cuts a random part out of each image, and mirrors half of them.

    Attributes:
        size: (H, W) of the part.
        horizontal_flip: whether images are mirrored.
    """

    size: tuple[int, int]
    horizontal_flip: bool

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the parts, shape (N, C, *size); equal draws for images of equal sides."""
        number = len(images)
        places = [
            torch.randint(have - want + 1, (number,), generator=generator).tolist()
            for have, want in zip(images.shape[-2:], self.size, strict=True)
        ]
        height, width = self.size
        parts = torch.stack(
            [
                image[:, top : top + height, left : left + width]
                for image, top, left in zip(images, *places, strict=True)
            ]
        )
        if self.horizontal_flip:
            flipped = torch.rand(number, generator=generator) < 0.5
            parts[flipped] = parts[flipped].flip(-1)
        return parts


class _Folders(TranslationData):
    """Base of the data modules of two kinds of images in folders.

    Args:
        paired: see `TranslationData`.
        direction: see `TranslationData`.
        image_size: pixels of each side, or (H, W).
        channels_a: of the images of a, 1 for grey, 3 for RGB.
        channels_b: likewise of b.
        jitter: pixels by which a training image is scaled larger than ``image_size``, of which a
            random part is cut out then.
        horizontal_flip: show half of the training images mirrored.
        cache: see `FolderReader`, as is ``num_workers``.
        num_workers: see there.
        value_range: see `TranslationData`, as are the other arguments.
        batch_size: see there.
        num_eval_samples: see there.
    """

    _folders: Sequence[Path]

    def __init__(
        self,
        paired: bool,
        direction: Direction,
        image_size: int | tuple[int, int],
        channels_a: int,
        channels_b: int,
        jitter: int,
        horizontal_flip: bool,
        cache: bool | None,
        num_workers: int | None,
        value_range: tuple[float, float],
        batch_size: int,
        num_eval_samples: int,
    ) -> None:
        super().__init__(paired, direction, value_range, batch_size, num_eval_samples)
        self.size = sides_of("image_size", image_size)
        for name, channels in (("channels_a", channels_a), ("channels_b", channels_b)):
            if channels not in (1, 3):
                raise ValueError(f"{name} must be 1 (grey) or 3 (RGB), got {channels}.")
        if jitter < 0:
            raise ValueError(f"jitter must be at least 0, got {jitter}.")
        self.channels = (channels_a, channels_b)
        self.room = jitter
        if jitter or horizontal_flip:
            self.jitter = RandomCrop(self.size, horizontal_flip)
        self._reader = FolderReader(cache, num_workers)
        self.describe((channels_a, *self.size), (channels_b, *self.size))

    def _files(self, paths: Paths, side: int, size: tuple[int, int]) -> ImageFiles:
        """Returns the images of a (0) or b (1) in some files."""
        return ImageFiles(paths, size, self.channels[side])

    def _read(
        self,
        name: str,
        stage: str | None,
        training: tuple[Paths, Paths],
        held_out: Sequence[tuple[Paths, Paths]],
    ) -> None:
        """Reads the files of a and of b to train on, and those of the evaluation sets."""
        large = (self.size[0] + self.room, self.size[1] + self.room)
        further = training
        if self.room:
            a, b = (
                [paths[row] for row in evaluation_order(len(paths))[: self.num_eval_samples]]
                for paths in training
            )
            further = (a, b)
        wanted: dict[object, ImageFiles] = {}  # each once: some sets may be the same
        places = []
        for index, both in enumerate((training, held_out[0], further, held_out[1])):
            for side, paths in enumerate(both):
                if len(paths) < 2:
                    folder = paths[0].parent
                    raise ValueError(f"path: {folder} needs at least 2 images, got {len(paths)}.")
                size = self.size if index else large
                places.append((id(paths), side, size))
                wanted.setdefault(places[-1], self._files(paths, side, size))
        read = self._reader.read(name, stage, self.trainer, *wanted.values())
        found = dict(zip(wanted, read, strict=True))
        self.num_workers = self._reader.num_workers
        sources = [found[place] for place in places]
        self.serve(*zip(sources[::2], sources[1::2], strict=True))

    def _read_parts(self, name: str, stage: str | None, a: Paths, b: Paths) -> None:
        """Reads all files of a and of b, of which some are held out, the same of equal lists."""
        parts = [
            _parted(paths, self.num_eval_samples, self._place_of(side))
            for side, paths in enumerate((a, b))
        ]
        training, validation, test = zip(*parts, strict=True)
        self._read(name, stage, training, (validation, test))

    def _place_of(self, side: int) -> str:
        """Returns the argument and the folder of the images of a (0) or b (1), for messages."""
        if len(self._folders) == 2:
            return f"folder_{'ab'[side]}: {self._folders[side]}"
        (root,) = self._folders
        kind = "train" + "AB"[side]
        return f"path: {root if self.paired else root / kind}"


class PairedFolder(_Folders):
    """Pairs of images: side by side in one file, or in two folders under one name.

    Side by side, the left half of a file is a and the right half is b, as in the datasets of
    pix2pix; if the folder has subfolders ``train`` and ``val`` or ``test``, they are used as such.
    Of two folders, files belong together whose names, but for the ending, and subfolders are the
    same. Where nothing else is held out, a twentieth of the pairs is to validate, 2 at least and
    ``num_eval_samples`` at most, and as many to test on. How an image gets its size and channels:
    see `ImageFiles`. The jitter has one draw for both images of a pair.

    Args:
        path: the folder of files with two images side by side.
        folder_a: the folder of a, in the place of ``path``.
        folder_b: the folder of b.
        direction: ``a_to_b`` translates a into b, ``b_to_a`` the other way round.
        image_size: pixels of each side, or (H, W).
        channels_a: of the images of a, 1 for grey, 3 for RGB.
        channels_b: likewise of b.
        jitter: pixels by which a training image is scaled larger than ``image_size``, of which a
            random part is cut out then; 30 for 256 pixels in pix2pix.
        horizontal_flip: show half of the training pairs mirrored.
        cache: keep the decoded images in memory, or else decode them again for every batch. By
            default they are kept if they take at most half of the memory that is available.
        num_workers: processes that decode images which are not kept, or threads that read those
            which are; by default the cores for each process of the run, at most 8.
        value_range: what the bytes 0 and 255 become, in this order.
        batch_size: pairs of one discriminator update and process, at least 1.
        num_eval_samples: largest number of images in each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range, there are fewer than 20 pairs to be held out
            from, or an image has no partner, two of them, or cannot be read.
    """

    def __init__(
        self,
        path: str | None = None,
        folder_a: str | None = None,
        folder_b: str | None = None,
        direction: Direction = "a_to_b",
        image_size: int | tuple[int, int] = 256,
        channels_a: int = 3,
        channels_b: int = 3,
        jitter: int = 0,
        horizontal_flip: bool = False,
        cache: bool | None = None,
        num_workers: int | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        batch_size: int = 1,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(
            paired=True,
            direction=direction,
            image_size=image_size,
            channels_a=channels_a,
            channels_b=channels_b,
            jitter=jitter,
            horizontal_flip=horizontal_flip,
            cache=cache,
            num_workers=num_workers,
            value_range=value_range,
            batch_size=batch_size,
            num_eval_samples=num_eval_samples,
        )
        self._folders = _given(path, folder_a, folder_b, "files of two images side by side")

    @override
    def setup(self, stage: str | None = None) -> None:
        """Finds, matches and checks the images and, if training is to keep them, reads them."""
        if not self._reader.is_due(stage):
            return
        if len(self._folders) == 2:
            a, b = self._folders
            one, other = _matched(a, image_paths(a, "folder_a"), b, image_paths(b, "folder_b"))
            self._read_parts(f"{a} and {b}", stage, one, other)
            return
        (root,) = self._folders
        parts = [root / name for name in ("train", "val", "test")]
        if parts[0].is_dir() and any(part.is_dir() for part in parts[1:]):
            paths, *tests = (image_paths(part) for part in parts if part.is_dir())
            validation, test = tests[0], tests[-1]
            held_out = [(validation,) * 2, (test,) * 2]
            self._read(str(root), stage, (paths, paths), held_out)
        else:
            paths = image_paths(root)
            self._read_parts(str(root), stage, paths, paths)

    @override
    def _files(self, paths: Paths, side: int, size: tuple[int, int]) -> ImageFiles:
        if len(self._folders) == 2:
            return super()._files(paths, side, size)
        return HalfFiles(paths, size, self.channels[side], "right" if side else "left")


class UnpairedFolders(_Folders):
    """Images of two kinds in two folders, none of which belongs to another.

    With ``path``, the folder has the subfolders ``trainA`` and ``trainB``, and if there are also
    ``testA`` and ``testB``, these are what is evaluated on, as in the datasets of CycleGAN. Else a
    twentieth of the images of each kind is held out to validate, 2 at least and
    ``num_eval_samples`` at most, and as many to test on. Evaluation has as many images of each
    kind: those of the other without company are left out. Each image has a jitter of its own.

    Args:
        path: the folder of the four subfolders.
        folder_a: the folder of a, in the place of ``path``.
        folder_b: the folder of b.
        image_size: see `PairedFolder`.
        channels_a: see `PairedFolder`.
        channels_b: see `PairedFolder`.
        jitter: see `PairedFolder`.
        horizontal_flip: show half of the training images mirrored.
        cache: keep the decoded images in memory, or else decode them again for every batch. By
            default they are kept if they take at most half of the memory that is available.
        num_workers: processes that decode images which are not kept, or threads that read those
            which are; by default the cores for each process of the run, at most 8.
        value_range: what the bytes 0 and 255 become, in this order.
        batch_size: images of each kind in one discriminator update and process, at least 1.
        num_eval_samples: largest number of images in each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range, the two folders are one, or there are fewer
            than 20 images in a folder that some are to be held out from.
    """

    paired_truth = False

    def __init__(
        self,
        path: str | None = None,
        folder_a: str | None = None,
        folder_b: str | None = None,
        image_size: int | tuple[int, int] = 256,
        channels_a: int = 3,
        channels_b: int = 3,
        jitter: int = 0,
        horizontal_flip: bool = False,
        cache: bool | None = None,
        num_workers: int | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        batch_size: int = 1,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(
            paired=False,
            direction="a_to_b",
            image_size=image_size,
            channels_a=channels_a,
            channels_b=channels_b,
            jitter=jitter,
            horizontal_flip=horizontal_flip,
            cache=cache,
            num_workers=num_workers,
            value_range=value_range,
            batch_size=batch_size,
            num_eval_samples=num_eval_samples,
        )
        self._folders = _given(path, folder_a, folder_b, "trainA and trainB")

    @override
    def setup(self, stage: str | None = None) -> None:
        """Finds and checks the images and, if training is to keep them, reads them."""
        if not self._reader.is_due(stage):
            return
        root, *others = self._folders
        tests = [root / "testA", root / "testB"]
        if others:
            a, b = (image_paths(root, "folder_a"), image_paths(others[0], "folder_b"))
        else:
            names = ["trainA", "trainB", *(("testA", "testB") if _any_folder(tests) else ())]
            for folder in (root / name for name in names):
                if not folder.is_dir():
                    raise ValueError(
                        f"path: there is no folder {folder}. Use a folder with trainA and trainB, "
                        "and with testA and testB or neither, or use folder_a and folder_b."
                    )
            a, b = (image_paths(root / name) for name in names[:2])
        name = " and ".join(map(str, self._folders))
        if not others and _any_folder(tests):
            held_out = image_paths(tests[0]), image_paths(tests[1])
            self._read(name, stage, (a, b), [held_out, held_out])
        else:
            self._read_parts(name, stage, a, b)


def _any_folder(folders: Sequence[Path]) -> bool:
    return any(folder.is_dir() for folder in folders)


def _given(path: str | None, a: str | None, b: str | None, what: str) -> list[Path]:
    """Returns the one folder or the two that were given.

    Raises:
        ValueError: if it is neither, or the two are one.
    """
    if path and not (a or b):
        return [Path(expanduser(path))]
    if path or not (a and b):
        raise ValueError(
            f"path: give either path, a folder with {what}, or folder_a and folder_b; got path "
            f"{path}, folder_a {a} and folder_b {b}."
        )
    folders = [Path(expanduser(a)), Path(expanduser(b))]
    if folders[0].resolve() == folders[1].resolve():
        raise ValueError(f"folder_b: {b} is the folder of folder_a. Use another one.")
    return folders


def _parted(paths: Paths, num_eval_samples: int, place: str) -> tuple[Paths, Paths, Paths]:
    """Returns what is left of files to train on, and two parts of them that are held out."""
    number = len(paths)
    if number < LEAST:
        raise ValueError(
            f"{place} has {number} images, of which some are to be held out. Use at least {LEAST}."
        )
    order = torch.randperm(number, generator=generator_for(0, EVALUATION_DATA, 0))
    held_out = min(num_eval_samples, max(2, number // 20))
    rows = order.tensor_split((held_out, 2 * held_out))
    validation, test, rest = ([paths[row] for row in part.tolist()] for part in rows)
    return rest, validation, test


def _matched(a: Path, paths_a: Paths, b: Path, paths_b: Paths) -> tuple[Paths, Paths]:
    """Returns the files of two folders in one order, those of one name at one place.

    Raises:
        ValueError: if a name is there twice, or in one of the folders only.
    """
    one, other = _by_name(a, paths_a), _by_name(b, paths_b)
    for folder, lacking in ((b, one.keys() - other.keys()), (a, other.keys() - one.keys())):
        if lacking:
            some = ", ".join(map(shown, sorted(lacking)[:SHOWN]))
            raise ValueError(
                f"folder_a and folder_b: {len(lacking):,} images have no partner in {folder}: "
                f"{some}{', ...' if len(lacking) > SHOWN else ''}. Give both images of a pair one "
                "name, whatever its ending, or remove the others."
            )
    names = sorted(one)
    return [one[name] for name in names], [other[name] for name in names]


def _by_name(folder: Path, paths: Paths) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("")
        if name in found:
            raise ValueError(
                f"folder_a and folder_b: {shown(found[name])} and {shown(path)} have one name but "
                "for the ending, so it is not clear which belongs to the other folder. Remove one."
            )
        found[name] = path
    return found
