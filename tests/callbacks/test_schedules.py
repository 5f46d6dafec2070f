"""Scalars that are functions of the update."""

import re
from functools import partial
from math import cos, pi
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from conftest import SMALL, MadeImages, Rows, fitted, quiet_trainer, same, small_ring, snapshot
from torch.optim.lr_scheduler import LambdaLR

from lightning_gans import GAN, R3GAN
from lightning_gans.augment import DiffAugment, InstanceNoise
from lightning_gans.callbacks import Checkpoint, GeneratorEMA, Schedule
from lightning_gans.cli.main import main
from lightning_gans.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import R1, BalancedConsistency


@pytest.mark.parametrize(
    ("shape", "updates", "value"),
    [
        ("linear", 100, 1.0),
        ("linear", 125, 0.775),
        ("cosine", 100, 1.0),
        # As in the authors' code of R3GAN: base + (1 - decay) * (final - base).
        ("cosine", 125, 1.0 + (1 - 0.5 * (1 + cos(pi / 4))) * (0.1 - 1.0)),
        ("cosine", 150, 0.55),
        ("exponential", 100, 1.0),
        ("exponential", 150, 0.1**0.5),
        *((shape, n, 0.1) for shape in ("linear", "cosine", "exponential") for n in (200, 999)),
    ],
)
def test_values_by_their_closed_forms(shape, updates, value):
    schedule = Schedule("augment.p", 1.0, 0.1, 200, 100, shape)
    assert schedule.value(updates) == pytest.approx(value, abs=1e-15)


def test_values_by_images_are_those_of_the_authors_code_of_r3gan():
    schedule = Schedule("augment.p", 2e-4, 5e-5, shape="cosine", until_images=20_000_000)
    for shown in (0, 512, 5_000_000, 10_000_000, 19_999_744):
        expected = 5e-5 + (1 + cos(pi * shown / 2e7)) / 2 * (2e-4 - 5e-5)
        assert schedule.value(shown) == pytest.approx(expected, rel=1e-12)
    assert schedule.value(20_000_000) == schedule.value(10**9) == 5e-5


class Watch(pl.Callback):
    """Notes after each update what it was made with."""

    def __init__(self, read):
        self.read = read
        self.seen = []

    def on_train_batch_end(self, trainer, model, *_):
        self.seen.append(self.read(trainer, model))


def rate(player, key="lr"):
    return lambda trainer, model: trainer.optimizers[player].param_groups[0][key]


AVERAGE = GeneratorEMA(half_life=100.0)
SCALARS = {
    "optimizer_d.lr": rate(0),
    "optimizer_g.lr": rate(1),
    "optimizer_d.weight_decay": rate(0, "weight_decay"),
    "optimizer_g.beta1": lambda *of: rate(1, "betas")(*of)[0],
    "optimizer_g.beta2": lambda *of: rate(1, "betas")(*of)[1],
    "regularizers.0.weight": lambda trainer, model: model.regularizers[0].weight.item(),
    "regularizers_g.0.weight": lambda trainer, model: model.regularizers_g[0].weight.item(),
    "regularizers_g.0.augment.p": lambda trainer, model: model.regularizers_g[0].augment.p.item(),
    "augment.sd": lambda trainer, model: model.augment.sd.item(),
    "ema.half_life": lambda trainer, model: AVERAGE.half_life,
}


def everything():
    consistent = BalancedConsistency(augment=DiffAugment(), every=100)
    consistent.augment.forward = lambda x: x  # points
    arguments = {"regularizers": [R1()], "regularizers_g": [consistent]}
    return GAN(**SMALL, augment=InstanceNoise(), **arguments)


def test_each_scalar_has_its_value_in_each_update():
    watches = {name: Watch(read) for name, read in SCALARS.items()}
    schedules = [Schedule(name, 0.1, 0.5, 4) for name in SCALARS]
    fitted(everything(), max_steps=6, callbacks=[AVERAGE, *schedules, *watches.values()])
    for name, watch in watches.items():
        assert watch.seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5], abs=1e-12), name


@pytest.mark.parametrize("n_critic", [1, 2])
def test_images_are_those_that_the_discriminator_was_shown_before_the_update(n_critic):
    """Slices of 8 real samples, as many as it makes updates; the last value stays."""
    watches = {name: Watch(read) for name, read in SCALARS.items()}
    schedules = [Schedule(name, 0.1, 0.5, until_images=32 * n_critic) for name in SCALARS]
    model = everything()
    model.n_critic = n_critic
    callbacks = [AVERAGE, *schedules, *watches.values()]
    fitted(model, small_ring(batch_size=8), max_steps=6, callbacks=callbacks)
    for name, watch in watches.items():
        assert watch.seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5], abs=1e-12), name


def test_training_is_that_of_a_scheduler_with_the_same_rates():
    def falls(update):
        return 1 - 0.5 * min(update, 4) / 4

    found = []
    for scheduler in (partial(LambdaLR, lr_lambda=falls), None):
        torch.manual_seed(0)
        model = GAN(**SMALL, n_critic=2, scheduler=scheduler)
        schedules = [] if scheduler else [Schedule("optimizer_*.lr", 2e-4, 1e-4, 4)]
        fitted(model, max_steps=6, callbacks=schedules)
        found.append(snapshot(model))
    assert same(*found)


