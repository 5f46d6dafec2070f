"""The GAN of the original paper with its saturating loss."""

from torch import Tensor
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Samples
from lightning_gans.losses import minimax_generator_loss

__all__ = ["MinimaxGAN"]


class MinimaxGAN(GAN):
    """The minimax game itself: the generator minimises log(1 - D(G(z))).

    Kept for study: its gradient vanishes when the discriminator wins. See `GAN` for the arguments.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and algorithm 1,
        https://arxiv.org/abs/1406.2661
    """

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        fake = self.discriminate(samples.fake, samples.labels)
        return {"adversarial_g": minimax_generator_loss(fake)}
