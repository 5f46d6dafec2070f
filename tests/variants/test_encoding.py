"""GANs with an encoder: BiGAN, AAE and VAEGAN, and what they share."""

from functools import partial

import pytest
import torch
from conftest import MadeImages, Rows, fitted, small_ring
from interrupted import assert_same
from reference.networks import Locates, Pairs
from torch import nn
from torch.testing import assert_close

from lightning_gans import AAE, DCGAN, GAN, VAEGAN, BiGAN, load
from lightning_gans.callbacks import Alarms, Evaluation, Pictures
from lightning_gans.core.players import Batch, Reconstructs, Samples
from lightning_gans.core.priors import NormalPrior, UniformPrior
from lightning_gans.losses import kl_standard_normal
from lightning_gans.networks import (
    DCGANDiscriminator,
    DCGANEncoder,
    DCGANGenerator,
    DCGANJointDiscriminator,
    MLPDiscriminator,
    MLPEncoder,
)
from lightning_gans.regularizers import R1, FeatureMatching, Orthogonal
from lightning_gans.sampling import DRS, refine
from lightning_gans.variants.encoding import Reconstructed

SHAPE = (1, 16, 16)
REAL, FAKE = [1.0, -0.5, 2.0], [0.5, -1.5, 0.25]
"""Outputs of a discriminator."""
MODELS = {
    "BiGAN": (BiGAN, {}),
    "ALI": (BiGAN, {"encoder": partial(MLPEncoder, stochastic=True)}),
    "AAE": (AAE, {}),
    "VAEGAN": (VAEGAN, {"discriminator": partial(DCGANDiscriminator, width=4)}),
}
"""Variants, and what they are made with."""
CONVOLUTIONS = {
    "generator": partial(DCGANGenerator, width=4),
    "discriminator": partial(DCGANJointDiscriminator, width=4, hidden=8),
    "encoder": partial(DCGANEncoder, width=4, hidden=8, stochastic=True),
}


class Tells(nn.Module):
    """A discriminator whose output is the first entry of what it reads."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, *latent):
        return self.scale * x[:, 0]


def rows(values):
    return torch.tensor([[value, 0.3] for value in values], dtype=torch.float64)


def bigan(**arguments):
    """A BiGAN of points in the plane, in double precision."""
    networks = {
        "generator": nn.Linear(2, 2),
        "encoder": nn.Linear(2, 2),
        "discriminator": Pairs(),
        "prior": NormalPrior(2),
    }
    return BiGAN(data_shape=(2,), **{**networks, **arguments}).double()


# BiGAN


def test_both_terms_of_generator_and_encoder_count():
    """Without the encoder's the sum would be 0.917143, and the encoder would learn nothing."""
    model = bigan(discriminator=Tells())
    latent = torch.zeros(3, 2).double()
    pairs = [model.joined(rows(values), latent) for values in (REAL, FAKE)]
    samples = Samples(*pairs, latent)
    assert model.discriminator_loss(samples)["adversarial_d"].item() == pytest.approx(1.1385654549)
    terms = model.generator_loss(samples)
    assert list(terms) == ["adversarial_g", "adversarial_e"]
    assert terms["adversarial_g"].item() == pytest.approx(0.9171432273)
    assert sum(terms.values()).item() == pytest.approx(2.2218987883)


def test_a_pair_is_a_sample_with_its_own_code_or_latent():
    model = bigan()
    batch = Batch(torch.randn(5, 2).double(), torch.arange(5))
    samples = model.draw(batch)
    (x, code), (made, latent) = model.parted(samples.real), model.parted(samples.fake)
    assert torch.equal(x, batch.real)
    assert torch.equal(code, model.encoder(x))
    assert torch.equal(made, model.generator(latent))
    assert torch.equal(latent, samples.latent)
    images = torch.rand(3, *SHAPE)
    model = BiGAN(data_shape=SHAPE)
    again, latent = model.parted(model.joined(images, torch.ones(3, 50)))
    assert torch.equal(again, images)
    assert torch.equal(latent, torch.ones(3, 50))
    assert repr(model.prior) == repr(UniformPrior(50))


