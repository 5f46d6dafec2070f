"""Runs are trained some at a time, never twice, and are resumed after any end.

They train by ``brief_fit.py``, whose processes are as real as those of ``fit`` and take no time.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import until
from planned import PROGRAM, brief, leave, runs_of

from lightning_gans.cli.locks import RunLock
from lightning_gans.comparison import engines, running
from lightning_gans.comparison.engines import LocalEngine, is_claimed, visible_gpus
from lightning_gans.comparison.running import Runner, updates_of


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr(engines, "PROGRAM", PROGRAM)
    monkeypatch.setattr(running, "PAUSE", 0.01)
    monkeypatch.setattr(running, "PATIENCE", 0.02)


class Trained:
    """Trains runs, and keeps what is said and how many were under way at most."""

    def __init__(self, runs, jobs=2, *, retries=False, engine=None, show=lambda runner: None):
        self.said = []
        self.most = 0
        states = {run: run.state() for run in runs}
        self.runner = Runner(
            states, engine or LocalEngine(), jobs, retries=retries, tell=self.said.append
        )

        def watch():
            self.most = max(self.most, len(self.runner.active))
            show(self.runner)

        self.runner.run(watch)


def record(run, version=0):
    return json.loads((run.home / f"version_{version}" / "run.json").read_text())


def rows(run):
    text = (run.home / "version_0" / "metrics.csv").read_text()
    return [int(row.partition(",")[0]) for row in text.splitlines()[1:]]


def test_all_runs_are_trained_some_at_a_time():
    runs = runs_of(0, 1, 2, 3, 4)
    brief(**{f"s{seed}": {"seconds": 0.01} for seed in range(5)})
    trained = Trained(runs, jobs=2)
    assert trained.most == 2
    assert trained.runner.finished == 5
    assert trained.runner.failed == {}
    assert [rows(run) for run in runs] == [[*range(1, 11)]] * 5
    assert trained.said[-1].endswith(" finished after 10 updates (5 of 5 runs)")
    assert len(trained.said) == 5


def test_the_first_seed_of_all_cells_comes_first():
    begun = []
    runs = [*runs_of(0, 1, name="a"), *runs_of(0, 1, max_steps=11, name="b")]

    def show(runner):
        begun.extend(run.label for run in runner.active if run.label not in begun)

    brief(**{f"s{seed}": {"seconds": 0.01} for seed in range(2)})
    Trained(runs, jobs=1, show=show)
    assert begun == ["a seed 0", "b seed 0", "a seed 1", "b seed 1"]


def test_finished_runs_are_not_started_again():
    runs = runs_of(0, 1)
    Trained(runs)
    before = [(run.home / "log.txt").stat().st_mtime_ns for run in runs]
    again = Trained(runs)
    assert (again.said, again.most, again.runner.finished) == ([], 0, 2)
    assert before == [(run.home / "log.txt").stat().st_mtime_ns for run in runs]


def test_a_failed_run_is_kept_and_tried_again_only_if_asked():
    runs = runs_of(0, 1)
    brief(s0={"diverge": 7})
    trained = Trained(runs)
    reason = "DivergenceError: the loss is not finite"
    assert trained.runner.failed == {runs[0]: reason}
    assert trained.runner.finished == 1
    assert f"gan seed 0: failed: {reason} ({runs[0].home}/log.txt)" in trained.said
    brief()
    again = Trained(runs)
    assert (again.runner.failed, again.most) == ({runs[0]: reason}, 0)
    retried = Trained(runs, retries=True)
    assert retried.runner.failed == {}
    assert record(runs[0])["resumed_at"] == [5]
    assert rows(runs[0]) == [*range(1, 11)]


def test_a_run_that_cannot_begin_is_kept_with_its_last_words():
    (run,) = runs_of(0)
    brief(s0={"refused": "data: there is no folder"})
    trained = Trained([run])
    assert trained.runner.failed == {run: "data: there is no folder"}
    brief()
    again = Trained([run])
    assert (again.runner.failed, again.most) == ({run: "data: there is no folder"}, 0)
    assert Trained([run], retries=True).runner.finished == 1
    assert Trained([run]).runner.failed == {}


def test_a_run_whose_process_is_killed_has_failed_and_is_resumed():
    (run,) = runs_of(0, max_steps=200)
    brief(s0={"seconds": 0.01})

    def kill(runner):
        if updates_of(run) >= 12:
            for handle in runner.active.values():
                handle.kill()

    assert Trained([run], show=kill).runner.failed == {run: "ended by SIGKILL"}
    brief()
    assert Trained([run]).runner.finished == 1
    assert record(run)["resumed_at"][0] >= 10
    assert rows(run) == [*range(1, 201)]


def test_a_stop_lets_the_runs_end_with_a_checkpoint():
    runs = runs_of(0, 1, 2, max_steps=200)
    brief(s0={"seconds": 0.01}, s1={"seconds": 0.01})

    def stop(runner):
        if all(updates_of(run) >= 3 for run in runs[:2]) and not runner._stops:
            runner.stop()

    trained = Trained(runs, show=stop)
    assert trained.said == ["stopping 2 runs after the current round; Ctrl-C again stops at once"]
    assert trained.runner.failed == {}
    assert [run.state().status for run in runs] == ["stopped", "stopped", "new"]
    made = [run.state().updates for run in runs[:2]]
    brief()
    assert Trained(runs).runner.finished == 3
    assert [record(run)["resumed_at"] for run in runs[:2]] == [[made[0]], [made[1]]]


def test_a_second_stop_ends_the_runs_at_once():
    (run,) = runs_of(0, max_steps=200)
    brief(s0={"seconds": 60})  # the round that would have to end first

    def stop(runner):
        if updates_of(run) >= 0 and (run.home / "version_0" / "metrics.csv").exists():
            runner.stop()

    begun = time.monotonic()
    Trained([run], show=stop)
    assert time.monotonic() - begun < 20
    assert not is_claimed(run.home)


def claimed(run):
    """Starts the process of a run as a comparison would that was killed at once."""
    process = engines.begin(run.home, [*PROGRAM, *run.command], {})
    assert process is not None
    return process


def test_what_a_killed_comparison_has_left_is_waited_for():
    """Its process has claimed the run, whether or not it has a folder already."""
    runs = runs_of(0, 1, max_steps=30)
    brief(s0={"seconds": 0.02})
    left = claimed(runs[0])
    assert is_claimed(runs[0].home)
    trained = Trained(runs, jobs=1)
    assert left.wait() == 0
    assert trained.most == 1
    assert trained.said[0].startswith("gan seed 0: waiting for ")
    assert [len(list(run.home.glob("version_*"))) for run in runs] == [1, 1]
    assert [rows(run) for run in runs] == [[*range(1, 31)]] * 2
    assert record(runs[0])["resumed_at"] == []


def test_what_is_left_behind_counts_among_the_runs_at_a_time():
    runs = runs_of(0, 1, max_steps=20)
    brief(s0={"seconds": 0.02}, s1={"seconds": 0.02})
    left = claimed(runs[0])
    beside = []

    def show(runner):
        is_done = runner.states[runs[0]].status == "finished"
        if runner.active and is_claimed(runs[0].home) and not is_done:
            beside.append(list(runner.active))

    Trained(runs, jobs=1, show=show)
    assert left.wait() == 0
    assert beside == []


def test_what_another_process_leaves_unfinished_is_taken_over():
    (run,) = runs_of(0, max_steps=200)
    brief(s0={"seconds": 0.01})
    left = claimed(run)
    until(lambda: updates_of(run) >= 12)
    brief()

    def kill(runner):
        if runner.elsewhere and left.poll() is None:
            os.killpg(left.pid, signal.SIGKILL)
            left.wait()

    trained = Trained([run], show=kill)
    assert trained.runner.finished == 1
    assert record(run)["resumed_at"][0] >= 10
    assert rows(run) == [*range(1, 201)]


def test_a_run_that_is_trained_without_a_claim_is_waited_for_too():
    """A plain ``fit`` in the folder has its lock only."""
    (run,) = runs_of(0)
    lock = RunLock(leave(run, status="running", updates=2))
    lock.acquire()

    def end(runner):
        if runner.elsewhere:
            (run.home / "version_0" / "run.json").write_text(
                json.dumps({"status": "finished", "updates": 10, "seed": 0})
            )
            lock.release()

    trained = Trained([run], show=end)
    assert trained.said[0].startswith(f"gan seed 0: waiting for process {os.getpid()} on ")
    assert (trained.most, trained.runner.finished) == (0, 1)


def test_two_comparisons_share_the_runs():
    runs = runs_of(*range(6), max_steps=20)
    brief(**{f"s{seed}": {"seconds": 0.01} for seed in range(6)})
    script = (
        "from planned import *; from lightning_gans.comparison import engines, running\n"
        "from lightning_gans.comparison.running import Runner\n"
        "engines.PROGRAM, running.PAUSE, running.PATIENCE = PROGRAM, 0.01, 0.02\n"
        "runs = runs_of(*range(6), max_steps=20)\n"
        "runner = Runner({run: run.state() for run in runs}, engines.LocalEngine(), 4,"
        " retries=False, tell=lambda text: None)\n"
        "runner.run(lambda: None)\nassert runner.finished == 6\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    other = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}
    )
    trained = Trained(runs, jobs=4)
    assert other.wait() == 0
    assert trained.runner.finished == 6
    assert [len(list(run.home.glob("version_*"))) for run in runs] == [1] * 6
    assert [record(run)["resumed_at"] for run in runs] == [[]] * 6


def test_gpus_are_given_to_runs_in_turn(monkeypatch):
    started = []

    def begin(home, command, environment):
        started.append(environment.get("CUDA_VISIBLE_DEVICES"))
        return SimpleNamespace(poll=lambda: None if len(started) < 5 else 0)

    monkeypatch.setattr(engines, "begin", begin)
    runs = runs_of(*range(7))
    engine = LocalEngine(["3", "5"])
    handles = [engine.start(run) for run in runs[:4]]
    assert started == ["3", "5", "3", "5"]
    handles.append(engine.start(runs[4]))
    assert started[4] == "3"
    for handle in (handles[0], handles[2], handles[4]):
        assert handle.poll() == 0
        assert handle.poll() == 0  # which frees its GPU once only
    engine.start(runs[5])
    engine.start(runs[6])
    assert started[5:] == ["3", "3"]


def test_a_run_of_several_devices_has_as_many_gpus(monkeypatch):
    started = []
    monkeypatch.setattr(engines, "begin", lambda home, command, env: started.append(env))
    (run,) = runs_of(0)
    engine = LocalEngine(["0", "1", "2"])
    for devices, gpus in ((2, "0,1"), ("auto", "0"), ([1, 2], None)):
        run.config["trainer"]["devices"] = devices
        engine.start(run)
        assert started[-1].get("CUDA_VISIBLE_DEVICES") == gpus
    LocalEngine([]).start(run)
    assert started[-1] == {}
    run.threads = 3
    LocalEngine([]).start(run)
    assert started[-1] == {"OMP_NUM_THREADS": "3"}


def test_the_gpus_that_may_be_used_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-1a")
    assert visible_gpus() == ["2", "GPU-1a"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    script = Path("nvidia-smi")
    script.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: GPU-1)'\necho 'GPU 1: H100'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:/bin")
    assert visible_gpus() == ["0", "1"]
    script.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus() == []
