"""How the tables of benchmarks/tasks.py are made of results."""

import inspect
from pathlib import Path

import pytest
import yaml

import lightning_gans
from lightning_gans import networks

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import tasks

    return tasks


def test_a_table_has_means_ranges_and_floors(tasks):
    runs = {
        tasks.name_of("few labels", row, seed): {
            "updates": 10 * (row + 1),
            "wall_time_s": 600.0,
            "cpu_seconds": 90.0,
            "scores": {"accuracy": 0.5 + row / 8 + seed / 100}
            | ({"reconstruction_fidelity": row / 4} if row > 1 else {}),
            "floors": {},
        }
        for row in range(4)
        for seed in tasks.SEEDS
    }
    assert [*tasks.lines("few labels", runs)] == [
        "| config | updates | minutes | accuracy | reconstruction_fidelity |",
        "|---|---|---|---|---|",
        "| `sgan_mnist_small` | 10 | 1.5 | 0.510 (0.500 to 0.520) | - |",
        "| `sgan_mnist_small`, the labels alone | 20 | 1.5 | 0.635 (0.625 to 0.645) | - |",
        "| `semi_supervised_aae_mnist_small` | 30 | 1.5 | 0.760 (0.750 to 0.770) | 0.500 |",
        "| `semi_supervised_aae_mnist_small`, the labels alone | 40 | 1.5 "
        "| 0.885 (0.875 to 0.895) | 0.750 |",
    ]
    whole = [*tasks.lines("few labels", runs)]
    runs.popitem()
    missing = ["Not measured yet: 1 of 12 runs.", ""]
    assert [*tasks.lines("few labels", runs)] == [*missing, *whole[:5]]
    assert [*tasks.lines("few labels", {})] == ["Not measured yet: 12 of 12 runs."]


def test_the_table_of_stacked_digits_has_means_and_ranges(tasks):
    floors = {"modes_1000": 1000.0, "kl_1000": 0.02359}
    runs = {
        tasks.name_of("stacked digits", row, seed): {
            "updates": 30_000,
            "wall_time_s": 0.0,
            "scores": {"modes_1000": 100.0 * seed + row, "kl_1000": 0.5 * seed},
            "floors": floors,
        }
        for row in range(3)
        for seed in tasks.SEEDS
    }
    rows = [*tasks.lines("stacked digits", runs)]
    middle = "| `pacgan_stacked` | 30,000 | 0.0 | 101 (1 to 201) | 0.500 (0.000 to 1.000) |"
    assert rows[3] == middle
    assert rows[-1] == "| real data | - | - | 1000 | 0.024 |"
    runs.popitem()
    missing = ["Not measured yet: 1 of 9 runs.", ""]
    assert [*tasks.lines("stacked digits", runs)] == [*missing, *rows[:4], rows[-1]]


def test_scores_that_a_model_lacks_leave_a_dash(tasks):
    record = {"updates": 1, "wall_time_s": 0, "floors": {"modes": 6.0}, "scores": {"modes": 5.0}}
    runs = {name: record for name, *_ in tasks.runs_of("no pairs of points")}
    *_, last, real = tasks.lines("no pairs of points", runs)
    assert last == "| the same without its identity loss | 1 | 0.0 | 5.0 | - | - | - | - | - |"
    assert real == "| real data | - | - | 6.0 | - | - | - | - | - |"


def test_minutes_are_of_the_cpu_if_the_run_has_logged_them(tasks, tmp_path):
    from trained import cpu_seconds, minutes

    rows = "step,train/cpu_seconds,val/w1", "1,2.5,", "2,,0.1", "2,4.5,"
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    assert cpu_seconds(tmp_path) == 4.5
    assert minutes({"wall_time_s": 600.0}) == 10
    assert minutes({"wall_time_s": 600.0, "cpu_seconds": 90.0}) == 1.5


def test_flags_change_what_the_model_has(tasks):
    for task in tasks.TASKS:
        for _, config, flags in tasks.runs_of(task):
            content = yaml.safe_load((ROOT / "configs" / f"{config}.yaml").read_text())
            model = getattr(lightning_gans, content["model"]["class_path"])
            known = {
                n for cls in model.__mro__ for n in inspect.signature(cls.__init__).parameters
            }
            changed = [flag for flag in flags if flag.startswith("--model.")]
            for argument in (flag.removeprefix("--model.") for flag in changed):
                name, _, setting = argument.partition(".")
                assert name in known
                if setting:  # of the class that the flags choose
                    chosen = getattr(networks, flags[flags.index(f"--model.{name}") + 1])
                    assert setting in inspect.signature(chosen).parameters


def test_the_page_shows_the_results(tasks):
    assert tasks.PAGE.read_text() == tasks.written()
