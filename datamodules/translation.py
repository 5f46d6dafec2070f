"""The base of the data of two kinds of images, of which one is to be turned into the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from datamodules.images import ImageSource
from datamodules.pairs import seed_of
from datamodules.stream import (
    Batches,
    Draw,
    Permutations,
    StreamData,
    generator_for,
    share_of,
)
from lightning_gans.randomness import EVALUATION_DATA, TRAINING_DATA

__all__ = ["Direction", "Kind", "TranslationData", "evaluation_order"]

ORDER = 6
"""Key of the random numbers that evaluation sets are put in order by."""
T = TypeVar("T")
Direction = Literal["a_to_b", "b_to_a"]
"""Which side of a pair is given, and which is wanted."""
Jitter = Callable[[Tensor, torch.Generator], Tensor]
"""Crops and mirrors images, uint8, shape (N, C, H, W), by random draws."""


@dataclass(frozen=True)
class Kind:
    """What metrics ask of one of the two kinds of samples.

    Attributes:
        data_shape: shape of one sample.
        value_range: least and greatest value that a picture of it should show.
        content: what the images show, for metrics that know about it.
        undo: maps samples, shape (N, ...), to the samples of the other kind that they were made
            of, if that is known.
        original: the other kind then.
    """

    data_shape: tuple[int, ...]
    value_range: tuple[float, float]
    content: str | None = None
    undo: Callable[[Tensor], Tensor] | None = None
    original: "Kind | None" = None


class TranslationData(StreamData):
    """Base of the data modules of two kinds of images, a and b.

    A batch is a dict with as many images of each kind: of pairs, the keys are ``source`` and
    ``target``, and one chain of permutations and one draw of the jitter serve both sides. Of
    images that do not belong together they are ``a`` and ``b``: each kind has a chain of its own,
    so that the shorter one starts again earlier, and images meet in ever new pairs.

    Batches for evaluation are of pairs wherever it is known what an image should become, also if
    training has none, and have ``labels`` then if the images have any.

    A subclass calls `serve` in ``setup``.

    Attributes:
        paired: whether training sees pairs.
        paired_truth: whether evaluation does.
        data_shapes: of a sample of each kind: source and target of pairs, a and b of others.
        sources: each kind by key, for metrics that fit it.
        content: what the images show that are generated from sources, if they are pairs.
        training: the images to train on, by key.
        held_out: those of each evaluation set, by key.

    Args:
        paired: see the attribute.
        direction: of pairs; ``b_to_a`` makes b the source.
        value_range: what the bytes 0 and 255 become, in this order.
        batch_size: images of each kind in one discriminator update and process, at least 1.
        num_eval_samples: largest number of images in each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range.
    """

    eval_batch_size = 250
    paired_truth = True

    def __init__(
        self,
        paired: bool,
        direction: Direction,
        value_range: tuple[float, float],
        batch_size: int,
        num_eval_samples: int,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        low, high = value_range
        if not low < high:
            raise ValueError(f"value_range: the first must be below the second, got {low, high}.")
        if direction not in ("a_to_b", "b_to_a"):
            raise ValueError(f"direction must be a_to_b or b_to_a, got {direction}.")
        if direction != "a_to_b" and not paired:
            raise ValueError(
                "direction is for pairs only. Unpaired images are translated both ways. Use "
                "paired: true, or leave direction out."
            )
        self.paired = paired
        self.direction = direction
        self.value_range = (float(low), float(high))
        self.jitter: Jitter | None = None
        self.training: dict[str, ImageSource] = {}
        self.held_out: tuple[dict[str, ImageSource], ...] = ()
        self.sources: dict[str, Kind] = {}

    def describe(
        self,
        shape_a: tuple[int, ...],
        shape_b: tuple[int, ...],
        content_a: str | None = None,
        content_b: str | None = None,
        undo: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Says what the images are like; called in the constructor."""
        a = Kind(shape_a, self.value_range, content_a)
        b = Kind(shape_b, self.value_range, content_b, undo, None if undo is None else a)
        self.sources = self._keyed((a, b), self.paired)
        self.data_shapes = tuple(kind.data_shape for kind in self.sources.values())
        generated = self.sources["target" if self.paired else "a"]
        self.data_shape = generated.data_shape
        self.content = generated.content if self.paired else None

    def serve(
        self,
        training: tuple[ImageSource, ImageSource],
        validation: tuple[ImageSource, ImageSource],
        further: tuple[ImageSource, ImageSource],
        test: tuple[ImageSource, ImageSource],
    ) -> None:
        """Takes the images of a and of b, with a row of one for each row of the other in pairs."""
        self.training = self._keyed(training, self.paired)
        self.held_out = tuple(
            self._keyed(both, self.paired_truth) for both in (validation, further, test)
        )

    def _keyed(self, both: tuple[T, T], paired: bool) -> dict[str, T]:
        first, second = both if self.direction == "a_to_b" else both[::-1]
        return {"source": first, "target": second} if paired else {"a": first, "b": second}

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the whole batches of one pass over the kind with more images, at least 1."""
        return max(1, max(map(len, self.training.values())) // (size * ranks))

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        keys = list(self.training)
        seeds = {key: seed if self.paired else seed_of(seed, keys.index(key)) for key in keys}
        chains = {key: Permutations(len(source)) for key, source in self.training.items()}
        return _TrainingBatches(self.training, chains, seeds, self.jitter, size, rank, ranks)

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        images = self.held_out[index]
        limits = [self.num_eval_samples, *map(len, images.values())]
        number = min(limits if most is None else [*limits, most])
        parts, first = {}, 0
        for key, source in images.items():
            share, first = share_of(evaluation_order(len(source))[:number], rank, ranks)
            parts[key] = torch.split(share, self.eval_batch_size)
        length = max(map(len, parts.values()))
        return Batches(partial(_read, images, parts), length, self.num_workers, first, number)

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Scales bytes, shape (N, C, H, W), to the value range."""
        low, high = self.value_range
        return images.to(dtype).mul((high - low) / 255).add_(low)

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Scales the images of a batch, which is on the device by now."""
        model = getattr(self.trainer, "lightning_module", None)
        dtype = getattr(model, "dtype", torch.float32)
        return {
            key: part if key == "labels" else self.normalize(part, dtype)
            for key, part in batch.items()
        }

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chains of batches, and how long the chains' parts are."""
        numbers = {key: len(source) for key, source in self.training.items()}
        return {**super().state_dict(), "num_images": numbers}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state, and tells if that is one in other data."""
        for key, source in self.training.items():
            seen = state_dict["num_images"].get(key)
            if seen != len(source):
                rank_zero_warn(
                    f"The model was trained on {seen or 0:,} images of {key}, but this data has "
                    f"{len(source):,}, so the run resumes with other batches. Use the same data."
                )
        super().load_state_dict(state_dict)


def evaluation_order(number: int) -> Tensor:
    """Returns the order that so many images are evaluated in, always the same, int64, shape (N,).

    Folders may be sorted, so the first images of a set need not be like all of them.
    """
    return torch.randperm(number, generator=generator_for(0, EVALUATION_DATA, ORDER))


@dataclass(frozen=True)
class _TrainingBatches:
    """Gives the training batch at a position; nothing in it refers to a trainer or a model.

    Sources with one seed are read in one order and with the same draws.
    """

    sources: Mapping[str, ImageSource]
    chains: Mapping[str, Permutations]
    seeds: Mapping[str, int]
    jitter: Jitter | None
    size: int
    rank: int
    ranks: int

    def __call__(self, position: int) -> dict[str, Tensor]:
        start = (position * self.ranks + self.rank) * self.size
        batch = {}
        for key, source in self.sources.items():
            images = source.read(self.chains[key].rows(self.seeds[key], start, self.size))
            if self.jitter is not None:
                draws = generator_for(self.seeds[key], TRAINING_DATA, position, self.rank, 1)
                images = self.jitter(images, draws)
            batch[key] = images
        return batch


def _read(
    sources: Mapping[str, ImageSource], parts: Mapping[str, tuple[Tensor, ...]], index: int
) -> dict[str, Tensor]:
    rows = {key: part[index] for key, part in parts.items()}
    batch = {key: source.read(rows[key]) for key, source in sources.items()}
    known = [s.labels[rows[key]] for key, s in sources.items() if s.labels is not None]
    return {**batch, "labels": known[0]} if known and "source" in batch else batch
