"""What benchmarks train anew."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def compared(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import compared

    return compared


@pytest.fixture
def started(compared, monkeypatch):
    """The commands that are started, each of which ends with the next of some codes."""
    commands, codes = [], []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, codes.pop(0) if codes else 0)

    monkeypatch.setattr(compared.subprocess, "run", run)
    return commands, codes


def argument(command, name):
    return command[command.index(name) + 1]


def test_cells_that_lack_the_same_seeds_are_trained_together(compared, started):
    files = [Path(f"{cell}.yaml") for cell in "abcd"]
    done = {("a", 0), ("c", 0), *(("d", seed) for seed in range(3))}
    compared.compare(files, range(3), Path("runs"), "some", 2, {"data.x": 1}, done=done)
    commands, _ = started
    assert [(c[4 : c.index("--seeds")], argument(c, "--seeds")) for c in commands] == [
        (["a.yaml", "c.yaml"], "1,2"),
        (["b.yaml"], "0,1,2"),
    ]
    assert all(argument(c, "--name") == "some" and "data.x=1" in c for c in commands)


def test_what_is_stopped_begins_nothing_else(compared, started):
    commands, codes = started
    files, done = [Path("a.yaml"), Path("b.yaml")], {("a", 0)}
    codes.append(1)  # some runs have failed: the others are trained
    compared.compare(files, range(2), Path("runs"), "some", 1, {}, done=done)
    assert len(commands) == 2
    for code in (130, -15):
        commands.clear()
        codes.append(code)
        compared.compare(files, range(2), Path("runs"), "some", 1, {}, done=done)
        assert len(commands) == 1


def test_results_tell_what_is_done(compared, monkeypatch, tmp_path):
    monkeypatch.setattr("trained.RESULTS", tmp_path)
    assert compared.recorded_cells("none", "ring") == set()
    runs = [{"cell": "a", "seed": 1}, {"cell": "b", "seed": 0}]
    (tmp_path / "found.json").write_text(json.dumps({"ring": runs}))
    assert compared.recorded_cells("found", "ring") == {("a", 1), ("b", 0)}
    assert compared.recorded_cells("found", "grid") == set()
