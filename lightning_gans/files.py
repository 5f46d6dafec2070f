"""Files that are whole or not there, and what is read from files that may be damaged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

__all__ = ["PARTIAL", "is_overgrown", "replacing"]

PARTIAL = ".part"
"""Ends the name of a file that is being written."""
DEPTH, SIZE = 64, 2_000_000
"""Most levels and entries of what a file holds; no checkpoint of this package comes near."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a new version of a file, which takes its place once it is wholly on the disk.

    Whatever happens in between, the path names the old version or the new one. The new one is
    written beside it, under a name that no other process uses: a folder for temporary files may
    be on another file system, where a rename is none.

    Args:
        path: the file; its folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{token_hex(4)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def is_overgrown(value: Any) -> bool:
    """Tells whether lists and mappings are nested so deeply, or so often, that reading fails.

    Every way through them counts, so that a list which holds itself, or the same one ten times on
    each of ten levels, is found out too.
    """
    waiting, seen = [(value, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEPTH or seen > SIZE:
            return True
        if isinstance(value, dict):
            waiting.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend((inner, depth + 1) for inner in value)
    return False
