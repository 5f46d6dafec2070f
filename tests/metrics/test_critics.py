"""A critic beside the best one: Kantorovich potentials, slopes, and what is missing to W1."""

from functools import partial
from math import isnan

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, MadeImages, fitted, small_ring
from torch.testing import assert_close

from lightning_gans import CGAN, GAN, WGAN, WGANGP, WGANDiv
from lightning_gans.callbacks import Evaluation, GeneratorEMA
from lightning_gans.losses import Wasserstein as WassersteinLoss
from lightning_gans.metrics import (
    CriticGap,
    Wasserstein,
    fitting_metrics,
    kantorovich_potential,
    measured_slope,
    wasserstein_distance,
)

WAY = torch.tensor([0.6, 0.8], dtype=torch.float64)
"""Of unit length."""


def clouds(number=60):
    """Returns two clouds that overlap in part, of different forms."""
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, number, 2, generator=generator, dtype=torch.float64)
    return real, 0.3 * fake + WAY


def gap(critic, real, fake, **arguments):
    distance = Wasserstein(1, **arguments)
    metric = CriticGap(critic, distance)
    for each in (distance, metric):
        each.update(real, real=True)
        each.update(fake, real=False)
    return float(metric.compute()["critic_gap"])


def test_a_critic_without_a_value_has_no_gap():
    """A flat one estimates 0."""
    real, fake = clouds()
    assert isnan(gap(lambda x: x[:, 0] * float("nan"), real, fake))
    w1 = float(wasserstein_distance(real, fake))
    assert gap(lambda x: 0 * x[:, 0], real, fake) == pytest.approx(w1, rel=1e-6)


def test_the_potential_of_a_moved_cloud_falls_along_the_way():
    real, _ = clouds()
    t = 7.0  # far enough that every way leads through all of the cloud
    potential = kantorovich_potential(real, real + t * WAY)
    means = [potential(x).mean() for x in (real, real + t * WAY)]
    assert_close(means[0] - means[1], torch.tensor(t).double())
    assert_close(means[0] + means[1], torch.tensor(0.0).double(), rtol=0, atol=1e-12)


def test_the_potential_reaches_w1_and_is_nowhere_steeper_than_1():
    real, fake = clouds()
    potential = kantorovich_potential(real, fake)
    assert_close(potential(real).mean() - potential(fake).mean(), wasserstein_distance(real, fake))
    ticks = torch.linspace(-4, 4, 30, dtype=torch.float64)
    grid = torch.cat([torch.cartesian_prod(ticks, ticks), real, fake])
    values = potential(grid)
    distances = torch.cdist(grid, grid, compute_mode="donot_use_mm_for_euclid_dist")
    assert ((values[:, None] - values[None]).abs() - distances).max() < 1e-12


def test_the_potential_has_the_values_of_the_duals_on_the_samples():
    """Where mass moves from x to y, the values differ by the whole length of the way."""
    import ot

    real, fake = clouds(20)
    costs = torch.cdist(real, fake)
    plan, log = ot.emd([], [], costs.numpy(), log=True)
    potential = kantorovich_potential(real, fake)
    duals = torch.as_tensor(log["u"]), torch.as_tensor(log["v"])
    shift = potential(real)[0] - duals[0][0]
    assert_close(potential(real), duals[0] + shift)
    assert_close(potential(fake), shift - duals[1])
    moved = torch.as_tensor(plan) > 0
    differences = potential(real)[:, None] - potential(fake)[None]
    assert_close(differences[moved], costs[moved])


def test_the_largest_slope_is_found_at_samples_and_between_them():
    def steep_at(place, x):
        return torch.where((x[:, 0] - place).abs() < 0.1, 5 * x[:, 0], x[:, 0])

    real, fake = torch.zeros(3, 2).double(), torch.ones(3, 2).double()
    for place, slope in ((0.0, 5), (0.5, 5), (1.0, 5), (1.5, 1), (0.25, 1)):
        assert measured_slope(partial(steep_at, place), real, fake) == slope


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_the_best_critic_leaves_no_gap_at_any_scale(factor):
    real, fake = clouds()
    potential = kantorovich_potential(real, fake)
    assert abs(gap(lambda x: factor * potential(x) + 3, real, fake)) < 1e-6
    moved = real + 7 * WAY
    assert abs(gap(lambda x: -factor * (x @ WAY), real, moved)) < 1e-6


