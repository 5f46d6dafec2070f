"""The Cramer GAN."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.losses import Cramer, LossSource
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.wgan_gp import WGANGP

__all__ = ["CramerGAN"]


class CramerGAN(WGANGP):
    """The Cramer GAN: an energy distance of features, and a gradient penalty on its critic.

    ``train/energy_distance`` is the distance, without bias.

    References:
        The Cramer Distance as a Solution to Biased Wasserstein Gradients (Bellemare et al., 2017),
        algorithm 1, https://arxiv.org/abs/1705.10743. The settings were not compared with the
        paper. See `Cramer` for the second batch of samples; the penalty's critic compares with all
        generated samples of the update.

    Args:
        loss: see `GAN`; the number of features is the ``num_outputs`` of `Cramer`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `WGANGP`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = Cramer,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, optimizer_g=optimizer_g, optimizer_d=optimizer_d, **kwargs)
