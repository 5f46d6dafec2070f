"""The networks of the published systems, layer by layer, as the models of the configs make them.

The tables are written from the sources: kernel, stride and padding of each layer, channels,
activations with their slopes, normalization.
"""

from functools import partial
from itertools import pairwise

import pytest
import torch
import yaml
from torch import nn
from torch.nn.utils import parametrize

import lightning_gans
from lightning_gans import networks
from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.core import priors
from lightning_gans.networks import SelfAttention
from lightning_gans.networks.projection import ReadsCondition
from lightning_gans.networks.r3gan import ResidualBlock

DIGIT, PHOTO, FACE, LARGE = (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 128, 128)
Linear, Conv, Deconv, BatchNorm1d, BatchNorm = (
    partial(layer, device="meta")
    for layer in (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d)
)
LeakyReLU, ReLU, Tanh, Sigmoid = nn.LeakyReLU, nn.ReLU, nn.Tanh, nn.Sigmoid
MaxPool, ZeroPad, Flatten, Shape = nn.MaxPool2d, nn.ZeroPad2d, nn.Flatten, partial(nn.Unflatten, 1)
ONE_NUMBER = nn.Flatten(0)  # shape (N,) in place of (N, 1)
LABELS, GREATEST = "JoinLabels()", "_GlobalMaximum()"
SHARES, ATTENTION, SUM, PIXELS = (
    *("ClassShares()", "SelfAttention()", "_Residual()", "SumOverPixels()"),
)
BY_CLASS, NOTHING = "ConditionalBatchNorm2d()", "Sequential()"
MEANS = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
Up, Pool = nn.UpsamplingNearest2d, nn.AvgPool2d


def perceptrons(shape, size, num_classes=0):
    """Those of the tutorial "GAN networks"; the images have so many pixels and channels."""
    labels = [LABELS] if num_classes else []
    return {
        "generator": [
            *(*labels, Linear(100 + num_classes, 128), LeakyReLU(0.2)),
            *(Linear(128, 256), BatchNorm1d(256), LeakyReLU(0.2)),
            *(Linear(256, 512), BatchNorm1d(512), LeakyReLU(0.2)),
            *(Linear(512, 1024), BatchNorm1d(1024), LeakyReLU(0.2)),
            *(Linear(1024, size), Tanh(), Shape(shape)),
        ],
        "discriminator": [
            *(*labels, Flatten(), Linear(size + num_classes, 512), LeakyReLU(0.2)),
            *(Linear(512, 256), LeakyReLU(0.2), Linear(256, 1), ONE_NUMBER),
        ],
    }


def stacked(*channels, packs=1, normalized=True):
    """The networks of Metz et al. as PacGAN's code has them; its discriminator is narrower."""
    norm = (lambda size: [BatchNorm(size)]) if normalized else (lambda size: [])
    made = [Linear(256, 1024), Shape((64, 4, 4)), *norm(64), ReLU()]
    for inputs, outputs, further in ((64, 32, 0), (32, 16, 1), (16, 8, 1)):
        made += [Deconv(inputs, outputs, 3, 2, 1, further), *norm(outputs), ReLU()]
    read = []
    for inputs, outputs in pairwise((3 * packs, *channels)):
        read += [Conv(inputs, outputs, 3, 2, 1), *norm(outputs), LeakyReLU(0.3)]
    return {
        "generator": [*made, Conv(8, 3, 3, 1, 1), Tanh()],
        "discriminator": [*read, Flatten(), Linear(16 * channels[-1], 1), ONE_NUMBER],
    }


STACKED = (3, 28, 28)


