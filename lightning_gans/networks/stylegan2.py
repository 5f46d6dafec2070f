"""StyleGAN2's networks: modulated convolutions, and a discriminator that compares samples."""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import clamped
from lightning_gans.networks.equalized import EqualizedConv2d, EqualizedLinear, ScaledLeakyReLU
from lightning_gans.networks.minibatch import MinibatchStdDev
from lightning_gans.networks.resampling import Blur, Downsample, Upsample
from lightning_gans.networks.shapes import check_sizes, doubling_sides
from lightning_gans.networks.styles import (
    Mapping,
    ModulatedConv2d,
    NoisyConv2d,
    StyledGenerator,
)

__all__ = ["StyleGAN2Discriminator", "StyleGAN2Generator"]

LABEL_LAYERS = 8
"""Layers that turn a class into what the discriminator's features are compared with."""


def _channels(sides: list[int], base_channels: int, max_channels: int) -> list[int]:
    """Returns the channels of images with these sides.

    Raises:
        ValueError: if there are none for the largest.
    """
    check_sizes(max_channels=max_channels)
    if base_channels < sides[-1]:
        raise ValueError(
            f"base_channels must be at least the side of the images, {sides[-1]} pixels, got "
            f"{base_channels}. Use 16384 as in the authors' code, or less for small networks."
        )
    return [min(base_channels // side, max_channels) for side in sides]


class StyleGAN2Generator(StyledGenerator):
    """Creates StyleGAN2's generator: a mapping of latents to styles, and a sum of images.

    From learned images of 4 pixels on, modulated convolutions with noise double the sides. From
    each size an image is read off, and all of them are added up: the paper's skip connections.

    It has no last activation, so its samples may lie beyond the range of the data. In evaluation
    mode they are clamped to it: scores, pictures and exports have the clamped ones. The noise does
    not change in evaluation mode, see `NoisyConv2d`; the authors draw it anew for their scores.

    References:
        | Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), sections 2
        | and 4, https://arxiv.org/abs/1912.04958.
        | Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), whose
        | code has the classes, the sizes and the numbers of parameters,
        | https://arxiv.org/abs/2006.06676; the papers' own tables were not checked. Their code
        | also clamps activations in half precision. Its smallest images have 4 pixels. For 28
        | pixels they have 7 here, which double twice (chosen).

    Args:
        latent_dim: Z, the number of entries of one latent; 512 in the authors' code.
        data_shape: (C, H, W) of one square image whose side is 4, 5, 6 or 7 pixels, or these
            times a power of 2, such as 28, 32 or 64.
        base_channels: images with s pixels have this / s channels, rounded down; 32768 in the
            authors' code for CIFAR-10, and 16384 for others up to 256 pixels.
        max_channels: most channels of images of any size.
        style_dim: W, the entries of a style.
        mapping_layers: of the mapping, at least 1; 8 in the paper, and 2 in the code for small
            images.
        output_range: of the data, to which samples are clamped in evaluation mode; None leaves
            them as they are.
        num_classes: classes of a conditional generator; none if it is not given.

    Attributes:
        output_range: the least and the greatest value of samples in evaluation mode.

    Raises:
        ValueError: if there is no such network for the images, or an argument is out of range.

    Example:
        >>> import torch
        >>> generator = StyleGAN2Generator(64, (3, 32, 32), base_channels=256)
        >>> generator(torch.zeros(2, 64)).shape
        torch.Size([2, 3, 32, 32])
        >>> generator.styles(torch.zeros(2, 64)).shape
        torch.Size([2, 8, 512])
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        base_channels: int = 16384,
        max_channels: int = 512,
        style_dim: int = 512,
        mapping_layers: int = 2,
        output_range: tuple[float, float] | None = (-1.0, 1.0),
        num_classes: int | None = None,
    ) -> None:
        sides = doubling_sides(data_shape)
        super().__init__(style_dim, 2 * len(sides))
        channels = _channels(sides, base_channels, max_channels)
        self.mapping = Mapping(latent_dim, style_dim, mapping_layers, num_classes)
        self.constant = nn.Parameter(torch.randn(channels[0], sides[0], sides[0]))
        layers = [NoisyConv2d(channels[0], channels[0], sides[0], style_dim)]
        for (before, after), side in zip(pairwise(channels), sides[1:], strict=True):
            layers.append(NoisyConv2d(before, after, side, style_dim, up=True))
            layers.append(NoisyConv2d(after, after, side, style_dim))
        self.layers = nn.ModuleList(layers)
        self.read_off = nn.ModuleList(
            ModulatedConv2d(width, data_shape[0], 1, style_dim, demodulate=False)
            for width in channels
        )
        self.biases = nn.Parameter(torch.zeros(len(sides), data_shape[0], 1, 1))
        self.upsample = Upsample()
        clamp = clamped(output_range)
        self.output_range = None if clamp is None else (clamp.low, clamp.high)
        self.ending = nn.Identity() if clamp is None else clamp

    @override
    def map(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        style: Tensor = self.mapping(latent, labels)
        return style

    @override
    def synthesize(self, styles: Tensor) -> Tensor:
        each = styles.unbind(1)
        x = self.constant.expand(styles.shape[0], -1, -1, -1)  # len() would fix the number
        images: Tensor | None = None
        for number, layer in enumerate(self.layers):
            x = layer(x, each[number])
            if number % 2 == 0:  # the last one of its size
                size = number // 2
                image = self.read_off[size](x, each[number + 1]) + self.biases[size]
                images = image if images is None else self.upsample(images) + image
        made: Tensor = self.ending(images)
        return made


class _Residual(nn.Module):
    """The sum of what two chains make of images, divided by sqrt(2)."""

    treats_samples_alone = True

    def __init__(self, main: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    @override
    def forward(self, x: Tensor) -> Tensor:
        return sqrt(0.5) * (self.main(x) + self.shortcut(x))


class StyleGAN2Discriminator(nn.Module):
    """Creates StyleGAN2's discriminator, which also reads how much the samples of a group differ.

    With classes, the output is the product of the features with a vector that layers of their own
    make of the class.

    References:
        | Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), section 4.1,
        | https://arxiv.org/abs/1912.04958.
        | Training Generative Adversarial Networks with Limited Data (Karras et al., 2020),
        | https://arxiv.org/abs/2006.06676. What is said of `StyleGAN2Generator` holds here. The
        | authors' networks have one output; several are chosen.

    Args:
        data_shape: see `StyleGAN2Generator`.
        base_channels: see `StyleGAN2Generator`.
        max_channels: see `StyleGAN2Generator`.
        residual: whether each size has a shortcut; the authors' network for CIFAR-10 has none.
        group_size: samples whose deviation is read, at least 2, see `MinibatchStdDev`; 32 in the
            authors' code for CIFAR-10.
        num_classes: classes that an image is read with; none if it is not given.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if there is no such network for the images, or an argument is out of range.

    Example:
        >>> import torch
        >>> discriminator = StyleGAN2Discriminator((3, 32, 32), base_channels=256)
        >>> discriminator(torch.zeros(4, 3, 32, 32)).shape
        torch.Size([4])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        base_channels: int = 16384,
        max_channels: int = 512,
        residual: bool = True,
        group_size: int = 4,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(num_outputs=num_outputs)
        sides = doubling_sides(data_shape)
        channels = _channels(sides, base_channels, max_channels)[::-1]
        layers: list[nn.Module] = [EqualizedConv2d(data_shape[0], channels[0], 1)]
        layers.append(ScaledLeakyReLU())
        for before, after in pairwise(channels):
            main = nn.Sequential(
                *(EqualizedConv2d(before, before, 3, padding=1), ScaledLeakyReLU()),
                *(Blur(2), EqualizedConv2d(before, after, 3, stride=2), ScaledLeakyReLU()),
            )
            short = [Downsample(), EqualizedConv2d(before, after, 1, bias=False)]
            layers.append(_Residual(main, nn.Sequential(*short)) if residual else main)
        width = channels[-1]
        self.layers = nn.Sequential(
            *layers,
            MinibatchStdDev(width, group_size),
            *(EqualizedConv2d(width + 1, width, 3, padding=1), ScaledLeakyReLU(), nn.Flatten()),
            *(EqualizedLinear(width * sides[0] ** 2, width), ScaledLeakyReLU()),
        )
        several = num_outputs if num_classes is None else num_outputs * width
        self.head = EqualizedLinear(width, several)
        self.ending = nn.Flatten(0) if num_outputs == 1 else nn.Identity()
        self.mapping = None
        if num_classes is not None:
            self.mapping = Mapping(0, width, LABEL_LAYERS, num_classes)

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
        if self.mapping is not None:
            vectors = self.mapping(None, labels)
            products = outputs.unflatten(1, (-1, vectors.shape[1])) * vectors[:, None]
            outputs = products.sum(2) / sqrt(vectors.shape[1])
        return self.ending(outputs), features
