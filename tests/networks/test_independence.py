"""Two batches are read as one only where that is known to be the same."""

from functools import partial

import pytest
import torch
from conftest import quiet_trainer
from reference import BATCH, SEED, data
from torch import nn
from torch.nn.functional import batch_norm, softplus
from torch.nn.utils import parametrizations
from torch.testing import assert_close

from lightning_gans import GAN
from lightning_gans.core.priors import NormalPrior
from lightning_gans.networks import (
    DCGANCritic,
    DCGANDiscriminator,
    DCGANGenerator,
    GlobalPoolDiscriminator,
    GlobalPoolGenerator,
    MaxPoolDiscriminator,
    MaxPoolGenerator,
    MLPDiscriminator,
    MLPGenerator,
    VAEEncoder,
    VAEGenerator,
)
from lightning_gans.networks.independence import treats_samples_alone
from lightning_gans.randomness import stream_seed

IMAGE, TALL = (1, 28, 28), (3, 64, 64)


def chain(*layers):
    return nn.Sequential(nn.Linear(2, 4), *layers, nn.ReLU(), nn.Linear(4, 1))


class Own(nn.Module):
    """A network that says of itself that it treats samples alone."""

    treats_samples_alone = True

    def __init__(self, layer=None):
        super().__init__()
        self.layer = layer or nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)


