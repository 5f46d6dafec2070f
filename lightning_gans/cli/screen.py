"""Lines on the terminal."""

from rich.console import Console

from lightning_gans.errors import printable

__all__ = ["say"]


def say(text: str) -> None:
    """Prints a line that no terminal breaks, so that paths and commands can be copied.

    The text may stem from a file: nothing in it is taken for markup, and no control character
    reaches the terminal.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(printable(text), soft_wrap=True)
