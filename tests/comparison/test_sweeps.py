"""Sweeps in W&B's form, seeds and settings of a command line."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from lightning_gans.comparison.sweeps import (
    parse_seeds,
    parse_settings,
    read_sweep,
)
from lightning_gans.errors import InputError


def swept(method="grid", parameters=None, **more):
    content = {"method": method, "parameters": parameters or {}, **more}
    Path("sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return read_sweep(Path("sweep.yaml"))


def refusal(act, *arguments, **more):
    with pytest.raises(InputError) as refused:
        act(*arguments, **more)
    return str(refused.value)


def test_seeds_are_numbers_each_once():
    assert parse_seeds("0,1, 22") == (0, 1, 22)
    assert refusal(parse_seeds, "0,1,0") == "seeds: 0 is given twice."
    for text in ("", "0,", "a", "-1", "1.5", str(2**32), "0-2", "9" * 5000):
        assert refusal(parse_seeds, text) == (
            f"seeds must be numbers from 0 to 4294967295, as in 0,1,2, got {text}."
        )


def test_settings_are_keys_and_values():
    given = ["data.batch_size=64", "trainer.callbacks+=A", "trainer.callbacks+=B", "name2=a=b"]
    assert parse_settings(given) == (
        ("data.batch_size", "64"),
        ("trainer.callbacks+", "A"),
        ("trainer.callbacks+", "B"),
        ("name2", "a=b"),
    )
    assert parse_settings(["trainer.default_root_dir=/scratch"])
    assert refusal(parse_settings, ["a=1", "a=2"]) == "set: a is given twice."
    assert refusal(parse_settings, ["a"]).startswith("set must be KEY=VALUE")
    assert refusal(parse_settings, ["-x y=2"]) == "set: -x y is not the key of a setting."


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("seed_everything", "Use --seeds."),
        ("name", "Use --name."),
        ("ckpt_path", "Leave it out"),
        ("checkpoint.dirpath", "Leave it out"),
        ("trainer.fast_dev_run", "Leave it out"),
    ],
)
def test_what_a_comparison_chooses_cannot_be_set(key, instead):
    assert instead in refusal(parse_settings, [f"{key}=1"])


def test_a_grid_has_every_choice_in_order():
    sweep = swept(
        parameters={
            "model.n_critic": {"values": [1, 5]},
            "model.optimizer_g.lr": {"values": [1.0e-5, 2.0e-4]},
            "model": {"parameters": {"loss": {"value": "Hinge"}}},
            "seed_everything": {"values": [3, 4]},
            "model.betas": {"value": [0.5, None, True]},
        },
        program="lightning-gans",
        metric={"name": "val/w1"},
    )
    rest = (("model.loss", "Hinge"), ("model.betas", "[0.5, null, true]"))
    assert sweep.seeds == (3, 4)
    assert sweep.cells == tuple(
        (("model.n_critic", n), ("model.optimizer_g.lr", lr), *rest)
        for n in ("1", "5")
        for lr in ("1.0e-05", "0.0002")
    )


def test_random_cells_stay_the_same_and_more_are_added():
    parameters = {
        "model.n_critic": {"values": [1, 2, 5]},
        "model.optimizer_g.lr": {
            "distribution": "log_uniform_values",
            "min": "1e-5",  # for YAML that is text
            "max": 1e-1,
        },
        "data.batch_size": {"min": 32, "max": 256},
        "model.ema": {"min": 0.0, "max": 1.0},
    }
    few = swept("random", parameters, run_cap=20).cells
    many = swept("random", parameters, run_cap=200).cells
    assert many[:20] == few
    assert len(set(many)) == 200
    by_key = [dict(cell) for cell in many]
    rates = sorted(float(cell["model.optimizer_g.lr"]) for cell in by_key)
    assert 1e-5 <= rates[0] < rates[-1] <= 1e-1
    assert 3e-4 < rates[100] < 3e-3  # the middle of the powers of ten, 1e-3, within 3 sd
    assert {type(yaml.safe_load(cell["data.batch_size"])) for cell in by_key} == {int}
    assert all(0 <= float(cell["model.ema"]) <= 1 for cell in by_key)
    counts = Counter(cell["model.n_critic"] for cell in by_key)
    assert {*counts} == {"1", "2", "5"}
    assert min(counts.values()) > 40


def test_fewer_random_cells_than_asked_for_if_there_are_no_more():
    assert len(swept("random", {"a": {"values": [1, 2, 3]}}, run_cap=10).cells) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"method": "bayes", "parameters": {}}, "bayes chooses runs by the scores of earlier"),
        ({"method": "best", "parameters": {}}, "method must be grid or random, got best"),
        ({"method": "grid"}, "has no parameters"),
        ([1], "has no parameters"),
        ({"method": "grid", "parameters": {"a": 3}}, "a must have value or values"),
        ({"method": "grid", "parameters": {"a": {"min": 1, "max": 2}}}, "in a grid"),
        ({"method": "grid", "parameters": {"a": {"values": []}}}, "must be a list"),
        ({"method": "grid", "parameters": {"a": {"values": [1, 1]}}}, "the value 1 twice"),
        ({"method": "grid", "parameters": {"name": {"value": 1}}}, "name is not for a"),
        ({"method": "grid", "parameters": {"a": {"value": 1}}, "run_cap": 3}, "run_cap is for"),
        ({"method": "random", "parameters": {"a": {"value": 1}}}, "got None"),
        (
            {"method": "random", "parameters": {"a": {"distribution": "beta"}}, "run_cap": 1},
            "a has the distribution beta. Use uniform or int_uniform or log_uniform_values",
        ),
        (
            {"method": "random", "parameters": {"a": {"min": 2, "max": 1}}, "run_cap": 1},
            "a finite min below its finite max",
        ),
        *(
            (
                {"method": "random", "parameters": {"a": {"min": 0, **more}}, "run_cap": 1},
                "a must have value, values, or a finite min below its finite max",
            )
            for more in (
                {"max": "inf"},
                {"max": float("inf")},
                {"max": "inf", "distribution": "int_uniform"},
                {"max": "nan"},
            )
        ),
        ({"method": "grid", "parameters": {}, "early_terminate": {}}, "no early_terminate"),
        (
            {"method": "grid", "parameters": {"seed_everything": {"values": [0, 0]}}},
            "seed_everything has the value 0 twice",
        ),
    ],
)
def test_what_is_no_sweep_is_refused(content, message):
    Path("sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert message in refusal(read_sweep, Path("sweep.yaml"))


def test_a_grid_that_is_too_large_is_refused_at_once():
    large = {f"a{number}": {"values": [*range(100)]} for number in range(10)}
    message = refusal(swept, "grid", large)
    assert message.startswith("sweep: at most 1,000 cells, got 100,000,000,000,000,000,000.")


def test_a_sweep_that_cannot_be_read_is_refused():
    assert "cannot be read: No such file" in refusal(read_sweep, Path("none.yaml"))
    Path("sweep.yaml").write_text("a: [")
    assert "is not valid YAML" in refusal(read_sweep, Path("sweep.yaml"))
