"""Augmentations of what a discriminator reads, in training alone.

They reach real and generated samples alike, in the turns of all players: a generator that was
judged on augmented samples while real ones stayed as they are would learn the augmentation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Augmentation", "FlipAndShift", "InstanceNoise"]


class Augmentation(nn.Module):
    """Base of augmentations, which may adapt to how training goes; plain modules do as well."""

    def after_turn(self, views: Sequence[Any], mean: Callable[[Tensor], Tensor]) -> None:
        """Updates the state of the augmentation; called after each update of a discriminator.

        Args:
            views: what the discriminators were shown, and their outputs, without graphs; see
                `lightning_gans.regularizers.View`.
            mean: takes the mean of a tensor over all processes.
        """


class InstanceNoise(Augmentation):
    """Adds normal noise to each sample.

    Distributions without a common support have one with it, so that a discriminator cannot tell
    them apart without error.

    References:
        | Amortised MAP Inference for Image Super-resolution (Sonderby et al., 2017), section 3,
        | https://arxiv.org/abs/1610.04490
        | Towards Principled Methods for Training Generative Adversarial Networks (Arjovsky and
        | Bottou, 2017), section 3, https://arxiv.org/abs/1701.04862. Both papers lower the noise
        | during training; here it stays.

    Args:
        sd: standard deviation of the noise in units of the data, at least 0.

    Raises:
        ValueError: if ``sd`` is out of range.
    """

    def __init__(self, sd: float = 0.1) -> None:
        super().__init__()
        if not 0 <= sd < float("inf"):
            raise ValueError(f"sd must be at least 0, got {sd}.")
        self.sd = sd

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns samples with noise, the shape of ``x``."""
        return x + self.sd * torch.randn_like(x)

    @override
    def extra_repr(self) -> str:
        return f"sd={self.sd}"


class FlipAndShift(Augmentation):
    """Mirrors each image with probability 1/2 and moves it by some pixels, with a mirrored border.

    References:
        Consistency Regularization for Generative Adversarial Networks (Zhang et al., 2020),
        https://arxiv.org/abs/1910.12027, for which it is written. Public code moves images by up
        to an eighth of their sides, as here.

    Args:
        shift: the farthest move as a share of each side, from 0 to below 1.

    Raises:
        ValueError: if ``shift`` is out of range.
    """

    def __init__(self, shift: float = 0.125) -> None:
        super().__init__()
        if not 0 <= shift < 1:
            raise ValueError(f"shift must be at least 0 and below 1, got {shift}. Use 0.125.")
        self.shift = shift

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns augmented images, the shape of ``x``: (N, C, H, W).

        Raises:
            ValueError: if the samples are no images.
        """
        if x.ndim != 4:
            raise ValueError(
                f"augment: FlipAndShift is for images, but a sample has shape {tuple(x.shape[1:])}"
                ". Use another augmentation, such as InstanceNoise."
            )
        number, _, height, width = x.shape
        rows, columns = (self._moved(number, side, x.device) for side in (height, width))
        mirrored = torch.rand(number, 1, device=x.device) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
        each = torch.arange(number, device=x.device)[:, None, None]
        # Indices around a slice come first in what they make.
        return x[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _moved(self, number: int, side: int, device: torch.device) -> Tensor:
        """Returns which row or column of each image goes where, shape (N, side)."""
        most = int(side * self.shift)
        moves = torch.randint(-most, most + 1, (number, 1), device=device)
        places = (torch.arange(side, device=device) + moves).abs()
        return side - 1 - (side - 1 - places).abs()

    @override
    def extra_repr(self) -> str:
        return f"shift={self.shift}"
