"""How well a classifier that was trained in a game tells the classes of real samples."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score

__all__ = ["ClassifierAccuracy"]


class ClassifierAccuracy(RecordMetric):
    """The share of real samples whose class the model's own classifier tells.

    Scores: ``accuracy``. The samples are those of the evaluation, which no training has seen. What
    it is worth shows beside the same classifier trained on the labels alone.
    """

    has_floor = False
    about = (Score("accuracy", "of the classifier", best="high", shown=True),)

    right: Tensor
    total: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls()] if hasattr(model, "tell_classes") else []

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        told, labels = record.get("told"), record.get("labels")
        if told is None or labels is None:
            raise ValueError(
                "metrics: ClassifierAccuracy needs data with labels and a model that tells "
                "classes, such as SGAN or SemiSupervisedAAE."
            )
        if not real:
            self.update(told, labels)

    @override
    def update(self, told: Tensor, labels: Tensor) -> None:
        """Adds samples.

        Args:
            told: classes that the classifier tells, int64, shape (N,).
            labels: their classes, int64, shape (N,).

        Raises:
            ValueError: if the shapes differ.
        """
        if told.shape != labels.shape:
            raise ValueError(
                f"ClassifierAccuracy: classes of shape {tuple(told.shape)} are told for labels of "
                f"shape {tuple(labels.shape)}."
            )
        self.right += torch.eq(told, labels).sum()
        self.total += len(labels)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        return {"accuracy": self.right.double() / self.total}
