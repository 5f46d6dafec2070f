"""The Frechet distance between two normal distributions, and what it needs of samples."""

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

__all__ = ["frechet_distance", "moments", "warn_of_few"]


def frechet_distance(
    mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor
) -> Tensor:
    """Returns the squared Frechet (Wasserstein-2) distance between two normal distributions.

    It is ||mean_a - mean_b||^2 + tr(A + B - 2 (A B)^(1/2)) for the covariances A and B. The trace
    of the root is the sum of the singular values of A^(1/2) B^(1/2), which are real and not
    negative whatever the rounding, even if A or B has no inverse.

    References:
        | The distance between two random vectors with given dispersion matrices (Olkin and
        | Pukelsheim, 1982), https://doi.org/10.1016/0024-3795(82)90112-4
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017), equation 6, where it
        | is the FID on Inception's features, https://arxiv.org/abs/1706.08500

    It is NaN if an entry is not finite.

    Args:
        mean_a: shape (F,).
        covariance_a: symmetric, shape (F, F).
        mean_b: shape (F,).
        covariance_b: symmetric, shape (F, F).
    """
    if not all(part.isfinite().all() for part in (mean_a, covariance_a, mean_b, covariance_b)):
        return mean_a.new_tensor(float("nan"))
    roots = _root(covariance_a) @ _root(covariance_b)
    cross = torch.linalg.svdvals(roots).sum()
    traces = covariance_a.trace() + covariance_b.trace()
    # Rounding can make equal distributions come out a little below 0.
    return ((mean_a - mean_b).square().sum() + traces - 2 * cross).clamp(min=0)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def moments(total: Tensor, products: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the mean and the unbiased covariance from running sums.

    Args:
        total: sum of the vectors, shape (F,).
        products: sum of their outer products, shape (F, F).
        number: how many they are, at least 2.
    """
    mean = total / number
    return mean, (products - number * torch.outer(mean, mean)) / (number - 1)


def warn_of_few(metric: object, num_features: int, num_real: int, num_fake: int) -> None:
    """Warns that a Frechet distance is of fewer samples than its covariances need.

    The covariance of F or fewer samples has no inverse, whatever they are drawn from.

    Args:
        metric: that computes it.
        num_features: F, of a sample.
        num_real: real samples that it is of.
        num_fake: generated ones.
    """
    if min(num_real, num_fake) <= num_features:
        rank_zero_warn(
            f"{type(metric).__name__}: {num_real:,} real and {num_fake:,} generated images are "
            f"too few for covariances of {num_features:,} features, so the Frechet distance is "
            f"biased. Use more than {num_features:,} held-out images."
        )
