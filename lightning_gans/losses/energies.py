"""Losses of energies, which are low for real samples, and Fisher's, whose critic has unit moments.

An energy is an output at least 0, such as the error of an autoencoder. Two of the losses have a
state: a scalar that follows the mean over all processes, and is the same in each of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu
from typing_extensions import override

from lightning_gans.losses.base import AdversarialLoss, mean_of_pairs

__all__ = [
    "BoundaryEquilibrium",
    "EnergyMargin",
    "Fisher",
    "boundary_equilibrium_discriminator_loss",
    "energy_generator_loss",
    "energy_margin_discriminator_loss",
    "fisher_constraint",
    "fisher_discriminator_loss",
    "fisher_generator_loss",
    "pulling_away",
]


def energy_margin_discriminator_loss(real: Tensor, fake: Tensor, *, margin: float) -> Tensor:
    """Returns E(x) + relu(m - E(G(z))), the margin being that of each sample.

    References:
        Energy-based Generative Adversarial Network (Zhao et al., 2017), equation 1,
        https://arxiv.org/abs/1609.03126

    Args:
        real: energies of real samples, shape (N,).
        fake: energies of generated samples, shape (N,).
        margin: m, the energy beyond which generated samples cost nothing.
    """
    return real.mean() + relu(margin - fake).mean()


def energy_generator_loss(fake: Tensor) -> Tensor:
    """Returns the mean energy of generated samples.

    References:
        Energy-based Generative Adversarial Network (Zhao et al., 2017), equation 2,
        https://arxiv.org/abs/1609.03126

    Args:
        fake: energies of generated samples, shape (N,).
    """
    return fake.mean()


def pulling_away(codes: Tensor) -> Tensor:
    """Returns the mean squared cosine between the codes of different samples, in [0, 1].

    It couples the samples of an update: several processes take it over their own.

    References:
        Energy-based Generative Adversarial Network (Zhao et al., 2017), equation 4,
        https://arxiv.org/abs/1609.03126

    Args:
        codes: shape (N, ...), N at least 2.

    Raises:
        ValueError: if there is one sample.
    """
    directions = normalize(codes.reshape(len(codes), -1), dim=1)
    with torch.autocast(directions.device.type, enabled=False):
        return mean_of_pairs((directions @ directions.T).square())


class EnergyMargin(AdversarialLoss):
    """Energies of real samples are lowered, those of generated ones raised up to a margin.

    A margin below the energy that real samples reach says nothing: see ``train/d_real``.

    References:
        Energy-based Generative Adversarial Network (Zhao et al., 2017), equations 1 and 2,
        https://arxiv.org/abs/1609.03126

    Args:
        margin: m, in units of the energy; above 0.

    Raises:
        ValueError: if the margin is out of range.
    """

    reads_energies = True

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        if not 0 < margin < float("inf"):
            raise ValueError(
                f"margin must be finite and above 0, got {margin}. Use about the energy of real "
                "samples at the start of training."
            )
        self.margin = margin

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return energy_margin_discriminator_loss(real, fake, margin=self.margin)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return energy_generator_loss(fake)


def boundary_equilibrium_discriminator_loss(
    real: Tensor, fake: Tensor, *, k: float | Tensor
) -> Tensor:
    """Returns E(x) - k E(G(z)).

    References:
        BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
        section 3.4, https://arxiv.org/abs/1703.10717

    Args:
        real: energies of real samples, shape (N,).
        fake: energies of generated samples, shape (N,).
        k: how much the latter count.
    """
    return real.mean() - k * fake.mean()


class BoundaryEquilibrium(AdversarialLoss):
    """Keeps the energy of generated samples at a share of that of real ones.

    After each update of the generator, k grows by ``k_rate`` times gamma E(x) - E(G(z)), as means
    over all processes, and stays in [0, 1]. The log has ``k``, and BEGAN's measure
    ``convergence``, E(x) + |gamma E(x) - E(G(z))|, on the discriminator's samples.

    References:
        BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
        sections 3.3 to 3.5, https://arxiv.org/abs/1703.10717, not compared with the paper. E(x)
        is that of the discriminator's last update.

    Args:
        gamma: E(G(z)) / E(x) at the equilibrium, above 0 and at most 1: the more, the more diverse
            are the samples.
        k_rate: lambda_k, at least 0.

    Raises:
        ValueError: if an argument is out of range.
    """

    reads_energies = True
    crosses_zero = True
    k: Tensor
    real: Tensor

    def __init__(self, gamma: float = 0.5, k_rate: float = 0.001) -> None:
        super().__init__()
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma must be above 0 and at most 1, got {gamma}. Use 0.5.")
        if not 0 <= k_rate < float("inf"):
            raise ValueError(f"k_rate must be finite and at least 0, got {k_rate}. Use 0.001.")
        self.gamma = gamma
        self.k_rate = k_rate
        self.register_buffer("k", torch.zeros(()))
        # E(x), which outlasts a round where the generator plays before the discriminator.
        self.register_buffer("real", torch.zeros(()))

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return boundary_equilibrium_discriminator_loss(real, fake, k=self.k)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return energy_generator_loss(fake)

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        balance = self.gamma * real.mean() - fake.mean()
        return {"convergence": real.mean() + balance.abs(), "k": self.k}

    @override
    @torch.no_grad()
    def after_turn(
        self,
        player: str,
        real: Tensor | None,
        fake: Tensor,
        mean: Callable[[Tensor], Tensor],
    ) -> None:
        if real is not None:  # the discriminator's
            self.real.copy_(mean(real.mean()))
        else:
            balance = self.gamma * self.real - mean(fake.mean())
            self.k.add_(self.k_rate * balance).clamp_(0, 1)


def fisher_constraint(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean square of a critic, half over real and half over generated samples.

    References:
        Fisher GAN (Mroueh and Sercu, 2017), equation 9, https://arxiv.org/abs/1705.09675

    Args:
        real: critic outputs on real samples, shape (N,).
        fake: critic outputs on generated samples, shape (N,).
    """
    return (real.square().mean() + fake.square().mean()) / 2


