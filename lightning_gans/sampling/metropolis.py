"""The Metropolis-Hastings GAN."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.latent import LatentModule
from lightning_gans.sampling.base import Draw, Drawn, Refiner
from lightning_gans.sampling.calibration import Calibration, check_calibration
from lightning_gans.sampling.judging import Judge, check_judge

__all__ = ["MetropolisHastings", "log_acceptance"]


def log_acceptance(current: Tensor, proposed: Tensor) -> Tensor:
    """Returns the log of the probability of moving from one sample to an independent other one.

    It is min(0, d' - d): as log ratios, no probability of 0 or 1 has to be divided by.

    Args:
        current: log density ratios d where the chains are, shape (N,).
        proposed: those d' of the proposals, shape (N,).
    """
    return (proposed - current).clamp(max=0)


class MetropolisHastings(Refiner):
    """The Metropolis-Hastings GAN: a chain of generated samples, which good ones are kept in.

    Each sample is the end of a chain of its own, of ``steps`` proposals of the generator. It
    starts at a real sample, where a chain would get to in the end. A chain that has accepted no
    proposal starts anew at a generated sample, so that no real sample is ever returned.

    References:
        Metropolis-Hastings Generative Adversarial Networks (Turner et al., 2019), section 3 and
        algorithm 1, https://arxiv.org/abs/1811.11357, which was not compared with the paper.

    Args:
        steps: K, proposals of a chain, at least 1.
        calibration: ``"isotonic"`` or ``"logistic"``: the regression by which d is first mapped to
            what tells real from generated samples best; None for the discriminator's own d.
            It is fitted to one half of the real samples; chains start at the other half.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, steps: int = 640, calibration: Calibration | None = "isotonic") -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}. Use 640.")
        self.steps = steps
        check_calibration(calibration)
        self.calibration = calibration

    @property
    @override
    def needs_real(self) -> bool:
        return True

    @override
    def check(self, model: LatentModule) -> None:
        check_judge(model)

    @override
    def prepare(self, model: LatentModule, real: Tensor | None) -> Draw:
        assert real is not None
        known, starts = (real, real) if self.calibration is None else real.tensor_split(2)
        judge = Judge(model, self.calibration, known)
        at_starts = judge.of_samples(starts)

        def run(latent: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor, int]:
            """Runs a chain from each latent; returns their ends, which moved, and how often."""
            n = len(latent)
            moves = torch.zeros(n, dtype=torch.int64, device=ratio.device)
            for _ in range(self.steps):
                proposal = model.sample_latent(n)
                proposed = judge.of_latents(proposal)
                accepts = torch.rand_like(ratio).log() < log_acceptance(ratio, proposed)
                latent = torch.where(accepts[:, None], proposal, latent)
                ratio = torch.where(accepts, proposed, ratio)
                moves += accepts
            return latent, moves > 0, int(moves.sum())

        def draw(n: int) -> Drawn:
            begin = at_starts[torch.randint(len(starts), (n,), device=starts.device)]
            latent, moved, accepted = run(model.sample_latent(n), begin)
            left, proposed = int((~moved).sum()), n * self.steps
            if left:
                again = model.sample_latent(left)
                latent[~moved], _, more = run(again, judge.of_latents(again))
                accepted, proposed = accepted + more, proposed + left * self.steps
            return Drawn(latent, accepted, proposed)

        return draw
