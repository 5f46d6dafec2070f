"""Augmentations of what a discriminator reads, in training alone.

They reach real and generated samples alike, in the turns of all players: a generator that was
judged on augmented samples while real ones stayed as they are would learn the augmentation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Augmentation", "InstanceNoise"]


class Augmentation(nn.Module):
    """Base of augmentations that adapt to how training goes; others are plain modules."""

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
