"""Lines on the terminal."""

import os
import sys
from io import TextIOWrapper
from shutil import get_terminal_size
from textwrap import wrap

from lightning_gans.errors import printable
from lightning_gans.terminal import console

__all__ = ["adapt", "beside", "say", "wrapped"]

LONGEST = 99
"""Characters of a line of prose, however wide the terminal is."""
LEAST = 30
"""Characters that text beside a name has room for at least, or else it stands below the name."""


def adapt() -> None:
    """Lets all that is printed reach the output of this process, whatever that is."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python does with errors
    if os.environ.get("TERM") == "dumb":
        console().size = get_terminal_size()  # it takes such a terminal for 80 columns wide


def say(text: str, *, breaks: bool = False) -> None:
    """Prints a line, of which nothing is taken for markup, and no control character gets through.

    Args:
        text: that may stem from a file.
        breaks: whether a terminal breaks it between words. Paths and commands are not broken, so
            that they can be copied.
    """
    from rich.text import Text  # takes a while, which help and lists need not wait

    shown = console()
    shown.print(Text(printable(text)), soft_wrap=not (breaks and shown.is_terminal))


def wrapped(text: str, indent: int = 0, begin: str = "", width: int | None = None) -> list[str]:
    """Returns text in lines that are broken between words.

    Args:
        text: prose, whose backticks are left out.
        indent: of all lines, or of all but the first.
        begin: of the first line, if it is not the indent.
        width: of the lines; that of the terminal, `LONGEST` at most, if it is not given.
    """
    return wrap(
        " ".join(text.replace("`", "").split()),
        width or min(get_terminal_size().columns, LONGEST),
        initial_indent=begin or " " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def beside(name: str, text: str, column: int, width: int | None = None) -> list[str]:
    """Returns the lines on a name: the text beside it, or below it where there is no room.

    Args:
        name: with its indent.
        text: what is said of it.
        column: where the text begins.
        width: as for `wrapped`.
    """
    if (width or get_terminal_size().columns) - column < LEAST:
        return [name, *wrapped(text, 6, width=width)]
    return wrapped(text, column, f"{name:<{column - 1}} ", width)
