"""What the tests of comparisons that are killed share: a comparison, its processes, its end."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from interrupted import content, rows

from lightning_gans.finding import newest_first

PROGRAM = (sys.executable, "-m", "lightning_gans")


def started(arguments: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Starts a comparison in a folder, in a group of processes of its own."""
    return subprocess.Popen(
        [*PROGRAM, "compare", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ended(process: "subprocess.Popen[bytes]", code: int = 0) -> str:
    """Waits for a comparison, and returns what it has printed."""
    printed = process.communicate(timeout=1800)[0].decode()
    assert process.returncode == code, printed
    return printed


def kill(process: "subprocess.Popen[bytes]", *, with_runs: bool) -> bool:
    """Kills a comparison, and its runs with it or not; returns whether it was still there."""
    with suppress(FileNotFoundError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        for child in children if with_runs else ():
            with suppress(ProcessLookupError):
                os.killpg(int(child), signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def begun(folder: Path) -> list[Path]:
    """Returns the folders of the runs that have begun, of a comparison in a folder."""
    homes = sorted(folder.glob("runs/compare/*-seed_*"))
    found = [run for home in homes for run in reversed(newest_first(home))]
    return [run for run in found if (run / "run.json").exists()]


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


class Witness:
    """Notes how far runs were when their comparison was killed.

    Args:
        folder: in which the comparison was started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: dict[Path, int] = {}
        self.saved: dict[Path, list[tuple[int, int]]] = {}

    def look(self) -> None:
        """Notes the runs that are finished, and the last checkpoints of the others."""
        for run in begun(self.folder):
            told = record(run)
            if told["status"] == "finished":
                self.finished.setdefault(run, (run / "run.json").stat().st_mtime_ns)
                continue
            last = run / "checkpoints" / "last.ckpt"
            if last.exists():
                resumed = len(told["resumed_at"])
                self.saved.setdefault(run, []).append((resumed, content(last)["global_step"]))

    def check(self) -> None:
        """Checks that nothing was trained again that was on the disk already."""
        for run, moment in self.finished.items():
            assert (run / "run.json").stat().st_mtime_ns == moment, run
        for run, moments in self.saved.items():
            for resumed, update in moments:
                later = record(run)["resumed_at"][resumed:]
                assert not later or later[0] >= update, (run, moments, record(run))


def assert_same_end(folder: Path, whole: Path) -> None:
    """Checks that a comparison has come to the same end as one that nobody has killed."""
    ends = {}
    assert table(folder) == table(whole)
    for place in (folder, whole):
        last = {run.parent.name: run for run in begun(place)}  # the newest of each
        assert all(record(run)["status"] == "finished" for run in last.values())
        ends[place] = {name: rows(run) for name, run in last.items()}
        for found in ends[place].values():
            updates = [int(row["step"]) for row in found if row.get("train/loss_d")]
            assert updates == sorted(set(updates))
    assert ends[folder] == ends[whole]


def table(folder: Path) -> list[dict[str, str]]:
    """Returns the table that a comparison has drawn, but for times and numbers of versions."""
    with (folder / "runs" / "compare" / "compare.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "folder")} for row in found]


def killed_again_and_again(
    arguments: list[str], folder: Path, pauses: Iterable[float], chance: random.Random
) -> int:
    """Starts a comparison and kills it, after each pause, half the time with its runs.

    Returns:
        How often it was still there. In the end it has come to its end.
    """
    witness, survived = Witness(folder), 0
    for pause in pauses:
        process = started(arguments, folder)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=pause)
        survived += kill(process, with_runs=chance.random() < 0.5)
        time.sleep(0.5)  # until the system has ended what was killed
        witness.look()
    ended(started(arguments, folder))
    witness.check()
    return survived