PATTERN = {
    "generator": [Linear(1, 3), Sigmoid(), Linear(3, 4), Sigmoid(), Shape((4,))],
    "discriminator": [Flatten(), Linear(4, 3), Sigmoid(), Linear(3, 1), Sigmoid(), ONE_NUMBER],
}
SMALL = {
    "generator": [
        *(Linear(100, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 784), Tanh()),
        Shape(DIGIT),
    ],
    "discriminator": [
        *(Flatten(), Linear(784, 256), LeakyReLU(0.2), Linear(256, 256), LeakyReLU(0.2)),
        *(Linear(256, 1), ONE_NUMBER),
    ],
}
RING_GENERATOR = [
    *(Linear(2, 400), ReLU(), Linear(400, 400), ReLU(), Linear(400, 400), ReLU()),
    *(Linear(400, 2), Shape((2,))),
]
RING_CRITIC = [
    *(Flatten(), Linear(2, 400), ReLU(), Linear(400, 400), ReLU(), Linear(400, 400), ReLU()),
    Linear(400, 1),
]
RING = {"generator": RING_GENERATOR, "discriminator": [*RING_CRITIC, ONE_NUMBER]}
SIGMOID_RING = {
    "generator": RING_GENERATOR,
    "discriminator": [*RING_CRITIC, Sigmoid(), ONE_NUMBER],
}
CLASSES_RING = {  # chosen
    "generator": [
        *(LABELS, Linear(2 + 8, 128), ReLU(), Linear(128, 128), ReLU()),
        *(Linear(128, 128), ReLU(), Linear(128, 2), Shape((2,))),
    ],
    "discriminator": [
        *(LABELS, Flatten(), Linear(2 + 8, 128), ReLU(), Linear(128, 128), ReLU()),
        *(Linear(128, 128), ReLU(), Linear(128, 1), ONE_NUMBER),
    ],
}
GLOBAL_POOL = {  # of Keras, whose padding "same" is 1 pixel before and 2 after here
    "generator": [
        *(Linear(128, 6272), Shape((128, 7, 7))),
        *(Deconv(128, 128, 4, stride=2, padding=1), LeakyReLU(0.2)),
        *(Deconv(128, 128, 4, stride=2, padding=1), LeakyReLU(0.2)),
        *(Conv(128, 1, 7, stride=1, padding=3), Sigmoid()),
    ],
    "discriminator": [
        *(ZeroPad((1, 2, 1, 2)), Conv(1, 64, 5, stride=2, padding=0), LeakyReLU(0.2)),
        *(ZeroPad((1, 2, 1, 2)), Conv(64, 128, 5, stride=2, padding=0), LeakyReLU(0.2)),
        *(GREATEST, Linear(128, 1), ONE_NUMBER),
    ],
}
MAX_POOL_FEATURES = [
    *(Conv(1, 32, 3, stride=1, padding=1), LeakyReLU(0.2), MaxPool(2, stride=2)),
    *(Conv(32, 64, 3, stride=1, padding=1), LeakyReLU(0.2), MaxPool(2, stride=2)),
    *(Flatten(), Linear(3136, 1024), LeakyReLU(0.2)),
]
MAX_POOL = {
    "generator": [
        *(Linear(100, 3136), Shape((1, 56, 56)), BatchNorm(1), ReLU()),
        *(Conv(1, 64, 3, stride=1, padding=1), BatchNorm(64), ReLU()),
        *(Conv(64, 32, 3, stride=1, padding=1), BatchNorm(32), ReLU()),
        *(Conv(32, 1, 3, stride=2, padding=1), Tanh()),
    ],
    "discriminator": [*MAX_POOL_FEATURES, Linear(1024, 1), ONE_NUMBER],
}


def start(inputs, channels, side):
    """The first layer of DCGAN's generator; what is normalized has no bias."""
    layer = Linear(inputs, channels * side * side, bias=False)
    return [layer, Shape((channels, side, side)), BatchNorm(channels), ReLU()]


