from contextlib import suppress
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lightning_gans.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    GlobalPoolDiscriminator,
    GlobalPoolGenerator,
    MaxPoolDiscriminator,
    MaxPoolGenerator,
    MLPDiscriminator,
    MLPGenerator,
    VAEGenerator,
    evaluation_mode,
    has_batch_statistics,
)

GENERATORS = [
    *(DCGANGenerator, GlobalPoolGenerator, MaxPoolGenerator, MLPGenerator, VAEGenerator),
]


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


def test_generator_has_the_layers_that_were_asked_for():
    network = MLPGenerator(
        3, (1, 2, 2), [5, 6], nn.Tanh, normalization=nn.BatchNorm1d, output=nn.Sigmoid
    )
    assert kinds(network) == [
        *("Linear", "Tanh"),
        *("Linear", "BatchNorm1d", "Tanh"),
        *("Linear", "Sigmoid", "Unflatten"),
    ]
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linear]
    assert sizes == [(3, 5), (5, 6), (6, 4)]
    assert network(torch.randn(7, 3)).shape == (7, 1, 2, 2)


def test_discriminator_has_the_layers_that_were_asked_for():
    network = MLPDiscriminator((1, 2, 2), [5, 6], normalization=nn.LayerNorm)
    assert kinds(network) == [
        *("Flatten", "Linear", "ReLU"),
        *("Linear", "LayerNorm", "ReLU"),
        *("Linear", "Flatten"),
    ]
    assert network(torch.randn(7, 1, 2, 2)).shape == (7,)


def test_without_hidden_layers_both_are_linear():
    generator, discriminator = MLPGenerator(2, (3,), []), MLPDiscriminator((3,), [])
    z, x = torch.randn(4, 2), torch.randn(4, 3)
    linear = generator.layers[0]
    assert_close(generator(z), z @ linear.weight.T + linear.bias)
    linear = discriminator.layers[1]
    assert_close(discriminator(x), (x @ linear.weight.T + linear.bias).squeeze(1))


def test_a_layer_without_units_is_refused():
    with pytest.raises(ValueError, match=r"every layer needs at least 1 unit, got \[4, 0\]"):
        MLPGenerator(2, (2,), [4, 0])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), True),
        (nn.SyncBatchNorm(2), True),
        (nn.Sequential(nn.InstanceNorm2d(2), nn.LayerNorm(2), nn.GroupNorm(1, 2)), False),
    ],
)
def test_batch_statistics_are_found(module, expected):
    assert has_batch_statistics(module) is expected


def test_evaluation_mode_gives_each_part_its_mode_back_even_after_an_error():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout().eval(), nn.BatchNorm1d(2)))
    before = [part.training for part in network.modules()]
    inside = []
    with suppress(RuntimeError), evaluation_mode(network):
        inside += [part.training for part in network.modules()]
        raise RuntimeError
    assert not any(inside)
    assert [part.training for part in network.modules()] == before


# Convolutional networks


@pytest.mark.parametrize(
    ("shape", "width", "first"),
    [
        ((1, 28, 28), 64, (128, 7, 7)),
        ((3, 32, 32), 64, (256, 4, 4)),
        ((3, 64, 64), 128, (1024, 4, 4)),
        ((1, 128, 128), 4, (64, 4, 4)),
        ((3, 48, 80), 8, (32, 6, 10)),
    ],
)
def test_dcgan_starts_small_and_doubles(shape, width, first):
    generator = DCGANGenerator(10, shape, width)
    sizes = []
    for layer in generator.layers:
        layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    images = generator(torch.randn(2, 10))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert sizes[1] == first
    channels = [s[0] for s in dict.fromkeys(sizes[1:])]
    assert channels == [first[0] // 2**i for i in range(len(channels) - 1)] + [shape[0]]
    assert channels[-2] == width
    discriminator = DCGANDiscriminator(shape, width)
    last = [layer for layer in discriminator.layers if isinstance(layer, nn.Linear)]
    assert last[0].in_features == first[0] * first[1] * first[2]
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("shape", [(1, 30, 32), (1, 8, 8), (3, 33, 33), (2,)])
def test_dcgan_refuses_what_does_not_halve_twice(shape):
    for network in (lambda: DCGANGenerator(10, shape), lambda: DCGANDiscriminator(shape)):
        with pytest.raises(ValueError, match=r"data_shape: (DCGAN|these networks)"):
            network()


def test_dcgan_draws_its_weights_as_published():
    network = DCGANGenerator(100, (3, 64, 64), 64)
    weights = [m for m in network.modules() if isinstance(m, (nn.ConvTranspose2d))]
    assert len(weights) == 4
    for module in weights:
        assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert module.weight.mean().abs() < 1e-3
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert 0.9 < module.weight.min() < module.weight.max() < 1.1
            assert module.weight.std() > 0.01
            assert not module.bias.any()


def test_dcgan_normalises_where_it_is_said_to():
    def norms(network):
        return [m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d)]

    assert norms(DCGANGenerator(10, (3, 32, 32), 16)) == [64, 32, 16]
    assert norms(DCGANDiscriminator((3, 32, 32), 16)) == [32, 64]
    assert norms(DCGANDiscriminator((3, 32, 32), 16, normalization=None)) == []
    grouped = DCGANDiscriminator((3, 32, 32), 16, normalization=partial(nn.GroupNorm, 4))
    assert not has_batch_statistics(grouped)
    assert sum(isinstance(m, nn.GroupNorm) for m in grouped.modules()) == 2


