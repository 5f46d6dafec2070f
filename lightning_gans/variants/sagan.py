"""SAGAN: self-attention in both networks, spectral norm in both, and two learning rates."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.networks import (
    DiscriminatorSource,
    GeneratorSource,
    SAGANDiscriminator,
    SAGANGenerator,
)
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.sngan import SNGAN

__all__ = ["SAGAN"]


class SAGAN(SNGAN):
    """SAGAN, for images: self-attention, spectral norm in both networks, and two learning rates.

    The discriminator's rate is four times the generator's, so that one update of it is enough.

    References:
        | Self-Attention Generative Adversarial Networks (Zhang et al., 2018), section 4,
        | https://arxiv.org/abs/1805.08318. The paper generates by class: give ``num_classes``. Its
        | rates and beta2 were not checked in the paper; public code has the same rates and a beta2
        | of 0.999.
        | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel
        | et al., 2017), for the two rates, https://arxiv.org/abs/1706.08500

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `SNGAN`.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = SAGANGenerator,
        discriminator: DiscriminatorSource = SAGANDiscriminator,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=4e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
