"""Scores generated points in as many processes as there are to be; saves what was found."""

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import SMALL, small_ring
from reference.networks import Locates

from datamodules import GaussianRing
from lightning_gans import CVAEGAN, GAN, WGAN
from lightning_gans.callbacks import Evaluation
from lightning_gans.networks import MLPDiscriminator, MLPGenerator


def scores(devices: int) -> Evaluation:
    """Evaluates a model on 4,100 points, which no number of processes divides into blocks."""
    return evaluated(
        lambda: CVAEGAN(
            data_shape=(2,),
            num_classes=8,
            generator=MLPGenerator,
            discriminator=MLPDiscriminator,
            encoder=Locates(),
            classifier=MLPDiscriminator,
        ),
        small_ring(num_eval_samples=4100, labels=True),
        devices,
    )


def critic_scores(devices: int) -> Evaluation:
    """Evaluates a critic on 101 points."""
    return evaluated(lambda: WGAN(**SMALL), small_ring(num_eval_samples=101), devices)


def evaluated(make: Callable[[], GAN], data: GaussianRing, devices: int) -> Evaluation:
    pl.seed_everything(0)
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
    model = make()
    trainer.validate(model, data, verbose=False)
    return evaluation


def main(folder: Path) -> None:
    for found in (scores(2), critic_scores(2)):
        torch.save((found.scores, found.floors), folder / f"{found.num_samples}.pt")
