"""What a model of one's own gets wrong is refused, or told, before it costs a training."""

import warnings
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, MadeImages, fitted, quiet_trainer, same, small_ring, snapshot
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import DCGAN, GAN, WGAN
from lightning_gans.callbacks import Evaluation, Pictures
from lightning_gans.cli.main import main
from lightning_gans.core.divergence import DivergenceError
from lightning_gans.core.players import Player
from lightning_gans.networks import DCGANDiscriminator, DCGANGenerator


def loader_of(*samples, batch_size=8):
    return DataLoader(TensorDataset(*samples), batch_size)


# Schedules ---------------------------------------------------------------------------------------


def test_a_schedule_in_a_dict_is_refused():
    def halved(optimizer):
        return {"scheduler": LambdaLR(optimizer, lambda step: 0.5), "frequency": 100}

    with pytest.raises(ValueError, match=r"made a dict.*a frequency has no effect"):
        fitted(GAN(**SMALL, scheduler=halved))


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ValueError, match="from an optimizer, but made a NoneType"):
        fitted(GAN(**SMALL, scheduler=lambda optimizer: None))


# Methods and networks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("optimizer_step", "after_turn"),
        ("optimizer_zero_grad", "after_turn"),
        ("configure_gradient_clipping", "gradient_clip_norm"),
        ("lr_scheduler_step", "scheduler"),
    ],
)
def test_a_method_that_would_never_be_called_is_refused(name, remedy):
    own = type("Own", (GAN,), {name: lambda self, *arguments: None})
    with pytest.raises(ValueError, match=rf"Own\.{name} would never be called.*{remedy}"):
        fitted(own(**SMALL))


def test_automatic_optimization_is_refused():
    model = GAN(**SMALL)
    model.automatic_optimization = True
    with pytest.raises(ValueError, match="automatic_optimization is True"):
        fitted(model)


@pytest.mark.parametrize("returns", [True, False])
def test_a_training_step_that_plays_no_round_is_refused(returns):
    class Usual(GAN):
        def training_step(self, batch, batch_idx):
            loss = self.discriminate(batch).mean()
            return loss if returns else None

    with pytest.raises(ValueError, match=r"Usual\.training_step must call super"):
        fitted(Usual(**SMALL))


def test_a_training_step_may_return_something_after_a_round_and_a_batch_may_be_none():
    class Telling(GAN):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, batch_idx)
            return {"seen": batch}

    batches = [None, torch.randn(8, 2), torch.randn(8, 2)]
    trainer = fitted(Telling(**SMALL), DataLoader(batches, batch_size=None), max_steps=2)
    assert trainer.global_step == 2


def test_a_model_that_cannot_be_trained_can_be_scored():
    class Own(GAN):
        def optimizer_step(self, *arguments):
            pass

    model, evaluation = Own(**SMALL), Evaluation()
    quiet_trainer(1, limit_val_batches=1, callbacks=[evaluation]).validate(model, small_ring())
    assert evaluation.scores["w1"] > 0


@pytest.mark.parametrize("name", ["setup", "configure_optimizers", "on_train_start"])
def test_a_method_that_leaves_out_that_of_the_base_is_refused(name):
    def own(self, stage=None):
        return [torch.optim.Adam(self.parameters())] if name == "configure_optimizers" else None

    model = type("Own", (GAN,), {name: own})(**SMALL)
    with pytest.raises(ValueError, match=rf"Own\.{name} must call super\(\)\.{name}, which prep"):
        fitted(model)


def test_a_network_of_no_player_is_told():
    class Two(GAN):
        def __init__(self):
            super().__init__(**SMALL)
            self.critic = nn.Linear(2, 1)

    model = Two()
    before = snapshot(model.critic)
    told = r"No player trains the weights of critic.*requires_grad_\(False\)"
    with pytest.warns(UserWarning, match=told):
        fitted(model)
    assert same(before, snapshot(model.critic))
    model.critic.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No player")
        fitted(model)


def test_a_weight_of_no_player_is_told():
    model = GAN(**SMALL)
    model.scale = nn.Parameter(torch.ones(()))
    with pytest.warns(UserWarning, match="No player trains the weights of scale"):
        fitted(model)


def test_a_network_that_its_loss_does_not_use_is_told():
    class Two(GAN):
        def __init__(self):
            super().__init__(**SMALL)
            self.critic = nn.Linear(2, 1)

        def configure_players(self):
            first, *others = super().configure_players()
            networks = [self.discriminator, self.critic]
            return [Player(first.name, networks, first.loss, first.optimizer, first.draw), *others]

    with pytest.warns(UserWarning, match=r"loss does not depend on critic \(Linear\)"):
        fitted(Two())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*does not depend")
        fitted(GAN(**SMALL, n_critic=2))


# Data --------------------------------------------------------------------------------------------

IMAGES = torch.linspace(-1, 1, 256).expand(16, -1).reshape(16, 1, 16, 16)
"""Images, each with values from -1 to 1."""


