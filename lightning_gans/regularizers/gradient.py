"""Penalties on the discriminator's input gradient: pure functions and the modules over them."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.regularizers.base import Critic, Regularizer, View

__all__ = [
    "R1",
    "R2",
    "GradientPenalty",
    "gradient_penalty",
    "input_gradient",
    "zero_centered_penalty",
]


def input_gradient(critic: Critic, x: Tensor) -> Tensor:
    """Returns the gradient of each sample's output with respect to that sample, shape of ``x``.

    The outputs are summed before they are differentiated. With a critic that treats samples
    independently (no batch statistics) row i of the result is the gradient of critic(x_i) alone.

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        x: points at which to differentiate, shape (N, ...).
    """
    if torch.compiler.is_compiling():  # which cannot differentiate autograd.grad once more
        return torch.func.grad(lambda points: critic(points).sum())(x.detach())
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient


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
        epsilon: share of the real sample in each point, in [0, 1], shape (N, 1, ...); drawn from
            U(0, 1), one number a sample, if it is not given.
    """
    if epsilon is None:
        shape = (len(real),) + (1,) * (real.ndim - 1)
        epsilon = torch.rand(shape, device=real.device, dtype=real.dtype)
    gradient = input_gradient(critic, torch.lerp(fake.to(real.dtype), real, epsilon))
    return (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()


def zero_centered_penalty(critic: Critic, x: Tensor) -> Tensor:
    """Returns half the mean squared norm of the gradient at some samples.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equations
        9 and 10, without gamma, https://arxiv.org/abs/1801.04406

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        x: samples, shape (N, ...): real ones for R1, generated ones for R2.
    """
    return input_gradient(critic, x).square().flatten(1).sum(1).mean() / 2


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


class R1(Regularizer):
    """Pulls the discriminator's gradient at real samples towards 0: `zero_centered_penalty`.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equation 9,
        https://arxiv.org/abs/1801.04406. The paper's code leaves out the factor 1/2, so its
        ``reg_param`` 10 is a weight of 20 here.

    Args:
        weight: the paper's gamma.
        every: see `Regularizer`.
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return zero_centered_penalty(view.discriminate, view.real)


class R2(Regularizer):
    """Pulls the discriminator's gradient at generated samples towards 0: `R1` at the fakes.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equation
        10, https://arxiv.org/abs/1801.04406

    Args:
        weight: the paper's gamma.
        every: see `Regularizer`.
    """

    name = "r2"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        return zero_centered_penalty(view.discriminate, view.fake)
