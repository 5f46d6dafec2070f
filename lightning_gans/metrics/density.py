"""The density of samples, where nothing else tells it."""

from math import log, pi

import torch
from torch import Tensor

__all__ = ["held_out_bandwidth", "kernel_log_density"]

PART = 1000
"""Points whose distances from all samples are found at a time."""
NUMBER = 16
"""Of the bandwidths that are tried."""


def kernel_log_density(x: Tensor, samples: Tensor, bandwidth: float) -> Tensor:
    """Returns the logarithm of a kernel density estimate at points x, shape (K,).

    It is the density of a mixture of equal round Gaussians, one on each sample.

    Args:
        x: shape (K, d).
        samples: shape (N, d).
        bandwidth: standard deviation of the Gaussians in each coordinate.
    """
    d = samples.shape[1]
    sums = [_log_kernels(_squares(part, samples), bandwidth, d) for part in torch.split(x, PART)]
    return torch.cat(sums) - log(len(samples))


def held_out_bandwidth(samples: Tensor) -> float:
    """Returns the bandwidth with which one half of some samples makes the other likeliest.

    Usual rules take the spread of all samples for that of one mode, and would blur a mixture.

    Args:
        samples: shape (N, d), independent, at least 4.
    """
    first, second = samples.tensor_split(2)
    squares = _squares(second, first)
    spread = max(float(samples.std(0).mean()), 1e-6)
    widths = (spread * torch.logspace(-3, 0, NUMBER)).tolist()
    d = samples.shape[1]
    found = [float(_log_kernels(squares, width, d).mean()) for width in widths]
    return widths[found.index(max(found))]


def _squares(x: Tensor, samples: Tensor) -> Tensor:
    return torch.cdist(x, samples, compute_mode="donot_use_mm_for_euclid_dist").square()


def _log_kernels(squares: Tensor, bandwidth: float, d: int) -> Tensor:
    """Returns the logarithm of the sum of the kernels at points, from their squared distances."""
    exponents = squares / (-2 * bandwidth**2)
    return exponents.logsumexp(1) - d * log(2 * pi * bandwidth**2) / 2
