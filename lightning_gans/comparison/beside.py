"""The files that lie beside a page."""

from pathlib import Path

from lightning_gans.errors import InputError

__all__ = ["CACHE", "NUMBERS", "ROWS", "check_beside"]

NUMBERS = ".json"
ROWS = ".csv"
CACHE = ".cache.json"


def check_beside(page: Path) -> None:
    """Refuses a page whose files would take the place of others, which are no page's.

    Args:
        page: the page; if there is one already, the files beside it are its own.

    Raises:
        InputError: if there is none, but one of its files.
    """
    if page.exists():
        return
    for ending in (NUMBERS, ROWS, CACHE):
        file = page.with_suffix(ending)
        if file.exists():
            raise InputError(
                f"out: {file} is there already, without a page, and {page} would replace it. Use "
                "another name for the page, or move that file."
            )
