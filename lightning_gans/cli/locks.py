"""One training at a time in the folder of a run, on one machine or on many.

A file in the folder says who trains there and is renewed every few seconds. Where the file system
has locks (``flock``), the file is locked as well, which tells processes of one machine apart that
cannot see each other. What is known of the other process decides: one that is dead on this
machine, or was of the same SLURM job, which then waited in the queue again, is succeeded at once.
One of another machine is watched for minutes, without comparing clocks.
"""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex

from lightning_gans.callbacks.preemption import slurm_job
from lightning_gans.cli.screen import say
from lightning_gans.errors import InputError, RunError, printable

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunLock"]

RENEW_EVERY = 10.0
"""Seconds between two renewals, which come from a thread: a validation may take longer."""
WATCH_FOR = 300.0
"""Seconds in which nothing is renewed before the process of another machine counts as dead."""
LOOK_EVERY = 0.5
"""Seconds between two looks at a file that is watched."""
SETTLE = 0.3
"""Seconds after which only one of several successors finds its own file in place."""
SIZE = 1024
"""Bytes of the file: always as many, so that it can be renewed in place."""


@dataclass(frozen=True)
class _Holder:
    """Who trains in a folder.

    Attributes:
        host: name of the machine.
        boot: identity of the machine's last start, if it tells.
        namespace: in which the process has its number, if the machine tells.
        pid: number of the process.
        started: when the process was started, in the machine's own units, if it tells.
        job: SLURM job, if it is one.
        beat: renewals so far.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str
    job: str | None = None
    beat: int = 0

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return printable(f"process {self.pid} on {self.host}{job}")


def _me() -> _Holder:
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    started = _start_of(os.getpid()) or ""
    return _Holder(socket.gethostname(), boot, namespace, os.getpid(), started, slurm_job())


def _start_of(pid: int) -> str | None:
    """Returns when a process was started; "" if that is not told, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
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


class RunLock:
    """Keeps the folder of a run to one process.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "lock"
        self._me = _me()
        self._file: int | None = None
        self._successor: _Holder | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Takes the folder, or tells who has it.

        Raises:
            InputError: if another process trains in it.
        """
        while not self._try():
            pass
        self._stop.clear()
        self._thread = threading.Thread(target=self._renew, name="run lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Makes sure that the folder is still this process's.

        Raises:
            RunError: if another process has taken it, as after this machine was asleep.
        """
        if self._successor is not None:
            raise RunError(
                f"{self.folder} was taken over by {self._successor}, while this process was not "
                "heard of. Nothing more is written here."
            )

    def release(self) -> None:
        """Gives the folder back; does nothing if it is not held."""
        if self._file is None:
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._is_in_place(self._file):
            with suppress(OSError):
                self.path.unlink()
        os.close(self._file)
        self._file = None

    # Taking it -----------------------------------------------------------------------------------

    def _try(self) -> bool:
        """Makes one attempt; returns whether the folder was taken."""
        aside = self.path.with_name(f"lock.{self._me.pid}.{token_hex(4)}")
        file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        self._write(file)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if self._put(aside):
                self._file, file = file, -1
                return True
        finally:
            aside.unlink(missing_ok=True)
            if file >= 0:
                os.close(file)
        return False

    def _put(self, aside: Path) -> bool:
        """Puts a file into its place, if nobody has one there; returns whether it was done."""
        try:
            os.link(aside, self.path)
        except FileExistsError:
            pass
        except OSError:  # a file system without a second name for a file
            if not self.path.exists():
                return self._replace(aside)
        else:
            return True
        try:
            file = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return False  # given back just now
        try:
            holder, locked = _read(file), _is_locked(file)
            alive = self._is_alive(holder, locked)
            if self._is_renewed() if alive is None else alive:
                raise self._refusal(holder)
            # In its place, not into it: children of a dead process may still hold the old file.
            return self._is_in_place(file) and self._replace(aside)
        finally:
            os.close(file)

    def _replace(self, aside: Path) -> bool:
        """Puts a file into its place, and sees whether nobody else does the same."""
        own = aside.stat()
        aside.replace(self.path)
        time.sleep(SETTLE)
        try:
            return os.path.samestat(own, self.path.stat())
        except FileNotFoundError:
            return False

    def _is_alive(self, holder: _Holder | None, locked: bool | None) -> bool | None:
        """Tells whether the process that has the folder still runs; None if it has to be watched.

        Args:
            holder: what its file says, or None if that is not whole.
            locked: whether its file is locked, or None if there are no locks.
        """
        me = self._me
        if holder is None:
            return locked
        here = holder.boot == me.boot if holder.boot and me.boot else holder.host == me.host
        if here and holder.namespace == me.namespace and os.name != "nt":
            start = _start_of(holder.pid)
            return start is not None and start in ("", holder.started)
        if me.job is not None and holder.job == me.job:
            return False
        if here:  # in a container, perhaps; locks know
            return locked
        if holder.host == me.host and holder.boot != me.boot and not locked:
            return False  # this machine was started anew
        return True if locked else None

    def _is_renewed(self) -> bool:
        """Watches the file; tells whether somebody renews it."""
        first = self._content()
        end = time.monotonic() + WATCH_FOR
        say(
            f"{self.path} may be that of a run on another machine: watching it for "
            f"{WATCH_FOR:.0f} seconds"
        )
        while time.monotonic() < end:
            time.sleep(min(LOOK_EVERY, WATCH_FOR))
            now = self._content()
            if now is None:
                return False
            if now != first:
                return True
        return False

    def _content(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _refusal(self, holder: _Holder | None) -> InputError:
        return InputError(
            f"{self.folder} is being trained in by {holder or 'another process'}: wait for it, "
            "stop it, or start a new run without --ckpt_path."
        )

    # Keeping it ----------------------------------------------------------------------------------

    def _is_in_place(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except OSError:
            return False

    def _write(self, file: int) -> None:
        content = json.dumps(asdict(self._me)).encode().ljust(SIZE)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, content)
        with suppress(OSError):
            os.fsync(file)

    def _renew(self) -> None:
        assert self._file is not None
        while not self._stop.wait(RENEW_EVERY):
            if not self._is_in_place(self._file):
                with suppress(OSError):
                    file = os.open(self.path, os.O_RDONLY)
                    self._successor = _read(file)
                    os.close(file)
                if self._successor is not None:
                    return
                continue  # removed by hand, or a file system that is not there at the moment
            self._me = replace(self._me, beat=self._me.beat + 1)
            with suppress(OSError):  # the disk may be full
                self._write(self._file)


def _read(file: int) -> _Holder | None:
    """Returns what a file says, or None if it is not whole."""
    os.lseek(file, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(file, SIZE))
        holder = _Holder(**found)
    except (TypeError, ValueError, RecursionError):
        return None
    texts = (holder.host, holder.boot, holder.namespace, holder.started)
    whole = all(isinstance(text, str) for text in texts) and isinstance(holder.pid, int)
    return holder if whole and isinstance(holder.job, str | None) else None


def _is_locked(file: int) -> bool | None:
    """Tells whether another process has locked a file; None if there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
