"""A plain training loop, written apart from the library, that every game must agree with.

It plays the processes of a run one after the other: each draws from its own random stream and
computes the gradient of its own share, and the mean of these gradients makes the step. A structure
says what its players see and minimise; losses and regularizers are formulas that any takes.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softmax
from torch.nn.utils import parametrize

from datamodules import GaussianRing, MixturePairs, SwissRoll, UnpairedSources
from lightning_gans import (
    AAE,
    ACGAN,
    BEGAN,
    CGAN,
    CVAEGAN,
    DCGAN,
    DRAGAN,
    EBGAN,
    FGAN,
    GAN,
    LSGAN,
    MMDGAN,
    R3GAN,
    RSGAN,
    SAGAN,
    SGAN,
    SNGAN,
    VAEGAN,
    WDCGAN,
    WDCGANGP,
    WGAN,
    WGANGP,
    WGANLP,
    AdversarialModule,
    BiGAN,
    BigGAN,
    CoGAN,
    CramerGAN,
    CycleGAN,
    FisherGAN,
    HingeGAN,
    InfoGAN,
    MinimaxGAN,
    PacGAN,
    Pix2Pix,
    RaGAN,
    RaLSGAN,
    SemiSupervisedAAE,
    StyleGAN2,
    TopKGAN,
    UnrolledGAN,
    WGANDiv,
    losses,
    regularizers,
)
from lightning_gans.augment import InstanceNoise
from lightning_gans.callbacks import Lookahead, Schedule
from lightning_gans.core.domains import TwoDomainModule
from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.losses import MMD, Cramer, LeastSquares, NonSaturating
from lightning_gans.networks import (
    GradientNormalization,
    MinibatchDiscrimination,
    MinibatchStdDev,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
    MLPTranslator,
    R3GANDiscriminator,
    R3GANGenerator,
    SeparatePosterior,
    SpectralNorm,
)
from lightning_gans.networks.styles import StyledGenerator
from lightning_gans.optimizers import OptimisticAdam, PastExtraAdam
from lightning_gans.regularizers import GradientPenalty, Regularizer

BATCH = 6
SEED = 5
OPTIMIZER = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))


class Asked(nn.Module):
    """A network that reads the class of each sample as K further entries."""

    treats_samples_alone = True

    def __init__(self, num_classes: int, *layers: nn.Module) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = x.new_zeros(len(x), self.num_classes).scatter(1, labels[:, None], 1.0)
        return self.layers(torch.cat([x, classes], 1))


class Locates(nn.Module):
    """An encoder: the mean and the log of the standard deviation of each latent."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_sd = nn.Linear(2, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x).tanh()
        return self.mean(hidden), self.log_sd(hidden)


class Pairs(nn.Module):
    """A discriminator of pairs of a point and a latent."""

    treats_samples_alone = True

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers(4, 1))

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        return self.layers(torch.cat([x, latent], 1))

    def with_features(self, x: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        first, activation, *_ = self.layers
        return self(x, latent), activation(first(torch.cat([x, latent], 1)))


class Stylist(StyledGenerator):
    """A generator of points with three styles."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.mapping = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
        self.layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(4, 8)])
        self.last = nn.Linear(8, 2)

    def map(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.mapping(latent)

    def synthesize(self, styles: Tensor) -> Tensor:
        first, second, third = (layer(styles[:, i]) for i, layer in enumerate(self.layers))
        return self.last(first.tanh() + second * third.tanh())


def layers(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    last = (nn.Flatten(0),) if outputs == 1 else ()
    return nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs), *last


def two(num_classes: int) -> dict[str, nn.Module]:
    """A generator and a discriminator, which both read the classes if there are any."""
    inputs = 2 + num_classes
    generator, discriminator = layers(inputs, 2), layers(inputs, 1)
    if num_classes:
        return {
            "generator": Asked(num_classes, *generator),
            "discriminator": Asked(num_classes, *discriminator),
        }
    return {
        "generator": nn.Sequential(*generator),
        "discriminator": nn.Sequential(*discriminator),
    }


def grouped(num_classes: int) -> dict[str, nn.Module]:
    """R3GAN's networks on images of 8 pixels, whose means over pixels are the points."""
    sizes = {"data_shape": (2, 8, 8), "widths": [16, 8], "blocks": 1}
    return {
        "generator": nn.Sequential(
            R3GANGenerator(2, **sizes), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "discriminator": nn.Sequential(
            nn.Unflatten(1, (2, 1, 1)), nn.UpsamplingNearest2d(8), R3GANDiscriminator(**sizes)
        ),
    }


def with_a_stylist(num_classes: int) -> dict[str, nn.Module]:
    return {"generator": Stylist(), "discriminator": nn.Sequential(*layers(2, 1))}


def steep(num_classes: int) -> dict[str, nn.Module]:
    """The networks of `two`; the slopes of the discriminator are above 1 in many places."""
    networks = two(num_classes)
    with torch.no_grad():
        networks["discriminator"][2].weight.mul_(5)
    return networks


def wrapped(wrap: Callable[..., nn.Module]) -> Callable[[int], dict[str, nn.Module]]:
    """Makes the networks of `two`, the discriminator in a wrapper."""

    def made(num_classes: int) -> dict[str, nn.Module]:
        networks = two(num_classes)
        return {**networks, "discriminator": wrap(network=networks["discriminator"])}

    return made


def two_with_features(num_classes: int) -> dict[str, nn.Module]:
    """A generator and a discriminator that tells three features."""
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(2, 3)),
    }