def test_one_pattern_moves_several_scalars_and_no_other():
    watches = {name: Watch(read) for name, read in SCALARS.items()}
    callbacks = [Schedule("optimizer_*.lr", 0.0, 0.0, 1), AVERAGE, *watches.values()]
    fitted(everything(), max_steps=1, callbacks=callbacks)
    seen = {name: watch.seen[0] for name, watch in watches.items()}
    assert seen["optimizer_d.lr"] == seen["optimizer_g.lr"] == 0
    assert seen["optimizer_g.beta2"] == 0.999
    assert seen["regularizers.0.weight"] == 10


def test_a_rise_may_be_followed_by_a_fall_and_before_it_counts_what_is_set():
    watch, logger = Watch(rate(0)), Rows()
    schedules = [
        Schedule("optimizer_d.lr", 0.0, 0.4, from_update=2, until_update=4),
        Schedule("optimizer_d.lr", 0.4, 0.1, from_update=5, until_update=8),
    ]
    fitted(
        GAN(**SMALL, optimizer_d=partial(GANAdam, lr=0.7)),
        max_steps=10,
        callbacks=[*schedules, watch],
        logger=logger,
        log_every_n_steps=2,
    )
    expected = [0.7, 0.7, 0.0, 0.2, 0.4, 0.4, 0.3, 0.2, 0.1, 0.1]
    assert watch.seen == pytest.approx(expected)
    rows = {step: row.get("train/optimizer_d.lr") for step, row in logger.rows}
    assert rows == pytest.approx({2: None, 4: 0.2, 6: 0.4, 8: 0.2, 10: 0.1})


