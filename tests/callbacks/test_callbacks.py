"""Averages, scores, checkpoints and progress."""

import os
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, SMALL_CVAE, MadeImages, Rows, fitted, quiet_trainer, small_ring
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrizations
from torch.testing import assert_close
from torch.utils.data import DataLoader
from torchmetrics import Metric

from lightning_gans import CVAEGAN, GAN, WGANGP, load
from lightning_gans.callbacks import (
    AtomicCheckpointIO,
    Checkpoint,
    Evaluation,
    GeneratorEMA,
    GeneratorSWA,
    Progress,
)
from lightning_gans.callbacks.progress import _total_updates
from lightning_gans.metrics import SlicedWasserstein, fitting_metrics
from lightning_gans.metrics.base import RecordMetric, SampleMetric, Score
from lightning_gans.networks import MLPGenerator
from lightning_gans.optimizers import GANAdam

VALIDATED = {
    "limit_val_batches": 1.0,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
}


# Averaging


class History(pl.Callback):
    """Notes the generator's state after every update."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, model, *_):
        state = model.generator.state_dict()
        self.states.append({name: value.clone() for name, value in state.items()})


@pytest.mark.parametrize("decay", [0.0, 0.4, 0.9])
def test_the_average_is_the_recursion_over_weights_and_buffers(decay):
    generator = MLPGenerator(2, (2,), [8, 8], normalization=nn.BatchNorm1d)
    expected = {name: value.clone().double() for name, value in generator.state_dict().items()}
    average, history = GeneratorEMA(decay), History()
    fitted(
        GAN(data_shape=(2,), generator=generator, n_critic=3),
        max_steps=6,
        callbacks=[average, history],
    )
    assert len(history.states) == 6  # generator updates, whatever n_critic
    for n, state in enumerate(history.states, 1):
        keep = min(decay, (1 + n) / (10 + n))
        for name, value in state.items():
            if value.is_floating_point():
                expected[name] = keep * expected[name] + (1 - keep) * value.double()
            else:
                expected[name] = value.double()
    found = average.networks["generator"].state_dict()
    assert any("running_var" in name for name in found)
    for name, value in expected.items():
        assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)


def test_the_average_is_what_is_evaluated_and_the_generator_what_is_trained():
    model = GAN(**SMALL)
    average = GeneratorEMA(0.5)
    fakes = []

    class Look(pl.Callback):
        def on_validation_batch_end(self, trainer, module, outputs, batch, batch_idx):
            fakes.append((outputs["latent"], outputs["fake"]))
            assert module.generator is model.generator
            assert not any("_view" in name for name in module.state_dict())

    fitted(model, max_steps=4, callbacks=[average, Look()], **VALIDATED, val_check_interval=4)
    latent, fake = fakes[-1]
    assert torch.equal(fake, average.networks["generator"](latent))
    assert not torch.equal(fake, model.generator(latent))
    assert not any(
        parameter.requires_grad for parameter in average.networks["generator"].parameters()
    )
    assert all(parameter.requires_grad for parameter in model.generator.parameters())


def test_without_an_average_in_the_checkpoint_it_starts_at_the_generator(tmp_path):
    model = GAN(**SMALL)
    fitted(
        model,
        max_steps=2,
        enable_checkpointing=True,
        callbacks=[Checkpoint(dirpath=str(tmp_path))],
    )
    average = GeneratorEMA()
    trainer = quiet_trainer(2, callbacks=[average], **VALIDATED)
    with pytest.warns(UserWarning, match="The checkpoint has no averaged generator"):
        trainer.validate(GAN(**SMALL), small_ring(), ckpt_path=str(tmp_path / "last.ckpt"))
    z = torch.randn(3, 2)
    assert torch.equal(average.networks["generator"](z), model.sample(z))


def test_the_average_follows_the_precision():
    average = GeneratorEMA()
    fitted(GAN(**SMALL), max_steps=2, precision="64-true", callbacks=[average])
    assert {p.dtype for p in average.networks["generator"].parameters()} == {torch.float64}


class Mixed(nn.Module):
    """A generator of weights in two precisions, with a buffer of every kind."""

    def __init__(self):
        super().__init__()
        self.first = parametrizations.spectral_norm(nn.Linear(2, 4))
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2).double()
        self.register_buffer("mask", torch.full((2,), float("-inf")))
        self.register_buffer("mean", torch.zeros(4, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, z):
        hidden = self.norm(self.first(z)).double()
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * hidden.detach().mean(0)
            self.count += 1
        return self.last(hidden).float()


def test_weights_are_averaged_in_their_own_precision_and_other_buffers_copied():
    average, history = GeneratorEMA(0.5), History()
    generator = Mixed()
    start = {name: value.clone() for name, value in generator.state_dict().items()}
    fitted(GAN(data_shape=(2,), generator=generator), max_steps=1, callbacks=[average, history])
    (state,) = history.states
    found = average.networks["generator"].state_dict()
    assert found.keys() == state.keys()
    keep = 2 / 11
    averaged = {
        *("first.bias", "first.parametrizations.weight.original", "last.weight", "last.bias"),
        *("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"),
    }
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        if name in averaged:
            expected = torch.lerp(start[name], value, 1 - keep)
            assert_close(found[name], expected, rtol=1e-6, atol=1e-7)
        else:
            assert torch.equal(found[name], value), name
    copied = {"norm.num_batches_tracked", "mask", "mean", "count"}
    assert copied < state.keys() - averaged
    assert state["count"] > 0
    assert state["mean"].abs().max() > 0


@pytest.mark.parametrize(
    ("arguments", "update", "images", "kept"),
    [
        ({}, 1, 8, 2 / 11),
        ({}, 10**6, 8, 0.999),
        ({"decay": 0.9}, 3, 8, 4 / 13),
        ({"half_life": 10_000.0}, 7, 64, 0.5 ** (64 / 10_000)),
        # Karras et al.'s code: 64 images an update, after 64 and after 64,000 images.
        ({"half_life": 10_000.0, "rampup": 0.05}, 1, 64, 9.5367431640625e-07),
        ({"half_life": 10_000.0, "rampup": 0.05}, 1000, 64, 0.9862327044933592),
        ({"half_life": 500_000.0}, 1, 64, 0.9999112810966431),
        ({"half_life": 0.0}, 9, 64, 0.0),
        ({"decay": 0.9, "start": 100}, 100, 8, 0.0),
        ({"decay": 0.9, "start": 100}, 101, 8, 0.9),
    ],
)
def test_an_update_keeps_the_share_of_its_decay_or_half_life(arguments, update, images, kept):
    assert GeneratorEMA(**arguments)._kept(update, images) == pytest.approx(kept, rel=1e-12)


def test_the_plain_mean_is_over_the_updates_after_its_start():
    average, history = GeneratorSWA(start=2), History()
    generator = MLPGenerator(2, (2,), [8, 8], normalization=nn.BatchNorm1d)
    fitted(GAN(data_shape=(2,), generator=generator), max_steps=6, callbacks=[average, history])
    found = average.networks["generator"].state_dict()
    for name, value in found.items():
        counted = torch.stack([state[name] for state in history.states[2:]])
        if value.is_floating_point():
            assert_close(value, counted.mean(0), rtol=1e-5, atol=1e-6)
            assert not torch.equal(value, counted[-1])
        else:
            assert torch.equal(value, counted[-1])


@pytest.mark.parametrize(("update", "kept"), [(1, 0.0), (3, 0.0), (4, 0.5), (12, 0.9)])
def test_the_plain_mean_keeps_what_the_updates_before_weigh(update, kept):
    assert GeneratorSWA(start=2)._kept(update, 8) == pytest.approx(kept, abs=1e-15)


def test_the_half_life_counts_the_images_of_one_update():
    """Not those of all n_critic of a round."""
    average, history = GeneratorEMA(half_life=16.0), History()
    model = GAN(**SMALL, n_critic=3)
    start = {name: value.clone() for name, value in model.generator.state_dict().items()}
    fitted(model, small_ring(batch_size=8), max_steps=1, callbacks=[average, history])
    assert model.images_per_update == 8
    found = average.networks["generator"].state_dict()
    for name, value in history.states[0].items():
        assert_close(found[name], torch.lerp(start[name], value, 1 - 0.5**0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 1.0}, "decay must be at least 0 and below 1, got 1.0"),
        ({"decay": 0.9, "half_life": 1.0}, "decay and half_life are mutually exclusive"),
        ({"half_life": -1.0}, "half_life must be a finite number of images of at least 0"),
        ({"rampup": 0.05}, "rampup limits the half-life. Use it with half_life"),
        ({"half_life": 1.0, "rampup": 0.0}, "rampup must be above 0, got 0.0"),
        ({"start": -1}, "start must be at least 0, got -1"),
    ],
)
def test_arguments_of_an_average_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GeneratorEMA(**arguments)


@pytest.mark.parametrize(
    ("updates", "lr", "decay"),
    [(200, 2e-2, 0.98), pytest.param(2000, 2e-3, 0.999, marks=pytest.mark.slow)],
)
def test_a_generator_with_spectral_norm_is_served_with_norm_1(updates, lr, decay, tmp_path):
    """The vectors of the power method are those of the weights that move on, here by much."""
    torch.manual_seed(0)

    def generator():
        first, second = (nn.Linear(n, m) for n, m in ((2, 16), (16, 2)))
        norm = parametrizations.spectral_norm
        return nn.Sequential(norm(first), nn.ReLU(), norm(second))

    adam = partial(GANAdam, lr=lr, beta1=0.0, beta2=0.9)
    average, saver = GeneratorEMA(decay), Checkpoint(dirpath=str(tmp_path))
    model = WGANGP(**{**SMALL, "generator": generator()}, n_critic=1, optimizer_g=adam)
    fitted(
        model,
        max_steps=updates,
        enable_checkpointing=True,
        callbacks=[average, saver],
        limit_val_batches=1,
        val_check_interval=updates,
        check_val_every_n_epoch=None,
    )
    networks = {"generator": generator(), "discriminator": SMALL["discriminator"]}
    opened = load(tmp_path / "last.ckpt", **networks)
    for network in (average.networks["generator"], opened.generator):
        for layer in (network[0], network[2]):
            norm = torch.linalg.matrix_norm(layer.weight.detach().double(), 2).item()
            assert norm == pytest.approx(1, abs=0.01)


def test_a_second_fit_continues_the_average(tmp_path):
    def parts():
        torch.manual_seed(1)
        saver = Checkpoint(dirpath=str(tmp_path), every_n_updates=3)
        return GAN(**SMALL), GeneratorEMA(0.9), saver

    model, average, _ = parts()
    fitted(model, max_steps=6, callbacks=[average])
    other, again, saver = parts()
    fitted(other, max_steps=3, enable_checkpointing=True, callbacks=[again, saver])
    path = str(tmp_path / "last.ckpt")
    trainer = quiet_trainer(6, callbacks=[again])
    trainer.fit(other, small_ring(), ckpt_path=path)
    ours, theirs = (x.networks["generator"].state_dict() for x in (again, average))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_every_network_that_the_model_names_is_averaged():
    model = CVAEGAN(data_shape=(1, 16, 16), **SMALL_CVAE)
    average = GeneratorEMA(0.5)
    fitted(model, MadeImages(), max_steps=2, callbacks=[average], **VALIDATED)
    assert list(average.networks) == ["generator", "encoder"]
    for name, network in average.networks.items():
        weights = zip(network.parameters(), getattr(model, name).parameters(), strict=True)
        assert not any(torch.equal(one, other) for one, other in weights if one.ndim > 1)
        assert getattr(model.evaluated, name) is network


def test_lazy_layers_are_averaged_once_they_have_weights(tmp_path):
    def model():
        generator = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.Linear(4, 2))
        return GAN(data_shape=(2,), generator=generator)

    average = GeneratorEMA(0.5)
    saver = Checkpoint(dirpath=str(tmp_path))
    trained = model()
    fitted(trained, max_steps=3, enable_checkpointing=True, callbacks=[average, saver])
    weights = dict(average.networks["generator"].named_parameters())
    assert not torch.equal(weights["0.weight"], trained.generator[0].weight)
    again = GeneratorEMA(0.5)
    trainer = quiet_trainer(5, callbacks=[again])
    trainer.fit(model(), small_ring(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert trainer.global_step == 5
    assert not any(
        isinstance(p, UninitializedParameter) for p in again.networks["generator"].parameters()
    )


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=f"decay must be at least 0 and below 1, got {decay}"):
        GeneratorEMA(decay)


# Scores


class Mean(Metric):
    """A user's own metric: the mean of the generated and of the real samples."""

    def __init__(self):
        super().__init__()
        self.add_state("sums", torch.zeros(2), dist_reduce_fx="sum")

    def update(self, samples, *, real):
        self.sums[int(real)] += samples.double().mean()

    def compute(self):
        return {"fake_mean": self.sums[0], "real_mean": self.sums[1]}


