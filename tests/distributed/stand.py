"""Estimates BatchNorm's statistics for an evaluation in as many processes as there are to be."""

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from conftest import MadeImages
from torch import Tensor

from lightning_gans import BigGAN
from lightning_gans.callbacks import GeneratorEMA, StandingStatistics
from lightning_gans.core.priors import NormalPrior
from lightning_gans.networks import BigGANDiscriminator, BigGANGenerator


class Look(StandingStatistics):
    """Keeps the state of the generator that samples are scored of."""

    def on_validation_batch_end(self, trainer, module, *_) -> None:  # type: ignore[no-untyped-def]
        generator = module.evaluated.generator
        self.seen = {name: value.clone() for name, value in generator.state_dict().items()}


def stood(devices: int) -> dict[str, Tensor]:
    """Returns the state of a generator that was evaluated."""
    look = Look(passes=3, batch_size=10)
    pl.seed_everything(0)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[GeneratorEMA(), look],
    )
    model = BigGAN(
        data_shape=(1, 28, 28),
        num_classes=10,
        prior=NormalPrior(12),
        generator=partial(BigGANGenerator, width=8, embedding_dim=4),
        discriminator=partial(BigGANDiscriminator, width=8),
    )
    trainer.validate(model, MadeImages((1, 28, 28)), verbose=False)
    return {**look.seen, "rank": torch.tensor(trainer.global_rank)}


def main(folder: Path) -> None:
    found = stood(2)
    torch.save(found, folder / f"rank{found['rank']}.pt")