class Silent(nn.Module):
    """A network that does, and says nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)


class Heir(Own):
    """A subclass, which may have added anything."""


class HeirOfOurs(MLPDiscriminator):
    """A subclass of a network of this package."""


class Mixing(nn.Linear):
    """A layer of a known kind that mixes samples all the same."""

    def forward(self, x):
        return super().forward(x) + x.mean()


def hooked(register):
    network = chain()
    getattr(network[0], register)(lambda *_: None)
    return network


def replaced():
    network = chain()
    network[0].forward = lambda x: x - x.mean(0)
    return network


KNOWN = {
    "perceptron": (MLPDiscriminator((2,), [8]), 2),
    "perceptron with layer norm": (MLPDiscriminator((2,), [8, 8], normalization=nn.LayerNorm), 2),
    "perceptron with classes": (MLPDiscriminator((2,), [8], num_classes=3, embedding_dim=2), 2),
    "perceptron, generator": (MLPGenerator(2, (2,), output=nn.Tanh), 2),
    "dcgan critic": (DCGANCritic(TALL, width=4), 4),
    "dcgan with instance norm": (
        DCGANDiscriminator(TALL, 4, normalization=nn.InstanceNorm2d),
        4,
    ),
    "dcgan with group norm": (
        DCGANDiscriminator(TALL, 4, normalization=partial(nn.GroupNorm, 2)),
        4,
    ),
    "dcgan without norm, generator": (DCGANGenerator(2, TALL, 4, normalization=None), 2),
    "global pool": (GlobalPoolDiscriminator(IMAGE), 4),
    "global pool, generator": (GlobalPoolGenerator(2, IMAGE), 2),
    "max pool": (MaxPoolDiscriminator(IMAGE), 4),
    "decoder": (VAEGenerator(2, IMAGE), 2),
    "chain": (chain(nn.LayerNorm(4), nn.GroupNorm(2, 4)), 2),
    "chain of chains": (nn.Sequential(chain(), nn.Flatten(0)), 2),
    "chain of images": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(1)),
        4,
    ),
    "chain to images": (
        nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 1, 3)),
        2,
    ),
    "a network that says so": (Own(), 2),
    "a chain with one": (nn.Sequential(nn.Linear(2, 2), Own()), 2),
}
UNKNOWN = {
    "batch norm": (chain(nn.BatchNorm1d(4)), 2),
    "batch norm in ours": (MLPDiscriminator((2,), [8, 8], normalization=nn.BatchNorm1d), 2),
    "ours with batch norm": (DCGANDiscriminator(TALL, 4), 4),
    "encoder": (VAEEncoder(2, IMAGE), 4),
    "max pool, generator": (MaxPoolGenerator(2, IMAGE), 2),
    "dropout": (chain(nn.Dropout(0.5)), 2),
    "random slopes": (chain(nn.RReLU()), 2),
    "softmax over samples": (chain(nn.Softmax(0)), 2),
    "instance norm that keeps a mean": (
        nn.Sequential(nn.InstanceNorm2d(1, track_running_stats=True), nn.Flatten()),
        4,
    ),
    "spectral norm": (parametrizations.spectral_norm(nn.Linear(2, 1)), 2),
    "spectral norm of the old kind": (nn.utils.spectral_norm(nn.Linear(2, 1)), 2),
    "weight norm": (chain(parametrizations.weight_norm(nn.Linear(4, 4))), 2),
    "a network that says nothing": (Silent(), 2),
    "a subclass of one that says so": (Heir(), 2),
    "a subclass of ours": (HeirOfOurs((2,), [8]), 2),
    "a subclass of a layer": (chain(Mixing(4, 4)), 2),
    "one that says so with batch norm": (Own(chain(nn.BatchNorm1d(4))), 2),
    "another forward": (replaced(), 2),
    "samples flattened on the way": (nn.Sequential(nn.Flatten(0), nn.Linear(2 * BATCH, 1)), 2),
    "samples taken for channels": (nn.Sequential(nn.Conv1d(BATCH, BATCH, 1)), 2),
    "samples taken for channels of images": (nn.Sequential(nn.Conv2d(BATCH, 1, 1)), 3),
    "samples in the normalized shape": (nn.Sequential(nn.LayerNorm((BATCH, 2))), 2),
    "samples taken for entries": (nn.Linear(BATCH, 1), 1),
    "samples unflattened": (nn.Sequential(nn.Unflatten(0, (2, -1)), nn.Linear(2, 1)), 2),
    **{
        f"with a {name}": (hooked(name), 2)
        for name in (
            *("register_forward_hook", "register_forward_pre_hook"),
            *("register_full_backward_hook", "register_full_backward_pre_hook"),
        )
    },
}


@pytest.mark.parametrize("name", KNOWN)
def test_it_is_known(name):
    network, ndim = KNOWN[name]
    lazy = [part for part in network.modules() if isinstance(part, nn.LazyLinear)]
    if lazy:
        assert not treats_samples_alone(network, ndim)
        network(torch.zeros(2, *IMAGE))
    assert treats_samples_alone(network, ndim)


@pytest.mark.parametrize("name", UNKNOWN)
def test_it_is_not_known(name):
    network, ndim = UNKNOWN[name]
    assert not treats_samples_alone(network, ndim)


def test_nothing_is_known_while_all_modules_have_a_hook():
    hook = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not treats_samples_alone(*KNOWN["chain"])
    hook.remove()
    assert treats_samples_alone(*KNOWN["chain"])


@pytest.mark.parametrize("name", [name for name in KNOWN if "classes" not in name])
def test_what_is_known_is_so(name):
    """The claim itself, values and gradients, for every network above."""
    network, ndim = KNOWN[name]
    network = network.double()
    shape = {2: (2,), 4: TALL if "dcgan" in name else IMAGE}[ndim]
    batches = torch.randn(2, 3, *shape, dtype=torch.float64)
    apart = torch.cat([network(batch) for batch in batches])
    together = network(batches.flatten(0, 1))
    assert_close(together, apart, rtol=0, atol=1e-12)
    weights = [p for p in network.parameters() if p.requires_grad]
    gradients = [torch.autograd.grad(out.square().sum(), weights) for out in (apart, together)]
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-12)


# Beside a plain loop


class FadedDeviation(nn.Module):
    """Minibatch deviation that a buffer fades in, so that it starts without an effect."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.register_buffer("share", torch.zeros(()))

    def forward(self, x):
        self.share.add_(0.01 * self.training)
        return self.layer(x) + self.share * x.std()


class CoupledByNumber(nn.Module):
    """Couples samples only for some sizes of the batch."""

    def __init__(self, couples):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.couples = couples

    def forward(self, x):
        out = self.layer(x)
        return out + x.mean() if self.couples(len(x)) else out


