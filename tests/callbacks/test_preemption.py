"""Runs that are told to stop end at a whole round, and go on from there as if nothing had been."""

import json
import os
import pty
import signal
import stat
import time
from pathlib import Path

import pytest
from interrupted import assert_same, command, content, finish, rows, start, wait_for_row
from wandb_files import records_of

from lightning_gans.callbacks.preemption import Notice

pytestmark = pytest.mark.slow

RUN = command(2, ["GaussianRing"], 40, 1000, "--trainer.max_steps", "200")
SLURM = {
    **{"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "gan", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
    **{"SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nobody stops."""
    folder = tmp_path_factory.mktemp("whole")
    finish([*RUN, "--trainer.default_root_dir", str(folder)])
    return folder / "run" / "version_0"


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A program of this name that writes down how it was called, and fails where it is told to."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "scontrol"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        'if [ -n "$REFUSES" ]; then echo "$REFUSES" >&2; exit 1; fi\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "calls"


def stop(folder, arguments, number, step, **environment):
    """Starts a run, sends a signal after an update; returns its exit code and what it printed."""
    process = start(arguments, **environment)
    wait_for_row(folder, step, process)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors
    return process.returncode, printed


def assert_like_the_whole_run(folder, whole):
    """But for its name, its place and its loggers."""
    assert rows(folder) == rows(whole)
    for name in ("last", "best"):
        states = [content(run / "checkpoints" / f"{name}.ckpt") for run in (folder, whole)]
        for state in states:
            state["config"].pop("name")
            for key in ("default_root_dir", "logger"):
                state["config"]["trainer"].pop(key)
        assert_same(*states)
    assert sorted(os.listdir(folder / "checkpoints")) == ["best.ckpt", "last.ckpt"]


def assert_one_wandb_run(folder, jobs):
    """All but the last job were preempted, and together they logged every row."""
    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=os.path.getmtime)
    identity = (folder / "wandb" / "id").read_text()
    preempted, steps = [], set()
    for path in paths:
        records = list(records_of(path))
        kinds = [record.WhichOneof("record_type") for record in records]
        assert records[kinds.index("run")].run.run_id == identity
        preempted.append("preempting" in kinds)
        steps |= {
            json.loads(item.value_json)
            for record in records
            for item in record.history.item
            if list(item.nested_key) == ["trainer/global_step"]
        }
    assert preempted == [True] * (jobs - 1) + [False]
    assert steps - {0} == {int(row["step"]) for row in rows(folder)}


def test_interrupted_twice_it_ends_at_once(tmp_path):
    """The second Ctrl-C comes within the round of the first, which sleeps."""
    Path("slow.py").write_text(
        "import time\nfrom lightning_gans import WGAN\n"
        "class Slow(WGAN):\n"
        "    def generator_loss(self, samples):\n"
        "        time.sleep(60 if self.trainer.global_step == 20 else 0)\n"
        "        return super().generator_loss(samples)\n"
    )
    folder = tmp_path / "runs" / "run" / "version_0"
    process = start(["slow.Slow" if part == "WGAN" else part for part in RUN])
    wait_for_row(folder, 20, process)
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 128 + signal.SIGINT
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "stopped: KeyboardInterrupt"


def test_the_second_ctrl_c_interrupts_whatever_came_before_the_first():
    notice = Notice()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        notice._note(number, None)
    with pytest.raises(KeyboardInterrupt):
        notice._note(signal.SIGINT, None)


def test_a_program_that_exits_in_an_update_keeps_its_exit_code(tmp_path):
    Path("leaving.py").write_text(
        "import sys\nfrom lightning_gans import WGAN\n"
        "class Leaving(WGAN):\n"
        "    def generator_loss(self, samples):\n"
        "        if self.trainer.global_step == 20:\n"
        "            sys.exit(3)\n"
        "        return super().generator_loss(samples)\n"
    )
    process = start(["leaving.Leaving" if part == "WGAN" else part for part in RUN])
    assert process.wait(timeout=60) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_writes_its_state_first_and_goes_on_exactly(number, whole, tmp_path):
    """Checkpoints are due every 1,000 updates: without the signal there would be no state."""
    folder = tmp_path / "runs" / "run" / "version_0"
    code, printed = stop(folder, RUN, number, 30)
    assert code == 128 + number
    stopped = content(folder / "checkpoints" / "last.ckpt")["global_step"]
    assert 30 <= stopped < 200
    assert f"stopped after {stopped} updates" in printed
    assert "resume with: lightning-gans fit --ckpt_path runs/run/version_0/checkpoints/" in printed
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == f"stopped: {number.name}"
    assert record["updates"] == stopped
    finish(["fit", "--name", "run", "--ckpt_path", "last"])
    assert_like_the_whole_run(folder, whole)


def test_a_job_of_a_cluster_is_queued_again_and_goes_on_exactly(whole, scontrol, tmp_path):
    """The same command line each time, as a script of a job has it; W&B sees one run."""
    job = [*RUN, "--trainer.logger", "WandB", "--ckpt_path", "auto"]
    folder = tmp_path / "runs" / "run" / "version_0"
    code, printed = stop(folder, job, signal.SIGUSR1, 30, **SLURM)
    assert code == 0
    assert "job 4711 waits in the queue again" in printed
    array = {"SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "3"}
    code, printed = stop(folder, job, signal.SIGUSR1, 100, **SLURM, **array)
    assert code == 0
    assert scontrol.read_text() == "requeue 4711\nrequeue 4700_3\n"
    process = start(job, **SLURM)
    assert process.wait(timeout=240) == 0, process.stderr.read()
    assert_like_the_whole_run(folder, whole)
    assert not list((tmp_path / "runs").glob("hpc_ckpt*"))
    assert_one_wandb_run(folder, jobs=3)
    assert os.listdir(tmp_path / "runs" / "run") == ["version_0"]
    process = start(job, **SLURM)
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    assert "nothing left to train" in printed


def test_a_queue_that_does_not_take_the_job_back_is_reported(scontrol, tmp_path):
    folder = tmp_path / "runs" / "run" / "version_0"
    code, printed = stop(folder, RUN, signal.SIGUSR1, 30, **SLURM, REFUSES="Invalid job id")
    assert code == 128 + signal.SIGUSR1
    assert "scontrol requeue 4711 failed: Invalid job id" in printed
    assert (folder / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_without_a_cluster_the_signal_ends_the_run(number, scontrol, tmp_path):
    """SIGHUP comes if a terminal is closed."""
    folder = tmp_path / "runs" / "run" / "version_0"
    code, _ = stop(folder, RUN, number, 30)
    assert code == 128 + number
    assert not scontrol.exists()
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_a_run_whose_terminal_is_closed_ends_with_its_state(tmp_path):
    """It can no longer draw its bar, when the signal comes."""
    folder = tmp_path / "runs" / "run" / "version_0"
    terminal, end = pty.openpty()
    process = start([*RUN, "--trainer.max_steps", "100000"], stdout=end, TERM="xterm")
    os.close(end)
    seen = b""
    while b"updates" not in seen:  # the bar is there
        seen += os.read(terminal, 4096)
    os.close(terminal)
    wait_for_row(folder, 40, process)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=240)
    assert errors.endswith("the output cannot be written: Input/output error\n")
    assert "Traceback" not in errors
    assert process.returncode == 128 + signal.SIGHUP
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped: SIGHUP"
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_two_processes_stop_at_the_same_update_and_go_on_exactly(tmp_path):
    run = [*RUN, "--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    whole = tmp_path / "runs" / "whole" / "version_0"
    finish([*run, "--name", "whole"], processes=2)
    folder = tmp_path / "runs" / "run" / "version_0"
    code, _ = stop(folder, run, signal.SIGTERM, 30)
    assert code == 128 + signal.SIGTERM
    assert content(folder / "checkpoints" / "last.ckpt")["global_step"] < 200
    finish(["fit", "--name", "run", "--ckpt_path", "last"], processes=2)
    assert_like_the_whole_run(folder, whole)
