"""The networks of R3GAN."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import leaky_relu, pad
from torch.testing import assert_close

from lightning_gans.networks import R3GANDiscriminator, R3GANGenerator, outputs_with_features
from lightning_gans.networks.independence import treats_samples_alone
from lightning_gans.networks.r3gan import ResidualBlock
from lightning_gans.networks.resampling import Downsample, Upsample

DIGIT, PHOTO, FACE = (1, 28, 28), (3, 32, 32), (3, 64, 64)
SMALL = {"widths": [8, 16], "cardinality": [4, 2]}
"""Of images of 8 pixels."""


def number_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


def disturbed(network):
    """The network with other weights, so that nothing is left at 0 or 1, in double precision."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network.double()


# Sizes


@pytest.mark.parametrize(
    ("arguments", "data_shape", "classes", "in_generator", "in_discriminator"),
    [
        ({}, PHOTO, 10, 20_781_952, 21_280_512),
        ({}, PHOTO, None, 20_732_160, 20_683_776),
        ({"widths": [1536] * 4, "cardinality": [96] * 4}, PHOTO, 1000, 82_914_304, 86_548_992),
        ({}, FACE, None, 22_429_824, 22_381_440),
        ({"widths": [384] * 4}, PHOTO, None, 5_647_488, 5_623_296),
        ({"widths": [96] * 4, "blocks": 1}, PHOTO, None, 267_552, 261_504),
        ({"widths": [64, 64, 32, 16], "blocks": 1}, PHOTO, None, 97_008, 92_976),
    ],
    ids=["CIFAR10", "CIFAR10 without classes", "ImageNet32", "FFHQ64", "half", "small", "tiny"],
)
def test_the_networks_have_the_numbers_of_parameters_of_the_authors_code(
    arguments, data_shape, classes, in_generator, in_discriminator
):
    with torch.device("meta"):
        made = R3GANGenerator(64, data_shape, num_classes=classes, **arguments)
        read = R3GANDiscriminator(data_shape, num_classes=classes, **arguments)
    assert (number_of(made), number_of(read)) == (in_generator, in_discriminator)


@pytest.mark.parametrize(
    ("side", "number", "smallest"), [(5, 1, 5), (28, 3, 7), (32, 4, 4), (48, 4, 6), (64, 5, 4)]
)
def test_images_are_made_and_read_from_the_smallest_size_on(side, number, smallest):
    with torch.device("meta"):
        generator = R3GANGenerator(6, (3, side, side), widths=[8] * number)
        discriminator = R3GANDiscriminator((3, side, side), widths=[8] * number)
        images = generator(torch.empty(2, 6))
        assert images.shape == (2, 3, side, side)
        assert discriminator(images).shape == (2,)
    blocks = [part for part in generator.modules() if isinstance(part, ResidualBlock)]
    assert len(blocks) == 2 * number
    assert generator.layers[1].images.shape == (8, smallest, smallest)


# Initial weights


def inner_and_last(network):
    """Weights of the first two convolutions of all blocks, and of the third."""
    blocks = [part for part in network.modules() if isinstance(part, ResidualBlock)]
    convolutions = [[p for p in b.layers if isinstance(p, nn.Conv2d)] for b in blocks]
    inner = [layer for *first, _ in convolutions for layer in first]
    return inner, [last for *_, last in convolutions]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("kind", [partial(R3GANGenerator, 64), R3GANDiscriminator])
def test_blocks_begin_without_effect_and_with_smaller_weights_the_more_there_are(kind, number):
    network = kind(PHOTO, widths=[64, 64, 32, 16], blocks=number)
    inner, last = inner_and_last(network)
    assert len(last) == 4 * number
    for layer in last:
        assert layer.bias is None
        assert not layer.weight.any()
    for layer in inner:
        expected = (2 / 1.04) ** 0.5 * (4 * number) ** -0.25 / layer.weight[0].numel() ** 0.5
        count = layer.weight.numel()
        assert layer.weight.std().item() == pytest.approx(expected, rel=4 / (2 * count) ** 0.5)
        assert abs(layer.weight.mean().item()) < 4.5 * expected / count**0.5
        assert not layer.bias.any()
    within = {id(layer) for layer in (*inner, *last)}
    others = [
        p
        for p in network.modules()
        if isinstance(p, nn.Conv2d | nn.Linear) and id(p) not in within
    ]
    assert len(others) == (4 if type(network) is R3GANGenerator else 5)
    for layer in others:
        assert layer.bias is None
        count, expected = layer.weight.numel(), layer.weight[0].numel() ** -0.5
        assert layer.weight.std().item() == pytest.approx(expected, rel=4.5 / (2 * count) ** 0.5)


