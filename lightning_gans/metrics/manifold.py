"""How well generated samples fill the region of real ones, by distances to nearest neighbours."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of
from lightning_gans.metrics.features import FeatureMetric
from lightning_gans.metrics.judges import judge_for

__all__ = ["FeatureCoverage", "manifold_scores", "nearest_neighbours"]

TILE = 2048
"""Rows and columns of the part of a matrix of distances that is in memory at a time."""
ROUNDING = 1e-9
"""Share of a squared distance that counts as rounding where two are compared."""
SAME = 1e-10
"""Share of a squared norm below which the squared distance of two vectors is rounding."""


def nearest_neighbours(
    queries: Tensor,
    points: Tensor | Iterable[Tensor],
    k: int,
    *,
    exclude_self: bool = False,
) -> tuple[Tensor, Tensor]:
    """Returns the Euclidean distances to the k nearest points, and which points these are.

    The distances are computed in double precision and in parts: of 50,000 queries and as many
    points, about 200 MB are in memory at a time beside the vectors themselves.

    Args:
        queries: shape (N, F).
        points: shape (M, F), or parts of them one after the other.
        k: how many, at least 1.
        exclude_self: whether the queries are the points, none of which is its own neighbour.

    Returns:
        The distances from the nearest on, float64, and the places of the points, int64, both of
        shape (N, k).

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than k points.
    """
    squared, places = _nearest(queries, points, k, exclude_self=exclude_self)
    scale = queries.double().square().sum(1, keepdim=True)
    return squared.masked_fill(squared < SAME * scale, 0).sqrt(), places


def _nearest(
    queries: Tensor, points: Tensor | Iterable[Tensor], k: int, *, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns the squared distances of `nearest_neighbours`, with their rounding, and places."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    if queries.ndim != 2:
        raise ValueError(f"queries must have shape (N, F), got {tuple(queries.shape)}.")
    number = len(queries)
    best = queries.new_full((number, k), torch.inf, dtype=torch.float64)
    places = torch.full((number, k), -1, device=queries.device)
    seen = 0
    for block in _parts(points):
        if block.ndim != 2 or block.shape[1] != queries.shape[1]:
            raise ValueError(
                f"points must have shape (M, {queries.shape[1]}), got {tuple(block.shape)}."
            )
        own = torch.arange(seen, seen + len(block), device=queries.device)
        for start in range(0, number, TILE):
            rows = slice(start, min(start + TILE, number))
            squared = _squared_distances(queries[rows], block)
            if exclude_self:
                itself = (own >= start) & (own < rows.stop)
                squared[own[itself] - start, itself] = torch.inf
            near, which = squared.topk(min(k, len(block)), dim=1, largest=False)
            both = torch.cat([best[rows], near], 1)
            best[rows], chosen = both.topk(k, dim=1, largest=False)
            places[rows] = torch.cat([places[rows], own[which]], 1).gather(1, chosen)
        seen += len(block)
    if seen - exclude_self < k:
        raise ValueError(f"k = {k} neighbours need {k + exclude_self} points, got {seen}.")
    return best, places


def _parts(points: Tensor | Iterable[Tensor]) -> Iterator[Tensor]:
    for block in [points] if isinstance(points, Tensor) else points:
        yield from torch.split(block, TILE)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Returns squared distances in double precision, shape (N, M); the same for (b, a)."""
    a, b = a.double(), b.double()
    norms = a.square().sum(1).unsqueeze(1) + b.square().sum(1)
    return torch.addmm(norms, a, b.T, alpha=-2)


