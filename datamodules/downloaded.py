"""Datasets that torchvision can download: MNIST, FashionMNIST and CIFAR-10, held in memory."""

import os
import pickle
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPException
from os.path import expanduser
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor
from torchvision.datasets import utils
from typing_extensions import Self, override

from datamodules.images import ImageBytes, ImageData
from datamodules.stream import generator_for
from lightning_gans.progress import Work
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["CIFAR10", "MNIST", "FashionMNIST"]

DEFAULT_FOLDER = Path("data")
"""Where datasets are looked for and downloaded to if nobody names a folder."""
LONGEST_REASON = 200
"""Characters of what torchvision says of a failed download."""


class DownloadedImages(ImageData):
    """Base of the datasets that come in a training and a test split, in torchvision's layout.

    Generated images are compared with the test split, in validation and in test alike: that is
    what published scores do, and no image of it is trained on. So a test is not independent of a
    state that was chosen by validation. The floor takes as many training images.

    Args:
        data_dir: folder above the dataset's own, as torchvision's ``root``; if it is not given,
            that of the environment variable ``LIGHTNING_GANS_DATA``, or else ``data``.
        value_range: see `ImageData`.
        horizontal_flip: see `ImageData`.
        dequantize: see `ImageData`.
        subset: see `ImageData`.
        subset_seed: see `ImageData`.
        batch_size: see `ImageData`.
        num_eval_samples: see `ImageData`.

    Attributes:
        num_classes: of the labels.

    Raises:
        ValueError: if a file is missing and cannot be downloaded, or is not what it should be.
    """

    num_classes = 10

    shape: tuple[int, int, int]
    source: type[torchvision.datasets.VisionDataset]

    def __init__(
        self,
        data_dir: str | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        horizontal_flip: bool = False,
        dequantize: bool = False,
        subset: int | None = None,
        subset_seed: int = 0,
        batch_size: int = 64,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(
            self.shape,
            value_range,
            horizontal_flip=horizontal_flip,
            dequantize=dequantize,
            subset=subset,
            subset_seed=subset_seed,
            batch_size=batch_size,
            num_eval_samples=num_eval_samples,
        )
        given = data_dir or os.environ.get("LIGHTNING_GANS_DATA")
        self.data_dir = Path(expanduser(given or DEFAULT_FOLDER))

    @abstractmethod
    def files(self) -> list[Path]:
        """Returns the files that make up the dataset."""

    @abstractmethod
    def read_split(self, training: bool) -> ImageBytes:
        """Reads the training or the test split."""

    @override
    def prepare_data(self) -> None:
        """Downloads what is missing; one process a machine does. Complete data is left alone.

        A folder that does not exist is made only if it is the one that nobody has to name: a name
        that is misspelt would otherwise be filled with another copy.
        """
        missing = [path for path in self.files() if not path.is_file()]
        if not missing:
            return
        first = missing[0].relative_to(self.data_dir)
        dataset, command = first.parts[0], f"lightning-gans prepare --data {type(self).__name__}"
        if not (self.data_dir.is_dir() or self.data_dir == DEFAULT_FOLDER):
            raise ValueError(
                f"data_dir: there is no folder {self.data_dir}. Use the one that holds {first}, "
                f"or run {command} --data.data_dir {self.data_dir} to download {dataset} into a "
                "new folder."
            )
        new_folder = not self.data_dir.exists()
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            # Aside first: whatever happens, files of the right names are whole.
            with TemporaryDirectory(dir=self.data_dir, prefix=".download-") as folder:
                with _shown_download(type(self).__name__):
                    self.source(folder, download=True)
                for path in missing:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(Path(folder) / path.relative_to(self.data_dir), path)
        except (OSError, RuntimeError, HTTPException) as error:
            if new_folder:
                with suppress(OSError):
                    self.data_dir.rmdir()
            reason = shorten(str(error), LONGEST_REASON, placeholder=" ...")
            raise ValueError(
                f"data_dir: {dataset} is not in {self.data_dir}. Use the folder that holds "
                f"{first}, or run {command} where there is a network. The download failed: "
                f"{reason}"
            ) from error

    @override
    def setup(self, stage: str | None = None) -> None:
        """Reads both splits, once."""
        if hasattr(self, "training"):
            return
        missing = [str(path) for path in self.files() if not path.is_file()]
        if missing:
            raise ValueError(f"data_dir: {missing[0]} is missing.")
        training, test = self.read_split(True), self.read_split(False)
        self.training = self.chosen(training)
        held_out = (test, _some(test, self.num_eval_samples, 0))
        # Of all of them, whatever the subset: they tell what real images score.
        further = (training, _some(training, len(held_out[1]), 1))
        self.held_out = (held_out, further, held_out)


@contextmanager
def _shown_download(name: str) -> Iterator[None]:
    """Shows a download of torchvision's as all progress is shown: its own bars fill log files."""
    theirs = utils.tqdm
    with Work(f"downloading {name}", unit="MB") as work:
        utils.tqdm = partial(_Received, work)
        try:
            yield
        finally:
            utils.tqdm = theirs


class _Received:
    """Counts the bytes of a file in the place of tqdm's bar."""

    def __init__(self, work: Work, total: int | None = None, **_: Any) -> None:
        self.work = work
        if total is not None:
            work.total = (work.total or 0) + total / 1e6

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, number: int) -> None:
        """Counts further bytes."""
        self.work.done += number / 1e6


