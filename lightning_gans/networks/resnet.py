"""The residual networks of spectral normalization, and of WGAN-GP for CIFAR-10."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import sqrt

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.normalized import normalize_spectrally
from lightning_gans.networks.projection import (
    ProjectionDiscriminator,
    ReadsCondition,
    SharesGenerator,
    batch_norm,
    in_turn,
)
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = [
    "Places",
    "ResNetCritic",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SumOverPixels",
    "Table",
    "critic_layers",
    "generator_layers",
    "initialize",
    "table_for",
]


@dataclass(frozen=True)
class Table:
    """The networks for one size of images; channels are multiples of a network's width.

    Attributes:
        width_g: the generator's published width.
        channels_g: after its first layer and after each of its blocks.
        width_d: the discriminator's.
        channels_d: after each of its blocks.
        halvings: how many of these, from the first on, halve the sides.
    """

    width_g: int
    channels_g: tuple[int, ...]
    width_d: int
    channels_d: tuple[int, ...]
    halvings: int


TABLES = {
    28: Table(256, (1, 1, 1), 128, (1, 1, 1, 1), 2),
    32: Table(256, (1, 1, 1, 1), 128, (1, 1, 1, 1), 2),
    48: Table(64, (8, 4, 2, 1), 64, (1, 2, 4, 8, 16), 4),
    64: Table(64, (16, 8, 4, 2, 1), 64, (1, 2, 4, 8, 16), 5),
    128: Table(64, (16, 16, 8, 4, 2, 1), 64, (1, 2, 4, 8, 16, 16), 5),
}
"""By the sides of the images, in pixels."""


def table_for(data_shape: tuple[int, ...]) -> Table:
    """Returns the networks for images.

    Raises:
        ValueError: if there are none for their size, or the data is no image.
    """
    _, height, width = image_shape(data_shape)
    if height != width or height not in TABLES:
        *sides, last = TABLES
        nearest = min(TABLES, key=lambda side: abs(side - (height + width) / 2))
        raise ValueError(
            "data_shape: there are residual networks for square images of "
            f"{', '.join(map(str, sides))} and {last} pixels, got {height} x {width}. Use "
            f"{nearest} x {nearest}."
        )
    return TABLES[height]


class _Residual(ReadsCondition):
    """The sum of what two chains of layers make of the same input."""

    treats_samples_alone = True

    def __init__(self, main: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    @override
    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return in_turn(self.main, x, condition) + self.shortcut(x)


class SumOverPixels(nn.Module):
    """The sum of each channel over all pixels."""

    treats_samples_alone = True

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


def _up(inputs: int, outputs: int, normalization: Callable[[int], nn.Module]) -> _Residual:
    """Returns a block that doubles the sides."""
    main = nn.Sequential(
        *(normalization(inputs), nn.ReLU(), nn.UpsamplingNearest2d(scale_factor=2)),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        *(normalization(outputs), nn.ReLU()),
        nn.Conv2d(outputs, outputs, 3, padding=1),
    )
    shortcut = nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), nn.Conv2d(inputs, outputs, 1))
    return _Residual(main, shortcut)


def _first(inputs: int, outputs: int) -> _Residual:
    """Returns the block that reads images; it halves the sides, on its shortcut first of all."""
    main = nn.Sequential(
        *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.AvgPool2d(2)),
    )
    return _Residual(main, nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1)))


def _down(inputs: int, outputs: int, hidden: int, *, halves: bool) -> _Residual:
    """Returns another block of a discriminator."""
    main = nn.Sequential(
        *(nn.ReLU(), nn.Conv2d(inputs, hidden, 3, padding=1)),
        *(nn.ReLU(), nn.Conv2d(hidden, outputs, 3, padding=1)),
        *([nn.AvgPool2d(2)] if halves else []),
    )
    shortcut = nn.Sequential()
    if halves or inputs != outputs:
        shortcut.append(nn.Conv2d(inputs, outputs, 1))
    if halves:
        shortcut.append(nn.AvgPool2d(2))
    return _Residual(main, shortcut)


def initialize(network: nn.Module) -> None:
    """Draws weights as Glorot does, with a gain of sqrt(2) in the main chains of blocks."""
    main = {
        part
        for block in network.modules()
        if isinstance(block, _Residual)
        for part in block.main
        if isinstance(part, nn.Conv2d)
    }
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.xavier_uniform_(part.weight, sqrt(2) if part in main else 1.0)
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


Places = dict[int, tuple[int, int]]
"""Where a layer that reads the images inside a network belongs, and their channels; by the side of
these images."""


def generator_layers(
    latent_dim: int,
    data_shape: tuple[int, ...],
    width: int | None,
    output: Callable[[], nn.Module] | None,
    normalization: Callable[[int], nn.Module],
) -> tuple[list[nn.Module], Places]:
    """Returns the layers of a generator, and where others may be inserted.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image.
        width: channels before the last layer; the published ones if it is None.
        output: makes the activation after the last layer, if there is one.
        normalization: makes the layers of the blocks that normalize so many channels.

    Raises:
        ValueError: if there are no such networks for the images, or ``width`` is below 1.
    """
    table = table_for(data_shape)
    check_sizes(width=width)
    channels = [(width or table.width_g) * factor for factor in table.channels_g]
    side = data_shape[1] >> (len(channels) - 1)
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, channels[0] * side * side),
        nn.Unflatten(1, (channels[0], side, side)),
        *(_up(inputs, outputs, normalization) for inputs, outputs in pairwise(channels)),
        *(nn.BatchNorm2d(channels[-1]), nn.ReLU()),
        nn.Conv2d(channels[-1], data_shape[0], 3, padding=1),
        *ending(output),
    ]
    return layers, {side << number: (2 + number, made) for number, made in enumerate(channels)}


def critic_layers(
    data_shape: tuple[int, ...], width: int | None, pool: nn.Module, *, wide: bool = False
) -> tuple[list[nn.Module], int, Places]:
    """Returns the layers of a discriminator up to its features, their number, and `Places`.

    Args:
        data_shape: (C, H, W) of one image.
        width: channels after the first block; the published ones if it is None.
        pool: makes features of images.
        wide: whether the inner channels of a block are those that it ends with, in place of those
            that it begins with.

    Raises:
        ValueError: if there are no such networks for the images, or ``width`` is below 1.
    """
    table = table_for(data_shape)
    check_sizes(width=width)
    channels = [(width or table.width_d) * factor for factor in table.channels_d]
    layers: list[nn.Module] = [_first(data_shape[0], channels[0])]
    places: Places = {data_shape[1] // 2: (1, channels[0])}
    for number, (inputs, outputs) in enumerate(pairwise(channels), 2):
        hidden = outputs if wide else inputs
        layers.append(_down(inputs, outputs, hidden, halves=number <= table.halvings))
        places.setdefault(data_shape[1] >> min(number, table.halvings), (number, outputs))
    return [*layers, nn.ReLU(), pool], channels[-1], places


class ResNetGenerator(SharesGenerator):
    """Creates the residual generator of spectral normalization, with BatchNorm in every block.

    A linear layer makes a small image, and each block doubles its sides: of 4 pixels, or of 6 and
    7 for images of 48 and 28.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        | appendix B, https://arxiv.org/abs/1802.05957. The layers are those of the authors' code,
        | and of public code for 48 pixels; the paper's tables themselves were not checked. For 28
        | pixels there is one block less than for 32 (chosen).
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), whose code for CIFAR-10
        | has the same network with ``width`` 128, https://arxiv.org/abs/1704.00028
        | cGANs with Projection Discriminator (Miyato and Koyama, 2018), for the gains and biases
        | of classes in all BatchNorms but the last, https://arxiv.org/abs/1802.05637

    Args:
        latent_dim: Z, the number of entries of one latent; 128 as published.
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: channels before the last layer, at least 1; if it is not given, the published 256,
            or 64 from 48 pixels on. The other layers have multiples of it.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator; none if it is not given.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if there is no such network for the images, or a size is out of range.

    Example:
        >>> import torch
        >>> generator = ResNetGenerator(128, (3, 32, 32), width=8)
        >>> generator(torch.zeros(2, 128)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int | None = None,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(num_classes)
        normalization = partial(batch_norm, num_classes=num_classes)
        layers, _ = generator_layers(latent_dim, data_shape, width, output, normalization)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        initialize(self)


class ResNetDiscriminator(ProjectionDiscriminator):
    """Creates the residual discriminator of spectral normalization, whose layers have norm 1.

    Its features are sums over pixels. Spectral norm is PyTorch's: see `SpectralNorm`.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        | appendix B, https://arxiv.org/abs/1802.05957. The layers are those of the authors' code,
        | and of public code for 48 pixels; the paper's tables themselves were not checked. The
        | last layer has a bias; that of the authors for 32 pixels has none. For 28 pixels the
        | network is that for 32 (chosen).
        | cGANs with Projection Discriminator (Miyato and Koyama, 2018), for the classes,
        | https://arxiv.org/abs/1802.05637

    Args:
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: channels after the first block, at least 1; if it is not given, the published 128,
            or 64 from 48 pixels on. The other blocks have multiples of it.
        num_classes: classes that an image is read with, see `ProjectionDiscriminator`; none if it
            is not given.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if there is no such network for the images, or a size is out of range.

    Example:
        >>> import torch
        >>> discriminator = ResNetDiscriminator((3, 32, 32), width=8)
        >>> discriminator(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int | None = None,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        layers, features, _ = critic_layers(data_shape, width, SumOverPixels())
        super().__init__(nn.Sequential(*layers), features, num_classes, num_outputs)
        initialize(self)
        normalize_spectrally(self)


class ResNetCritic(ProjectionDiscriminator):
    """Creates the residual critic of WGAN-GP: without normalization, its features are means.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), the network for CIFAR-10 in
        its authors' code, https://arxiv.org/abs/1704.00028. That one is for 32 pixels; for other
        sizes the blocks are those of `ResNetDiscriminator`. Its authors' conditional critic tells
        the classes, as `ACGAN` does; here, with ``num_classes``, it reads them.

    Args:
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: see `ResNetDiscriminator`.
        num_classes: see `ResNetDiscriminator`.
        num_outputs: see `ResNetDiscriminator`.

    Raises:
        ValueError: if there is no such network for the images, or a size is out of range.
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int | None = None,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        layers, features, _ = critic_layers(data_shape, width, pool)
        super().__init__(nn.Sequential(*layers), features, num_classes, num_outputs)
        initialize(self)
