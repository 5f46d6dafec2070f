"""Scores generated digits in two processes with unequal shares; saves what each saw and found."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from conftest import MadeImages
from torch import Tensor, nn

from lightning_gans import GAN
from lightning_gans.callbacks import Evaluation
from lightning_gans.metrics import (
    ClassFrechet,
    DigitQuality,
    FeatureCoverage,
    FeatureScores,
    TrainingNeighbours,
)


class Quarters(nn.Module):
    """Four features of an image: the means of its quarters."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), 2).flatten(1)


def metrics() -> list[Any]:
    copies = TrainingNeighbours(made_images().training, Quarters(), "quarters")
    copies.least = 41
    own = [kind(Quarters(), "quarters") for kind in (FeatureScores, FeatureCoverage, ClassFrechet)]
    return [*own, copies, DigitQuality()]


def made_images() -> MadeImages:
    return MadeImages((1, 28, 28), number=100, num_eval_samples=41)


class Outputs(pl.Callback):
    def __init__(self) -> None:
        self.real: list[Tensor] = []
        self.fake: list[Tensor] = []
        self.labels: list[Tensor] = []

    def on_validation_batch_end(self, trainer, module, outputs, *_) -> None:  # type: ignore[no-untyped-def]
        self.real.append(outputs["real"])
        self.fake.append(outputs["fake"])
        self.labels.append(outputs["labels"])


def main(folder: Path) -> None:
    pl.seed_everything(0)
    data = made_images()
    data.eval_batch_size = 10  # 21 and 20 images: three batches and two
    evaluation, outputs = Evaluation(metrics()), Outputs()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[evaluation, outputs],
    )
    trainer.validate(GAN(data_shape=(1, 28, 28), num_classes=10), data, verbose=False)
    found = {
        "real": torch.cat(outputs.real),
        "fake": torch.cat(outputs.fake),
        "labels": torch.cat(outputs.labels),
        "scores": evaluation.scores,
        "floors": evaluation.floors,
        "num_samples": evaluation.num_samples,
    }
    torch.save(found, folder / f"rank{trainer.global_rank}.pt")