class Rebuilds(nn.Module):
    """An autoencoder of points, with its codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
        self.decoder = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code


def two_with_autoencoder(num_classes: int) -> dict[str, nn.Module]:
    return {"generator": nn.Sequential(*layers(2, 2)), "discriminator": Rebuilds()}


def two_comparing(make: Callable[[], MinibatchStdDev | MinibatchDiscrimination]):
    """Makes the networks of `two`, the discriminator with a layer that compares its features."""

    def made(num_classes: int) -> dict[str, nn.Module]:
        networks = two(num_classes)
        first, activation, *_ = networks["discriminator"]
        layer = make()
        last = nn.Linear(layer.out_features, 1), nn.Flatten(0)
        judge = nn.Sequential(first, activation, layer, *last)
        return {**networks, "discriminator": judge}

    return made


def two_with_packs(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(6, 1)),
    }


def two_with_class_head(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1 + num_classes)),
    }


def two_with_codes(num_classes: int) -> dict[str, nn.Module]:
    """Latents have one entry of noise, codes of three and two values, and two numbers."""
    return {
        "generator": nn.Sequential(*layers(1 + 3 + 2 + 2, 2)),
        "discriminator": nn.Sequential(*layers(2, 1 + 3 + 2 + 2)),
    }


def three(num_classes: int) -> dict[str, nn.Module]:
    """The same with a posterior of its own, which tells deviations of the two numbers, too."""
    networks = two_with_codes(num_classes)
    judge, reader = (nn.Sequential(*layers(2, outputs)) for outputs in (1, 3 + 2 + 2 + 2))
    joined = SeparatePosterior(network=judge, posterior=reader, num_outputs=1 + 9)
    return {**networks, "discriminator": joined}


def four(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": Locates(),
        "classifier": nn.Sequential(*layers(2, num_classes)),
    }


def autoencoding(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": nn.Sequential(*layers(2, 2)),
    }


def autoencoding_pairs(num_classes: int) -> dict[str, nn.Module]:
    return {**autoencoding(num_classes), "discriminator": Pairs()}


def autoencoding_with_spread(num_classes: int) -> dict[str, nn.Module]:
    return {**autoencoding(num_classes), "encoder": Locates()}


# Losses: of the outputs of real and of fake samples, for the discriminator and the generator


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


# Regularizers: of what they look at


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


# Structures: their players, in the order of their turns


def surprise(outputs, labels):
    """The mean of -log p(label), the cross-entropy."""
    return -softmax(outputs, 1)[torch.arange(len(labels)), labels].log().mean()


def noise(number):
    return torch.randn(number, 2, dtype=torch.float64)


@dataclass(frozen=True)
class Side:
    """A player of the plain loop.

    Attributes:
        networks: names of those that it updates.
        draw: makes what it sees from samples and their labels, a tuple of tensors or Nones.
        loss: of what it sees.
        updates: in a round.
        at_once: whether it draws for all its updates in one call.
    """

    networks: tuple[str, ...]
    draw: Callable[..., tuple[Any, ...]]
    loss: Callable[..., Tensor]
    updates: int = 1
    at_once: bool = False


def call(network, x, labels):
    return network(x) if labels is None else network(x, labels)


def plain(nets, game, n_critic):
    """A generator and a discriminator, which both read the classes if there are any."""

    def draw(real, labels):
        return real, call(nets["generator"], noise(len(real)), labels), labels

    def discriminator_loss(real, fake, labels):
        fake = fake.detach()
        outputs = [call(nets["discriminator"], x, labels) for x in (real, fake)]

        def critic(x, index):
            return call(nets["discriminator"], x, None if labels is None else labels[index])

        return game.d(*outputs) + game.regularized(nets["discriminator"], critic, real, fake)

    def generator_loss(real, fake, labels):
        outputs = [call(nets["discriminator"], x, labels) for x in (fake, real)]
        return game.g(*outputs) + game.regularized_g(nets["discriminator"], real, fake)

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic, at_once=True),
        Side(("generator",), draw, generator_loss),
    ]


def with_styles(nets, game, n_critic, mixing=0.6):
    """Some points have the first one or two of their three styles from one latent only."""
    generator = nets["generator"]

    def style(latent):
        found = generator.map(latent)
        with torch.no_grad():
            generator.average.copy_(0.995 * generator.average + 0.005 * found.mean(0))
        return found

    def styles_of(latent):
        one, other = style(latent), style(noise(len(latent)))
        first = torch.randint(1, 3, (len(latent),))
        mixes = torch.rand(len(latent), dtype=torch.float64) < mixing
        rows = []
        for i in range(len(latent)):
            kept = first[i] if mixes[i] else 3
            rows.append(torch.stack([one[i] if at < kept else other[i] for at in range(3)]))
        return torch.stack(rows)

    def draw(real, labels):
        latent = noise(len(real))
        return real, generator.synthesize(styles_of(latent)), latent

    def discriminator_loss(real, fake, latent):
        return first.loss(real, fake, None)

    def generator_loss(real, fake, latent):
        def styles():
            return styles_of(latent[: len(latent) // 2])

        outputs = [nets["discriminator"](x) for x in (fake, real)]
        return game.g(*outputs) + game.regularized_g(generator, real, fake, styles)

    first, _ = plain(nets, game, n_critic)
    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("generator",), draw, generator_loss),
    ]


def with_packs(nets, game, n_critic, size=3):
    """The discriminator reads the entries of three points in a row."""

    def packs(x):
        starts = range(0, len(x), size)
        return torch.stack([torch.cat([*x[first : first + size]]) for first in starts])

    def of_packs(loss):
        return lambda real, fake, labels: loss(packs(real), packs(fake), labels)

    sides = plain(nets, game, n_critic)
    return [replace(side, loss=of_packs(side.loss)) for side in sides]


def looking_ahead(nets, game, n_critic, steps=2, lr=0.3):
    """The generator plays against the discriminator of later, whose weights depend on it."""

    def at(weights):
        first, bias, last, last_bias = weights
        return lambda x, index=None: ((x @ first.T + bias).tanh() @ last.T + last_bias)[:, 0]

    def loss_of(weights, real, fake):
        read = at(weights)
        penalty = game.regularized(nets["discriminator"], read, real, fake)
        return game.d(read(real), read(fake)) + penalty

    def generator_loss(real, fake, labels):
        adaptive = ADAPTIVE.get(game.loss, Adaptive())
        noted = deepcopy(vars(adaptive).get("noted"))
        found = ahead(real, fake)
        adaptive.noted = noted  # its numbers follow the discriminator's own updates alone
        return found

    def ahead(real, fake):
        weights = [p.detach().requires_grad_() for p in nets["discriminator"].parameters()]
        for _ in range(steps):
            gradients = torch.autograd.grad(
                loss_of(weights, real, fake), weights, create_graph=True
            )
            weights = [w - lr * g for w, g in zip(weights, gradients, strict=True)]
        if game.loss == "Minimax":  # whose objective this is, as a whole
            return -loss_of(weights, real, fake)
        read = at([weight.detach() for weight in weights])
        return game.g(read(fake), read(real)) - loss_of(weights, real, fake.detach())

    d, g = plain(nets, game, n_critic)
    return [d, replace(g, loss=generator_loss)]


def keeping_the_best(nets, game, n_critic):
    """The generator learns from six, six, four, four and three of its six samples."""

    def generator_loss(real, fake, labels):
        kept = int(BATCH * max(0.5, 0.8 ** (game.rounds[0] // 2)))
        outputs = nets["discriminator"](fake)
        chosen = sorted(range(BATCH), key=lambda i: -outputs[i].item())[:kept]
        penalty = game.regularized_g(nets["discriminator"], real, fake)
        return game.g(outputs[chosen], nets["discriminator"](real)) + penalty

    d, g = plain(nets, game, n_critic)
    return [d, replace(g, loss=generator_loss)]


def with_more_fakes(nets, game, n_critic):
    """The generator sees twice as many samples."""
    d, g = plain(nets, game, n_critic)
    return [d, replace(g, draw=lambda real, labels: g.draw(torch.cat([real, real]), labels))]


def with_errors(nets, game, n_critic, power=1, pulling=0.0):
    """The discriminator tells by how much its reconstruction of a sample is off."""
    read = nets["discriminator"]

    def errors(x):
        return sum(abs(entry) ** power for entry in (read(x)[0] - x).T) / 2

    d, g = plain({**nets, "discriminator": errors}, game, n_critic)

    def generator_loss(real, fake, labels):
        codes = [code / code.norm() for code in read(fake)[1]]
        number = len(codes)
        alike = [(a @ b) ** 2 for i, a in enumerate(codes) for b in codes[:i]]
        return g.loss(real, fake, labels) + pulling * 2 * sum(alike) / (number * (number - 1))

    return [d, replace(g, loss=generator_loss)]


def with_class_head(nets, game, n_critic):
    """The discriminator tells the class, which the generator reads."""

    def draw(real, labels):
        return real, nets["generator"](noise(len(real)), labels), labels

    def critic(x, index):
        return nets["discriminator"](x)[:, 0]

    def discriminator_loss(real, fake, labels):
        fake = fake.detach()
        at_real, at_fake = (nets["discriminator"](x) for x in (real, fake))
        classes = surprise(at_real[:, 1:], labels) + surprise(at_fake[:, 1:], labels)
        adversarial = game.d(at_real[:, 0], at_fake[:, 0])
        penalty = game.regularized(nets["discriminator"], critic, real, fake)
        return adversarial + 0.6 * classes + penalty

    def generator_loss(real, fake, labels):
        at_real, at_fake = (nets["discriminator"](x) for x in (real, fake))
        return game.g(at_fake[:, 0], at_real[:, 0]) + 0.4 * surprise(at_fake[:, 1:], labels)

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic, at_once=True),
        Side(("generator",), draw, generator_loss),
    ]


def with_codes(nets, game, n_critic):
    """Codes in the latents are read from the samples, by the discriminator or another network."""

    def draw(real, labels):
        number = len(real)
        z = torch.randn(number, 1, dtype=torch.float64)
        values = [torch.randint(most, (number,)) for most in (3, 2)]
        numbers = 2 * torch.rand(number, 2, dtype=torch.float64) - 1
        first, second = (torch.eye(3, dtype=torch.float64)[v] for v in values)
        latent = torch.cat([z, first, second[:, :2], numbers], 1)
        return real, nets["generator"](latent), *values, numbers

    judge = nets["discriminator"]
    apart = isinstance(judge, SeparatePosterior)

    def logits(x, index=None):
        return judge.network(x) if apart else judge(x)[:, 0]

    def unread(fake, first, second, numbers):
        """Minus the log of the probability of the codes."""
        outputs = judge.posterior(fake) if apart else judge(fake)[:, 1:]
        classes = surprise(outputs[:, :3], first) + surprise(outputs[:, 3:5], second)
        sd = outputs[:, 7:].exp() if apart else torch.ones_like(numbers)
        density = torch.distributions.Normal(outputs[:, 5:7], sd).log_prob(numbers)
        return 0.6 * classes - 0.4 * density.sum() / len(numbers)

    def discriminator_loss(real, fake, *codes):
        fake = fake.detach()
        adversarial = game.d(logits(real), logits(fake)) + unread(fake, *codes)
        return adversarial + game.regularized(judge, logits, real, fake)

    def generator_loss(real, fake, *codes):
        return game.g(logits(fake), logits(real)) + unread(fake, *codes)

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic, at_once=True),
        Side(("generator",), draw, generator_loss),
    ]


def with_encoder(nets, game, n_critic):
    """A classifier, a discriminator, and an encoder with the generator as its decoder."""

    def from_prior(real, labels):
        z = noise(len(real))
        return real, nets["generator"](z, torch.randint(3, (len(real),)))

    def from_encoder(real, labels):
        mean, log_sd = nets["encoder"](real)
        fake = nets["generator"](mean + noise(len(real)) * log_sd.exp(), labels)
        return real, fake, labels, mean, log_sd

    def classifier_loss(real, labels):
        return surprise(nets["classifier"](real), labels)

    def discriminator_loss(real, fake):
        fake = fake.detach()
        adversarial = game.d(nets["discriminator"](real), nets["discriminator"](fake))
        critic = lambda x, index: nets["discriminator"](x)  # noqa: E731
        return adversarial + game.regularized(nets["discriminator"], critic, real, fake)

    def generator_loss(real, fake, labels, mean, log_sd):
        kl = 0.5 * (mean**2 + torch.exp(2 * log_sd) - 1 - 2 * log_sd).sum() / len(real)
        adversarial = game.g(nets["discriminator"](fake), nets["discriminator"](real))
        distance = ((fake - real) ** 2).sum() / len(real)
        told = surprise(nets["classifier"](fake), labels)
        return 0.9 * distance + 0.3 * kl + 1.1 * adversarial + 0.7 * told

    return [
        Side(("classifier",), lambda real, labels: (real, labels), classifier_loss),
        Side(("discriminator",), from_prior, discriminator_loss, n_critic),
        Side(("encoder", "generator"), from_encoder, generator_loss),
    ]


class Past:
    """Samples of the past, a list: what a discriminator sees again."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.samples: list[Tensor] = []

    def exchange(self, new):
        places = torch.randint(self.size, (len(new),)).tolist()
        coins = torch.rand(len(new), dtype=torch.float64).tolist()
        shown = []
        for sample, place, coin in zip(new, places, coins, strict=True):
            if len(self.samples) < self.size:
                self.samples.append(sample)
                shown.append(sample)
            elif coin < 0.5:
                shown.append(self.samples[place])
                self.samples[place] = sample
            else:
                shown.append(sample)
        return torch.stack(shown)


