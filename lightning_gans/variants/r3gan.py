"""R3GAN: the relativistic GAN with penalties on real and on generated samples."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, RelativisticPaired
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import R1, R2, Regularizer

__all__ = ["R3GAN"]


class R3GAN(GAN):
    """R3GAN: the relativistic loss, with R1 and R2 of one weight, which make it converge locally.

    Its penalties need a discriminator without BatchNorm. The paper's networks for images are
    `R3GANGenerator` and `R3GANDiscriminator`.

    References:
        The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024), section 2
        and equation 2, https://arxiv.org/abs/2501.05441. The defaults are those that its authors'
        code begins with on CIFAR-10; there gamma, the learning rates, beta2, the half-life of the
        average and the augmentation then follow a cosine in the images that the discriminator was
        shown: see `Schedule` and the config ``r3gan_cifar10``. Their augmentation is
        `BlitGeometryColor` with half as much color and with cutout. Their code draws real samples
        for the generator's update; here it compares with those of the last discriminator update.

    Args:
        gamma: weight of R1 and of R2, each with its factor 1/2; 0 leaves them out. In the authors'
            code it is 0.05 for CIFAR-10, and up to 150 for faces of 256 pixels.
        loss: see `GAN`.
        regularizers: further ones, see `GAN`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if ``gamma`` is below 0.
    """

    def __init__(
        self,
        *,
        gamma: float = 0.05,
        loss: LossSource = RelativisticPaired,
        regularizers: Sequence[Regularizer] = (),
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma must be finite and at least 0, got {gamma}.")
        penalties = [R1(gamma), R2(gamma)] if gamma else []
        super().__init__(
            loss=loss,
            regularizers=[*penalties, *regularizers],
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