def test_codes_are_drawn_where_the_encoder_tells_deviations():
    """Which makes a BiGAN the adversarially learned inference."""
    model = bigan(encoder=Locates())
    x = torch.tensor([[0.3, -0.2]]).double().expand(20_000, 2)
    mean, log_sd = (values[0] for values in model.locate(x))
    codes = model.draw_codes(x)
    assert_close(codes.mean(0), mean, atol=0.03, rtol=0)
    assert_close(codes.std(0), log_sd.exp(), atol=0, rtol=0.03)
    assert torch.equal(model.encode(x)[0], mean)


def trained(model, **arguments):
    fitted(model, MadeImages(), 3, **arguments)
    return dict(model.state_dict()), [o.optimizer.state_dict() for o in model.optimizers()]


def test_terms_of_weight_0_change_no_bit():
    """Networks with BatchNorm, and codes that are drawn: a term that was computed would show."""

    class Plain(BiGAN):
        def auxiliary_g(self, fake, samples):
            return {}

    def made(kind, **weights):
        torch.manual_seed(0)
        return kind(data_shape=SHAPE, **CONVOLUTIONS, **weights)

    weights = ("reconstruction_weight", "latent_weight", "regressor_weight")
    plain = trained(made(Plain))
    assert_same(trained(made(BiGAN)), plain)
    assert_same(trained(made(BiGAN, **dict.fromkeys(weights, 0.0))), plain)
    for weight in weights:
        with pytest.raises(AssertionError):
            assert_same(trained(made(BiGAN, **{weight: 1e-3})), plain)


def test_networks_that_are_inverse_have_no_cycle_and_no_gradient_of_one():
    model = bigan(reconstruction_weight=1.0, latent_weight=1.0, regressor_weight=1.0)
    with torch.no_grad():
        for network, factor in ((model.generator, 2.0), (model.encoder, 0.5)):
            network.weight.copy_(factor * torch.eye(2))
            network.bias.zero_()
    samples = model.draw(Batch(torch.randn(6, 2).double()))
    terms = model.auxiliary_g(None, samples)
    assert list(terms) == ["reconstruction", "latent", "regressor"]
    assert all(term == 0 for term in terms.values())
    parameters = [*model.generator.parameters(), *model.encoder.parameters()]
    for gradient in torch.autograd.grad(sum(terms.values()), parameters):
        assert not gradient.any()


def test_cycles_are_means_over_entries_of_whichever_size():
    """Of 3 entries of a sample and 2 of a latent; sums would be 3 and 2 times as much."""
    model = BiGAN(
        data_shape=(3,),
        generator=nn.Linear(2, 3),
        encoder=nn.Linear(3, 2),
        prior=NormalPrior(2),
        reconstruction_weight=0.7,
        latent_weight=0.6,
        regressor_weight=0.5,
    )
    with torch.no_grad():
        for network in (model.generator, model.encoder):
            network.weight.zero_()
            network.bias.fill_(0.5)
    x, latent = torch.full((4, 3), 2.0), torch.full((4, 2), -0.5)
    pairs = model.joined(x, model.encoder(x)), model.joined(model.generator(latent), latent)
    terms = model.auxiliary_g(None, Samples(*pairs, latent))
    found = {name: term.item() for name, term in terms.items()}
    assert found == pytest.approx({"reconstruction": 0.7 * 1.5, "latent": 0.6, "regressor": 0.5})


def test_who_learns_from_a_cycle():
    """The regressor's teaches the encoder alone, the others both; the discriminator none."""
    for weight, learn in (
        ("reconstruction", (True, True)),
        ("latent", (True, True)),
        ("regressor", (False, True)),
    ):
        model = bigan(**{f"{weight}_weight": 1.0})
        samples = model.draw(Batch(torch.randn(6, 2).double()))
        assert list(model.discriminator_loss(samples)) == ["adversarial_d"]
        term = model.generator_loss(samples)[weight]
        networks = (model.generator, model.encoder, model.discriminator)
        gradients = torch.autograd.grad(
            term, [next(network.parameters()) for network in networks], allow_unused=True
        )
        found = [gradient is not None and bool(gradient.any()) for gradient in gradients]
        assert found == [*learn, False]


