"""Elements of HTML. Those in an element are HTML themselves: words go through `text`."""

import re
from collections.abc import Sequence
from html import escape

from lightning_gans.errors import printable

__all__ = ["named", "swatch", "tag", "text", "wide"]


def tag(name: str, *inner: str, **attributes: str) -> str:
    """Returns an element.

    Args:
        name: of the element.
        inner: HTML in it.
        attributes: their texts, which are escaped; those that are empty are left out. Of a name,
            underscores stand for hyphens, and a last one for nothing.
    """
    words = "".join(
        f' {key.strip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value
    )
    return f"<{name}{words}>{''.join(inner)}</{name}>"


def text(words: str) -> str:
    """Returns words as HTML, with control characters as one writes them."""
    return escape(printable(words))


def named(words: str) -> str:
    """Returns a name as HTML: it may be broken at its points and underscores."""
    return re.sub(r"(?<=[._/])(?=\w)", "<wbr>", text(words))


def swatch(index: int) -> str:
    """Returns a piece of line as the curves of a cell have it."""
    kind = ("solid", "dashed", "dotted")[index // 8 % 3]
    return tag("span", class_="swatch", style=f"border-top: 3px {kind} var(--c{index % 8})")


def wide(heads: Sequence[str], rows: Sequence[str], label: str, kind: str = "") -> str:
    """Returns a table that scrolls by itself where the page is narrow.

    Args:
        heads: cells of its first row.
        rows: all others.
        label: what it shows, for those who do not see it.
        kind: class of the table.
    """
    inner = tag("thead", tag("tr", *heads)) + tag("tbody", *rows)
    table = tag("table", inner, class_=kind)
    return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)
