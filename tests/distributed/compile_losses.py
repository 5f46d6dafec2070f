"""Trains two processes with and without compiled losses; saves what each of them ended with."""

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import SMALL, small_ring
from core.test_compiled import Compilations
from torch.optim import SGD

from lightning_gans import WGANGP
from lightning_gans.networks import MLPDiscriminator

NETWORKS = {**SMALL, "discriminator": partial(MLPDiscriminator, hidden=[600, 600])}
"""DDP sends the gradients of this discriminator in two parts, between which it would be split."""


def main(folder: Path) -> None:
    found = {}
    for compiled in (False, True):
        pl.seed_everything(0)
        noted = Compilations()
        sgd = partial(SGD, lr=0.01)
        model = WGANGP(optimizer_g=sgd, optimizer_d=sgd, compile=compiled, **NETWORKS)
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=2,
            max_steps=2,
            log_every_n_steps=10,
            logger=False,
            limit_val_batches=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[noted],
        )
        trainer.fit(model, small_ring())
        found[compiled] = noted.found, [p.detach() for p in model.parameters()]
    torch.save(found, folder / f"{trainer.global_rank}.pt")
