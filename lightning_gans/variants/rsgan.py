"""The relativistic GAN."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, RelativisticPaired

__all__ = ["RSGAN"]


class RSGAN(GAN):
    """The relativistic GAN: the discriminator tells which of two samples is the real one.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.1, https://arxiv.org/abs/1807.00734. The generator
        is compared with the real samples of the discriminator's last update, in place of new ones.

    Args:
        loss: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, loss: LossSource = RelativisticPaired, **kwargs: Any) -> None:
        super().__init__(loss=loss, **kwargs)
