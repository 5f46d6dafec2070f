"""One training at a time in the folder of a run, on one machine or on many.

A file in the folder says who trains there and is renewed every few seconds. Where the file system
has locks (``flock``), the file is locked as well, which tells processes of one machine apart that
cannot see each other. What is known of the other process decides: one that is dead on this
machine, or was of the same SLURM job, which then waited in the queue again, is succeeded at once.
One of another machine is watched for minutes, without comparing clocks.
"""

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from secrets import token_hex

from lightning_gans.cli.screen import say
from lightning_gans.errors import InputError, RunError
from lightning_gans.holders import (
    LOCK,
    SIZE,
    WATCH_FOR,
    Holder,
    is_alive,
    is_locked,
    read_holder,
    this_process,
)

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunLock"]

RENEW_EVERY = 10.0
"""Seconds between two renewals, which come from a thread: a validation may take longer."""
LOOK_EVERY = 0.5
"""Seconds between two looks at a file that is watched."""
SETTLE = 0.3
"""Seconds after which only one of several successors finds its own file in place."""


class RunLock:
    """Keeps the folder of a run to one process.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self._me = this_process()
        self._file: int | None = None
        self._successor: Holder | None = None
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
        aside = self.path.with_name(f"{LOCK}.{self._me.pid}.{token_hex(4)}")
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
            holder, locked = read_holder(file), is_locked(file)
            alive = is_alive(holder, locked, self._me)
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

    def _refusal(self, holder: Holder | None) -> InputError:
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
                    self._successor = read_holder(file)
                    os.close(file)
                if self._successor is not None:
                    return
                continue  # removed by hand, or a file system that is not there at the moment
            self._me = replace(self._me, beat=self._me.beat + 1)
            with suppress(OSError):  # the disk may be full
                self._write(self._file)
