"""R3GAN's networks: residual blocks of grouped convolutions, without normalization."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.conditioning import ClassShares, Conditional
from lightning_gans.networks.endings import clamped
from lightning_gans.networks.resampling import Downsample, Upsample
from lightning_gans.networks.shapes import check_sizes, doubling_sides

__all__ = [
    "Basis",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResidualBlock",
]

WIDTHS = (768, 768, 768, 768, 384, 192, 96)
"""The authors' channels for photographs, from images of 4 pixels on."""
EXPANSION = 2
"""Channels inside a block for each outside."""
GROUP = 16
"""Channels of a group, in all of the authors' networks but that for ImageNet at 32 pixels."""
SLOPE = 0.2


class ResidualBlock(nn.Module):
    """The sum of images and of what a chain of three convolutions makes of them.

    Args:
        channels: of the images.
        groups: of the middle convolution, which has twice as many channels.
    """

    treats_samples_alone = True

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, inner, 1), nn.LeakyReLU(SLOPE)),
            *(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), nn.LeakyReLU(SLOPE)),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Basis(nn.Module):
    """Learned images of one channel each, which its input scales.

    Args:
        channels: of the images.
        side: of the images, in pixels.
    """

    treats_samples_alone = True

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.images = nn.Parameter(torch.randn(channels, side, side))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.images * x[:, :, None, None]


class _Stage(NamedTuple):
    """The blocks of one size of images: its side, its channels, groups inside the blocks."""

    side: int
    width: int
    groups: int


def _stages(
    data_shape: tuple[int, ...],
    widths: Sequence[int] | None,
    blocks: int,
    cardinality: Sequence[int] | None,
) -> list[_Stage]:
    """Returns the stages from the smallest images to the largest.

    Raises:
        ValueError: if there are none for the images, or an argument does not fit them.
    """
    sides = doubling_sides(data_shape)
    if widths is None and len(sides) > len(WIDTHS):
        raise ValueError(
            f"widths: there are no published ones for images of {sides[-1]} pixels. Use one for "
            f"each of {len(sides)} stages, from the smallest images on."
        )
    widths = WIDTHS[: len(sides)] if widths is None else widths
    listed = {"widths": widths} | ({} if cardinality is None else {"cardinality": cardinality})
    for name, entries in listed.items():
        if len(entries) != len(sides):
            raise ValueError(
                f"{name} must have an entry for each size of the images, {_listed(sides)} pixels, "
                f"got {list(entries)}. Use {len(sides)} of them."
            )
        for entry in entries:
            check_sizes(**{name: entry})
    check_sizes(blocks=blocks)
    if cardinality is None:
        cardinality = [_groups(channels) for channels in widths]
    for channels, groups in zip(widths, cardinality, strict=True):
        inner = EXPANSION * channels
        if inner % groups:
            divisors = [number for number in range(1, inner + 1) if inner % number == 0]
            nearest = min(divisors, key=lambda number: abs(number - groups))
            raise ValueError(
                f"cardinality: {groups} groups do not divide the {inner} channels inside a block "
                f"of width {channels}. Use {nearest}."
            )
    return [_Stage(*stage) for stage in zip(sides, widths, cardinality, strict=True)]


def _listed(sides: Sequence[int]) -> str:
    *first, last = map(str, sides)
    return f"{', '.join(first)} and {last}" if first else last


def _groups(width: int) -> int:
    """Returns how many groups of the usual size there are in a block.

    Raises:
        ValueError: if the channels do not divide.
    """
    multiple = GROUP // EXPANSION
    if width % multiple:
        raise ValueError(
            f"widths: blocks with groups of {GROUP} channels need a multiple of {multiple}, got "
            f"{width}. Use {max(multiple, multiple * round(width / multiple))}, or give "
            "cardinality."
        )
    return width // multiple


