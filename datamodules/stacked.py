"""Stacked MNIST: three digits as the channels of one image, a thousand modes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from typing_extensions import override

from datamodules.downloaded import MNIST
from datamodules.images import ImageSource
from datamodules.stream import (
    Batch,
    Batches,
    Draw,
    StreamData,
    generator_for,
    share_of,
)
from lightning_gans.randomness import EVALUATION_DATA, TRAINING_DATA

__all__ = ["StackedMNIST"]

SIDE = 28
CHANNELS = 3
NUMBER = 8
"""Key of the random numbers that choose the digits of an evaluation set."""


class StackedMNIST(StreamData):
    """Three digits of MNIST, drawn independently, as the channels of one image: (3, H, W).

    The three digits, read as a number from 0 to 999, are the mode of an image and its label. Of
    60,000 training digits there are 216 trillion images: each batch has new ones. Evaluation sets
    are as large as in the PacGAN paper: the counts of modes and the divergences of sets of
    different sizes must not be compared. Two of them, to validate and to test on, are the same
    images made of test digits; the third, of training digits, tells what real images score.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017), section 3.3.1,
        | https://arxiv.org/abs/1611.02163
        | PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        | section 4.2, https://arxiv.org/abs/1712.04086. The sections were not compared with the
        | papers.

    Args:
        data_dir: folder above MNIST's own, see `MNIST`.
        size: sides of an image, 28 or 32 pixels; 32 has two pixels of background around it.
        value_range: what background and ink become.
        batch_size: images of one discriminator update and process, at least 1.
        num_eval_samples: images in each evaluation set, at least 2.

    Attributes:
        content: what the images show, for metrics that know about it.
        num_classes: 1,000.

    Raises:
        ValueError: if an argument is out of range, or a file of MNIST is missing or damaged.
    """

    content = "stacked digits"
    num_classes = 1000
    eval_batch_size = 256

    def __init__(
        self,
        data_dir: str | None = None,
        size: int = 28,
        value_range: tuple[float, float] = (-1.0, 1.0),
        batch_size: int = 128,
        num_eval_samples: int = 25_600,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if size not in (SIDE, SIDE + 4):
            raise ValueError(f"size must be 28 or 32 pixels, got {size}.")
        self.digits = MNIST(data_dir, value_range)
        self.value_range = self.digits.value_range
        self.data_shape = (CHANNELS, size, size)
        self.size = size

    @override
    def prepare_data(self) -> None:
        """Downloads what is missing of MNIST: see `MNIST`."""
        self.digits.prepare_data()

    @override
    def setup(self, stage: str | None = None) -> None:
        """Reads MNIST, once."""
        self.digits.trainer = self.trainer
        self.digits.setup(stage)

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the batches that have as many images as there are training digits."""
        return max(1, len(self.digits.training) // (size * ranks))

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        return _FreshTriples(self.digits.training, self.size, seed, size, rank)

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        source, _ = self.digits.held_out[index]
        generator = generator_for(0, EVALUATION_DATA, NUMBER, index % 2)
        triples = _triples(len(source), self.num_eval_samples, generator)[:most]
        share, first = share_of(triples, rank, ranks)
        parts = torch.split(share, self.eval_batch_size)
        draw = partial(_part, source, self.size, parts)
        return Batches(draw, len(parts), first=first, size=len(triples))

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Scales the images of a batch, which is on the device by now."""
        return self.digits.on_after_batch_transfer(batch, dataloader_idx)


@dataclass(frozen=True)
class _FreshTriples:
    """Gives the training batch at a position; nothing in it refers to a trainer or a model."""

    source: ImageSource
    side: int
    seed: int
    size: int
    rank: int

    def __call__(self, position: int) -> Batch:
        generator = generator_for(self.seed, TRAINING_DATA, position, self.rank)
        return _stacked(self.source, self.side, _triples(len(self.source), self.size, generator))


def _triples(digits: int, number: int, generator: torch.Generator) -> Tensor:
    """Draws the digits of some images, shape (N, 3), each of all with the same probability."""
    return torch.randint(digits, (number, CHANNELS), generator=generator)


def _stacked(source: ImageSource, side: int, triples: Tensor) -> Batch:
    """Returns the images of triples of digits, uint8, shape (N, 3, H, W), and their numbers."""
    assert source.labels is not None
    images = source.read(triples.flatten()).reshape(-1, CHANNELS, SIDE, SIDE)
    border = (side - SIDE) // 2
    images = images if border == 0 else pad(images, (border,) * 4)
    labels = source.labels[triples]
    return images, 100 * labels[:, 0] + 10 * labels[:, 1] + labels[:, 2]


def _part(source: ImageSource, side: int, parts: Sequence[Tensor], index: int) -> Batch:
    return _stacked(source, side, parts[index])