PAST = {"a": Past(8), "b": Past(8)}


def judging_pairs(nets, game, n_critic):
    """A discriminator of pairs, and generator and encoder as one player with all terms."""
    generator, encoder = nets["generator"], nets["encoder"]

    def draw(real, labels):
        z = noise(len(real))
        return torch.cat([real, encoder(real)], 1), torch.cat([generator(z), z], 1)

    def critic(x, index=None):
        return nets["discriminator"](x[:, :2], x[:, 2:])

    def discriminator_loss(real, fake):
        real, fake = real.detach(), fake.detach()
        penalty = game.regularized(nets["discriminator"].layers, critic, real, fake)
        return game.d(critic(real), critic(fake)) + penalty

    def generator_loss(real, fake):
        at_real, at_fake = critic(real), critic(fake)
        adversarial = game.g(at_fake, at_real) + game.e(at_real, at_fake)
        (x, code), (made, z) = (pairs.split(2, 1) for pairs in (real, fake))
        again = (generator(code) - x).abs().mean()
        found, alone = (((encoder(y) - z) ** 2).mean() for y in (made, made.detach()))
        penalty = game.regularized_g(nets["discriminator"].layers, real, fake)
        return adversarial + 0.9 * again + 0.3 * found + 0.7 * alone + penalty

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("encoder", "generator"), draw, generator_loss),
    ]


def judging_codes(nets, game, n_critic):
    """An autoencoder whose codes a discriminator tells from latents of the prior."""

    def draw(real, labels):
        return noise(len(real)), nets["encoder"](real)

    def autoencoder_loss(real, labels):
        return ((nets["generator"](nets["encoder"](real)) - real) ** 2).mean()

    def discriminator_loss(latent, code):
        code, critic = code.detach(), nets["discriminator"]
        penalty = game.regularized(critic, lambda x, index: critic(x), latent, code)
        return game.d(critic(latent), critic(code)) + penalty

    def encoder_loss(latent, code):
        critic = nets["discriminator"]
        return game.g(critic(code), critic(latent)) + game.regularized_g(critic, latent, code)

    return [
        Side(("encoder", "generator"), lambda real, labels: (real, labels), autoencoder_loss),
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("encoder",), draw, encoder_loss),
    ]


