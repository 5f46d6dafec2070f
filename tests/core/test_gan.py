"""The training loop: who is updated when, on what, and what is counted."""

import math
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import SMALL, Rows, fitted, quiet_trainer, same, small_ring, snapshot
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import FSDPStrategy
from reference.games import GAMES
from torch import nn
from torch.optim import SGD
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import (
    CGAN,
    EBGAN,
    GAN,
    LSGAN,
    MMDGAN,
    R3GAN,
    WGAN,
    WGANGP,
    CycleGAN,
    DivergenceError,
    PacGAN,
    Player,
    Samples,
    StyleGAN2,
)
from lightning_gans.augment import InstanceNoise
from lightning_gans.core.checks import warn_of_emulated_bf16
from lightning_gans.core.network_checks import check_range
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import Cramer
from lightning_gans.networks import DCGANGenerator, MLPDiscriminator, MLPGenerator
from lightning_gans.regularizers import R1, GradientPenalty


class Watched(GAN):
    """Notes, for every update, what it saw and which networks it moved."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.updates = []

    def discriminator_loss(self, samples):
        self.watch("discriminator", samples)
        return super().discriminator_loss(samples)

    def generator_loss(self, samples):
        self.watch("generator", samples)
        return super().generator_loss(samples)

    def watch(self, player, samples):
        if not self.training:
            return  # losses are tried once before training
        self.updates.append(
            {
                "player": player,
                "samples": samples,
                "fake_has_graph": samples.fake.requires_grad,
                "before": {n: snapshot(getattr(self, n)) for n in ("generator", "discriminator")},
            }
        )


def moved(model):
    """Returns for every update the player and the networks that it moved."""
    states = [update["before"] for update in model.updates]
    states.append({n: snapshot(getattr(model, n)) for n in ("generator", "discriminator")})
    return [
        (update["player"], {n for n in before if not same(before[n], after[n])})
        for update, before, after in zip(model.updates, states, states[1:], strict=False)
    ]


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_each_round_is_n_critic_discriminator_updates_then_one_of_the_generator(n_critic):
    model = Watched(**SMALL, n_critic=n_critic)
    trainer = fitted(model, max_steps=3)
    one_round = [("discriminator", {"discriminator"})] * n_critic + [("generator", {"generator"})]
    assert moved(model) == 3 * one_round
    assert trainer.global_step == 3
    assert model.images_seen == 3 * n_critic * 8


def test_fakes_have_a_graph_in_the_generators_turn_only():
    model = Watched(**SMALL, n_critic=2)
    fitted(model, max_steps=2)
    assert [update["fake_has_graph"] for update in model.updates] == [False, False, True] * 2
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_updates_see_consecutive_slices_of_the_batch_and_the_generator_the_last():
    rows = torch.arange(24.0).reshape(12, 2) / 24
    loader = DataLoader(TensorDataset(rows), batch_size=6)
    model = Watched(**SMALL, n_critic=3)
    fitted(model, loader, max_steps=2)
    seen = [update["samples"].real for update in model.updates]
    starts = [0, 2, 4, 4, 6, 8, 10, 10]
    assert all(torch.equal(x, rows[i : i + 2]) for x, i in zip(seen, starts, strict=True))


@pytest.mark.parametrize(
    ("normalization", "forwards"), [(None, [12, 4]), (nn.BatchNorm1d, [4, 4, 4, 4])]
)
def test_fakes_come_from_one_forward_unless_statistics_forbid_it(normalization, forwards):
    sizes = []

    class Noted(nn.Module):
        treats_samples_alone = True

        def __init__(self):
            super().__init__()
            self.network = MLPGenerator(2, (2,), [8, 8], normalization=normalization)

        def forward(self, latent):
            if self.training:
                sizes.append(len(latent))
            return self.network(latent)

    generator = Noted()
    model = GAN(data_shape=(2,), generator=generator, n_critic=3)
    fitted(model, small_ring(batch_size=4), max_steps=1)
    assert sizes == forwards


def test_only_the_last_update_is_counted_whatever_max_steps():
    for n_critic in (1, 2, 5):
        for max_steps in (1, 4, 7):
            trainer = fitted(GAN(**SMALL, n_critic=n_critic), max_steps=max_steps)
            assert trainer.global_step == max_steps
            assert trainer.fit_loop.epoch_loop.total_batch_idx + 1 == max_steps


def test_one_seed_gives_one_result_and_another_seed_another(monkeypatch):
    def weights(seed, **trainer):
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        torch.manual_seed(seed)
        dropout = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
        model = WGANGP(**{**SMALL, "discriminator": dropout}, n_critic=2)
        fitted(model, max_steps=6, **trainer)
        return snapshot(model)

    first = weights(0)
    assert same(first, weights(0))
    assert not same(first, weights(1))
    # Validation and logging draw and count nothing that training would notice.
    often = {"limit_val_batches": 1.0, "val_check_interval": 2, "check_val_every_n_epoch": None}
    assert same(first, weights(0, **often, num_sanity_val_steps=2, log_every_n_steps=1))


def test_without_a_seed_runs_differ():
    models = [Watched(**SMALL) for _ in "ab"]
    for number, model in enumerate(models):
        torch.manual_seed(number)
        fitted(model, max_steps=1)
    first, second = (model.updates[0]["samples"].latent for model in models)
    assert not torch.equal(first, second)


def test_noise_does_not_depend_on_what_was_drawn_before():
    model = Watched(**SMALL)
    trainer = quiet_trainer(2)
    model.on_train_batch_start = lambda batch, batch_idx: print(torch.rand(batch_idx + 3))
    trainer.fit(model, small_ring())
    other = Watched(**SMALL)
    torch.manual_seed(model.seed)
    fitted(other, max_steps=2)
    assert model.seed == other.seed
    for a, b in zip(model.updates, other.updates, strict=True):
        assert torch.equal(a["samples"].latent, b["samples"].latent)


# Players beyond the usual two


class ThreePlayers(GAN):
    """A classifier plays first, and the generator's player has an encoder of its own."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.encoder = nn.Linear(2, 2)
        self.classifier = nn.Linear(2, 3)
        self.turns = []

    def configure_players(self):
        discriminator, generator = super().configure_players()
        sgd = partial(SGD, lr=0.1)
        return [
            Player("classifier", [self.classifier], self.classifier_loss, sgd, updates=2),
            discriminator,
            replace(generator, networks=[self.generator, self.encoder, self.encoder]),
        ]

    def draw(self, batch):
        latent = self.encoder(batch.real)
        return Samples(batch.real, self.generate(latent), latent, batch.labels)

    def classifier_loss(self, batch):
        self.watch("classifier", batch)
        return {
            "cross_entropy": nn.functional.cross_entropy(self.classifier(batch.real), batch.labels)
        }

    def watch(self, name, samples):
        if self.training:  # losses are tried once before training
            self.turns.append((name, samples))

    def discriminator_loss(self, samples):
        self.watch("discriminator", samples)
        return super().discriminator_loss(samples)

    def generator_loss(self, samples):
        self.watch("generator", samples)
        reconstruction = (samples.fake - samples.real).square().mean()
        return {**super().generator_loss(samples), "reconstruction": reconstruction}


