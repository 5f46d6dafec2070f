"""How well a generator repeats a fixed pattern."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score

__all__ = ["PatternError"]


class PatternError(RecordMetric):
    """The largest deviation of any entry of any generated sample from a pattern.

    Scores: ``pattern_error``.

    Args:
        pattern: shape (d,).
    """

    error: Tensor
    pattern: Tensor

    about = (Score("pattern_error", "largest deviation, any entry", shown=True),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls(data.pattern)] if hasattr(data, "pattern") else []

    def __init__(self, pattern: Tensor) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern, persistent=False)
        self.add_state("error", torch.tensor(0.0), dist_reduce_fx="max")

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds samples; real ones are not needed and are passed over.

        Args:
            samples: shape (N, d).
            real: whether they are real or generated.
        """
        if not real:
            deviation = (samples - self.pattern.to(samples)).abs().max()
            self.error = torch.maximum(self.error, deviation.to(self.error))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        return {"pattern_error": self.error}
