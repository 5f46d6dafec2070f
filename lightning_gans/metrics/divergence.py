"""Divergences between discrete distributions, in nats."""

from math import nan
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, SampleMetric, Score, shape_of

__all__ = [
    "HistogramDivergence",
    "cross_entropy",
    "histogram_probabilities",
    "js_divergence",
    "kl_divergence",
]


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Returns KL(p, q), the sum of p log(p / q), in nats: infinite where q is 0 and p is not.

    Args:
        p: probabilities, any shape, summing to 1.
        q: probabilities, the same shape.
    """
    return torch.special.xlogy(p, p).sum() + cross_entropy(p, q)


def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Returns the Jensen-Shannon divergence, [KL(p, m) + KL(q, m)] / 2 with m = (p + q) / 2.

    It lies between 0 and log 2, and is log 2 for any two distributions that do not overlap, no
    matter how far apart they are.

    Args:
        p: probabilities, any shape, summing to 1.
        q: probabilities, the same shape.
    """
    m = (p + q) / 2
    return (kl_divergence(p, m) + kl_divergence(q, m)) / 2


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """Returns the cross-entropy of q relative to p, minus the sum of p log q, in nats.

    It is the entropy of p plus KL(p, q).

    Args:
        p: probabilities, any shape, summing to 1.
        q: probabilities, the same shape.
    """
    return -torch.special.xlogy(p, q).sum()


def histogram_probabilities(
    samples: Tensor, low: Tensor, high: Tensor, *, bins: int = 50, pseudo_count: float = 1.0
) -> Tensor:
    """Returns the shares of samples in the cells of a box, shape (bins,) * d.

    Samples outside the box count in the nearest cell. If a sample is NaN, so are all shares.

    Args:
        samples: shape (N, d).
        low: lower corner of the box, shape (d,).
        high: upper corner, shape (d,).
        bins: cells along each axis.
        pseudo_count: number of samples that are added, spread evenly over all cells, so that no
            cell is empty.
    """
    shape = (bins,) * samples.shape[1]
    if samples.isnan().any():
        return samples.new_full(shape, nan, dtype=torch.float64)
    # Clamped first: far outside, a place is more than the largest integer.
    cells = ((samples - low) / (high - low) * bins).clamp(0, bins - 1).long()
    strides = bins ** torch.arange(samples.shape[1], device=samples.device).flip(0)
    counts = torch.bincount((cells * strides).sum(1), minlength=bins ** len(shape))
    smoothed = counts.double() + pseudo_count / counts.numel()
    return (smoothed / smoothed.sum()).reshape(shape)


class HistogramDivergence(SampleMetric):
    """KL(real, fake), Jensen-Shannon divergence and cross-entropy on histograms, in nats.

    The histogram covers the box of the real samples and a margin of 10 % of its size on each side.
    Along an axis on which all real samples agree, it is as wide as they spread on the other.

    Scores: ``kl``, ``js``, ``cross_entropy``.

    Args:
        bins: cells along each axis.
        max_samples: see `SampleMetric`.
    """

    about = (
        Score("kl", "KL(real, generated), nats"),
        Score("js", "JS, nats, at most 0.693"),
        Score("cross_entropy", "of real cells, nats"),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls()] if shape_of(data) == (2,) else []

    def __init__(self, bins: int = 50, max_samples: int | None = None) -> None:
        super().__init__(max_samples)
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}.")
        self.bins = bins

    @override
    def compute(self) -> dict[str, Tensor]:
        real, fake = self.collected()
        low, high = real.amin(0), real.amax(0)
        extent = high - low
        # An axis along which all samples agree is as wide as the widest one.
        widest = extent.amax() if extent.any() else extent.new_ones(())
        margin = torch.where(extent > 0, 0.1 * extent, widest / 2)
        p, q = (
            histogram_probabilities(samples, low - margin, high + margin, bins=self.bins)
            for samples in (real, fake)
        )
        return {
            "kl": kl_divergence(p, q),
            "js": js_divergence(p, q),
            "cross_entropy": cross_entropy(p, q),
        }
