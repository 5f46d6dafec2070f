"""Trains with an augmentation that adapts; saves its state and the outputs that it was told."""

import os
from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import SMALL, quiet_trainer, small_ring
from typing_extensions import override

from lightning_gans import GAN
from lightning_gans.augment import APA


class Noting(APA):
    """Notes the outputs of real samples in this process."""

    def __init__(self) -> None:
        super().__init__(p=0.5, interval=2, ramp_images=1000)
        self.outputs: list[torch.Tensor] = []

    @override
    def after_turn(self, views, mean) -> None:  # type: ignore[no-untyped-def]
        self.outputs.append(views[0].real_logits.cpu())
        super().after_turn(views, mean)


def main(folder: Path) -> None:
    pl.seed_everything(0)
    augment = Noting()
    model = GAN(**SMALL, augment=augment, n_critic=2)
    trainer = quiet_trainer(6, devices=2, strategy="ddp")
    trainer.fit(model, small_ring())
    found = {"states": augment.state_dict(), "outputs": augment.outputs}
    torch.save(found, folder / f"rank{os.environ.get('LOCAL_RANK', 0)}.pt")
