"""Layers that compare the samples of a batch, and what they forbid."""

from functools import partial
from math import exp

import pytest
import torch
from conftest import MadeImages, fitted, same, small_ring, snapshot
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import ACGAN, GAN, WGANGP
from lightning_gans.networks import (
    DCGANCritic,
    GradientNormalization,
    MinibatchDiscrimination,
    MinibatchFeatures,
    MinibatchStdDev,
    MLPDiscriminator,
    SpectralNorm,
    outputs_with_features,
)
from lightning_gans.networks.independence import treats_samples_alone

DOUBLE = torch.float64
FOUR = torch.tensor([[0.0, 1], [5, 2], [4, 4], [4, 10]], dtype=DOUBLE)
LAYERS = [MinibatchStdDev, partial(MinibatchDiscrimination, num_kernels=5)]


def test_the_groups_of_the_deviation_have_every_other_sample():
    """Groups of neighbours, an unbiased variance or the mean of variances give other values."""
    layer = MinibatchStdDev(2, group_size=2)
    found = layer(FOUR)
    assert torch.equal(found[:, :2], FOUR)
    expected = torch.tensor([1.7500000029, 2.2500000056] * 2, dtype=DOUBLE)
    assert_close(found[:, 2], expected, rtol=0, atol=1e-9)
    closed = [
        sum((((a - b) / 2) ** 2 + 1e-8) ** 0.5 for a, b in pairs) / 2
        for pairs in (((0, 4), (1, 4)), ((5, 4), (2, 10)))
    ]
    assert_close(found[:2, 2], torch.tensor(closed, dtype=DOUBLE), rtol=0, atol=1e-12)
    neighbours = [(2.5 + 0.5) / 2, (0 + 3) / 2]
    assert all(abs(found[0, 2] - wrong) > 0.1 for wrong in (*neighbours, closed[0] * 2**0.5))


def test_images_get_one_more_channel():
    images = FOUR.reshape(4, 1, 2, 1)
    found = MinibatchStdDev(1, group_size=2)(images)
    assert found.shape == (4, 2, 2, 1)
    assert_close(found[:, 1, 0, 0], MinibatchStdDev(2, 2)(FOUR)[:, 2], rtol=0, atol=1e-12)
    assert torch.equal(found[:, 1, 0], found[:, 1, 1])


def test_a_batch_smaller_than_a_group_is_one():
    found = MinibatchStdDev(2, group_size=4)(FOUR[:2])
    assert_close(found[:, 2], torch.full((2,), (2.5 + 0.5) / 2, dtype=DOUBLE), rtol=0, atol=1e-8)


def closeness(x, **sizes):
    """What one kernel of the points themselves appends."""
    layer = MinibatchDiscrimination(2, num_kernels=1, kernel_dim=2, **sizes).double()
    nn.init.eye_(layer.vectors.weight)
    return layer(x)


def test_closeness_leaves_a_sample_itself_out():
    """With itself each number is larger by 1."""
    x = torch.tensor([[0.0, 0], [1, 0], [0, 2]], dtype=DOUBLE)
    found = closeness(x)
    assert torch.equal(found[:, :2], x)
    expected = torch.tensor([0.5032147244, 0.4176665095, 0.1851223516], dtype=DOUBLE)
    assert_close(found[:, 2], expected, rtol=0, atol=1e-9)
    closed = [exp(-1) + exp(-2), exp(-1) + exp(-3), exp(-2) + exp(-3)]
    assert_close(found[:, 2], torch.tensor(closed, dtype=DOUBLE), rtol=0, atol=1e-12)