def judging_styles_and_classes(nets, game, n_critic):
    """The same with a discriminator for two entries, and one for the shares of three classes.

    The encoder has a turn of its own with the few labels.
    """

    def codes(x):
        outputs = nets["encoder"](x)
        return outputs[:, :2], softmax(outputs[:, 2:], 1)

    def draw(labelled, labels, unlabelled, further):
        z, values = noise(len(unlabelled)), torch.randint(3, (len(unlabelled),))
        return z, torch.eye(3, dtype=torch.float64)[values], *codes(unlabelled)

    def judged(z, known, style, told):
        judges = nets["discriminator"]
        return ("style", judges["style"], z, style), ("category", judges["category"], known, told)

    def autoencoder_loss(unlabelled):
        again = nets["generator"](torch.cat(codes(unlabelled), 1))
        return 0.7 * ((again - unlabelled) ** 2).mean()

    def discriminator_loss(*seen):
        total = 0
        for name, read, real, fake in judged(*seen):
            fake = fake.detach()
            total = total + game.d(read(real), read(fake), name)
            total = total + game.regularized(read, lambda x, index, c=read: c(x), real, fake)
        return total

    def encoder_loss(*seen):
        parts = [game.g(read(fake), read(real), of) for of, read, real, fake in judged(*seen)]
        return 0.7 * sum(parts)

    def classifier_loss(labelled, labels):
        return surprise(nets["encoder"](labelled)[:, 2:], labels)

    return [
        Side(("encoder", "generator"), lambda *batch: batch[2:3], autoencoder_loss),
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("encoder",), draw, encoder_loss),
        Side(("encoder",), lambda *batch: batch[:2], classifier_loss),
    ]


def with_feature_distance(nets, game, n_critic):
    """A variational autoencoder that compares by the features of its discriminator."""
    critic = nets["discriminator"]

    def from_encoder(real, labels):
        mean, log_sd = nets["encoder"](real)
        return real, nets["generator"](mean + noise(len(real)) * log_sd.exp()), mean, log_sd

    def from_both(real, labels):
        again = from_encoder(real, labels)[1]
        return torch.cat([real, real]), torch.cat([again, nets["generator"](noise(len(real)))])

    def apart(real, fake):
        first, activation, *_ = critic
        features = [activation(first(x)) for x in (real, fake)]
        return ((features[0] - features[1]) ** 2).sum() / (2 * len(real))

    def discriminator_loss(real, fake):
        fake = fake.detach()
        penalty = game.regularized(critic, lambda x, index: critic(x), real, fake)
        return game.d(critic(real), critic(fake)) + penalty

    def encoder_loss(real, fake, mean, log_sd):
        kl = 0.5 * (mean**2 + torch.exp(2 * log_sd) - 1 - 2 * log_sd).sum() / len(real)
        return 0.3 * kl + apart(real, fake)

    def generator_loss(real, fake):
        number = len(real) // 2
        adversarial = game.g(critic(fake), critic(real)) + game.regularized_g(critic, real, fake)
        return adversarial + 0.7 * apart(real[:number], fake[:number])

    return [
        Side(("discriminator",), from_both, discriminator_loss, n_critic),
        Side(("encoder",), from_encoder, encoder_loss),
        Side(("generator",), from_both, generator_loss),
    ]


def between_domains(nets, game, n_critic):
    """Translators between two domains, and a discriminator for each, which plays after them."""
    ways = ("a", "to_a", "discriminator_a"), ("b", "to_b", "discriminator_b")
    waiting = []  # what has just been made, by the processes in turn
    for past in PAST.values():
        past.samples.clear()

    def draw(a, b):
        made = a, b, nets["to_a"](b), nets["to_b"](a)
        if n_critic == 1:
            waiting.append([part.detach() for part in made])
        return made

    def draw_past(a, b):
        a, b, fake_a, fake_b = waiting.pop(0) if n_critic == 1 else draw(a, b)
        return a, b, PAST["a"].exchange(fake_a.detach()), PAST["b"].exchange(fake_b.detach())

    def discriminator_loss(a, b, fake_a, fake_b):
        total = 0
        for real, fake, (_, _, name) in zip((a, b), (fake_a, fake_b), ways, strict=True):
            read = nets[name]
            total = total + 0.6 * game.d(read(real), read(fake), name)
            total = total + game.regularized(read, lambda x, index, c=read: c(x), real, fake)
        return total

    def translator_loss(a, b, fake_a, fake_b):
        fooled = sum(
            game.g(nets[name](fake), nets[name](real), name)
            for real, fake, (_, _, name) in zip((a, b), (fake_a, fake_b), ways, strict=True)
        )
        back = (nets["to_a"](fake_b) - a).abs().mean() + (nets["to_b"](fake_a) - b).abs().mean()
        same = (nets["to_a"](a) - a).abs().mean() + (nets["to_b"](b) - b).abs().mean()
        return 0.9 * fooled + 3 * back + 0.7 * same

    return [
        Side(("to_a", "to_b"), draw, translator_loss),
        Side(("discriminator_a", "discriminator_b"), draw_past, discriminator_loss, n_critic),
    ]


def with_pairs(nets, game, n_critic):
    """The discriminator reads what was given beside what was made of it."""

    def draw(source, target):
        return source, target, nets["generator"](source)

    def critic(x, index=None):
        return nets["discriminator"](x)

    def discriminator_loss(source, target, fake):
        real, fake = (torch.cat([source, x], 1) for x in (target, fake.detach()))
        penalty = game.regularized(nets["discriminator"], critic, real, fake)
        return 0.6 * game.d(critic(real), critic(fake)) + penalty

    def generator_loss(source, target, fake):
        outputs = (critic(torch.cat([source, x], 1)) for x in (fake, target))
        return 0.9 * game.g(*outputs) + 3 * (fake - target).abs().mean()

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("generator",), draw, generator_loss),
    ]


def with_two_kinds(nets, game, n_critic):
    """One latent makes a sample of each kind, each with a discriminator of its own."""

    def draw(a, b):
        pairs = nets["generator"](noise(len(a)))
        return a, b, pairs[:, :2], pairs[:, 2:]

    def judged(a, b, fake_a, fake_b):
        return zip("ab", (a, b), (fake_a, fake_b), strict=True)

    def discriminator_loss(*seen):
        total = 0
        for name, real, fake in judged(*seen):
            read, fake = getattr(nets["discriminator"], name), fake.detach()
            total = total + 0.6 * game.d(read(real), read(fake), name)
            total = total + game.regularized(read, lambda x, index, c=read: c(x), real, fake)
        return total

    def generator_loss(*seen):
        fooled = 0
        for name, real, fake in judged(*seen):
            read = getattr(nets["discriminator"], name)
            fooled = fooled + game.g(read(fake), read(real), name)
        return 0.9 * fooled

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("generator",), draw, generator_loss),
    ]


def with_few_labels(nets, game, n_critic):
    """The discriminator tells three classes, all of them real; the generator matches means."""
    read = nets["discriminator"]

    def total(x):
        return read(x).exp().sum(1)

    def draw(labelled, labels, unlabelled, further):
        return labelled, labels, unlabelled, nets["generator"](noise(len(unlabelled)))

    def draw_others(labelled, labels, unlabelled, further):
        return further, nets["generator"](noise(len(further)))

    def discriminator_loss(labelled, labels, real, fake):
        fake = fake.detach()
        alike = torch.log(total(real) / (1 + total(real))).mean()
        told_apart = torch.log(1 / (1 + total(fake))).mean()
        penalty = game.regularized(read, lambda x, index: total(x).log(), real, fake)
        return surprise(read(labelled), labels) - 0.7 * (alike + told_apart) / 2 + penalty

    def generator_loss(real, fake):
        first, activation, *_ = read
        means = [activation(first(points)).mean(0) for points in (real, fake)]
        apart = sum((means[0].detach() - means[1]) ** 2) / len(means[0])
        fooled = -torch.log(total(fake) / (1 + total(fake))).mean()
        return 0.8 * apart + 0.4 * fooled + game.regularized_g(read, real, fake)

    return [
        Side(("discriminator",), draw, discriminator_loss, n_critic),
        Side(("generator",), draw_others, generator_loss),
    ]


