"""Scores of samples that are generated from the latents of real ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, shape_of
from lightning_gans.metrics.labels import Reader, reader_for

__all__ = ["ReconstructionError"]


class ReconstructionError(RecordMetric):
    """How far reconstructions are from what they reconstruct.

    Scores: ``reconstruction_mse``, the mean squared difference of an entry; ``mean_sample_mse``,
    the same if every sample is reconstructed as the mean of all; and with ``read``
    ``reconstruction_fidelity``, the share of reconstructions that are read as their label.

    Args:
        data_shape: of one sample.
        read: reads the classes; never the classifier that the model itself was trained with.
    """

    has_floor = False
    about: tuple[Score, ...] = (
        Score("reconstruction_mse", "of one entry"),
        Score("mean_sample_mse", "if all were the mean", best="same"),
        Score("reconstruction_fidelity", "read as their class", best="high"),
    )

    error: Tensor
    total: Tensor
    squares: Tensor
    right: Tensor
    number: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        if not (hasattr(model, "reconstruct") and shape_of(data)):
            return []
        read = None if getattr(data, "num_classes", None) is None else reader_for(data)
        return [cls(shape_of(data), read)]

    def __init__(self, data_shape: tuple[int, ...], read: Reader | None = None) -> None:
        super().__init__()
        self.read = read
        if read is None:
            self.about = self.about[:2]
        for name in ("error", "total", "squares"):
            self.add_state(name, torch.zeros(data_shape).double(), dist_reduce_fx="sum")
        for name in ("right", "number"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("reconstruction") is None:
            raise ValueError("metrics: ReconstructionError needs a model that reconstructs.")
        if not real:
            self.update(record["real"], record["reconstruction"], record.get("labels"))

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, reconstructed: Tensor, labels: Tensor | None) -> None:
        """Adds samples.

        Args:
            samples: real ones, shape (N, ...).
            reconstructed: the same shape.
            labels: their classes, int64, shape (N,), if there are any.

        Raises:
            ValueError: if the shapes differ, or there is ``read`` and nothing to compare with.
        """
        if samples.shape != reconstructed.shape:
            raise ValueError(
                f"ReconstructionError: samples of shape {tuple(samples.shape)} have "
                f"reconstructions of shape {tuple(reconstructed.shape)}."
            )
        if self.read is not None and labels is None:
            raise ValueError("ReconstructionError: it reads classes, so it needs labels.")
        real = samples.double()
        self.error += (reconstructed.double() - real).square().sum(0)
        self.total += real.sum(0)
        self.squares += real.square().sum(0)
        self.number += len(real)
        if self.read is not None and labels is not None:
            self.right += torch.eq(self.read(reconstructed), labels).sum()

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        variance = self.squares / self.number - (self.total / self.number).square()
        scores = [(self.error / self.number).mean(), variance.mean()]
        if self.read is not None:
            scores.append(self.right.double() / self.number)
        return dict(zip(self.scores, scores, strict=True))
