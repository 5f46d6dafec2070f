"""A plain training loop, written apart from the library, that every variant must agree with.

It plays the processes of a run one after the other: each draws from its own random stream and
computes the gradient of its own share, and the mean of these gradients makes the step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from datamodules import GaussianRing
from lightning_gans import (
    CGAN,
    DCGAN,
    GAN,
    LSGAN,
    WDCGAN,
    WDCGANGP,
    WGAN,
    WGANGP,
    MinimaxGAN,
)
from lightning_gans.penalties import R1

BATCH = 6
SEED = 5
OPTIMIZER = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))


class Asked(nn.Module):
    """A network that reads the class of each sample as K further entries."""

    def __init__(self, num_classes: int, *layers: nn.Module) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = torch.zeros(len(x), self.num_classes, dtype=x.dtype)
        classes[torch.arange(len(x)), labels] = 1
        return self.layers(torch.cat([x, classes], 1))


def networks(num_classes: int = 0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(SEED)
    size = 2 + num_classes
    generator = nn.Linear(size, 8), nn.Tanh(), nn.Linear(8, 2)
    discriminator = nn.Linear(size, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)
    if num_classes:
        return Asked(num_classes, *generator), Asked(num_classes, *discriminator)
    return nn.Sequential(*generator), nn.Sequential(*discriminator)


class Critic:
    """A discriminator that knows the classes of what it is shown, if there are any."""

    def __init__(self, network: nn.Module, labels: Tensor | None) -> None:
        self.network, self.labels = network, labels

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x) if self.labels is None else self.network(x, self.labels)

    def of(self, index: int) -> "Critic":
        """Returns the critic of one sample."""
        return Critic(self.network, None if self.labels is None else self.labels[[index]])


def log_loss(critic, real, fake):
    return -(logsigmoid(critic(real)).mean() + torch.log(1 - critic(fake).sigmoid()).mean())


def noisy_squares(critic, real, fake):
    at_real, at_fake = critic(real), critic(fake)
    real_target = -1 + 0.05 * torch.rand(len(real), dtype=real.dtype)
    fake_target = 1 + 0.05 * torch.rand(len(fake), dtype=fake.dtype)
    return ((at_real - real_target) ** 2).mean() / 2 + ((at_fake - fake_target) ** 2).mean() / 2


def wasserstein(critic, real, fake):
    return critic(fake).mean() - critic(real).mean()


def slopes(critic, points):
    """The norm of each sample's gradient, one backward pass a sample."""
    norms = []
    for index, point in enumerate(points.detach()):
        x = point.unsqueeze(0).requires_grad_()
        output = critic.of(index)(x).squeeze()
        (gradient,) = torch.autograd.grad(output, x, create_graph=True)
        norms.append(gradient.square().sum().sqrt())
    return torch.stack(norms)


def penalised_wasserstein(critic, real, fake):
    estimate = wasserstein(critic, real, fake)
    share = torch.rand(len(real), 1, dtype=real.dtype)
    points = share * real + (1 - share) * fake
    return estimate + 0.7 * ((slopes(critic, points) - 1) ** 2).mean()


def log_loss_with_r1(critic, real, fake):
    return log_loss(critic, real, fake) + 3.0 / 2 * (slopes(critic, real) ** 2).mean()