@pytest.mark.parametrize("unit", ["update", "images"])
def test_a_checkpoint_holds_the_settings_and_a_resumed_run_the_scheduled_values(tmp_path, unit):
    def until(updates):
        return {f"until_{unit}": updates if unit == "update" else 8 * updates}

    def run(steps, folder, begin=None):
        torch.manual_seed(1)
        model = GAN(**SMALL, optimizer_d=partial(GANAdam, lr=0.7, beta2=0.9))
        schedules = [
            Schedule("optimizer_d.*", 0.001, 0.1, **until(4)),
            Schedule("ema.decay", 0, 0.9, **until(9)),
        ]
        average = GeneratorEMA(0.5)
        saver = Checkpoint(dirpath=str(folder))
        callbacks = [average, *schedules, saver]
        trainer = quiet_trainer(steps, callbacks=callbacks, enable_checkpointing=True)
        trainer.fit(model, small_ring(), ckpt_path=begin)
        return snapshot(model), snapshot(average.networks["generator"])

    whole = run(6, tmp_path / "whole")
    run(3, tmp_path / "part")
    saved = torch.load(tmp_path / "part" / "last.ckpt", weights_only=True)
    (group,) = saved["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.7, (0.5, 0.9), 0.0)
    assert saved["lr_schedulers"] == []
    again = run(6, tmp_path / "again", str(tmp_path / "part" / "last.ckpt"))
    for one, other in zip(whole, again, strict=True):
        assert same(one, other)


def graphs():
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def test_compiled_losses_read_new_values_and_are_not_compiled_anew():
    """By the part of PyTorch that decides when to compile, without the code that it makes."""
    noise, changes, penalty = InstanceNoise(), DiffAugment("cutout"), R1()

    @torch.compile(backend="eager", fullgraph=True, dynamic=False)
    def compiled(x):
        return penalty.weighted(noise(x).mean()), changes(x).mean()

    images, before = torch.ones(8, 1, 4, 4), graphs()
    for weight, sd, p in ((1.0, 0.0, 0.0), (3.0, 0.0, 1.0), (2.0, 0.5, 0.0), (4.0, 0.0, 0.5)):
        for scalar, value in ((penalty.weight, weight), (noise.sd, sd), (changes.p, p)):
            scalar.fill_(value)
        noisy, cut = (value.item() for value in compiled(images))
        assert (noisy == weight) is (sd == 0)
        assert (cut == 1) is (p == 0)
        assert graphs() == before + 1


@pytest.mark.slow
def test_a_compiled_run_with_schedules_is_the_run_of_eager_mode():
    found, compiled = [], []
    for compile in (False, True):
        torch.manual_seed(0)
        sgd = partial(torch.optim.SGD, lr=0.1)
        optimizers = {"optimizer_g": sgd, "optimizer_d": sgd}
        model = R3GAN(**SMALL, gamma=1.0, augment=InstanceNoise(), compile=compile, **optimizers)
        schedules = [
            Schedule("regularizers.*.weight", 1.0, 0.0, until_images=64),
            Schedule("augment.sd", 0.5, 0.0, 8),
            Schedule("optimizer_*.lr", 0.1, 0.0, 8),
        ]
        before = graphs()
        fitted(model, max_steps=6, callbacks=schedules)
        compiled.append(graphs() - before)
        found.append(snapshot(model))
    assert compiled == [0, 2]  # one for each player
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_schedules_of_r3gan_in_the_docs_fit_the_model():
    page = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    listed = yaml.safe_load(example)["trainer"]["callbacks"]
    classes = {"GeneratorEMA": GeneratorEMA, "Schedule": Schedule}
    callbacks = [classes[one["class_path"]](**one["init_args"]) for one in listed]
    model = R3GAN(
        data_shape=(1, 16, 16),
        generator=partial(DCGANGenerator, width=2),
        discriminator=partial(DCGANDiscriminator, width=2, normalization=None),
        augment=DiffAugment(),
    )
    fitted(model, MadeImages(), max_steps=1, callbacks=callbacks)
    assert model.scheduled == {
        **{f"optimizer_{player}.lr": 2e-4 for player in "dg"},
        **{f"optimizer_{player}.beta2": 0.9 for player in "dg"},
        **{f"regularizers.{index}.weight": 0.05 for index in (0, 1)},
        **{"ema.half_life": 0, "augment.p": 0},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "square"}, "shape must be one of linear, cosine, exponential, got 'square'"),
        ({"from_update": -1}, "from_update must be at least 0, got -1"),
        ({"until_update": 0}, "until_update must be above from_update, which is 0, got 0. Use"),
        ({"until_update": None}, "it needs until_update or until_images, got None and None. Use"),
        ({"until_images": 10}, "it needs until_update or until_images, got 10 and 10. Use one"),
        ({"until_update": None, "until_images": 0}, "until_images must be at least 1, got 0. Use"),
        (
            {"until_update": None, "until_images": 9, "from_update": 2},
            "from_update counts updates, got 2 with until_images. Use until_update",
        ),
        ({"initial": -1.0}, "initial must be finite and at least 0, got -1.0"),
        ({"final": float("nan")}, "final must be finite and at least 0, got nan"),
        (
            {"initial": 0.0, "shape": "exponential"},
            "initial must be above 0 with the shape exp",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    usual = {"target": "augment.p", "initial": 0.1, "final": 0.5, "until_update": 10}
    with pytest.raises(ValueError, match=f"Schedule: {message}"):
        Schedule(**{**usual, **arguments})


@pytest.mark.parametrize(
    ("target", "final", "message"),
    [
        ("augment.q", 0.5, "target augment.q is no scalar of this model. Use augment.sd, regul"),
        ("ema.half_life", 0.5, "is no scalar of this model. Use .*optimizer_g.beta2, ema.decay."),
        ("regularizers_g.0.augment.p", 1.5, "final must be at most 1 for .*augment.p, got 1.5"),
        ("optimizer_d.beta*", 1.0, "final must be below 1 for optimizer_d.beta1, got 1.0. Use"),
        ("ema.decay", 1.0, "final must be below 1 for ema.decay, got 1.0"),
    ],
)
def test_what_the_model_cannot_have_is_refused_before_training(target, final, message):
    with pytest.raises(ValueError, match=f"Schedule: .*{message}"):
        fitted(everything(), callbacks=[GeneratorEMA(), Schedule(target, 0.0, final, 10)])


def test_a_learning_rate_with_a_scheduler_is_refused():
    model = GAN(**SMALL, scheduler=partial(LambdaLR, lr_lambda=lambda update: 1.0))
    with pytest.raises(ValueError, match=r"target optimizer_d.lr follows the scheduler of the mo"):
        fitted(model, callbacks=[Schedule("optimizer_d.lr", 0.0, 1.0, 10)])


RUN = [
    *("fit", "--name", "run", "--model", "R3GAN", "--data", "GaussianRing"),
    *("--data.batch_size", "4", "--data.num_eval_samples", "20", "--trainer.max_steps", "3"),
    *("--trainer.log_every_n_steps", "1", "--pictures.enabled", "false"),
]


def test_schedules_are_flags_like_other_callbacks(capsys):
    flags = []
    for target, final in (("regularizers.*.weight", 0.1), ("optimizer_*.beta2", 0.5)):
        values = {"target": target, "initial": 0.9, "final": final, "until_update": 2}
        flags.append("--trainer.callbacks+=Schedule")
        flags += [f"--trainer.callbacks.{name}={value}" for name, value in values.items()]
    main([*RUN, *flags])
    with open("runs/run/version_0/metrics.csv") as file:
        names, *rows = (line.strip().split(",") for line in file)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for name, values in {
        "train/regularizers.0.weight": [0.9, 0.5, 0.1],
        "train/regularizers.1.weight": [0.9, 0.5, 0.1],
        "train/optimizer_g.beta2": [0.9, 0.7, 0.5],
    }.items():
        assert [float(row[name]) for row in found if row[name]] == pytest.approx(values)
    with pytest.raises(SystemExit) as done:
        main([*RUN, *flags, "--trainer.callbacks.target=augment.p"])
    assert done.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "Schedule: target augment.p is no scalar of this model. Use regularizers.0" in line
