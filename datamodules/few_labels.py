"""Labelled images of which only few labels are told."""

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from datamodules.images import ImageData, ImagePart
from datamodules.pairs import seed_of
from datamodules.stream import (
    Batches,
    Draw,
    StreamData,
    generator_for,
    warn_of_seed,
)
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["FewLabels"]

CHOICE = 5
"""Key of the random numbers that choose the images whose labels are told."""


class FewLabels(StreamData):
    """Images of a data module, of which a model is told few labels and sees all images.

    A training batch is a dict with as many rows of each: ``labelled`` images and their ``labels``;
    ``unlabelled`` images, which are any of all training images; and ``further`` unlabelled ones.
    The three are read in orders of their own, and no other label leaves the module. Evaluation has
    the images and labels of the data module.

    Each class has the same number of labelled images. Compare runs of one ``label_seed``:
    with 10 labels a class, the choice alone moves the accuracy by a percent or more.

    Args:
        source: the data module, of images with labels.
        num_labels: labels that are told, a multiple of the number of classes.
        label_seed: chooses them, not negative; no part of the run's seed. With the same seed,
            fewer are some of more.

    Raises:
        ValueError: if an argument is out of range, or the data has no labels or too few images of
            a class.
    """

    def __init__(self, source: StreamData, num_labels: int = 100, label_seed: int = 0) -> None:
        super().__init__(source.batch_size, source.num_eval_samples)
        if not isinstance(source, ImageData):
            raise ValueError(
                f"source: it must be data of images, such as MNIST or ImageFolder, got a "
                f"{type(source).__name__}."
            )
        if num_labels < 1:
            raise ValueError(f"num_labels must be at least 1, got {num_labels}.")
        if label_seed < 0:
            raise ValueError(f"label_seed must be at least 0, got {label_seed}.")
        self.source = source
        self.num_labels = num_labels
        self.label_seed = label_seed
        self.eval_batch_size = source.eval_batch_size

    def __getattr__(self, name: str) -> Any:
        """Returns what else the data module tells of itself: its shape, its classes."""
        if name in ("data_shape", "value_range", "num_classes", "classes", "content", "training"):
            return getattr(self.source, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    @override
    def prepare_data(self) -> None:
        self.source.prepare_data()

    @override
    def setup(self, stage: str) -> None:
        """Sets the data module up and chooses the images whose labels are told."""
        self.source.trainer = self.trainer
        self.source.setup(stage)
        self.num_workers = self.source.num_workers
        self.labelled = ImagePart(self.source.training, self._choose(self.source.training.labels))

    def _choose(self, labels: Tensor | None) -> Tensor:
        """Returns the rows of as many images of each class, int64, shape (num_labels,)."""
        name = type(self.source).__name__
        if labels is None:
            raise ValueError(
                f"source: {name} has no labels. Use data with labels, such as MNIST, or an "
                "ImageFolder with a subfolder for each class."
            )
        classes = getattr(self.source, "num_classes", None)
        counts = torch.bincount(labels, minlength=classes or 0)
        share, left = divmod(self.num_labels, len(counts))
        if left:
            raise ValueError(
                f"num_labels: {self.num_labels} labels cannot be shared out evenly among "
                f"{len(counts)} classes. Use a multiple of {len(counts)}."
            )
        rarest = int(counts.argmin())
        if share > counts[rarest]:
            raise ValueError(
                f"num_labels: {self.num_labels} are {share} of each class, but {name} has "
                f"{int(counts[rarest])} images of class {rarest} to train on. Use at most "
                f"{len(counts) * int(counts[rarest])}."
            )
        order = torch.randperm(
            len(labels), generator=generator_for(self.label_seed, EVALUATION_DATA, CHOICE)
        )
        return torch.cat([order[labels[order] == k][:share] for k in range(len(counts))])

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the whole batches of one pass over all training images."""
        return self.source.epoch_length(size, ranks)

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        place = (size, rank, ranks)
        unlabelled = self.source.training_batches(seed, *place)
        labelled = self.source.batches_of(self.labelled, seed_of(seed, 1), *place)
        return _Parts(labelled, unlabelled, self.source.training_batches(seed_of(seed, 2), *place))

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        return self.source.evaluation_batches(index, rank, ranks, most)

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lets the data module scale the images, which are on the device by now."""
        scale = self.source.on_after_batch_transfer
        if not isinstance(batch, dict):
            return scale(batch, dataloader_idx)
        return {k: v if k == "labels" else scale(v, dataloader_idx) for k, v in batch.items()}

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chain of batches, and what the data module saves."""
        own = {"num_labels": self.num_labels, "label_seed": self.label_seed}
        return {**super().state_dict(), **own, "source": self.source.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state, and tells if that is one with other labels."""
        if state_dict["num_labels"] != self.num_labels:
            rank_zero_warn(
                f"The checkpoint was trained with {state_dict['num_labels']:,} labels, but this "
                f"data has {self.num_labels:,}, so the run resumes with other batches. Use "
                f"num_labels {state_dict['num_labels']}."
            )
        warn_of_seed("label_seed", state_dict.get("label_seed"), self.label_seed)
        super().load_state_dict(state_dict)
        self.source.load_state_dict(state_dict["source"])


class _Parts:
    """Gives labelled and unlabelled images at a position, as many of each."""

    def __init__(self, labelled: Draw, unlabelled: Draw, further: Draw) -> None:
        self.labelled = labelled
        self.others = {"unlabelled": unlabelled, "further": further}

    def __call__(self, position: int) -> dict[str, Tensor]:
        images, labels = self.labelled(position)
        others = {key: draw(position) for key, draw in self.others.items()}
        unlabelled = {key: batch[0] for key, batch in others.items()}  # type: ignore[index]
        return {"labelled": images, "labels": labels, **unlabelled}  # type: ignore[dict-item]
