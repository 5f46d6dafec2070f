"""The networks of StyleGAN2, and the layers that they are made of."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu, pad
from torch.testing import assert_close

from lightning_gans.networks import (
    MinibatchStdDev,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    outputs_with_features,
)
from lightning_gans.networks.equalized import EqualizedConv2d, EqualizedLinear, ScaledLeakyReLU
from lightning_gans.networks.independence import treats_samples_alone
from lightning_gans.networks.inspect import group_size_of
from lightning_gans.networks.resampling import Blur, Downsample, Upsample
from lightning_gans.networks.styles import Mapping, ModulatedConv2d, NoisyConv2d

DIGIT, PHOTO, FACE = (1, 28, 28), (3, 32, 32), (3, 64, 64)
SMALL = {"base_channels": 32, "max_channels": 4}
"""Of images of 8 pixels: four channels for each size."""
exact = partial(assert_close, rtol=1e-11, atol=1e-11)


def number_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


def disturbed(network):
    """The network with other weights, so that nothing is left at 0 or 1, in double precision."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network.double()


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# Sizes


@pytest.mark.parametrize(
    ("sizes", "residual", "data_shape", "classes", "in_generator", "in_discriminator"),
    [
        ({"base_channels": 32768}, False, PHOTO, 10, 20_215_315, 23_089_664),
        ({"base_channels": 32768}, False, PHOTO, None, 19_947_539, 20_720_641),
        ({}, True, FACE, None, 22_243_608, 23_407_361),
        ({"base_channels": 4096}, False, PHOTO, None, 11_931_027, 13_492_865),
        ({"base_channels": 2048, "max_channels": 64}, False, PHOTO, None, 1_146_771, 324_993),
    ],
    ids=["cifar", "cifar without classes", "auto", "small", "tiny"],
)
def test_the_networks_have_the_numbers_of_parameters_of_the_authors_code(
    sizes, residual, data_shape, classes, in_generator, in_discriminator
):
    with torch.device("meta"):
        made = StyleGAN2Generator(512, data_shape, num_classes=classes, **sizes)
        read = StyleGAN2Discriminator(data_shape, residual=residual, num_classes=classes, **sizes)
    assert (number_of(made), number_of(read)) == (in_generator, in_discriminator)


@pytest.mark.parametrize(("side", "styles", "smallest"), [(5, 2, 5), (28, 6, 7), (64, 10, 4)])
@pytest.mark.parametrize("residual", [True, False])
def test_images_are_made_and_read_from_the_smallest_size_on(side, styles, smallest, residual):
    generator = StyleGAN2Generator(6, (3, side, side), base_channels=128, style_dim=8)
    images = generator(torch.randn(4, 6))
    assert images.shape == (4, 3, side, side)
    assert generator.styles(torch.randn(2, 6)).shape == (2, styles, 8)
    assert generator.constant.shape[1:] == (smallest, smallest)
    read = StyleGAN2Discriminator((3, side, side), base_channels=128, residual=residual)
    assert read(images).shape == (4,)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (StyleGAN2Discriminator, {"data_shape": (3, 37, 37)}, r"got 37 x 37. Use 40 x 40"),
        (StyleGAN2Discriminator, {"data_shape": (3, 32, 28)}, "need square images .*Use 28 x 28"),
        (StyleGAN2Discriminator, {"data_shape": (2,)}, "need images"),
        (StyleGAN2Discriminator, {"base_channels": 31}, "base_channels must be .* 32 pixels"),
        (StyleGAN2Discriminator, {"max_channels": 0}, "max_channels must be at least 1"),
        (
            StyleGAN2Discriminator,
            {"group_size": 1},
            "group_size must be a whole number of at least 2",
        ),
        (StyleGAN2Discriminator, {"num_outputs": 0}, "num_outputs must be at least 1"),
        (StyleGAN2Discriminator, {"num_classes": 0}, "num_classes must be at least 1"),
        (partial(StyleGAN2Generator, 8), {"style_dim": 0}, "style_dim must be at least 1"),
        (partial(StyleGAN2Generator, 8), {"mapping_layers": 0}, "mapping_layers must be at least"),
        (partial(StyleGAN2Generator, 8), {"num_classes": 0}, "num_classes must be at least 1"),
        (partial(StyleGAN2Generator, 8), {"output_range": (1, -1)}, "first must be below"),
    ],
)
def test_arguments_out_of_range_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"data_shape": PHOTO, **arguments})


