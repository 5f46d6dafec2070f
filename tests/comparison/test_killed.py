"""A comparison that is killed, or told to stop, comes to the same end when it is started again."""

import re
import signal
import time

import pytest
from killed import Witness, assert_same_end, begun, ended, kill, record, started

pytestmark = pytest.mark.slow

ARGUMENTS = [
    *("gan_ring", "lsgan_ring", "--seeds", "0,1"),
    *("--set", "trainer.max_steps=1500", "--set", "trainer.val_check_interval=750"),
    *("--set", "checkpoint.every_n_updates=50", "--set", "data.num_eval_samples=200"),
    *("--set", "pictures.enabled=false", "--set", "trainer.log_every_n_steps=10"),
]


def until(process, holds):
    """Waits until something holds of a comparison that goes on."""
    end = time.monotonic() + 300
    while not holds():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def saved(folder):
    """Returns the unfinished runs that have a checkpoint."""
    return [
        run
        for run in begun(folder)
        if (run / "checkpoints" / "last.ckpt").exists() and record(run)["status"] == "running"
    ]


def finished(folder):
    return sum(record(run)["status"] == "finished" for run in begun(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a comparison that nobody stops."""
    folder = tmp_path_factory.mktemp("whole")
    printed = ended(started(ARGUMENTS, folder))
    assert "4 runs of 2 cells: 4 to begin\nabout 0:" in printed
    return folder


def test_a_comparison_is_killed_twice(whole, tmp_path):
    witness = Witness(tmp_path)
    process = started(ARGUMENTS, tmp_path)
    until(process, lambda: saved(tmp_path))
    assert kill(process, with_runs=False)
    witness.look()
    process = started(ARGUMENTS, tmp_path)

    def can_all_be_resumed():
        # All four have begun: one that is being started could be killed before its checkpoint.
        left = len(begun(tmp_path)) - finished(tmp_path)
        return len(begun(tmp_path)) == 4 and 0 < left == len(saved(tmp_path))

    until(process, can_all_be_resumed)
    assert kill(process, with_runs=True)
    time.sleep(0.5)
    witness.look()
    assert witness.saved
    printed = ended(started(ARGUMENTS, tmp_path))
    witness.check()
    assert re.search("4 runs of 2 cells: [123] finished, .*to resume", printed)
    assert_same_end(tmp_path, whole)
    assert len(begun(tmp_path)) == 4
    again = ended(started(ARGUMENTS, tmp_path))
    assert "4 runs of 2 cells: 4 finished\n" in again
    witness.check()


def test_ctrl_c_stops_all_runs_cleanly_and_a_second_start_resumes_them(whole, tmp_path):
    process = started(ARGUMENTS, tmp_path)
    until(process, lambda: len(saved(tmp_path)) == 2)
    process.send_signal(signal.SIGINT)
    printed = ended(process, 128 + signal.SIGINT)
    assert "stopping 2 runs after the current round; Ctrl-C again stops at once\n" in printed
    assert printed.endswith(
        "stopped with 0 of 4 runs finished; the same command resumes the others\n"
    )
    told = [record(run) for run in begun(tmp_path)]
    assert [one["status"] for one in told] == ["stopped: SIGTERM"] * 2
    assert "4 runs of 2 cells: 2 to resume, 2 to begin" in ended(started(ARGUMENTS, tmp_path))
    assert_same_end(tmp_path, whole)
    assert [record(run)["resumed_at"] for run in begun(tmp_path)] in (
        [[told[0]["updates"]], [], [told[1]["updates"]], []],
    )
