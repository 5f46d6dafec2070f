"""The Fisher GAN."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.gan import GAN
from lightning_gans.losses import Fisher, LossSource
from lightning_gans.optimizers import GANAdam

__all__ = ["FisherGAN"]


class FisherGAN(GAN):
    """The Fisher GAN: a critic whose second moment an augmented Lagrangian holds at 1.

    ``train/ipm`` is the difference of the critic's means, and ``train/constraint`` its second
    moment.

    References:
        Fisher GAN (Mroueh and Sercu, 2017), equation 9 and algorithm 1,
        https://arxiv.org/abs/1705.09675. Learning rate, beta1 and the five critic updates are
        those of its authors' code, which also decays the critic's weights.

    Args:
        loss: see `GAN`; rho is an argument of `Fisher`.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = Fisher,
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=5e-5, beta1=0.5, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=5e-5, beta1=0.5, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            loss=loss,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
