"""Layers with an equalized learning rate, and their activation."""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear
from typing_extensions import override

__all__ = ["EqualizedConv2d", "EqualizedLinear", "ScaledLeakyReLU"]


class ScaledLeakyReLU(nn.Module):
    """LeakyReLU with the slope 0.2, times sqrt(2), which keeps the size of normal inputs."""

    treats_samples_alone = True

    @override
    def forward(self, x: Tensor) -> Tensor:
        return sqrt(2) * leaky_relu(x, 0.2)


class EqualizedLinear(nn.Module):
    """A linear layer whose weights are standard normal at first and scaled whenever they are used.

    An optimizer that normalizes gradients moves all such layers at one relative speed.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al.,
        2018), section 4.1, https://arxiv.org/abs/1710.10196. The multiplier is that of the code of
        its authors for generators with styles.

    Args:
        inputs: entries of the input.
        outputs: entries of the output.
        bias: what is added to each output at first.
        multiplier: of the learning rate: parameters are drawn that much larger, and scaled down.
    """

    treats_samples_alone = True

    def __init__(
        self, inputs: int, outputs: int, bias: float = 0.0, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.multiplier = multiplier
        self.gain = multiplier / sqrt(inputs)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.gain * self.weight, self.multiplier * self.bias)


class EqualizedConv2d(nn.Module):
    """A convolution whose weights are scaled as those of `EqualizedLinear`.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: side of the kernel, in pixels.
        bias: whether a bias is added, 0 at first.
        stride: pixels from one place of the kernel to the next.
        padding: pixels of 0 around the images.
    """

    treats_samples_alone = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        bias: bool = True,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1 / sqrt(inputs * kernel**2)
        self.stride = stride
        self.padding = padding

    @override
    def forward(self, x: Tensor) -> Tensor:
        weight = self.gain * self.weight
        return conv2d(x, weight, self.bias, stride=self.stride, padding=self.padding)