def fisher_discriminator_loss(
    real: Tensor, fake: Tensor, *, multiplier: float | Tensor, rho: float
) -> Tensor:
    """Returns minus the augmented Lagrangian of the largest difference of means at unit moments.

    References:
        Fisher GAN (Mroueh and Sercu, 2017), equation 9, https://arxiv.org/abs/1705.09675

    Args:
        real: critic outputs on real samples, shape (N,).
        fake: critic outputs on generated samples, shape (N,).
        multiplier: lambda, of the constraint.
        rho: weight of its squared violation.
    """
    excess = fisher_constraint(real, fake) - 1
    return fake.mean() - real.mean() + multiplier * excess + rho / 2 * excess.square()


def fisher_generator_loss(fake: Tensor) -> Tensor:
    """Returns -mean D(G(z)).

    References:
        Fisher GAN (Mroueh and Sercu, 2017), equation 9, https://arxiv.org/abs/1705.09675

    Args:
        fake: critic outputs on generated samples, shape (N,).
    """
    return -fake.mean()


class Fisher(AdversarialLoss):
    """The difference of a critic's means, its second moment being held at 1.

    After each update of the critic, the multiplier of the constraint grows by ``rho`` times its
    violation before the update, as a mean over all processes. The log has ``multiplier``,
    ``constraint`` (the second moment) and ``ipm`` (the difference of the means). The square of the
    violation couples the samples of an update: several processes take it over their own.

    References:
        Fisher GAN (Mroueh and Sercu, 2017), equation 9 and algorithm 1,
        https://arxiv.org/abs/1705.09675

    Args:
        rho: weight of the squared violation, and rate of the multiplier; above 0.

    Raises:
        ValueError: if the weight is out of range.
    """

    crosses_zero = True
    multiplier: Tensor

    def __init__(self, rho: float = 1e-6) -> None:
        super().__init__()
        if not 0 < rho < float("inf"):
            raise ValueError(f"rho must be finite and above 0, got {rho}. Use 1e-6.")
        self.rho = rho
        self.register_buffer("multiplier", torch.zeros(()))

    @override
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fisher_discriminator_loss(real, fake, multiplier=self.multiplier, rho=self.rho)

    @override
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return fisher_generator_loss(fake)

    @override
    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {
            "ipm": real.mean() - fake.mean(),
            "constraint": fisher_constraint(real, fake),
            "multiplier": self.multiplier,
        }

    @override
    @torch.no_grad()
    def after_turn(
        self,
        player: str,
        real: Tensor | None,
        fake: Tensor,
        mean: Callable[[Tensor], Tensor],
    ) -> None:
        if real is not None:  # the critic's
            self.multiplier.add_(self.rho * (mean(fisher_constraint(real, fake)) - 1))