def test_other_critics_leave_what_they_miss():
    real, fake = clouds()
    w1 = float(wasserstein_distance(real, fake))
    assert gap(lambda x: 0 * x.sum(1), real, fake) == pytest.approx(w1)
    potential = kantorovich_potential(real, fake)
    assert gap(lambda x: -potential(x), real, fake) == pytest.approx(2 * w1)
    moved, across = real + 7 * WAY, torch.tensor([0.8, -0.6]).double()
    assert gap(lambda x: -(x @ (WAY + across)), real, moved) == pytest.approx(7 - 7 / 2**0.5)


def test_a_slope_that_was_not_measured_makes_the_gap_negative():
    real, fake = torch.zeros(4, 2).double(), torch.zeros(4, 2).double()
    fake[:, 0] = 1.0
    steps = torch.tensor([0.2, 0.5, 0.8])

    def staircase(x):  # flat but for steps that lie between the points
        return -0.1 * x[:, 0] - (x[:, :1] > steps).sum(1)

    assert gap(staircase, real, fake) < -10


def test_the_gap_is_of_as_many_samples_as_w1():
    real, fake = clouds()
    assert gap(lambda x: 0 * x.sum(1), real, fake, max_samples=9) == pytest.approx(
        float(wasserstein_distance(real[:9], fake[:9]))
    )


def test_w1_is_computed_once(monkeypatch):
    calls = []

    def watch(*arguments, p):
        calls.append(p)
        return wasserstein_distance(*arguments, p=p)

    monkeypatch.setattr("lightning_gans.metrics.transport.wasserstein_distance", watch)
    metrics = fitting_metrics(small_ring(), WGAN(**SMALL))
    for metric in metrics:
        metric.update(torch.randn(8, 2), real=True)
        metric.update(torch.randn(8, 2), real=False)
        metric.compute()
    assert calls == [1, 2]
    assert "critic_gap" in {name for metric in metrics for name in metric.scores}


@pytest.mark.parametrize(
    ("make", "data", "scored"),
    [
        (lambda: WGANGP(**SMALL), small_ring, True),
        (lambda: GAN(**SMALL, loss=WassersteinLoss), small_ring, True),
        (lambda: GAN(**SMALL), small_ring, False),
        (lambda: WGANDiv(**SMALL), small_ring, False),
        (lambda: CGAN(data_shape=(2,), num_classes=8, loss=WassersteinLoss), small_ring, False),
        (lambda: WGAN(data_shape=(1, 16, 16)), MadeImages, False),
        (lambda: None, small_ring, False),
    ],
)
def test_critics_of_vectors_are_scored(make, data, scored):
    metrics = fitting_metrics(data(), make())
    assert any(isinstance(metric, CriticGap) for metric in metrics) is scored


class Samples(pl.Callback):
    """Keeps what was evaluated last."""

    def on_validation_batch_end(self, trainer, model, outputs, *_):
        self.real, self.fake = outputs["real"].double(), outputs["fake"].double()


def test_the_critic_in_training_is_judged_on_what_is_evaluated():
    evaluation, samples = Evaluation(), Samples()
    model = WGANGP(**SMALL)
    validated = {"limit_val_batches": 1.0, "check_val_every_n_epoch": None}
    callbacks = [GeneratorEMA(0.5), evaluation, samples]
    fitted(model, max_steps=3, callbacks=callbacks, val_check_interval=3, **validated)
    real, fake = samples.real, samples.fake

    def critic(x):
        return model.discriminator(x.float()).squeeze(-1)

    slope = measured_slope(critic, real, fake)
    difference = critic(real).mean() - critic(fake).mean()
    expected = wasserstein_distance(real, fake) - difference / slope
    assert evaluation.scores["critic_gap"] == pytest.approx(float(expected), rel=1e-5)
    assert "critic_gap" not in evaluation.floors
    assert "w1" in evaluation.floors
    assert all(parameter.requires_grad for parameter in model.parameters())
