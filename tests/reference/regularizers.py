"""Regularizers, as formulas of what they look at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gans import (
    regularizers,
)
from lightning_gans.augment import InstanceNoise
from lightning_gans.regularizers import Regularizer
from reference import noise


@dataclass(frozen=True)
class Look:
    """What regularizers read in an update.

    Attributes:
        critic: maps samples to outputs; it takes the indices of samples with them.
        real: samples.
        fake: generated samples.
        network: the discriminator itself.
        memory: what outlasts the update.
        paths: likewise, of path lengths.
        styles: makes those of half of the generated samples anew.
    """

    critic: Callable[..., Tensor]
    real: Tensor
    fake: Tensor
    network: nn.Module
    memory: "Memory"
    paths: "Paths"
    styles: Callable[[], Tensor] | None = None

    def outputs(self, points: Tensor) -> Tensor:
        return torch.stack([self.critic(x[None], [i]).squeeze() for i, x in enumerate(points)])

    def slopes(self, points: Tensor) -> Tensor:
        """The norm of each sample's gradient."""
        return self.squared_slopes(points).sqrt()

    def squared_slopes(self, points: Tensor) -> Tensor:
        """The square of the norm, which has a gradient at 0; one backward pass a sample."""
        squares = []
        for index, point in enumerate(points.detach()):
            x = point.unsqueeze(0).requires_grad_()
            output = self.critic(x, [index]).squeeze()
            (gradient,) = torch.autograd.grad(output, x, create_graph=True)
            squares.append(gradient.square().sum())
        return torch.stack(squares)

    def slopes_between(self) -> Tensor:
        share = torch.rand(len(self.real), 1, dtype=self.real.dtype)
        return self.slopes(share * self.real + (1 - share) * self.fake)

    def slopes_around(self, noise: float) -> Tensor:
        share = torch.rand(len(self.real), 1, dtype=self.real.dtype)
        where = torch.rand(self.real.shape, dtype=self.real.dtype)
        deviation = (self.real - self.real.mean()).square().mean().sqrt()
        return self.slopes(self.real + noise * deviation * share * where)


@dataclass
class Memory:
    """Averages of outputs over updates, of real and of generated samples.

    Attributes:
        averages: both.
        updates: that they are over.
        seen: the means in the processes that have played the update.
    """

    averages: Tensor
    updates: int = 0
    seen: list[Tensor] = field(default_factory=list)

    def move(self) -> None:
        old = min(0.6, self.updates / (self.updates + 1))
        self.averages = old * self.averages + (1 - old) * torch.stack(self.seen).mean(0)
        self.updates += 1
        self.seen.clear()


@dataclass
class Paths:
    """The average of path lengths over updates.

    Attributes:
        average: of them.
        seen: the means in the processes that have played the update.
    """

    average: Tensor
    seen: list[Tensor] = field(default_factory=list)

    def move(self) -> None:
        if self.seen:
            self.average = 0.4 * self.average + 0.6 * torch.stack(self.seen).mean()
        self.seen.clear()


def path_length(look):
    """With a backward pass for each sample; the network is the generator."""
    styles, lengths = look.styles(), []
    for style, direction in zip(styles, noise(len(styles)), strict=True):
        projected = (look.network.synthesize(style[None])[0] * direction).sum()
        (gradient,) = torch.autograd.grad(projected, style, create_graph=True)
        lengths.append((gradient.square().sum(1).mean()).sqrt())
    found = torch.stack(lengths)
    look.paths.seen.append(found.mean().detach())
    return ((found - look.paths.average) ** 2).mean()


def lecam(look):
    real, fake = look.outputs(look.real), look.outputs(look.fake)
    to_fake, to_real = look.memory.averages[1], look.memory.averages[0]
    penalty = ((real - to_fake) ** 2).mean() + ((fake - to_real) ** 2).mean()
    return penalty if look.memory.updates >= 2 else 0 * penalty


def inconsistent(look, points):
    moved = points + 0.3 * torch.randn(points.shape, dtype=points.dtype)
    return ((look.outputs(points) - look.outputs(moved)) ** 2).mean()


def balanced(look):
    at_real = inconsistent(look, look.real)
    return at_real + inconsistent(look, look.fake)


def feature_matching(look):
    """What the last layer reads of points are the values of the layers before it."""
    means = []
    for points in (look.real, look.fake):
        first, activation, *_ = look.network
        means.append(activation(first(points)).mean(0))
    return ((means[0].detach() - means[1]) ** 2).sum()


def orthogonal(look):
    total = torch.zeros((), dtype=torch.float64)
    for weight in (w for w in look.network.parameters() if w.ndim == 2):
        for one in range(len(weight)):
            others = weight[[row for row in range(len(weight)) if row != one]]
            total = total + ((others * weight[one]).sum(1) ** 2).sum()
    return total


REGULARIZERS = {
    "GradientPenalty": lambda look: ((look.slopes_between() - 1) ** 2).mean(),
    "OneSidedPenalty": lambda look: ((look.slopes_between() - 1).clamp(min=0) ** 2).mean(),
    "ZeroCenteredPenalty": lambda look: (look.slopes_between() ** 2).mean(),
    "MaxGradientPenalty": lambda look: (look.slopes_between() ** 2).max(),
    "WGANDivPenalty": lambda look: (look.slopes_between() ** 6).mean(),
    "DRAGANPenalty": lambda look: ((look.slopes_around(0.5) - 1) ** 2).mean(),
    "R1": lambda look: look.squared_slopes(look.real).mean() / 2,
    "R2": lambda look: look.squared_slopes(look.fake).mean() / 2,
    "LeCam": lecam,
    "Orthogonal": orthogonal,
    "Consistency": lambda look: inconsistent(look, look.real),
    "BalancedConsistency": balanced,
    "FeatureMatching": feature_matching,
    "PathLength": path_length,
}
OF_GENERATORS = {"FeatureMatching", "PathLength"}
NOISE = {"augment": InstanceNoise(0.3)}
SETTINGS: dict[str, dict[str, Any]] = {
    "LeCam": {"decay": 0.6, "start": 2},
    "Consistency": NOISE,
    "BalancedConsistency": NOISE,
    "PathLength": {"decay": 0.6},
}
"""What regularizers are made with beside weight and ``every``."""


def regularizer(name: str, weight: float, every: int = 1) -> Regularizer:
    """Returns one of `REGULARIZERS` as it is in the library."""
    return getattr(regularizers, name)(weight, every=every, **SETTINGS.get(name, {}))
