"""How weights are distributed and how large their gradients are, per layer and over time."""

from math import nan
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_gans.callbacks.layers import counts, distribution, layers_over_time
from lightning_gans.callbacks.pictures import publish
from lightning_gans.core.module import AdversarialModule

__all__ = ["WeightHistograms"]

MOST = 400
"""Looks that are kept; of more, every other one is dropped, so that checkpoints stay small."""


class WeightHistograms(Callback):
    """Follows the weights of every layer and their gradients.

    Weights are matrices and kernels; biases and scales are left out. At its cadence it logs
    ``grad_norm/<weight>``, the norm of the gradient in the last update, before clipping, and
    ``at_largest/<weight>``, the share of entries within 1 % of the largest absolute value: in a
    `WGAN` that is the share at the bounds. TensorBoard and W&B also get histograms,
    ``weights/<weight>``. At the end ``figures/weights_<network>.png`` shows it all over time, also
    what an earlier part of a resumed run has seen.

    Args:
        every_n_updates: generator updates between two looks, at least 1.

    Raises:
        ValueError: if ``every_n_updates`` is below 1.
    """

    def __init__(self, every_n_updates: int = 500) -> None:
        if every_n_updates < 1:
            raise ValueError(f"every_n_updates must be at least 1, got {every_n_updates}.")
        self.every_n_updates = every_n_updates
        self._updates: list[int] = []
        self._seen: dict[str, Tensor] = {}
        self._weights: dict[str, nn.Parameter] = {}
        self._norms: dict[str, Tensor] = {}

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # on every process
        trained = {id(p) for player in pl_module.players for p in player.trained()}
        self._weights = {
            name: parameter
            for name, parameter in pl_module.named_parameters()
            if parameter.ndim > 1 and id(parameter) in trained
        }
        self._norms = {}
        if trainer.global_step == 0 or self._seen.keys() != self._weights.keys():
            self._updates, self._seen = [], {}

    @override
    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if (trainer.global_step + 1) % self.every_n_updates == 0:
            own = {id(p) for group in optimizer.param_groups for p in group["params"]}
            for name, weight in self._weights.items():
                if id(weight) in own and weight.grad is not None:
                    self._norms[name] = torch.linalg.vector_norm(weight.grad)

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        update = trainer.global_step
        if update % self.every_n_updates == 0 and update not in self._updates:
            self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, model: LightningModule) -> None:
        assert isinstance(model, AdversarialModule)
        update = trainer.global_step
        with model.stopwatch.paused():
            if len(self._updates) >= MOST:
                del self._updates[1::2]
                self._seen = {name: rows[::2] for name, rows in self._seen.items()}
            self._updates.append(update)
            row = {}
            for name, new in self._measured().items():
                self._seen[name] = torch.cat([self._seen.get(name, new[:0]), new])
                _, row[f"at_largest/{name}"], norm = new[0, :3].tolist()
                if name in self._norms:
                    row[f"grad_norm/{name}"] = norm
            self._norms = {}
            for logger in trainer.loggers:
                logger.log_metrics(row, step=update)
                self._log_histograms(logger, update)

    def _measured(self) -> dict[str, Tensor]:
        """Returns a row for each weight, see `distribution`."""
        return {
            name: distribution(weight.detach(), float(self._norms.get(name, nan)))
            for name, weight in self._weights.items()
        }

    def _log_histograms(self, logger: Any, update: int) -> None:
        if isinstance(logger, TensorBoardLogger):
            for name, weight in self._weights.items():
                logger.experiment.add_histogram(f"weights/{name}", weight.detach(), update)
        elif isinstance(logger, WandbLogger):
            import wandb  # most runs go without, and it takes a second

            row: dict[str, Any] = {
                f"weights/{name}": wandb.Histogram(np_histogram=counts(weight, self._seen[name]))
                for name, weight in self._weights.items()
            }
            logger.experiment.log({**row, "trainer/global_step": update})

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        quick = trainer.fast_dev_run  # type: ignore[attr-defined]
        if quick or not trainer.is_global_zero:
            return
        updates, seen = self._updates, self._seen
        if updates[-1:] != [trainer.global_step]:
            # Shown, but not kept: the same run, trained longer at once, has no look here.
            updates = [*updates, trainer.global_step]
            now = self._measured()
            seen = {name: torch.cat([seen.get(name, new[:0]), new]) for name, new in now.items()}
        for network in dict.fromkeys(name.partition(".")[0] for name in seen):
            own = {n: rows for n, rows in seen.items() if n.startswith(f"{network}.")}
            picture = layers_over_time(updates, own)
            path = self._folder / "figures" / f"weights_{network}.png"
            publish(trainer, path.stem, picture, path)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"updates": self._updates, "seen": self._seen}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._updates, self._seen = list(state_dict["updates"]), dict(state_dict["seen"])
