"""``lightning-gans diff``: what differs between two runs, and the update at which they part."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size

from lightning_gans.cli.screen import wrapped
from lightning_gans.comparison.differences import (
    Difference,
    Parting,
    origins,
    parting,
    settings,
)
from lightning_gans.comparison.reading import read_run
from lightning_gans.errors import InputError, printable
from lightning_gans.finding import run_in

__all__ = ["diff"]

MOST = 5
"""Terms that are shown of an update at which runs part."""


def diff(one: Path, other: Path) -> bool:
    """Prints what differs between two runs; returns whether settings or rows differ.

    Args:
        one: a run folder, the folder of all runs of a name, a name, or a checkpoint of a run.
        other: likewise.

    Raises:
        InputError: if there is no such run, or its files are damaged.
    """
    try:
        folders = [run_in(path) for path in (one, other)]
        first, second = (read_run(folder) for folder in folders)
        rows = parting(first.rows, second.rows)
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error
    for number, folder in enumerate(folders, 1):
        print(f"{number}  {printable(str(folder))}")
    chosen = settings(first.config, second.config)
    _print("settings", chosen)
    _print("commit, versions and machine", origins(first.record, second.record))
    if rows.update is None:
        print("\n".join(["", *wrapped(f"rows: {_told(rows)}")]))
    else:
        _print(f"rows part at update {rows.update:,}", rows.terms[:MOST])
        if len(rows.terms) > MOST:
            print(f"  and {len(rows.terms) - MOST} more")
    return bool(chosen) or rows.update is not None or rows.ends[0] != rows.ends[1]


def _told(rows: Parting) -> str:
    """Returns how far rows are equal that do not part."""
    if rows.same == 0:
        return "the two runs have no logged update in common"
    told = f"equal at {rows.same:,} update{'s' * (rows.same > 1)}"
    if rows.ends[0] != rows.ends[1]:
        told += f"; 1 ends at update {rows.ends[0]:,}, 2 at update {rows.ends[1]:,}"
    return told


def _print(title: str, differences: Sequence[Difference]) -> None:
    """Prints a table with its title, or that there is nothing in it."""
    lines = _lines(title, differences) if differences else [f"{title}: equal"]
    print("\n".join(["", *lines]))


def _lines(title: str, differences: Sequence[Difference]) -> Iterator[str]:
    """Yields the lines of a table; where it is too wide, values stand below their keys."""
    rows = [tuple(map(_shown, (f"  {d.key}", d.one, d.other))) for d in differences]
    table = [(title, "1", "2"), *rows]
    first, second, third = (max(map(len, column)) for column in zip(*table, strict=True))
    if first + 2 + second + 2 + third <= get_terminal_size().columns:
        yield from (f"{key:<{first}}  {one:<{second}}  {other}" for key, one, other in table)
        return
    yield title
    for key, one, other in rows:
        yield from (key, *wrapped(one, 7, "    1  "), *wrapped(other, 7, "    2  "))


def _shown(text: str) -> str:
    """Returns text for the terminal, with commits as short as git shows them."""
    return printable(re.sub(r"\b([0-9a-f]{10})[0-9a-f]{30}\b", r"\1", text))