def manifold_scores(
    real: Tensor, fake: Tensor, *, k: int = 3, k_density: int = 5
) -> dict[str, Tensor]:
    r"""Returns precision, recall, density and coverage of generated samples.

    The region of a set is the union of balls around its samples, and the ball of a sample reaches
    as far as its k-th nearest neighbour in the set, itself not counted. ``precision`` is the share
    of generated samples in the region of the real ones, and ``recall`` the share of real samples
    in that of the generated ones, with :math:`\|x - y\| \le r_k(y)`. ``density`` is

    .. math:: \frac{1}{k M} \sum_{i = 1}^M \#\{j: \|y_i - x_j\| < r_k(x_j)\}

    over M generated samples y and real ones x, and ``coverage`` the share of real samples with a
    generated one in their ball; there the borders are not counted, as in the authors' code. Two
    sets of one distribution have a density of about 1, and a coverage of about
    :math:`1 - 2^{-k}`, 0.969 for k = 5. All four are NaN if an entry is not finite.

    References:
        | Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi et
        | al., 2019), equations 1 and 2, https://arxiv.org/abs/1904.06991
        | Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
        | equations 4 and 5, https://arxiv.org/abs/2002.09797

    Args:
        real: shape (N, F).
        fake: shape (M, F). Coverage rises with M and precision with N: use equal numbers.
        k: of precision and recall, at least 1.
        k_density: of density and coverage, at least 1.

    Raises:
        ValueError: if the shapes do not fit, or a k is not below the number of samples.
    """
    farthest = max(k, k_density)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real and fake must have shapes (N, F) and (M, F), got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}."
        )
    if min(k, k_density) < 1:
        raise ValueError(f"k and k_density must be at least 1, got {k} and {k_density}.")
    if len(real) <= farthest or len(fake) <= k:
        raise ValueError(
            f"k = {k} and k_density = {k_density} need at least {farthest + 1} real and {k + 1} "
            f"fake samples, got {len(real)} and {len(fake)}."
        )
    names = ("precision", "recall", "density", "coverage")
    if not (real.isfinite().all() and fake.isfinite().all()):
        return dict.fromkeys(names, real.new_tensor(torch.nan, dtype=torch.float64))
    radii = _nearest(real, real, farthest, exclude_self=True)[0]
    # A distance may come out a little different in the other order of its two ends.
    real_reach, core = radii[:, k - 1] * (1 + ROUNDING), radii[:, k_density - 1] * (1 - ROUNDING)
    fake_reach = _nearest(fake, fake, k, exclude_self=True)[0][:, k - 1] * (1 + ROUNDING)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=real.device)
    recalled, covered = (torch.zeros_like(real_reach, dtype=torch.bool) for _ in range(2))
    hits = 0
    for start in range(0, len(fake), TILE):
        for first in range(0, len(real), TILE):
            rows, columns = slice(start, start + TILE), slice(first, first + TILE)
            squared = _squared_distances(fake[rows], real[columns])
            precise[rows] |= (squared <= real_reach[columns]).any(1)
            recalled[columns] |= (squared <= fake_reach[rows, None]).any(0)
            inside = squared < core[columns]
            covered[columns] |= inside.any(0)
            hits += int(inside.count_nonzero())
    density = real_reach.new_tensor(hits / (k_density * len(fake)))
    precision, recall, coverage = (part.double().mean() for part in (precise, recalled, covered))
    return dict(zip(names, (precision, recall, density, coverage), strict=True))


class FeatureCoverage(FeatureMetric):
    """Precision, recall, density and coverage on the features of any network.

    Scores: ``precision_<name>``, ``recall_<name>``, ``density_<name>`` and ``coverage_<name>``,
    see `manifold_scores`; k is 3 for the first two and 5 for the others, as in the papers. As many
    samples of both kinds are compared: the first ones, if there are more of one kind.

    Args:
        feature: see `FeatureMetric`.
        name: of the features, at the end of the scores' names.
        value_range: of the images.

    References:
        | Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi et
        | al., 2019), https://arxiv.org/abs/1904.06991
        | Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
        | https://arxiv.org/abs/2002.09797
    """

    real: list[Tensor]
    fake: list[Tensor]

    in_training = False
    about: tuple[Score, ...] = (
        Score("precision", "samples in real region", best="high"),
        Score("recall", "real ones in the region", best="high"),
        Score("density", "real balls at a sample", best="high"),
        Score("coverage", "real balls with samples", best="high"),
    )
    least = 6
    """Samples of each kind, one more than the largest k."""

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        found = judge_for(data)
        return [] if found is None else [cls(*found, range_of(data))]

    def __init__(
        self, feature: nn.Module, name: str, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__(feature, name, value_range)
        for state in ("real", "fake"):
            self.add_state(state, [], dist_reduce_fx="cat")

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, C, H, W).
            real: whether they are real or generated.

        Raises:
            ValueError: if they are no images, or the network makes no features of them.
        """
        (self.real if real else self.fake).append(self.features(samples))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores, none if there are fewer than 6 real or 6 generated images."""
        real, fake = (
            dim_zero_cat(part) if len(part) else torch.empty(0, 1)
            for part in (self.real, self.fake)
        )
        number = min(len(real), len(fake))
        if number < self.least:
            return {}
        values = manifold_scores(real[:number], fake[:number])
        return dict(zip(self.scores, values.values(), strict=True))