def test_metrics_fit_what_the_data_tells():
    names = [type(metric).__name__ for metric in fitting_metrics(small_ring())]
    assert names == [
        *("ModeCoverage", "Wasserstein", "Wasserstein", "SlicedWasserstein"),
        "HistogramDivergence",
    ]
    assert fitting_metrics(None) == []


def test_scores_are_logged_for_callbacks_and_at_generator_updates():
    rows = []

    class Logger(pl.loggers.logger.DummyLogger):
        def log_metrics(self, metrics, step=None):
            rows.append((step, metrics))

    evaluation = Evaluation()
    trainer = fitted(
        GAN(**SMALL, n_critic=2),
        max_steps=5,
        logger=Logger(),
        callbacks=[evaluation],
        **VALIDATED,
        val_check_interval=2,
    )
    scored = [(step, row) for step, row in rows if any(k.startswith("val/") for k in row)]
    assert [step for step, _ in scored] == [2, 4, 5]  # the last state is scored in any case
    names = {
        *("modes", "modes_pacgan", "high_quality", "reverse_kl", "w1", "w2", "sliced_w"),
        *("kl", "js", "cross_entropy"),
    }
    assert set(scored[-1][1]) == {f"val/{name}" for name in names}
    assert evaluation.num_samples == 64
    assert trainer.callback_metrics["val/w1"] == pytest.approx(evaluation.scores["w1"])


