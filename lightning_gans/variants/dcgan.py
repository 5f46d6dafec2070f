"""GANs with DCGAN's convolutional networks."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.networks import (
    DCGANCritic,
    DCGANDiscriminator,
    DCGANGenerator,
    DiscriminatorSource,
    GeneratorSource,
)
from lightning_gans.variants.wgan import WGAN
from lightning_gans.variants.wgan_gp import WGANGP

__all__ = ["DCGAN", "WDCGAN", "WDCGANGP"]


class DCGAN(GAN):
    """`GAN` with DCGAN's networks, for images.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
        Networks (Radford et al., 2016), sections 3 and 4, https://arxiv.org/abs/1511.06434. The
        paper draws latents from a uniform distribution; the default here is a normal one.

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = DCGANGenerator,
        discriminator: DiscriminatorSource = DCGANDiscriminator,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, discriminator=discriminator, **kwargs)


class WDCGAN(WGAN):
    """`WGAN` with DCGAN's networks; the clipping reaches the critic's BatchNorm layers too.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), section 4.1, https://arxiv.org/abs/1701.07875

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`.
        **kwargs: as for `WGAN`.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = DCGANGenerator,
        discriminator: DiscriminatorSource = DCGANDiscriminator,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, discriminator=discriminator, **kwargs)


class WDCGANGP(WGANGP):
    """`WGANGP` with DCGAN's networks, the critic without BatchNorm, as the penalty demands.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), section 4 on the critic's
        normalization, https://arxiv.org/abs/1704.00028

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`.
        **kwargs: as for `WGANGP`.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = DCGANGenerator,
        discriminator: DiscriminatorSource = DCGANCritic,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, discriminator=discriminator, **kwargs)
