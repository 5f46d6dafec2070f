"""Adversarial losses as objects that any structure of networks takes.

A loss reads the outputs of a discriminator, which are logits unless it says otherwise. Their shape
is (N,), or (N / m,) where the discriminator reads m samples at a time, or (N, 1, h, w) where it
reads patches; real and fake have the same one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus
from typing_extensions import override

from lightning_gans.losses.functional import (
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "LossSource",
    "Minimax",
    "NonSaturating",
    "RelativisticPaired",
    "Wasserstein",
]


class AdversarialLoss(nn.Module, ABC):
    """Base of the adversarial losses: one scalar for each player, which it minimises.

    A loss with a state keeps it in buffers, so that it moves with the model and is in its
    checkpoints. Each discriminator needs a loss object of its own then.

    Attributes:
        needs_real: whether the generator's loss reads the outputs of real samples too.
        num_outputs: d, the numbers that the loss reads for each sample. A loss with d > 1 is given
            outputs of shape (N, d).
    """

    needs_real: ClassVar[bool] = False
    num_outputs: int = 1

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the discriminator's loss, a scalar.

        Args:
            real: outputs of real samples.
            fake: outputs of generated samples, the same shape.
        """

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the generator's loss, a scalar.

        Args:
            fake: outputs of generated samples.
            real: outputs of real samples, the same shape, without a graph; given to a loss that
                ``needs_real``.
        """

    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Returns further values whose means are logged in the discriminator's updates, by name.

        Args:
            real: outputs of real samples, without a graph.
            fake: outputs of generated samples, the same shape, without a graph.
        """
        return {}

    def after_turn(
        self,
        player: str,
        real: Tensor | None,
        fake: Tensor,
        mean: Callable[[Tensor], Tensor],
    ) -> None:
        """Updates the state of the loss; called after each update of a player that uses it.

        Args:
            player: name of the player.
            real: outputs of real samples, without a graph; None if the update read none.
            fake: outputs of generated samples, without a graph.
            mean: takes the mean of a tensor over all processes.
        """


LossSource = Callable[[], AdversarialLoss]
"""A class of losses, or what else makes a loss, or the loss itself."""


class NonSaturating(AdversarialLoss):
    """The cross-entropy, and for the generator -log D(G(z)).

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and section 3,
        https://arxiv.org/abs/1406.2661
    """

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return minimax_discriminator_loss(real, fake)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return non_saturating_generator_loss(fake)


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
        ValueError: if the noise or the weight is out of range.
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
            raise ValueError(f"label_noise must be at least 0, got {label_noise}.")
        if not 0 < weight < float("inf"):
            raise ValueError(f"weight must be above 0, got {weight}.")
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

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()


class RelativisticPaired(AdversarialLoss):
    """The logistic loss of the difference between a real and a fake logit, pair by pair.

    References:
        | The Relativistic Discriminator: a Key Element Missing from Standard GAN
        | (Jolicoeur-Martineau, 2018), section 4.1, https://arxiv.org/abs/1807.00734
        | The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        | section 2, https://arxiv.org/abs/2501.05441. The generator is compared with the real
        | samples of the discriminator's last update, in place of new ones.
    """

    needs_real = True

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None
        return softplus(real - fake).mean()
