"""The relativistic average GANs."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, RelativisticAverage

__all__ = ["RaGAN", "RaLSGAN"]


class RaGAN(GAN):
    """The relativistic average GAN: each logit is compared with the mean of the other side.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.2, https://arxiv.org/abs/1807.00734. See
        `RelativisticAverage` for the factor 1/2 and the real samples of the generator's update.

    Args:
        loss: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, loss: LossSource = RelativisticAverage, **kwargs: Any) -> None:
        super().__init__(loss=loss, **kwargs)


class RaLSGAN(RaGAN):
    """`RaGAN` with squared distances, which its paper found to be the most stable.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.2, https://arxiv.org/abs/1807.00734

    Args:
        loss: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = lambda: RelativisticAverage(kind="least_squares"),
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, **kwargs)
