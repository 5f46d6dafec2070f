"""An exponential moving average of the generator."""

import copy
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.checkpoints import AVERAGE_KEY
from lightning_gans.gan import GAN
from lightning_gans.networks.evaluation import share_buffers

__all__ = ["GeneratorEMA"]


class GeneratorEMA(Callback):
    """Keeps an average of the generator and lets it be the one that is evaluated and drawn.

    After generator update n the average moves towards the generator by 1 - d, where d is the
    smaller of ``decay`` and (1 + n) / (10 + n): early on, the average forgets the initial weights
    faster. Floating-point buffers, such as BatchNorm's statistics, are averaged like weights;
    others are copied. The generator itself is never replaced.

    References:
        The Unusual Effectiveness of Averaging in GAN Training (Yazici et al., 2019), equation 4,
        https://arxiv.org/abs/1806.04498; the ramp is not in the paper.

    Args:
        decay: share of the average that each update keeps, in [0, 1).

    Attributes:
        generator: the averaged generator, in evaluation mode.

    Raises:
        ValueError: if ``decay`` is out of range.
    """

    generator: nn.Module

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}.")
        self.decay = decay
        self._updates = 0

    @property
    @override
    def state_key(self) -> str:
        return AVERAGE_KEY

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, GAN)
        if stage == "fit" or not hasattr(self, "generator"):
            self.generator = copy.deepcopy(pl_module.generator).requires_grad_(False).eval()
        pl_module.evaluate_with(self.generator)

    @override
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, GAN)
        if AVERAGE_KEY not in checkpoint["callbacks"]:
            rank_zero_warn(
                "The checkpoint holds no average: it starts at the generator's weights."
            )
            self.generator.load_state_dict(pl_module.generator.state_dict())

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)
        self._updates = trainer.global_step

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)

    def _follow(self, gan: LightningModule) -> None:
        """Moves the average to where the trainer put the model, the same in all processes."""
        assert isinstance(gan, GAN)
        self.generator.to(next(gan.generator.parameters()))
        share_buffers(self.generator)
        gan.evaluate_with(self.generator)

    @override
    @torch.no_grad()
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, GAN)
        if trainer.global_step == self._updates:
            return
        self._updates = trainer.global_step
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        averages, values = _averaged(self.generator), _averaged(pl_module.generator)
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in zip(
            self.generator.buffers(), pl_module.generator.buffers(), strict=True
        ):
            if not average.is_floating_point():
                average.copy_(value)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.generator.load_state_dict(state_dict["generator"])


def _averaged(network: nn.Module) -> list[Tensor]:
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    return [*network.parameters(), *buffers]