class FewPoints(GaussianRing):
    """Points of three modes, as those whose labels are told, and two that come without."""

    def __init__(self) -> None:
        super().__init__(3, batch_size=BATCH, num_eval_samples=16, labels=True)

    def training_batch(self, seed, *place):
        (labelled, labels), *others = (
            super(FewPoints, self).training_batch(seed + part, *place) for part in range(3)
        )
        unlabelled = dict(zip(("unlabelled", "further"), (x for x, _ in others), strict=True))
        return {"labelled": labelled, "labels": labels, **unlabelled}


PAIR_WEIGHTS = {
    "reconstruction_weight": 0.9,
    "latent_weight": 0.3,
    "regressor_weight": 0.7,
    "prior": NormalPrior(2),
}
CLASS_WEIGHTS = {"class_weight_d": 0.6, "class_weight_g": 0.4}
CODES = {
    "prior": CodePrior(NormalPrior(1), [3, 2], 2),
    "category_weight": 0.6,
    "continuous_weight": 0.4,
}
TERM_WEIGHTS = {
    "reconstruction_weight": 0.9,
    "kl_weight": 0.3,
    "adversarial_weight": 1.1,
    "class_weight": 0.7,
}


@dataclass(frozen=True)
class Structure:
    """Networks, and who plays with them.

    Attributes:
        variant: class of the library.
        sides: makes the players of the plain loop.
        made: makes the networks.
        num_classes: 0 without classes.
        arguments: of the variant.
        optimizer: of all players.
        data: makes the data, if it is of another kind.
    """

    variant: type[GAN]
    sides: Callable[..., list[Side]]
    made: Callable[[int], dict[str, nn.Module]] = two
    num_classes: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)
    optimizer: Callable[..., torch.optim.Optimizer] = OPTIMIZER
    data: Callable[[], GaussianRing] | None = None

    @property
    def has_two_kinds(self) -> bool:
        """Whether it is about two kinds of samples."""
        return issubclass(self.variant, TwoDomainModule)

    @property
    def makes_its_own(self) -> bool:
        """Whether the variant makes its networks itself."""
        return self.variant in (CycleGAN, SemiSupervisedAAE)


TWO_WEIGHTS = {"adversarial_weight": 0.9, "discriminator_weight": 0.6}
CYCLE = {
    "translator": partial(MLPTranslator, hidden=[8], activation=nn.Tanh),
    "discriminator": partial(MLPDiscriminator, hidden=[8], activation=nn.Tanh),
    "cycle_weight": 3.0,
    "identity_weight": 0.7,
    "history_size": PAST["a"].size,
    **TWO_WEIGHTS,
}


def translators(num_classes: int) -> dict[str, nn.Module]:
    """The networks that CycleGAN makes."""
    model = CycleGAN(data_shape=(2,), **CYCLE)
    names = "to_a", "to_b", "discriminator_a", "discriminator_b"
    return {name: getattr(model, name) for name in names}


STYLED = {
    "prior": CodePrior(NormalPrior(2), [3]),
    "generator": partial(MLPGenerator, hidden=[8], activation=nn.Tanh),
    "encoder": partial(MLPEncoder, hidden=[8], activation=nn.Tanh),
    "discriminator": partial(MLPDiscriminator, hidden=[8], activation=nn.Tanh),
    "unlabelled_weight": 0.7,
    "optimizer_e": OPTIMIZER,
    "optimizer_c": OPTIMIZER,
}


def styled(num_classes: int) -> dict[str, nn.Module]:
    """The networks that SemiSupervisedAAE makes."""
    model = SemiSupervisedAAE(data_shape=(2,), **STYLED)
    return {name: getattr(model, name) for name in ("generator", "discriminator", "encoder")}


def two_for_pairs(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(4, 1)),
    }


def coupled(num_classes: int) -> dict[str, nn.Module]:
    """A generator of pairs, and discriminators with their last layer in common."""
    first, second, activation, *last = nn.Linear(2, 8), *layers(2, 1)
    judges = {"a": nn.Sequential(first, activation, *last)}
    judges["b"] = nn.Sequential(second, activation, *last)
    return {
        "generator": nn.Sequential(*layers(2, 4)),
        "discriminator": nn.ModuleDict(judges),
    }


STRUCTURES = {
    "GAN": Structure(GAN, plain),
    "CGAN": Structure(CGAN, plain, num_classes=3),
    "ACGAN": Structure(ACGAN, with_class_head, two_with_class_head, 3, CLASS_WEIGHTS),
    "CVAEGAN": Structure(CVAEGAN, with_encoder, four, 3, TERM_WEIGHTS),
    "BiGAN": Structure(BiGAN, judging_pairs, autoencoding_pairs, 0, PAIR_WEIGHTS),
    "AAE": Structure(AAE, judging_codes, autoencoding, 0, {"optimizer_e": OPTIMIZER}),
    "SemiSupervisedAAE": Structure(
        SemiSupervisedAAE, judging_styles_and_classes, styled, 0, STYLED, data=FewPoints
    ),
    "VAEGAN": Structure(
        VAEGAN,
        with_feature_distance,
        autoencoding_with_spread,
        0,
        {"kl_weight": 0.3, "feature_weight": 0.7, "optimizer_e": OPTIMIZER},
    ),
    "UnrolledGAN": Structure(
        UnrolledGAN, looking_ahead, two, 0, {"unrolling": 2, "inner_lr": 0.3}
    ),
    "PacGAN": Structure(PacGAN, with_packs, two_with_packs, 0, {"pack_size": 3}),
    "InfoGAN": Structure(InfoGAN, with_codes, two_with_codes, 0, CODES),
    "CycleGAN": Structure(CycleGAN, between_domains, translators, 0, CYCLE),
    "Pix2Pix": Structure(Pix2Pix, with_pairs, two_for_pairs, 0, {"l1_weight": 3.0, **TWO_WEIGHTS}),
    "CoGAN": Structure(
        CoGAN, with_two_kinds, coupled, 0, {"prior": NormalPrior(2), **TWO_WEIGHTS}
    ),
}