def _some(images: ImageBytes, number: int, key: int) -> Tensor:
    """Returns the rows of a fixed choice of images, in a random order: splits may be sorted."""
    return torch.randperm(len(images), generator=generator_for(0, EVALUATION_DATA, key))[:number]


class IDXImages(DownloadedImages):
    """Base of the datasets in the form of MNIST: four files in ``data_dir/<folder>/raw``.

    See `DownloadedImages` for the arguments.

    Attributes:
        folder: of the dataset, below ``data_dir``.
    """

    folder: str
    shape = (1, 28, 28)

    @override
    def files(self) -> list[Path]:
        folder = self.data_dir / self.folder / "raw"
        kinds = ("images-idx3", "labels-idx1")
        return [folder / f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in kinds]

    @override
    def read_split(self, training: bool) -> ImageBytes:
        paths = self.files()[:2] if training else self.files()[2:]
        images, labels = (torch.from_numpy(_read_idx(path)) for path in paths)
        if labels.ndim != 1 or images.shape != (len(labels), *self.shape[1:]) or len(labels) < 2:
            raise ValueError(
                f"data_dir: {paths[0]} holds images of shape {tuple(images.shape)} for labels of "
                f"shape {tuple(labels.shape)}; expected one of 28 x 28 for each of 2 or more."
            )
        return ImageBytes(images[:, None], labels.long())


class MNIST(IDXImages):
    """Handwritten digits, 60,000 to train on and 10,000 to test on, (1, 28, 28), labels 0 to 9.

    See `DownloadedImages` for the arguments. The files are those in ``data_dir/MNIST/raw``.

    References:
        Gradient-based learning applied to document recognition (LeCun et al., 1998),
        https://doi.org/10.1109/5.726791

    Attributes:
        content: what the images show, for metrics that know about it.
    """

    folder = "MNIST"
    source = torchvision.datasets.MNIST
    content = "digits"


class FashionMNIST(IDXImages):
    """Photos of clothes in the form of MNIST, (1, 28, 28), ten classes.

    See `DownloadedImages` for the arguments. The files are those in ``data_dir/FashionMNIST/raw``.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (Xiao et
        al., 2017), https://arxiv.org/abs/1708.07747
    """

    folder = "FashionMNIST"
    source = torchvision.datasets.FashionMNIST


class CIFAR10(DownloadedImages):
    """Small photos, 50,000 to train on and 10,000 to test on, (3, 32, 32), ten classes.

    See `DownloadedImages` for the arguments. The files are those in
    ``data_dir/cifar-10-batches-py``. They are pickles; only arrays and plain data are read from
    them, no code is run.

    References:
        Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009), chapter 3,
        https://www.cs.toronto.edu/~kriz/cifar.html

    Attributes:
        content: what the images show, for metrics that know about it.
        classes: names of the classes in the order of their labels.
    """

    shape = (3, 32, 32)
    source = torchvision.datasets.CIFAR10
    content = "objects"
    classes = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )

    @override
    def files(self) -> list[Path]:
        folder = self.data_dir / "cifar-10-batches-py"
        names = [f"data_batch_{number}" for number in range(1, 6)]
        return [folder / name for name in (*names, "test_batch")]

    @override
    def read_split(self, training: bool) -> ImageBytes:
        paths = self.files()[:5] if training else self.files()[5:]
        labels: list[int] = []
        images: Tensor | None = None
        for index, path in enumerate(paths):
            pixels, own_labels = _read_cifar(path)
            if images is None:
                # All files are of one size; nothing is held twice but one of them.
                images = torch.empty((len(paths) * len(pixels), *self.shape), dtype=torch.uint8)
            if len(pixels) * len(paths) != len(images):
                raise ValueError(
                    f"data_dir: {path} has {len(pixels)} images, unlike the first file."
                )
            start = index * len(pixels)
            images[start : start + len(pixels)] = torch.from_numpy(pixels.reshape(-1, *self.shape))
            labels += own_labels
        assert images is not None
        return ImageBytes(images, torch.tensor(labels))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Reads an array of bytes in the IDX format: 0, 0, 8, dimensions, sizes, values."""
    with path.open("rb") as file:
        magic = file.read(4)
        dimensions = magic[3] if magic[:3] == b"\0\0\x08" and len(magic) == 4 else 0
        header = file.read(4 * dimensions)
        whole = dimensions in (1, 3) and len(header) == 4 * dimensions
        sizes = np.frombuffer(header, ">u4").astype(int) if whole else np.zeros(1, int)
        expected = 4 + 4 * dimensions + int(sizes.prod())
        if not whole or path.stat().st_size != expected:
            raise ValueError(
                f"data_dir: {path} is damaged or not an IDX file of bytes: it has "
                f"{path.stat().st_size:,} bytes"
                + (f", but its header says {expected:,}" if whole else "")
                + ". Delete it to have it downloaded again."
            )
        return np.fromfile(file, np.uint8).reshape(sizes)


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays and plain data; a pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) == ("numpy._core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _read_cifar(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Returns the pixels, shape (N, 3072), and the labels of one file."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        pixels, labels = content[b"data"], [int(label) for label in content[b"labels"]]
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or not labels:
            raise ValueError(f"its array is {pixels.dtype} of shape {pixels.shape}")
    except Exception as error:  # a damaged pickle can stumble over anything
        raise ValueError(
            f"data_dir: {path} is damaged or not a file of CIFAR-10 ({error}). Delete it to have "
            "it downloaded again."
        ) from error
    return pixels, labels
