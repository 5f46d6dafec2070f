"""The Wasserstein GAN with gradient penalty."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.building import build_part
from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, Wasserstein
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import GradientPenalty, Regularizer, RegularizerSource

__all__ = ["WGANGP"]


class WGANGP(GAN):
    """The Wasserstein GAN with a gradient penalty, which keeps the critic Lipschitz.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), algorithm 1 and its
        defaults, https://arxiv.org/abs/1704.00028. The generator's update sees as many samples as
        a critic update, as in the paper; its authors' CIFAR-10 code doubles them.

    Args:
        loss: see `GAN`.
        penalty: keeps the critic Lipschitz: a regularizer, or what makes one. The paper's weight
            is 10; its authors' 2-D toys have 0.1.
        regularizers: further ones, see `GAN`.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = Wasserstein,
        penalty: RegularizerSource = GradientPenalty,
        regularizers: Sequence[Regularizer] = (),
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            loss=loss,
            regularizers=[build_part("penalty", penalty, Regularizer), *regularizers],
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
