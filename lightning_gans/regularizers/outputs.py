"""Regularizers of a discriminator's outputs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.regularizers.base import Regularizer, View

__all__ = ["LeCam", "lecam_penalty"]


def lecam_penalty(
    real: Tensor, fake: Tensor, real_average: Tensor | float, fake_average: Tensor | float
) -> Tensor:
    """Returns mean (real - fake_average)^2 + mean (fake - real_average)^2.

    References:
        Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021), the
        regularizer without lambda, https://arxiv.org/abs/2104.03310. Its authors' code cuts the
        differences off at 0, which the paper does not.

    Args:
        real: outputs of real samples.
        fake: outputs of generated samples, the same shape.
        real_average: average of the outputs of real samples over updates.
        fake_average: of generated samples, likewise.
    """
    return (real - fake_average).square().mean() + (fake - real_average).square().mean()


def outputs_of(view: View) -> tuple[Tensor, Tensor]:
    """Returns the outputs of real and of generated samples, those of the loss if it had both."""
    real, fake = view.real_logits, view.fake_logits
    if real is None or fake is None:
        return view.discriminate(view.real), view.discriminate(view.fake)
    return real, fake


class LeCam(Regularizer):
    """Pulls the outputs of real samples towards the average of the fake ones, and the reverse.

    The averages are over updates, and over all processes. Each is the plain mean until it has as
    many updates as a moving average with its decay follows.

    References:
        Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021),
        https://arxiv.org/abs/2104.03310. The form is the paper's: see `lecam_penalty`. The
        averages are those before the update; in its authors' code they include its own batch.

    Args:
        weight: the paper's lambda; in its authors' code 0.3 for CIFAR-10 with BigGAN, and 1e-6 or
            less with StyleGAN2.
        decay: of the averages, in [0, 1); in public code 0.9 to 0.99.
        start: updates of the discriminator before it counts, at least 1; the code's is 1,000.
        every: see `Regularizer`.

    Attributes:
        averages: of the outputs of real and of generated samples, shape (2,).
        updates: over which the averages are taken.

    Raises:
        ValueError: if an argument is out of range, or the game has several discriminators.
    """

    name = "lecam"
    reads_gradient = False
    averages: Tensor
    updates: Tensor

    def __init__(
        self, weight: float = 0.3, decay: float = 0.99, start: int = 1000, every: int = 1
    ) -> None:
        super().__init__(weight, every)
        if not 0 <= decay < 1:
            raise ValueError(
                f"LeCam: decay must be at least 0 and below 1, got {decay}. Use 0.99 to average "
                "over about 100 updates."
            )
        if start < 1:
            raise ValueError(
                f"LeCam: start must be at least 1, got {start}. Use 1 to begin with the second "
                "update."
            )
        self.decay = decay
        self.start = start
        self.register_buffer("averages", torch.zeros(2))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @override
    def penalize(self, view: View) -> Tensor:
        if view.name:
            raise ValueError(
                f"regularizers: LeCam follows one discriminator, but this game has several, such "
                f"as {view.name!r}. Use R1, or another regularizer without a state."
            )
        penalty = lecam_penalty(*outputs_of(view), *self.averages)
        return torch.where(self.updates >= self.start, penalty, torch.zeros_like(penalty))

    @override
    @torch.no_grad()
    def after_turn(self, views: Sequence[View], mean: Callable[[Tensor], Tensor]) -> None:
        (view,) = views
        means = mean(torch.stack([outputs.mean() for outputs in outputs_of(view)]))
        number = self.updates.to(self.averages)
        kept = torch.clamp(number / (number + 1), max=self.decay)
        self.averages.lerp_(means.to(self.averages), 1 - kept)
        self.updates += 1

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, decay={self.decay:g}, start={self.start}"
