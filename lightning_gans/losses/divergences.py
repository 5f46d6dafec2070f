"""The f-divergences that a discriminator bounds from below, as pure functions and as a loss.

P is the distribution of the data, Q the generator's, and f a convex function with f(1) = 0:
D_f(P, Q) = E_Q f(p / q) is at least E_P T - E_Q f*(T) for any T, where f* is the conjugate of f,
and as large at T = f'(p / q). T = g(v) is an activation of the network's output v, so that T lies
where f* is finite.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus
from typing_extensions import override

from lightning_gans.losses.base import AdversarialLoss, check_choice

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "FDivergence",
    "f_divergence_discriminator_loss",
    "f_divergence_generator_loss",
]


@dataclass(frozen=True)
class Divergence:
    """An f-divergence, as functions of the network's output v.

    Attributes:
        activation: g, whose values lie in the domain of the conjugate.
        conjugate: f*(g(v)), in a form that neither overflows nor cancels before it has to.
    """

    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]


DIVERGENCES = {
    "kl": Divergence(lambda v: v, lambda v: (v - 1).exp()),
    "reverse_kl": Divergence(lambda v: -(-v).exp(), lambda v: v - 1),
    "pearson": Divergence(lambda v: v, lambda v: v.square() / 4 + v),
    "hellinger": Divergence(lambda v: -torch.expm1(-v), torch.expm1),
    "jensen_shannon": Divergence(lambda v: log(2) - softplus(-v), lambda v: softplus(v) - log(2)),
    "gan": Divergence(lambda v: -softplus(-v), softplus),
    "total_variation": Divergence(lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
}
"""By name: KL(P, Q), KL(Q, P), Pearson's chi-squared, the squared Hellinger distance, twice the
Jensen-Shannon divergence, the same less 2 log 2 (the GAN's), and the total variation."""

LOG_RATIOS: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": lambda v: v - 1,
    "reverse_kl": lambda v: v,
    "hellinger": lambda v: 2 * v,
    "jensen_shannon": lambda v: v,
    "gan": lambda v: v,
}
"""log(p / q) from the best output, by name, where T = f'(p / q) makes it linear in the output."""


def f_divergence_discriminator_loss(real: Tensor, fake: Tensor, *, kind: str) -> Tensor:
    """Returns minus the bound, mean f*(g(D(G(z)))) - mean g(D(x)).

    References:
        f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization
        (Nowozin et al., 2016), equations 5 and 6, https://arxiv.org/abs/1606.00709

    Args:
        real: outputs on real samples, shape (N,).
        fake: outputs on generated samples, shape (N,).
        kind: one of `DIVERGENCES`.
    """
    divergence = DIVERGENCES[kind]
    return divergence.conjugate(fake).mean() - divergence.activation(real).mean()


def f_divergence_generator_loss(fake: Tensor, *, kind: str, saturating: bool = False) -> Tensor:
    """Returns -mean g(D(G(z))), or the part of the bound that the generator has a say in.

    References:
        f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization
        (Nowozin et al., 2016), section 3.2, https://arxiv.org/abs/1606.00709

    Args:
        fake: outputs on generated samples, shape (N,).
        kind: one of `DIVERGENCES`.
        saturating: whether to return -mean f*(g(D(G(z)))), the bound itself, whose gradient is
            small where the discriminator is sure.
    """
    divergence = DIVERGENCES[kind]
    return -(divergence.conjugate if saturating else divergence.activation)(fake).mean()


class FDivergence(AdversarialLoss):
    """A bound of an f-divergence, which the discriminator makes tight.

    ``divergence`` in the log is the bound. Three kinds have an exponential of the logits (``kl``,
    ``reverse_kl``, ``hellinger``) and want small learning rates; nothing is cut off.

    References:
        f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization
        (Nowozin et al., 2016), tables 1, 2 and 6, https://arxiv.org/abs/1606.00709. The tables
        were not compared with the paper: each row was derived anew, and the tests check that the
        bound is tight. The paper's Jensen-Shannon divergence is twice the usual one.

    Args:
        kind: ``kl``, ``reverse_kl``, ``pearson``, ``hellinger``, ``jensen_shannon``, ``gan`` or
            ``total_variation``.
        saturating: whether the generator minimizes the bound itself, in place of section 3.2's
            loss, with which the paper trains.

    Raises:
        ValueError: if there is no such kind.
    """

    crosses_zero = True

    def __init__(
        self,
        kind: Literal[
            "kl",
            "reverse_kl",
            "pearson",
            "hellinger",
            "jensen_shannon",
            "gan",
            "total_variation",
        ] = "jensen_shannon",
        saturating: bool = False,
    ) -> None:
        super().__init__()
        check_choice("kind", kind, DIVERGENCES)
        self.kind = kind
        self.saturating = saturating

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return f_divergence_discriminator_loss(real, fake, kind=self.kind)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return f_divergence_generator_loss(fake, kind=self.kind, saturating=self.saturating)

    @override
    def encoder(self, real: Tensor, fake: Tensor | None = None) -> Tensor:
        if not self.saturating:
            return super().encoder(real, fake)
        return DIVERGENCES[self.kind].activation(real).mean()  # its part of the bound

    @override
    def log_ratio(self, outputs: Tensor) -> Tensor:
        if self.kind not in LOG_RATIOS:
            raise ValueError(
                f"loss: with kind {self.kind} the outputs are no log density ratios of real to "
                f"generated samples. Use a model with one of {', '.join(LOG_RATIOS)}."
            )
        return LOG_RATIOS[self.kind](outputs)

    @override
    def verdict(self, outputs: Tensor) -> Tensor:
        # Of those without a log ratio the best outputs are 0, too, where real and generated
        # samples are equally dense: f'(1) is 0.
        return (self.log_ratio(outputs) if self.kind in LOG_RATIOS else outputs).sign()

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"divergence": -self.discriminator(real, fake)}
