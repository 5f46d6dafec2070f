"""Kernel distances on points, their closed forms, and the critics that penalties read."""

import math

import pytest
import torch
from conftest import SMALL, fitted, small_ring
from losses.vectors import close, exact
from torch.testing import assert_close

from lightning_gans import GAN, CramerGAN
from lightning_gans.callbacks import Alarms
from lightning_gans.core.players import Batch
from lightning_gans.losses import (
    MMD,
    Cramer,
    cramer_critic,
    cramer_discriminator_loss,
    cramer_generator_loss,
    mmd_critic,
    squared_mmd,
)
from lightning_gans.regularizers import R1, R2

X = torch.tensor([0.0, 1.0], dtype=torch.float64)
Y = torch.tensor([2.0, 4.0], dtype=torch.float64)
OTHER = torch.tensor([3.0, -1.0], dtype=torch.float64)
SHARES = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
NORMAL = torch.special.ndtri(SHARES)
"""Quantiles of N(0, 1)."""
KERNELS = pytest.mark.parametrize("kernel", ["rational_quadratic", "gaussian", "distance"])


@pytest.mark.parametrize(
    ("kernel", "scales", "biased", "unbiased"),
    [
        ("gaussian", [1.0], 0.9942777704, 0.3652107419),
        ("rational_quadratic", None, 3.9785814411, 1.6028767382),
        ("distance", None, 3.5, 2.0),
    ],
)
def test_distances_have_the_values_of_other_implementations(kernel, scales, biased, unbiased):
    found = [
        squared_mmd(X, Y, kernel=kernel, scales=scales, unbiased=u).item() for u in (False, True)
    ]
    assert found == [close(biased), close(unbiased)]
    assert MMD(kernel, scales, 1).generator(Y, X).item() == close(unbiased)
    assert MMD(kernel, scales, 1).discriminator(X, Y).item() == close(-unbiased)


def test_the_negative_distance_is_the_kernel_of_the_energy_distance():
    """It differs from |x| + |y| - |x - y| by terms that cancel."""
    x, y = (torch.randn(n, 3, dtype=torch.float64) for n in (5, 4))

    def kernel(a, b):
        return a.norm() + b.norm() - (a - b).norm()

    def within(side):
        pairs = [kernel(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j]
        return sum(pairs) / len(pairs)

    across = sum(kernel(a, b) for a in x for b in y) / 20
    expected = within(x) + within(y) - 2 * across
    assert squared_mmd(x, y, kernel="distance").item() == exact(expected.item())


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [("gaussian", 2 * math.sqrt(1 / 3) * (1 - math.exp(-1 / 6))), ("distance", 0.5418065793)],
)
def test_distances_of_normal_distributions_are_those_of_their_formulas(kernel, expected):
    found = squared_mmd(NORMAL, NORMAL + 1, kernel=kernel, scales=[1.0], unbiased=False)
    assert found.item() == pytest.approx(expected, rel=2e-3)


@KERNELS
def test_without_bias_the_mean_is_zero_for_sets_of_one_distribution(kernel):
    x, y = torch.randn(2, 400, 6, 2, dtype=torch.float64)
    pairs = list(zip(x, y, strict=True))
    found = torch.stack([squared_mmd(a, b, kernel=kernel) for a, b in pairs])
    biased = torch.stack([squared_mmd(a, b, kernel=kernel, unbiased=False) for a, b in pairs])
    assert found.mean().abs() < 3 * found.std() / 20
    assert (found < 0).any()
    assert biased.mean() > 10 * found.mean().abs()


@KERNELS
def test_the_mean_of_the_witness_is_the_biased_distance(kernel):
    x, y = torch.randn(2, 5, 3, dtype=torch.float64)
    at_x, at_y = (mmd_critic(side, x, y, kernel=kernel).mean() for side in (x, y))
    expected = squared_mmd(x, y, kernel=kernel, unbiased=False)
    assert (at_x - at_y).item() == exact(expected.item())


def test_the_cramer_losses_have_the_values_of_their_algorithm():
    assert cramer_generator_loss(X, Y, OTHER).item() == exact(2.0)
    assert cramer_discriminator_loss(X, Y, OTHER).item() == exact(-2.0)
    assert cramer_critic(X, OTHER[:1]).tolist() == [3, 1]  # |x - 3| - |x|


def test_without_other_samples_each_is_compared_with_the_rest_of_its_batch():
    x, y = torch.randn(2, 4, 3, dtype=torch.float64)
    rest = [torch.cat([y[:i], y[i + 1 :]]) for i in range(4)]
    at_fake = sum(cramer_critic(y[[i]], rest[i]) for i in range(4)) / 4
    expected = at_fake - cramer_critic(x, y).mean()
    assert cramer_discriminator_loss(x, y).item() == exact(expected.item())
    within = sum((y[[i]] - rest[i]).norm(dim=1).mean() for i in range(4)) / 4
    across = sum((a - b).norm() for a in x for b in y) / 16
    assert cramer_generator_loss(x, y).item() == exact((2 * across - within).item())