def test_further_players_and_networks_need_no_special_case():
    rows, labels = torch.randn(24, 2), torch.arange(24) % 3
    loader = DataLoader(TensorDataset(rows, labels), batch_size=12)
    model = ThreePlayers(**SMALL, n_critic=3)
    before = {name: snapshot(getattr(model, name)) for name in ("encoder", "classifier")}
    trainer = fitted(model, loader, max_steps=2, log_every_n_steps=1)
    order = ["classifier"] * 2 + ["discriminator"] * 3 + ["generator"]
    assert [name for name, _ in model.turns] == 2 * order
    # Twelve rows are three slices; who plays less often takes the last ones.
    starts = [4, 8, 0, 4, 8, 8]
    for (_, samples), start in zip(model.turns, starts, strict=False):
        assert torch.equal(samples.real, rows[start : start + 4])
        assert torch.equal(samples.labels, labels[start : start + 4])
    assert trainer.global_step == 2
    assert not same(before["encoder"], snapshot(model.encoder))
    assert not same(before["classifier"], snapshot(model.classifier))
    logged = set(model.last_logged)
    assert {"train/loss_classifier", "train/grad_norm_classifier"} <= logged
    assert {"train/adversarial_g", "train/reconstruction", "train/loss_g"} <= logged
    assert model.last_logged["train/cross_entropy"] == model.last_logged["train/loss_classifier"]


