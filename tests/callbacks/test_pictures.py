"""When pictures are drawn, of what, and where they go."""

import csv
import os

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from conftest import SMALL, fitted, small_ring
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from datamodules import OneZeroPattern
from lightning_gans import GAN, WGAN
from lightning_gans.callbacks import GeneratorEMA, Pictures, drawing, pictures
from lightning_gans.callbacks.curves import curves
from lightning_gans.cli.main import main
from lightning_gans.core.priors import NormalPrior


def files(folder):
    return sorted(os.listdir(folder))


def drawn(model, data=None, max_steps=5, every=2, callbacks=(), **trainer):
    pictures = Pictures(every_n_updates=every, num_samples=50)
    return fitted(
        model,
        data,
        max_steps,
        default_root_dir="run",
        callbacks=[pictures, *callbacks],
        log_every_n_steps=1,
        **trainer,
    )


def test_points_are_drawn_over_level_sets_at_the_cadence_and_at_the_end():
    drawn(WGAN(**SMALL, n_critic=2))
    names = [f"{update:07d}.png" for update in (0, 2, 4, 5)]
    assert files("run/samples") == names
    assert files("run/figures") == [
        "curves.png",
        *(f"level_sets_{name}" for name in names),
        "optimum.png",
        "real_and_generated.png",
        "training.gif",
    ]
    with Image.open("run/figures/training.gif") as animation:
        assert animation.n_frames == 4


def test_axes_follow_the_first_batch_if_no_data_module_knows_better(monkeypatch):
    limits = []
    level_sets = drawing.level_sets

    def watch(score, fake, real, value_range, **arguments):
        limits.append(value_range)
        return level_sets(score, fake, real, value_range, **arguments)

    monkeypatch.setattr(drawing, "level_sets", watch)
    rows = torch.linspace(-7, 120, 64).reshape(32, 2)
    model = GAN(**SMALL)
    drawn(model, DataLoader(rows, batch_size=32), max_steps=2)
    assert limits == [(-7.0, 120.0)] * 2
    assert model.value_range == (-7.0, 120.0)


def test_an_animation_of_a_long_run_has_a_part_of_its_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "FRAMES", 3)
    read, usual = [], drawing.read_png
    monkeypatch.setattr(drawing, "read_png", lambda path: read.append(path.name) or usual(path))
    drawn(GAN(**SMALL), max_steps=8)
    assert files("run/figures")[-1] == "training.gif"
    assert read[0].endswith("0000000.png")
    assert read[-1].endswith("0000008.png")
    with Image.open("run/figures/training.gif") as animation:
        assert animation.n_frames == len(read) == 3


def test_no_cadence_draws_the_end_only():
    drawn(GAN(**SMALL), every=0)
    assert files("run/samples") == ["0000005.png"]


def test_vectors_that_are_no_points_are_drawn_as_profiles():
    data = OneZeroPattern(batch_size=4, num_eval_samples=20)
    drawn(GAN(data_shape=(4,)), data)
    assert files("run/figures") == ["curves.png", "real_and_generated.png", "training.gif"]
    with Image.open("run/figures/training.gif") as animation:
        assert animation.n_frames == 4


