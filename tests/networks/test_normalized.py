"""Discriminators of bounded slope."""

from functools import partial

import pytest
import torch
from conftest import MadeImages, fitted, small_ring
from torch import nn
from torch.nn.utils import parametrize
from torch.testing import assert_close

from lightning_gans import ACGAN, GAN, load
from lightning_gans.cli.main import main
from lightning_gans.networks import (
    DCGANCritic,
    DCGANDiscriminator,
    GradientNormalization,
    MLPDiscriminator,
    SpectralNorm,
    StyleGAN2Discriminator,
    evaluation_mode,
)
from lightning_gans.networks.equalized import EqualizedConv2d
from lightning_gans.regularizers import R1

BOTH = [SpectralNorm, GradientNormalization]


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def linear(*rows):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(doubles(*rows))
    return layer


# Spectral norm


def iterated(steps):
    """The wrapped matrix ((3, 1), (0, 2)) after some power iterations from v = (1, 0)."""
    wrapped = SpectralNorm(network=nn.Sequential(linear([3.0, 1.0], [0.0, 2.0])))
    layer = wrapped.network[0]
    with evaluation_mode(layer):
        layer.parametrizations.weight[0]._v.copy_(doubles(1.0, 0.0))
        layer.parametrizations.weight[0]._u.copy_(doubles(1.0, 0.0))
    for _ in range(steps):
        layer.weight  # noqa: B018  each reading in training makes an iteration
    return wrapped, layer


def test_an_iteration_is_that_of_the_paper():
    """From v = (1, 0): u = (3, 0) / 3, then v = (3, 1) / sqrt(10), and so u W v = sqrt(10)."""
    _, layer = iterated(1)
    state = layer.parametrizations.weight[0]
    assert_close(state._u, doubles(1.0, 0.0))
    assert_close(state._v, doubles(3.0, 1.0) / 10**0.5)
    with evaluation_mode(layer):
        ratio = (layer.parametrizations.weight.original / layer.weight)[0, 0]
    assert ratio.item() == pytest.approx(10**0.5, abs=1e-12)


def test_a_layer_ends_with_a_largest_singular_value_of_1():
    _, layer = iterated(40)
    with evaluation_mode(layer):
        values = torch.linalg.svdvals(layer.weight)
        ratio = (layer.parametrizations.weight.original / layer.weight)[0, 0]
    assert values[0].item() == pytest.approx(1, abs=1e-6)
    assert ratio.item() == pytest.approx(3.2566165380, abs=1e-9)


def test_the_gradient_runs_through_the_value_and_not_through_the_vectors():
    _, layer = iterated(1)
    original, state = layer.parametrizations.weight.original, layer.parametrizations.weight[0]
    c = doubles([1.0, 2.0], [3.0, 4.0])
    with evaluation_mode(layer):
        (c * layer.weight).sum().backward()
    u, v = state._u, state._v
    sigma = (u @ original @ v).detach()
    weight = original.detach() / sigma
    expected = (c - (c * weight).sum() * torch.outer(u, v)) / sigma
    assert_close(original.grad, expected, rtol=0, atol=1e-12)
    assert (original.grad * original).sum().item() == pytest.approx(0, abs=1e-12)


def test_every_layer_is_normalised_and_nothing_else():
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.ConvTranspose2d(3, 2, 2), nn.LayerNorm(4), nn.Flatten()
    )
    names = [name for name, part in network.named_children() if hasattr(part, "weight")]
    SpectralNorm(network=network)
    changed = [n for n, part in network.named_children() if parametrize.is_parametrized(part)]
    assert names == ["0", "2", "3"]
    assert changed == ["0", "2"]
    with evaluation_mode(network), torch.no_grad():
        for name, flat in (("0", lambda w: w.flatten(1)), ("2", lambda w: w.transpose(0, 1))):
            weight = flat(network[int(name)].weight).flatten(1)
            assert torch.linalg.svdvals(weight)[0].item() == pytest.approx(1, abs=0.02)


def test_the_scale_multiplies_the_outputs():
    x = torch.randn(4, 2)
    network = nn.Linear(2, 1)
    wrapped = SpectralNorm(network=network, scale=5.0).eval()
    assert_close(wrapped(x), 5 * network(x))


def test_an_update_makes_one_iteration_and_reads_real_and_fake_samples_with_the_same_weights():
    weights = []
    wrapped = SpectralNorm(network=nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)))
    model = GAN(data_shape=(2,), discriminator=wrapped, n_critic=2, regularizers=[R1()])
    usual = wrapped.network.forward
    wrapped.network.forward = lambda x: weights.append(wrapped.network[0].weight) or usual(x)
    fitted(model, max_steps=2)
    ids = [id(weight) for weight in weights[-7:]]  # of the last round
    assert len({*ids[:3]}) == len({*ids[3:6]}) == 1  # real, fake, and those of the penalty
    assert len({*ids}) == 3  # and the generator's turn


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_out_of_range_is_refused(scale):
    with pytest.raises(
        ValueError, match=f"SpectralNorm: scale must be finite and above 0, got {scale}"
    ):
        SpectralNorm((2,), scale=scale)


