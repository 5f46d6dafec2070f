"""Files that are whole or not there, and what is read from files that may be damaged."""

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

__all__ = ["LOGGED", "PARTIAL", "as_json", "filling", "is_overgrown", "read_rows", "replacing"]

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
    partial = path.with_name(f"{path.name}.{token_hex(8)}{PARTIAL}")
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


def as_json(record: Mapping[str, Any]) -> bytes:
    """Returns a record as the content of a JSON file.

    JSON has no number that is not finite: such a one becomes null.

    Args:
        record: plain data.
    """

    def finite(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: finite(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [*map(finite, value)]
        return None if isinstance(value, float) and not isfinite(value) else value

    return json.dumps(finite(record), indent=2, allow_nan=False).encode() + b"\n"


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Makes a folder, which is there once it is wholly filled, or else not at all.

    It is filled beside its place, under a name that no other process uses.

    Args:
        folder: that is not there yet.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.{token_hex(8)}{PARTIAL}")
    try:
        # Here and not before: an interrupt may come as soon as the folder is there.
        partial.mkdir()
        yield partial
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


LOGGED = ("train/", "val/")
"""Beginnings of the columns that hold numbers."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a ``metrics.csv`` but for what a kill may have left of the last one.

    There are none without the file. Cells without a value are empty.

    Args:
        path: the file.

    Raises:
        ValueError: if the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_bytes().decode().splitlines(keepends=True)
        rows = list(csv.DictReader(line for line in lines if line.endswith("\n")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    for number, row in enumerate(rows, 2):
        if not _is_row(row):
            raise ValueError(f"{path} is damaged: line {number} is not a row of numbers.")
    return rows


def _is_row(row: dict[Any, Any]) -> bool:
    """Tells whether a row has an update and, of training and validation, numbers."""
    try:
        if not 0 <= int(row["step"]) < 2**53:
            return False
        _ = [float(text) for name, text in row.items() if text and name.startswith(LOGGED)]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return None not in row.values()


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
