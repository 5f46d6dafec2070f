"""The truncation trick: latents, or styles, that are not far from the middle."""

from math import sqrt

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.latent import LatentModule
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.priors import NormalPrior
from lightning_gans.networks.styles import StyledGenerator
from lightning_gans.sampling.base import Draw, Drawn, Refiner

__all__ = ["Truncation", "truncate"]


class Truncation(Refiner):
    """Draws entries of latents beyond a threshold anew: fewer odd samples, less variety.

    The entries follow a normal distribution that is cut off. It asks no discriminator, and goes
    with averaged generators and with models with classes.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        section 3.1, https://arxiv.org/abs/1809.11096, which was not compared with the paper.

    Args:
        threshold: largest absolute value of an entry, above 0.

    Raises:
        ValueError: if it is out of range.
    """

    reads_discriminator = False

    def __init__(self, threshold: float = 1.0) -> None:
        if not 0 < threshold < float("inf"):
            raise ValueError(f"threshold must be finite and above 0, got {threshold}. Use 1.")
        self.threshold = threshold

    @override
    def check(self, model: LatentModule) -> None:
        check_normal(model, "truncation cuts it off")

    @override
    def prepare(self, model: LatentModule, real: Tensor | None) -> Draw:
        def draw(n: int) -> Drawn:
            latent = model.sample_latent(n)
            beyond = latent.abs() > self.threshold
            # By its inverse distribution function: to try until one fits could take forever.
            unit = 2 * torch.rand(latent.shape, dtype=torch.float64, device=latent.device) - 1
            limit = torch.tensor(self.threshold / sqrt(2), dtype=torch.float64).erf()
            inside = sqrt(2) * torch.erfinv(unit * limit.to(unit))
            inside = inside.clamp(-self.threshold, self.threshold)  # rounding leads beyond
            chosen = torch.where(beyond, inside.to(latent), latent)
            return Drawn(chosen, int((~beyond).sum()), latent.numel())

        return draw


def truncate(model: AdversarialModule, psi: float) -> None:
    """Moves the styles of all samples of a model towards the average: see `StyledGenerator`.

    Args:
        model: that is to be sampled from, or evaluated.
        psi: what is left of the way from the average to a style, above 0; 1 changes nothing.

    Raises:
        ValueError: if it is out of range, or the generator has no styles.
    """
    generator = getattr(model, "generator", None)
    if not isinstance(generator, StyledGenerator):
        raise ValueError(
            f"truncation: this {type(model).__name__} has no generator with styles. Use --refine "
            "truncate, which truncates the prior."
        )
    generator.truncate(psi)


def check_normal(model: LatentModule, reason: str) -> None:
    """Refuses a model whose latents are not drawn from a normal distribution.

    Args:
        model: that is to be sampled from.
        reason: why they have to be.

    Raises:
        ValueError: if they are not.
    """
    if type(model.prior) is not NormalPrior:
        raise ValueError(
            f"prior: it must be a NormalPrior, since {reason}, got {model.prior}. Use a model "
            "with such a prior."
        )