def test_an_augmentation_changes_samples_and_no_latents():
    class Doubles(nn.Module):
        def forward(self, x):
            return 2 * x

    seen = []

    class Watches(Pairs):
        def forward(self, x, latent):
            seen.append((x.detach(), latent.detach()))
            return super().forward(x, latent)

    model = bigan(discriminator=Watches(), augment=Doubles())
    model._round.playing = True
    batch = Batch(torch.randn(4, 2).double())
    model.discriminator_loss(samples := model.draw(batch))
    read = [torch.cat(parts) for parts in zip(*seen, strict=True)]
    (x, code), (made, latent) = model.parted(samples.real), model.parted(samples.fake)
    assert torch.equal(read[0], 2 * torch.cat([x, made]))
    assert torch.equal(read[1], torch.cat([code, latent]))


def test_the_log_tells_when_codes_leave_the_prior():
    log = Rows()
    encoder = nn.Linear(2, 2)
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.bias.copy_(torch.tensor([1.0, 5.0]))
    still = partial(torch.optim.SGD, lr=0.0)
    model = bigan(encoder=encoder, optimizer_g=still).float()
    fitted(model, small_ring(), 1, logger=log, log_every_n_steps=1)
    ((_, row),) = log.rows
    assert (row["train/code_mean"], row["train/code_sd"]) == pytest.approx((3.0, 2.0))


# AAE


def test_latents_of_the_prior_are_real_and_codes_are_fake():
    model = AAE(data_shape=(2,), discriminator=Tells(), encoder=nn.Linear(2, 2)).double()
    batch = Batch(torch.randn(4000, 2).double())
    drawn = model.draw(batch)
    assert torch.equal(drawn.fake, model.encoder(batch.real))
    assert_close(drawn.real.mean(0), torch.zeros(2).double(), atol=0.06, rtol=0)
    assert_close(drawn.real.std(0), torch.ones(2).double(), atol=0.06, rtol=0)
    samples = Samples(rows(REAL), rows(FAKE))
    assert model.discriminator_loss(samples)["adversarial_d"].item() == pytest.approx(1.1385654549)
    terms = model.encoder_loss(samples)
    assert list(terms) == ["adversarial_e"]
    assert terms["adversarial_e"].item() == pytest.approx(0.9171432273)


def test_an_autoencoder_reconstructs_and_then_its_encoder_plays():
    model = AAE(data_shape=SHAPE)
    players = {player.name: player.networks for player in model.configure_players()}
    assert list(players) == ["autoencoder", "discriminator", "encoder"]
    assert players["autoencoder"] == [model.encoder, model.generator]
    assert players["encoder"] == [model.encoder]
    images = torch.rand(3, *SHAPE)
    again = model.generator(model.encoder(images))
    found = model.autoencoder_loss(Batch(images))["reconstruction"]
    assert_close(found, (again - images).square().mean())


def test_a_decoder_may_read_the_class():
    model = AAE(data_shape=(2,), num_classes=3)
    fitted(model, small_ring(num_modes=3, labels=True), 2)
    x = torch.randn(3, 2)
    assert not torch.equal(model.reconstruct(x, torch.zeros(3).long()), model.reconstruct(x, 1))


def test_codes_learn_to_match_a_prior_of_any_kind():
    """Which those of the same autoencoder without the game do not: they have any scale."""

    def mismatch(optimizer_e):
        torch.manual_seed(0)
        evaluation = Evaluation()
        model = AAE(
            data_shape=(2,),
            prior=UniformPrior(2, 3.0, 5.0),
            generator=nn.Linear(2, 2),
            encoder=nn.Linear(2, 2),
            discriminator=partial(MLPDiscriminator, hidden=[32]),
            regularizers=[R1(1.0)],
            optimizer_g=fast,
            optimizer_d=fast,
            optimizer_e=optimizer_e,
        )
        data = small_ring(batch_size=64, num_eval_samples=500)
        arguments = {"limit_val_batches": 1.0, "check_val_every_n_epoch": None}
        fitted(model, data, 300, callbacks=[evaluation], val_check_interval=300, **arguments)
        return evaluation

    fast = partial(torch.optim.Adam, lr=3e-2, betas=(0.5, 0.9))
    played, alone = mismatch(fast), mismatch(partial(torch.optim.SGD, lr=0.0))
    assert alone.scores["code_sliced_w"] > 2
    assert 0.1 < played.scores["code_sliced_w"] < 0.7
    assert 0.01 < played.floors["code_sliced_w"] < 0.1


