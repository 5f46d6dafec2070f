"""What the metrics on whole sample sets have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

__all__ = [
    "ComparingMetric",
    "RecordMetric",
    "SampleMetric",
    "Score",
    "range_of",
    "shape_of",
    "shows_rgb",
    "to_unit",
]


def to_unit(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Maps images from their range to [0, 1], in the 256 steps that an image file can hold.

    Args:
        images: shape (N, C, H, W), values beyond the range are clipped.
        value_range: what becomes 0 and what becomes 1.
    """
    low, high = value_range
    return ((images.float() - low) / (high - low)).clamp(0, 1).mul(255).round().div(255)


def shape_of(data: Any) -> tuple[int, ...]:
    """Returns the shape of a sample of some data, () if it is not known."""
    return tuple(getattr(data, "data_shape", ()))


def shows_rgb(data: Any) -> bool:
    """Returns whether the samples of some data are RGB images, not digits in three channels."""
    shape = shape_of(data)
    stacked = getattr(data, "content", None) == "stacked digits"
    return len(shape) == 3 and shape[0] == 3 and not stacked


def range_of(data: Any) -> tuple[float, float]:
    """Returns the ``value_range`` of some data, [-1, 1] if it is not known."""
    low, high = getattr(data, "value_range", (-1.0, 1.0))
    return float(low), float(high)


@dataclass(frozen=True)
class Score:
    """What a metric computes, and what tables and the screen tell of it.

    Attributes:
        name: its key in the logs.
        meaning: a few words on it.
        best: where it is best: low, high, or where real data has it.
        shown: whether it is one of the few that are shown while training goes on.
    """

    name: str
    meaning: str
    best: Literal["low", "high", "same"] = "low"
    shown: bool = False


class RecordMetric(Metric):
    """Base of this package's metrics, which read the records of an evaluation.

    Attributes:
        about: what it computes.
        has_floor: whether real data can be scored in the place of generated samples.
        in_training: whether it is computed while a model is trained, and not only when a
            checkpoint is scored: what takes more than a second is not.
    """

    is_differentiable = False
    full_state_update = False

    about: tuple[Score, ...] = ()
    has_floor: ClassVar[bool] = True
    in_training: ClassVar[bool] = True

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of what it computes."""
        return tuple(score.name for score in self.about)

    @classmethod
    def for_data(cls, data: Any, model: Any) -> list["RecordMetric"]:
        """Returns the metrics of this class that fit some data and a model; none by itself.

        Args:
            data: the data module, or None. What it tells of itself decides: ``data_shape``,
                ``modes`` and ``sd``, ``pattern``, ``content``, ``value_range``.
            model: the model, or None.
        """
        return []

    def known_floors(self) -> dict[str, float]:
        """Returns the floors that were computed with the scores, not with further real samples."""
        return {}

    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        """Adds the real or the generated samples of an evaluation record.

        Args:
            record: with the fields ``real`` and ``fake``, shape (N, ...), and what else the metric
                reads.
            real: which of them.
        """
        self.update(record["real" if real else "fake"], real=real)


class ComparingMetric(RecordMetric):
    """Base of the metrics that set generated samples against real ones.

    The names of the states that hold real samples, or what is known of them, begin with "real".
    """

    def reset_generated(self) -> None:
        """Forgets the generated samples and keeps the real ones, which are always the same."""
        states = {name: getattr(self, name) for name in self._defaults if name.startswith("real")}
        kept = {name: list(v) if isinstance(v, list) else v for name, v in states.items()}
        self.reset()
        for name, value in kept.items():
            setattr(self, name, value)


class SampleMetric(ComparingMetric):
    """Base of the metrics that keep the real and the generated samples until they are computed.

    Args:
        max_samples: of each kind that are kept, the first ones; all if it is not given.

    Raises:
        ValueError: if ``max_samples`` is below 2, or a computation finds fewer than 2 samples.
    """

    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, max_samples: int | None = None) -> None:
        super().__init__()
        if max_samples is not None and max_samples < 2:
            raise ValueError(f"max_samples must be at least 2, got {max_samples}.")
        self.max_samples = max_samples
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds samples.

        Args:
            samples: shape (N, ...).
            real: whether they are real or generated.
        """
        (self.real if real else self.fake).append(samples.detach().flatten(1))

    def collected(self) -> tuple[Tensor, Tensor]:
        """Returns the kept real and generated samples in double precision, shape (N, d) each.

        Raises:
            ValueError: if there are fewer than 2 of either.
        """
        both = []
        for name, parts in (("real", self.real), ("generated", self.fake)):
            samples = dim_zero_cat(parts) if len(parts) else torch.empty(0)
            if len(samples) < 2:
                raise ValueError(
                    f"{type(self).__name__}: needs at least 2 {name} samples, got {len(samples)}."
                )
            both.append(samples[: self.max_samples].double())
        return both[0], both[1]

    @abstractmethod
    @override
    def compute(self) -> dict[str, Any]:
        """Returns the named scores."""