@pytest.mark.parametrize(
    "network",
    [
        lambda shape: StyleGAN2Discriminator(shape, base_channels=16, max_channels=4),
        lambda shape: nn.Sequential(EqualizedConv2d(1, 2, 8), nn.Flatten(), nn.Linear(2, 1)),
    ],
)
def test_layers_that_it_cannot_normalize_are_named(network):
    """With some layers of slope 1 and others without bound the network has no bound."""
    with pytest.raises(
        ValueError, match=r"^SpectralNorm: it cannot normalize the weights of Equalized\w+, which"
    ):
        SpectralNorm((1, 8, 8), network)


def test_a_network_without_layers_is_refused():
    with pytest.raises(ValueError, match="SpectralNorm: Flatten has no linear or convolutional"):
        SpectralNorm(network=nn.Flatten())


# Gradient normalization

POINTS = doubles([0.1, 0.2], [1.0, -1.0])


def test_a_linear_network_has_its_published_values_and_slopes():
    critic = GradientNormalization(network=linear([3.0, 4.0]))
    x = POINTS.clone().requires_grad_()
    outputs = critic(x)
    (gradient,) = torch.autograd.grad(outputs.sum(), x)
    assert_close(outputs, doubles(0.1803278689, -0.1666666667), rtol=0, atol=1e-9)
    assert_close(outputs, doubles(1.1 / 6.1, -1 / 6), rtol=0, atol=1e-12)
    slopes = gradient.norm(dim=1)
    assert_close(slopes, doubles(0.6718624026, 0.6944444444), rtol=0, atol=1e-9)
    assert_close(slopes, doubles(25 / 6.1**2, 25 / 36), rtol=0, atol=1e-12)


def test_its_gradient_runs_through_the_norm():
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    critic = GradientNormalization(network=network)
    parameters = tuple(network.parameters())

    def outputs(x, *values):
        for (name, _), value in zip([*network.named_parameters()], values, strict=True):
            layer, kind = name.split(".")
            del network[int(layer)]._parameters[kind]
            setattr(network[int(layer)], kind, value)
            network[int(layer)]._parameters[kind] = value
        return critic(x)

    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (x, *parameters))


def test_it_is_finite_where_network_and_gradient_are_zero():
    network = linear([0.0, 0.0])
    critic = GradientNormalization(network=network)
    outputs = critic(POINTS)
    outputs.sum().backward()
    assert torch.equal(outputs, torch.zeros(2, dtype=torch.float64))
    assert network.weight.grad.isfinite().all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(mode):
    critic = GradientNormalization(network=linear([3.0, 4.0]))
    with mode():
        outputs = critic(POINTS.clone())
    assert_close(outputs, doubles(1.1 / 6.1, -1 / 6))
    assert not outputs.requires_grad


def test_it_refuses_batch_statistics_and_several_outputs():
    with pytest.raises(
        ValueError, match=r"GradientNormalization: DCGANDiscriminator has BatchNor"
    ):
        GradientNormalization((1, 16, 16), DCGANDiscriminator)
    GradientNormalization((1, 16, 16), DCGANCritic)
    with pytest.raises(ValueError, match=r"num_outputs must be 1, got 9.*Use SpectralNorm"):
        ACGAN(data_shape=(2,), num_classes=8, discriminator=GradientNormalization)
    with pytest.raises(ValueError, match=r"for 4 samples have shape \(4, 3\). Use SpectralNorm"):
        GradientNormalization(network=nn.Linear(2, 3))(torch.zeros(4, 2))


# Both


@pytest.mark.parametrize("kind", BOTH)
def test_a_wrapper_without_shape_and_module_is_refused(kind):
    with pytest.raises(ValueError, match="data_shape must be given, unless network is a module"):
        kind()


@pytest.mark.parametrize("kind", BOTH)
def test_images_classes_and_heads_reach_the_network(kind):
    wide = partial(kind, network=partial(DCGANCritic, width=4))
    model = GAN(data_shape=(1, 16, 16), num_classes=10, discriminator=wide)
    fitted(model, MadeImages(), max_steps=1)
    assert model.discriminator.network.labels.num_classes == 10
    if kind is SpectralNorm:
        model = ACGAN(data_shape=(2,), num_classes=8, discriminator=kind)
        fitted(model, small_ring(labels=True), max_steps=1)
        assert model.discriminator.network.layers[-1].out_features == 9


@pytest.mark.parametrize("kind", BOTH)
def test_a_wrapper_is_chosen_by_flags_and_loaded_again(kind):
    main(
        [
            *("fit", "--name", "run", "--model", "GAN", "--data", "GaussianRing"),
            *("--model.discriminator", kind.__name__),
            *("--model.discriminator.network", "MLPDiscriminator"),
            *("--model.discriminator.network.hidden", "[8]"),
            *("--data.batch_size", "4", "--data.num_eval_samples", "16"),
            *("--trainer.max_steps", "2", "--trainer.val_check_interval", "2"),
            *("--pictures.enabled", "false", "--trainer.accelerator", "cpu"),
        ]
    )
    loaded = load("run")
    assert type(loaded.discriminator) is kind
    assert type(loaded.discriminator.network) is MLPDiscriminator
    assert loaded.discriminator.network.layers[1].out_features == 8
    outputs = loaded.discriminate(torch.randn(5, 2))
    assert outputs.isfinite().all()
    assert outputs.std() > 0
