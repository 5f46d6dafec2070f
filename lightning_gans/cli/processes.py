"""How several processes tell an error once, whichever of them it comes up in.

Before they know of each other all make the same mistakes, and the main process tells; another one
waits for it to do so, and else tells by itself. Later the first that fails tells: the others fail
because of it.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any

__all__ = ["OtherProcessFailed", "fail_together", "give_time", "is_main", "tell"]

WAIT = 10.0
"""Seconds to wait for the main process to tell the same, or for the others to end."""
VARIABLES = (
    *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
    *("SLURM_JOB_ID", "SLURM_STEP_ID"),
)
"""What all processes of one run have in their environment."""


class OtherProcessFailed(SystemExit):
    """Ends a process that fails since another one did, which tells why."""

    def __init__(self) -> None:
        super().__init__(1)


def _rank() -> int:
    names = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
    return next((int(value) for name in names if (value := os.environ.get(name))), 0)


def is_main() -> bool:
    """Tells whether this process is the only or the first one of its run."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def tell(message: str, *, first: bool) -> None:
    """Prints an error, once for all processes.

    Args:
        message: one line.
        first: whether it is known that this process is the one to tell it.
    """
    if is_main():
        print(f"lightning-gans: error: {message}", file=sys.stderr, flush=True)
        if any(name in os.environ for name in VARIABLES):
            with suppress(OSError):
                _mark(message).touch()
        return
    if not first:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            with suppress(OSError):
                # The main process tells always: a mark that an earlier run left does no harm.
                if abs(time.time() - _mark(message).stat().st_mtime) < 3 * WAIT:
                    return
            time.sleep(0.1)
    print(f"lightning-gans: error: process {_rank()}: {message}", file=sys.stderr, flush=True)


def _mark(message: str) -> Path:
    """Returns the file by which the main process lets those of its machine know what it told."""
    key = "\n".join([*(os.environ.get(name, "") for name in VARIABLES), message])
    return Path(gettempdir(), f"lightning-gans-{hashlib.sha256(key.encode()).hexdigest()[:32]}")


def fail_together(trainer: Any) -> bool:
    """Ends all processes of a run of which one has failed; called in each that fails.

    Args:
        trainer: that was running.

    Returns:
        Whether this is the first that failed, and so the one to tell why.

    Raises:
        OtherProcessFailed: if it is not.
    """
    from torch import distributed
    from torch.distributed.distributed_c10d import _get_default_store

    if trainer.world_size == 1 or not distributed.is_initialized():
        return trainer.world_size == 1
    if not is_main():
        time.sleep(0.5)  # what all of them find at once is the main process's to tell
    try:
        first = _get_default_store().add("lightning_gans/failed", 1) == 1
    except Exception:  # the main process, which keeps the store, has ended before
        first = False
    _end_children(trainer)
    if not first:
        raise OtherProcessFailed
    return True


def give_time() -> None:
    """Lets this process, if another one ends, write what it has to before Lightning kills it.

    Called once the other processes have been started.
    """
    from lightning_gans.core.lightning_compat import wrap_termination

    for observer in _observers():
        observer.settled = threading.Event()
        wrap_termination(observer, partial(partial, _kill_later, observer.settled))


def _observers() -> list[Any]:
    """Returns Lightning's threads that kill this process when one that it has started fails."""
    return [thread for thread in threading.enumerate() if thread.name == "child-process-observer"]


def _kill_later(settled: threading.Event, kill: Callable[[], None]) -> None:
    """Kills all processes, unless this one has noticed by itself that another one has failed."""
    if not settled.wait(2 * WAIT):
        kill()


def _end_children(trainer: Any) -> None:
    """Ends the processes that this one has started, which may wait for it for ever."""
    for observer in _observers():
        observer.settled.set()
    end = time.monotonic() + WAIT / 2
    for process in getattr(trainer.strategy.launcher, "procs", []):
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, end - time.monotonic()))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