@dataclass(frozen=True)
class Game:
    """A structure, a loss and regularizers, in the library and in formulas.

    Attributes:
        structure: of the players.
        loss: one of `LOSSES`.
        regularizers: weights of `REGULARIZERS`, and how often they are computed.
        clip: bound of the discriminator's parameters.
        arguments: of the variant; the loss and the regularizers if it does not have them itself.
        corrected: rounds after each of which Lookahead corrects the weights by half; 0 for none.
        falling: rounds in which the learning rates fall from 1e-2 to 0; 0 if they do not.
        fading: real images in all processes in which they do; 0 if they do not.
    """

    structure: Structure
    loss: str = "NonSaturating"
    regularizers: tuple[tuple[str, float, int], ...] = ()
    clip: float | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    corrected: int = 0
    falling: int = 0
    fading: int = 0

    @property
    def callbacks(self) -> list[Callback]:
        """New ones for a training."""
        lookahead = [Lookahead(self.corrected, 0.5)] if self.corrected else []
        falls = [
            Schedule("optimizer_*.lr", 1e-2, 0.0, **{f"until_{unit}": until})
            for unit, until in (("update", self.falling), ("images", self.fading))
            if until
        ]
        return [*lookahead, *falls]

    def d(self, real, fake, of=""):
        return LOSSES[self.loss][0](real, fake, *self._whose(of))

    def g(self, fake, real, of=""):
        return LOSSES[self.loss][1](fake, real, *self._whose(of))

    def e(self, real, fake):
        """The encoder's loss: the generator's in the mirrored game."""
        if self.loss in ADAPTIVE:
            return ADAPTIVE[self.loss].e(real)
        if self.loss == "LeastSquares":  # whose targets are 1 and 0
            return (real**2).mean() / 2
        return LOSSES[self.loss][1](-real, -fake)

    def _whose(self, of: str) -> tuple[str, ...]:
        """The name of the discriminator, for a loss with a number for each."""
        return (of,) if self.loss in ADAPTIVE else ()

    @property
    def numbers(self) -> dict[str, Tensor]:
        """Those of the loss, by their names in the model."""
        if self.loss not in ADAPTIVE:
            return {}
        loss, several = ADAPTIVE[self.loss], self.structure.has_two_kinds
        found = {}
        for index, of in enumerate(sorted(loss.numbers)):
            prefix = f"losses.{index}" if several else "class_loss" if of == "category" else "loss"
            for name, value in loss.state(of).items():
                found[f"{prefix}.{name}"] = torch.tensor(value, dtype=torch.float64)
        return found

    @property
    def num_classes(self) -> int:
        return self.structure.num_classes

    def regularized(self, network, critic, real, fake):
        """What the regularizers add in this update; those that are not due count nothing."""
        due = [(n, w * e) for n, w, e in self.of_discriminator if self.clock[0] % e == 0]
        if due and self.loss in CRITICS:
            outputs = [critic(x, [*range(len(x))]) for x in (real, fake)]
            features, value = critic, CRITICS[self.loss]
            critic = lambda x, index: value(features(x, index), *outputs)  # noqa: E731
        look = Look(critic, real, fake, network, self.memory, self.paths)
        if self.remembers:
            means = [look.outputs(points).mean().detach() for points in (real, fake)]
            self.memory.seen.append(torch.stack(means))
        return sum(weight * REGULARIZERS[name](look) for name, weight in due)

    @property
    def of_discriminator(self) -> list[tuple[str, float, int]]:
        return [part for part in self.regularizers if part[0] not in OF_GENERATORS]

    def regularized_g(self, network, real, fake, styles=None):
        """The same for the generator, which plays once a round."""
        remembered = self.memory, self.paths
        look = Look(lambda x, index: network(x), real, fake, network, *remembered, styles)
        parts = [part for part in self.regularizers if part[0] in OF_GENERATORS]
        due = [(n, w * e) for n, w, e in parts if self.rounds[0] % e == 0]
        return sum(weight * REGULARIZERS[name](look) for name, weight in due)

    def networks(self) -> dict[str, nn.Module]:
        torch.manual_seed(SEED)
        return self.structure.made(self.num_classes)

    @property
    def most_updates(self) -> int:
        """n_critic at most."""
        return 3

    def data(self):
        sizes = {"batch_size": BATCH, "num_eval_samples": 16}
        if self.structure.variant is Pix2Pix:
            return MixturePairs(paired=True, **sizes)
        if self.structure.has_two_kinds:
            return UnpairedSources(GaussianRing(**sizes), SwissRoll(**sizes))
        own = self.structure.data
        return data(self.num_classes) if own is None else own()

    def model(self, n_critic: int) -> AdversarialModule:
        networks = self.networks()
        if self.structure.makes_its_own:
            torch.manual_seed(SEED)
            networks = {}
        others = {} if "classifier" not in networks else {"optimizer_c": OPTIMIZER}
        classes = {"num_classes": self.num_classes} if self.num_classes else {}
        return self.structure.variant(
            data_shape=(2,),
            n_critic=n_critic,
            optimizer_g=self.structure.optimizer,
            optimizer_d=self.structure.optimizer,
            **classes,
            **others,
            **networks,
            **self.structure.arguments,
            **deepcopy(self.arguments),  # regularizers may have a state
        )

    clock: list[int] = field(default_factory=lambda: [0], compare=False)
    """The number of the discriminator's update."""
    rounds: list[int] = field(default_factory=lambda: [0], compare=False)
    """The number of the round."""
    memory: Memory = field(default_factory=lambda: Memory(torch.zeros(2)), compare=False)
    paths: Paths = field(default_factory=lambda: Paths(torch.zeros(())), compare=False)

    @property
    def remembers(self) -> bool:
        return any(name == "LeCam" for name, _, _ in self.regularizers)

    def forget(self) -> None:
        self.memory.averages, self.memory.updates = torch.zeros(2, dtype=torch.float64), 0
        self.paths.average = torch.zeros((), dtype=torch.float64)

    def state(self) -> dict[str, Tensor]:
        """What the checkpoint has beside the weights of the networks."""
        if self.structure.variant is CycleGAN:
            found = {}
            for index, past in enumerate(PAST.values()):
                found[f"history.{index}.samples"] = torch.stack(past.samples)
                found[f"history.{index}.number"] = torch.tensor(len(past.samples))
            return found
        if any(name == "PathLength" for name, _, _ in self.regularizers):
            return {"regularizers_g.0.average": self.paths.average}
        if not self.remembers:
            return {}
        averages, updates = self.memory.averages, torch.tensor(self.memory.updates)
        return {"regularizers.0.averages": averages, "regularizers.0.updates": updates}


def game(structure: str, loss: str, *regularizers: tuple[str, float, int]) -> Game:
    """Returns a game whose loss and regularizers are given to the structure."""
    one_feature = {"num_outputs": 1} if loss in CRITICS else {}
    arguments: dict[str, Any] = {"loss": partial(getattr(losses, loss), **one_feature)}
    for settings in regularizers:
        argument = "regularizers_g" if settings[0] in OF_GENERATORS else "regularizers"
        arguments.setdefault(argument, []).append(regularizer(*settings))
    return Game(STRUCTURES[structure], loss, regularizers, arguments=arguments)


def of(variant: type[GAN], structure: str = "GAN") -> Structure:
    return replace({**STRUCTURES, **OTHERS}[structure], variant=variant)


OTHERS = {
    "features": Structure(GAN, plain, two_with_features),
    "squared errors": Structure(
        GAN, partial(with_errors, power=2, pulling=0.7), two_with_autoencoder
    ),
    "errors": Structure(GAN, with_errors, two_with_autoencoder),
    "styles": Structure(StyleGAN2, with_styles, with_a_stylist, 0, {"prior": NormalPrior(2)}),
    "posterior": Structure(InfoGAN, with_codes, three, 0, {**CODES, "learned_sd": True}),
    "the best": Structure(TopKGAN, keeping_the_best, two, 0, {"decay": 0.8, "every": 2}),
    "few labels": Structure(
        SGAN,
        with_few_labels,
        two_with_features,
        arguments={
            "num_classes": 3,
            "unlabelled_weight": 0.7,
            "feature_weight": 0.8,
            "adversarial_weight": 0.4,
        },
        data=FewPoints,
    ),
}
"""Structures for some losses only."""


def penalised(variant: type[GAN], loss: str, penalty: tuple[str, float, int]) -> Game:
    """Returns the game of a variant that has a penalty of its own."""
    return Game(of(variant), loss, (penalty,), arguments={"penalty": regularizer(*penalty)})


