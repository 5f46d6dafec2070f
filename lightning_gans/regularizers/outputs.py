"""Regularizers of a discriminator's outputs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.augment import AdaptiveAugmentation, FlipAndShift
from lightning_gans.regularizers.base import Regularizer, View

__all__ = ["BalancedConsistency", "Consistency", "FeatureMatching", "LeCam", "lecam_penalty"]


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

    The averages are over updates and over all processes. After n updates an average keeps the
    share n / (n + 1), but at most ``decay``: it starts as a plain mean and becomes a moving
    average.

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


class Consistency(Regularizer):
    """Makes the discriminator judge a real sample and an augmented one alike.

    It is the mean squared difference of the two outputs; the gradient runs through both.

    References:
        Consistency Regularization for Generative Adversarial Networks (Zhang et al., 2020),
        https://arxiv.org/abs/1910.12027. If the model has an augmentation of its own, both of the
        samples that are compared pass through it.

    Args:
        weight: the paper's lambda.
        augment: maps samples to samples of the same shape; by default `FlipAndShift`, which is
            for images.
        every: see `Regularizer`.

    Raises:
        ValueError: if an argument is out of range, or the augmentation adapts.
    """

    name = "consistency"
    reads_gradient = False
    moves_samples = False

    def __init__(
        self, weight: float = 10.0, augment: nn.Module | None = None, every: int = 1
    ) -> None:
        super().__init__(weight, every)
        self.augment = FlipAndShift() if augment is None else augment
        if isinstance(self.augment, AdaptiveAugmentation):
            raise ValueError(
                f"{type(self).__name__}: augment {type(augment).__name__} follows the updates "
                "of a model's own augmentation. Use BlitGeometryColor or DiffAugment."
            )

    @override
    def penalize(self, view: View) -> Tensor:
        return self._difference(view, view.real, view.real_logits)

    def _difference(self, view: View, x: Tensor, outputs: Tensor | None) -> Tensor:
        outputs = view.discriminate(x) if outputs is None else outputs
        return (outputs - view.discriminate(view.augmented(self.augment, x))).square().mean()


class BalancedConsistency(Consistency):
    """`Consistency` of real and of generated samples, with one weight for both.

    References:
        Improved Consistency Regularization for GANs (Zhao et al., 2021), the balanced form,
        https://arxiv.org/abs/2002.04724

    Args:
        weight: both of the paper's lambdas.
        augment: see `Consistency`.
        every: see `Regularizer`.
    """

    name = "balanced_consistency"
    moves_samples = True

    @override
    def penalize(self, view: View) -> Tensor:
        return super().penalize(view) + self._difference(view, view.fake, view.fake_logits)


class FeatureMatching(Regularizer):
    """Pulls the mean features of generated samples to those of real ones.

    It is for the generator (``regularizers_g``): the squared distance of the two means of what the
    discriminator's last layer reads. Its gradient runs through the generated samples alone. Under
    several processes each compares the means of its own share of the batch.

    References:
        Improved Techniques for Training GANs (Salimans et al., 2016), section 3.1,
        https://arxiv.org/abs/1606.03498. There it takes the place of the generator's loss; here it
        is added to it. The authors' code has absolute differences in place of squares.

    Args:
        weight: 1 in the paper, where it is alone.
        every: see `Regularizer`.

    Raises:
        ValueError: if the discriminator has no features: see `outputs_with_features`.
    """

    name = "feature_matching"
    reads_gradient = False
    reads_features = True
    is_of_generators = True

    def __init__(self, weight: float = 1.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, view: View) -> Tensor:
        if view.outputs is None:
            raise ValueError(
                "regularizers_g: FeatureMatching reads features, which this game does not give. "
                "Use it with a GAN of one generator and one discriminator."
            )
        with torch.no_grad():
            real = view.outputs(view.real)["features"].mean(0)
        return (view.outputs(view.fake)["features"].mean(0) - real).square().sum()
