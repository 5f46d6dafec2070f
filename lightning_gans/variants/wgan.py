"""The Wasserstein GAN with weight clipping."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch.optim import Optimizer, RMSprop
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.losses import LossSource, Wasserstein

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
        clip_value: c, the parameters stay in [-c, c], biases and norms included; above 0.
        loss: see `GAN`.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if ``clip_value`` is not above 0, or not finite.
    """

    def __init__(
        self,
        *,
        clip_value: float = 0.01,
        loss: LossSource = Wasserstein,
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = lambda params: RMSprop(params, lr=5e-5),
        optimizer_d: OptimizerCallable = lambda params: RMSprop(params, lr=5e-5),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            loss=loss,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
        if not 0 < clip_value < float("inf"):
            raise ValueError(f"clip_value must be finite and above 0, got {clip_value}. Use 0.01.")
        self.clip_value = clip_value

    @override
    def configure_optimizers(self) -> tuple[list[Optimizer], list[Any]]:
        optimizers, schedulers = super().configure_optimizers()
        names = [player.name for player in self.players]
        optimizers[names.index("discriminator")].register_step_post_hook(self._clip)
        return optimizers, schedulers

    @override
    def health(self) -> dict[str, float]:
        """Returns the share of the critic's parameters that lie on their bounds, ``clipped``."""
        weights = torch.cat([p.detach().flatten() for p in self.discriminator.parameters()])
        return {"clipped": float((weights.abs() >= self.clip_value).float().mean())}

    @torch.no_grad()
    def _clip(self, *_: Any) -> None:
        for parameter in self.discriminator.parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)
