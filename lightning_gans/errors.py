"""Errors that end a command with one line. Nothing is imported here: it takes no time."""

__all__ = ["InputError", "RunError", "one_line", "printable"]


class InputError(Exception):
    """What the user gave cannot be used; the message says what, and what is allowed.

    Attributes:
        first: whether it is known that this process is the first of several to fail.
    """

    exit_code = 2
    first = False


class RunError(Exception):
    """What stopped a run on its way; the message says what.

    Attributes:
        first: whether it is known that this process is the first of several to fail.
    """

    exit_code = 1
    first = False


LONGEST = 2000
"""Characters of a line that tells an error."""


def printable(text: str) -> str:
    """Returns text whose control characters are escaped, so that a terminal shows them only."""
    if text.isprintable():
        return text
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped)


def one_line(text: str) -> str:
    """Returns text as one line without control characters."""
    line = printable(" ".join(line.strip() for line in text.splitlines() if line.strip()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
