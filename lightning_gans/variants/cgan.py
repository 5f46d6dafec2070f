"""The conditional GAN."""

from typing import Any

from lightning_gans.core.gan import GAN

__all__ = ["CGAN"]


class CGAN(GAN):
    """The conditional GAN: both networks read the labels.

    Any other variant is conditional too as soon as it is given ``num_classes``.

    References:
        Conditional Generative Adversarial Nets (Mirza and Osindero, 2014), equation 2,
        https://arxiv.org/abs/1411.1784. The generator's loss is the non-saturating one; the
        networks are those that are given, in place of the paper's maxout layers.

    Args:
        num_classes: K, at least 1, see `GAN`.
        **kwargs: as for `GAN`.
    """

    def __init__(self, *, num_classes: int = 10, **kwargs: Any) -> None:
        super().__init__(num_classes=num_classes, **kwargs)
