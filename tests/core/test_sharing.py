"""What two players may share, and what not."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest import quiet_trainer, small_ring
from reference import BATCH, SEED, data
from reference.networks import Asked
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from lightning_gans import CGAN, GAN, Player, Samples
from lightning_gans.core.priors import NormalPrior
from lightning_gans.randomness import stream_seed

ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))


class WithEmbedding(nn.Module):
    """A network that reads the vector of each class."""

    def __init__(self, embedding, outputs):
        super().__init__()
        self.embedding = embedding
        self.last = nn.Linear(2 + embedding.embedding_dim, outputs)

    def forward(self, x, labels):
        return self.last(torch.cat([x, self.embedding(labels)], 1))


@pytest.mark.parametrize("n_critic", [1, 3])
def test_an_embedding_that_both_networks_train_is_refused(n_critic):
    embedding = nn.Embedding(8, 3)
    generator, discriminator = WithEmbedding(embedding, 2), WithEmbedding(embedding, 1)
    before = [p.clone() for p in (*generator.parameters(), *discriminator.parameters())]
    model = CGAN(
        num_classes=8,
        generator=generator,
        discriminator=discriminator,
        prior=NormalPrior(2),
        data_shape=(2,),
        n_critic=n_critic,
    )
    message = (
        r"discriminator and generator: they share the parameter that is 'embedding\.weight' in a "
        r"WithEmbedding of the discriminator and 'embedding\.weight' in a WithEmbedding of the "
        r"generator.*Give each network its own"
    )
    with pytest.raises(ValueError, match=message):
        quiet_trainer(1).fit(model, small_ring(labels=True))
    after = [*generator.parameters(), *discriminator.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_what_is_shared_and_not_trained_is_no_matter():
    embedding = nn.Embedding(8, 3).requires_grad_(False)
    model = CGAN(
        num_classes=8,
        generator=WithEmbedding(embedding, 2),
        discriminator=WithEmbedding(embedding, 1),
        prior=NormalPrior(2),
        data_shape=(2,),
    )
    quiet_trainer(1).fit(model, small_ring(labels=True))


class AdversarialAutoencoder(GAN):
    """An autoencoder whose latents a discriminator compares with the prior's.

    The encoder is trained by two players: with the decoder to reconstruct, and alone to deceive.
    """

    def __init__(self, *, encoder, **arguments):
        super().__init__(**arguments)
        self.encoder = encoder

    def configure_players(self):
        both, draw = [self.encoder, self.generator], self.draw_latents
        return [
            Player("autoencoder", both, self.autoencoder_loss, ADAM, draw),
            Player(
                "discriminator",
                [self.discriminator],
                self.discriminator_loss,
                ADAM,
                draw,
                updates=self.n_critic,
            ),
            Player("deceiver", [self.encoder], self.deceiver_loss, ADAM, draw),
        ]

    def draw_latents(self, batch):
        return Samples(batch.real, self.encoder(batch.real), self.sample_latent(len(batch)))

    def autoencoder_loss(self, samples):
        return {"reconstruction": (self.generate(samples.fake) - samples.real).square().mean()}

    def discriminator_loss(self, samples):
        real, fake = self.discriminate(samples.latent), self.discriminate(samples.fake)
        return {"adversarial_d": softplus(-real).mean() + softplus(fake).mean()}

    def deceiver_loss(self, samples):
        return {"adversarial_g": softplus(-self.discriminate(samples.fake)).mean()}


def networks():
    torch.manual_seed(3)

    def network(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs)).double()

    return network(2, 2), network(2, 2), network(2, 1)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_whole_network_of_two_players_trains_like_in_a_plain_loop(n_critic, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    encoder, decoder, discriminator = expected = networks()
    a = ADAM([*encoder.parameters(), *decoder.parameters()])
    d, g = ADAM(discriminator.parameters()), ADAM(encoder.parameters())
    for update in range(1, 11):
        batch = data().training_batch(SEED, update - 1, n_critic * BATCH, 0, 1).double()
        *_, last = reals = batch.split(BATCH)
        torch.manual_seed(stream_seed(SEED, 0, update, 0))

        def draw(real):
            return encoder(real), torch.randn(BATCH, 2, dtype=torch.float64)

        code, _ = draw(last)
        a.zero_grad()
        (decoder(code) - last).square().mean().backward()
        a.step()
        for real in reals:
            code, z = draw(real)
            d.zero_grad()
            loss = softplus(-discriminator(z)).mean()
            (loss + softplus(discriminator(code.detach())).mean()).backward()
            d.step()
        code, _ = draw(last)
        g.zero_grad()
        softplus(-discriminator(code)).mean().backward()
        g.step()

    found = networks()
    model = AdversarialAutoencoder(
        encoder=found[0],
        generator=found[1],
        discriminator=found[2],
        prior=NormalPrior(2),
        n_critic=n_critic,
    )
    quiet_trainer(10, precision="64-true").fit(model, data())
    for network, wanted in zip(found, expected, strict=True):
        for key, value in wanted.state_dict().items():
            assert_close(network.state_dict()[key], value, rtol=0, atol=1e-12)


class InOneModule(AdversarialAutoencoder):
    """The same, with encoder and decoder in one module, of which the second player has a part."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.whole = nn.Sequential(self.encoder, self.generator)

    def configure_players(self):
        autoencoder, *others = super().configure_players()
        return [replace(autoencoder, networks=[self.whole]), *others]


def test_a_network_inside_of_another_may_be_anothers():
    encoder, decoder, discriminator = (network.float() for network in networks())
    model = InOneModule(
        encoder=encoder, generator=decoder, discriminator=discriminator, prior=NormalPrior(2)
    )
    quiet_trainer(2).fit(model, small_ring())


def test_the_references_networks_share_nothing():
    model = CGAN(
        num_classes=8,
        generator=Asked(8, nn.Linear(10, 2)),
        discriminator=Asked(8, nn.Linear(10, 1)),
        prior=NormalPrior(2),
        data_shape=(2,),
    )
    quiet_trainer(1).fit(model, small_ring(labels=True))
