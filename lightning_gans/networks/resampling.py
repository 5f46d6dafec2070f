"""Layers that change the size of images, or smooth them, with the weights 1, 3, 3 and 1."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d
from typing_extensions import override

__all__ = ["Blur", "Downsample", "Upsample"]


class _Resample(nn.Module):
    """Base of the layers that weigh neighbouring pixels by 1, 3, 3 and 1 along both sides.

    Args:
        gain: sum of the weights.
    """

    weights: Tensor

    def __init__(self, gain: float) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("weights", gain * torch.outer(row, row)[None, None], persistent=False)


class Upsample(_Resample):
    """Doubles the sides of images; beyond their border there is 0."""

    treats_samples_alone = True

    def __init__(self) -> None:
        super().__init__(4.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        weights = self.weights.expand(x.shape[1], -1, -1, -1)
        return conv_transpose2d(x, weights, stride=2, padding=1, groups=x.shape[1])


class Downsample(_Resample):
    """Halves the sides of images; beyond their border there is 0."""

    treats_samples_alone = True

    def __init__(self) -> None:
        super().__init__(1.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        weights = self.weights.expand(x.shape[1], -1, -1, -1)
        return conv2d(x, weights, stride=2, padding=1, groups=x.shape[1])


class Blur(_Resample):
    """Smooths images; beyond their border there is 0.

    Args:
        padding: pixels of 0 on each side of the images, which lose 3 pixels in each direction.
        gain: sum of the weights.
    """

    treats_samples_alone = True

    def __init__(self, padding: int, gain: float = 1.0) -> None:
        super().__init__(gain)
        self.padding = padding

    @override
    def forward(self, x: Tensor) -> Tensor:
        weights = self.weights.expand(x.shape[1], -1, -1, -1)
        return conv2d(x, weights, padding=self.padding, groups=x.shape[1])
