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
from torch.nn.functional import logsigmoid, softmax

from datamodules import GaussianRing
from lightning_gans import (
    ACGAN,
    CGAN,
    CVAEGAN,
    DCGAN,
    GAN,
    LSGAN,
    WDCGAN,
    WDCGANGP,
    WGAN,
    WGANGP,
    MinimaxGAN,
)
from lightning_gans.regularizers import R1

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
        classes = torch.zeros(len(x), self.num_classes, dtype=x.dtype)
        classes[torch.arange(len(x)), labels] = 1
        return self.layers(torch.cat([x, classes], 1))


class Locates(nn.Module):
    """An encoder: the mean and the log of the standard deviation of each latent."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_sd = nn.Linear(2, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x).tanh()
        return self.mean(hidden), self.log_sd(hidden)


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


def two_with_class_head(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1 + num_classes)),
    }


def four(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": Locates(),
        "classifier": nn.Sequential(*layers(2, num_classes)),
    }


class Critic:
    """A discriminator that knows the classes of what it is shown, if there are any."""

    def __init__(self, network: nn.Module, labels: Tensor | None) -> None:
        self.network, self.labels = network, labels

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x) if self.labels is None else self.network(x, self.labels)

    def of(self, index: int) -> "Critic":
        """Returns the critic of one sample."""
        return Critic(self.network, None if self.labels is None else self.labels[[index]])


def surprise(outputs, labels):
    """The mean of -log p(label), the cross-entropy."""
    return -softmax(outputs, 1)[torch.arange(len(labels)), labels].log().mean()


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


def log_loss_and_classes(critic, real, fake):
    at_real, at_fake = critic.network(real), critic.network(fake)
    right = surprise(at_real[:, 1:], critic.labels) + surprise(at_fake[:, 1:], critic.labels)
    return log_loss(lambda x: critic.network(x)[:, 0], real, fake) + 0.6 * right


def non_saturating(critic, fake):
    return -logsigmoid(critic(fake)).mean()


def non_saturating_and_classes(critic, fake):
    outputs = critic.network(fake)
    return -logsigmoid(outputs[:, 0]).mean() + 0.4 * surprise(outputs[:, 1:], critic.labels)


def log_loss_with_r1(critic, real, fake):
    return log_loss(critic, real, fake) + 3.0 / 2 * (slopes(critic, real) ** 2).mean()


@dataclass(frozen=True)
class Game:
    """A variant of the library, and what its losses are."""

    variant: type[GAN]
    discriminator_loss: Callable[[Critic, Tensor, Tensor], Tensor]
    generator_loss: Callable[[Critic, Tensor], Tensor]
    arguments: dict[str, Any] = field(default_factory=dict)
    clip: float | None = None
    made: Callable[[int], dict[str, nn.Module]] = two

    @property
    def num_classes(self) -> int:
        return self.arguments.get("num_classes", 0)

    def networks(self) -> dict[str, nn.Module]:
        torch.manual_seed(SEED)
        return self.made(self.num_classes)

    def model(self, n_critic: int) -> GAN:
        networks = self.networks()
        others = {} if "classifier" not in networks else {"optimizer_c": OPTIMIZER}
        return self.variant(
            data_shape=(2,),
            n_critic=n_critic,
            optimizer_g=OPTIMIZER,
            optimizer_d=OPTIMIZER,
            **others,
            **networks,
            **self.arguments,
        )


GAMES = {
    "GAN": Game(GAN, log_loss, non_saturating),
    "GAN with R1": Game(GAN, log_loss_with_r1, non_saturating, {"penalties": [R1(3.0)]}),
    "MinimaxGAN": Game(
        MinimaxGAN, log_loss, lambda critic, fake: torch.log(1 - critic(fake).sigmoid()).mean()
    ),
    "LSGAN": Game(
        LSGAN,
        noisy_squares,
        lambda critic, fake: ((critic(fake) + 1) ** 2).mean() / 2,
        {"real_target": -1.0, "fake_target": 1.0, "generator_target": -1.0, "label_noise": 0.05},
    ),
    "WGAN": Game(
        WGAN, wasserstein, lambda critic, fake: -critic(fake).mean(), {"clip_value": 0.2}, clip=0.2
    ),
    "WGANGP": Game(
        WGANGP,
        penalised_wasserstein,
        lambda critic, fake: -critic(fake).mean(),
        {"penalty_weight": 0.7},
    ),
    "ACGAN": Game(
        ACGAN,
        log_loss_and_classes,
        non_saturating_and_classes,
        {"num_classes": 3, "class_weight_d": 0.6, "class_weight_g": 0.4},
        made=two_with_class_head,
    ),
    "CVAEGAN": Game(
        CVAEGAN,
        log_loss,
        non_saturating,
        {
            "num_classes": 3,
            "reconstruction_weight": 0.9,
            "kl_weight": 0.3,
            "adversarial_weight": 1.1,
            "class_weight": 0.7,
        },
        made=four,
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


def play(game: Game, *, rounds: int, n_critic: int, ranks: int) -> dict[str, Tensor]:
    """Returns the weights of all networks after some rounds, in double precision."""
    if game.variant is CVAEGAN:
        return play_cvae_gan(game, rounds=rounds, n_critic=n_critic, ranks=ranks)
    networks = {name: network.double() for name, network in game.networks().items()}
    generator, discriminator = networks["generator"], networks["discriminator"]
    players = [list(network.parameters()) for network in (generator, discriminator)]
    optimizers = [OPTIMIZER(parameters) for parameters in players]
    ring = data(game.num_classes)
    for update in range(1, rounds + 1):
        streams = Streams(update, ranks)
        fakes, reals, asked = {}, {}, {}
        for rank in range(ranks):
            streams.resume(rank)
            batch = ring.training_batch(SEED, update - 1, n_critic * BATCH, rank, ranks)
            real, labels = (batch, None) if game.num_classes == 0 else batch
            z = torch.randn(n_critic * BATCH, 2, dtype=torch.float64)
            made = Critic(generator, labels)(z)
            fakes[rank] = made.detach().split(BATCH)
            streams.pause(rank)
            reals[rank] = real.double().split(BATCH)
            asked[rank] = [None] * n_critic if labels is None else labels.split(BATCH)
        for turn in range(n_critic):
            gradients = []
            for rank in range(ranks):
                streams.resume(rank)
                critic = Critic(discriminator, asked[rank][turn])
                loss = game.discriminator_loss(critic, reals[rank][turn], fakes[rank][turn])
                gradients.append(torch.autograd.grad(loss, players[1]))
                streams.pause(rank)
            step(optimizers[1], players[1], gradients)
            if game.clip is not None:
                with torch.no_grad():
                    for parameter in players[1]:
                        parameter.copy_(parameter.clamp(-game.clip, game.clip))
        gradients = []
        for rank in range(ranks):
            streams.resume(rank)
            z = torch.randn(BATCH, 2, dtype=torch.float64)
            fake = Critic(generator, asked[rank][-1])(z)
            loss = game.generator_loss(Critic(discriminator, asked[rank][-1]), fake)
            gradients.append(torch.autograd.grad(loss, players[0]))
        step(optimizers[0], players[0], gradients)
    return weights(networks)


def play_cvae_gan(game: Game, *, rounds: int, n_critic: int, ranks: int) -> dict[str, Tensor]:
    """The same for four networks: the classifier's turn, the discriminator's, the other two's."""
    networks = {name: network.double() for name, network in game.networks().items()}
    generator, discriminator, encoder, classifier = networks.values()
    owned = {
        "classifier": [*classifier.parameters()],
        "discriminator": [*discriminator.parameters()],
        "generator": [*encoder.parameters(), *generator.parameters()],
    }
    optimizers = {name: OPTIMIZER(parameters) for name, parameters in owned.items()}
    ring = data(game.num_classes)

    def turn(name, loss):
        gradients = [torch.autograd.grad(loss(rank), owned[name]) for rank in range(ranks)]
        step(optimizers[name], owned[name], gradients)

    for update in range(1, rounds + 1):
        streams = Streams(update, ranks)
        size = n_critic * BATCH
        batches = [
            ring.training_batch(SEED, update - 1, size, rank, ranks) for rank in range(ranks)
        ]

        def last(rank, batches=batches):
            real, labels = batches[rank]
            return real[-BATCH:].double(), labels[-BATCH:]

        def classifier_loss(rank, last=last):
            real, labels = last(rank)
            return surprise(classifier(real), labels)

        turn("classifier", classifier_loss)
        for start in range(0, size, BATCH):
            rows = slice(start, start + BATCH)

            def discriminator_loss(rank, rows=rows, batches=batches, streams=streams):
                streams.resume(rank)
                z = torch.randn(BATCH, 2, dtype=torch.float64)
                fake = generator(z, torch.randint(3, (BATCH,))).detach()
                streams.pause(rank)
                return log_loss(discriminator, batches[rank][0][rows].double(), fake)

            turn("discriminator", discriminator_loss)

        def generator_loss(rank, last=last, streams=streams):
            real, labels = last(rank)
            streams.resume(rank)
            mean, log_sd = encoder(real)
            noise = torch.randn(BATCH, 2, dtype=torch.float64)
            fake = generator(mean + noise * log_sd.exp(), labels)
            kl = 0.5 * (mean**2 + torch.exp(2 * log_sd) - 1 - 2 * log_sd).sum()
            adversarial = -logsigmoid(discriminator(fake)).sum()
            total = 0.9 * ((fake - real) ** 2).sum() + 0.3 * kl + 1.1 * adversarial
            return total / BATCH + 0.7 * surprise(classifier(fake), labels)

        turn("generator", generator_loss)
    return weights(networks)
