"""Penalties on the discriminator's input gradient: pure functions and the small modules over them.

A penalty module is called as ``penalty(critic, real, fake)`` and returns its weighted value, so
that any model takes any number of them: ``GAN(penalties=[R1(10.0)])``. Its ``name`` is its key in
the logs.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["R1", "GradientPenalty", "Penalty", "gradient_penalty", "input_gradient", "r1_penalty"]

Critic = Callable[[Tensor], Tensor]


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


def r1_penalty(critic: Critic, real: Tensor) -> Tensor:
    """Returns half the mean squared norm of the gradient on real samples.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equation 9,
        without gamma, https://arxiv.org/abs/1801.04406

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        real: real samples, shape (N, ...).
    """
    return input_gradient(critic, real).square().flatten(1).sum(1).mean() / 2


class Penalty(nn.Module):
    """Base of the penalties: a weight, and what all of them do about half precision.

    Under fp16 autocast the penalty leaves autocast and runs in fp32, since squared gradients
    overflow or vanish in half precision; under bf16 the critic's forward may stay in bf16.

    Args:
        weight: the factor before the penalty, at least 0.

    Raises:
        ValueError: if the weight is negative or not finite.
    """

    name: str

    def __init__(self, weight: float) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{type(self).__name__}: weight must be at least 0, got {weight}.")
        self.weight = weight

    def penalize(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the penalty before its weight, a scalar."""
        raise NotImplementedError

    @override
    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the weighted penalty, a scalar.

        Args:
            critic: maps (N, ...) to outputs, shape (N,).
            real: real samples, shape (N, ...).
            fake: generated samples, the same shape.
        """
        device = real.device.type
        if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16:
            with torch.autocast(device, enabled=False):
                return self.weight * self.penalize(critic, real.float(), fake.float())
        return self.weight * self.penalize(critic, real, fake)

    @override
    def extra_repr(self) -> str:
        return f"weight={self.weight}"


class GradientPenalty(Penalty):
    """Pulls the norm of the critic's gradient towards 1 between real and fake samples.

    See `gradient_penalty`.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), equation 3,
        https://arxiv.org/abs/1704.00028

    Args:
        weight: the paper's lambda: 10 for images, 0.1 in its authors' 2-D toys.
    """

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    @override
    def penalize(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return gradient_penalty(critic, real, fake)


class R1(Penalty):
    """Pulls the discriminator's gradient on real samples towards 0: `r1_penalty`.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equation 9,
        https://arxiv.org/abs/1801.04406. The paper's code leaves out the factor 1/2, so its
        ``reg_param`` 10 is a weight of 20 here.

    Args:
        weight: the paper's gamma.
    """

    name = "r1"

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    @override
    def penalize(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return r1_penalty(critic, real)
