"""Distances between distributions by kernels of features, as pure functions and as losses.

The discriminator maps each sample to d features, in which it makes the distance large and the
generator makes it small. Outputs of shape (N,) are one feature, and patches are features too.

All pairs of an update are compared, which takes N x N x d numbers and couples its samples: several
processes train on the mean of their losses, each over its own samples.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.losses.base import AdversarialLoss, check_choice, mean_of_pairs

__all__ = [
    "KERNELS",
    "MMD",
    "Cramer",
    "cramer_critic",
    "cramer_discriminator_loss",
    "cramer_generator_loss",
    "mmd_critic",
    "squared_mmd",
]


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Returns the squared distance of each row of the one from each of the other, (N, M)."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    return (x.unsqueeze(1) - y).square().sum(2)


def _root(squares: Tensor) -> Tensor:
    """Returns square roots; derivatives of all orders are 0 at 0, where the root has none."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1).sqrt(), 0)


def _lengths(x: Tensor) -> Tensor:
    """Returns the norm of each row, (N,)."""
    return _root(x.reshape(len(x), -1).square().sum(1))


KERNELS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, ...]]] = {
    "rational_quadratic": (
        lambda squares, scale: (1 + squares / (2 * scale)).pow(-scale),
        (0.2, 0.5, 1.0, 2.0, 5.0),
    ),
    "gaussian": (
        lambda squares, scale: (-squares / (2 * scale**2)).exp(),
        (2.0, 5.0, 10.0, 20.0, 40.0, 80.0),
    ),
    "distance": (lambda squares, scale: -scale * _root(squares), (1.0,)),
}
"""Kernels of squared distances by name, and their usual scales, over which they are summed. With
the negative distance, the squared MMD is the energy distance."""


def _similarities(x: Tensor, y: Tensor, kernel: str, scales: Sequence[float] | None) -> Tensor:
    function, usual = KERNELS[kernel]
    squares = _squares(x, y)
    first, *others = (function(squares, scale) for scale in scales or usual)
    return sum(others, first)


def squared_mmd(
    x: Tensor,
    y: Tensor,
    *,
    kernel: str = "rational_quadratic",
    scales: Sequence[float] | None = None,
    unbiased: bool = True,
) -> Tensor:
    """Returns the squared maximum mean discrepancy of two sets, E k(x, x') + E k(y, y') - 2 E k.

    Without bias its mean is 0 for sets of one distribution, so that it may be negative.

    References:
        A Kernel Two-Sample Test (Gretton et al., 2012), lemma 6, Journal of Machine Learning
        Research 13, 723-773

    Args:
        x: features, shape (N, d).
        y: features, shape (M, d).
        kernel: one of `KERNELS`.
        scales: of the kernel; the usual ones if they are not given.
        unbiased: whether pairs of a sample and itself are left out.

    Raises:
        ValueError: if a set has one sample and there should be no bias.
    """
    within = mean_of_pairs if unbiased else Tensor.mean
    of_x, of_y = (within(_similarities(side, side, kernel, scales)) for side in (x, y))
    return of_x + of_y - 2 * _similarities(x, y, kernel, scales).mean()


def mmd_critic(
    x: Tensor,
    real: Tensor,
    fake: Tensor,
    *,
    kernel: str = "rational_quadratic",
    scales: Sequence[float] | None = None,
) -> Tensor:
    """Returns the witness at some samples, E k(x, real) - E k(x, fake), shape (N,).

    Args:
        x: features, shape (N, d).
        real: features of real samples, shape (M, d).
        fake: features of generated samples, shape (M, d).
        kernel: one of `KERNELS`.
        scales: of the kernel; the usual ones if they are not given.
    """
    to_real, to_fake = (_similarities(x, side, kernel, scales).mean(1) for side in (real, fake))
    return to_real - to_fake


