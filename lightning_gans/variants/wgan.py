"""The Wasserstein GAN with weight clipping."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer, RMSprop
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Samples
from lightning_gans.losses import wasserstein_discriminator_loss, wasserstein_generator_loss

__all__ = ["WGAN"]


class WGAN(GAN):
    """The Wasserstein GAN: a critic, kept Lipschitz by clipping every one of its parameters.

    ``train/wasserstein`` is the critic's estimate of the Wasserstein-1 distance, up to the
    Lipschitz constant that the clipping allows.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), algorithm 1, https://arxiv.org/abs/1701.07875.
        Its authors' code clips before each critic step and gives the critic 100 updates in the
        first 25 rounds and every 500; here as in the paper, after each step and always
        ``n_critic``.

    Args:
        clip_value: c, the parameters stay in [-c, c], biases and norms included; above 0. With
            None nothing is clipped, for a critic that a penalty keeps Lipschitz.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if ``clip_value`` is not above 0.
    """

    def __init__(
        self,
        *,
        clip_value: float | None = 0.01,
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = lambda params: RMSprop(params, lr=5e-5),
        optimizer_d: OptimizerCallable = lambda params: RMSprop(params, lr=5e-5),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            n_critic=n_critic, optimizer_g=optimizer_g, optimizer_d=optimizer_d, **kwargs
        )
        if clip_value is not None and not clip_value > 0:
            raise ValueError(f"clip_value must be above 0, got {clip_value}.")
        self.clip_value = clip_value

    @override
    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        real, fake = self.logits(samples)
        return {"adversarial_d": wasserstein_discriminator_loss(real, fake)}

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        fake = self.discriminate(samples.fake, samples.labels)
        return {"adversarial_g": wasserstein_generator_loss(fake)}

    @override
    def summarize(self, row: dict[str, float]) -> dict[str, float]:
        return {**row, "wasserstein": row["d_real"] - row["d_fake"]}

    @override
    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        optimizers, schedulers = super().configure_optimizers()
        if self.clip_value is not None:
            optimizers[0].register_step_post_hook(self._clip)
        return optimizers, schedulers

    @torch.no_grad()
    def _clip(self, *_: Any) -> None:
        assert self.clip_value is not None
        for parameter in self.discriminator.parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)
