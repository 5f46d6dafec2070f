"""The discriminator of a trained model as a judge of its samples."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lightning_gans.core.gan import GAN
from lightning_gans.core.latent import LatentModule

__all__ = ["Judge", "check_judge", "logistic_fit"]

BATCH = 250
"""Samples that are judged at a time."""
TOLERANCE = 1e-3
"""Difference of two log ratios that rounding explains."""
ROUNDS = 100
"""Of Newton's method, which needs about ten."""


def check_judge(model: LatentModule) -> None:
    """Refuses a model whose discriminator does not tell a density ratio of single samples.

    Args:
        model: that is to be sampled from.

    Raises:
        ValueError: if its discriminator does not.
    """
    if not isinstance(model, GAN):
        raise ValueError(
            f"model: a {type(model).__name__} is no GAN of one generator and one discriminator. "
            "Use a model that is."
        )
    if "discriminator" in model.missing:
        raise ValueError(
            "model: the file that it was loaded from has no discriminator. Use a checkpoint in "
            "place of an export."
        )
    if model.num_classes is not None:
        raise ValueError(
            f"model: a {type(model).__name__} has classes, and the ratio of each would be needed. "
            "Use a model without classes."
        )
    if model.pack_size > 1:
        raise ValueError(
            f"model: its discriminator judges packs of {model.pack_size} samples. Use a model "
            "with pack_size 1."
        )
    model.loss.log_ratio(torch.zeros(1))  # which raises if there is none


class Judge:
    """Tells the log density ratio of real to generated samples; its networks do not change.

    Args:
        model: that passes `check_judge`.

    Raises:
        ValueError: if its discriminator judges samples together, or patches of them.
    """

    def __init__(self, model: LatentModule) -> None:
        assert isinstance(model, GAN)
        self.model = model
        latent = model.sample_latent(4)
        together, alone = self.of_latents(latent), self.of_latents(latent[:2])
        if not torch.allclose(together[:2], alone, rtol=TOLERANCE, atol=TOLERANCE):
            raise ValueError(
                "model: its networks make samples, or judge them, depending on the rest of the "
                "batch or on chance. Use a model that treats samples alone."
            )

    def of_latents(self, latent: Tensor) -> Tensor:
        """Returns the log ratios at the samples of some latents, float64, shape (N,).

        Args:
            latent: shape (N, Z).
        """
        return self._judged(latent, lambda part: self._log_ratio(self.model.generate(part)))

    def of_samples(self, samples: Tensor) -> Tensor:
        """Returns the log ratios at samples, float64, shape (N,).

        Args:
            samples: shape (N, ...).
        """
        return self._judged(samples, self._log_ratio)

    def slopes(self, latent: Tensor) -> Tensor:
        """Returns the gradient of the log ratio by each latent, shape (N, Z).

        Args:
            latent: shape (N, Z).
        """
        return self._judged(latent, self._slope)

    @torch.no_grad()
    def _judged(self, x: Tensor, judge: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([judge(part) for part in torch.split(x, BATCH)])

    def _log_ratio(self, samples: Tensor) -> Tensor:
        outputs = self.model.discriminate(samples)
        if outputs.ndim > 1:
            raise ValueError(
                f"model: its discriminator judges patches of a sample, {tuple(outputs.shape[2:])} "
                "of them. Use a discriminator with one logit for each sample."
            )
        return self.model.loss.log_ratio(outputs.double())

    def _slope(self, latent: Tensor) -> Tensor:
        with torch.enable_grad():
            latent = latent.detach().requires_grad_()
            total = self._log_ratio(self.model.generate(latent)).sum()
            return torch.autograd.grad(total, latent)[0]


def logistic_fit(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Returns a and b such that a d + b tells real from fake samples best, as a log ratio.

    It maximises the likelihood of a logistic regression in which both sides weigh the same. The
    targets are those of Platt, a little off 0 and 1, so that a and b are finite if d separates
    both.

    References:
        Probabilistic Outputs for Support Vector Machines (Platt, 1999), section 2.2, on the
        targets, which was not compared with the paper.

    Args:
        real: d at real samples, float64, shape (N,).
        fake: d at generated samples, float64, shape (M,).
    """
    d = torch.cat([real, fake])
    sides = torch.cat([torch.ones_like(real), torch.zeros_like(fake)]).bool()
    target = torch.where(sides, (len(real) + 1) / (len(real) + 2), 1 / (len(fake) + 2))
    weight = torch.where(sides, 1 / len(real), 1 / len(fake)).to(d)
    design = torch.stack([d, torch.ones_like(d)], 1)
    found = torch.tensor([1.0, 0.0], dtype=d.dtype, device=d.device)

    def loss(at: Tensor) -> Tensor:
        logits = design @ at
        return (weight * (softplus(logits) - target * logits)).sum()

    for _ in range(ROUNDS):
        share = (design @ found).sigmoid()
        gradient = design.T @ (weight * (share - target))
        curvature = (design.T * (weight * share * (1 - share))) @ design
        curvature += 1e-12 * torch.eye(2, dtype=d.dtype, device=d.device)
        step = torch.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and step.abs().max() > 1e-12:
            step = step / 2
        found = found - step
        if step.abs().max() < 1e-9:
            break
    return float(found[0]), float(found[1])