def small_dcgan():
    return DCGAN(
        data_shape=(1, 16, 16),
        generator=partial(DCGANGenerator, width=4),
        discriminator=partial(DCGANDiscriminator, width=4),
    )


def test_images_that_the_generator_cannot_make_are_refused():
    with pytest.raises(ValueError, match=r"from 0 to 255, but .* generator is \[-1, 1\]\. Scale"):
        fitted(small_dcgan(), loader_of(127.5 * IMAGES + 127.5))
    with pytest.raises(ValueError, match=r"got torch\.uint8\. Scale .* x\.float\(\) / 127\.5 - 1"):
        fitted(small_dcgan(), loader_of((127.5 * IMAGES + 127.5).byte()))


def test_images_without_negative_values_are_told_and_those_a_little_beyond_are_not():
    with pytest.warns(UserWarning, match=r"below 0, but the output_range .* use 2 \* x - 1"):
        fitted(small_dcgan(), loader_of(IMAGES / 2 + 0.5), max_steps=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No value")
        fitted(small_dcgan(), loader_of(1.4 * IMAGES), max_steps=1)
        fitted(small_dcgan(), MadeImages(), max_steps=1)
    with pytest.raises(ValueError, match=r"values from -1\.6 to 1\.6, but"):
        fitted(small_dcgan(), loader_of(1.6 * IMAGES), max_steps=1)


def test_a_data_module_that_says_its_range_may_begin_with_bright_images():
    class Bright(pl.LightningDataModule):
        value_range = (-1.0, 1.0)

        def train_dataloader(self):
            return loader_of(IMAGES.abs())

    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No value")
        fitted(small_dcgan(), Bright(), max_steps=1)


def test_a_dataset_in_the_place_of_a_loader_is_refused():
    with pytest.raises(ValueError, match=r"a batch is a single sample.*batch_size=64\)"):
        fitted(GAN(**SMALL), TensorDataset(torch.randn(16, 2)))


def test_values_of_the_data_that_are_not_finite_are_told_and_not_blamed_on_the_learning_rate():
    points = torch.randn(24, 2)
    points[20] = float("nan")
    told = r"update 3: .*The batch has values that are NaN or infinite\..*Check the data\.$"
    with pytest.raises(DivergenceError, match=told):
        fitted(WGAN(**SMALL, n_critic=1), loader_of(points))


def test_what_can_be_read_only_once_is_told_after_its_first_epoch():
    batches = (torch.randn(8, 2) for _ in range(3))
    model = GAN(**SMALL)
    with pytest.raises(ValueError, match=r"no round was played in two epochs.*a generator can"):
        fitted(model, batches, max_steps=5)
    assert model.trainer.global_step == 3
    fitted(model, (torch.randn(8, 2) for _ in range(3)), max_steps=3)
    few = (torch.randn(8, 2) for _ in range(3))
    assert fitted(GAN(**SMALL), few, max_steps=5, max_epochs=4).global_step == 3


def test_a_batch_that_training_refuses_is_not_drawn():
    for samples, n_critic, told in (
        (torch.randn(16, 3), 1, r"samples have shape \(3,\), but the generator makes"),
        (torch.randn(3, 2), 5, "a batch of 3 samples cannot be split into 5 equal slices"),
    ):
        for callbacks in ([], [Pictures()]):
            model = GAN(**SMALL, n_critic=n_critic)
            with pytest.raises(ValueError, match=told):
                fitted(model, loader_of(samples), callbacks=callbacks)


# Parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"loss": nn.BCEWithLogitsLoss()}, "AdversarialLoss, or make one without argum"),
        (
            {"loss": lambda real, fake: real},
            "AdversarialLoss, or make one without argum",
        ),
        ({"optimizer_g": SGD([nn.Parameter(torch.zeros(1))], 0.1)}, "from parameters, got a SGD"),
        ({"optimizer_d": None}, "optimizer_d must make an optimizer from parameters, got None"),
        (
            {"data_shape": None},
            "must be given.*attribute data_shape of the data",
        ),
    ],
)
def test_parts_of_another_kind_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        GAN(**{**SMALL, **arguments})


@pytest.mark.parametrize(
    ("module", "model", "attribute", "told"),
    [
        ("points_1", "GAN", "data_shape = '2'", "data_shape must be whole numbers of at least 1"),
        ("points_2", "CycleGAN", "data_shapes = 2", "data_shapes must be two shapes, such as"),
        ("points_3", "CycleGAN", "data_shapes = (2,), '3'", "data_shapes[1] must be whole numb"),
    ],
)
def test_a_data_module_with_a_wrong_shape_is_named(module, model, attribute, told, capsys):
    Path(f"{module}.py").write_text(
        "from datamodules import GaussianRing\n"
        "class Mine(GaussianRing):\n"
        f"    {attribute}\n"
        "    def __init__(self): super().__init__()\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["fit", "--model", model, "--data", f"{module}.Mine"])
    assert end.value.code == 2
    assert f"data: Mine.{told}" in capsys.readouterr().err
