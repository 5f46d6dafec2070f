"""Warnings of what usually goes wrong with a GAN."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.module import AdversarialModule
from lightning_gans.losses import AdversarialLoss
from lightning_gans.metrics import largest_slope
from lightning_gans.networks import evaluation_mode
from lightning_gans.regularizers import View

__all__ = ["Alarms"]


class Alarms(Callback):
    """Warns when a training looks unhealthy, on the screen and as an alert in W&B.

    A warning is given once, and again only after the value has been within its limit. Losses and
    gradient norms are looked at in every logged row. In every validation the others are computed
    on its first batch and logged: ``alarms/clipped``, ``alarms/lipschitz``, ``alarms/diversity``.

    Args:
        loss_ratio: largest absolute value of one player's adversarial loss in units of the
            other's. Not checked for losses that cross zero in healthy training: `Wasserstein`.
        grad_norm: largest norm of a player's gradient.
        clipped: largest share of the critic's parameters that lie on the bounds of a `WGAN`.
        lipschitz: largest norm of the gradient of the discriminator's output by its input, at
            points on the lines between real and generated samples.
        diversity: least mean distance between generated samples in units of that between real
            ones; near 0 all generated samples are alike.

    Raises:
        ValueError: if a limit is not above 0.
    """

    def __init__(
        self,
        loss_ratio: float = 1e3,
        grad_norm: float = 1e3,
        clipped: float = 0.9,
        lipschitz: float = 100.0,
        diversity: float = 0.1,
    ) -> None:
        limits = {
            "loss_ratio": loss_ratio,
            "grad_norm": grad_norm,
            "clipped": clipped,
            "lipschitz": lipschitz,
            "diversity": diversity,
        }
        for name, limit in limits.items():
            if not limit > 0:
                raise ValueError(f"{name} must be above 0, got {limit}.")
        self.limits = limits
        self._ringing: set[str] = set()
        self._update = 0
        self._outputs: Mapping[str, Any] | None = None

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every < 1 or trainer.global_step % every != 0:
            return
        self._update = trainer.global_step
        row = pl_module.last_logged
        # The adversarial terms alone: a reconstruction is summed over an image.
        losses = [_adversarial(row, key) for key in ("d", "g")]
        parts = [part for part in pl_module.modules() if isinstance(part, AdversarialLoss)]
        if min(losses) > 0 and not any(part.crosses_zero for part in parts):
            self._check(trainer, "loss_ratio", max(losses) / min(losses))
        norms = [value for name, value in row.items() if name.startswith("train/grad_norm_")]
        self._check(trainer, "grad_norm", max(norms, default=0.0))

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            self._outputs = outputs

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        outputs, self._outputs = self._outputs, None
        if outputs is None or trainer.sanity_checking:
            return
        parts = [vars(outputs[name]) if name else outputs for name in pl_module.comparisons]
        spreads = [_spread(part["fake"]) / max(_spread(part["real"]), 1e-12) for part in parts]
        slopes = [_steepest(view, pl_module) for view in pl_module.evaluation_views(outputs)]
        found = {"diversity": min(spreads), **pl_module.health()}
        if slopes:
            found = {"lipschitz": max(slopes), **found}
        fits = trainer.state.fn == TrainerFn.FITTING
        self._update = trainer.global_step if fits else pl_module.updates_made
        for logger in trainer.loggers:
            row = {f"alarms/{name}": value for name, value in found.items()}
            logger.log_metrics(row, step=self._update)
        for name, value in found.items():
            if name in self.limits:
                self._check(trainer, name, value)

    def _check(self, trainer: Trainer, name: str, value: float) -> None:
        limit = self.limits[name]
        if (value >= limit) if name == "diversity" else (value <= limit):
            self._ringing.discard(name)
            return
        if name in self._ringing:
            return
        self._ringing.add(name)
        side = "below" if name == "diversity" else "above"
        text = f"{name} is {value:.4g} at update {self._update:,}, {side} {limit:g}."
        rank_zero_warn(text)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.alert(title=f"{name} out of bounds", text=text)


def _adversarial(row: Mapping[str, float], key: str) -> float:
    """Returns the absolute adversarial loss of a player, or its whole loss if there is none."""
    terms = [v for k, v in row.items() if k.startswith(f"train/adversarial_{key}")]
    return abs(sum(terms)) if terms else abs(row.get(f"train/loss_{key}", 0.0))


def _steepest(view: View, model: AdversarialModule) -> float:
    """Returns the largest slope of a discriminator at points between samples."""
    size = len(view.real)
    shares = torch.linspace(0, 1, size, device=view.real.device, dtype=view.real.dtype)
    shares = shares.reshape(-1, *[1] * (view.real.ndim - 1))
    with evaluation_mode(model):
        points = shares * view.real + (1 - shares) * view.fake.to(view.real)
        return float(largest_slope(view.discriminate, points))


def _spread(samples: Tensor) -> float:
    """Returns the mean distance between neighbours in a ring of samples."""
    flat = samples.flatten(1).float()
    return float(torch.linalg.vector_norm(flat - flat.roll(1, 0), dim=1).mean())
