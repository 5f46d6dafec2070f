"""Losses of autoencoders as pure functions."""

from math import log, pi

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

__all__ = ["bernoulli_nll", "gaussian_nll", "kl_standard_normal", "squared_error"]


def kl_standard_normal(mean: Tensor, log_sd: Tensor) -> Tensor:
    """Returns KL(N(mean, sd^2), N(0, 1)) in nats, summed over entries, averaged over samples.

    References:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2014), appendix B,
        https://arxiv.org/abs/1312.6114

    Args:
        mean: shape (N, Z).
        log_sd: log of the standard deviations, shape (N, Z).
    """
    return (mean.square() + (2 * log_sd).exp() - 1 - 2 * log_sd).sum(1).mean() / 2


def squared_error(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the squared difference, summed over the entries and averaged over the batch.

    Args:
        real: samples, shape (N, ...).
        fake: their reconstructions, the same shape.
    """
    return (fake - real).square().sum() / len(real)


def bernoulli_nll(real: Tensor, fake: Tensor) -> Tensor:
    """Returns -x log p - (1 - x) log(1 - p), summed over the entries, averaged over the batch.

    The logarithms are cut off at -100. Autocast is left: half precision cannot tell a
    probability near 1 from 1.

    References:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2014), appendix C.1,
        https://arxiv.org/abs/1312.6114

    Args:
        real: x, samples in [0, 1], shape (N, ...).
        fake: p, their reconstructions in [0, 1], the same shape.
    """
    with torch.autocast(real.device.type, enabled=False):
        total = binary_cross_entropy(fake.to(real.dtype), real, reduction="sum")
    return total / len(real)


def gaussian_nll(x: Tensor, mean: Tensor, log_sd: Tensor) -> Tensor:
    """Returns -log N(x; mean, sd^2) in nats, summed over the entries, averaged over the batch.

    Args:
        x: shape (N, d).
        mean: shape (N, d).
        log_sd: log of the standard deviations, shape (N, d).
    """
    squares = ((x - mean) / log_sd.exp()).square()
    return (squares / 2 + log_sd + log(2 * pi) / 2).sum(1).mean()
