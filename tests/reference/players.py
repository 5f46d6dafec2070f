"""The players of each structure, in the order of their turns."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softmax

from lightning_gans.networks import (
    SeparatePosterior,
)
from reference import BATCH, noise
from reference.losses import ADAPTIVE, Adaptive


def surprise(outputs, labels):
    """The mean of -log p(label), the cross-entropy."""
    return -softmax(outputs, 1)[torch.arange(len(labels)), labels].log().mean()


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


def drawing_by_batch(nets, game, n_critic):
    """Each batch of fakes has statistics of its own."""
    return [replace(side, at_once=False) for side in plain(nets, game, n_critic)]


def with_styles(nets, game, n_critic, mixing=0.6):
    """Some points have the first of their styles from one latent, and the rest from another."""
    generator = nets["generator"]
    number = generator.num_styles

    def styles_of(latent):
        one = generator.map(latent)
        with torch.no_grad():
            generator.average.copy_(0.995 * generator.average + 0.005 * one.mean(0))
        other = generator.map(noise(len(latent)))
        first = torch.randint(1, number, (len(latent),))
        mixes = torch.rand(len(latent), dtype=torch.float64) < mixing
        rows = []
        for i in range(len(latent)):
            kept = first[i] if mixes[i] else number
            rows.append(torch.stack([one[i] if at < kept else other[i] for at in range(number)]))
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
