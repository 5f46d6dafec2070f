"""What the tests share: small models, quiet trainers, and a clean random state."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from datamodules import GaussianRing
from lightning_gans import GAN
from lightning_gans.networks import MLPDiscriminator, MLPGenerator

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _clean_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every test starts from the same random state, without a seed for Lightning, elsewhere."""
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


SMALL: dict[str, Any] = {
    "data_shape": (2,),
    "generator": partial(MLPGenerator, hidden=[8]),
    "discriminator": partial(MLPDiscriminator, hidden=[8]),
}
"""Arguments of a model on points in the plane that trains at once."""


def small_ring(**arguments: Any) -> GaussianRing:
    return GaussianRing(**{"batch_size": 8, "num_eval_samples": 64, **arguments})


def quiet_trainer(max_steps: int, **arguments: Any) -> pl.Trainer:
    defaults = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "max_epochs": -1,
    }
    return pl.Trainer(max_steps=max_steps, **{**defaults, **arguments})


def fitted(model: GAN, data: Any = None, max_steps: int = 4, **arguments: Any) -> pl.Trainer:
    """Trains a model and returns the trainer."""
    trainer = quiet_trainer(max_steps, **arguments)
    trainer.fit(model, small_ring() if data is None else data)
    return trainer


def snapshot(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