def test_regularizers_of_weights_reach_the_generator_and_those_of_codes_the_encoder():
    parts = [Orthogonal(0.1), FeatureMatching()]
    model = AAE(data_shape=(2,), regularizers_g=parts)
    players = {player.name: player for player in model.configure_players()}
    assert [*players["autoencoder"].regularizers] == parts[:1]
    assert players["autoencoder"].networks == [model.encoder, model.generator]
    assert [*players["encoder"].regularizers] == parts[1:]
    log = Rows()
    fitted(model, small_ring(), max_steps=2, logger=log, log_every_n_steps=1)
    keys = {key for _, row in log.rows for key in row}
    assert {"train/orthogonal_autoencoder", "train/feature_matching_encoder"} <= keys


# VAEGAN


def test_the_divergence_is_summed_over_the_entries_of_a_latent():
    """As a mean over them it would be half as large."""
    mean, log_sd = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.0, -0.5]])
    assert kl_standard_normal(mean, log_sd).item() == pytest.approx(0.8089397206)


def test_every_player_minimises_its_own_terms():
    """No pixels are compared, and the encoder's features do not hang on the game."""
    model = VAEGAN(data_shape=(2,), generator=nn.Linear(2, 2), encoder=Locates(), **features())
    batch = Batch(torch.randn(4, 2))
    both = model.draw(batch)
    assert torch.equal(both.real, torch.cat([batch.real] * 2))
    assert list(model.discriminator_loss(both)) == ["adversarial_d"]
    assert list(model.generator_loss(both)) == ["adversarial_g", "features_g"]
    again = model.draw_reconstructions(batch)
    terms = model.encoder_loss(again)
    assert list(terms) == ["kl", "features"]
    apart = (model.discriminator[:2](again.real) - model.discriminator[:2](again.fake)).square()
    assert_close(terms["features"], apart.sum(1).mean() / 2)
    assert_close(terms["kl"], 0.5 * kl_standard_normal(again.mean, again.log_sd))
    fake = torch.cat([again.fake, torch.zeros(4, 2)])
    found = model.generator_loss(Samples(both.real, fake))["features_g"]
    assert_close(found, 0.25 * apart.sum(1).mean() / 2)
    players = {player.name: player for player in model.configure_players()}
    assert list(players) == ["discriminator", "encoder", "generator"]
    assert [player.factor for player in players.values()] == [2, 1, 2]
    assert players["encoder"].networks == [model.encoder]
    assert players["generator"].networks == [model.generator]
    assert isinstance(again, Reconstructed)


