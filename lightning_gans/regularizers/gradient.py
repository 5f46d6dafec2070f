"""Penalties on the discriminator's gradient at samples and around them."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.regularizers.base import Critic, Regularizer, View

__all__ = [
    "R1",
    "R2",
    "DRAGANPenalty",
    "around",
    "dragan_penalty",
    "gradient_norms",
    "input_gradient",
    "zero_centered_penalty",
]


def input_gradient(critic: Critic, x: Tensor) -> Tensor:
    """Returns the gradient of each sample's output with respect to that sample, shape of ``x``.

    The outputs are summed before they are differentiated. With a critic that treats samples
    independently (no batch statistics) row i of the result is the gradient of critic(x_i) alone.
    It is in single precision or better: squares of it in half precision overflow or vanish. If
    the samples have a graph, so has what they add to the gradient.

    Args:
        critic: maps (N, ...) to outputs, shape (N,), or (N, ...) if it judges patches, whose
            gradients are added up.
        x: points at which to differentiate, shape (N, ...).
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if torch.compiler.is_compiling():  # which cannot differentiate autograd.grad once more
        return torch.func.grad(lambda points: critic(points).sum())(x)
    with torch.enable_grad():
        # A tensor of its own: the critic's weights may depend on the samples, too.
        x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient


def gradient_norms(critic: Critic, x: Tensor) -> Tensor:
    """Returns the norm of each sample's gradient over all its entries, shape (N,).

    Its own gradient is finite where it is zero. The arguments are as in `input_gradient`.
    """
    return torch.linalg.vector_norm(input_gradient(critic, x).flatten(1), dim=1)


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


def around(
    x: Tensor, noise: float, *, alpha: Tensor | None = None, entries: Tensor | None = None
) -> Tensor:
    """Returns a point near each sample: x + alpha * noise * std(x) * entries.

    The standard deviation is that of the population of all entries of the batch.

    Args:
        x: samples, shape (N, ...).
        noise: size of the noise in standard deviations of the batch.
        alpha: how far to go, shape (N, 1, ...); drawn from U(0, 1) if it is not given.
        entries: where to go, the shape of ``x``; likewise.
    """
    if alpha is None:
        shape = (len(x),) + (1,) * (x.ndim - 1)
        alpha = torch.rand(shape, device=x.device, dtype=x.dtype)
    entries = torch.rand_like(x) if entries is None else entries
    return x + alpha * (noise * x.std(correction=0)) * entries


def dragan_penalty(
    critic: Critic,
    real: Tensor,
    noise: float,
    *,
    alpha: Tensor | None = None,
    entries: Tensor | None = None,
) -> Tensor:
    """Returns the mean of (||gradient|| - 1)^2 on random points near real samples.

    References:
        On Convergence and Stability of GANs (Kodali et al., 2017), without lambda,
        https://arxiv.org/abs/1705.07215, with the noise of its authors' code

    Args:
        critic: maps (N, ...) to outputs, shape (N,).
        real: real samples, shape (N, ...).
        noise: see `around`.
        alpha: see `around`.
        entries: see `around`.
    """
    points = around(real, noise, alpha=alpha, entries=entries)
    return (gradient_norms(critic, points) - 1).square().mean()


class DRAGANPenalty(Regularizer):
    """Pulls the norm of the discriminator's gradient towards 1 around real samples.

    The noise has the form of the authors' code: one-sided, and scaled by the standard deviation of
    the batch; each process takes that of its own share. The paper's is said to be normal noise of
    a fixed size (not checked).

    References:
        On Convergence and Stability of GANs (Kodali et al., 2017), https://arxiv.org/abs/1705.07215

    Args:
        weight: the paper's lambda.
        noise: size of the noise in standard deviations of the batch, at least 0; the code's is
            0.5. On points in the plane that reaches from mode to mode: use less there.
        every: see `Regularizer`.

    Raises:
        ValueError: if ``noise`` is out of range.
    """

    name = "dragan_penalty"

    def __init__(self, weight: float = 10.0, noise: float = 0.5, every: int = 1) -> None:
        super().__init__(weight, every)
        if not 0 <= noise < float("inf"):
            raise ValueError(
                f"{type(self).__name__}: noise must be finite and at least 0, got {noise}. Use "
                "0.5 as in the authors' code, or less for points in the plane."
            )
        self.noise = noise

    @override
    def penalize(self, view: View) -> Tensor:
        return dragan_penalty(view.discriminate, view.real, self.noise)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, noise={self.noise:g}"


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
