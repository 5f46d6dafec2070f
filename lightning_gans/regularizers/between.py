"""Penalties on the critic's gradient between real and generated samples."""

import torch
from torch import Tensor
from torch.nn.functional import relu
from typing_extensions import override

from lightning_gans.regularizers.base import Critic, Regularizer, View
from lightning_gans.regularizers.gradient import gradient_norms, zero_centered_penalty

__all__ = [
    "GradientPenalty",
    "MaxGradientPenalty",
    "OneSidedPenalty",
    "WGANDivPenalty",
    "ZeroCenteredPenalty",
    "between",
    "gradient_penalty",
    "one_sided_penalty",
    "wgan_div_penalty",
]


def between(real: Tensor, fake: Tensor, epsilon: Tensor | None = None) -> Tensor:
    """Returns a point on the line between each real sample and a generated one.

    Args:
        real: real samples, shape (N, ...).
        fake: generated samples, the same shape.
        epsilon: share of the real sample in each point, in [0, 1], shape (N, 1, ...); drawn from
            U(0, 1), one number a sample, if it is not given.
    """
    if epsilon is None:
        shape = (len(real),) + (1,) * (real.ndim - 1)
        epsilon = torch.rand(shape, device=real.device, dtype=real.dtype)
    return torch.lerp(fake.to(real.dtype), real, epsilon)


def gradient_penalty(
    critic: Critic, real: Tensor, fake: Tensor, *, epsilon: Tensor | None = None
) -> Tensor:
    """Returns the mean of (||gradient|| - 1)^2 on random points between real and fake samples.

    The norm is taken per sample, over all its entries, and its own gradient is finite at zero.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), equation 3 and algorithm 1
        lines 4 to 7, without lambda, https://arxiv.org/abs/1704.00028

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        real: real samples, shape (N, ...).
        fake: generated samples, the same shape.
        epsilon: see `between`.
    """
    return (gradient_norms(critic, between(real, fake, epsilon)) - 1).square().mean()


def one_sided_penalty(
    critic: Critic, real: Tensor, fake: Tensor, *, epsilon: Tensor | None = None
) -> Tensor:
    """Returns the mean of max(0, ||gradient|| - 1)^2 on random points between the samples.

    References:
        On the regularization of Wasserstein GANs (Petzka et al., 2018), the penalty of WGAN-LP
        without lambda, https://arxiv.org/abs/1709.08894

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        real: real samples, shape (N, ...).
        fake: generated samples, the same shape.
        epsilon: see `between`.
    """
    return relu(gradient_norms(critic, between(real, fake, epsilon)) - 1).square().mean()


def wgan_div_penalty(critic: Critic, x: Tensor, power: float) -> Tensor:
    """Returns the mean of ||gradient||^power at some points.

    References:
        Wasserstein Divergence for GANs (Wu et al., 2018), the gradient term without k,
        https://arxiv.org/abs/1712.01026

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        x: points at which to differentiate, shape (N, ...).
        power: the paper's p, above 1.
    """
    return gradient_norms(critic, x).pow(power).mean()


class GradientPenalty(Regularizer):
    """Pulls the norm of the critic's gradient towards 1 between real and fake samples.

    See `gradient_penalty`.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), equation 3,
        https://arxiv.org/abs/1704.00028

    Args:
        weight: the paper's lambda: 10 for images, 0.1 in its authors' 2-D toys.
        every: see `Regularizer`.
    """

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return gradient_penalty(view.discriminate, view.real, view.fake)


class OneSidedPenalty(Regularizer):
    """Keeps the norm of the critic's gradient at most 1 between real and fake samples.

    A smaller gradient costs nothing, unlike in `GradientPenalty`. See `one_sided_penalty`.

    References:
        On the regularization of Wasserstein GANs (Petzka et al., 2018),
        https://arxiv.org/abs/1709.08894

    Args:
        weight: the paper's lambda, for which it is said to have tried 5 and 10 (not checked); 0.1
            in its authors' 2-D toys and in their code for CIFAR-10.
        every: see `Regularizer`.
    """

    name = "one_sided_penalty"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return one_sided_penalty(view.discriminate, view.real, view.fake)


class ZeroCenteredPenalty(Regularizer):
    """Pulls the critic's gradient towards 0 between real and fake samples.

    It is the mean squared norm there, without the factor 1/2 that `R1` and `R2` have.

    References:
        | Improving Generalization and Stability of Generative Adversarial Networks
        | (Thanh-Tung et al., 2019), https://arxiv.org/abs/1902.03984
        | Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018),
        | https://arxiv.org/abs/1801.04406, whose code has it beside `R1`, without 1/2 as here.

    Args:
        weight: 10 in the code of the second paper; the first has 100 for 2-D toys (not checked).
        every: see `Regularizer`.
    """

    name = "zero_centered_penalty"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return 2 * zero_centered_penalty(view.discriminate, between(view.real, view.fake))


class WGANDivPenalty(Regularizer):
    """The gradient term of the Wasserstein divergence: a high power of the gradient's norm.

    It is taken between real and fake samples, as in the authors' code. A high power makes it
    explode where the critic is steep, so a rate that suits other penalties may be too high.

    References:
        Wasserstein Divergence for GANs (Wu et al., 2018), https://arxiv.org/abs/1712.01026

    Args:
        weight: the paper's k, 2 (not checked); its authors' code has 10.
        power: p, above 1; 6 in the paper (not checked) and in the code.
        every: see `Regularizer`.

    Raises:
        ValueError: if ``power`` is out of range.
    """

    name = "wgan_div_penalty"

    def __init__(self, weight: float = 2.0, power: float = 6.0, every: int = 1) -> None:
        super().__init__(weight, every)
        if not 1 < power < float("inf"):
            raise ValueError(
                f"{type(self).__name__}: power must be finite and above 1, got {power}. Use 6 as "
                "in the paper, or 2 for a milder penalty."
            )
        self.power = power

    @override
    def penalize(self, view: View) -> Tensor:
        return wgan_div_penalty(view.discriminate, between(view.real, view.fake), self.power)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, power={self.power:g}"


class MaxGradientPenalty(Regularizer):
    """Pulls the steepest of the critic's gradients between real and fake samples towards 0.

    It is the largest squared norm of the batch; under several processes the mean over their
    shares of the batch.

    References:
        Lipschitz Generative Adversarial Nets (Zhou et al., 2019),
        https://arxiv.org/abs/1902.05687

    Args:
        weight: 10 in public code; the paper's was not checked.
        every: see `Regularizer`.
    """

    name = "max_gradient_penalty"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return gradient_norms(view.discriminate, between(view.real, view.fake)).square().max()