def test_batch_normalization_tells_no_sample_from_a_perfect_reconstruction():
    """Features of samples that are judged in different company are normalized differently."""
    layers = (nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    model = VAEGAN(
        data_shape=(2,),
        generator=nn.Linear(2, 2),
        encoder=Locates(),
        discriminator=nn.Sequential(*layers),
        feature_weight=1.0,
    )
    real = torch.randn(8, 2)
    both = Samples(torch.cat([real, real]), torch.cat([real, 3 + torch.randn(8, 2)]))
    assert model.generator_loss(both)["features_g"].item() < 1e-10
    other = Samples(both.real, both.fake.flip(0))
    assert model.generator_loss(other)["features_g"].item() > 1e-3


def features():
    discriminator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    return {"discriminator": discriminator, "kl_weight": 0.5, "feature_weight": 0.25}


def test_the_log_tells_reconstructions_from_samples_of_the_prior():
    log, expected = Rows(), {}
    model = VAEGAN(data_shape=(2,), generator=nn.Linear(2, 2), encoder=Locates(), **features())
    usual = model.discriminator_loss

    def look(samples):
        with torch.no_grad():
            again, drawn = model.discriminate(samples.fake).chunk(2)
        expected.update(d_reconstructed=again.mean().item(), d_prior=drawn.mean().item())
        return usual(samples)

    model.discriminator_loss = look
    fitted(model, small_ring(), 1, logger=log, log_every_n_steps=1)
    ((_, row),) = log.rows
    for name, value in expected.items():
        assert row[f"train/{name}"] == pytest.approx(value, rel=1e-5)
    assert expected["d_reconstructed"] != expected["d_prior"]


# All of them


@pytest.mark.parametrize("name", MODELS)
def test_what_they_share_is_shown_scored_saved_and_watched(name, tmp_path):
    torch.manual_seed(0)
    variant, arguments = MODELS[name]
    model, evaluation, alarms = variant(data_shape=SHAPE, **arguments), Evaluation(), Alarms()
    seen = []
    alarms._check = lambda trainer, key, value: seen.append(key)
    trainer = fitted(
        model,
        MadeImages(),
        2,
        callbacks=[evaluation, alarms, Pictures(0)],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=2,
        default_root_dir=str(tmp_path),
    )
    assert isinstance(model, Reconstructs)
    assert {"code_sliced_w", "reconstruction_mse"} <= evaluation.scores.keys()
    assert "lipschitz" in seen
    assert (tmp_path / "figures" / "reconstructions.png").exists()
    trainer.save_checkpoint("model.ckpt")
    x = torch.rand(3, *SHAPE)
    loaded = load("model.ckpt", **arguments)
    assert torch.equal(loaded.encode(x), model.encode(x))
    assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    (tmp_path / "alone.safetensors").write_bytes(model.export(*model.averaged))
    alone = load(tmp_path / "alone.safetensors", **arguments)
    assert torch.equal(alone.reconstruct(x), model.reconstruct(x))
    fresh = model.untrained()
    assert torch.equal(fresh.encode(x), model.untrained().encode(x))
    assert not torch.equal(fresh.encode(x), model.encode(x))
    assert fresh.generator is model.generator


def test_an_encoder_that_was_given_has_no_untrained_one():
    assert bigan().untrained() is None


@pytest.mark.parametrize("variant", [AAE, BiGAN])
def test_points_have_no_level_sets_of_a_discriminator_that_does_not_read_them_alone(variant):
    model = variant(data_shape=(2,))
    fitted(model, small_ring(), 1)
    assert list(model.pictures(Batch(torch.randn(8, 2)), 8)) == ["samples"]
    assert model.wasserstein_critic() is None
    with pytest.raises(ValueError, match=f"the discriminator of a.? {variant.__name__} judges no"):
        refine(model, DRS(), 4, real=torch.randn(8, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BiGAN(data_shape=(2,), num_classes=3), "num_classes: BiGAN takes none, since"),
        (
            lambda: BiGAN(data_shape=(2,), latent_weight=-1.0),
            "latent_weight must be finite and at least 0",
        ),
        (lambda: BiGAN(), "data_shape must be given, unless"),
        (lambda: AAE(data_shape=(2,), augment=nn.Identity()), "augment: AAE takes none, since"),
        (lambda: AAE(data_shape=(2,), optimizer_e=3), "optimizer_e must make an optimizer"),
        (lambda: VAEGAN(data_shape=SHAPE, num_classes=3), "num_classes: VAEGAN takes none"),
        (lambda: VAEGAN(data_shape=SHAPE, augment=nn.Identity()), "augment: VAEGAN takes none"),
        (lambda: VAEGAN(data_shape=SHAPE, prior=UniformPrior(3)), "prior must be a NormalPrior"),
        (
            lambda: VAEGAN(data_shape=SHAPE, kl_weight=-0.1),
            "kl_weight must be finite and at least 0",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bigan(encoder=nn.Linear(2, 3)).float(), "encoder: its output for 2 samples has"),
        (lambda: bigan(encoder=nn.Linear(3, 2)).float(), "encoder: it cannot read samples of"),
        (lambda: bigan(encoder=Three()).float(), "encoder: it must return codes, or two tensors"),
        (
            lambda: bigan(discriminator=MLPDiscriminator((2,))).float(),
            "discriminator: it reads no latents. Use one of pairs, such as MLPJointDiscriminator",
        ),
        (
            lambda: VAEGAN(
                data_shape=(2,), generator=nn.Linear(2, 2), encoder=nn.Linear(2, 2), **features()
            ),
            "encoder: it must return two tensors, mean and log",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_the_first_update(make, message):
    with pytest.raises(ValueError, match=message):
        fitted(make(), small_ring(), 1)


class Three(nn.Linear):
    """An encoder that says too much."""

    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        return [super().forward(x)] * 3


def test_a_model_without_an_encoder_is_none_that_reconstructs():
    assert not isinstance(GAN(data_shape=(2,)), Reconstructs)
    assert not isinstance(DCGAN(data_shape=SHAPE), Reconstructs)
