"""The Wasserstein GAN with gradient penalty."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import GradientPenalty, Penalty
from lightning_gans.variants.wgan import WGAN

__all__ = ["WGANGP"]


class WGANGP(WGAN):
    """`WGAN` with a gradient penalty in the place of clipping.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), algorithm 1 and its
        defaults, https://arxiv.org/abs/1704.00028. The generator's update sees as many samples as
        a critic update, as in the paper; its authors' CIFAR-10 code doubles them.

    Args:
        penalty_weight: lambda: 10 in the paper, 0.1 in its authors' 2-D toys; at least 0.
        penalties: further ones.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        penalty_weight: float = 10.0,
        penalties: Sequence[Penalty] = (),
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            clip_value=None,
            penalties=[GradientPenalty(penalty_weight), *penalties],
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
