"""Which process trains in the folder of a run, as a file in there tells.

What is known of the process decides whether it is alive: one that is dead on this machine, or was
of the same SLURM job before that waited in the queue again, is known to be dead. One of another
machine has to be watched for minutes, without comparing clocks.
"""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lightning_gans.errors import printable

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "LOCK",
    "SIZE",
    "WATCH_FOR",
    "Holder",
    "Watch",
    "is_alive",
    "is_locked",
    "read_holder",
    "slurm_job",
    "start_of",
    "this_process",
]

LOCK = "lock"
"""Name of the file."""
SIZE = 1024
"""Bytes of the file: always as many, so that it can be renewed in place."""
WATCH_FOR = 300.0
"""Seconds in which nothing is renewed before the process of another machine counts as dead."""


@dataclass(frozen=True)
class Holder:
    """Who trains in a folder.

    Attributes:
        host: name of the machine.
        boot: identity of the machine's last start, if it tells.
        namespace: in which the process has its number, if the machine tells.
        pid: number of the process.
        started: when the process was started, in the machine's own units, if it tells.
        job: SLURM job, if it is one.
        beat: renewals so far.
        restarts: how often the job has been queued again.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str
    job: str | None = None
    beat: int = 0
    restarts: int = 0

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return printable(f"process {self.pid} on {self.host}{job}")


def this_process() -> Holder:
    """Returns what the file says if this process trains."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    started = start_of(os.getpid()) or ""
    known = (socket.gethostname(), boot, namespace, os.getpid(), started, slurm_job())
    return Holder(*known, restarts=_restarts())


def _restarts() -> int:
    text = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def slurm_job() -> str | None:
    """Returns the identity of the SLURM job that this process belongs to, or None."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def start_of(pid: int) -> str | None:
    """Returns when a process was started; "" if that is not told, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        pass
    else:
        state, *rest = text.rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]
    try:
        os.kill(pid, 0)  # asks only
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""


def is_alive(holder: Holder | None, locked: bool | None, me: Holder) -> bool | None:
    """Tells whether the process that has a folder still runs; None if it has to be watched.

    Args:
        holder: what its file says, or None if that is not whole.
        locked: whether its file is locked, or None if there are no locks.
        me: the process that asks.
    """
    if holder is None:
        return locked
    here = holder.boot == me.boot if holder.boot and me.boot else holder.host == me.host
    if here and holder.namespace == me.namespace and os.name != "nt":
        start = start_of(holder.pid)
        return start is not None and start in ("", holder.started)
    # Other steps of one job may train on other machines at the same time.
    if me.job is not None and holder.job == me.job and holder.restarts < me.restarts:
        return False
    if here:  # in a container, perhaps; locks know
        return locked
    if holder.host == me.host and holder.boot != me.boot and not locked:
        return False  # this machine was started anew
    return True if locked else None


def read_holder(file: int) -> Holder | None:
    """Returns what a file says, or None if it is not whole."""
    os.lseek(file, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(file, SIZE))
        holder = Holder(**found)
    except (TypeError, ValueError, RecursionError):
        return None
    texts = (holder.host, holder.boot, holder.namespace, holder.started)
    whole = all(isinstance(text, str) for text in texts) and isinstance(holder.pid, int)
    whole = whole and isinstance(holder.restarts, int)
    return holder if whole and isinstance(holder.job, str | None) else None


def is_locked(file: int) -> bool | None:
    """Tells whether another process has locked a file; None if there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which others may ask, too, meanwhile
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


class Watch:
    """Looks now and then whether a process trains in a folder, and takes nothing.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._seen: bytes | None = None
        self._since = 0.0

    def holder(self) -> str | None:
        """Returns the process that trains there, in words, or None if there is none.

        A process of another machine counts as dead once it has renewed nothing between looks of
        `WATCH_FOR` seconds.
        """
        try:
            file = os.open(self._path, os.O_RDONLY)
        except OSError:
            return None
        try:
            holder = read_holder(file)
            alive = is_alive(holder, is_locked(file), this_process())
            os.lseek(file, 0, os.SEEK_SET)
            content = os.read(file, SIZE)
        finally:
            os.close(file)
        if alive is None:
            if content != self._seen:
                self._seen, self._since = content, time.monotonic()
            alive = time.monotonic() - self._since < WATCH_FOR
        return str(holder or "another process") if alive else None
