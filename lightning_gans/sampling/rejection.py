"""Discriminator rejection sampling."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.latent import LatentModule
from lightning_gans.sampling.base import Draw, Drawn, Refiner
from lightning_gans.sampling.calibration import Calibration, check_calibration
from lightning_gans.sampling.judging import Judge, check_judge

__all__ = ["DRS", "acceptance_logits"]

LEAST = 1e-4
"""Share of accepted samples below which the work would not end."""
MOST = 2000
"""Samples that are proposed at a time."""


def acceptance_logits(log_ratio: Tensor, largest: float | Tensor, epsilon: float = 1e-6) -> Tensor:
    """Returns the logits F of the probabilities of accepting samples, before gamma is subtracted.

    With epsilon 0, sigmoid(F) is the density ratio over its largest value.

    Args:
        log_ratio: log density ratios d of real to generated samples, shape (N,).
        largest: d_M, the largest there is, at least each of them.
        epsilon: keeps the logit of the largest finite.
    """
    below = log_ratio - largest
    return below - torch.log(-torch.expm1(below - epsilon))


class DRS(Refiner):
    """Discriminator rejection sampling: the likelier a sample is real, the likelier it is kept.

    A sample of log density ratio d is accepted with probability sigmoid(F(d) - gamma). With gamma
    0 and the best discriminator, accepted samples follow the distribution of the data.

    References:
        Discriminator Rejection Sampling (Azadi et al., 2019), section 3,
        https://arxiv.org/abs/1810.06758, which was not compared with the paper. The percentile and
        the calibration are as in the code of the Metropolis-Hastings GAN's authors. Here the
        percentile is found once, among the samples of the burn-in, so that no sample depends on
        the others of its batch.

    Args:
        percentile: gamma is this percentile of F, in [0, 100]; 0 if it is None. It keeps the share
            of accepted samples up where d has a wide range, and narrows their distribution.
        burn_in: generated samples among which the largest d is looked for first, at least 2.
            Later ones that are larger count as this one.
        calibration: ``"isotonic"`` or ``"logistic"``: the regression by which d is first mapped to
            what tells real from generated samples best; None for the discriminator's own d.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        percentile: float | None = None,
        burn_in: int = 10_000,
        calibration: Calibration | None = "isotonic",
    ) -> None:
        if percentile is not None and not 0 <= percentile <= 100:
            raise ValueError(
                f"percentile must be at least 0 and at most 100, got {percentile}. Use 95."
            )
        if burn_in < 2:
            raise ValueError(f"burn_in must be at least 2, got {burn_in}. Use 10000.")
        check_calibration(calibration)
        self.percentile = percentile
        self.burn_in = burn_in
        self.calibration = calibration

    @property
    @override
    def needs_real(self) -> bool:
        return self.calibration is not None

    @override
    def check(self, model: LatentModule) -> None:
        check_judge(model)

    @override
    def prepare(self, model: LatentModule, real: Tensor | None) -> Draw:
        judge = Judge(model, self.calibration, real)
        ratios = judge.of_latents(model.sample_latent(self.burn_in))
        largest = ratios.max()
        logits = acceptance_logits(ratios, largest)
        gamma = 0.0 if self.percentile is None else float(_percentile(logits, self.percentile))
        # The largest is accepted in any case, and tells nothing of the others.
        share = float((logits - gamma).sigmoid().sort().values[:-1].mean())
        if not share > LEAST:
            raise ValueError(
                f"refine: the discriminator lets rejection keep {share:.1e} of all samples. Use "
                "percentile 95, or Metropolis-Hastings."
            )

        def draw(n: int) -> Drawn:
            found: list[Tensor] = []
            accepted = proposed = 0
            size = max(n, min(MOST, int(n / share)))
            while accepted < n:
                latent = model.sample_latent(size)
                ratio = judge.of_latents(latent).minimum(largest)
                kept = (
                    torch.rand_like(ratio) < (acceptance_logits(ratio, largest) - gamma).sigmoid()
                )
                found.append(latent[kept])
                accepted += int(kept.sum())
                proposed += size
            return Drawn(torch.cat(found)[:n], accepted, proposed)

        return draw


def _percentile(values: Tensor, percentile: float) -> Tensor:
    place = round(percentile / 100 * (len(values) - 1))
    return values.sort().values[place]
