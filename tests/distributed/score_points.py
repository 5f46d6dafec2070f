"""Scores generated points in as many processes as there are to be; saves what was found."""

from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import small_ring
from reference import Locates

from lightning_gans import CVAEGAN
from lightning_gans.callbacks import Evaluation
from lightning_gans.networks import MLPDiscriminator, MLPGenerator


def scores(devices: int) -> Evaluation:
    """Evaluates a model on 4,100 points, which no number of processes divides into blocks."""
    pl.seed_everything(0)
    data = small_ring(num_eval_samples=4100, labels=True)
    evaluation = Evaluation()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[evaluation],
    )
    pl.seed_everything(0)
    model = CVAEGAN(
        data_shape=(2,),
        num_classes=8,
        generator=MLPGenerator,
        discriminator=MLPDiscriminator,
        encoder=Locates(),
        classifier=MLPDiscriminator,
    )
    trainer.validate(model, data, verbose=False)
    return evaluation


def main(folder: Path) -> None:
    found = scores(2)
    torch.save((found.scores, found.floors), folder / f"{found.num_samples}.pt")
