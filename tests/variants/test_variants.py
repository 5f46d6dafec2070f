"""Each variant against the plain loop, and what every variant has to be able to do."""

import inspect
from dataclasses import replace
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, MadeImages, fitted, fitting_data, quiet_trainer, small_ring
from interrupted import assert_same
from reference import SEED
from reference.games import CASES, CURES, GAMES, LAZY, game
from reference.loop import play, tolerance
from reference.losses import LOSSES
from reference.regularizers import REGULARIZERS
from reference.structures import STRUCTURES
from torch.testing import assert_close

import lightning_gans.variants
from lightning_gans import (
    DCGAN,
    DRAGAN,
    GAN,
    SAGAN,
    WDCGAN,
    WDCGANGP,
    WGAN,
    WGANGP,
    WGANLP,
    BigGAN,
    CycleGAN,
    Pix2Pix,
    StyleGAN2,
    WGANDiv,
    load,
    losses,
)
from lightning_gans.callbacks import Checkpoint
from lightning_gans.core.translating import TranslationModule
from lightning_gans.core.trust import known_classes
from lightning_gans.losses import AdversarialLoss, LeastSquares, NonSaturating, Wasserstein
from lightning_gans.networks import DCGANDiscriminator, SelfAttention, has_batch_statistics
from lightning_gans.regularizers import (
    R1,
    DRAGANPenalty,
    GradientPenalty,
    OneSidedPenalty,
    Regularizer,
    WGANDivPenalty,
)

KINDS = sorted(kind.__name__ for kind in known_classes(AdversarialLoss))
VARIANTS = [getattr(lightning_gans.variants, name) for name in lightning_gans.variants.__all__]
LARGE = (BigGAN, CycleGAN, Pix2Pix, SAGAN, StyleGAN2)
"""By default."""
QUICK = [pytest.param(v, marks=pytest.mark.slow) if v in LARGE else v for v in VARIANTS]


