"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["PARTIAL", "replacing"]

PARTIAL = ".part"
"""Ends the name of a file that is being written."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a new version of a file, which takes its place once it is wholly on the disk.

    Whatever happens in between, the path names the old version or the new one. The new one is
    written beside it: a folder for temporary files may be on another file system, where a rename
    is none.

    Args:
        path: the file; its folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