# Logits


@pytest.mark.parametrize("kind", [GAN, LSGAN, WGAN, WGANGP])
def test_logits_of_shape_n_1_and_n_give_the_same_run(kind, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    runs = []
    for flatten in (nn.Identity(), nn.Flatten(0)):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), flatten)
        model = kind(**{**SMALL, "discriminator": network}, n_critic=2)
        fitted(model, max_steps=3)
        runs.append(snapshot(model))
    assert same(*runs)


@pytest.mark.parametrize("outputs", [2, 3])
def test_other_outputs_of_a_discriminator_are_refused(outputs):
    model = GAN(**{**SMALL, "discriminator": nn.Linear(2, outputs)})
    message = rf"its output for 2 samples has shape \(2, {outputs}\), but must have shape \(2,\)"
    with pytest.raises(ValueError, match=message):
        fitted(model)


# Optimizers, schedules, clipping


def test_schedulers_step_once_a_round():
    cosine = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    trainer = fitted(GAN(**SMALL, n_critic=3, scheduler=cosine), max_steps=4)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates == pytest.approx([2e-4 / 16, 2e-4 / 16])


def test_training_beyond_the_period_of_a_schedule_is_warned_of():
    model = GAN(**SMALL, scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=3))
    with pytest.warns(UserWarning, match=r"rises again after update 3 .* until 4"):
        fitted(model, max_steps=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*rises again")
        fitted(model, max_steps=3)


def test_a_scheduler_that_waits_for_a_score_is_refused():
    model = GAN(**SMALL, scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    with pytest.raises(ValueError, match="ReduceLROnPlateau is not supported"):
        fitted(model)


def test_gradients_are_clipped_to_the_norm_and_logged_before_it():
    """With SGD at rate 1 the length of a step is the gradient's norm."""
    plain = partial(SGD, lr=1.0)
    lengths, norms = [], []
    for limit in (None, 1e-3):
        torch.manual_seed(0)
        model = GAN(**SMALL, optimizer_g=plain, optimizer_d=plain, gradient_clip_norm=limit)
        before = snapshot(model.discriminator)
        torch.manual_seed(0)
        fitted(model, max_steps=1, log_every_n_steps=1)
        step = [a - b for a, b in zip(before, snapshot(model.discriminator), strict=True)]
        lengths.append(torch.cat([s.flatten() for s in step]).norm().item())
        norms.append(model.last_logged["train/grad_norm_d"])
    assert lengths[1] == pytest.approx(1e-3, rel=1e-3)
    assert lengths[0] == pytest.approx(norms[0], rel=1e-3)
    assert norms[0] == pytest.approx(norms[1])


def test_frozen_parameters_stay_frozen_and_are_not_in_the_optimizer():
    model = GAN(**SMALL)
    frozen = model.generator.layers[0].weight.requires_grad_(False)
    before = frozen.clone()
    trainer = fitted(model)
    assert torch.equal(frozen, before)
    assert not frozen.requires_grad
    assert len(trainer.optimizers[1].param_groups[0]["params"]) == 3


def test_a_player_without_parameters_is_refused():
    model = GAN(**SMALL)
    model.discriminator.requires_grad_(False)
    with pytest.raises(ValueError, match="discriminator: it has no parameters to train"):
        fitted(model)


# What is logged


def test_rows_are_at_generator_updates_and_hold_the_contract_s_keys():
    logger = Rows()
    fitted(WGANGP(**SMALL, n_critic=2), max_steps=7, logger=logger, log_every_n_steps=3)
    assert [step for step, _ in logger.rows] == [3, 6]
    assert set(logger.rows[0][1]) == {
        f"train/{name}"
        for name in (
            *("loss_d", "loss_g", "adversarial_d", "gradient_penalty", "wasserstein"),
            *("d_real", "d_fake", "grad_norm_d", "grad_norm_g", "updates_per_s", "images_seen"),
            *("adversarial_g", "seconds", "cpu_seconds"),
        )
    }
    assert [row["train/images_seen"] for _, row in logger.rows] == [48, 96]


def test_logged_values_fit_each_other():
    logger = Rows()
    model = WGANGP(**SMALL, n_critic=1)
    fitted(model, max_steps=2, logger=logger, log_every_n_steps=1)
    for _, row in logger.rows:
        row = {name.removeprefix("train/"): value for name, value in row.items()}
        assert row["wasserstein"] == pytest.approx(row["d_real"] - row["d_fake"])
        assert row["adversarial_d"] == pytest.approx(-row["wasserstein"])
        assert row["loss_d"] == pytest.approx(row["adversarial_d"] + row["gradient_penalty"])
        assert row["updates_per_s"] > 0


def test_nothing_is_logged_through_lightning_step_by_step():
    """Each of its calls would cost a fifth of a millisecond."""
    model = GAN(**SMALL)
    model.log = model.log_dict = None
    fitted(model, max_steps=3, log_every_n_steps=1)


# Data


def test_strategies_that_split_a_model_are_refused(monkeypatch):
    model, trainer = GAN(**SMALL), quiet_trainer(2)
    # Lightning itself makes it for GPUs only.
    monkeypatch.setattr(type(trainer), "strategy", property(lambda trainer: FSDPStrategy()))
    monkeypatch.setattr(type(trainer), "precision", "32-true")
    monkeypatch.setattr(type(model), "trainer", trainer)
    with pytest.raises(ValueError, match=r"^trainer.strategy: FSDPStrategy splits.* Use ddp"):
        model.setup("fit")


def test_a_range_of_the_data_may_be_a_list():
    generator = DCGANGenerator(3, (1, 16, 16), width=2)
    fake = torch.zeros(2, 1, 16, 16)
    check_range(generator, fake, [-1.0, 1.0])
    with pytest.raises(ValueError, match=r"scaled to value_range \[0.0, 1.0\]"):
        check_range(generator, fake, [0.0, 1.0])


def test_a_first_batch_that_cannot_be_split_is_refused_before_any_update():
    model = Watched(**SMALL, n_critic=3)
    loader = DataLoader(TensorDataset(torch.randn(20, 2)), batch_size=10)
    with pytest.raises(ValueError, match="a batch of 10 samples cannot be split into 3 equal"):
        fitted(model, loader)
    assert model.updates == []


def test_a_shorter_last_batch_is_trimmed_and_a_tiny_one_left_out():
    """95 rows, 9 a batch: ten rounds of 3 x 3, then 5 rows that make a round of 3 x 1."""
    loader = DataLoader(TensorDataset(torch.randn(95, 2)), batch_size=9)
    model = Watched(**SMALL, n_critic=3)
    trainer = fitted(model, loader, max_steps=-1, max_epochs=1)
    assert trainer.global_step == 11
    assert model.images_seen == 93
    loader = DataLoader(TensorDataset(torch.randn(20, 2)), batch_size=9)
    with pytest.warns(UserWarning, match="Skipped a batch of 2 samples, too few for the 3 upd"):
        trainer = fitted(GAN(**SMALL, n_critic=3), loader, max_steps=-1, max_epochs=1)
    assert trainer.global_step == 2


class Coder(nn.Module):
    """An autoencoder of points with codes."""

    def __init__(self, shape):
        super().__init__()
        self.down, self.up = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, x):
        code = self.down(x)
        return self.up(code), code


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(MMDGAN, **SMALL), "it compares the samples of one update with each other"),
        (partial(GAN, **SMALL, loss=Cramer), "so it needs at least 2, got 1"),
        (partial(PacGAN, **SMALL, loss=Cramer, pack_size=2), "so it needs at least 4, got 1"),
        (partial(EBGAN, **{**SMALL, "discriminator": Coder}), "Use a larger batch_size"),
    ],
)
def test_a_single_sample_at_the_end_is_left_out_where_samples_are_compared(make, message):
    """13 rows are 3 batches of 4 and one of a single row."""
    rows = TensorDataset(torch.randn(13, 2))
    arguments = {"max_steps": -1, "max_epochs": 2}
    with pytest.warns(UserWarning, match="Skipped a batch of 1 samples"):
        trainer = fitted(make(n_critic=1), DataLoader(rows, batch_size=4), **arguments)
    assert trainer.global_step == 6
    with pytest.raises(ValueError, match=message):
        fitted(make(n_critic=1), DataLoader(rows, batch_size=1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            torch.full((8, 2), float("nan")),
            "16 of the first batch's 16 values are NaN or infinite",
        ),
        (torch.tensor([[1.0, 2.0]] * 7 + [[1.0, -math.inf]]), "1 of the first batch's 16 values"),
        (
            torch.zeros(8, 3),
            r"samples have shape \(3,\), but the generator makes samples of shape",
        ),
        (torch.zeros(8, 2, dtype=torch.uint8), "samples must be floating-point numbers, got"),
        (torch.zeros(8, 2, dtype=torch.float64), r"samples are torch\.float64, but the networks"),
    ],
)
def test_unusable_data_is_refused_before_any_update(rows, message):
    model = Watched(**SMALL)
    with pytest.raises(ValueError, match=message):
        fitted(model, DataLoader(TensorDataset(rows), batch_size=8))
    assert model.updates == []
    assert not model.has_trained


