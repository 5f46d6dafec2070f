"""Adversarial losses of logits as objects that any structure of networks takes."""

from math import isfinite, log
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.losses.base import AdversarialLoss, check_choice
from lightning_gans.losses.functional import (
    EXCESS,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_average_loss,
    relativistic_paired_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)

__all__ = [
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "RelativisticAverage",
    "RelativisticPaired",
    "Wasserstein",
]

Kind = Literal["logistic", "hinge", "least_squares"]


class NonSaturating(AdversarialLoss):
    """The cross-entropy, and for the generator -log D(G(z)).

    References:
        | Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and section 3,
        | https://arxiv.org/abs/1406.2661
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 3.4 on one-sided
        | label smoothing, https://arxiv.org/abs/1606.03498

    Args:
        real_target: probability of being real that the discriminator should give real samples,
            above 0. The papers have 1, and 0.9 with one-sided label smoothing. The target of
            generated samples stays 0.

    Raises:
        ValueError: if the target is out of range.
    """

    def __init__(self, real_target: float = 1.0) -> None:
        super().__init__()
        if not 0 < real_target <= 1:
            raise ValueError(
                f"real_target must be above 0 and at most 1, got {real_target}. Use 0.9 for "
                "one-sided label smoothing, or 1 for none."
            )
        self.real_target = real_target

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return minimax_discriminator_loss(real, fake, real_target=self.real_target)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return non_saturating_generator_loss(fake)

    @override
    def log_ratio(self, outputs: Tensor) -> Tensor:
        if self.real_target != 1:
            raise ValueError(
                f"loss: with real_target {self.real_target} the outputs are no log density "
                "ratios of real to generated samples. Use a model with real_target 1."
            )
        return outputs

    @override
    def verdict(self, outputs: Tensor) -> Tensor:
        # Where both densities are equal, the best discriminator says real_target / 2.
        return (outputs - log(self.real_target / (2 - self.real_target))).sign()


class Minimax(AdversarialLoss):
    """The cross-entropy, and for the generator log(1 - D(G(z))), which saturates.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and algorithm 1,
        https://arxiv.org/abs/1406.2661
    """

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return minimax_discriminator_loss(real, fake)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return minimax_generator_loss(fake)

    @override
    def log_ratio(self, outputs: Tensor) -> Tensor:
        return outputs

    @override
    def verdict(self, outputs: Tensor) -> Tensor:
        return outputs.sign()


class LeastSquares(AdversarialLoss):
    """Squared distances of the outputs to targets.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2017), equation 2, and equation
        9 for the default targets, https://arxiv.org/abs/1611.04076. The discriminator may end in a
        sigmoid or not; the paper's does not.

    Args:
        real_target: b, the discriminator's target for real samples.
        fake_target: a, its target for generated samples.
        generator_target: c, the generator's target for its samples.
        label_noise: the discriminator's targets are raised by ``label_noise`` times U(0, 1), drawn
            for each output; at least 0. Not in the paper.
        weight: factor of both losses, above 0; the paper's is 1/2.

    Raises:
        ValueError: if the noise or the weight is out of range, a target is not finite, or those
            of the discriminator are equal, so that it learns nothing.
    """

    def __init__(
        self,
        real_target: float = 1.0,
        fake_target: float = 0.0,
        generator_target: float = 1.0,
        label_noise: float = 0.0,
        weight: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= label_noise < float("inf"):
            raise ValueError(f"label_noise must be finite and at least 0, got {label_noise}.")
        if not 0 < weight < float("inf"):
            raise ValueError(f"weight must be finite and above 0, got {weight}.")
        targets = {"real_target": real_target, "fake_target": fake_target}
        for name, target in {**targets, "generator_target": generator_target}.items():
            if not isfinite(target):
                raise ValueError(f"{name} must be finite, got {target}.")
        if real_target == fake_target:
            raise ValueError(
                f"real_target and fake_target must differ, got {real_target} for both. Use 1 and "
                "0."
            )
        self.real_target = real_target
        self.fake_target = fake_target
        self.generator_target = generator_target
        self.label_noise = label_noise
        self.weight = weight

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        loss = least_squares_discriminator_loss(
            real,
            fake,
            real_target=self._noisy(self.real_target, real),
            fake_target=self._noisy(self.fake_target, fake),
        )
        return self.weight * loss

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return self.weight * least_squares_generator_loss(fake, target=self.generator_target)

    @override
    def encoder(self, real: Tensor, fake: Tensor | None = None) -> Tensor:
        return self.generator(self.real_target + self.fake_target - real)  # the targets mirrored

    @override
    def verdict(self, outputs: Tensor) -> Tensor:
        middle = (self.real_target + self.fake_target + self.label_noise) / 2
        direction = self.real_target - self.fake_target
        return (direction * (outputs - middle)).sign()

    def _noisy(self, target: float, like: Tensor) -> float | Tensor:
        if self.label_noise == 0:
            return target
        return target + self.label_noise * torch.rand_like(like)


class Wasserstein(AdversarialLoss):
    """The difference of the critic's means; it estimates a distance if the critic is Lipschitz.

    ``wasserstein`` in the log is mean D(x) - mean D(G(z)), the critic's estimate of the
    Wasserstein-1 distance times its Lipschitz constant.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), equation 3 and algorithm 1,
        https://arxiv.org/abs/1701.07875
    """

    crosses_zero = True

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return wasserstein_discriminator_loss(real, fake)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return wasserstein_generator_loss(fake)

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"wasserstein": real.mean() - fake.mean()}


