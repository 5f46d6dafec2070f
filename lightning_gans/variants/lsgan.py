"""The least-squares GAN."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Samples
from lightning_gans.losses import least_squares_discriminator_loss, least_squares_generator_loss

__all__ = ["LSGAN"]


class LSGAN(GAN):
    """The least-squares GAN: every output is pulled towards a target.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2017), equation 2, and equation
        9 for the default targets, https://arxiv.org/abs/1611.04076. The discriminator may end in a
        sigmoid or not; the paper's does not.

    Args:
        real_target: b, what the discriminator should say of real samples.
        fake_target: a, what it should say of generated ones.
        generator_target: c, what the generator wants it to say.
        label_noise: the discriminator's targets are raised by ``label_noise`` times U(0, 1), drawn
            for each sample; at least 0. Not in the paper.
        loss_weight: factor before both losses, above 0; the paper's is 1/2.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if the noise or the weight is out of range.
    """

    def __init__(
        self,
        *,
        real_target: float = 1.0,
        fake_target: float = 0.0,
        generator_target: float = 1.0,
        label_noise: float = 0.0,
        loss_weight: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not label_noise >= 0:
            raise ValueError(f"label_noise must be at least 0, got {label_noise}.")
        if not loss_weight > 0:
            raise ValueError(f"loss_weight must be above 0, got {loss_weight}.")
        self.real_target = real_target
        self.fake_target = fake_target
        self.generator_target = generator_target
        self.label_noise = label_noise
        self.loss_weight = loss_weight

    @override
    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        real, fake = self.logits(samples)
        loss = least_squares_discriminator_loss(
            real,
            fake,
            real_target=self._noisy(self.real_target, real),
            fake_target=self._noisy(self.fake_target, fake),
        )
        return {"adversarial_d": self.loss_weight * loss}

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        fake = self.discriminate(samples.fake, samples.labels)
        loss = least_squares_generator_loss(fake, target=self.generator_target)
        return {"adversarial_g": self.loss_weight * loss}

    def _noisy(self, target: float, like: Tensor) -> float | Tensor:
        if self.label_noise == 0:
            return target
        return target + self.label_noise * torch.rand_like(like)
