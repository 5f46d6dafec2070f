"""Two processes never train in the folder of one run."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import until
from interrupted import assert_same, command, content, finish, rows, start, wait_for_row

from lightning_gans import holders
from lightning_gans.cli import locks
from lightning_gans.cli.locks import RunLock
from lightning_gans.cli.main import main
from lightning_gans.errors import InputError, RunError
from lightning_gans.holders import Watch

FORK = multiprocessing.get_context("fork")
"""Makes processes that have imported everything."""


@pytest.fixture(params=["with flock", "without"])
def file_system(request, monkeypatch):
    """A file system that has locks, and one that has none."""
    if request.param == "without":
        monkeypatch.setattr(locks, "fcntl", None)
        monkeypatch.setattr(holders, "fcntl", None)
    return request.param


@pytest.fixture
def soon(monkeypatch):
    """What takes minutes takes moments."""
    monkeypatch.setattr(locks, "RENEW_EVERY", 0.05)
    monkeypatch.setattr(locks, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(locks, "WATCH_FOR", 0.6)
    monkeypatch.setattr(holders, "WATCH_FOR", 0.6)


def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave(folder, **about):
    """Leaves the file of a process behind, as after SIGKILL."""
    holder = replace(holders.this_process(), **about)
    content = json.dumps(vars(holder)).encode().ljust(holders.SIZE)
    (folder / "lock").write_bytes(content)


ELSEWHERE = {"host": "elsewhere", "boot": "another", "namespace": "pid:[1]", "pid": 1}


def test_a_folder_is_taken_and_given_back(file_system, tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    assert os.listdir(tmp_path) == ["lock"]
    with pytest.raises(InputError, match=f"is being trained in by process {os.getpid()} on .*:"):
        RunLock(tmp_path).acquire()
    lock.check()
    lock.release()
    lock.release()
    assert os.listdir(tmp_path) == []
    again = RunLock(tmp_path)
    again.acquire()
    again.release()


def test_a_watch_tells_who_trains_and_takes_nothing(file_system, tmp_path):
    watch = Watch(tmp_path)
    assert watch.holder() is None
    lock = RunLock(tmp_path)
    lock.acquire()
    content = (tmp_path / "lock").read_bytes()
    assert watch.holder() == f"process {os.getpid()} on {socket.gethostname()}"
    lock.check()
    assert (tmp_path / "lock").read_bytes() == content
    lock.release()
    assert watch.holder() is None
    leave(tmp_path, pid=dead())
    assert watch.holder() is None


def test_a_watch_takes_minutes_to_declare_another_machine_dead(soon, tmp_path):
    watch = Watch(tmp_path)
    leave(tmp_path, **ELSEWHERE)
    assert watch.holder() == "process 1 on elsewhere"
    time.sleep(0.4)
    leave(tmp_path, **ELSEWHERE, beat=1)
    assert watch.holder() == "process 1 on elsewhere"
    time.sleep(0.4)
    assert watch.holder() == "process 1 on elsewhere"  # 0.4 s after it was renewed
    time.sleep(0.4)
    assert watch.holder() is None


def test_a_dead_process_is_succeeded_at_once(file_system, tmp_path):
    leave(tmp_path, pid=dead())
    begun = time.monotonic()
    lock = RunLock(tmp_path)
    lock.acquire()
    assert time.monotonic() - begun < 5
    assert json.loads((tmp_path / "lock").read_bytes())["pid"] == os.getpid()
    assert os.listdir(tmp_path) == ["lock"]
    lock.release()


def test_a_number_that_another_process_has_by_now_is_that_of_a_dead_one(file_system, tmp_path):
    leave(tmp_path, pid=os.getppid(), started="1")
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.release()
    leave(tmp_path, pid=os.getppid(), started=holders.start_of(os.getppid()))
    with pytest.raises(InputError, match=f"process {os.getppid()} on"):
        RunLock(tmp_path).acquire()


def test_a_process_that_nobody_has_waited_for_is_dead(tmp_path):
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{process.pid}").exists()
    assert holders.start_of(process.pid) is None
    process.wait()


def test_a_process_may_have_a_name_of_any_bytes():
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'\\xff(\\xfe) ', 0, 0, 0); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    name = Path(f"/proc/{process.pid}/comm")
    until(lambda: b"\xff" in name.read_bytes())
    assert holders.start_of(process.pid)
    process.communicate(b"\n")


def test_children_that_outlive_a_process_do_not_keep_the_folder(tmp_path):
    """Workers that decode images inherit the locked file, and live on for seconds."""
    reader, writer = FORK.Pipe()

    def train():
        RunLock(tmp_path).acquire()
        child = os.fork()
        if child:
            writer.send(child)
        signal.pause()

    process = FORK.Process(target=train)
    process.start()
    child = reader.recv()
    process.kill()
    process.join()
    try:
        lock = RunLock(tmp_path)
        lock.acquire()
        lock.release()
        assert holders.start_of(child) is not None
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_job_that_was_queued_again_succeeds_itself(file_system, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    for restarts in (0, 1):
        leave(tmp_path, **ELSEWHERE, job="4711", restarts=restarts)
        lock = RunLock(tmp_path)
        lock.acquire()
        lock.release()


@pytest.mark.parametrize("restarts", ["", "1"])
def test_steps_of_one_job_do_not_take_a_folder_from_each_other(restarts, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    here = holders.this_process()
    assert here.restarts == int(restarts or 0)
    monkeypatch.setattr(locks, "this_process", lambda: replace(here, **ELSEWHERE))
    other = RunLock(tmp_path)
    other.acquire()
    monkeypatch.setattr(locks, "this_process", lambda: here)
    with pytest.raises(InputError, match="process 1 on elsewhere, SLURM job 4711"):
        RunLock(tmp_path).acquire()
    other.release()


@pytest.mark.parametrize("about", [ELSEWHERE, {"namespace": "pid:[1]", "pid": 1}])
def test_what_cannot_be_seen_is_watched(about, soon, monkeypatch, tmp_path, capsys):
    """A machine that has no locks for a process of another, or of another container."""
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(holders, "fcntl", None)
    here = holders.this_process()
    monkeypatch.setattr(locks, "this_process", lambda: replace(here, **about))
    other = RunLock(tmp_path)
    other.acquire()
    monkeypatch.setattr(locks, "this_process", lambda: here)
    begun = time.monotonic()
    with pytest.raises(InputError, match=f"process 1 on {about.get('host', here.host)}"):
        RunLock(tmp_path).acquire()
    assert time.monotonic() - begun < 0.5
    assert "may be that of a run on another machine" in capsys.readouterr().out
    other._stop.set()  # as if it was switched off
    other._thread.join()
    begun = time.monotonic()
    lock = RunLock(tmp_path)
    lock.acquire()
    assert time.monotonic() - begun > 0.6
    lock.release()
    other.release()
    assert os.listdir(tmp_path) == []


def test_a_machine_that_was_started_anew_has_no_process_of_before(file_system, tmp_path):
    leave(tmp_path, boot="before", pid=os.getpid())
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.release()


def test_of_a_container_on_this_machine_the_locks_know(tmp_path):
    leave(tmp_path, namespace="pid:[1]", pid=os.getpid())
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"pid": "x"}', b"\xff" * 2000])
def test_a_damaged_file_is_no_obstacle(content, file_system, soon, tmp_path):
    (tmp_path / "lock").write_bytes(content)
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.release()


def test_who_was_succeeded_notices_and_writes_no_more(soon, tmp_path):
    """A machine that slept for longer than it was watched."""
    lock = RunLock(tmp_path)
    lock.acquire()
    (tmp_path / "new").write_bytes((tmp_path / "lock").read_bytes())
    (tmp_path / "new").rename(tmp_path / "lock")
    deadline = time.monotonic() + 10
    while lock._successor is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(
        RunError, match=r"was taken over by process .*Nothing more is written here"
    ):
        lock.check()
    lock.release()
    assert (tmp_path / "lock").exists()


def test_a_file_that_was_removed_by_hand_stops_nothing(soon, monkeypatch, tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    (tmp_path / "lock").unlink()
    looked = threading.Semaphore(0)
    usual = lock._is_in_place
    monkeypatch.setattr(lock, "_is_in_place", lambda file: looked.release() or usual(file))
    for _ in range(3):  # renewals that find no file
        assert looked.acquire(timeout=10)
    lock.check()
    lock.release()


@pytest.mark.parametrize("left", [True, False])
def test_of_many_that_come_at_once_one_takes_the_folder(left, file_system, tmp_path):
    if left:
        leave(tmp_path, pid=dead())
    coming, going = FORK.Barrier(6), FORK.Barrier(6)

    def come():
        lock = RunLock(tmp_path)
        coming.wait(60)
        try:
            lock.acquire()
            code = 0
        except InputError:
            code = 2
        going.wait(60)  # whoever has the folder lives until all have asked
        os._exit(code)

    processes = [FORK.Process(target=come) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(process.exitcode for process in processes) == [0, 2, 2, 2, 2, 2]


# Through the command line


@pytest.mark.slow
def test_a_second_run_is_refused_in_one_line_and_the_first_ends_as_if_alone(tmp_path):
    run = command(2, ["GaussianRing"], 20, 15, "--trainer.max_steps", "300")
    finish([*run, "--name", "whole"])
    process = start(run)
    folder = tmp_path / "runs" / "run" / "version_0"
    wait_for_row(folder, 40, process)
    again = ["fit", "--name", "run", "--ckpt_path", "last"]
    process.send_signal(signal.SIGSTOP)  # so that it is not over when the others come
    refused = [start(again) for _ in range(2)]
    for second in refused:
        assert second.wait(timeout=100) == 2
        (line,) = second.stderr.read().splitlines()
        assert f"is being trained in by process {process.pid} on " in line
        assert line.endswith("start a new run without --ckpt_path.")
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=200) == 0
    assert rows(folder) == rows(tmp_path / "runs" / "whole" / "version_0")
    assert not (folder / "lock").exists()
    assert sorted(os.listdir(folder / "checkpoints")) == ["best.ckpt", "last.ckpt"]


@pytest.mark.slow
def test_of_two_that_go_on_at_once_one_does(tmp_path):
    run = command(2, ["GaussianRing"], 20, 15, "--trainer.max_steps", "150")
    finish([*run, "--name", "whole"])
    whole = tmp_path / "runs" / "whole" / "version_0"
    process = start(run)
    folder = tmp_path / "runs" / "run" / "version_0"
    wait_for_row(folder, 40, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "lock").exists()
    again = ["fit", "--name", "run", "--ckpt_path", "last"]
    both = [start(again) for _ in range(2)]
    codes = sorted(one.wait(timeout=200) for one in both)
    # One may have ended before the other asks; that one finds nothing left to train.
    assert codes in ([0, 2], [0, 0])
    printed = [one.stdout.read() for one in both]
    assert sum("nothing left to train" in text for text in printed) == codes.count(0) - 1
    assert rows(folder) == rows(whole)
    states = [content(f / "checkpoints" / "last.ckpt") for f in (folder, whole)]
    for state in states:
        state["config"].pop("name")
    assert_same(*states)


@pytest.mark.slow
def test_several_processes_are_refused_alike_and_none_hangs(tmp_path):
    run = command(1, ["GaussianRing"], 1000, 10, "--trainer.max_steps", "20")
    main(run)
    folder = tmp_path / "runs" / "run" / "version_0"
    lock = RunLock(folder)
    lock.acquire()
    script = Path(sys.executable).with_name("lightning-gans")
    two = ["--trainer.devices", "2", "--trainer.accelerator", "cpu"]
    again = ["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "40", *two]
    for launcher in ([], [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]):
        done = subprocess.run(
            [*launcher, script, *again], capture_output=True, text=True, timeout=200
        )
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if "lightning-gans: error" in line]
        assert len(lines) == 1
        assert f"is being trained in by process {os.getpid()} on" in lines[0]
    lock.release()