class Hinge(AdversarialLoss):
    """The hinge loss: outputs of real samples beyond 1 and of fake ones beyond -1 cost nothing.

    The generator's loss has no hinge and no lower bound, so the discriminator should be kept
    Lipschitz, by spectral norm or by a penalty.

    References:
        | Geometric GAN (Lim and Ye, 2017), https://arxiv.org/abs/1705.02894
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        | equations 16 and 17, https://arxiv.org/abs/1802.05957
    """

    crosses_zero = True

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return hinge_discriminator_loss(real, fake)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return hinge_generator_loss(fake)

    @override
    def verdict(self, outputs: Tensor) -> Tensor:
        return outputs.sign()


class RelativisticPaired(AdversarialLoss):
    """A loss of the difference between a real and a fake logit, pair by pair.

    References:
        | The Relativistic Discriminator: a Key Element Missing from Standard GAN
        | (Jolicoeur-Martineau, 2018), section 4.1, https://arxiv.org/abs/1807.00734
        | The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        | section 2, https://arxiv.org/abs/2501.05441. The generator is compared with the real
        | samples of the discriminator's last update, in place of new ones.

    Args:
        kind: what the difference costs: ``logistic`` in both papers, ``hinge`` or
            ``least_squares``.

    Raises:
        ValueError: if there is no such kind.
    """

    needs_real = True

    def __init__(self, kind: Kind = "logistic") -> None:
        super().__init__()
        check_choice("kind", kind, EXCESS)
        self.kind = kind

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relativistic_paired_loss(real, fake, kind=self.kind)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None
        return relativistic_paired_loss(fake, real, kind=self.kind)


class RelativisticAverage(AdversarialLoss):
    """A loss of the difference between each logit and the mean of the other side.

    The means couple the samples of an update. Several processes take them over their own samples,
    so that they train on the mean of their losses and not on the loss of all samples.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.2, https://arxiv.org/abs/1807.00734. Both losses are
        halved, as in its author's code. The generator is compared with the real samples of the
        discriminator's last update, in place of new ones.

    Args:
        kind: what the difference costs: ``logistic`` (RaSGAN), ``hinge`` or ``least_squares``
            (RaLSGAN).

    Raises:
        ValueError: if there is no such kind.
    """

    needs_real = True

    def __init__(self, kind: Kind = "logistic") -> None:
        super().__init__()
        check_choice("kind", kind, EXCESS)
        self.kind = kind

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relativistic_average_loss(real, fake, kind=self.kind)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None
        return relativistic_average_loss(fake, real, kind=self.kind)