@pytest.mark.parametrize(("name", "n_critic"), [case for case in CASES if case[0] not in LAZY])
def test_training_is_that_of_the_plain_loop(name, n_critic, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    assert_like_the_plain_loop(GAMES[name], n_critic)


def assert_like_the_plain_loop(game, n_critic):
    model = game.model(n_critic)
    fitted(model, game.data(), max_steps=5, precision="64-true", callbacks=game.callbacks)
    expected = play(game, rounds=5, n_critic=n_critic, ranks=1)
    for key, value in expected.items():
        assert_close(model.state_dict()[key], value, rtol=0, atol=tolerance(game, key, 1e-12))
    return model


def assert_resumed_to_the_same_end(whole, game, n_critic):
    stopped = fitted(game.model(n_critic), game.data(), max_steps=2, precision="64-true")
    stopped.save_checkpoint("stopped.ckpt")
    model = game.model(n_critic)
    trainer = quiet_trainer(5, precision="64-true")
    trainer.fit(model, game.data(), ckpt_path="stopped.ckpt", weights_only=True)
    assert trainer.global_step == 5
    assert_same(dict(model.state_dict()), dict(whole.state_dict()))
    states = [[o.optimizer.state_dict() for o in m.optimizers()] for m in (model, whole)]
    assert_same(*states)


SAMPLE = {"GAN": set(KINDS), "CGAN": {"Hinge", "Wasserstein", "RelativisticPaired"}}
SAMPLE |= dict.fromkeys(("ACGAN", "CVAEGAN", "CycleGAN", "InfoGAN", "PacGAN"), SAMPLE["CGAN"])
SAMPLE |= dict.fromkeys(("CoGAN", "Pix2Pix"), SAMPLE["CGAN"])
SAMPLE |= dict.fromkeys(("AAE", "SemiSupervisedAAE", "VAEGAN"), SAMPLE["CGAN"])
SAMPLE["BiGAN"] = {*SAMPLE["CGAN"], "LeastSquares"}
SAMPLE["UnrolledGAN"] = {"Minimax", "RelativisticPaired"}
"""The losses that each structure is tried with in the quick tests."""


@pytest.mark.parametrize(
    ("structure", "loss"),
    [
        pytest.param(structure, loss, marks=() if loss in SAMPLE[structure] else pytest.mark.slow)
        for structure in STRUCTURES
        for loss in KINDS
        if not getattr(losses, loss).reads_energies
    ],
)
def test_every_structure_takes_every_loss_of_logits(structure, loss, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    played = game(structure, loss, ("R1", 0.4, 1))
    n_critic = min(2, played.most_updates)
    whole = assert_like_the_plain_loop(played, n_critic)
    assert_resumed_to_the_same_end(whole, played, n_critic)


@pytest.mark.parametrize("name", LAZY)
def test_every_regularizer_may_be_lazy_and_keeps_its_phase_and_its_state(name, monkeypatch):
    """It is computed in updates 0, 3, 6 and 9. The run is stopped before the fourth of them."""
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    whole = assert_like_the_plain_loop(LAZY[name], 2)
    assert_resumed_to_the_same_end(whole, LAZY[name], 2)
    without = play(replace(LAZY[name], regularizers=()), rounds=5, n_critic=2, ranks=1)
    assert any(
        (whole.state_dict()[key] - value).abs().max() > 1e-6 for key, value in without.items()
    )


@pytest.mark.parametrize("name", ["BEGAN", "FisherGAN"])
def test_a_resumed_run_continues_with_the_scalar_of_its_loss(name, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    whole = assert_like_the_plain_loop(GAMES[name], 2)
    scalars = [value for key, value in whole.state_dict().items() if key.startswith("loss.")]
    assert scalars
    assert all(scalar != 0 for scalar in scalars)
    assert_resumed_to_the_same_end(whole, GAMES[name], 2)


@pytest.mark.parametrize("name", CURES)
def test_a_cure_for_lost_modes_is_resumed_to_the_same_end(name, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    assert_resumed_to_the_same_end(assert_like_the_plain_loop(GAMES[name], 2), GAMES[name], 2)


def test_every_variant_loss_and_regularizer_is_compared():
    assert {game.structure.variant for game in GAMES.values()} >= set(VARIANTS)
    assert set(KINDS) <= LOSSES.keys()
    assert {kind.__name__ for kind in known_classes(Regularizer)} == set(REGULARIZERS)


@pytest.mark.parametrize("variant", QUICK)
def test_every_variant_trains_without_an_argument_but_the_shape(variant):
    samples = fitting_data(variant)
    model = variant(data_shape=samples.data_shape)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = fitted(model, samples, max_steps=2)
    assert trainer.global_step == 2
    after = model.state_dict()
    # A layer of one input or output has a vector of spectral norm with the one entry 1, and
    # attention begins without an effect, so that its weights cannot move in the first update.
    fixed = tuple(n for n, part in model.named_modules() if isinstance(part, SelfAttention))
    weights = [
        name
        for name in before
        if "weight" in name and not name.endswith(("._u", "._v")) and not name.startswith(fixed)
    ]
    assert not any(torch.equal(before[name], after[name]) for name in weights)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_keywords_only_and_names_its_paper(variant):
    kinds = {parameter.kind for parameter in inspect.signature(variant).parameters.values()}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    assert "https://arxiv.org/abs/" in inspect.getdoc(variant)


@pytest.mark.parametrize("variant", QUICK)
def test_every_variant_is_saved_and_loaded(variant, tmp_path):
    samples = fitting_data(variant)
    model = variant(data_shape=samples.data_shape, n_critic=2)
    fitted(
        model,
        samples,
        max_steps=2,
        enable_checkpointing=True,
        callbacks=[Checkpoint(dirpath=str(tmp_path))],
    )
    loaded = load(tmp_path / "last.ckpt")
    assert type(loaded) is variant
    assert loaded.n_critic == 2
    if issubclass(variant, TranslationModule):
        x = torch.rand(2, *samples.data_shape)
        assert torch.equal(loaded.translate(x), model.translate(x))
        return
    z = model.sample_latent(5)
    labels = model.sample_labels(5)
    assert torch.equal(loaded.sample(z, labels), model.sample(z, labels))


def test_the_penalised_variant_has_a_penalty_in_the_place_of_clipping():
    model = WGANGP(data_shape=(2,), penalty=GradientPenalty(0.3), regularizers=[R1()])
    assert type(model.loss) is type(WGAN(data_shape=(2,)).loss) is Wasserstein
    assert [type(part) for part in model.regularizers] == [GradientPenalty, R1]
    assert model.regularizers[0].weight == 0.3
    (usual,) = WGANGP(data_shape=(2,)).regularizers
    assert usual.weight == 10


def defaults(model):
    optimizers = (
        getattr(model, name)(model.parameters()) for name in ("optimizer_g", "optimizer_d")
    )
    return [{key: o.defaults[key] for key in ("lr", "betas")} for o in optimizers]


@pytest.mark.parametrize(
    ("variant", "loss", "penalty", "n_critic", "adam"),
    [
        (WGANLP, Wasserstein, OneSidedPenalty(10.0), 5, (1e-4, 0.0, 0.9)),
        (WGANDiv, Wasserstein, WGANDivPenalty(2.0, 6.0), 4, (2e-4, 0.0, 0.9)),
        (DRAGAN, NonSaturating, DRAGANPenalty(10.0, 0.5), 1, (1e-4, 0.5, 0.9)),
    ],
)
def test_a_variant_that_is_a_penalty_has_its_published_defaults(
    variant, loss, penalty, n_critic, adam
):
    model = variant(data_shape=(2,), regularizers=[R1()])
    assert type(model.loss) is loss
    assert [repr(part) for part in model.regularizers] == [repr(penalty), repr(R1())]
    assert model.n_critic == n_critic
    assert defaults(model) == [{"lr": adam[0], "betas": adam[1:]}] * 2


# Convolutional networks


@pytest.mark.parametrize(
    ("variant", "base", "statistics"),
    [(DCGAN, GAN, True), (WDCGAN, WGAN, True), (WDCGANGP, WGANGP, False)],
)
def test_a_convolutional_variant_is_its_base_with_other_networks(variant, base, statistics):
    model, plain = variant(data_shape=(3, 32, 32)), base(data_shape=(3, 32, 32))
    assert issubclass(variant, base)
    assert isinstance(model.discriminator, DCGANDiscriminator)
    assert has_batch_statistics(model.generator)
    assert has_batch_statistics(model.discriminator) is statistics
    assert model.n_critic == plain.n_critic
    assert model.prior.dim == plain.prior.dim == 100
    for name in ("optimizer_g", "optimizer_d"):
        defaults = [getattr(m, name)(m.parameters()).defaults for m in (model, plain)]
        assert defaults[0] == defaults[1]


def test_clipping_reaches_the_batch_norms_of_the_critic():
    model = WDCGAN(data_shape=(1, 16, 16), clip_value=0.02)
    fitted(model, MadeImages(), max_steps=1)
    (norm,) = (m for m in model.discriminator.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert norm.weight.max().item() <= torch.tensor(0.02).item()
    assert norm.weight.min() > 0.01  # they were 1 and have made five steps of at most 5e-4


@pytest.mark.parametrize(
    "build",
    [
        lambda critic: WGANGP(data_shape=(1, 16, 16), discriminator=critic),
        lambda critic: GAN(data_shape=(1, 16, 16), discriminator=critic, regularizers=[R1()]),
    ],
)
def test_a_penalty_on_a_critic_with_batch_statistics_is_refused(build):
    with pytest.raises(
        ValueError, match=r"discriminator: it has BatchNorm.*(penalty|r1) reads the gradient"
    ):
        fitted(build(DCGANDiscriminator((1, 16, 16))), MadeImages(), max_steps=1)
    fitted(build(DCGANDiscriminator((1, 16, 16), normalization=None)), MadeImages(), max_steps=1)


# Clipping


class EveryState(pl.Callback):
    """Notes the largest critic parameter whenever the generator's turn has come."""

    def __init__(self):
        self.largest = []

    def on_train_batch_end(self, trainer, model, *_):
        self.largest.append(max(p.abs().max().item() for p in model.discriminator.parameters()))


def test_every_parameter_of_the_critic_is_clipped_after_every_step(tmp_path):
    """Biases and normalization included; what the generator sees and what is saved is clipped."""
    critic = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.LayerNorm(8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
    )
    model = WGAN(**{**SMALL, "discriminator": critic}, clip_value=0.03, n_critic=2)
    seen = []
    usual = model.generator_loss
    model.generator_loss = lambda samples: (
        seen.append(max(p.abs().max().item() for p in critic.parameters())) or usual(samples)
    )
    watch = EveryState()
    saver = Checkpoint(dirpath=str(tmp_path), every_n_updates=1)
    fitted(model, max_steps=3, enable_checkpointing=True, callbacks=[watch, saver])
    bound = torch.tensor(0.03).item()
    assert max(watch.largest + seen[1:]) <= bound  # the first is tried before training
    assert min(watch.largest) > 0.029  # the LayerNorm's weights, 1 at first, lie on the bound
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    saved = [value for name, value in state.items() if name.startswith("discriminator")]
    assert len(saved) == 6
    assert max(value.abs().max().item() for value in saved) <= bound


@pytest.mark.parametrize("value", [0.0, -0.01, float("inf")])
def test_a_clip_value_that_leaves_nothing_or_clips_nothing_is_refused(value):
    with pytest.raises(ValueError, match=f"clip_value must be finite and above 0, got {value}"):
        WGAN(data_shape=(2,), clip_value=value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_noise": -0.1}, "label_noise must be finite and at least 0, got -0.1"),
        ({"weight": 0.0}, "weight must be finite and above 0, got 0.0"),
    ],
)
def test_least_squares_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeastSquares(**arguments)


def test_a_negative_penalty_weight_is_refused():
    with pytest.raises(
        ValueError, match="GradientPenalty: weight must be finite and at least 0, got -1"
    ):
        WGANGP(data_shape=(2,), penalty=partial(GradientPenalty, -1))


def test_the_wasserstein_estimate_is_logged_by_those_who_have_one():
    for variant, expected in ((GAN, False), (WGAN, True), (WGANGP, True)):
        model = variant(**SMALL)
        fitted(model, max_steps=1, log_every_n_steps=1)
        assert ("train/wasserstein" in model.last_logged) is expected


def test_validation_gives_as_many_fakes_as_there_are_real_samples():
    model = GAN(**SMALL)
    shapes = []

    class Shapes(pl.Callback):
        def on_validation_batch_end(self, trainer, module, outputs, batch, batch_idx):
            shapes.append((tuple(outputs["real"].shape), tuple(outputs["fake"].shape)))

    ring = small_ring(num_eval_samples=1500)
    fitted(
        model,
        ring,
        max_steps=1,
        limit_val_batches=1.0,
        callbacks=[Shapes()],
        check_val_every_n_epoch=None,
        val_check_interval=1,
        num_sanity_val_steps=0,
    )
    assert shapes == [((1000, 2), (1000, 2)), ((500, 2), (500, 2))]