def test_each_kernel_has_vectors_of_its_own():
    layer = MinibatchDiscrimination(3, num_kernels=4, kernel_dim=2)
    x = torch.randn(5, 3)
    found = layer(x)[:, 3:]
    weight = layer.vectors.weight.detach().reshape(4, 2, 3)
    for kernel in range(4):
        vectors = x @ weight[kernel].T
        for i in range(5):
            others = [j for j in range(5) if j != i]
            closed = sum(torch.exp(-(vectors[i] - vectors[j]).abs().sum()) for j in others)
            assert_close(found[i, kernel], closed)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_gradient_of_a_gradient_is_finite_where_samples_are_equal(layer):
    x = torch.ones(4, 3, dtype=DOUBLE, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(3).double()(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad.isfinite().all()


def test_in_half_precision_equal_samples_have_a_finite_gradient():
    """What is added to a variance is 0 there, and the root of 0 has none."""
    x = torch.tensor([[1.0, 0.5], [1.0, 0.25], [1.0, 2.0], [1.0, -1.0]])
    whole, half = (
        x.to(dtype, copy=True).requires_grad_() for dtype in (torch.float32, torch.float16)
    )
    for samples in (whole, half):
        MinibatchStdDev(2)(samples)[:, 2].sum().backward()
    assert half.grad.dtype == torch.float16
    assert whole.grad[:, 1].abs().min() > 0.02
    assert_close(half.grad.float(), whole.grad, rtol=1e-3, atol=1e-3)


# In networks


@pytest.mark.parametrize("layer", LAYERS)
def test_a_network_with_one_does_not_treat_samples_alone(layer):
    made = layer(8)
    chain = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), made, nn.Linear(made.out_features, 1))
    assert not treats_samples_alone(chain, 2)
    assert treats_samples_alone(nn.Sequential(chain[0], chain[1], nn.Linear(8, 1)), 2)
    assert not treats_samples_alone(MinibatchFeatures((2,), layer=layer), 2)
    for network in (chain, SpectralNorm(network=chain)):
        sizes = []
        model = GAN(data_shape=(2,), discriminator=network)
        handle = network.register_forward_hook(lambda _, x, __, s=sizes: s.append(len(x[0])))
        fitted(model, small_ring(batch_size=4), max_steps=1)
        handle.remove()
        assert set(sizes[1:]) == {4}  # after the networks were tried with two samples


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("num_outputs", [1, 3])
def test_the_wrapper_is_a_wider_last_layer(layer, num_outputs):
    critic = MinibatchFeatures((2,), MLPDiscriminator, layer, num_outputs=num_outputs)
    x = torch.randn(8, 2)
    features = critic.network.layers[: -2 if num_outputs == 1 else -1](x)
    last = critic.network.layers[-2 if num_outputs == 1 else -1]
    weight = torch.cat([last.weight, critic.weights.weight], 1)
    expected = critic.layer(features) @ weight.T + last.bias
    assert_close(critic(x), expected.squeeze(1) if num_outputs == 1 else expected)
    outputs, found = outputs_with_features(critic, x)
    assert torch.equal(found, critic.layer(features))
    assert torch.equal(outputs, critic(x))
    assert critic.weights.weight.abs().max() <= found.shape[1] ** -0.5


def test_the_wrapper_reads_images_classes_and_patches():
    images = MinibatchFeatures((1, 16, 16), partial(DCGANCritic, width=4))
    assert images(torch.rand(4, 1, 16, 16)).shape == (4,)
    asked = MinibatchFeatures((2,), num_classes=3)
    assert asked(torch.rand(4, 2), torch.tensor([0, 1, 2, 0])).shape == (4,)
    patches = nn.Sequential(nn.Conv2d(1, 2, 4, 4), nn.ReLU(), nn.Conv2d(2, 1, 1))
    assert MinibatchFeatures((1, 16, 16), patches)(torch.rand(4, 1, 16, 16)).shape == (4, 1, 4, 4)


