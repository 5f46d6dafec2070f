"""The base of the image data: bytes in memory or on the disk, normalised on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from datamodules.stream import (
    TRAINING_DATA,
    Batch,
    Batches,
    Draw,
    Permutations,
    StreamData,
    generator_for,
    share_of,
)

__all__ = ["ImageBytes", "ImageData", "ImageSource"]


class ImageSource(Protocol):
    """Images of equal size that can be read in any order."""

    labels: Tensor | None

    def __len__(self) -> int: ...

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows, uint8, shape (N, C, H, W)."""
        ...


class ImageBytes:
    """Images in memory.

    Args:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,), or None.
    """

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows, uint8, shape (N, C, H, W)."""
        return self.images[rows]


@dataclass(frozen=True)
class _TrainingBatches:
    """Gives the training batch at a position; nothing in it refers to a trainer or a model."""

    source: ImageSource
    permutations: Permutations
    horizontal_flip: bool
    seed: int
    size: int
    rank: int
    ranks: int

    def __call__(self, position: int) -> Batch:
        start = (position * self.ranks + self.rank) * self.size
        batch = _read(self.source, self.permutations.rows(self.seed, start, self.size))
        if self.horizontal_flip:
            images = batch[0] if isinstance(batch, tuple) else batch
            assert isinstance(images, Tensor)
            generator = generator_for(self.seed, TRAINING_DATA, position, self.rank, 1)
            flipped = torch.rand(self.size, generator=generator) < 0.5
            images[flipped] = images[flipped].flip(-1)
        return batch


class ImageData(StreamData):
    """Base of the data modules of images.

    Images are bytes until they are on the device, where a batch is scaled to the value range. Over
    one pass of the training images, which all processes share, every image is read once.

    A subclass sets ``training`` and ``held_out`` in ``setup``.

    Attributes:
        training: the images to train on.
        held_out: where each evaluation set is found: the images and their rows.

    Args:
        data_shape: (C, H, W).
        value_range: what the bytes 0 and 255 become, in this order.
        horizontal_flip: show each training image mirrored half of the time.
        batch_size: images of one discriminator update and process, at least 1.
        num_eval_samples: largest number of images in each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range.
    """

    eval_batch_size = 250

    training: ImageSource
    held_out: Sequence[tuple[ImageSource, Tensor]]

    def __init__(
        self,
        data_shape: tuple[int, int, int],
        value_range: tuple[float, float] = (-1.0, 1.0),
        horizontal_flip: bool = False,
        batch_size: int = 64,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        low, high = value_range
        if not low < high:
            raise ValueError(f"value_range: the first must be below the second, got {low, high}.")
        self.data_shape = data_shape
        self.value_range = (float(low), float(high))
        self.horizontal_flip = horizontal_flip

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the whole batches of one pass over the training images, at least 1."""
        return max(1, len(self.training) // (size * ranks))

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        permutations = Permutations(len(self.training))
        flip = self.horizontal_flip
        return _TrainingBatches(self.training, permutations, flip, seed, size, rank, ranks)

    @override
    def evaluation_batches(self, index: int, rank: int = 0, ranks: int = 1) -> Batches:
        source, rows = self.held_out[index]
        share, first = share_of(rows, rank, ranks)
        parts = torch.split(share, self.eval_batch_size)
        return Batches(partial(_read_part, source, parts), len(parts), self.num_workers, first)

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Scales bytes, shape (N, C, H, W), to the value range."""
        low, high = self.value_range
        return images.to(dtype).mul_((high - low) / 255).add_(low)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chain of batches, and how long the chain's parts are."""
        return {**super().state_dict(), "num_images": len(self.training)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to the position of a state, and tells if that is one in other data."""
        if state_dict["num_images"] != len(self.training):
            rank_zero_warn(
                f"The checkpoint has seen {state_dict['num_images']:,} images, but this data "
                f"has {len(self.training):,}, so the run does not resume with the same batches."
            )
        super().load_state_dict(state_dict)

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Scales the images of a batch, which is on the device by now."""
        model = getattr(self.trainer, "lightning_module", None)
        dtype = getattr(model, "dtype", torch.float32)
        if isinstance(batch, Tensor):
            return self.normalize(batch, dtype)
        images, labels = batch
        return self.normalize(images, dtype), labels


def _read(source: ImageSource, rows: Tensor) -> Batch:
    images = source.read(rows)
    return images if source.labels is None else (images, source.labels[rows])


def _read_part(source: ImageSource, parts: Sequence[Tensor], index: int) -> Batch:
    return _read(source, parts[index])
