"""Losses of the outputs of real and of fake samples, for the discriminator and the generator."""

import math

import torch
from torch.nn.functional import logsigmoid


def noisy_squares(real, fake):
    real_target = -1 + 0.05 * torch.rand(len(real), dtype=real.dtype)
    fake_target = 1 + 0.05 * torch.rand(len(fake), dtype=fake.dtype)
    return ((real - real_target) ** 2).mean() / 2 + ((fake - fake_target) ** 2).mean() / 2


def log_loss(real, fake):
    return -(logsigmoid(real).mean() + torch.log(1 - fake.sigmoid()).mean())


def wasserstein(real, fake):
    return fake.mean() - real.mean()


def hinge(real, fake):
    zero = torch.zeros(())
    return torch.maximum(zero, 1 - real).mean() + torch.maximum(zero, 1 + fake).mean()


def below(higher, lower, cost):
    """The mean cost of what should be higher, less what should be lower, pair by pair."""
    return sum(cost(h - x) for h, x in zip(higher, lower, strict=True)) / len(higher)


def below_average(higher, lower, cost):
    to_lower = below(higher, lower.mean().expand_as(higher), cost)
    return (to_lower + below(higher.mean().expand_as(lower), lower, cost)) / 2


def surely(x):
    return -logsigmoid(x)


def pull(x):
    return (x - 1) ** 2


def shannon(real, fake):
    """Minus the bound of the Jensen-Shannon divergence, by the definition of its conjugate."""
    at_real, at_fake = (math.log(2) + logsigmoid(x) for x in (real, fake))
    return -(at_real.mean() + torch.log(2 - at_fake.exp()).mean())


def pairs(x, y, similarity, *, without_self=False):
    """The mean over pairs of rows, one by one."""
    x, y = (rows.reshape(len(rows), -1) for rows in (x, y))
    found = [
        similarity(a, b)
        for i, a in enumerate(x)
        for j, b in enumerate(y)
        if not (without_self and i == j)
    ]
    return sum(found) / len(found)


def mixed(a, b):
    """The sum of rational quadratic kernels."""
    apart = ((a - b) ** 2).sum()
    return sum((1 + apart / (2 * scale)) ** -scale for scale in (0.2, 0.5, 1, 2, 5))


def apart(a, b):
    return ((a - b) ** 2).sum().sqrt()


def length(x):
    return sum(apart(row, 0 * row) for row in x.reshape(len(x), -1)) / len(x)


def discrepancy(real, fake):
    alone = [pairs(side, side, mixed, without_self=True) for side in (real, fake)]
    return sum(alone) - 2 * pairs(real, fake, mixed)


def cramer(real, fake):
    at_fake = pairs(fake, fake, apart, without_self=True) - length(fake)
    return at_fake - (pairs(real, fake, apart) - length(real))


class Adaptive:
    """A loss with a number for each discriminator, which follows the means over all processes."""

    def reset(self) -> None:
        self.numbers, self.noted, self.fooled = {}, {}, {}

    def number(self, of: str) -> float:
        return self.numbers.setdefault(of, 0.0)

    def state(self, of: str) -> dict[str, float]:
        """What the loss of a discriminator remembers, by the names of the library."""
        return {self.name: self.numbers[of]}


class Fisher(Adaptive):
    name = "multiplier"

    def __init__(self, rho: float) -> None:
        self.rho = rho

    def d(self, real, fake, of):
        moment = (real**2).mean() / 2 + (fake**2).mean() / 2
        self.noted.setdefault(of, []).append(moment.item())
        held = self.number(of) * (1 - moment) - self.rho / 2 * (moment - 1) ** 2
        return -(real.mean() - fake.mean() + held)

    def g(self, fake, real, of):
        return -fake.mean()

    def e(self, real):
        return real.mean()

    def after(self) -> None:
        for of, moments in self.noted.items():
            self.numbers[of] += self.rho * (sum(moments) / len(moments) - 1)
        self.noted = {}


class Equilibrium(Adaptive):
    name = "k"

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def d(self, real, fake, of):
        self.noted.setdefault(of, []).append(real.mean().item())
        return real.mean() - self.number(of) * fake.mean()

    def g(self, fake, real, of):
        self.fooled.setdefault(of, []).append(fake.mean().item())
        return fake.mean()

    def e(self, real):
        return -real.mean()

    def after(self) -> None:
        ranks = 0
        for of, energies in self.fooled.items():
            ranks = len(energies)
            # Of the discriminator's last update, if it has made one yet.
            real = self.noted.get(of, [0.0] * ranks)[-ranks:]
            balance = sum(0.5 * r - f for r, f in zip(real, energies, strict=True)) / ranks
            self.numbers[of] = min(max(self.number(of) + self.rate * balance, 0.0), 1.0)
            self.ranks = ranks
        self.fooled = {}

    def state(self, of: str) -> dict[str, float]:
        last = self.noted[of][-self.ranks :]
        return {**super().state(of), "real": sum(last) / len(last)}


ADAPTIVE = {
    "BoundaryEquilibrium": Equilibrium(0.001),
    "quick equilibrium": Equilibrium(0.5),
    "Fisher": Fisher(1e-6),
    "strict Fisher": Fisher(0.3),
}

CRITICS = {
    "MMD": lambda x, real, fake: pairs(x, real, mixed) - pairs(x, fake, mixed),
    "Cramer": lambda x, real, fake: pairs(x, fake, apart) - length(x),
}
"""The value of one sample by its features and those of the samples in the update."""

LOSSES = {
    **{name: (loss.d, loss.g) for name, loss in ADAPTIVE.items()},
    "EnergyMargin": (
        lambda real, fake: real.mean() + torch.stack([max(1 - x, 0 * x) for x in fake]).mean(),
        lambda fake, real: fake.mean(),
    ),
    "NonSaturating": (log_loss, lambda fake, real: -logsigmoid(fake).mean()),
    "Minimax": (log_loss, lambda fake, real: torch.log(1 - fake.sigmoid()).mean()),
    "LeastSquares": (
        lambda real, fake: ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2,
        lambda fake, real: ((fake - 1) ** 2).mean() / 2,
    ),
    "noisy squares": (noisy_squares, lambda fake, real: ((fake + 1) ** 2).mean() / 2),
    "Wasserstein": (wasserstein, lambda fake, real: -fake.mean()),
    "Hinge": (hinge, lambda fake, real: -fake.mean()),
    "RelativisticPaired": (
        lambda real, fake: below(real, fake, surely),
        lambda fake, real: below(fake, real.detach(), surely),
    ),
    "RelativisticAverage": (
        lambda real, fake: below_average(real, fake, surely),
        lambda fake, real: below_average(fake, real.detach(), surely),
    ),
    "average squares": (
        lambda real, fake: below_average(real, fake, pull),
        lambda fake, real: below_average(fake, real.detach(), pull),
    ),
    "FDivergence": (shannon, lambda fake, real: -(math.log(2) + logsigmoid(fake)).mean()),
    "MMD": (
        lambda real, fake: -discrepancy(real, fake),
        lambda fake, real: discrepancy(real.detach(), fake),
    ),
    "Cramer": (
        cramer,
        lambda fake, real: (
            2 * pairs(real.detach(), fake, apart) - pairs(fake, fake, apart, without_self=True)
        ),
    ),
    "smooth": (
        lambda real, fake: (
            log_loss(real, fake) - (logsigmoid(-real) - logsigmoid(real)).mean() / 5
        ),
        lambda fake, real: -logsigmoid(fake).mean(),
    ),
}
"""By the name of the class, or of what it is made with."""
