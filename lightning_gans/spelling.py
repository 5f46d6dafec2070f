"""Which known name a misspelt one was probably meant to be."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["likely", "nearest"]


def nearest(name: str, known: Iterable[str], least: float = 0.6) -> str | None:
    """Returns the name that is most like one, whatever its capitals and underscores, or None.

    Of those that are like it, one of the same letters in another order comes first.

    Args:
        name: that there is not.
        known: those that there are.
        least: how like it must be, from 0 to 1.
    """
    plain = {_plain(one): one for one in known}
    near = get_close_matches(_plain(name), plain, 5, least)
    near.sort(key=lambda one: sorted(one) != sorted(_plain(name)))
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub("[_-]", "", name.lower())


def likely(name: str, known: Iterable[str]) -> str:
    """Returns how a message ends about a name that there is not: the nearest one, or else all."""
    names = [*known]
    near = nearest(name, names)
    return f": did you mean {near}?" if near else f"; there are {', '.join(names) or 'none'}."
