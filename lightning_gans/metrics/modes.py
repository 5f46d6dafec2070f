"""Mode coverage: which modes of a Gaussian mixture a generator finds, and how evenly."""

from math import log
from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score

__all__ = ["ModeCoverage", "nearest_modes"]


def nearest_modes(samples: Tensor, modes: Tensor, sd: float) -> Tensor:
    """Returns the mode of each sample, or -1 if it is not of high quality; int64, shape (N,).

    A sample is of high quality if it lies within 3 standard deviations of its nearest mode; one
    that is not finite is not. Of samples of the mixture itself, 1 - exp(-9/2) = 98.9 % do in the
    plane.

    Args:
        samples: shape (N, d).
        modes: centres, shape (K, d).
        sd: standard deviation of each coordinate.
    """
    distances, nearest = torch.cdist(
        samples, modes, compute_mode="donot_use_mm_for_euclid_dist"
    ).min(1)
    return nearest.masked_fill(~(distances <= 3 * sd), -1)


class ModeCoverage(RecordMetric):
    """How many modes of a Gaussian mixture are found, and how evenly.

    Scores: ``modes``, those with at least 20 % of their fair share of the high-quality samples;
    ``modes_pacgan``, those with at least one high-quality sample among the first 2,500;
    ``high_quality``, the share of samples that are; ``reverse_kl``, ln K minus the entropy of the
    modes' shares of the high-quality samples, in nats (ln K if there are none).

    References:
        PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        section 4.1, for ``modes_pacgan``, ``high_quality`` and ``reverse_kl``,
        https://arxiv.org/abs/1712.04086. Its count of modes rises with the number of samples,
        since a single stray sample is enough; ``modes`` does not.

    Args:
        modes: centres, shape (K, d).
        sd: standard deviation of each coordinate, above 0.
    """

    centres: Tensor
    counts: Tensor
    first: list[Tensor]
    total: Tensor

    about = (
        Score("modes", "among high-quality samples", best="high", shown=True),
        Score("modes_pacgan", "hit by one of 2,500 samples", best="high"),
        Score("high_quality", "share within 3 sd of a mode", best="high", shown=True),
        Score("reverse_kl", "unevenness over modes, nats"),
    )
    pacgan_samples = 2500
    fair_share = 0.2

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls(data.modes, data.sd)] if hasattr(data, "modes") and hasattr(data, "sd") else []

    def __init__(self, modes: Tensor, sd: float) -> None:
        super().__init__()
        self.register_buffer("centres", modes, persistent=False)
        self.sd = sd
        self.add_state("counts", torch.zeros(len(modes), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("first", [], dist_reduce_fx="cat")  # the modes of the first samples
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds samples; real ones are not needed and are passed over.

        Args:
            samples: shape (N, d).
            real: whether they are real or generated.
        """
        if real:
            return
        centres = self.centres.to(samples)
        found = nearest_modes(samples, centres, self.sd)
        self.first.append(found[: max(0, self.pacgan_samples - int(self.total))])
        self.counts += torch.bincount(found[found >= 0], minlength=len(centres))
        self.total += len(samples)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        good = self.counts.sum()
        first = dim_zero_cat(self.first)[: self.pacgan_samples]
        shares = self.counts.double() / good.clamp(min=1)
        covered = (self.counts > 0) & (shares >= self.fair_share / len(shares))
        entropy = -torch.special.xlogy(shares, shares).sum()
        return {
            "modes": covered.sum(),
            "modes_pacgan": torch.tensor(len(set(first.tolist()) - {-1})),
            "high_quality": good.double() / self.total,
            "reverse_kl": (log(len(shares)) - entropy).clamp(min=0.0),
        }
