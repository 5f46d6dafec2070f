"""Counts what an update makes two processes wait for and send; saves what each of them found."""

from collections import Counter
from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import SMALL, small_ring
from torch import distributed
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_gans import WGANGP
from lightning_gans.callbacks import Checkpoint, Progress

COUNTED = 4
"""Updates, none of which writes a row of logs."""


class Counts(TorchDispatchMode):
    """Counts the operations outside of the backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if torch._C._current_graph_task_id() == -1:
            self.calls[str(func)] += 1
        return func(*args, **(kwargs or {}))


class Costs(pl.Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts = Counts()
        self.sent = 0
        self.sizes: list[int] = []

    def on_train_start(self, trainer, module) -> None:  # type: ignore[no-untyped-def]
        self.usual = distributed.all_reduce

        def noted(tensor, *arguments, **options):  # type: ignore[no-untyped-def]
            self.sent += tensor.nbytes
            return self.usual(tensor, *arguments, **options)

        distributed.all_reduce = noted

        def hook(state, bucket):  # type: ignore[no-untyped-def]
            raise AssertionError("DistributedDataParallel sends nothing by itself")

        trainer.strategy.model.register_comm_hook(None, hook)
        networks = module.discriminator, module.generator
        self.sizes = [sum(p.nbytes for p in network.parameters()) for network in networks]

    def on_train_batch_end(self, trainer, *_) -> None:  # type: ignore[no-untyped-def]
        if trainer.global_step == 3:
            self.sent = 0
            self.counts.__enter__()
        elif trainer.global_step == 3 + COUNTED:
            self.counts.__exit__(None, None, None)
            found = {"sent": self.sent, "sizes": self.sizes, "calls": dict(self.counts.calls)}
            torch.save(found, self.folder / f"{trainer.global_rank}.pt")

    def on_train_end(self, *_) -> None:  # type: ignore[no-untyped-def]
        distributed.all_reduce = self.usual


def main(folder: Path) -> None:
    pl.seed_everything(0)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        max_steps=3 + COUNTED,
        log_every_n_steps=100,
        logger=False,
        limit_val_batches=0,
        callbacks=[Checkpoint(dirpath=str(folder)), Progress(), Costs(folder)],
    )
    trainer.fit(WGANGP(n_critic=3, **SMALL), small_ring())