def test_vectors_of_classes_and_learned_images_begin_as_in_the_authors_code():
    arguments = {"widths": [64, 64, 32, 16], "num_classes": 25}
    generator = R3GANGenerator(64, PHOTO, **arguments)
    discriminator = R3GANDiscriminator(PHOTO, **arguments)
    for values, expected in (
        (generator.labels.vectors, 1 / 5),
        (generator.layers[1].images, 1),
        (discriminator.vectors, 1 / 5 / 8),
    ):
        assert values.std().item() == pytest.approx(expected, rel=0.1)
    assert generator.labels.vectors.shape == (25, 64)


# Formulas


def weighted(x, weight):
    """Each pixel's channels times a matrix."""
    return torch.einsum("oi,nihw->nohw", weight.reshape(weight.shape[:2]), x)


def with_neighbours(x, weight, groups):
    """A convolution of 3 x 3 pixels, group by group and shift by shift."""
    made = []
    for part, own in zip(x.chunk(groups, 1), weight.chunk(groups), strict=True):
        around = pad(part, (1, 1, 1, 1))
        height, width = part.shape[2:]
        shifted = [
            weighted(around[:, :, i : i + height, j : j + width], own[:, :, i, j])
            for i in range(3)
            for j in range(3)
        ]
        made.append(sum(shifted))
    return torch.cat(made, 1)


def plain_block(x, block, groups):
    first, one, second, two, third = block.parameters()
    y = leaky_relu(weighted(x, first) + one[:, None, None], 0.2)
    y = leaky_relu(with_neighbours(y, second, groups) + two[:, None, None], 0.2)
    return x + weighted(y, third)


def doubling(side):
    """Zeros between the pixels, and of four neighbours 1, 3, 3 and 1 quarters."""
    matrix = torch.zeros(2 * side, side, dtype=torch.float64)
    for pixel in range(side):
        for place, share in zip(range(2 * pixel - 1, 2 * pixel + 3), (1, 3, 3, 1), strict=True):
            if 0 <= place < 2 * side:
                matrix[place, pixel] = share / 4
    return matrix


def resampled(x, matrix):
    return torch.einsum("ah,nchw,bw->ncab", matrix, x, matrix)


def test_images_are_resampled_with_the_weights_1_3_3_1():
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert_close(Upsample().double()(x), resampled(x, doubling(6)))
    assert_close(Downsample().double()(x), resampled(x, doubling(3).T / 2))


def test_inside_a_flat_image_resampling_changes_nothing_and_at_its_border_it_darkens():
    flat = torch.ones(1, 2, 8, 8)
    for layer in (Upsample(), Downsample()):
        made = layer(flat)
        assert_close(made[:, :, 1:-1, 1:-1], torch.ones_like(made[:, :, 1:-1, 1:-1]))
        shares = {Upsample: 3 / 4, Downsample: 7 / 8}
        assert_close(made[0, 0, 0, 1].item(), shares[type(layer)])


def test_a_block_is_that_of_the_table():
    block = disturbed(ResidualBlock(6, 4))
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    assert_close(block(x), plain_block(x, block, 4))


