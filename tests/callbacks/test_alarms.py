"""Alarms: their values against closed forms, and when they ring."""

import warnings

import pytest
import torch
from conftest import Rows, fitted, quiet_trainer, small_ring
from torch import Tensor, nn

from lightning_gans import GAN, WGAN
from lightning_gans.callbacks import Alarms
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import MMD, Cramer, FDivergence, Fisher, Hinge, Wasserstein


def linear(weights):
    """A critic whose slope is that of its weights everywhere."""
    network = nn.Linear(2, 1)
    network.weight.data = torch.tensor([weights])
    return network


class Still:
    """Never changes its weights."""

    def discriminator_loss(self, samples):
        return {"adversarial_d": 0 * super().discriminator_loss(samples)["adversarial_d"]}

    def generator_loss(self, samples):
        return {"adversarial_g": 0 * samples.fake.sum()}


class StillGAN(Still, GAN):
    pass


class StillWGAN(Still, WGAN):
    pass


class Point(nn.Module):
    """Makes the same point of every latent."""

    def __init__(self):
        super().__init__()
        self.where = nn.Parameter(torch.zeros(2))

    def forward(self, latent: Tensor) -> Tensor:
        return self.where.expand(len(latent), 2)


def watched(generator, critic, clip_value=None, max_steps=4, **limits):
    """Trains for some updates with a validation after each second; returns the warnings."""
    rows = Rows()
    arguments = {"generator": generator, "discriminator": critic, "prior": NormalPrior(2)}
    if clip_value is None:
        model = StillGAN(loss=Wasserstein, **arguments)
    else:
        model = StillWGAN(clip_value=clip_value, n_critic=1, **arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted(
            model,
            small_ring(),
            max_steps=max_steps,
            logger=rows,
            callbacks=[Alarms(**limits)],
            limit_val_batches=1,
            val_check_interval=2,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
    texts = [str(w.message) for w in caught if " at update " in str(w.message)]
    alarms = [row for _, row in rows.rows if any(key.startswith("alarms/") for key in row)]
    return texts, alarms


def test_the_slope_of_a_linear_critic_is_that_of_its_weights():
    texts, rows = watched(nn.Linear(2, 2), linear([3.0, 4.0]), lipschitz=4.99)
    assert [row["alarms/lipschitz"] for row in rows] == pytest.approx([5.0, 5.0])
    assert texts == ["lipschitz is 5 at update 2, above 4.99."]
    texts, _ = watched(nn.Linear(2, 2), linear([3.0, 4.0]), lipschitz=5.01)
    assert texts == []


def test_a_generator_that_makes_one_point_has_no_diversity():
    texts, rows = watched(Point(), linear([1.0, 0.0]))
    assert [row["alarms/diversity"] for row in rows] == [0, 0]
    assert texts == ["diversity is 0 at update 2, below 0.1."]


def test_samples_like_the_data_are_as_diverse_as_the_data():
    """Two draws of 64 points of the ring differ by about a tenth."""

    class Ring(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, latent):
            return small_ring().training_batch(9, 0, len(latent), 0, 1) + 0 * self.unused

    _, rows = watched(Ring(), linear([1.0, 0.0]))
    assert all(0.75 < row["alarms/diversity"] < 1.25 for row in rows)


def test_a_value_without_a_limit_is_logged_and_not_watched():
    class Healthy(StillGAN):
        def health(self):
            return {"temperature": 1e9}

    rows = Rows()
    model = Healthy(generator=Point(), discriminator=linear([1.0, 0.0]), prior=NormalPrior(2))
    validated = {"limit_val_batches": 1, "val_check_interval": 1, "check_val_every_n_epoch": None}
    fitted(model, max_steps=1, logger=rows, callbacks=[Alarms()], **validated)
    (row,) = [row for _, row in rows.rows if "alarms/diversity" in row]
    assert row["alarms/temperature"] == 1e9


def test_a_scored_checkpoint_is_looked_at_at_its_update():
    rows = Rows()
    model = StillGAN(generator=Point(), discriminator=linear([1.0, 0.0]), prior=NormalPrior(2))
    fitted(model, max_steps=3)
    trainer = quiet_trainer(3, logger=rows, callbacks=[Alarms()], limit_val_batches=1)
    trainer.validate(model, small_ring(), verbose=False)
    assert [step for step, row in rows.rows if "alarms/diversity" in row] == [3]


def test_the_share_of_clipped_parameters_counts_all_of_them():
    critic = linear([1.0, -1.0])
    critic.bias.data.zero_()
    texts, rows = watched(nn.Linear(2, 2), critic, clip_value=0.5, clipped=0.6)
    assert [row["alarms/clipped"] for row in rows] == pytest.approx([2 / 3, 2 / 3])
    assert texts == ["clipped is 0.6667 at update 2, above 0.6."]
    _, rows = watched(nn.Linear(2, 2), linear([1.0, -1.0]))
    assert "alarms/clipped" not in rows[0]


@pytest.mark.parametrize("name", ["loss_ratio", "grad_norm"])
def test_logged_values_ring_once_until_they_have_been_within_their_limit(name):
    alarms = Alarms(**{name: 10.0})
    trainer = type("Trainer", (), {"log_every_n_steps": 1, "loggers": [], "global_step": 0})()
    model = GAN(data_shape=(2,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for value in (5.0, 50.0, 60.0, 5.0, 70.0):
            trainer.global_step += 1
            model.last_logged = {
                "train/loss_d": value,
                "train/loss_g": -1.0,
                "train/grad_norm_g": value,
            }
            alarms.on_train_batch_end(trainer, model, None, None, 0)
    texts = [str(warning.message) for warning in caught]
    assert [text.split(",")[0] for text in texts if text.startswith(name)] == [
        f"{name} is 50 at update 2",
        f"{name} is 70 at update 5",
    ]


@pytest.mark.parametrize("loss", [Wasserstein, Hinge, FDivergence, Fisher, MMD, Cramer])
def test_some_losses_may_cross_zero(loss):
    trainer = type("Trainer", (), {"log_every_n_steps": 1, "loggers": [], "global_step": 1})()
    model = GAN(data_shape=(2,), loss=loss)
    model.last_logged = {"train/loss_d": -1.0, "train/loss_g": 1e-6}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Alarms().on_train_batch_end(trainer, model, None, None, 0)


def test_limits_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"diversity must be above 0, got 0\."):
        Alarms(diversity=0.0)
