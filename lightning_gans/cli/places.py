"""Where commands write to."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lightning_gans.errors import InputError

__all__ = ["check_out", "with_homes"]


def with_homes(arguments: Sequence[str]) -> list[str]:
    """Returns arguments with the user's folder for ``~``.

    Shells do that at the start of a word only, not in ``--FLAG=~/runs`` and ``KEY=~/runs``. A
    ``~`` alone stays: for YAML it is null.
    """
    found = (re.fullmatch(r"((?:[\w.+-]+=)*)(~/.*)", text, re.S) for text in arguments)
    return [
        part[1] + os.path.expanduser(part[2]) if part else text
        for text, part in zip(arguments, found, strict=True)
    ]


def check_out(out: Path, *endings: str) -> None:
    """Refuses a file that cannot be made, before any work is done for it.

    Args:
        out: the file.
        endings: those that it may have.

    Raises:
        InputError: if it has another one, or there is no place for it.
    """
    if out.suffix not in endings or out.name.startswith(".") or not out.name:
        named = ", ".join(ending for ending in endings if ending)
        allowed = [f"end in {named}"] if named else []
        allowed += ["have no extension, for a new folder"] if "" in endings else []
        raise InputError(f"out: the name must {', or '.join(allowed)}, got {out}.")
    place = out.absolute().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK)) or out.is_dir():
        raise InputError(f"out: {out} cannot be written. Use a folder that you can write to.")