class Constant(nn.Module):
    """An image generator that has learned nothing but one value."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, latent):
        return self.value.expand(len(latent), 1, 4, 4)


class Images(pl.LightningDataModule):
    data_shape = (1, 4, 4)

    def __init__(self, value_range):
        super().__init__()
        self.value_range = value_range

    def train_dataloader(self):
        levels = torch.linspace(*self.value_range, 8)[:, None, None, None]
        return DataLoader(
            TensorDataset(levels.expand(8, 1, 4, 4).repeat(4, 1, 1, 1)), batch_size=8
        )


@pytest.mark.parametrize(("value", "value_range"), [(-1.0, (-1.0, 1.0)), (0.0, (0.0, 1.0))])
def test_images_are_drawn_by_the_range_of_the_data(value, value_range):
    model = GAN(
        data_shape=(1, 4, 4), generator=Constant(value), optimizer_g=nn_sgd_that_stands_still
    )
    drawn(model, Images(value_range), max_steps=1)
    picture = np.asarray(Image.open("run/samples/0000001.png"))
    assert sorted(np.unique(picture).tolist()) == [0, 255]
    assert (picture[2:6, 2:6] == 0).all()


class Turned(nn.Module):
    """An augmentation that shows: it turns grey levels around."""

    def forward(self, x):
        return -x


def test_real_images_are_drawn_over_what_the_augmentation_makes_of_them():
    arguments = {"data_shape": (1, 4, 4), "generator": Constant(0.0), "augment": Turned()}
    drawn(GAN(**arguments), Images((-1.0, 1.0)), max_steps=1)
    assert "augmented.png" in files("run/figures")
    picture = np.asarray(Image.open("run/figures/augmented.png"))[16:, :, 0]  # below the title
    grid = [
        [picture[6 * i + 2 : 6 * i + 6, 6 * j + 2 : 6 * j + 6] for j in range(8)] for i in range(8)
    ]
    levels = np.linspace(0, 255, 8).round()  # of the real images
    for i, row in enumerate(grid):
        for image, level in zip(row, levels, strict=True):
            assert (image == (level if i == 0 else 255 - level)).all()


def nn_sgd_that_stands_still(parameters):
    return torch.optim.SGD(parameters, lr=0.0)


def test_latents_are_fixed_and_training_does_not_notice(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    seen, weights = [], []

    class Look(GAN):
        def sample(self, latent, labels=None):
            seen.append(latent.clone())
            return super().sample(latent, labels)

    for every in (1, 0):
        torch.manual_seed(0)
        model = Look(**SMALL)
        drawn(model, max_steps=2, every=every)
        weights.append([p.clone() for p in model.parameters()])
    alike = [latent for latent in seen if len(latent) == 50]
    assert len(alike) > 4
    assert all(torch.equal(latent, alike[0]) for latent in alike)
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_the_average_is_drawn_if_there_is_one():
    model = GAN(**SMALL)
    average = GeneratorEMA(0.9)
    calls = []
    average_forward = nn.Module.__call__

    def watch(self, *arguments):
        if self is average.networks.get("generator"):
            calls.append(self)
        return average_forward(self, *arguments)

    nn.Module.__call__ = watch
    try:
        drawn(model, max_steps=1, callbacks=[average])
    finally:
        nn.Module.__call__ = average_forward
    assert len(calls) == 4  # before the first update, after it, and twice in the summary


def test_data_that_tells_nothing_of_itself_is_drawn_from_its_batches():
    loader = DataLoader(TensorDataset(torch.rand(32, 2)), batch_size=8)
    model = GAN(generator=nn.Linear(2, 2), discriminator=nn.Linear(2, 1), prior=NormalPrior(2))
    drawn(model, loader, max_steps=1, every=0)
    assert "real_and_generated.png" in files("run/figures")


def test_curves_of_a_resumed_run_have_all_its_rows_and_scores(monkeypatch):
    given = []

    def watch(rows, floors):
        given.append((rows, floors))
        return curves(rows, floors)

    monkeypatch.setattr("lightning_gans.callbacks.pictures.curves", watch)
    run = ["fit", "--name", "run", "--model", "GAN", "--data", "GaussianRing"]
    run += ["--data.batch_size", "4", "--data.num_eval_samples", "20", "--trainer.max_steps", "5"]
    run += ["--trainer.log_every_n_steps", "2", "--trainer.val_check_interval", "3"]
    main([*run, "--pictures.every_n_updates", "0"])
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "7"])
    (_, floors), (rows, _) = given
    assert floors.keys() >= {"w1", "modes"}
    kinds = [(update, {key.partition("/")[0] for key in row}) for update, row in rows]
    train, val = {"train"}, {"val"}
    assert kinds == [(2, train), (3, val), (4, train), (5, val), (6, train), (6, val), (7, val)]
    with open("runs/run/version_0/metrics.csv", newline="") as file:
        logged = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    assert [{"step": update, **row} for update, row in rows] == logged


def test_a_trial_run_draws_nothing():
    drawn(GAN(**SMALL), max_steps=1, fast_dev_run=True)
    assert not os.path.exists("run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_n_updates": -1}, "every_n_updates must be at least 0, got -1"),
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Pictures(**arguments)


def test_real_samples_come_from_the_evaluation_set():
    pictures = Pictures(every_n_updates=0, num_samples=50)
    ring = small_ring()
    fitted(GAN(**SMALL), ring, 1, default_root_dir="run", callbacks=[pictures])
    assert torch.equal(pictures._real.real, ring.evaluation_set(0))
