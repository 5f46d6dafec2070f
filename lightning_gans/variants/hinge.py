"""The GAN with the hinge loss."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.losses import Hinge, LossSource

__all__ = ["HingeGAN"]


class HingeGAN(GAN):
    """The hinge GAN: outputs beyond the margin cost the discriminator nothing.

    The generator's loss has no lower bound, so keep the discriminator Lipschitz: give it spectral
    norm, or a penalty such as ``regularizers=[R1(0.1)]``.

    References:
        Geometric GAN (Lim and Ye, 2017), https://arxiv.org/abs/1705.02894; with the spectral norm
        of Miyato et al. (2018), equations 16 and 17, https://arxiv.org/abs/1802.05957, it became
        the usual loss. The latter has Adam with a rate of 2e-4 and betas of 0 and 0.9, and five
        discriminator updates; the defaults here are those of `GAN`.

    Args:
        loss: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, loss: LossSource = Hinge, **kwargs: Any) -> None:
        super().__init__(loss=loss, **kwargs)
