"""The least-squares GAN."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LeastSquares, LossSource

__all__ = ["LSGAN"]


class LSGAN(GAN):
    """The least-squares GAN: every output is pulled towards a target.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2017), equation 2,
        https://arxiv.org/abs/1611.04076

    Args:
        loss: see `GAN`; the targets are arguments of `LeastSquares`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, loss: LossSource = LeastSquares, **kwargs: Any) -> None:
        super().__init__(loss=loss, **kwargs)