@dataclass(frozen=True)
class Game:
    """A variant of the library, and what its losses are."""

    variant: type[GAN]
    discriminator_loss: Callable[[Critic, Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    arguments: dict[str, Any] = field(default_factory=dict)
    clip: float | None = None

    @property
    def num_classes(self) -> int:
        return self.arguments.get("num_classes", 0)

    def model(self, n_critic: int) -> GAN:
        generator, discriminator = networks(self.num_classes)
        return self.variant(
            data_shape=(2,),
            generator=generator,
            discriminator=discriminator,
            n_critic=n_critic,
            optimizer_g=OPTIMIZER,
            optimizer_d=OPTIMIZER,
            **self.arguments,
        )


GAMES = {
    "GAN": Game(GAN, log_loss, lambda fake: -logsigmoid(fake).mean()),
    "GAN with R1": Game(
        GAN,
        log_loss_with_r1,
        lambda fake: -logsigmoid(fake).mean(),
        {"penalties": [R1(3.0)]},
    ),
    "MinimaxGAN": Game(MinimaxGAN, log_loss, lambda fake: torch.log(1 - fake.sigmoid()).mean()),
    "LSGAN": Game(
        LSGAN,
        noisy_squares,
        lambda fake: ((fake + 1) ** 2).mean() / 2,
        {"real_target": -1.0, "fake_target": 1.0, "generator_target": -1.0, "label_noise": 0.05},
    ),
    "WGAN": Game(WGAN, wasserstein, lambda fake: -fake.mean(), {"clip_value": 0.2}, clip=0.2),
    "WGANGP": Game(
        WGANGP, penalised_wasserstein, lambda fake: -fake.mean(), {"penalty_weight": 0.7}
    ),
}
GAMES["CGAN"] = replace(GAMES["GAN"], variant=CGAN, arguments={"num_classes": 3})
GAMES["WGANGP with classes"] = replace(
    GAMES["WGANGP"], arguments={"penalty_weight": 0.7, "num_classes": 3}
)
for convolutional, plain in ((DCGAN, "GAN"), (WDCGAN, "WGAN"), (WDCGANGP, "WGANGP")):
    GAMES[convolutional.__name__] = replace(GAMES[plain], variant=convolutional)


def data(num_classes: int = 0) -> GaussianRing:
    modes, labels = num_classes or 8, bool(num_classes)
    return GaussianRing(modes, batch_size=BATCH, num_eval_samples=16, labels=labels)


def step(optimizer, parameters, gradients) -> None:
    for parameter, shares in zip(parameters, zip(*gradients, strict=True), strict=True):
        parameter.grad = torch.stack(shares).mean(0)
    optimizer.step()


def play(game: Game, *, rounds: int, n_critic: int, ranks: int) -> dict[str, Tensor]:
    """Returns the weights of both networks after some rounds, in double precision."""
    generator, discriminator = (network.double() for network in networks(game.num_classes))
    players = [list(network.parameters()) for network in (generator, discriminator)]
    optimizers = [OPTIMIZER(parameters) for parameters in players]
    ring = data(game.num_classes)
    states: dict[int, Tensor] = {}

    def resume(rank):
        torch.set_rng_state(states[rank])

    def pause(rank):
        states[rank] = torch.get_rng_state()

    for update in range(1, rounds + 1):
        fakes, reals, asked = {}, {}, {}
        for rank in range(ranks):
            key = np.random.SeedSequence((SEED, 0, update, rank))
            torch.manual_seed(int(key.generate_state(1)[0]))
            batch = ring.training_batch(SEED, update - 1, n_critic * BATCH, rank, ranks)
            real, labels = (batch, None) if game.num_classes == 0 else batch
            z = torch.randn(n_critic * BATCH, 2, dtype=torch.float64)
            made = Critic(generator, labels)(z)
            fakes[rank] = made.detach().split(BATCH)
            pause(rank)
            reals[rank] = real.double().split(BATCH)
            asked[rank] = [None] * n_critic if labels is None else labels.split(BATCH)
        for turn in range(n_critic):
            gradients = []
            for rank in range(ranks):
                resume(rank)
                critic = Critic(discriminator, asked[rank][turn])
                loss = game.discriminator_loss(critic, reals[rank][turn], fakes[rank][turn])
                gradients.append(torch.autograd.grad(loss, players[1]))
                pause(rank)
            step(optimizers[1], players[1], gradients)
            if game.clip is not None:
                with torch.no_grad():
                    for parameter in players[1]:
                        parameter.copy_(parameter.clamp(-game.clip, game.clip))
        gradients = []
        for rank in range(ranks):
            resume(rank)
            z = torch.randn(BATCH, 2, dtype=torch.float64)
            fake = Critic(generator, asked[rank][-1])(z)
            loss = game.generator_loss(Critic(discriminator, asked[rank][-1])(fake))
            gradients.append(torch.autograd.grad(loss, players[0]))
        step(optimizers[0], players[0], gradients)
    named = {"generator": generator, "discriminator": discriminator}
    return {
        f"{name}.{key}": value.detach()
        for name, network in named.items()
        for key, value in network.state_dict().items()
    }