def on(made: Callable[[int], dict[str, nn.Module]], played: Game) -> Game:
    """Returns a game with other networks."""
    return replace(played, structure=replace(played.structure, made=made))


def optimizing(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    return partial(kind, lr=1e-2, beta1=0.5, beta2=0.9)


PENALTY = ("GradientPenalty", 0.7, 1)
NOISY = LeastSquares(real_target=-1.0, fake_target=1.0, generator_target=-1.0, label_noise=0.05)
GAMES = {
    "GAN": Game(STRUCTURES["GAN"]),
    "MinimaxGAN": Game(of(MinimaxGAN), "Minimax"),
    "LSGAN": Game(of(LSGAN), "noisy squares", arguments={"loss": NOISY}),
    "WGAN": Game(of(WGAN), "Wasserstein", clip=0.2, arguments={"clip_value": 0.2}),
    "WGANGP": penalised(WGANGP, "Wasserstein", PENALTY),
    "WGANLP": on(steep, penalised(WGANLP, "Wasserstein", ("OneSidedPenalty", 0.7, 1))),
    "WGANDiv": penalised(WGANDiv, "Wasserstein", ("WGANDivPenalty", 0.7, 1)),
    "DRAGAN": penalised(DRAGAN, "NonSaturating", ("DRAGANPenalty", 0.7, 1)),
    "HingeGAN": Game(of(HingeGAN), "Hinge"),
    "SNGAN": Game(Structure(SNGAN, with_more_fakes), "Hinge", arguments={"generator_batch": 2}),
    "SAGAN": Game(of(SAGAN), "Hinge"),
    "BigGAN": Game(of(BigGAN), "Hinge", arguments={"prior": NormalPrior(2)}),
    "RSGAN": Game(of(RSGAN), "RelativisticPaired"),
    "RaGAN": Game(of(RaGAN), "RelativisticAverage"),
    "RaLSGAN": Game(of(RaLSGAN), "average squares"),
    "R3GAN": Game(
        of(R3GAN), "RelativisticPaired", (("R1", 0.3, 1), ("R2", 0.3, 1)), arguments={"gamma": 0.3}
    ),
    "FGAN": Game(of(FGAN), "FDivergence"),
    "MMDGAN": Game(
        of(MMDGAN, "features"),
        "MMD",
        (PENALTY,),
        arguments={"loss": MMD(num_outputs=3), "penalty": GradientPenalty(0.7)},
    ),
    "CramerGAN": Game(
        of(CramerGAN, "features"),
        "Cramer",
        (PENALTY,),
        arguments={"loss": Cramer(num_outputs=3), "penalty": GradientPenalty(0.7)},
    ),
    "FisherGAN": Game(
        of(FisherGAN), "strict Fisher", arguments={"loss": partial(losses.Fisher, 0.3)}
    ),
    "EBGAN": Game(
        of(EBGAN, "squared errors"), "EnergyMargin", arguments={"pulling_away_weight": 0.7}
    ),
    "BEGAN": Game(
        of(BEGAN, "errors"),
        "quick equilibrium",
        arguments={
            "loss": partial(losses.BoundaryEquilibrium, k_rate=0.5),
            "prior": NormalPrior(2),
        },
    ),
    "PacGAN": Game(STRUCTURES["PacGAN"]),
    "PacGAN with a penalty": game("PacGAN", "Wasserstein", PENALTY),
    "R3GAN x PacGAN": game("PacGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "InfoGAN": Game(STRUCTURES["InfoGAN"]),
    "InfoGAN with a posterior": Game(OTHERS["posterior"]),
    "InfoGAN with a penalty": game("InfoGAN", "Wasserstein", PENALTY),
    "R3GAN x InfoGAN": game("InfoGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "UnrolledGAN": game("UnrolledGAN", "Minimax"),
    "UnrolledGAN with a penalty": game("UnrolledGAN", "NonSaturating", ("R1", 0.7, 1)),
    "TopKGAN": Game(OTHERS["the best"]),
    "TopKGAN with a penalty": replace(
        game("GAN", "NonSaturating", ("R1", 0.7, 1)), structure=OTHERS["the best"]
    ),
    "SGAN": Game(OTHERS["few labels"]),
    "SGAN with a penalty": replace(
        game("GAN", "NonSaturating", ("R1", 0.7, 1)), structure=OTHERS["few labels"]
    ),
    "GAN with minibatch deviations": on(
        two_comparing(partial(MinibatchStdDev, 8, 3)), Game(STRUCTURES["GAN"])
    ),
    "GAN with minibatch discrimination": on(
        two_comparing(partial(MinibatchDiscrimination, 8, 4, 3)), Game(STRUCTURES["GAN"])
    ),
    "CGAN": Game(STRUCTURES["CGAN"]),
    "ACGAN": Game(STRUCTURES["ACGAN"]),
    "CVAEGAN": Game(STRUCTURES["CVAEGAN"]),
    "BiGAN": game("BiGAN", "NonSaturating"),
    "BiGAN with a penalty": game("BiGAN", "Wasserstein", PENALTY),
    "AAE": game("AAE", "NonSaturating"),
    "AAE with a penalty": game("AAE", "Wasserstein", PENALTY),
    "SemiSupervisedAAE": game("SemiSupervisedAAE", "NonSaturating"),
    "SemiSupervisedAAE with a penalty": game("SemiSupervisedAAE", "Wasserstein", PENALTY),
    "VAEGAN": game("VAEGAN", "Minimax"),
    "VAEGAN with a penalty": game("VAEGAN", "Wasserstein", PENALTY),
    "GAN with smooth labels": Game(
        STRUCTURES["GAN"], "smooth", arguments={"loss": NonSaturating(0.8)}
    ),
    "GAN with R1 and R2": game("GAN", "NonSaturating", ("R1", 3.0, 1), ("R2", 2.0, 1)),
    "GAN with a lazy R1": game("GAN", "Hinge", ("R1", 3.0, 2)),
    "R3GAN x ACGAN": game("ACGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "CVAEGAN with a penalty": game("CVAEGAN", "Wasserstein", PENALTY),
    "GAN with optimism": Game(replace(STRUCTURES["GAN"], optimizer=optimizing(OptimisticAdam))),
    "GAN with extrapolation": Game(
        replace(STRUCTURES["GAN"], optimizer=optimizing(PastExtraAdam))
    ),
    "GAN with lookahead and a schedule": Game(STRUCTURES["GAN"], corrected=2, falling=8),
    "GAN with a schedule in images": Game(STRUCTURES["GAN"], fading=250),
    "CycleGAN": game("CycleGAN", "LeastSquares"),
    "CycleGAN with a penalty": game("CycleGAN", "Wasserstein", PENALTY),
    "Pix2Pix": game("Pix2Pix", "NonSaturating"),
    "Pix2Pix with a penalty": game("Pix2Pix", "Wasserstein", PENALTY),
    "CoGAN": game("CoGAN", "NonSaturating"),
    "CoGAN with a penalty": game("CoGAN", "Wasserstein", PENALTY),
}
"""One row each: what the variants are by default, and how they go together."""
STYLES = {"gamma": 0.3, "mixing": 0.6}
GAMES["StyleGAN2"] = Game(
    OTHERS["styles"],
    "NonSaturating",
    (("R1", 0.3, 16),),
    None,
    {**STYLES, "path_length_weight": 0},
)
GAMES["R3GAN with its networks"] = on(grouped, GAMES["R3GAN"])
GAMES["WGANGP with classes"] = replace(GAMES["WGANGP"], structure=of(WGANGP, "CGAN"))
for convolutional, same in ((DCGAN, "GAN"), (WDCGAN, "WGAN"), (WDCGANGP, "WGANGP")):
    GAMES[convolutional.__name__] = replace(GAMES[same], structure=of(convolutional))
LAZY = {f"a lazy {name}": game("GAN", "NonSaturating", (name, 0.7, 3)) for name in REGULARIZERS}
"""Each regularizer in every third update, which with two updates a round is every other round."""
LAZY["a lazy PathLength"] = replace(
    GAMES["StyleGAN2"],
    regularizers=(("R1", 0.3, 16), ("PathLength", 0.7, 3)),
    arguments={
        **GAMES["StyleGAN2"].arguments,
        "regularizers_g": [regularizer("PathLength", 0.7, 3)],
    },
)
LAZY["a lazy OneSidedPenalty"] = on(steep, LAZY["a lazy OneSidedPenalty"])
WRAPPERS = {"spectral norm": SpectralNorm, "gradient normalization": GradientNormalization}
for wrapper, kind in WRAPPERS.items():
    LAZY[f"a lazy R1 on {wrapper}"] = on(wrapped(kind), LAZY["a lazy R1"])
GAMES |= LAZY


CURES = (
    "PacGAN with a penalty",
    "GAN with minibatch deviations",
    "GAN with minibatch discrimination",
    "UnrolledGAN with a penalty",
    "TopKGAN with a penalty",
)
"""Games against lost modes, which are also compiled and resumed."""


def data(num_classes: int = 0) -> GaussianRing:
    modes, labels = num_classes or 8, bool(num_classes)
    return GaussianRing(modes, batch_size=BATCH, num_eval_samples=16, labels=labels)


def step(optimizer, parameters, gradients) -> None:
    for parameter, shares in zip(parameters, zip(*gradients, strict=True), strict=True):
        parameter.grad = torch.stack(shares).mean(0)
    optimizer.step()


class Streams:
    """The random streams of the processes, which are played one after the other."""

    def __init__(self, update: int, ranks: int) -> None:
        self.states = {}
        for rank in range(ranks):
            key = np.random.SeedSequence((SEED, 0, update, rank))
            torch.manual_seed(int(key.generate_state(1)[0]))
            self.pause(rank)

    def resume(self, rank: int) -> None:
        torch.set_rng_state(self.states[rank])

    def pause(self, rank: int) -> None:
        self.states[rank] = torch.get_rng_state()


def weights(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def buffers(networks: dict[str, nn.Module], *, copies: bool = True) -> list[Tensor]:
    found = [buffer for network in networks.values() for buffer in network.buffers()]
    return [buffer.clone() for buffer in found] if copies else found


def play(game: Game, *, rounds: int, n_critic: int, ranks: int) -> dict[str, Tensor]:
    """Returns all weights, and what regularizers remember, after some rounds, as doubles."""
    networks = {name: network.double() for name, network in game.networks().items()}
    game.forget()
    sides = game.structure.sides(networks, game, n_critic)
    owned = [[p for name in side.networks for p in networks[name].parameters()] for side in sides]
    optimizers = [game.structure.optimizer(parameters) for parameters in owned]
    if game.loss in ADAPTIVE:
        ADAPTIVE[game.loss].reset()
    source = game.data()
    size = BATCH * n_critic
    trained = [parameter for parameters in owned for parameter in parameters]
    behind = [parameter.detach().clone() for parameter in trained]
    for update in range(1, rounds + 1):
        for optimizer in optimizers if game.falling else ():
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 - (update - 1) / game.falling)
        for optimizer in optimizers if game.fading else ():
            shown = (update - 1) * n_critic * BATCH * ranks
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 - shown / game.fading)
        streams = Streams(update, ranks)
        batches = [
            source.training_batches(SEED, size, rank, ranks)(update - 1) for rank in range(ranks)
        ]
        for side, parameters, optimizer in zip(sides, owned, optimizers, strict=True):
            seen = [iter(()) for _ in range(ranks)]
            for turn in range(side.updates):
                game.clock[0] = (update - 1) * n_critic + turn
                game.rounds[0] = update - 1
                gradients = []
                begun, ended = buffers(networks), []  # each process has its own
                for rank in range(ranks):
                    for buffer, value in zip(buffers(networks, copies=False), begun, strict=True):
                        buffer.copy_(value)
                    streams.resume(rank)
                    with parametrize.cached():  # an update makes one power iteration
                        if turn == 0:
                            seen[rank] = drawn(side, batches[rank], n_critic)
                        loss = side.loss(*next(seen[rank]))
                    gradients.append(torch.autograd.grad(loss, parameters))
                    ended.append(buffers(networks))
                    streams.pause(rank)
                step(optimizer, parameters, gradients)
                if game.structure.made is with_a_stylist:  # whose processes take the mean of them
                    for buffer, values in zip(
                        buffers(networks, copies=False), zip(*ended, strict=True), strict=True
                    ):
                        buffer.copy_(torch.stack(values).mean(0))
                if side.networks == ("generator",):
                    game.paths.move()
                if game.remembers and side.networks == ("discriminator",):
                    game.memory.move()
                if game.clip is not None and side.networks == ("discriminator",):
                    with torch.no_grad():
                        for parameter in parameters:
                            parameter.copy_(parameter.clamp(-game.clip, game.clip))
                if game.loss in ADAPTIVE:
                    ADAPTIVE[game.loss].after()
        if game.corrected and update % game.corrected == 0:
            behind = [(old + new.detach()) / 2 for old, new in zip(behind, trained, strict=True)]
            for parameter, value in zip(trained, behind, strict=True):
                parameter.data.copy_(value)
    return weights(networks) | game.state() | game.numbers


def drawn(side, batch, n_critic):
    """Yields what a player sees in each of its updates, of the last slices of the batch."""
    fields = tuple(batch.values()) if isinstance(batch, dict) else batch
    fields = fields if isinstance(fields, tuple) else (fields, None)
    first = (n_critic - side.updates) * BATCH
    fields = [
        field if field is None or field.dtype == torch.int64 else field.double()
        for field in rows(fields, slice(first, None))
    ]
    parts = [slice(start, start + BATCH) for start in range(0, len(fields[0]), BATCH)]
    if side.at_once:
        at_once = side.draw(*fields)
        yield from (rows(at_once, part) for part in parts)
    else:
        yield from (side.draw(*rows(fields, part)) for part in parts)


def rows(tensors, part):
    return tuple(None if tensor is None else tensor[part] for tensor in tensors)


CASES = [
    (name, n)
    for name, game in GAMES.items()
    for n in ((2,) if name in LAZY else (1, 3))
    if n <= game.most_updates
]
"""Games, and how often their discriminators play."""


RELATIVE = {"RelativisticPaired", "RelativisticAverage", "average squares", "MMD", "Cramer"}
RELATIVE |= {"Fisher"}
"""Losses of differences, at least where the outputs are far apart or the multiplier is small."""


def tolerance(game: Game, name: str, usual: float) -> float:
    """How far a weight may be off.

    The relativistic losses do not change if all outputs do: the gradient of the last bias is a
    rounding error, which Adam scales up.
    """
    relative = game.loss in RELATIVE
    last = name.startswith("discriminator") and name.endswith(("2.bias", "3.bias"))
    return 1e-8 if relative and last else usual