def _initialize(network: nn.Module) -> None:
    """Draws weights whose layers keep the variance, and blocks that add nothing at first.

    With more blocks, the first two convolutions of each are smaller.
    """
    blocks = [part for part in network.modules() if isinstance(part, ResidualBlock)]
    gain = sqrt(2 / (1 + SLOPE**2)) * len(blocks) ** -0.25
    within = {layer: gain for block in blocks for layer in block.layers}
    within |= {block.layers[-1]: 0.0 for block in blocks}
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.normal_(part.weight, 0, within.get(part, 1) / sqrt(part.weight[0].numel()))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class R3GANGenerator(Conditional):
    """Creates R3GAN's generator: learned images of 4 pixels, and residual blocks.

    It has no last activation, so its samples may lie beyond the range of the data. In evaluation
    mode they are clamped to it: scores, pictures and exports have the clamped ones. A class is a
    learned vector behind the latent, with as many entries.

    References:
        The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        https://arxiv.org/abs/2501.05441. The layers, their initial weights and the numbers of
        parameters are those of the authors' code; the paper's own tables were not checked. Its
        smallest images have 4 pixels. For 28 pixels they have 7 here, which double twice (chosen).
        With half precision, their code keeps the stage of 4 pixels in single precision; here all
        are alike.

    Args:
        latent_dim: Z, the number of entries of one latent; 64 in the authors' code.
        data_shape: (C, H, W) of one square image whose side is 4, 5, 6 or 7 pixels, or these
            times a power of 2, such as 28, 32 or 64.
        widths: channels of each size of the images, from the smallest on. If they are not given,
            those of the authors for photographs: 768 up to 32 pixels, then 384, 192 and 96. Their
            network for ImageNet at 32 pixels has four times 1536.
        blocks: for each size of the images, at least 1; 2 in the authors' code.
        cardinality: groups of the middle convolution in the blocks of each size. If it is not
            given, a group has 16 channels, and ``widths`` must be multiples of 8. The network for
            ImageNet has four times 96.
        output_range: of the data, to which samples are clamped in evaluation mode; None leaves
            them as they are.
        num_classes: classes of a conditional generator; none if it is not given.

    Attributes:
        output_range: the least and the greatest value of samples in evaluation mode.

    Raises:
        ValueError: if there is no such network for the images, or an argument is out of range.

    Example:
        >>> import torch
        >>> generator = R3GANGenerator(64, (3, 32, 32), widths=[16, 16, 8, 8], blocks=1)
        >>> generator(torch.zeros(2, 64)).shape
        torch.Size([2, 3, 32, 32])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        widths: Sequence[int] | None = None,
        blocks: int = 2,
        cardinality: Sequence[int] | None = None,
        output_range: tuple[float, float] | None = (-1.0, 1.0),
        num_classes: int | None = None,
    ) -> None:
        super().__init__(num_classes, None if num_classes is None else latent_dim)
        stages = _stages(data_shape, widths, blocks, cardinality)
        first, last = stages[0], stages[-1]
        layers: list[nn.Module] = [
            nn.Linear(latent_dim + self.label_size, first.width, bias=False),
            Basis(first.width, first.side),
            *(ResidualBlock(first.width, first.groups) for _ in range(blocks)),
        ]
        for before, stage in pairwise(stages):
            if before.width != stage.width:
                layers.append(nn.Conv2d(before.width, stage.width, 1, bias=False))
            layers.append(Upsample())
            layers += (ResidualBlock(stage.width, stage.groups) for _ in range(blocks))
        layers.append(nn.Conv2d(last.width, data_shape[0], 1, bias=False))
        clamp = clamped(output_range)
        self.output_range = None if clamp is None else (clamp.low, clamp.high)
        layers += [] if clamp is None else [clamp]
        self.layers = nn.Sequential(*layers)
        _initialize(self)
        if self.labels is not None:
            nn.init.normal_(self.labels.vectors, 0, sqrt(1 / self.labels.num_classes))


class R3GANDiscriminator(nn.Module):
    """Creates R3GAN's discriminator, the generator's mirror image, without normalization.

    With classes, its last layer makes as many numbers as the smallest images have channels, and
    the output is their product with a vector of the class.

    References:
        The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        https://arxiv.org/abs/2501.05441. What is said of `R3GANGenerator` holds here. The authors'
        networks have one output; several, each with vectors of the classes of its own, are chosen.

    Args:
        data_shape: see `R3GANGenerator`.
        widths: see `R3GANGenerator`; from the smallest images on as well.
        blocks: see `R3GANGenerator`.
        cardinality: see `R3GANGenerator`.
        num_classes: classes that an image is read with; none if it is not given.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if there is no such network for the images, or an argument is out of range.

    Example:
        >>> import torch
        >>> discriminator = R3GANDiscriminator((3, 32, 32), widths=[16, 16, 8, 8], blocks=1)
        >>> discriminator(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        widths: Sequence[int] | None = None,
        blocks: int = 2,
        cardinality: Sequence[int] | None = None,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(num_outputs=num_outputs)
        stages = _stages(data_shape, widths, blocks, cardinality)[::-1]
        side, width, groups = stages[-1]
        layers: list[nn.Module] = [nn.Conv2d(data_shape[0], stages[0].width, 1, bias=False)]
        for stage, after in pairwise(stages):
            layers += (ResidualBlock(stage.width, stage.groups) for _ in range(blocks))
            layers.append(Downsample())
            if stage.width != after.width:
                layers.append(nn.Conv2d(stage.width, after.width, 1, bias=False))
        layers += (ResidualBlock(width, groups) for _ in range(blocks))
        layers += [nn.Conv2d(width, width, side, groups=width, bias=False), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, num_outputs if num_classes is None else width, bias=False)
        self.labels = None if num_classes is None else ClassShares(num_classes)
        self.ending = nn.Flatten(0) if num_outputs == 1 else nn.Identity()
        _initialize(self)
        if num_classes is not None:
            vectors = torch.randn(num_classes, num_outputs * width)
            self.vectors = nn.Parameter(vectors / sqrt(num_classes * width))

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps samples to outputs, shape (N,) or (N, outputs).

        Args:
            x: shape (N, C, H, W).
            labels: see `ClassShares`, if the network has classes.
        """
        return self.with_features(x, labels)[0]

    def with_features(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        features = self.layers(x)
        outputs = self.head(features)
        if self.labels is not None:
            vectors = (self.labels(labels) @ self.vectors).unflatten(1, (-1, outputs.shape[1]))
            outputs = (vectors * outputs[:, None]).sum(2)
        return self.ending(outputs), features