def up(inputs, outputs):
    layer = Deconv(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return [layer, BatchNorm(outputs), ReLU()]


def image(inputs, channels):
    return [Deconv(inputs, channels, 4, stride=2, padding=1), Tanh()]


def read(channels, outputs):
    return [Conv(channels, outputs, 4, stride=2, padding=1), LeakyReLU(0.2)]


def down(inputs, outputs):
    layer = Conv(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return [layer, BatchNorm(outputs), LeakyReLU(0.2)]


def number(inputs):
    return [Flatten(), Linear(inputs, 1), ONE_NUMBER]


DCGAN_28, DCGAN_32 = (
    [*start(100, 128, 7), *up(128, 64), *image(64, 1)],
    [*start(100, 256, 4), *up(256, 128), *up(128, 64), *image(64, 3)],
)
DCGAN_64 = [
    *(*start(100, 512, 4), *up(512, 256), *up(256, 128), *up(128, 64)),
    *image(64, 3),
]
DCGAN_128 = [
    *(*start(100, 1024, 4), *up(1024, 512), *up(512, 256), *up(256, 128), *up(128, 64)),
    *image(64, 3),
]
NORMALISED_28 = [*read(1, 64), *down(64, 128), *number(6272)]
NORMALISED_32 = [*read(3, 64), *down(64, 128), *down(128, 256), *number(4096)]
CRITIC_28 = [*read(1, 64), *read(64, 128), *number(6272)]
CRITIC_32 = [*read(3, 64), *read(64, 128), *read(128, 256), *number(4096)]
CRITIC_64 = [
    *(*read(3, 64), *read(64, 128), *read(128, 256), *read(256, 512)),
    *number(8192),
]
CRITIC_128 = [
    *(*read(3, 64), *read(64, 128), *read(128, 256), *read(256, 512), *read(512, 1024)),
    *number(16384),
]
AUXILIARY = {  # InfoGAN's for MNIST with half the width; it has one dense layer more
    "generator": [
        *(LABELS, Linear(110, 1024, bias=False), Shape((1024, 1, 1)), BatchNorm(1024), ReLU()),
        *(Flatten(), *start(1024, 64, 7), *up(64, 32), *image(32, 1)),
    ],
    "discriminator": [  # whether it is real, and ten classes
        *(*read(1, 32), *down(32, 64), Flatten()),
        *(Linear(3136, 1024, bias=False), Shape((1024, 1, 1)), BatchNorm(1024), LeakyReLU(0.2)),
        *(Flatten(), Linear(1024, 11)),
    ],
}
FLAT = partial(nn.Linear, bias=False, device="meta")
SLOPE = LeakyReLU(0.1)
INFORMED = {  # InfoGAN's for MNIST
    "generator": [
        *(FLAT(74, 1024), Shape((1024, 1, 1)), BatchNorm(1024), ReLU(), Flatten()),
        *(FLAT(1024, 6272), Shape((6272, 1, 1)), BatchNorm(6272), ReLU(), Flatten()),
        *(Shape((128, 7, 7)), *up(128, 64), Deconv(64, 1, 4, stride=2, padding=1), Sigmoid()),
    ],
    "discriminator": [  # whether it is real; ten values of a code and two means
        *(Conv(1, 64, 4, stride=2, padding=1), SLOPE),
        *(Conv(64, 128, 4, stride=2, padding=1, bias=False), BatchNorm(128), SLOPE, Flatten()),
        *(FLAT(6272, 1024), Shape((1024, 1, 1)), BatchNorm(1024), SLOPE, Flatten()),
        *(Linear(1024, 1), FLAT(1024, 128), Shape((128, 1, 1)), BatchNorm(128), SLOPE),
        *(Flatten(), Linear(128, 12), "_Joined()"),
    ],
}
HYBRID = {
    "encoder": [
        *(Conv(1, 16, 3, stride=2, padding=1), BatchNorm(16), LeakyReLU(0.2)),
        *(Conv(16, 32, 3, stride=2, padding=1), BatchNorm(32), LeakyReLU(0.2)),
        *(Conv(32, 32, 3, stride=1, padding=1), BatchNorm(32), LeakyReLU(0.2)),
        *(Flatten(), Linear(1568, 100), Linear(1568, 100)),  # mean, log of the deviation
    ],
    "generator": [
        *(LABELS, Linear(110, 1568), Shape((32, 7, 7))),
        *(Deconv(32, 16, 4, stride=2, padding=1), ReLU()),
        *(Deconv(16, 1, 4, stride=2, padding=1), Sigmoid()),
    ],
    "discriminator": MAX_POOL["discriminator"],
    "classifier": [*MAX_POOL_FEATURES, Linear(1024, 10)],
}


def normal(layer):
    """A layer with spectral norm."""
    return f"spectral {layer}"


def double(inputs, outputs):
    return [Deconv(inputs, outputs, 4, stride=2, padding=1), BatchNorm(outputs), ReLU()]


def keep(inputs, outputs):
    return [normal(Conv(inputs, outputs, 3, stride=1, padding=1)), LeakyReLU(0.1)]


def halve(inputs, outputs):
    return [normal(Conv(inputs, outputs, 4, stride=2, padding=1)), LeakyReLU(0.1)]


PLAIN_28 = {
    "generator": [
        *(Linear(128, 64 * 49), Shape((64, 7, 7)), BatchNorm(64), ReLU()),
        *(*double(64, 32), *double(32, 16)),
        *(Deconv(16, 1, 3, stride=1, padding=1), Tanh()),
    ],
    "discriminator": [
        *(*keep(1, 16), *halve(16, 32), *keep(32, 32), *halve(32, 64), *keep(64, 64)),
        *(Flatten(), normal(Linear(3136, 1)), ONE_NUMBER),
    ],
}


def grow(channels, norms, wrap=str):
    """A block of the generator: its main chain, its shortcut, their sum."""
    main, shortcut = Conv(channels, channels, 3, padding=1), Conv(channels, channels, 1)
    return [
        *(*norms(channels), ReLU(), Up(scale_factor=2), wrap(main)),
        *(*norms(channels), ReLU(), wrap(main)),
        *(Up(scale_factor=2), wrap(shortcut), SUM),
    ]


def normed(channels):
    return [BatchNorm(channels)]


def normed_by_class(channels):
    return [BatchNorm(channels, affine=False), BY_CLASS]


def residual_generator(norms, wrap=str, attention=(), width=256):
    """Of images of 32 pixels; the last BatchNorm has no classes."""
    begin = [SHARES] if norms is normed_by_class else []
    return [
        *(*begin, wrap(Linear(128, 16 * width)), Shape((width, 4, 4))),
        *(*grow(width, norms, wrap), *grow(width, norms, wrap)),
        *attention,
        *(*grow(width, norms, wrap), *normed(width), ReLU()),
        *(wrap(Conv(width, 3, 3, padding=1)), Tanh()),
    ]


def residual_discriminator(attention=(), classes=(), width=128, wrap=normal, pool=(PIXELS,)):
    """Of images of 32 pixels."""
    main, shortcut = wrap(Conv(width, width, 3, padding=1)), wrap(Conv(width, width, 1))
    return [
        *(wrap(Conv(3, width, 3, padding=1)), ReLU(), main, Pool(2)),
        *(Pool(2), wrap(Conv(3, width, 1)), SUM, *attention),
        *(ReLU(), main, ReLU(), main, Pool(2), shortcut, Pool(2), SUM),
        *(ReLU(), main, ReLU(), main, NOTHING, SUM),
        *(ReLU(), main, ReLU(), main, NOTHING, SUM),
        *(ReLU(), *pool, wrap(Linear(width, 1)), *classes, ONE_NUMBER),
    ]


def grouped(channels, groups):
    """A block of R3GAN: its chain, and the sum."""
    inner = 2 * channels
    return [
        *(Conv(channels, inner, 1), LeakyReLU(0.2)),
        *(Conv(inner, inner, 3, padding=1, groups=groups), LeakyReLU(0.2)),
        *(Conv(inner, channels, 1, bias=False), "ResidualBlock()"),
    ]


def modern(*stages):
    """R3GAN's networks of images with 32 pixels, which read classes.

    Each stage, from that of 4 pixels on: its channels, the groups of its blocks, their number.
    """
    made = [grouped(channels, groups) * number for channels, groups, number in stages]
    widths = [channels for channels, _, _ in stages]
    generator = [LABELS, Linear(128, widths[0], bias=False), "Basis()", *made[0]]
    discriminator = [Conv(3, widths[-1], 1, bias=False)]
    for number in (1, 2, 3):
        before, after = widths[number - 1 : number + 1]
        change = [Conv(before, after, 1, bias=False)] * (before != after)
        generator += [*change, "Upsample()", *made[number]]
        before, after = widths[4 - number], widths[3 - number]
        change = [Conv(before, after, 1, bias=False)] * (before != after)
        discriminator += [*made[4 - number], "Downsample()", *change]
    whole = Conv(widths[0], widths[0], 4, groups=widths[0], bias=False)
    last = Linear(widths[0], widths[0], bias=False)
    clamp = "ClampedInEvaluation(-1.0, 1.0)"
    return {
        "generator": [*generator, Conv(widths[-1], 3, 1, bias=False), clamp],
        "discriminator": [*discriminator, *made[0], whole, Flatten(), last, SHARES, ONE_NUMBER],
    }


SYSTEMS = [
    ("r3gan_cifar10", PHOTO, modern(*[(768, 96, 2)] * 4)),
    ("r3gan_cifar10_half", PHOTO, modern(*[(384, 48, 2)] * 4)),
    ("r3gan_cifar10_tiny", PHOTO, modern((64, 8, 1), (64, 8, 1), (32, 4, 1), (16, 2, 1))),
    ("sngan_mnist", DIGIT, PLAIN_28),
    (
        "sngan_cifar10",
        PHOTO,
        {"generator": residual_generator(normed), "discriminator": residual_discriminator()},
    ),
    (
        "sngan_projection_cifar10",
        PHOTO,
        {
            "generator": residual_generator(normed_by_class),
            "discriminator": residual_discriminator(classes=[SHARES]),
        },
    ),
    (
        "sagan_cifar10",
        PHOTO,
        {
            "generator": residual_generator(normed_by_class, normal, [ATTENTION]),
            "discriminator": residual_discriminator([ATTENTION], [SHARES]),
        },
    ),
    (
        "biggan_cifar10_diffaug_10pct",
        PHOTO,
        {
            "generator": residual_generator(normed_by_class, normal),
            "discriminator": residual_discriminator(classes=[SHARES], width=256),
        },
    ),
    (
        "wgan_gp_resnet_cifar10",
        PHOTO,
        {
            "generator": residual_generator(normed, width=128),
            "discriminator": residual_discriminator(wrap=str, pool=MEANS),
        },
    ),
    ("lsgan_pattern", (4,), PATTERN),
    ("gan_mnist", DIGIT, perceptrons(DIGIT, 784)),
    ("minimax_gan_mnist", DIGIT, perceptrons(DIGIT, 784)),
    ("gan_folder", FACE, perceptrons(FACE, 12288)),
    ("gan_mnist_small", DIGIT, SMALL),
    ("wgan_mnist", DIGIT, SMALL),
    ("wgan_mnist_small", DIGIT, SMALL),
    ("wgan_gp_mnist", DIGIT, SMALL),
    ("wgan_gp_mnist_small", DIGIT, SMALL),
    ("wgan_gp_ring", (2,), RING),
    ("wgan_gp_sigmoid_ring", (2,), SIGMOID_RING),
    ("lsgan_mnist", DIGIT, GLOBAL_POOL),
    ("wgan_gp_conv_mnist", DIGIT, GLOBAL_POOL),
    ("dcgan_maxpool_mnist", DIGIT, MAX_POOL),
    ("wdcgan_maxpool_mnist", DIGIT, MAX_POOL),
    ("wdcgan_gp_maxpool_mnist", DIGIT, MAX_POOL),
    ("dcgan_mnist", DIGIT, {"generator": DCGAN_28, "discriminator": NORMALISED_28}),
    ("wdcgan_mnist", DIGIT, {"generator": DCGAN_28, "discriminator": NORMALISED_28}),
    ("wdcgan_gp_mnist", DIGIT, {"generator": DCGAN_28, "discriminator": CRITIC_28}),
    ("dcgan_cifar10", PHOTO, {"generator": DCGAN_32, "discriminator": NORMALISED_32}),
    ("wdcgan_gp_cifar10", PHOTO, {"generator": DCGAN_32, "discriminator": CRITIC_32}),
    ("wdcgan_gp_folder", FACE, {"generator": DCGAN_64, "discriminator": CRITIC_64}),
    ("wdcgan_gp_folder", LARGE, {"generator": DCGAN_128, "discriminator": CRITIC_128}),
    ("cgan_mnist", DIGIT, perceptrons(DIGIT, 784, num_classes=10)),
    ("cgan_ring", (2,), CLASSES_RING),
    ("acgan_mnist", DIGIT, AUXILIARY),
    ("cvae_gan_mnist", DIGIT, HYBRID),
    ("dcgan_stacked", STACKED, stacked(4, 8, 16)),
    ("pacgan_stacked", STACKED, stacked(4, 8, 16, packs=2)),
    ("r3gan_stacked", STACKED, stacked(4, 8, 16, normalized=False)),
    ("infogan_mnist", DIGIT, INFORMED),
]


def described(text):
    """What makes the network or the prior that a configuration describes."""
    if isinstance(text, dict):
        arguments = {name: described(value) for name, value in text["init_args"].items()}
        made = described(text["class_path"])
        return made(**arguments) if issubclass(made, priors.Prior) else partial(made, **arguments)
    if isinstance(text, str):
        name = text.rpartition(".")[2]
        places = (nn,) if text.startswith("torch.nn.") else (networks, priors)
        return next(getattr(place, name) for place in places if hasattr(place, name))
    return text


def model_of(config, data_shape):
    """The model of a configuration and its networks, without memory for weights."""
    model = yaml.safe_load((configs_folder() / f"{config}.yaml").read_text())["model"]
    parts = ("generator", "discriminator", "encoder", "classifier", "num_classes", "prior")
    settings = model["init_args"]
    given = {name: described(settings[name]) for name in parts if name in settings}
    with torch.device("meta"):
        return getattr(lightning_gans, model["class_path"])(data_shape=data_shape, **given)


def layers_in_turn(network, *inputs):
    """The layers of a network as they run, each on nothing but the output of an earlier one.

    A layer that is made of others, such as a block, is noted after them; attention, as one layer.
    What a discriminator adds of the classes to its output is no layer: its test is another.
    """
    order, results = [], [*inputs]

    def note(layer, given, result):
        # Whatever a forward method does between two layers makes a tensor of its own.
        projected = layer is getattr(network, "ending", None) and network.labels is not None
        known = not order or any(given[0] is earlier for earlier in results)
        assert known or projected, layer
        order.append(layer)
        results.append(result)

    within = [
        f"{name}."
        for name, part in network.named_modules()
        if isinstance(part, SelfAttention) or parametrize.is_parametrized(part)
    ]
    for name, part in network.named_modules():
        summed = isinstance(part, ReadsCondition | ResidualBlock)
        one = not any(part.children()) or f"{name}." in within or summed
        if one and not name.startswith((*within,)):
            part.register_forward_hook(note)
    outputs = network(*inputs)
    for output in outputs if isinstance(outputs, tuple) else (outputs,):
        assert any(output is result for result in results)
    return [described_as(layer) for layer in order]


def described_as(layer):
    if isinstance(layer, SelfAttention | ReadsCondition | ResidualBlock):
        return f"{type(layer).__name__}()"
    if not parametrize.is_parametrized(layer):
        return repr(layer)
    (norm,) = layer.parametrizations.weight
    assert (type(norm).__name__, norm.n_power_iterations) == ("_SpectralNorm", 1)
    return f"spectral {type(layer).__name__.removeprefix('Parametrized')}({layer.extra_repr()})"


@pytest.mark.parametrize(
    ("config", "data_shape", "expected"),
    SYSTEMS,
    ids=[f"{config}-{shape[-1]}" for config, shape, _ in SYSTEMS],
)
def test_the_networks_have_the_layers_of_their_source(config, data_shape, expected):
    model = model_of(config, data_shape)
    for player, layers in expected.items():
        network = getattr(model, player)
        packs = getattr(model, "pack_size", 1) if player == "discriminator" else 1
        read = (packs * data_shape[0], *data_shape[1:])
        size = (model.prior.dim,) if player == "generator" else read
        inputs = [torch.empty(2, *size, device="meta")]
        if getattr(network, "labels", None) is not None:
            inputs.append(torch.empty(2, dtype=torch.int64, device="meta"))
        assert layers_in_turn(network, *inputs) == [str(layer) for layer in layers], player


@pytest.mark.parametrize(
    ("config", "data_shape", "generator", "discriminator"),
    [
        # StudioGAN's logs of its training
        ("sngan_cifar10", PHOTO, 4_276_739, 1_053_825),
        ("sngan_projection_cifar10", PHOTO, 4_304_387, 1_055_105),
        ("sagan_cifar10", PHOTO, 4_386_308, 1_075_586),
        ("biggan_cifar10", PHOTO, 9_416_196, 2_415_170),
        ("stylegan2_cifar10", PHOTO, 20_215_315, 23_089_664),
        ("stylegan2_ada_cifar10", PHOTO, 20_215_315, 23_089_664),
        # The authors' code for ImageNet, and for CIFAR-10, where the settings are its script's
        ("biggan_folder", LARGE, 70_433_988, 87_982_370),
        ("biggan_cifar10_diffaug_10pct", PHOTO, 4_304_387, 4_207_361),
        # Counted from the tables of the authors' code
        ("stylegan2_folder", FACE, 22_243_608, 23_407_361),
        ("r3gan_cifar10", PHOTO, 20_781_952, 21_280_512),
    ],
)
def test_the_networks_have_as_many_weights_as_their_source(
    config, data_shape, generator, discriminator
):
    model = model_of(config, data_shape)
    counts = [
        sum(weight.numel() for weight in network.parameters())
        for network in (model.generator, model.discriminator)
    ]
    assert counts == [generator, discriminator]


def test_a_layer_that_does_not_show_in_the_tree_of_modules_is_found():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Linear(2, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.second(self.first(x).relu())

    with pytest.raises(AssertionError, match="in_features=2"):
        layers_in_turn(Hidden(), torch.zeros(1, 3))
