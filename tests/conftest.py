"""What the tests share: small models, quiet trainers, and a clean random state."""

import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import Logger
from rich.console import Console
from torch import Tensor, nn

from datamodules import FewLabels, GaussianRing, UnpairedSources
from datamodules.images import ImageBytes, ImageData
from datamodules.translation import TranslationData
from lightning_gans import (
    BEGAN,
    CVAEGAN,
    EBGAN,
    GAN,
    SAGAN,
    SGAN,
    SNGAN,
    VAEGAN,
    BigGAN,
    CoGAN,
    CycleGAN,
    Pix2Pix,
    SemiSupervisedAAE,
    StyleGAN2,
)
from lightning_gans.networks import DCGANDiscriminator, MLPDiscriminator, MLPGenerator

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests marked ``gpu`` on a machine without one."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no GPU"))


@pytest.fixture(autouse=True)
def _clean_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every test starts from the same random state, without a seed for Lightning, elsewhere.

    The terminal is as wide as the test says in its environment.
    """
    monkeypatch.setattr("rich._console", None)
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    monkeypatch.delenv("LIGHTNING_GANS_DATA", raising=False)  # modules of tests have read it
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # commands look in the working directory
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], str]]:
    """Returns a function that makes a terminal of some width the one that is printed on.

    That function returns another, of what has been printed there. Work shows itself at once.
    """

    def make(columns: int, encoding: str = "utf-8", patience: float = 0) -> Callable[[], str]:
        monkeypatch.setattr("lightning_gans.progress.PATIENCE", patience)
        monkeypatch.setattr("lightning_gans.progress.DRAWINGS_PER_S", 1000)
        file = TextIOWrapper(BytesIO(), encoding, write_through=True)
        console = Console(file=file, width=columns, force_terminal=True, no_color=True)
        monkeypatch.setattr("rich._console", console)
        return lambda: file.buffer.getvalue().decode(encoding)

    return make


def until(holds: Callable[[], Any]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "in_two_processes(name): reads what a script leaves behind")


@pytest.fixture(scope="session")
def _played(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Path:
    """Runs the scripts that the tests ask for, in turn, in two processes that start once."""
    markers = [item.get_closest_marker("in_two_processes") for item in request.session.items]
    left = sorted({marker.args[0] for marker in markers if marker})
    root = tmp_path_factory.mktemp("in_two_processes")
    script = Path(__file__).parent / "distributed" / "in_turn.py"
    while left:
        command = [sys.executable, str(script), str(root), *left]
        done = subprocess.run(
            command, timeout=400, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        while left and len(list((root / left[0]).glob("done*"))) == 2:
            left.pop(0)
        if left:  # the test of this one shows it; the others have a right to be run
            (root / left[0]).mkdir(exist_ok=True)
            (root / left.pop(0) / "failure").write_text(done.stdout)
    return root


@pytest.fixture
def left_behind(request: pytest.FixtureRequest, _played: Path) -> Path:
    """Returns the folder of the script that the test is marked with."""
    folder: Path = _played / request.node.get_closest_marker("in_two_processes").args[0]
    failure = folder / "failure"
    assert not failure.exists(), failure.read_text()
    return folder


SMALL: dict[str, Any] = {
    "data_shape": (2,),
    "generator": partial(MLPGenerator, hidden=[8]),
    "discriminator": partial(MLPDiscriminator, hidden=[8]),
}
"""Arguments of a model on points in the plane that trains at once."""


SMALL_CVAE: dict[str, Any] = {
    "discriminator": partial(DCGANDiscriminator, width=4),
    "classifier": partial(DCGANDiscriminator, width=4),
}
"""Likewise of a `CVAEGAN` on images, whose own networks have millions of weights."""


def small_ring(**arguments: Any) -> GaussianRing:
    return GaussianRing(**{"batch_size": 8, "num_eval_samples": 64, **arguments})


class MadeImages(ImageData):
    """Random images that are there at once, numbered in their first two pixels."""

    def __init__(self, data_shape=(1, 16, 16), number=48, **arguments: Any) -> None:
        super().__init__(data_shape, **{"batch_size": 4, "num_eval_samples": 16, **arguments})
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(256, (number, *data_shape), generator=generator, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(number) % 256
        images[:, 0, 0, 1] = torch.arange(number) // 256
        self.training = ImageBytes(images, torch.arange(number) % 10)
        rows = torch.arange(self.num_eval_samples)
        self.held_out = ((self.training, rows), (self.training, rows + 16), (self.training, rows))


class MadePairs(TranslationData):
    """Random images, each its own translation."""

    def __init__(self, data_shape=(1, 32, 32)) -> None:
        super().__init__(True, "a_to_b", (-1.0, 1.0), 2, 16)
        self.describe(data_shape, data_shape)

    def setup(self, stage: str | None = None) -> None:
        images = MadeImages(self.data_shape).training
        self.serve(*[(images, images)] * 4)


def numbers(batch: Any) -> list[int]:
    """Returns the numbers of the made images in a batch of bytes."""
    images = batch if isinstance(batch, Tensor) else batch[0]
    return (images[:, 0, 0, 0].int() + 256 * images[:, 0, 0, 1].int()).tolist()


def fitting_data(variant: type[GAN]) -> Any:
    """Returns data that a variant's own networks can be made for."""
    classes = inspect.signature(variant).parameters.get("num_classes")
    if variant in (SGAN, SemiSupervisedAAE):
        return FewLabels(MadeImages(value_range=(0.0, 1.0)), num_labels=10)
    if variant in (BEGAN, CVAEGAN, EBGAN, SNGAN, StyleGAN2, VAEGAN):
        return MadeImages()
    if variant is Pix2Pix:
        return MadePairs()
    if variant in (CoGAN, CycleGAN):
        return UnpairedSources(*(MadeImages((1, 28, 28), batch_size=4) for _ in "ab"))
    if variant in (BigGAN, SAGAN):
        return MadeImages((1, 28, 28), batch_size=2)
    if classes is not None and classes.default is not None:
        return small_ring(num_modes=classes.default, labels=True)
    return MadeImages() if "DCGAN" in variant.__name__ else small_ring()


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


class Rows(Logger):
    """Collects what loggers are given."""

    name = version = "rows"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, Any]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append((step, metrics))

    def log_hyperparams(self, *arguments: Any) -> None:
        pass


def snapshot(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