def test_floors_are_what_further_real_samples_score():
    evaluation = Evaluation()
    ring = small_ring(num_eval_samples=500)
    fitted(GAN(**SMALL), ring, 1, callbacks=[evaluation], **VALIDATED, val_check_interval=1)
    expected = SlicedWasserstein()
    expected.update(ring.evaluation_set(0), real=True)
    expected.update(ring.evaluation_set(1), real=False)
    assert evaluation.floors["sliced_w"] == pytest.approx(float(expected.compute()["sliced_w"]))
    assert evaluation.floors["modes"] == 8
    assert evaluation.floors["w1"] < evaluation.scores["w1"]


class Counted(SampleMetric):
    """Tells how many samples of each kind it was given."""

    about = (Score("real", "number"), Score("fake", "number"))

    def compute(self):
        real, fake = self.collected()
        return {"real": torch.tensor(len(real)), "fake": torch.tensor(len(fake))}


class CountedAnew(RecordMetric):
    """The same of a metric that is given the real samples again each time."""

    about = (Score("real_anew", "number"), Score("fake_anew", "number"))

    def __init__(self):
        super().__init__()
        self.add_state("numbers", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, samples, *, real):
        self.numbers[0 if real else 1] += len(samples)

    def compute(self):
        return dict(zip(self.scores, self.numbers, strict=True))