def test_a_batch_of_another_kind_is_refused():
    loader = DataLoader([{"x": torch.zeros(2)}] * 8, batch_size=4)
    with pytest.raises(
        ValueError, match=r"a batch must be a tensor of samples, .* got a dict with the keys x\."
    ):
        fitted(GAN(**SMALL), loader)


# Networks and arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generator": nn.Linear(3, 2)}, r"generator: it cannot read latents of shape \(N, 2\)"),
        ({"generator": nn.Linear(2, 3)}, r"makes samples of shape \(3,\), but those of the data"),
        (
            {"discriminator": nn.Linear(5, 1)},
            r"discriminator: it cannot read samples of shape \(2,",
        ),
        (
            {"discriminator": partial(MLPDiscriminator, num_outputs=4)},
            r"discriminator: its output for 2 samples has shape \(2, 4\), .* shape \(2,\) or",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_any_update(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted(GAN(**{**SMALL, **arguments}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"n_critic": 1.5}, "n_critic must be a whole number, got 1.5"),
        ({"num_classes": 2.0}, "num_classes must be a whole number, got 2.0"),
        ({"gradient_clip_norm": 0.0}, "gradient_clip_norm must be above 0, got 0.0"),
        ({"data_shape": None}, "data_shape must be given, unless"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GAN(**{**SMALL, **arguments})


def test_the_networks_check_leaves_no_trace():
    generator = MLPGenerator(2, (2,), [8, 8], normalization=nn.BatchNorm1d)
    model = GAN(**{**SMALL, "generator": generator})
    state = {name: value.clone() for name, value in model.state_dict().items()}
    fitted(model, max_steps=0)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_default_prior_is_sized_from_the_data():
    assert GAN(data_shape=(2,)).prior.dim == 2
    assert GAN(data_shape=(1, 28, 28)).prior.dim == 100


# Divergence


@pytest.mark.parametrize(
    ("player", "message"),
    [
        ("discriminator", r"loss_d is not finite at update 3: adversarial_d = nan"),
        ("generator", r"loss_g is not finite at update 3: adversarial_g = nan"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(player, message):
    model = Watched(**SMALL)
    usual = getattr(model, f"{player}_loss")

    def loss(samples):
        terms = usual(samples)
        if model.trainer.global_step == 2:
            terms = {name: term * float("nan") for name, term in terms.items()}
        return terms

    setattr(model, f"{player}_loss", loss)
    with pytest.raises(DivergenceError, match=message):
        fitted(model, max_steps=5)
    assert all(p.isfinite().all() for p in model.parameters())


def test_the_term_that_is_not_finite_is_named_among_others():
    class Broken(GradientPenalty):
        name = "broken"

        def penalize(self, view):
            return super().penalize(view) * float("inf")

    with pytest.raises(DivergenceError, match=r"loss_d .* update 1: broken = inf\. Training"):
        fitted(GAN(**SMALL, regularizers=[Broken()]))


def test_a_gradient_that_is_not_finite_is_noticed_by_the_next_loss_and_its_player_named():
    class Vertical(WGAN):
        def generator_loss(self, samples):
            zero = samples.fake.sum() * 0
            return {"adversarial_g": zero.abs().sqrt() if self.trainer.global_step == 2 else zero}

    model = Vertical(**SMALL, n_critic=1)
    with pytest.raises(DivergenceError, match="The weights of the generator are not") as stopped:
        fitted(model, max_steps=5)
    assert "loss_d is not finite at update 4: adversarial_d = nan" in str(stopped.value)
    assert stopped.value.samples.real.shape == (8, 2)
    assert stopped.value.samples.fake.isnan().all()


def test_a_gradient_that_is_not_finite_is_named_in_a_logged_row():
    class Vertical(WGAN):
        def generator_loss(self, samples):
            return {"adversarial_g": (samples.fake.sum() * 0).abs().sqrt()}

    with pytest.raises(DivergenceError, match="grad_norm_g is not finite at update 1: grad_norm_"):
        fitted(Vertical(**SMALL, n_critic=1), log_every_n_steps=1)


def test_fp16_steps_that_are_skipped_change_nothing_but_count_and_are_reported():
    """The scaler sees all steps, the uncounted ones of the discriminator too."""

    class Overflowing(WGAN):
        def discriminator_loss(self, samples):
            (term,) = super().discriminator_loss(samples).values()
            self.calls = getattr(self, "calls", 0) + self.training  # it is tried once before
            if self.calls == 4:  # the second of the second round
                self.before = snapshot(self.discriminator)
                term = term * 1e36
            elif self.calls == 5:
                self.after = snapshot(self.discriminator)
            return {"adversarial_d": term}

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1000)
    model = Overflowing(**SMALL, n_critic=2)
    rows = Rows()
    trainer = fitted(
        model,
        max_steps=3,
        log_every_n_steps=1,
        logger=rows,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
    )
    assert trainer.global_step == 3
    assert same(model.before, model.after)
    assert scaler.get_scale() == 512
    assert [row["train/skipped_steps"] for _, row in rows.rows] == [0, 1, 1]
    trainer.save_checkpoint("skipped.ckpt")
    record = torch.load("skipped.ckpt", weights_only=True)["lightning_gans"]
    assert record["skipped_steps"] == 1
    assert all(p.isfinite().all() for p in model.parameters())


# Sampling


def test_sampling_uses_evaluation_mode_and_gives_the_mode_back():
    generator = MLPGenerator(2, (2,), [8, 8], normalization=nn.BatchNorm1d)
    model = GAN(**{**SMALL, "generator": generator})
    buffers = [buffer.clone() for buffer in generator.buffers()]
    z = torch.randn(16, 2)
    whole = model.sample(z)
    assert_close(whole[:4], model.sample(z[:4]))
    assert generator.training
    assert not whole.requires_grad
    assert same(buffers, list(generator.buffers()))


def test_any_modules_and_any_prior_make_a_model_without_a_data_shape():
    model = GAN(generator=nn.Linear(3, 2), discriminator=nn.Linear(2, 1), prior=NormalPrior(3))
    fitted(model, DataLoader(TensorDataset(torch.randn(16, 2)), batch_size=8))
    assert model.sample(model.sample_latent(5)).shape == (5, 2)


def test_double_precision_runs_throughout():
    model = Watched(**SMALL, n_critic=2)
    fitted(model, precision="64-true", max_steps=1)
    samples = model.updates[0]["samples"]
    assert samples.real.dtype == samples.fake.dtype == samples.latent.dtype == torch.float64


def test_discriminators_may_be_built_or_given():
    shared = MLPDiscriminator((2,), [4])
    assert GAN(**{**SMALL, "discriminator": shared}).discriminator is shared


@pytest.mark.parametrize("kind", [GAN, WGANGP])
def test_losses_are_in_single_precision_under_bf16(kind):
    seen = []
    model = kind(**SMALL)
    usual = model.discriminator_loss

    def look(samples):
        terms = usual(samples)
        seen.append((samples.fake.dtype, terms["adversarial_d"].dtype))
        return terms

    model.discriminator_loss = look
    fitted(model, precision="bf16-mixed", max_steps=1)
    assert set(seen) == {(torch.bfloat16, torch.float32)}


class Caching(MixedPrecision):
    """Keeps weights in half precision for as long as an autocast lasts, which is PyTorch's way."""

    def autocast_context_manager(self):
        return torch.autocast("cpu", torch.bfloat16, cache_enabled=True)


def test_each_update_of_a_round_reads_the_weights_anew_under_any_autocast():
    weights = []
    for plugin in (MixedPrecision, Caching):
        torch.manual_seed(0)
        model = WGAN(**SMALL, n_critic=3, clip_value=0.5)
        fitted(model, max_steps=2, plugins=[plugin("bf16-mixed", "cpu")])
        weights.append(snapshot(model))
    assert same(*weights)


IN_HALF = {"GAN", "R3GAN", "EBGAN", "BEGAN", "VAEGAN", "StyleGAN2", "a lazy FeatureMatching"}
"""Games of which the quick tests look at the precision of each term."""


@pytest.mark.parametrize(
    "name",
    [name if name in IN_HALF else pytest.param(name, marks=pytest.mark.slow) for name in GAMES],
)
def test_every_term_is_in_single_precision_under_bf16(name, monkeypatch):
    found = []

    def look(player, terms, noted, names):
        found.extend((player.name, *item) for item in {**terms, **noted}.items())

    monkeypatch.setattr("lightning_gans.core.checks.check_terms", look)
    model = GAMES[name].model(1)
    model.float()
    fitted(model, GAMES[name].data(), max_steps=1, precision="bf16-mixed")
    assert found
    half = [(player, key) for player, key, term in found if term.dtype == torch.bfloat16]
    assert half == []


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_weights_in_half_precision_are_refused(precision):
    model = GAN(**SMALL)
    with pytest.raises(ValueError, match=f"precision: {precision} is not supported"):
        fitted(model, precision=precision)
    assert not model.has_trained


def test_a_model_in_double_precision_samples_from_any_latents():
    model = GAN(**SMALL)
    fitted(model, precision="64-true", max_steps=1)
    z = torch.randn(3, 2)
    samples = model.double().sample(z)
    assert samples.dtype == torch.float64
    assert torch.equal(samples, model.sample(z.double()))


def test_a_number_of_samples_draws_its_latents():
    model = GAN(**SMALL)
    torch.manual_seed(1)
    samples = model.sample(5)
    torch.manual_seed(1)
    assert torch.equal(samples, model.sample(model.sample_latent(5)))
    with pytest.raises(ValueError, match="latent must be at least 1, got 0"):
        model.sample(0)
    with pytest.raises(ValueError, match=r"the model has no classes, got 1\. Leave labels out"):
        model.sample(5, labels=1)


@pytest.mark.parametrize(
    ("precision", "flags", "warns"),
    [
        ("bf16-mixed", "avx2 avx512f", True),
        ("bf16-mixed", "avx2 avx512_bf16", False),
        ("bf16-mixed", None, False),
        ("32-true", "avx2 avx512f", False),
    ],
)
def test_half_precision_without_instructions_for_it_is_warned_of(
    precision, flags, warns, tmp_path, recwarn
):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    trainer = quiet_trainer(1, precision=precision)
    warn_of_emulated_bf16(trainer, tmp_path / "cpuinfo")
    found = ["no bf16 instructions" in str(warning.message) for warning in recwarn]
    assert any(found) == warns


@pytest.mark.parametrize("limits", [(1.0, 1.0), (1.0, 0.0), (0.0, float("inf")), (0.0,), 3])
def test_a_range_that_a_checkpoint_could_not_keep_is_refused(limits):
    data = small_ring()
    data.value_range = limits
    model = GAN(**SMALL)
    with pytest.raises(
        ValueError, match="data: value_range must be two finite numbers, the least"
    ):
        fitted(model, data)
    assert not model.has_trained
    data.value_range = torch.tensor([-1.0, 2.0])
    fitted(model, data, max_steps=1)
    assert model.value_range == (-1.0, 2.0)
    data.value_range = None  # of samples without bounds
    fitted(model, data, max_steps=1)
    assert model.value_range is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.full((5,), 9), "labels must be from 0 to 2, got 9"),
        (torch.tensor([0, 1, -1, 0, 0]), "labels must be from 0 to 2, got -1"),
        (torch.tensor([0, 1]), r"a tensor of shape \(5,\) or \(5, 3\), got \(2,\)"),
        ([0, 1], r"labels must be one class, or a tensor of shape \(5,\), got \[0, 1\]"),
        (True, "labels must be one class, .*, got True"),
        (torch.zeros(5), r"labels of shape \(5,\) must be torch.int64, got torch.float32"),
        (torch.ones(5, 3, dtype=torch.int64), r"\(5, 3\) are weights .*, got torch.int64"),
    ],
)
def test_labels_that_fit_no_samples_are_refused(labels, message):
    model = CGAN(data_shape=(2,), num_classes=3)
    with pytest.raises(ValueError, match=message):
        model.sample(5, labels)
    shares = torch.full((5, 3), 1 / 3)
    assert model.sample(5, shares).shape == (5, 2)


def test_samples_of_classes_are_exported_whose_labels_cannot_be_checked():
    class OfClasses(nn.Module):
        def __init__(self):
            super().__init__()
            self.gan = CGAN(data_shape=(2,), num_classes=3).eval()

        def forward(self, latent, labels):
            return self.gan.sample(latent, labels)

    model = OfClasses()
    latent = model.gan.sample_latent(4)
    labels = torch.tensor([0, 1, 2, 0])
    exported = torch.export.export(model, (latent, labels))
    assert_close(exported.module()(latent, labels), model(latent, labels))


def test_numbers_of_numpy_are_numbers_of_samples_and_classes():
    model = CGAN(data_shape=(2,), num_classes=3)
    assert model.sample(np.int64(4), np.int32(2)).shape == (4, 2)


@pytest.mark.parametrize("number", [True, 2.0, (3,), "3", None])
def test_what_is_no_number_of_samples_is_refused(number):
    with pytest.raises(ValueError, match=r"latent must be N, or latents of shape \(N, Z\), got"):
        GAN(**SMALL).sample(number)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularizers": R1()}, r"regularizers must be a list, got R1\(.*\)\. Use \[R1\(\)\]"),
        (
            {"regularizers": [R1]},
            r"regularizers must hold regularizers such as R1\(\), got <class",
        ),
        ({"regularizers_g": Cramer()}, r"regularizers_g must be a list, got Cramer"),
        ({"data_shape": 2}, r"data_shape must be whole numbers of at least 1, got 2\. Use \(2,\)"),
        ({"data_shape": (2, 0)}, r"data_shape must be whole numbers of at least 1, got \(2, 0\)"),
        (
            {"augment": InstanceNoise},
            r"augment must be a module, such as DiffAugment\(\), got <c",
        ),
    ],
)
@pytest.mark.parametrize("variant", [GAN, CycleGAN])
def test_parts_of_another_kind_are_refused(variant, arguments, message):
    with pytest.raises(ValueError, match=message):
        variant(**{"data_shape": (2,), **arguments})


def test_a_prior_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"prior must be a Prior, such as NormalPrior\(64\)"):
        GAN(data_shape=(2,), prior=64)


@pytest.mark.parametrize("variant", [R3GAN, StyleGAN2])
def test_penalties_of_weight_nothing_are_left_out(variant):
    images = {"data_shape": (1, 16, 16)}
    assert {r.name for r in variant(**images).regularizers} >= {"r1"}
    assert len(variant(**images, gamma=0).regularizers) == 0


def test_lists_of_any_kind_and_whole_numbers_of_any_kind_pass():
    parts = nn.ModuleList([R1()])
    assert len(GAN(data_shape=[np.int64(2)], regularizers=parts).regularizers) == 1
    assert len(GAN(data_shape=torch.Size([2]), regularizers=(R1(),)).regularizers) == 1