def test_dcgan_with_a_hidden_layer_is_the_network_of_infogan():
    generator = DCGANGenerator(74, (1, 28, 28), hidden=1024)
    discriminator = DCGANDiscriminator((1, 28, 28), hidden=1024)
    found = [
        (type(layer).__name__, tuple(layer.weight.shape))
        for network in (generator, discriminator)
        for layer in network.layers
        if getattr(layer, "weight", None) is not None
    ]
    assert found == [
        *(("Linear", (1024, 74)), ("BatchNorm2d", (1024,))),
        *(("Linear", (6272, 1024)), ("BatchNorm2d", (128,))),
        *(("ConvTranspose2d", (128, 64, 4, 4)), ("BatchNorm2d", (64,))),
        ("ConvTranspose2d", (64, 1, 4, 4)),
        ("Conv2d", (64, 1, 4, 4)),
        *(("Conv2d", (128, 64, 4, 4)), ("BatchNorm2d", (128,))),
        *(("Linear", (1024, 6272)), ("BatchNorm2d", (1024,)), ("Linear", (1, 1024))),
    ]
    latent = torch.randn(8, 74)
    linear, _, normalization = generator.layers[:3]
    expected = nn.functional.batch_norm(
        linear(latent), None, None, normalization.weight, normalization.bias, training=True
    )
    assert_close(generator.layers[:5](latent), expected.relu())
    assert discriminator(generator(latent)).shape == (8,)


@pytest.mark.parametrize("size", ["width", "hidden"])
def test_dcgan_refuses_layers_of_no_units(size):
    for network in (DCGANDiscriminator, partial(DCGANGenerator, 10)):
        with pytest.raises(ValueError, match=rf"^{size} must be at least 1, got 0\."):
            network((1, 28, 28), **{size: 0})


def test_the_global_pool_pair_draws_its_weights_as_keras_does():
    """Keras counts (inputs + outputs) x pixels of the kernel, of transposed convolutions too."""
    pair = GlobalPoolGenerator(128, (1, 28, 28)), GlobalPoolDiscriminator((1, 28, 28))
    layers = [layer for network in pair for layer in network.layers if hasattr(layer, "weight")]
    fans = [128 + 6272, (128 + 128) * 16, (128 + 128) * 16, (128 + 1) * 49]
    fans += [(1 + 64) * 25, (64 + 128) * 25, 128 + 1]
    for layer, fan in zip(layers, fans, strict=True):
        bound = (6 / fan) ** 0.5
        assert 0.9 * bound < layer.weight.max() <= bound
        assert 0.9 * bound < -layer.weight.min() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("side", "first", "last"),
    [
        # Keras pads a side of n pixels with (ceil(n/2) - 1) * 2 + 5 - n zeros in all, of which
        # the smaller half comes before it.
        (28, range(4), range(25, 28)),
        (14, range(4), range(11, 14)),
        (29, range(3), range(26, 29)),
    ],
)
def test_the_global_pool_critic_pads_as_keras_does(side, first, last):
    """Shown by which columns, and which rows, the corners of the first layer read."""
    pad, convolution = GlobalPoolDiscriminator((1, side, side)).layers[:2]
    nn.init.ones_(convolution.weight)
    lit = torch.eye(side).reshape(side, 1, 1, side)  # one image for each column, all rows alike
    top_row = convolution(pad(lit.expand(-1, -1, side, -1)))[:, 0, 0]
    left_column = convolution(pad(lit.mT.expand(-1, -1, -1, side)))[:, 0, :, 0]
    for seen in (top_row, left_column):
        assert seen.shape == (side, -(-side // 2))
        assert seen[:, 0].nonzero().flatten().tolist() == [*first]
        assert seen[:, -1].nonzero().flatten().tolist() == [*last]


def test_the_global_pool_critic_pads_each_side_by_its_own_number_of_pixels():
    """Left, right, top and bottom; an odd side takes 2 on both of its ends."""
    pads = [
        m.padding for m in GlobalPoolDiscriminator((1, 30, 27)).modules() if hasattr(m, "padding")
    ]
    assert pads == [(2, 2, 1, 2), (0, 0), (1, 2, 2, 2), (0, 0)]


def test_the_global_pool_critic_finds_a_pattern_wherever_it_is():
    """Moved by a multiple of its strides, away from the border, a pattern scores the same."""
    critic = GlobalPoolDiscriminator((1, 48, 48))
    image = torch.zeros(1, 1, 48, 48)
    image[:, :, 16:24, 16:24] = torch.rand(8, 8)
    assert_close(critic(image), critic(image.roll((8, 4), (2, 3))))


@pytest.mark.parametrize(
    "network",
    [MaxPoolGenerator, GlobalPoolGenerator, lambda _, shape: MaxPoolDiscriminator(shape)],
)
@pytest.mark.parametrize("shape", [(2,), (1, 30, 28)])
def test_sides_that_are_no_multiples_of_4_are_refused(network, shape):
    with pytest.raises(ValueError, match=r"multiples of 4|need images, \(C, H, W\)"):
        network(10, shape)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Tanh, (-1.0, 1.0)),
        (nn.Sigmoid, (0.0, 1.0)),
        (partial(nn.Hardtanh, 0, 2), (0.0, 2.0)),
        (nn.ReLU6, None),
        (nn.Identity, None),
    ],
)
@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_declares_the_range_of_its_last_layer(kind, layer, expected):
    generator = kind(6, (1, 28, 28), output=layer)
    assert generator.output_range == expected
    samples = generator.eval()(torch.randn(3, 6))
    if expected is not None:
        low, high = expected
        assert low <= samples.min()
        assert samples.max() <= high


def test_a_generator_without_an_output_layer_declares_none():
    assert MLPGenerator(2, (1, 2, 2), [3]).output_range is None
