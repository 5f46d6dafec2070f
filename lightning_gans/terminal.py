"""The terminal, or the file or the program in its place, which may go away before a run ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "drop", "is_lost"]


def console() -> "Console":
    """Returns the one console of this process, which knows of a live bar to print above it.

    What cannot be printed is left out from then on. A training must not end because ``head`` has
    read enough, a terminal was closed, or the disk of a log is full.
    """
    from rich import get_console  # takes a while, which help and lists need not wait

    found = get_console()
    if found.file in (sys.stdout, sys.stderr):
        to_errors = found.file is sys.stderr and not found.stderr
        found.file = cast("IO[str]", _Outlived(found, to_errors=to_errors))
    return found


def is_lost() -> bool:
    """Tells whether something could not be printed, though somebody may have wanted to read it."""
    file = console().file
    return isinstance(file, _Outlived) and file.is_lost


def drop(stream: IO[str]) -> None:
    """Sends what is printed nowhere, and what could not be printed, which Python would try again.

    Args:
        stream: of this process.
    """
    with suppress(OSError, ValueError, AttributeError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())  # unless it is no file


class _Outlived:
    """What a console prints to: the stream of this process at the time, as long as it is there.

    Args:
        console: that tells which stream.
        to_errors: whether it is that of errors, whatever the console tells.

    Attributes:
        is_lost: whether something could not be printed.
    """

    def __init__(self, console: "Console", *, to_errors: bool) -> None:
        self._console = console
        self._to_errors = to_errors
        self._gone: list[IO[str]] = []
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        if name == "rich_proxied_file":  # by which rich would look behind this
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def _stream(self) -> IO[str]:
        to_errors = self._to_errors or self._console.stderr
        # A closed one, as by `lightning-gans fit >&-`, is None.
        stream = (sys.stderr if to_errors else sys.stdout) or StringIO()
        behind: IO[str] = getattr(stream, "rich_proxied_file", stream)  # of a live bar
        return behind

    def write(self, text: str) -> None:
        """Prints text, if that is possible."""
        with self._outlived() as stream:
            stream.write(text)

    def flush(self) -> None:
        """Lets text get through, if that is possible."""
        with self._outlived() as stream:
            stream.flush()

    @contextmanager
    def _outlived(self) -> Iterator[IO[str]]:
        stream = self._stream
        if any(stream is gone for gone in self._gone):
            stream = StringIO()
        try:
            yield stream
        except BlockingIOError:
            self.is_lost = True  # a reader that is too slow may read what comes later
        except OSError as error:
            drop(stream)
            self._gone.append(stream)
            if not isinstance(error, BrokenPipeError):  # there somebody has read enough
                self.is_lost = True
                with suppress(OSError):
                    print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
