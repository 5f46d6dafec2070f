"""The discriminator of a trained model as a judge of its samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_gans.augment import Augmentation, InstanceNoise
from lightning_gans.core.gan import GAN
from lightning_gans.core.latent import LatentModule
from lightning_gans.networks.inspect import compares_samples
from lightning_gans.sampling.calibration import Calibration, calibrate

__all__ = ["Judge", "check_judge"]

BATCH = 250
"""Samples that are judged at a time."""
TOLERANCE = 1e-3
"""Difference of two log ratios that rounding explains."""


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
    if compares_samples(model.discriminator):
        raise ValueError(
            "model: its discriminator compares the samples of a batch, so it has no ratio of one. "
            "Use a model without such a layer."
        )
    if not model.judges_alone:
        raise ValueError(
            f"model: the discriminator of a {type(model).__name__} judges no samples by "
            "themselves. Use a model whose discriminator reads samples alone."
        )
    if not model.learns_ratio:
        raise ValueError(
            f"model: the discriminator of a {type(model).__name__} has learnt against other "
            "samples beside those of the prior. Use a model whose discriminator has not."
        )
    augment = model.augment
    is_noisy = isinstance(augment, InstanceNoise) and augment.sd > 0
    if is_noisy or (isinstance(augment, Augmentation) and augment.replaces_real):
        raise ValueError(
            f"model: its discriminator has learnt with {type(augment).__name__}, which changes "
            "the distributions that it tells the ratio of. Use a model without this augmentation."
        )
    model.loss.log_ratio(torch.zeros(1))  # which raises if there is none


class Judge:
    """Tells the log density ratio of real to generated samples; its networks do not change.

    Args:
        model: that passes `check_judge`.
        calibration: of the ratios that the discriminator tells, by as many generated samples as
            there are real ones; none if it is None.
        real: real samples, if they are to be calibrated.

    Raises:
        ValueError: if its discriminator judges samples together, or patches of them.
    """

    def __init__(
        self,
        model: LatentModule,
        calibration: Calibration | None = None,
        real: Tensor | None = None,
    ) -> None:
        assert isinstance(model, GAN)
        self.model = model
        self._calibrated: Callable[[Tensor], Tensor] = lambda d: d
        latent = model.sample_latent(4)
        together, alone = self.of_latents(latent), self.of_latents(latent[:2])
        if not torch.allclose(together[:2], alone, rtol=TOLERANCE, atol=TOLERANCE):
            raise ValueError(
                "model: its networks make samples, or judge them, depending on the rest of the "
                "batch or on chance. Use a model that treats samples alone."
            )
        if calibration is not None:
            assert real is not None
            fake = self.of_latents(model.sample_latent(len(real)))
            self._calibrated = calibrate(calibration, self.of_samples(real), fake)

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
        return self._calibrated(self.model.loss.log_ratio(outputs.double()))

    def _slope(self, latent: Tensor) -> Tensor:
        with torch.enable_grad():
            latent = latent.detach().requires_grad_()
            total = self._log_ratio(self.model.generate(latent)).sum()
            return torch.autograd.grad(total, latent)[0]
