"""The GAN of the original paper with its saturating loss."""

from typing import Any

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, Minimax

__all__ = ["MinimaxGAN"]


class MinimaxGAN(GAN):
    """The minimax game itself: the generator minimizes log(1 - D(G(z))).

    Kept for study: its gradient vanishes when the discriminator wins.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and algorithm 1,
        https://arxiv.org/abs/1406.2661

    Args:
        loss: see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, loss: LossSource = Minimax, **kwargs: Any) -> None:
        super().__init__(loss=loss, **kwargs)
