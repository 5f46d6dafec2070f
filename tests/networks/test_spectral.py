"""The networks of SNGAN, of WGAN-GP for CIFAR-10 and of the projection discriminator."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, interpolate
from torch.nn.utils import parametrize
from torch.testing import assert_close

from lightning_gans.networks import (
    ConditionalBatchNorm2d,
    ResNetCritic,
    ResNetDiscriminator,
    ResNetGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
    SNCNNDiscriminator,
    SNCNNGenerator,
    outputs_with_features,
)

DIGIT = (1, 28, 28)


def photo(side):
    return (3, side, side)


def number_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


def disturbed(network):
    """The network with other weights, so that nothing is left at 0 or 1."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


# Sizes: the numbers of parameters of the authors' and of other public code


@pytest.mark.parametrize(
    ("generator", "discriminator", "side", "classes", "in_generator", "in_discriminator"),
    [
        (ResNetGenerator, ResNetDiscriminator, 32, None, 4_276_739, 1_053_825),
        (ResNetGenerator, ResNetDiscriminator, 48, None, 4_878_083, 10_141_441),
        (ResNetGenerator, ResNetDiscriminator, 64, None, 12_220_675, 10_141_441),
        (ResNetGenerator, ResNetDiscriminator, 128, None, 32_150_787, 29_017_857),
        (partial(ResNetGenerator, width=128), ResNetCritic, 32, None, 1_204_483, 1_053_825),
        (ResNetGenerator, ResNetDiscriminator, 32, 10, 4_304_387, 1_055_105),
        (ResNetGenerator, ResNetDiscriminator, 128, 1000, 41_996_931, 30_041_857),
        (SNCNNGenerator, SNCNNDiscriminator, 32, None, 3_813_379, 5_860_865),
        (SNCNNGenerator, SNCNNDiscriminator, 48, None, 5_134_339, 5_871_105),
        (SAGANGenerator, SAGANDiscriminator, 32, 10, 4_386_308, 1_075_586),
        pytest.param(
            *(SAGANGenerator, SAGANDiscriminator, 128, 1000, 42_017_412, 39_448_258),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_networks_have_the_published_numbers_of_parameters(
    generator, discriminator, side, classes, in_generator, in_discriminator
):
    with torch.device("meta"):
        made = generator(128, photo(side), num_classes=classes)
        read = discriminator(photo(side), num_classes=classes)
    assert (number_of(made), number_of(read)) == (in_generator, in_discriminator)


SIDES = [28, 32, 48, 64, 128]
NETWORKS = {
    "ResNet": (ResNetGenerator, ResNetDiscriminator),
    "SN-CNN": (SNCNNGenerator, SNCNNDiscriminator),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", SIDES)
def test_images_of_every_size_are_made_and_read(name, side):
    generator, discriminator = NETWORKS[name]
    with torch.device("meta"):
        images = generator(5, photo(side), width=8)(torch.empty(2, 5))
        assert images.shape == (2, *photo(side))
        assert discriminator(photo(side), width=8)(images).shape == (2,)


# Initial weights: networks are made in the tests, with their seed


def weights_of(network):
    """The weights of layers as they are before spectral norm, and their biases."""
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            wrapped = parametrize.is_parametrized(part)
            weight = part.parametrizations.weight.original if wrapped else part.weight
            yield part, weight, getattr(part, "bias", None)


@pytest.mark.parametrize(
    "make",
    [
        partial(ResNetGenerator, 64, DIGIT, width=32, num_classes=10),
        partial(ResNetDiscriminator, (3, 64, 64), width=8, num_classes=10),
        partial(ResNetCritic, DIGIT, width=32),
        partial(SAGANGenerator, 64, DIGIT, width=32),
        partial(SAGANDiscriminator, DIGIT, width=32),
    ],
    ids=lambda make: make.func.__name__,
)
def test_residual_networks_begin_as_glorot_draws(make):
    """Uniform, with a gain of sqrt(2) in the main chains of blocks; not lost to spectral norm."""
    network = make()
    main = {id(p) for part in network.modules() for p in getattr(part, "main", ())}
    assert main
    for part, weight, bias in weights_of(network):
        bound = (6 / (weight.shape[0] + weight.shape[1]) / weight[0, 0].numel()) ** 0.5
        if id(part) in main:
            bound *= 2**0.5
        assert weight.abs().max().item() <= 1.0001 * bound
        assert weight.abs().max().item() > (0.9 if weight.numel() > 60 else 0.5) * bound
        assert bias is None or not bias.any()


@pytest.mark.parametrize(
    "make",
    [
        partial(SNCNNGenerator, 64, DIGIT, width=16),
        partial(SNCNNDiscriminator, DIGIT, width=16, num_classes=10),
    ],
    ids=lambda make: make.func.__name__,
)
def test_plain_networks_begin_with_small_normal_weights(make):
    network = make()
    for _, weight, bias in weights_of(network):
        if weight.numel() > 1000:
            assert weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert bias is None or not bias.any()


@pytest.mark.parametrize(
    "make",
    [
        partial(ResNetDiscriminator, DIGIT, width=8, num_classes=3),
        partial(SNCNNDiscriminator, DIGIT, width=4, num_classes=3),
        partial(SAGANDiscriminator, DIGIT, width=8, num_classes=3),
        partial(SAGANGenerator, 8, DIGIT, width=8, num_classes=3),
    ],
    ids=lambda make: make.func.__name__,
)
def test_every_layer_has_spectral_norm_1_at_first(make):
    """So have the vectors of the classes."""
    network = make()
    layers = [part for part, _, _ in weights_of(network)]
    assert any(isinstance(part, nn.Embedding) for part in layers) or network.layers[0] in layers
    network.eval()
    for part in layers:
        assert parametrize.is_parametrized(part)
        largest = torch.linalg.matrix_norm(part.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.1)


def test_generators_without_spectral_norm_and_critics_have_none():
    for network in (
        *(ResNetGenerator(8, DIGIT, 8), SNCNNGenerator(8, DIGIT, 4), ResNetCritic(DIGIT, 8)),
    ):
        assert not any(parametrize.is_parametrized(part) for part in network.modules())


# Formulas


def convolved(x, layer, padding=1):
    return conv2d(x, layer.weight, layer.bias, padding=padding)


def normed(x, layer):
    return batch_norm(x, None, None, layer.weight, layer.bias, training=True)


def test_a_block_of_the_generator_is_that_of_the_table():
    block = disturbed(ResNetGenerator(4, (3, 64, 64), width=4).layers[2]).double()
    x = torch.randn(3, 64, 4, 4, dtype=torch.float64)
    norm1, _, _, conv1, norm2, _, conv2 = block.main
    y = interpolate(normed(x, norm1).relu(), scale_factor=2)
    y = convolved(normed(convolved(y, conv1), norm2).relu(), conv2)
    shortcut = convolved(interpolate(x, scale_factor=2), block.shortcut[1], 0)
    assert_close(block(x), y + shortcut)
    assert conv1.weight.shape == (32, 64, 3, 3)
    assert conv2.weight.shape == (32, 32, 3, 3)


@pytest.mark.parametrize("wide", [False, True])
def test_blocks_of_the_discriminator_are_those_of_the_table(wide):
    kind = partial(SAGANDiscriminator, attention=16) if wide else ResNetCritic
    network = disturbed(kind((3, 48, 48), width=8) if not wide else kind((3, 64, 64), width=8))
    blocks = [part for part in network.layers if hasattr(part, "shortcut")]
    first, second, *_, last = blocks
    with torch.no_grad():
        x = torch.randn(2, 3, 8, 8)
        read, _, hidden, _ = first.main
        y = avg_pool2d(convolved(convolved(x, read).relu(), hidden), 2)
        assert_close(first.eval()(x), y + convolved(avg_pool2d(x, 2), first.shortcut[1], 0))
        x = torch.randn(2, 8, 8, 8)
        _, read, _, hidden, _ = second.main
        y = avg_pool2d(convolved(convolved(x.relu(), read).relu(), hidden), 2)
        shortcut = avg_pool2d(convolved(x, second.shortcut[0], 0), 2)
        assert_close(second.eval()(x), y + shortcut)
        assert hidden.weight.shape[:2] == ((16, 16) if wide else (16, 8))
        assert (len(last.main), len(last.shortcut)) == ((5, 2) if wide else (4, 1))


def test_features_are_sums_over_pixels_and_for_the_critic_means():
    x = torch.randn(2, *photo(32))
    sums, means = ResNetDiscriminator(photo(32), width=8), ResNetCritic(photo(32), width=8)
    with torch.no_grad():
        for network, total in ((sums.eval(), 1), (means, 64)):
            maps = network.layers[:-1](x)
            assert maps.shape == (2, 8, 8, 8)
            features = outputs_with_features(network, x)[1]
            assert_close(features, maps.flatten(2).sum(2) / total)
            weight, bias = network.head.weight, network.head.bias
            assert_close(network(x), (features @ weight.T + bias)[:, 0])


def test_the_last_blocks_of_small_images_have_a_shortcut_without_layers():
    blocks = [part for part in ResNetCritic(photo(32), width=8).layers if hasattr(part, "main")]
    assert [len(block.shortcut) for block in blocks] == [2, 2, 0, 0]


# Classes


def test_conditional_batch_norm_has_the_gain_and_bias_of_each_class():
    norm = disturbed(ConditionalBatchNorm2d(4, num_classes=3)).double()
    x = 2 + 3 * torch.randn(5, 4, 2, 2, dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 2, 0])
    shares = nn.functional.one_hot(labels, 3).double()
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    plain = (x - mean) / (variance + 1e-5).sqrt()
    for found, image, label in zip(norm(x, shares), plain, labels, strict=True):
        expected = image * norm.gain[label, :, None, None] + norm.bias[label, :, None, None]
        assert_close(found, expected)
    fresh = ConditionalBatchNorm2d(4, num_classes=3).double()
    assert_close(fresh(x, shares), plain)


CONDITIONAL = {
    "ResNet": partial(ResNetGenerator, 6, DIGIT, 8, num_classes=3),
    "SAGAN": partial(SAGANGenerator, 6, DIGIT, 8, num_classes=3),
    "SN-CNN": partial(SNCNNGenerator, 6, DIGIT, 4, num_classes=3),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_between_classes_lie_images_of_weighted_gains_and_biases(name):
    generator = disturbed(CONDITIONAL[name]()).eval().double()
    z = torch.randn(2, 6, dtype=torch.float64)
    norms = [part for part in generator.modules() if isinstance(part, ConditionalBatchNorm2d)]
    with torch.no_grad():
        whole = generator(z, torch.tensor([0, 2]))
        assert_close(generator(z, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])), whole)
        between = generator(z, torch.tensor([[0.25, 0.0, 0.75]] * 2))
        for norm in norms:
            for table in (norm.gain, norm.bias):
                table[1] = 0.25 * table[0] + 0.75 * table[2]
        assert_close(generator(z, torch.tensor([1, 1])), between)
    assert (whole[0] - between[0]).abs().max() > 0.01
    with pytest.raises(ValueError, match="labels: a network of 3 classes needs the class"):
        generator(z)


@pytest.mark.parametrize("kind", [ResNetDiscriminator, SAGANDiscriminator, SNCNNDiscriminator])
@pytest.mark.parametrize("num_outputs", [1, 2])
def test_the_discriminator_projects_on_the_vector_of_the_class(kind, num_outputs):
    network = disturbed(kind(DIGIT, 8, num_classes=3, num_outputs=num_outputs)).eval()
    x, labels = torch.randn(4, *DIGIT), torch.tensor([2, 0, 1, 2])
    with torch.no_grad():
        features = network.layers(x)
        plain = features @ network.head.weight.T + network.head.bias
        vectors = network.vectors.weight.reshape(3, num_outputs, -1)
        expected = torch.stack(
            [
                row + vectors[label] @ h
                for row, label, h in zip(plain, labels, features, strict=True)
            ]
        )
        outputs, told = outputs_with_features(network, x, labels)
    assert_close(outputs, expected.squeeze(1), rtol=1e-4, atol=1e-4)
    assert_close(told, features)


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ResNetGenerator(8, (3, 40, 40)),
            r"images of 28, 32, 48, 64 and 128 pixels, got 40 x 40. Use 32 x 32.",
        ),
        (lambda: ResNetDiscriminator((3, 32, 64)), r"got 32 x 64. Use 48 x 48."),
        (lambda: ResNetCritic((2,)), r"data_shape: these networks need images, \(C, H, W\)"),
        (lambda: SAGANGenerator(8, (1, 256, 256)), r"got 256 x 256. Use 128 x 128."),
        (
            lambda: SNCNNGenerator(8, (3, 30, 32)),
            r"multiples of 4, at least 16 pixels, got 30 x 32. Use 32 x 32.",
        ),
        (lambda: SNCNNDiscriminator((3, 8, 8)), r"got 8 x 8. Use 16 x 16."),
        (lambda: ResNetGenerator(8, DIGIT, width=0), "width must be at least 1, got 0"),
        (lambda: ResNetDiscriminator(DIGIT, width=-1), "width must be at least 1, got -1"),
        (lambda: SNCNNGenerator(8, DIGIT, width=0), "width must be at least 1, got 0"),
        (lambda: SNCNNDiscriminator(DIGIT, num_outputs=0), "num_outputs must be at least 1"),
        (lambda: ResNetGenerator(8, DIGIT, num_classes=0), "num_classes must be at least 1"),
    ],
)
def test_what_no_table_has_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
