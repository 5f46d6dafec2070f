"""Evaluation with statistics of BatchNorm that are estimated anew."""

from functools import partial
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from typing_extensions import override

from lightning_gans.core.latent import LatentModule
from lightning_gans.core.priors import latents_at
from lightning_gans.core.standing import check_standing, standing_statistics
from lightning_gans.networks.inspect import share_buffers
from lightning_gans.networks.shapes import check_sizes

__all__ = ["StandingStatistics"]


class StandingStatistics(Callback):
    """Scores a copy of the generator whose BatchNorms have the statistics of what is sampled.

    They are those of the first latents of the evaluation, drawn from the prior or, with
    ``--refine``, refined: see `standing_statistics`. The copy is of the average, if there is one.
    Neither that nor the generator itself is changed, so training goes on as without. Pictures that
    are drawn in training do not have it. In several processes all have the same statistics.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        https://arxiv.org/abs/1809.11096, whose authors' code has 16 passes, of its batches.

    Args:
        passes: batches whose statistics are averaged, at least 1.
        batch_size: samples in each, at least 2.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, passes: int = 16, batch_size: int = 64) -> None:
        check_sizes(passes=passes)
        if batch_size < 2:
            raise ValueError(
                f"batch_size must be at least 2 for statistics of batches, got {batch_size}."
            )
        self.passes = passes
        self.batch_size = batch_size
        self._replaced: dict[str, nn.Module] = {}

    def about(self) -> dict[str, Any]:
        """Returns the settings, as plain data."""
        return {"passes": self.passes, "batch_size": self.batch_size}

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not isinstance(pl_module, LatentModule):
            raise ValueError(
                f"StandingStatistics: a {type(pl_module).__name__} does not generate samples from "
                "latents. Leave it out."
            )
        check_standing(pl_module, "StandingStatistics")

    # By the start of the epoch, the average and what refines latents are in their places.

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LatentModule)
        model, size = pl_module, self.batch_size
        draw = model.chosen or partial(latents_at, model.sample_latent, model.device, model.seed)
        latents = (draw(number * size, size) for number in range(self.passes))
        generator = standing_statistics(model, latents, model.seed)
        share_buffers(generator)
        self._replaced = {name: getattr(model.evaluated, name) for name in model.averaged}
        model.evaluate_with(**{**self._replaced, "generator": generator})

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LatentModule)
        pl_module.evaluate_with(**self._replaced)
        self._replaced = {}

    @override
    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_epoch_start(trainer, pl_module)

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_end(trainer, pl_module)

    @override
    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_epoch_start(trainer, pl_module)

    @override
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_end(trainer, pl_module)