# Layers with an equalized learning rate


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_a_linear_layer_scales_normal_weights_by_their_number(multiplier):
    layer = EqualizedLinear(500, 40, bias=1.0, multiplier=multiplier)
    assert layer.weight.std().item() == pytest.approx(1 / multiplier, rel=0.03)
    assert_close(layer(torch.zeros(1, 500)), torch.ones(1, 40))
    layer, x = disturbed(layer), noise(7, 500)
    expected = [
        sum(x[:, i] * layer.weight[o, i] for i in range(500)) * multiplier / 500**0.5
        + multiplier * layer.bias[o]
        for o in range(40)
    ]
    exact(layer(x), torch.stack(expected, 1))


def test_a_convolution_scales_normal_weights_by_their_number():
    layer = EqualizedConv2d(6, 40, 3, stride=2, padding=1)
    assert layer.weight.std().item() == pytest.approx(1, rel=0.06)
    assert not layer.bias.any()
    layer, x = disturbed(layer), noise(2, 6, 5, 5)
    whole = conv2d(x, layer.weight, stride=2, padding=1)
    exact(layer(x), whole / 54**0.5 + layer.bias[:, None, None])
    assert EqualizedConv2d(6, 4, 1, bias=False).bias is None


def test_the_activation_keeps_the_size_of_normal_inputs():
    x = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    exact(ScaledLeakyReLU()(x), torch.tensor([-0.2, 0.0, 2.0], dtype=torch.float64) * 2**0.5)
    assert ScaledLeakyReLU()(noise(100_000)).square().mean().item() == pytest.approx(
        1.04, rel=0.02
    )


# Resampling


def filtered(x, offsets, gain):
    """Each pixel of the result as a sum over a window of 4 x 4 pixels, with 0 beyond the border.

    Args:
        offsets: rows and columns of the input that the windows begin at.
    """
    row = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8
    framed = pad(x, (8, 8, 8, 8))
    return torch.stack(
        [
            torch.stack(
                [
                    gain
                    * sum(
                        row[i] * row[j] * framed[:, :, 8 + top + i, 8 + left + j]
                        for i in range(4)
                        for j in range(4)
                    )
                    for left in offsets
                ],
                -1,
            )
            for top in offsets
        ],
        -2,
    )