@pytest.mark.parametrize("layer", LAYERS)
def test_models_train_with_it(layer):
    wrap = partial(MinibatchFeatures, layer=layer)
    images = partial(wrap, network=partial(DCGANCritic, width=4))
    labelled = small_ring(num_modes=4, labels=True)
    for model, data in (
        (ACGAN(data_shape=(2,), num_classes=4, discriminator=wrap), labelled),
        (WGANGP(data_shape=(2,), discriminator=wrap((2,))), small_ring()),
        (GAN(data_shape=(1, 16, 16), discriminator=images), MadeImages()),
    ):
        weights = [p for p in model.discriminator.parameters() if p.ndim > 1]
        before = [weight.detach().clone() for weight in weights]
        fitted(model, data, max_steps=1)
        assert not any(map(torch.equal, before, weights))


# What goes with it, and what does not


def test_a_discriminator_that_compares_is_not_shown_point_by_point():
    """Its levels on a plane would be those of a batch of points of the plane."""
    for network, shown in ((MLPDiscriminator((2,)), True), (MinibatchFeatures((2,)), False)):
        model = WGANGP(data_shape=(2,), discriminator=network)
        assert model.judges_alone is shown
        assert (model.wasserstein_critic() is not None) is shown
        ring = small_ring(num_eval_samples=8)
        fitted(model, ring, max_steps=1)
        real = model.read_batch(ring.training_batch(0, 0, 8, 0, 1))
        assert ("level_sets" in model.pictures(real, 8)) is shown


def test_samples_that_are_no_whole_groups_are_refused_before_training():
    model = GAN(data_shape=(2,), discriminator=MinibatchFeatures)
    before = snapshot(model)
    with pytest.raises(
        ValueError,
        match=r"6 samples of an update cannot be split into groups of 4 \(group_size\). Use a",
    ):
        fitted(model, small_ring(batch_size=6))
    assert same(before, snapshot(model))


def test_a_smaller_last_batch_is_trimmed_to_whole_groups():
    points = TensorDataset(torch.randn(8 + 7, 2))
    model, seen = GAN(data_shape=(2,), discriminator=MinibatchFeatures), []
    usual = model.generator_loss
    model.generator_loss = lambda x: seen.append(len(x.real)) or usual(x)
    fitted(model, DataLoader(points, batch_size=8), max_steps=2)
    assert seen == [8, 8, 4]  # the first is tried before training
    assert model.usable(3) == 3
    views = {"real": torch.zeros(7, 2), "fake": torch.ones(7, 2), "latent": None, "labels": None}
    assert len(model.evaluation_views(views)[0].real) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MinibatchStdDev(0), "num_features must be at least 1, got 0"),
        (lambda: MinibatchStdDev(2, 1), "group_size must be .* at least 2, got 1. Use 4"),
        (lambda: MinibatchStdDev(2, 2.5), "group_size must be a whole number .* got 2.5. Use 4"),
        (
            lambda: MinibatchStdDev(2)(torch.zeros(6, 2)),
            r"6 samples cannot be split into groups of 4 \(group_size\). Use a batch_size that",
        ),
        (
            lambda: MinibatchStdDev(2)(torch.zeros(4, 3)),
            r"reads 2 features .* shape \(4, 3\). Use",
        ),
        (lambda: MinibatchDiscrimination(2, 0), "num_kernels must be at least 1, got 0"),
        (lambda: MinibatchDiscrimination(2, 3, 0), "kernel_dim must be at least 1, got 0"),
        (
            lambda: MinibatchDiscrimination(2)(torch.zeros(4, 2, 3, 3)),
            r"shape \(4, 2, 3, 3\). Use torch.nn.Flatten before it",
        ),
        (
            lambda: MinibatchFeatures((2,), layer=nn.BatchNorm1d),
            "layer must make a layer that com",
        ),
        (
            lambda: MinibatchFeatures((2,), nn.Linear(2, 1)),
            "discriminator: Linear has no features",
        ),
        (
            lambda: GradientNormalization((2,), MinibatchFeatures),
            "GradientNormalization: MinibatchFeatures compares the samples of a batch",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