def test_the_generator_is_that_of_the_table():
    network = disturbed(R3GANGenerator(5, (3, 8, 8), blocks=1, num_classes=3, **SMALL))
    linear, basis, first, wider, _, second, colors, _ = network.layers
    z, labels = torch.randn(4, 5, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    code = torch.cat([z, network.labels.vectors[labels]], 1) @ linear.weight.T
    x = plain_block(code[:, :, None, None] * basis.images, first, 4)
    x = resampled(weighted(x, wider.weight), doubling(4))
    assert_close(network(z, labels), weighted(plain_block(x, second, 2), colors.weight))


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("num_outputs", [1, 2])
def test_the_discriminator_is_that_of_the_table(classes, num_outputs):
    arguments = {"num_classes": classes, "num_outputs": num_outputs}
    network = disturbed(R3GANDiscriminator((3, 8, 8), blocks=1, **arguments, **SMALL))
    colors, first, _, narrower, second, whole, _ = network.layers
    x, labels = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    y = resampled(plain_block(weighted(x, colors.weight), first, 2), doubling(4).T / 2)
    y = plain_block(weighted(y, narrower.weight), second, 4)
    features = (y * whole.weight[:, 0]).sum((2, 3))
    expected = features @ network.head.weight.T
    if classes is not None:
        vectors = network.vectors.reshape(classes, num_outputs, -1)[labels]
        expected = torch.stack([v @ row for v, row in zip(vectors, expected, strict=True)])
    given = () if classes is None else (labels,)
    outputs, told = outputs_with_features(network, x, *given)
    assert_close(outputs, expected.squeeze(1))
    assert_close(told, features)


def test_between_classes_lie_the_shares_of_their_vectors():
    arguments = {"blocks": 1, "num_classes": 3, **SMALL}
    generator = disturbed(R3GANGenerator(5, (3, 8, 8), **arguments))
    discriminator = disturbed(R3GANDiscriminator((3, 8, 8), **arguments))
    shares = torch.tensor([[0.25, 0.0, 0.75]] * 4, dtype=torch.float64)
    z = torch.randn(4, 5, dtype=torch.float64)
    with torch.no_grad():
        between = generator(z, shares)
        read = discriminator(between, shares)
        for vectors in (generator.labels.vectors, discriminator.vectors):
            vectors[1] = 0.25 * vectors[0] + 0.75 * vectors[2]
        of_class = torch.ones(4, dtype=torch.int64)
        assert_close(generator(z, of_class), between)
        assert_close(discriminator(between, of_class), read)
    for network, x in ((generator, z), (discriminator, between)):
        with pytest.raises(ValueError, match="labels: a network of 3 classes needs the class"):
            network(x)


# Samples


def test_samples_are_clamped_in_evaluation_and_not_in_training():
    generator = R3GANGenerator(5, (3, 8, 8), output_range=(0.0, 1.0), **SMALL)
    free = R3GANGenerator(5, (3, 8, 8), output_range=None, **SMALL)
    free.load_state_dict(generator.state_dict())
    z = 3 * torch.randn(8, 5)
    with torch.no_grad():
        images = generator(z)
        assert images.min() < -1
        assert images.max() > 2
        assert torch.equal(generator.eval()(z), images.clamp(0, 1))
        assert torch.equal(free.eval()(z), images)
    assert (generator.output_range, free.output_range) == ((0.0, 1.0), None)


@pytest.mark.parametrize("classes", [None, 3])
def test_the_networks_are_known_to_treat_samples_alone(classes):
    arguments = {"num_classes": classes, **SMALL}
    assert treats_samples_alone(R3GANGenerator(5, (3, 8, 8), **arguments), 2)
    assert treats_samples_alone(R3GANDiscriminator((3, 8, 8), **arguments), 4)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_shape": (3, 30, 30)}, "a power of 2, got 30 x 30. Use 28 x 28."),
        ({"data_shape": (3, 32, 64)}, "got 32 x 64. Use 48 x 48."),
        ({"data_shape": (3, 3, 3)}, "got 3 x 3. Use 4 x 4."),
        ({"data_shape": (2,)}, r"data_shape: these networks need images, \(C, H, W\)"),
        (
            {"widths": [64, 32]},
            r"widths must have an entry for each size .*, 4, 8, 16 and 32 pixels, got \[64, 32\]",
        ),
        ({"cardinality": [96]}, r"cardinality must have an entry .* got \[96\]. Use 4 of them"),
        ({"widths": [64, 0, 32, 16]}, "widths must be at least 1, got 0"),
        (
            {"widths": [64, 36, 32, 16]},
            "need a multiple of 8, got 36. Use 32, or give cardinality",
        ),
        (
            {"widths": [64, 36, 32, 16], "cardinality": [8, 5, 4, 2]},
            "cardinality: 5 groups do not divide the 72 channels inside a block .* 36. Use 4",
        ),
        ({"cardinality": [96, 0, 96, 96]}, "cardinality must be at least 1, got 0"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"data_shape": (3, 512, 512)}, "widths: there are no published ones for images of 512"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
    ],
)
def test_what_no_table_has_is_refused(arguments, message):
    given = {"data_shape": PHOTO, **arguments}
    for kind in (partial(R3GANGenerator, 64), R3GANDiscriminator):
        with torch.device("meta"), pytest.raises(ValueError, match=message):
            kind(**given)


def test_a_range_out_of_order_and_no_outputs_are_refused():
    with pytest.raises(ValueError, match=r"output_range: the first must be below .* got \[1, 0\]"):
        R3GANGenerator(5, (3, 8, 8), output_range=(1, 0), **SMALL)
    with pytest.raises(ValueError, match="num_outputs must be at least 1, got 0"):
        R3GANDiscriminator((3, 8, 8), num_outputs=0, **SMALL)