def test_the_generator_minimises_the_energy_distance_with_any_other_samples():
    """What it has no say in, the distance among real samples, is left out."""
    x, y = torch.randn(2, 4, 3, dtype=torch.float64)
    within = sum((a - b).norm() for a in x for b in x) / 12
    expected = squared_mmd(x, y, kernel="distance") + within
    assert cramer_generator_loss(x, y).item() == exact(expected.item())
    assert Cramer(3).log(x, y)["energy_distance"].item() == exact((expected - within).item())


@pytest.mark.parametrize("loss", [MMD(k) for k in ("rational_quadratic", "gaussian", "distance")])
def test_features_move_apart_for_the_discriminator_and_together_for_the_generator(loss):
    real, fake = X.clone().requires_grad_(), Y.clone().requires_grad_()
    at_real, at_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert at_real.sum() > 0 > at_fake.sum()  # a step against it moves them apart
    (of_generator,) = torch.autograd.grad(loss.generator(fake, X), fake)
    assert of_generator.sum() > 0


@pytest.mark.parametrize("loss", [MMD("distance", None, 2), Cramer(2)])
def test_samples_that_coincide_have_finite_gradients_of_both_orders(loss):
    """As they do at first with a constant prior; R2 reads the critic at the samples themselves."""
    features = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    value = loss.discriminator(features, features) + loss.generator(features, features)
    value = value + loss.critic(features, features, features).sum()
    (first,) = torch.autograd.grad(value, features, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum() + 0 * value, features)
    assert first.isfinite().all()
    assert second.isfinite().all()


@pytest.mark.parametrize("loss", [MMD, Cramer])
def test_penalties_levels_and_alarms_read_the_critic(loss):
    """Its value at a point, and not the sum of some features."""
    torch.set_default_dtype(torch.float64)
    model = GAN(**SMALL, loss=loss(num_outputs=5), regularizers=[R1(1.0), R2(1.0)])
    ring = small_ring(labels=False)
    fitted(model, ring, max_steps=2, precision="64-true", log_every_n_steps=1)
    real, fake = torch.randn(2, 8, 2)
    read = model.discriminator
    (view,) = model.evaluation_views({"real": real, "fake": fake, "latent": None, "labels": None})
    expected = model.loss.critic(read(real + 1), read(real), read(fake))
    assert_close(view.discriminate(real + 1), expected)
    levels = model.pictures(Batch(real), 8)["level_sets"]
    expected = model.loss.critic(read(real), read(levels.real), read(levels.fake))
    assert_close(levels.score(real), expected)
    row = model.last_logged
    assert row["train/d_real"] != row["train/d_fake"]
    if loss is MMD:
        fitted(model, ring, max_steps=1, precision="64-true", callbacks=[Alarms()])


def test_the_gradient_penalty_is_that_of_the_critic_at_points_between():
    torch.manual_seed(3)
    model = CramerGAN(data_shape=(2,), loss=Cramer(4), n_critic=1).double()
    samples = model.draw(Batch(torch.randn(6, 2, dtype=torch.float64)))
    (player, _) = model.configure_players()
    model._round.rehearsing = True
    torch.manual_seed(4)
    terms, _, _ = model.evaluate_terms(player, samples, (True,))
    torch.manual_seed(4)
    share = torch.rand(6, 1, dtype=torch.float64)
    points = torch.lerp(samples.fake.detach(), samples.real, share).requires_grad_()
    h = model.discriminator
    apart = (h(points).unsqueeze(1) - h(samples.fake)).norm(dim=2).mean(1)
    value = (apart - h(points).norm(dim=1)).sum()
    (slope,) = torch.autograd.grad(value, points)
    expected = 10 * (slope.norm(dim=1) - 1).square().mean()
    assert terms["gradient_penalty"].item() == exact(expected.item())


def test_one_sample_cannot_be_compared_with_others():
    model = CramerGAN(**SMALL, n_critic=1)
    with pytest.raises(ValueError, match=r"at least 2, got 1\. Use a larger batch_size"):
        fitted(model, small_ring(batch_size=1))
    assert not model.has_trained


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMD("linear"), "kernel must be one of rational_quadratic, .*, got 'linear'"),
        (lambda: MMD(scales=[1.0, 0.0]), r"scales must be one or more numbers above 0, got \[1"),
        (lambda: MMD(scales=[]), r"scales must be one or more numbers above 0, got \[\]"),
        (lambda: MMD(num_outputs=0), "num_outputs must be at least 1, got 0"),
        (lambda: Cramer(num_outputs=-1), "num_outputs must be at least 1, got -1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