def test_floors_are_of_as_many_samples_as_scores():
    evaluation = Evaluation([Counted(), CountedAnew()])
    ring = small_ring(num_eval_samples=500)
    ring.eval_batch_size = 40
    limits = {**VALIDATED, "limit_val_batches": 3}
    fitted(GAN(**SMALL), ring, 1, callbacks=[evaluation], **limits, val_check_interval=1)
    expected = dict.fromkeys(("real", "fake", "real_anew", "fake_anew"), 120)
    assert evaluation.scores == evaluation.floors == expected


def test_a_users_own_metric_takes_the_place_of_the_usual_ones():
    evaluation = Evaluation([Mean()])
    ring = small_ring()
    fitted(GAN(**SMALL), ring, 1, callbacks=[evaluation], **VALIDATED, val_check_interval=1)
    assert set(evaluation.scores) == {"fake_mean", "real_mean"}
    assert evaluation.scores["real_mean"] == pytest.approx(float(ring.evaluation_set(0).mean()))
    assert evaluation.known_scores() is None


def test_validation_repeats_the_scores_of_training_to_the_last_bit(tmp_path):
    first, second = Evaluation(), Evaluation()
    model = GAN(**SMALL)
    fitted(
        model,
        max_steps=3,
        enable_checkpointing=True,
        callbacks=[first, GeneratorEMA(0.5), Checkpoint(dirpath=str(tmp_path))],
        **VALIDATED,
        val_check_interval=3,
    )
    rows = Rows()
    trainer = quiet_trainer(
        3, callbacks=[second, GeneratorEMA(0.5)], limit_val_batches=1.0, logger=rows
    )
    trainer.validate(GAN(**SMALL), small_ring(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert first.scores == second.scores
    assert rows.rows == [(3, {f"val/{name}": value for name, value in first.scores.items()})]
    assert first.floors == second.floors
    other = Evaluation()
    trainer = quiet_trainer(3, callbacks=[other, GeneratorEMA(0.5)], limit_test_batches=1.0)
    trainer.test(GAN(**SMALL), small_ring(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert set(other.scores) == set(first.scores)
    assert other.scores["w1"] != first.scores["w1"]  # other real samples
    assert "test/w1" in trainer.callback_metrics


class Generated(pl.Callback):
    def __init__(self):
        self.parts = []

    def on_validation_batch_end(self, trainer, module, outputs, *_):
        self.parts.append(outputs["fake"])


def test_generated_samples_of_an_evaluation_do_not_depend_on_its_batches():
    model = GAN(**SMALL)
    found = []
    for size in (50, 70, 100):
        data = small_ring(num_eval_samples=100)
        data.eval_batch_size = size
        generated = Generated()
        pl.seed_everything(0)
        trainer = quiet_trainer(1, callbacks=[generated], **VALIDATED)
        trainer.validate(model, data, verbose=False)
        assert len(generated.parts) == -(-100 // size)
        found.append(torch.cat(generated.parts))
    # The last bits depend on how many rows a matrix product has.
    assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)
    assert_close(found[0], found[2], rtol=1e-5, atol=1e-6)


def test_the_table_sets_scores_beside_floors(capsys):
    fitted(GAN(**SMALL), max_steps=1, callbacks=[Evaluation()], **VALIDATED, val_check_interval=1)
    printed = capsys.readouterr().out
    assert "Scores of 64 generated samples" in printed
    (line,) = [line for line in printed.splitlines() if line.strip().startswith("modes ")]
    assert line.split()[2:5] == ["8", "\u2191", "among"]


# Checkpoints


class Scores(pl.Callback):
    """Gives a score of our choice at every validation."""

    def __init__(self, values):
        self.values = iter(values)

    def on_validation_epoch_end(self, trainer, model):
        model.log("val/score", next(self.values), logger=False)


def saved_at(path):
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", [3.0, 1.0, 2.0], 4),
        ("max", [3.0, 1.0, 2.0], 2),
        ("min", [float("nan"), 5.0, float("nan")], 4),
        ("min", [1.0, 1.0, 1.0], 2),
    ],
)
def test_the_best_state_is_kept_beside_the_last(mode, values, best, tmp_path):
    saver = Checkpoint("val/score", mode, every_n_updates=100, dirpath=str(tmp_path))
    fitted(
        GAN(**SMALL),
        max_steps=7,
        enable_checkpointing=True,
        callbacks=[Scores(values), saver],
        **VALIDATED,
        val_check_interval=2,
    )
    assert saved_at(tmp_path / "best.ckpt") == best == saver.best_update
    assert saved_at(tmp_path / "last.ckpt") == 7
    assert saver.best_model_path == str(tmp_path / "best.ckpt")
    assert sorted(os.listdir(tmp_path)) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("cadence", [2, 3, 6])
def test_the_last_validation_counts_whenever_the_last_checkpoint_was_written(cadence, tmp_path):
    saver = Checkpoint("val/score", every_n_updates=cadence, dirpath=str(tmp_path))
    fitted(
        GAN(**SMALL),
        max_steps=6,
        enable_checkpointing=True,
        callbacks=[Evaluation([Mean()]), Scores([3.0, 1.0]), saver],
        **VALIDATED,
        val_check_interval=4,
    )
    for name in ("best", "last"):
        saved = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        assert saved["global_step"] == 6
        state = saved["callbacks"]["Checkpoint"]
        assert (state["best_score"], state["best_update"]) == (1.0, 6)


@pytest.mark.parametrize(
    ("monitor", "mode", "best"),
    [("val/score", "min", 2), ("val/fake_mean", "min", 6), ("val/score", "max", 6)],
)
def test_another_score_has_another_best_state(monitor, mode, best, tmp_path):
    def run(steps, monitor, mode, values, path=None):
        saver = Checkpoint(monitor, mode, every_n_updates=100, dirpath=str(tmp_path))
        trainer = quiet_trainer(
            steps,
            enable_checkpointing=True,
            callbacks=[Evaluation([Mean()]), Scores(values), saver],
            **VALIDATED,
            val_check_interval=2,
        )
        trainer.fit(GAN(**SMALL), small_ring(), ckpt_path=path)
        return saver

    run(4, "val/score", "min", [-1e3, 0.0])
    saver = run(6, monitor, mode, [-2.0], str(tmp_path / "last.ckpt"))
    assert saver.best_update == best == saved_at(tmp_path / "best.ckpt")


def test_checkpoints_come_at_their_cadence_after_validation_and_at_the_end(tmp_path):
    events = []

    class Log(pl.Callback):
        def on_validation_end(self, trainer, model):
            events.append(("validated", trainer.global_step))

    class Noted(Checkpoint):
        def _save(self, trainer, name):
            super()._save(trainer, name)
            events.append((name, trainer.global_step))

    saver = Noted(every_n_updates=2, dirpath=str(tmp_path))
    fitted(
        GAN(**SMALL, n_critic=3),
        max_steps=7,
        enable_checkpointing=True,
        callbacks=[saver, Log()],
        **VALIDATED,
        val_check_interval=4,
    )
    assert events == [("last", 2), ("validated", 4), ("last", 4), ("last", 6), ("last", 7)]


def test_loggers_are_flushed_before_a_checkpoint(tmp_path):
    order = []

    class Logger(pl.loggers.logger.DummyLogger):
        def save(self):
            order.append("flushed")

    class Noted(AtomicCheckpointIO):
        def save_checkpoint(self, *arguments, **keywords):
            order.append("written")
            super().save_checkpoint(*arguments, **keywords)

    saver = Checkpoint(every_n_updates=1, dirpath=str(tmp_path))
    fitted(
        GAN(**SMALL),
        max_steps=2,
        logger=Logger(),
        plugins=[Noted()],
        enable_checkpointing=True,
        callbacks=[saver],
    )
    assert [order[i - 1] for i, what in enumerate(order) if what == "written"] == ["flushed"] * 2


def test_an_unknown_score_is_refused_before_any_update(tmp_path):
    model = GAN(**SMALL)
    with pytest.raises(ValueError, match=r"monitor: val/fid is not among the scores of this data"):
        fitted(
            model,
            enable_checkpointing=True,
            callbacks=[Checkpoint("val/fid", dirpath=str(tmp_path)), Evaluation()],
            **VALIDATED,
            val_check_interval=1,
        )
    assert not model.has_trained


def test_a_failed_write_leaves_the_old_checkpoint_and_no_other_file(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        AtomicCheckpointIO().save_checkpoint({"a": torch.ones(9), "b": lambda: None}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    (tmp_path / "last.ckpt.part").write_bytes(b"half")
    fitted(
        GAN(**SMALL),
        max_steps=1,
        enable_checkpointing=True,
        callbacks=[Checkpoint(dirpath=str(tmp_path))],
    )
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_lightnings_words_for_the_last_and_the_best_are_understood(tmp_path):
    saver = Checkpoint("val/score", every_n_updates=100, dirpath=str(tmp_path))
    trainer = fitted(
        GAN(**SMALL),
        max_steps=4,
        enable_checkpointing=True,
        callbacks=[Scores([1.0, 2.0, 0.0, 0.0]), saver],
        **VALIDATED,
        val_check_interval=2,
    )
    for word, name in (("best", "best.ckpt"), ("last", "last.ckpt")):
        trainer.validate(GAN(**SMALL), small_ring(), ckpt_path=word)
        assert os.path.basename(trainer.ckpt_path) == name


def test_a_cadence_below_one_is_refused():
    with pytest.raises(ValueError, match="every_n_updates must be at least 1, got 0"):
        Checkpoint(every_n_updates=0)


# Progress


def test_without_a_terminal_a_line_comes_now_and_then(capsys):
    bar = Progress(every_n_seconds=1e-6)
    fitted(
        GAN(**SMALL), max_steps=3, enable_progress_bar=True, callbacks=[bar], log_every_n_steps=1
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:3]] == [
        "update 1 of 3 (33%)",
        "update 2 of 3 (67%)",
        "update 3 of 3 (100%)",
    ]
    assert "left" in lines[0]
    assert "loss_d" in lines[0]
    assert "updates/s" in lines[0]


def test_the_last_line_has_the_scores_of_the_last_update(capsys):
    bar = Progress(every_n_seconds=1e-6)
    fitted(
        GAN(**SMALL),
        max_steps=2,
        enable_progress_bar=True,
        callbacks=[bar, Evaluation()],
        limit_val_batches=1.0,
        val_check_interval=2,
        check_val_every_n_epoch=None,
    )
    lines = [one for one in capsys.readouterr().out.splitlines() if one.startswith("update 2 of")]
    assert len(lines) == 2
    assert "w1" not in lines[0]
    assert "w1" in lines[1]


def test_a_quick_run_prints_its_end_only(capsys):
    fitted(GAN(**SMALL), max_steps=3, enable_progress_bar=True, callbacks=[Progress()])
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_steps": 3, "max_epochs": 2}, 3),
        ({"max_steps": 3, "max_epochs": 1}, 2),
        ({"max_steps": 3}, 3),
    ],
)
def test_the_total_is_the_nearest_limit(limits, expected):
    trainer = fitted(GAN(**SMALL), limit_train_batches=2, **limits)
    assert _total_updates(trainer) == expected


def test_the_total_of_endless_data_is_unknown():
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            while True:
                yield torch.zeros(2)

    loader = torch.utils.data.DataLoader(Endless(), batch_size=4)
    trainer = fitted(
        GAN(**SMALL),
        loader,
        max_steps=-1,
        max_epochs=1,
        max_time={"milliseconds": 50},
        callbacks=[Progress()],
        enable_progress_bar=True,
    )
    assert trainer.global_step > 0
    assert _total_updates(trainer) is None


def test_a_pause_that_is_none_is_refused():
    with pytest.raises(ValueError, match="every_n_seconds must be above 0, got 0"):
        Progress(every_n_seconds=0)


@pytest.mark.parametrize("callbacks", [[], [Evaluation()]])
def test_a_loader_alone_has_no_scores_to_monitor(callbacks):
    loaders = [DataLoader(torch.randn(32, 3), batch_size=8) for _ in range(2)]
    checkpoint = Checkpoint("val/sliced_w", every_n_updates=2)
    trainer = quiet_trainer(
        max_steps=4,
        callbacks=[*callbacks, checkpoint],
        enable_checkpointing=True,
        limit_val_batches=1.0,
    )
    with pytest.raises(ValueError, match=r"there is no val/sliced_w, since nothing is scored\. "):
        trainer.fit(GAN(data_shape=(3,)), *loaders)