class MMD(AdversarialLoss):
    """The squared maximum mean discrepancy of features, without bias.

    It is logged as ``squared_mmd``.

    References:
        Demystifying MMD GANs (Binkowski et al., 2018), sections 2 and 3,
        https://arxiv.org/abs/1801.01401; section and scales were not compared with the paper, and
        its authors' code has the scales 0.1, 1 and 10.

    Args:
        kernel: ``rational_quadratic``, ``gaussian``, or ``distance`` for the energy distance.
        scales: of the kernel, which is the sum over them; above 0. Those of the paper by default.
        num_outputs: d, the features of a sample, at least 1.

    Raises:
        ValueError: if there is no such kernel, or a number is out of range.
    """

    needs_real = True
    crosses_zero = True
    least_samples = 2

    def __init__(
        self,
        kernel: Literal["rational_quadratic", "gaussian", "distance"] = "rational_quadratic",
        scales: Sequence[float] | None = None,
        num_outputs: int = 16,
    ) -> None:
        super().__init__()
        check_choice("kernel", kernel, KERNELS)
        if scales is not None and not (scales and all(0 < s < float("inf") for s in scales)):
            raise ValueError(f"scales must be one or more numbers above 0, got {scales}.")
        _check_features(num_outputs)
        self.kernel = kernel
        self.scales = scales
        self.num_outputs = num_outputs

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return -squared_mmd(real, fake, kernel=self.kernel, scales=self.scales)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None
        return squared_mmd(real, fake, kernel=self.kernel, scales=self.scales)

    @override
    def critic(self, outputs: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return mmd_critic(outputs, real, fake, kernel=self.kernel, scales=self.scales)

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"squared_mmd": -self.discriminator(real, fake)}


def cramer_critic(x: Tensor, fake: Tensor) -> Tensor:
    """Returns E |h(x) - h(fake)| - |h(x)| at some samples, shape (N,).

    References:
        The Cramer Distance as a Solution to Biased Wasserstein Gradients (Bellemare et al., 2017),
        algorithm 1, https://arxiv.org/abs/1705.10743

    Args:
        x: features h(x), shape (N, d).
        fake: features of generated samples, shape (M, d).
    """
    return _root(_squares(x, fake)).mean(1) - _lengths(x)


def cramer_discriminator_loss(real: Tensor, fake: Tensor, other: Tensor | None = None) -> Tensor:
    """Returns the critic's mean at generated samples less that at real ones.

    References:
        The Cramer Distance as a Solution to Biased Wasserstein Gradients (Bellemare et al., 2017),
        algorithm 1, https://arxiv.org/abs/1705.10743

    Args:
        real: features of real samples, shape (N, d).
        fake: features of generated samples, the same shape.
        other: features of further generated samples, with which the critic compares; all others of
            ``fake`` if they are not given.

    Raises:
        ValueError: if one generated sample should be compared with others.
    """
    if other is None:
        at_fake = mean_of_pairs(_root(_squares(fake, fake))) - _lengths(fake).mean()
        return at_fake - cramer_critic(real, fake).mean()
    return cramer_critic(fake, other).mean() - cramer_critic(real, other).mean()


def cramer_generator_loss(real: Tensor, fake: Tensor, other: Tensor | None = None) -> Tensor:
    """Returns the part of the energy distance that the generator has a say in.

    It is 2 E |h(x) - h(G(z))| - E |h(G(z)) - h(G(z'))|.

    References:
        The Cramer Distance as a Solution to Biased Wasserstein Gradients (Bellemare et al., 2017),
        algorithm 1, https://arxiv.org/abs/1705.10743

    Args:
        real: features of real samples, shape (N, d).
        fake: features of generated samples, the same shape.
        other: features of further generated samples z'; all others of ``fake`` if they are not
            given.

    Raises:
        ValueError: if one generated sample should be compared with others.
    """
    to_real = _root(_squares(real, fake)).mean()
    if other is None:
        return 2 * to_real - mean_of_pairs(_root(_squares(fake, fake)))
    to_other = _root(_squares(fake, other)).mean()
    return to_real + _root(_squares(real, other)).mean() - to_other


class Cramer(AdversarialLoss):
    """The energy distance of features for the generator, and a critic that approximates it.

    ``energy_distance`` in the log is the distance itself, without bias.

    References:
        The Cramer Distance as a Solution to Biased Wasserstein Gradients (Bellemare et al., 2017),
        algorithm 1, https://arxiv.org/abs/1705.10743, which was not compared with the paper. It
        generates a second batch to compare with; here each generated sample is compared with all
        others of its own batch, whose mean is the same. The approximation may be 0 for different
        distributions; ``MMD("distance")`` has the energy distance for both players.

    Args:
        num_outputs: d, the features of a sample, at least 1; 256 in the paper.

    Raises:
        ValueError: if there are no features.
    """

    needs_real = True
    crosses_zero = True
    least_samples = 2

    def __init__(self, num_outputs: int = 256) -> None:
        super().__init__()
        _check_features(num_outputs)
        self.num_outputs = num_outputs

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return cramer_discriminator_loss(real, fake)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None
        return cramer_generator_loss(real, fake)

    @override
    def critic(self, outputs: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return cramer_critic(outputs, fake)

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"energy_distance": squared_mmd(real, fake, kernel="distance")}


def _check_features(num_outputs: int) -> None:
    if num_outputs < 1:
        raise ValueError(f"num_outputs must be at least 1, got {num_outputs}. Use 16.")
