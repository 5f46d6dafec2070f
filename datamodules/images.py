"""The base of the image data: bytes in memory or on the disk, normalized on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from datamodules.stream import (
    Batch,
    Batches,
    Draw,
    Permutations,
    StreamData,
    generator_for,
    share_of,
    warn_of_seed,
)
from lightning_gans.randomness import EVALUATION_DATA, TRAINING_DATA

__all__ = ["ImageBytes", "ImageData", "ImagePart", "ImageSource"]

SUBSET = 2
"""Key of the random numbers that choose the images to train on."""


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


class ImagePart:
    """Some rows of a source of images.

    Args:
        source: of the images.
        rows: int64, shape (N,).
    """

    def __init__(self, source: ImageSource, rows: Tensor) -> None:
        self.source = source
        self.rows = rows
        self.labels = None if source.labels is None else source.labels[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows of this part, uint8, shape (N, C, H, W)."""
        return self.source.read(self.rows[rows])


@dataclass(frozen=True)
class _TrainingBatches:
    """Gives the training batch at a position; nothing in it refers to a trainer or a model."""

    source: ImageSource
    permutations: Permutations
    horizontal_flip: bool
    dequantize: bool
    seed: int
    size: int
    rank: int
    ranks: int

    def __call__(self, position: int) -> Batch:
        start = (position * self.ranks + self.rank) * self.size
        rows = self.permutations.rows(self.seed, start, self.size)
        images = self.source.read(rows)
        if self.horizontal_flip:
            flipped = torch.rand(self.size, generator=self._generator(position, 1)) < 0.5
            images[flipped] = images[flipped].flip(-1)
        if self.dequantize:
            images = images + torch.rand(images.shape, generator=self._generator(position, 2))
        return images if self.source.labels is None else (images, self.source.labels[rows])

    def _generator(self, position: int, purpose: int) -> torch.Generator:
        return generator_for(self.seed, TRAINING_DATA, position, self.rank, purpose)


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
        dequantize: spread each of the 256 levels of a training image evenly over the 256th of the
            value range that it stands for, anew each time the image is shown.
        subset: number of images to train on, at least 2; all if it is not given.
        subset_seed: chooses the subset, not negative. With the same seed, a smaller subset is part
            of a larger one.
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
        dequantize: bool = False,
        subset: int | None = None,
        subset_seed: int = 0,
        batch_size: int = 64,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        low, high = value_range
        if not low < high:
            raise ValueError(f"value_range: the first must be below the second, got {low, high}.")
        if subset is not None and subset < 2:
            raise ValueError(f"subset must be at least 2, got {subset}.")
        if subset_seed < 0:
            raise ValueError(f"subset_seed must be at least 0, got {subset_seed}.")
        self.data_shape = data_shape
        self.value_range = (float(low), float(high))
        self.horizontal_flip = horizontal_flip
        self.dequantize = dequantize
        self.subset = subset
        self.subset_seed = subset_seed

    def chosen(self, images: ImageSource) -> ImageSource:
        """Returns those of the training images that the model is trained on.

        Raises:
            ValueError: if there are fewer than ``subset``.
        """
        if self.subset is None:
            return images
        if self.subset > len(images):
            raise ValueError(
                f"subset: there are {len(images):,} training images, got {self.subset:,}. Use at "
                f"most {len(images)}."
            )
        generator = generator_for(self.subset_seed, EVALUATION_DATA, SUBSET)
        return ImagePart(images, torch.randperm(len(images), generator=generator)[: self.subset])

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the whole batches of one pass over the training images, at least 1."""
        return max(1, len(self.training) // (size * ranks))

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        return self.batches_of(self.training, seed, size, rank, ranks)

    def batches_of(self, images: ImageSource, seed: int, size: int, rank: int, ranks: int) -> Draw:
        """Returns what `training_batches` does, of some of the images."""
        moves = self.horizontal_flip, self.dequantize
        chain = Permutations(len(images))
        return _TrainingBatches(images, chain, *moves, seed, size, rank, ranks)

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        source, rows = self.held_out[index]
        rows = rows[:most]
        share, first = share_of(rows, rank, ranks)
        parts = torch.split(share, self.eval_batch_size)
        draw = partial(_read_part, source, parts)
        return Batches(draw, len(parts), self.num_workers, first, len(rows))

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Scales bytes, or levels that were spread, shape (N, C, H, W), to the value range."""
        low, high = self.value_range
        largest = 256 if images.is_floating_point() else 255
        return images.to(dtype).mul((high - low) / largest).add_(low)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chain of batches, and how long the chain's parts are."""
        chosen = {} if self.subset is None else {"subset_seed": self.subset_seed}
        return {**super().state_dict(), "num_images": len(self.training), **chosen}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state, and tells if that is one in other data."""
        if state_dict["num_images"] != len(self.training):
            rank_zero_warn(
                f"The model was trained on {state_dict['num_images']:,} images, but this data "
                f"has {len(self.training):,}, so the run resumes with other batches. Use the same "
                "data."
            )
        if self.subset is not None:
            warn_of_seed("subset_seed", state_dict.get("subset_seed"), self.subset_seed)
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


def _read_part(source: ImageSource, parts: Sequence[Tensor], index: int) -> Batch:
    rows = parts[index]
    images = source.read(rows)
    return images if source.labels is None else (images, source.labels[rows])
