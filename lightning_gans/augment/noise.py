"""Noise on what a discriminator reads."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.augment.base import Augmentation

__all__ = ["InstanceNoise"]


class InstanceNoise(Augmentation):
    """Adds normal noise to each sample.

    Distributions without a common support have one with it, so that a discriminator cannot tell
    them apart without error.

    References:
        | Amortised MAP Inference for Image Super-resolution (Sonderby et al., 2017), section 3,
        | https://arxiv.org/abs/1610.04490
        | Towards Principled Methods for Training Generative Adversarial Networks (Arjovsky and
        | Bottou, 2017), section 3, https://arxiv.org/abs/1701.04862. Both papers lower the noise
        | during training, which takes a `Schedule`.

    Args:
        sd: standard deviation of the noise in units of the data, at least 0.

    Attributes:
        sd: the standard deviation, a scalar that schedules may change in place, kept like the
            weight of a `Regularizer`.

    Raises:
        ValueError: if ``sd`` is out of range.
    """

    def __init__(self, sd: float = 0.1) -> None:
        super().__init__()
        if not 0 <= sd < float("inf"):
            raise ValueError(f"sd must be finite and at least 0, got {sd}.")
        self.sd = torch.tensor(float(sd), dtype=torch.float64)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns samples with noise, the shape of ``x``."""
        return x + self.sd.to(x.dtype) * torch.randn_like(x)

    @override
    def extra_repr(self) -> str:
        return f"sd={self.sd.item():g}"
