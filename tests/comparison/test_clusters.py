"""Runs train in jobs of a cluster: by submitit, on its local executor and on a small SLURM."""

import json
import os
import signal
import time

import pytest
from planned import PROGRAM, brief, runs_of
from test_running import Trained, record, rows

from lightning_gans.cli.main import main
from lightning_gans.comparison import engines, running
from lightning_gans.comparison.engines import SubmititEngine, is_claimed
from lightning_gans.comparison.running import updates_of
from lightning_gans.errors import InputError

pytest.importorskip("submitit")

COMMANDS = {
    "sbatch": """
        id=$(($(ls "$SLURMS" | grep -c '[.]job$') + 100))
        cp "$1" "$SLURMS/$id.job"
        export SLURM_JOB_ID=$id SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1
        export SLURM_NODEID=0 SLURM_LOCALID=0
        setsid sh "$SLURMS/$id.job" > "$SLURMS/$id.out" 2>&1 < /dev/null &
        echo $! > "$SLURMS/$id.pid"
        echo "Submitted batch job $id"
    """,
    "srun": """
        while true; do
            case "$1" in
                --output | --error) shift 2 ;;
                --*) shift ;;
                *) break ;;
            esac
        done
        exec "$@"
    """,
    "sacct": """
        echo 'JobID|State|NodeList'
        for file in "$SLURMS"/*.pid; do
            id=$(basename "$file" .pid)
            if kill -0 "$(cat "$file")" 2> /dev/null; then state=RUNNING; else state=FAILED; fi
            echo "$id|$state|here"
        done
    """,
    "scancel": """kill -TERM -- "-$(cat "$SLURMS/$1.pid")" """,
}
"""A SLURM of one machine whose queue is always empty."""


@pytest.fixture
def brief_runs(monkeypatch):
    monkeypatch.setattr(engines, "PROGRAM", PROGRAM)
    monkeypatch.setattr(running, "PAUSE", 0.02)
    monkeypatch.setattr(running, "PATIENCE", 0.05)


@pytest.fixture
def slurm(monkeypatch, tmp_path, brief_runs):
    """Puts the commands of a cluster on the path; returns its folder of jobs."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in COMMANDS.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURMS", str(folder))
    return folder


def test_runs_train_in_jobs(slurm):
    runs = runs_of(0, 1)
    brief(s1={"diverge": 7})
    engine = SubmititEngine("slurm", {"partition": "gpu", "time": 240})
    trained = Trained(runs, jobs=None, engine=engine)
    assert rows(runs[0]) == [*range(1, 11)]
    assert trained.runner.failed == {runs[1]: "DivergenceError: the loss is not finite"}
    (script, _) = sorted(slurm.glob("*.job"))
    told = script.read_text()
    assert "#SBATCH --partition=gpu\n" in told
    assert "#SBATCH --time=240\n" in told
    assert "#SBATCH --signal=USR2@90\n" in told


def test_jobs_go_on_without_the_comparison_which_finds_them_again(slurm):
    (run,) = runs_of(0, max_steps=60)
    brief(s0={"seconds": 0.02})

    def stop(runner):
        if updates_of(run) >= 3:
            runner.stop()

    trained = Trained([run], engine=SubmititEngine("slurm", {}), show=stop)
    assert trained.runner.active
    assert is_claimed(run.home)
    again = Trained([run], engine=SubmititEngine("slurm", {}))
    assert again.runner.finished == 1
    assert len(list(slurm.glob("*.job"))) == 1
    assert record(run)["resumed_at"] == []


def test_a_job_that_waits_in_the_queue_is_not_submitted_again(slurm):
    """It has neither a claim nor a folder."""
    (run,) = runs_of(0)
    go, sbatch = slurm / "go", slurm / "sbatch"
    waits = f"while [ ! -e {go} ]; do sleep 0.02; done; exec sh"
    sbatch.write_text(sbatch.read_text().replace("setsid sh", f"setsid sh -c '{waits} $0'"))
    Trained([run], engine=SubmititEngine("slurm", {}), show=lambda runner: runner.stop())
    assert not run.home.joinpath("version_0").exists()
    engine = SubmititEngine("slurm", {})
    assert Trained([run], engine=engine, show=lambda r: go.touch()).runner.finished == 1
    assert len(list(slurm.glob("*.job"))) == 1


def test_a_job_that_the_cluster_ends_has_failed_and_is_submitted_again(slurm):
    (run,) = runs_of(0, max_steps=200)
    brief(s0={"seconds": 0.01})

    def cancel(runner):
        if updates_of(run) >= 12 and is_claimed(run.home):
            (pid,) = slurm.glob("*.pid")
            os.killpg(int(pid.read_text()), signal.SIGKILL)
            lock = json.loads((run.home / "version_0" / "lock").read_bytes())
            os.kill(lock["pid"], signal.SIGKILL)

    trained = Trained([run], engine=SubmititEngine("slurm", {}), show=cancel)
    assert list(trained.runner.failed) == [run]
    brief()
    assert Trained([run], engine=SubmititEngine("slurm", {})).runner.finished == 1
    assert record(run)["resumed_at"][0] >= 10


def test_a_cluster_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="no SLURM on this machine: sbatch is not found"):
        SubmititEngine("slurm", {})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"partitoin": "gpu"}, r"slurm: Unavailable parameter\(s\): \['partitoin'\]"),
        ({"time": "04:00:00"}, "slurm: time must be in minutes, such as 240, got 04:00:00"),
    ],
)
def test_parameters_that_there_are_not_are_refused(parameters, message, slurm):
    with pytest.raises(InputError, match=message):
        SubmititEngine("slurm", parameters)


@pytest.mark.usefixtures("slurm")
def test_hours_and_minutes_are_not_read_as_one_number(capsys):
    """In YAML, 1:30:00 is 5400, which would be the minutes of four days."""
    with pytest.raises(SystemExit) as end:
        main(["compare", "gan_ring", "--engine", "slurm", "--slurm", "time=1:30:00"])
    assert end.value.code == 2
    assert "slurm: time must be in minutes, such as 240, got 1:30:00" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("brief_runs")
def test_a_job_whose_time_is_up_returns_into_the_queue_and_resumes():
    """On submitit's local executor, which has a clock: a signal after 2 seconds of 4."""
    (run,) = runs_of(0, max_steps=100)
    brief(s0={"seconds": 0.05})
    engine = SubmititEngine("local", {"timeout_min": 4 / 60, "signal_delay_s": 2})
    begun = time.monotonic()
    trained = Trained([run], engine=engine)
    assert trained.runner.finished == 1
    assert time.monotonic() - begun > 5
    assert len(record(run)["resumed_at"]) >= 2
    assert rows(run) == [*range(1, 101)]
