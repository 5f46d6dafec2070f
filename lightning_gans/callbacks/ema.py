"""An exponential moving average of the generator."""

import copy
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from typing_extensions import override

from lightning_gans.core.checkpointing import AVERAGE_KEY
from lightning_gans.core.gan import GAN
from lightning_gans.networks.inspect import share_buffers

__all__ = ["GeneratorEMA"]


class GeneratorEMA(Callback):
    """Keeps an average of the generator and lets it be the one that is evaluated and drawn.

    After generator update n the average moves towards the generator by 1 - d, where d is the
    smaller of ``decay`` and (1 + n) / (10 + n): early on, the average forgets the initial weights
    faster. The statistics of normalization layers are averaged like weights, each in its own
    precision; frozen weights and any other buffer, such as a mask or a vector of spectral norm,
    are copied. The generator itself is never replaced.

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
        if stage == "fit":
            vars(self).pop("generator", None)  # of an earlier training

    @override
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._follow(pl_module)
        if AVERAGE_KEY not in checkpoint["callbacks"]:
            rank_zero_warn(
                "The checkpoint holds no average: it starts at the generator's weights."
            )

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
        """Moves the average to where the trainer put the model, the same in all processes.

        It is made when it is first needed: before, lazy layers may have no weights yet.
        """
        assert isinstance(gan, GAN)
        if not hasattr(self, "generator"):
            self.generator = copy.deepcopy(gan.generator).requires_grad_(False).eval()
        for own, value in zip(_tensors(self.generator), _tensors(gan.generator), strict=True):
            own.data = own.data.to(value)
        share_buffers(self.generator)
        gan.evaluate_with(generator=self.generator)

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
        averaged = _averaged(pl_module.generator)
        groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for own, value in zip(
            _tensors(self.generator), _tensors(pl_module.generator), strict=True
        ):
            if id(value) in averaged:
                averages, values = groups.setdefault((own.dtype, own.device), ([], []))
                averages.append(own)
                values.append(value)
            else:
                own.copy_(value)
        for averages, values in groups.values():
            torch._foreach_lerp_(averages, values, 1 - decay)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.generator.load_state_dict(state_dict["generator"])


def _tensors(network: nn.Module) -> list[Tensor]:
    """Returns the parameters and buffers of a network, each once."""
    return [*network.parameters(), *network.buffers()]


def _averaged(network: nn.Module) -> set[int]:
    """Returns the identities of the tensors that are averaged: trained weights and statistics."""
    weights = (weight for weight in network.parameters() if weight.requires_grad)
    norms = (part for part in network.modules() if isinstance(part, _NormBase))
    statistics = (s for norm in norms for s in (norm.running_mean, norm.running_var))
    tensors = (*weights, *statistics)
    return {id(t) for t in tensors if t is not None and t.is_floating_point()}