def spread(x):
    """The images with a row and a column of 0 behind each of theirs."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return wide


def test_resampling_weighs_neighbours_by_1_3_3_and_1():
    x = noise(2, 3, 6, 6)
    exact(Upsample().double()(x), filtered(spread(x), range(-2, 10), 4))
    exact(Downsample().double()(x), filtered(x, range(-1, 5, 2), 1))
    exact(Blur(2).double()(x), filtered(x, range(-2, 5), 1))
    exact(Blur(1, gain=4.0).double()(x), filtered(x, range(-1, 4), 4))


# Modulated convolutions


def weights_of(layer, scales):
    """The weights of one sample, as the paper has them, with the sum of squares of each output."""
    weight = layer.weight * scales[None, :, None, None]
    weight = weight / layer.weight[0].numel() ** 0.5
    return weight, torch.stack([kernel.square().sum() for kernel in weight])


def by_hand(layer, x, style):
    """A modulated convolution with weights of its own for each sample."""
    images = []
    for image, one in zip(x, style, strict=True):
        scales = layer.affine.weight @ one / len(one) ** 0.5 + layer.affine.bias
        weight, squares = weights_of(layer, scales)
        if layer.demodulate:
            weight = weight / (squares + 1e-8).sqrt()[:, None, None, None]
        if layer.blur is None:
            made = conv2d(image[None], weight, padding=weight.shape[-1] // 2)
        else:
            wide = pad(spread(image[None]), (2, 1, 2, 1))  # of 2 n + 3 pixels
            made = filtered(conv2d(wide, weight.flip(2, 3)), range(-1, 2 * len(image[0]) - 1), 4)
        images.append(made[0])
    return torch.stack(images)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel", "up"), [(3, False), (3, True), (1, False)])
def test_a_modulated_convolution_is_one_with_weights_of_each_sample(kernel, up, demodulate):
    layer = disturbed(ModulatedConv2d(4, 5, kernel, 6, demodulate=demodulate, up=up))
    x, style = noise(3, 4, 7, 7), noise(3, 6)
    made = layer(x, style)
    assert made.shape == (3, 5, 14, 14) if up else (3, 5, 7, 7)
    exact(made, by_hand(layer, x, style))
    one = layer(x[1:2], style[1:2])
    exact(made[1:2], one)
    inputs = [x.requires_grad_(), style.requires_grad_(), *layer.parameters()]
    found, expected = (
        torch.autograd.grad(function(x, style).square().sum(), inputs)
        for function in (layer, partial(by_hand, layer))
    )
    assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_demodulation_keeps_the_variance_whatever_the_style():
    layer = ModulatedConv2d(64, 8, 3, 2).double()
    style = torch.tensor([[0.0, 0.0], [30.0, -20.0]], dtype=torch.float64)
    x = noise(1, 64, 60, 60).expand(2, -1, -1, -1)
    deviations = layer(x, style)[:, :, 1:-1, 1:-1].std((2, 3))
    assert_close(deviations, torch.ones_like(deviations), rtol=0.05, atol=0)
    layer.demodulate = False
    assert layer(x, style)[1].std() > 5


def test_styles_begin_near_1():
    layer = ModulatedConv2d(64, 8, 3, 16)
    assert_close(layer.affine(torch.zeros(2, 16)), torch.ones(2, 64))


def test_noise_is_one_map_for_all_channels_and_has_no_effect_at_first():
    layer = NoisyConv2d(4, 5, 8, 6, up=True).double()
    x, style = noise(3, 4, 4, 4), noise(3, 6)
    assert layer.strength.shape == ()
    assert layer.strength.item() == 0
    clean = layer.convolution(x, style)
    exact(layer(x, style), 2**0.5 * leaky_relu(clean, 0.2))
    with torch.no_grad():
        layer.strength.fill_(0.5)
        layer.bias.copy_(noise(5))
    torch.manual_seed(3)
    made = layer(x, style)
    torch.manual_seed(3)
    drawn = noise(3, 1, 8, 8)
    bias = layer.bias[:, None, None]
    exact(made, 2**0.5 * leaky_relu(clean + 0.5 * drawn + bias, 0.2))
    layer.eval()
    once = layer(x, style)
    exact(once, 2**0.5 * leaky_relu(clean + 0.5 * layer.noise + bias, 0.2))
    assert layer.noise.shape == (1, 1, 8, 8)
    assert torch.equal(layer(x, style), once)
    assert "noise" in layer.state_dict()


# The mapping and its average


@pytest.mark.parametrize("classes", [None, 3])
def test_a_mapping_normalizes_what_it_reads(classes):
    mapping = disturbed(Mapping(5, 6, 2, classes))
    latent, labels = noise(4, 5), torch.tensor([0, 2, 1, 2])
    read = latent / (latent.square().mean(1, keepdim=True) + 1e-8).sqrt()
    if classes is not None:
        vectors = mapping.embedding.weight.T[labels] / 3**0.5 + mapping.embedding.bias
        vectors = vectors / (vectors.square().mean(1, keepdim=True) + 1e-8).sqrt()
        read = torch.cat([read, vectors], 1)
    for layer in (mapping.layers[0], mapping.layers[2]):
        read = read @ layer.weight.T * 0.01 / layer.weight.shape[1] ** 0.5 + 0.01 * layer.bias
        read = 2**0.5 * leaky_relu(read, 0.2)
    given = () if classes is None else (labels,)
    exact(mapping(latent, *given), read)
    assert_close(mapping(9 * latent, *given), read, rtol=1e-6, atol=1e-6)
    assert len(mapping.layers) == 4


def test_a_discriminator_maps_classes_with_eight_layers():
    read = StyleGAN2Discriminator((3, 8, 8), num_classes=3, **SMALL)
    assert len(read.mapping.layers) == 16
    with torch.no_grad():
        shares = torch.tensor([[0.0, 1, 0], [0, 0, 1]])
        by_label = read.mapping(None, torch.tensor([1, 2]))
        assert_close(read.mapping(None, shares), by_label)


def test_the_average_style_moves_by_a_two_hundredth_and_in_training_only():
    generator = disturbed(StyleGAN2Generator(5, (3, 8, 8), style_dim=6, **SMALL))
    first, second = noise(4, 5), noise(7, 5)
    generator(first)
    expected = 0.005 * generator.map(first).mean(0)
    exact(generator.average, expected)
    generator.styles(second)
    expected = 0.995 * expected + 0.005 * generator.map(second).mean(0)
    exact(generator.average, expected)
    generator.eval()
    generator(first)
    exact(generator.average, expected)
    assert not generator.average.requires_grad


def test_truncation_leads_towards_the_average_style_in_evaluation_mode():
    generator = disturbed(StyleGAN2Generator(5, (3, 8, 8), style_dim=6, **SMALL))
    generator.average.copy_(noise(6))
    latent = noise(4, 5)
    whole = generator.eval().styles(latent)
    exact(whole, generator.map(latent)[:, None].expand(-1, 4, -1))
    for psi in (0.25, 1.5):
        generator.truncate(psi)
        exact(generator.styles(latent), generator.average + psi * (whole - generator.average))
        exact(generator(latent), generator.synthesize(generator.styles(latent)))
    generator.truncate(1)
    assert torch.equal(generator.styles(latent), whole)
    generator.truncate(0.5)
    exact(generator.train().styles(latent), whole)


@pytest.mark.parametrize("psi", [0.0, -0.5, float("nan"), float("inf")])
def test_a_truncation_out_of_range_is_refused(psi):
    generator = StyleGAN2Generator(5, (3, 8, 8), style_dim=6, **SMALL)
    with pytest.raises(ValueError, match=r"truncation must be finite and above 0, got .* Use 0.7"):
        generator.truncate(psi)


# Whole networks


def test_a_generator_adds_up_the_images_of_all_sizes():
    generator = disturbed(StyleGAN2Generator(5, (3, 16, 16), 64, 4, style_dim=6)).eval()
    styles = noise(2, 6, 6)
    x = generator.constant.expand(2, -1, -1, -1)
    x = generator.layers[0](x, styles[:, 0])
    total = generator.read_off[0](x, styles[:, 1]) + generator.biases[0]
    for size, first in ((1, 1), (2, 3)):
        x = generator.layers[first](x, styles[:, first])
        x = generator.layers[first + 1](x, styles[:, first + 1])
        image = generator.read_off[size](x, styles[:, first + 2]) + generator.biases[size]
        total = generator.upsample(total) + image
    assert total.abs().max() > 1
    exact(generator.synthesize(styles), total.clamp(-1, 1))
    exact(generator.train().ending(total), total)
    assert [layer.convolution.blur is not None for layer in generator.layers] == [
        *(False, True, False, True, False)
    ]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("classes", [None, 3])
def test_a_discriminator_reads_samples_their_deviation_and_their_classes(residual, classes):
    read = StyleGAN2Discriminator(
        (3, 8, 8), residual=residual, num_classes=classes, group_size=2, **SMALL
    )
    read, x = disturbed(read), noise(4, 3, 8, 8)
    act = ScaledLeakyReLU()
    first, _, block, deviation, conv, _, _, dense, _ = read.layers
    x0 = act(first(x))
    main = block.main if residual else block
    made = act(main[3](filtered(act(main[0](x0)), range(-2, 7), 1)))
    if residual:
        skip = conv2d(filtered(x0, range(-1, 7, 2), 1), block.shortcut[1].weight / 4**0.5)
        made = (made + skip) / 2**0.5
    pairs = made.reshape(2, 2, -1)
    spread_of_pairs = ((pairs[0] - pairs[1]).square() / 4 + 1e-8).sqrt().mean(1)
    plane = spread_of_pairs.repeat(2)[:, None, None, None].expand(-1, 1, 4, 4)
    features = act(dense(act(conv(torch.cat([made, plane], 1))).flatten(1)))
    outputs = read.head(features)
    labels = () if classes is None else (torch.tensor([0, 2, 1, 2]),)
    if classes is not None:
        outputs = (outputs * read.mapping(None, *labels)).sum(1, keepdim=True) / 4**0.5
    exact(read(x, *labels), outputs[:, 0])
    exact(outputs_with_features(read, x, *labels)[1], features)
    assert isinstance(deviation, MinibatchStdDev)
    assert group_size_of(read) == 2


def test_several_outputs_have_one_vector_of_the_class_each():
    read = disturbed(StyleGAN2Discriminator((3, 8, 8), num_classes=3, num_outputs=2, **SMALL))
    x, labels = noise(4, 3, 8, 8), torch.tensor([0, 2, 1, 2])
    outputs, features = read.with_features(x, labels)
    numbers = read.head(features).reshape(4, 2, 4)
    exact(outputs, (numbers * read.mapping(None, labels)[:, None]).sum(2) / 2)


def test_neither_network_treats_samples_alone():
    generator = StyleGAN2Generator(5, (3, 8, 8), style_dim=6, **SMALL)
    assert not treats_samples_alone(generator, 2)
    assert not treats_samples_alone(StyleGAN2Discriminator((3, 8, 8), **SMALL), 4)
    assert treats_samples_alone(nn.Sequential(*generator.mapping.layers), 2)


def test_a_batch_that_does_not_divide_into_groups_is_refused():
    read = StyleGAN2Discriminator((3, 8, 8), group_size=4, **SMALL)
    with pytest.raises(ValueError, match="6 samples cannot be split into groups of 4"):
        read(torch.zeros(6, 3, 8, 8))
