"""Optimal transport distances between sets of samples."""

from typing import Any

import ot
import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, SampleMetric, Score, shape_of

__all__ = [
    "SlicedWasserstein",
    "Wasserstein",
    "sliced_wasserstein_distance",
    "wasserstein_distance",
]


def wasserstein_distance(x: Tensor, y: Tensor, *, p: float = 1.0) -> Tensor:
    """Returns the exact Wasserstein-p distance between two sets of equally weighted points.

    W_p is the p-th root of the least mean of ||x - y||^p over all ways to move the one set onto
    the other. For two uniform distributions on unit intervals a distance t apart, W_1 is t.

    References:
        Computational Optimal Transport (Peyre and Cuturi, 2019), equation 2.18 and, for the
        network simplex that POT solves it with, section 3.5, https://arxiv.org/abs/1803.00567

    Args:
        x: shape (N, d).
        y: shape (M, d); the time grows with about the cube of N and M.
        p: order, at least 1.

    Raises:
        ValueError: if p is below 1.
    """
    if p < 1:
        raise ValueError(f"p must be at least 1, got {p}.")
    if x.shape[1] == 1 and len(x) == len(y):
        cost = (x.flatten().sort().values - y.flatten().sort().values).abs().pow(p).mean()
    else:
        costs = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").pow(p)
        cost = x.new_tensor(ot.emd2([], [], costs.double().cpu().numpy(), numItermax=10_000_000))
    return cost.pow(1 / p)


def sliced_wasserstein_distance(
    x: Tensor, y: Tensor, *, p: float = 2.0, num_projections: int = 128, seed: int = 0
) -> Tensor:
    """Returns the sliced Wasserstein-p distance, estimated on random projections to a line.

    It is the p-th root of the mean of W_p^p over directions; in d dimensions a shift by t gives
    about t / sqrt(d) for p = 2.

    References:
        Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015), section 3,
        https://doi.org/10.1007/s10851-014-0506-3

    Args:
        x: shape (N, d).
        y: shape (M, d).
        p: order, at least 1.
        num_projections: number of directions.
        seed: of the directions; the same seed gives the same ones.
    """
    distance = ot.sliced_wasserstein_distance(
        x.double().cpu().numpy(),
        y.double().cpu().numpy(),
        n_projections=num_projections,
        p=p,
        seed=seed,
    )
    return x.new_tensor(distance)


class Wasserstein(SampleMetric):
    """The exact Wasserstein-p distance between real and generated samples.

    Scores: ``w1`` for p = 1, ``w2`` for p = 2, and so on.

    Args:
        p: order, at least 1.
        max_samples: of each kind; the distance falls and its time rises with them.
    """

    about: tuple[Score, ...] = (
        Score("w1", "exact W1, of 2,048 at most", shown=True),
        Score("w2", "exact W2, of 2,048 at most"),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls(1), cls(2)] if len(shape_of(data)) == 1 else []

    def __init__(self, p: float = 1.0, max_samples: int = 2048) -> None:
        super().__init__(max_samples)
        self.p = p
        self.about = (Score(f"w{p:g}", f"exact W{p:g}, of {max_samples:,} at most"),)

    @override
    def compute(self) -> dict[str, Tensor]:
        real, fake = self.collected()
        return {self.scores[0]: wasserstein_distance(real, fake, p=self.p)}


class SlicedWasserstein(SampleMetric):
    """The sliced Wasserstein-2 distance between real and generated samples.

    Images are averaged down to at most 16 x 16 pixels first: their coarse form and colours are
    compared, and 10,000 of them take little memory.

    Scores: ``sliced_w``.

    Args:
        num_projections: number of random directions, the same at every call.
        max_samples: see `SampleMetric`.
    """

    about = (Score("sliced_w", "sliced W2"),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls()] if len(shape_of(data)) in (1, 3) else []

    def __init__(self, num_projections: int = 128, max_samples: int | None = None) -> None:
        super().__init__(max_samples)
        self.num_projections = num_projections

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds samples.

        Args:
            samples: shape (N, d), or images, shape (N, C, H, W).
            real: whether they are real or generated.
        """
        if samples.ndim == 4:
            height, width = (min(16, side) for side in samples.shape[2:])
            samples = torch.nn.functional.adaptive_avg_pool2d(samples, (height, width))
        super().update(samples, real=real)

    @override
    def compute(self) -> dict[str, Tensor]:
        real, fake = self.collected()
        return {
            "sliced_w": sliced_wasserstein_distance(
                real, fake, num_projections=self.num_projections
            )
        }