class CoupledBackwards(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient - gradient.mean(0)


class MixesGradients(nn.Module):
    """Couples samples in the backward pass alone."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.last(CoupledBackwards.apply(self.first(x)).tanh())


class Branches(nn.Module):
    """Does something else if the batch as a whole looks otherwise."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        out = self.layer(x)
        return 2 * out if x.abs().mean() > 1 else out


class Remembers(nn.Module):
    """Keeps the mean of the last batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.last = torch.zeros(2, dtype=torch.float64)

    def forward(self, x):
        out = self.layer(x - self.last)
        if self.training:
            self.last = x.detach().mean(0)
        return out


class FunctionalNorm(nn.Module):
    """A generator with batch statistics that no layer shows."""

    def __init__(self):
        super().__init__()
        # The gradient of a bias would be rounding alone, which Adam blows up.
        self.first, self.last = nn.Linear(2, 4, bias=False), nn.Linear(4, 2)

    def forward(self, z):
        return self.last(batch_norm(self.first(z), None, None, training=True).tanh())


class InOwnOrder(nn.Module):
    """A generator that depends on how often it has been called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, z):
        self.calls.add_(self.training)
        return self.layer(z) * (1 + 0.01 * self.calls)


def spectral():
    return parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=1)


class PlainGenerator(nn.Module):
    """A generator that says nothing of itself, so that its latents are drawn turn by turn."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, z):
        return self.layers(z)


def plain_discriminator():
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


GAMES = {
    "deviation faded in by a buffer": (PlainGenerator, FadedDeviation),
    "coupled where N is a multiple of 12": (
        PlainGenerator,
        partial(CoupledByNumber, lambda n: n % 12 == 0),
    ),
    "coupled where N is above 6": (PlainGenerator, partial(CoupledByNumber, lambda n: n > 6)),
    "coupled backwards": (PlainGenerator, MixesGradients),
    "branches": (PlainGenerator, Branches),
    "memory": (PlainGenerator, Remembers),
    "spectral norm, discriminator": (
        PlainGenerator,
        lambda: parametrizations.spectral_norm(nn.Linear(2, 1)),
    ),
    "functional batch norm": (FunctionalNorm, plain_discriminator),
    "spectral norm, generator": (spectral, plain_discriminator),
    "calls counted": (InOwnOrder, plain_discriminator),
}


def play(generator, discriminator, rounds, n_critic):
    """Trains two networks in a plain loop that makes and reads each batch by itself."""
    adam = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))
    g, d = adam(generator.parameters()), adam(discriminator.parameters())
    ring = data()
    for update in range(1, rounds + 1):
        reals = ring.training_batch(SEED, update - 1, n_critic * BATCH, 0, 1).double().split(BATCH)
        seed_round(update)
        for real in reals:
            fake = generator(torch.randn(BATCH, 2, dtype=torch.float64)).detach()
            d.zero_grad()
            loss = softplus(-discriminator(real)).mean()
            (loss + softplus(discriminator(fake)).mean()).backward()
            d.step()
        fake = generator(torch.randn(BATCH, 2, dtype=torch.float64))
        g.zero_grad()
        softplus(-discriminator(fake)).mean().backward()
        g.step()


def seed_round(update):
    torch.manual_seed(stream_seed(SEED, 0, update, 0))


@pytest.mark.parametrize("name", GAMES)
def test_a_network_that_nobody_knows_trains_like_in_a_plain_loop(name, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    make_generator, make_discriminator = GAMES[name]

    def networks():
        torch.manual_seed(3)
        return make_generator().double(), make_discriminator().double()

    expected, found = networks(), networks()
    play(*expected, rounds=20, n_critic=3)
    adam = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))
    model = GAN(
        generator=found[0],
        discriminator=found[1],
        prior=NormalPrior(2),
        n_critic=3,
        optimizer_g=adam,
        optimizer_d=adam,
    )
    quiet_trainer(20, precision="64-true").fit(model, data())
    for network, wanted in zip(found, expected, strict=True):
        for key, value in wanted.state_dict().items():
            assert_close(network.state_dict()[key], value, rtol=0, atol=1e-12)
