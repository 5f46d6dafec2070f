"""Generators with styles: what their layers are made of, and what they have in common."""

from abc import ABC, abstractmethod
from math import inf, sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d
from typing_extensions import override

from lightning_gans.networks.conditioning import ClassShares
from lightning_gans.networks.equalized import EqualizedLinear, ScaledLeakyReLU
from lightning_gans.networks.resampling import Blur
from lightning_gans.networks.shapes import check_sizes

__all__ = ["Mapping", "ModulatedConv2d", "NoisyConv2d", "StyledGenerator"]

EPS = 1e-8
"""Added to squares before their root is taken."""
KEPT = 0.995
"""Share of the average style that each forward pass in training keeps, as in the authors' code."""
MULTIPLIER = 0.01
"""Of the learning rate of the layers that make styles."""


class StyledGenerator(nn.Module, ABC):
    """Base of the generators that turn latents into styles, and styles into samples.

    Each layer reads a style of its own; from one latent all are the same.

    In training mode the average style follows the styles. In evaluation mode styles may be
    truncated: see `truncate`.

    Args:
        style_dim: W, the entries of a style.
        num_styles: L, the layers that read one.

    Attributes:
        average: the average style, shape (W,).
        psi: how far from the average a style is, 1 if it is not truncated.
    """

    average: Tensor

    def __init__(self, style_dim: int, num_styles: int) -> None:
        super().__init__()
        check_sizes(style_dim=style_dim)
        self.num_styles = num_styles
        self.psi = 1.0
        self.register_buffer("average", torch.zeros(style_dim))

    @abstractmethod
    def map(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns a style of each latent, shape (N, W).

        Args:
            latent: shape (N, Z).
            labels: classes, int64, shape (N,), or their shares, shape (N, K), if there are any.
        """

    @abstractmethod
    def synthesize(self, styles: Tensor) -> Tensor:
        """Returns the samples of styles, shape (N, ...).

        Args:
            styles: shape (N, L, W).
        """

    def styles(self, latent: Tensor, labels: Tensor | None = None, follow: bool = True) -> Tensor:
        """Returns the styles of latents for all layers, shape (N, L, W).

        Args:
            latent: see `map`.
            labels: see `map`.
            follow: whether the average style follows these in training mode.
        """
        style = self.map(latent, labels).to(self.average.dtype)
        if self.training and follow:
            with torch.no_grad():
                self.average.lerp_(style.mean(0), 1 - KEPT)
        elif not self.training and self.psi != 1:
            style = self.average.lerp(style, self.psi)
        return style[:, None].expand(-1, self.num_styles, -1)

    @override
    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples, shape (N, ...); see `map`."""
        return self.synthesize(self.styles(latent, labels))

    def truncate(self, psi: float) -> None:
        """Moves styles towards the average in evaluation mode: fewer odd samples, less variety.

        References:
            A Style-Based Generator Architecture for Generative Adversarial Networks (Karras et
            al., 2019), appendix B, https://arxiv.org/abs/1812.04948 (from memory)

        Args:
            psi: what is left of the way from the average to a style, above 0; 1 changes nothing,
                and more leads away from the average.

        Raises:
            ValueError: if it is out of range.
        """
        if not 0 < psi < inf:
            raise ValueError(f"truncation must be finite and above 0, got {psi}. Use 0.7.")
        self.psi = float(psi)


class Mapping(nn.Module):
    """The layers that turn latents, classes or both into styles.

    Latents, and a vector of each class, are first divided by the root of their mean square.

    Args:
        latent_dim: Z, the entries of a latent; 0 for a mapping of classes alone.
        style_dim: W, the entries of a style.
        num_layers: at least 1.
        num_classes: K; none if it is None.

    Raises:
        ValueError: if a size is out of range.
    """

    treats_samples_alone = True

    def __init__(
        self, latent_dim: int, style_dim: int, num_layers: int, num_classes: int | None
    ) -> None:
        super().__init__()
        check_sizes(style_dim=style_dim, mapping_layers=num_layers)
        self.labels = None if num_classes is None else ClassShares(num_classes)
        width = latent_dim
        if num_classes is not None:
            self.embedding = EqualizedLinear(num_classes, style_dim)
            width += style_dim
        layers: list[nn.Module] = []
        for inputs in [width, *[style_dim] * (num_layers - 1)]:
            layers += [EqualizedLinear(inputs, style_dim, 0.0, MULTIPLIER), ScaledLeakyReLU()]
        self.layers = nn.Sequential(*layers)

    @override
    def forward(self, latent: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """Returns styles, shape (N, W).

        Args:
            latent: shape (N, Z); None for a mapping of classes alone.
            labels: see `ClassShares`, if there are classes.
        """
        read = [] if latent is None else [latent]
        if self.labels is not None:
            read.append(self.embedding(self.labels(labels)))
        made: Tensor = self.layers(torch.cat([_normalized(part) for part in read], 1))
        return made


def _normalized(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by a style.

    If it demodulates, each output channel is divided by the norm of the weights that made it, as
    scaled by the style. The activations are scaled in place of the weights, which is the same.

    References:
        Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), equations 1
        and 3, https://arxiv.org/abs/1912.04958

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: side of the kernel, in pixels, odd.
        style_dim: W, the entries of a style.
        demodulate: whether it demodulates.
        up: whether it doubles the sides of the images: with a transposed convolution, then a blur.
    """

    treats_samples_alone = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualizedLinear(style_dim, inputs, bias=1.0)
        self.gain = 1 / sqrt(inputs * kernel**2)
        self.padding = kernel // 2
        self.demodulate = demodulate
        self.blur = Blur(1, gain=4.0) if up else None

    @override
    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Returns images, shape (N, outputs, H, W), or with twice the sides.

        Args:
            x: shape (N, inputs, H, W).
            style: shape (N, style_dim).
        """
        weight, scales = self.gain * self.weight, self.affine(style)
        x = x * scales[:, :, None, None].to(x.dtype)
        if self.blur is None:
            x = conv2d(x, weight, padding=self.padding)
        else:
            x = self.blur(conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if self.demodulate:
            squares = scales.square() @ weight.square().sum((2, 3)).T
            x = x * (squares + EPS).rsqrt()[:, :, None, None].to(x.dtype)
        return x


class NoisyConv2d(nn.Module):
    """A modulated convolution of 3 x 3 pixels, noise, a bias and an activation.

    The noise is one map for all channels, drawn anew for each image in training. In evaluation
    mode it is one map for all images, drawn once and saved with the weights, so that a sample is a
    function of its latent. It has no effect at first.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        side: of the images that it makes, in pixels.
        style_dim: W, the entries of a style.
        up: see `ModulatedConv2d`.
    """

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, side: int, style_dim: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, style_dim, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.activation = ScaledLeakyReLU()
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    @override
    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Returns images, shape (N, outputs, side, side); the arguments of `ModulatedConv2d`."""
        x = self.convolution(x, style)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise.to(x.dtype)
        x = x + noise * self.strength + self.bias[:, None, None].to(x.dtype)
        made: Tensor = self.activation(x)
        return made
