"""Optimal transport distances between sets of samples."""

from collections.abc import Callable
from math import nan
from typing import Any

import ot
import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, SampleMetric, Score, shape_of

__all__ = [
    "CriticGap",
    "PatchWasserstein",
    "SlicedWasserstein",
    "Wasserstein",
    "kantorovich_potential",
    "largest_slope",
    "measured_slope",
    "sliced_wasserstein_distance",
    "wasserstein_distance",
]

Critic = Callable[[Tensor], Tensor]
"""Maps samples, shape (N, ...), to outputs, shape (N,)."""
PATCH = 7
"""Pixels of a patch's side."""
MOST_PIVOTS = 10_000_000
"""Of the network simplex: far more than the sizes here need."""


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

    Returns:
        The distance, or NaN if two points are not a finite distance apart.

    Raises:
        ValueError: if p is below 1.
    """
    if p < 1:
        raise ValueError(f"p must be at least 1, got {p}.")
    if x.shape[1] == 1 and len(x) == len(y):
        cost = (x.flatten().sort().values - y.flatten().sort().values).abs().pow(p).mean()
    else:
        costs = _distances(x, y).pow(p).double().cpu()
        if not costs.isfinite().all():
            return x.new_tensor(nan)  # POT would find no way to move the points, and say 0
        cost = x.new_tensor(ot.emd2([], [], costs.numpy(), numItermax=MOST_PIVOTS))
    return cost.pow(1 / p)


def kantorovich_potential(real: Tensor, fake: Tensor) -> Critic:
    """Returns the critic that a Wasserstein GAN should have for two sets of samples.

    Of all functions with slopes of at most 1, none has a larger difference between its means over
    the real and over the generated samples, and the difference is their W_1. It is
    f(x) = min over j of ||x - y_j|| - v_j, the c-transform of the dual variables v of the
    generated samples y. Such functions differ where no sample moves; this one is the largest.

    References:
        Computational Optimal Transport (Peyre and Cuturi, 2019), sections 2.5 and 5.1,
        https://arxiv.org/abs/1803.00567

    Args:
        real: shape (N, d).
        fake: shape (M, d); the time grows with about the cube of N and M.

    Returns:
        Maps points, shape (K, d), to values, shape (K,); their mean over all samples is 0.
    """
    costs = _distances(real, fake).double().cpu().numpy()
    duals = ot.emd([], [], costs, numItermax=MOST_PIVOTS, log=True)[1]["v"]
    levels = torch.as_tensor(duals).to(fake)

    def transformed(x: Tensor) -> Tensor:
        return (_distances(x.to(fake), fake) - levels).amin(1)

    mean = transformed(torch.cat([real, fake])).mean()
    return lambda x: transformed(x) - mean


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def largest_slope(critic: Critic, points: Tensor) -> Tensor:
    """Returns the largest norm of a critic's gradient at some points, also in inference mode.

    Args:
        critic: treats samples independently.
        points: shape (N, ...).
    """
    with torch.inference_mode(False), torch.enable_grad():
        points = points.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(points).sum(), points)
    return torch.linalg.vector_norm(slopes.flatten(1), dim=1).max()


def measured_slope(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Returns the largest slope of a critic on samples and on points between them.

    The critic is as steep somewhere, so this is a lower bound of its Lipschitz constant.

    Args:
        critic: treats samples independently.
        real: shape (N, d).
        fake: shape (M, d); a point lies between each and the real sample of its row.
    """
    number = min(len(real), len(fake))
    shares = torch.linspace(0, 1, number, device=real.device, dtype=real.dtype).unsqueeze(1)
    between = torch.lerp(fake[:number], real[:number], shares)
    return largest_slope(critic, torch.cat([real, fake, between]))


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
        if len(shape_of(data)) != 1:
            return []
        first = cls(1)
        critic = getattr(model, "wasserstein_critic", lambda: None)()
        return [first, cls(2), *([] if critic is None else [CriticGap(critic, first)])]

    def __init__(self, p: float = 1.0, max_samples: int = 2048) -> None:
        super().__init__(max_samples)
        self.p = p
        self.about = (Score(f"w{p:g}", f"exact W{p:g}, of {max_samples:,} at most"),)

    @override
    def compute(self) -> dict[str, Tensor]:
        real, fake = self.collected()
        return {self.scores[0]: wasserstein_distance(real, fake, p=self.p)}


class CriticGap(SampleMetric):
    """How far a critic is from the best one: W1 minus its estimate of W1.

    The estimate is the difference of its means over real and generated samples, divided by its
    `measured_slope`. That is a lower bound of its Lipschitz constant, so the estimate may be too
    large and the score negative. A flat critic estimates 0.

    Scores: ``critic_gap``.

    Args:
        critic: maps samples, shape (N, d), to outputs, shape (N,).
        distance: W1 of the same samples, which is computed once for both metrics.
    """

    has_floor = False
    about = (Score("critic_gap", "w1 minus the critic's estimate"),)

    def __init__(self, critic: Critic, distance: Wasserstein) -> None:
        super().__init__(distance.max_samples)
        self.critic = critic
        self.distance = distance

    @override
    def compute(self) -> dict[str, Tensor]:
        real, fake = self.collected()
        difference = self.critic(real).double().mean() - self.critic(fake).double().mean()
        slope = measured_slope(self.critic, real, fake)
        estimate = torch.zeros_like(difference) if slope == 0 else difference / slope
        return {"critic_gap": self.distance.compute()["w1"] - estimate}


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
        distance = sliced_wasserstein_distance(real, fake, num_projections=self.num_projections)
        return {self.scores[0]: distance}


class PatchWasserstein(SlicedWasserstein):
    """The sliced Wasserstein-2 distance between small patches of real and generated images.

    Each image is cut into squares of 7 x 7 pixels side by side, and each square's own mean colour
    is taken from it: edges and texture are compared, wherever in the image they are, while
    `SlicedWasserstein` compares coarse form and colours.

    Scores: ``sliced_w_patches``.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al.,
        2018), section 5, https://arxiv.org/abs/1710.10196. Its patches are drawn at random from
        every level of a Laplacian pyramid and scaled to unit variance; these are of the whole
        images only, and not scaled.

    Args:
        num_projections: number of random directions, the same at every call.
        max_samples: patches of each kind that are compared, the first ones, at least 2.
    """

    about = (Score("sliced_w_patches", "sliced W2, 7 x 7 pixels"),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        shape = shape_of(data)
        return [cls()] if len(shape) == 3 and min(shape[1:]) >= PATCH else []

    def __init__(self, num_projections: int = 128, max_samples: int = 32_768) -> None:
        super().__init__(num_projections, max_samples)

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: shape (N, C, H, W), sides of at least 7 pixels.
            real: whether they are real or generated.
        """
        kept = self.real if real else self.fake
        assert self.max_samples is not None
        if sum(map(len, kept)) >= self.max_samples:
            return  # of all processes together, the first ones are compared
        channels = samples.shape[1]
        columns = torch.nn.functional.unfold(samples.float(), PATCH, stride=PATCH).mT
        patches = columns.reshape(-1, channels, PATCH * PATCH)
        SampleMetric.update(self, patches - patches.mean(2, keepdim=True), real=real)
