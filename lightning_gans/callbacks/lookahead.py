"""Lookahead: weights of all players that now and then go back part of the way."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.core.module import AdversarialModule

__all__ = ["Lookahead"]


class Lookahead(Callback):
    """Keeps slow weights of all players, which follow the fast ones that the optimizers move.

    Every few generator updates the slow weights go a share of the way to the fast ones, and the
    fast ones are set to them, those of all players at once. Optimizers keep their moments, and
    statistics of normalization layers stay as they are. Put it in front of `GeneratorEMA`, so that
    the average follows what it leaves.

    References:
        Taming GANs with Lookahead-Minmax (Chavdarova et al., 2021),
        https://arxiv.org/abs/2006.14567, whose algorithm was not checked line by line; the second,
        slower copy of its code is left out. There slow weights are stored under numbers that a
        resumed run does not have; here under the names of the weights, in every checkpoint.

    Args:
        every_n_updates: the paper's k: generator updates between two corrections, at least 1.
        share: the paper's alpha: how far the slow weights go, above 0 and at most 1.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, every_n_updates: int = 5, share: float = 0.5) -> None:
        if every_n_updates < 1:
            raise ValueError(
                f"Lookahead: every_n_updates must be at least 1, got {every_n_updates}. Use 5 as "
                "in the paper."
            )
        if not 0 < share <= 1:
            raise ValueError(
                f"Lookahead: share must be above 0 and at most 1, got {share}. Use 0.5 as in the "
                "paper."
            )
        self.every_n_updates = every_n_updates
        self.share = share
        self._slow: dict[str, Tensor] = {}
        self._fast: dict[str, nn.Parameter] = {}

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self._slow = {}  # without those of an earlier training

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        trained = {id(p) for player in pl_module.players for p in player.trained()}
        self._fast = {n: p for n, p in pl_module.named_parameters() if id(p) in trained}
        slow = self._slow or self._fast  # a fork may begin with the weights of a run without
        self._slow = {n: slow[n].detach().to(p, copy=True) for n, p in self._fast.items()}

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
        if trainer.global_step % self.every_n_updates == 0:
            slow, fast = [*self._slow.values()], [p.data for p in self._fast.values()]
            torch._foreach_lerp_(slow, fast, self.share)
            torch._foreach_copy_(fast, slow)

    @override
    def state_dict(self) -> dict[str, Any]:
        return dict(self._slow)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._slow = dict(state_dict)
