"""Figures of matplotlib as elements of a page: text is text, and the page chooses the colours."""

import re
from base64 import b64decode, b64encode
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO, StringIO
from xml.etree import ElementTree

from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.figure import Figure
from PIL import Image

from lightning_gans.errors import printable

__all__ = ["COLOURS", "FLOOR", "GRID", "INK", "element", "plain"]

COLOURS = ("#2468b4", "#c8472f", "#24855a", "#8457b8", "#a8690c", "#10818c", "#b8478f", "#65707f")
"""Of cells; further ones have them again, and dashed lines."""
INK, GRID, FLOOR = "#010101", "#020202", "#030303"
"""Stand for colours that the page chooses, which are others in the dark."""
SEEN_AS = {INK: "var(--soft)", GRID: "var(--line)", FLOOR: "var(--ink)"} | {
    colour: f"var(--c{index})" for index, colour in enumerate(COLOURS)
}


@contextmanager
def plain() -> Iterator[None]:
    """Draws as matplotlib does without anybody's settings, and always the same."""
    with rc_context():
        rcParams.update(rcParamsDefault)
        rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11})
        yield


def element(figure: Figure, name: str, about: str, told: Mapping[str, str]) -> str:
    """Returns a figure as an element of a page.

    Args:
        figure: of matplotlib, each ``gid`` of which becomes a class.
        name: of the chart: its identifiers begin with it.
        about: what is drawn, for those who do not see it.
        told: by ``gid``, what is shown under the pointer, or in the place of a text.
    """
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text.getvalue()))
    used = set(re.findall(r"(?:url\(|\"|')#(\w+)", text.getvalue()))
    _clean(root, name, used, told)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "plot",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": printable(about),
    }
    return re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))


def _clean(
    element: ElementTree.Element, name: str, used: Container[str], told: Mapping[str, str]
) -> None:
    """Leaves out what only a file needs, and takes colours and fonts from the page."""
    element.tag = element.tag.rpartition("}")[2]
    identifier = element.attrib.pop("id", "")
    if identifier in used:
        element.set("id", f"{name}-{identifier}")
    for key, value in list(element.attrib.items()):
        if key.endswith("href"):
            del element.attrib[key]
            element.set("href", f"#{name}-{value[1:]}" if value[0] == "#" else _reduced(value))
        elif key == "clip-path":
            element.set(key, value.replace("#", f"#{name}-"))
        elif key == "d":
            element.set(key, _shortened(value))
        elif key in ("x", "y"):
            element.set(key, f"{float(value):.4g}")
    style = element.attrib.pop("style", "")
    if element.tag == "text":
        anchor = re.search(r"text-anchor: (\w+)", style)
        element.set("text-anchor", anchor[1] if anchor else "start")
        del element.attrib["transform"]
    elif style:
        element.set("style", re.sub("#[0-9a-f]{6}", lambda found: SEEN_AS[found[0]], style))
    if element.tag == "image":
        element.set("class", "seeds")
    for child in list(element):
        if child.tag.endswith(("metadata", "style")):
            element.remove(child)
        else:
            _clean(child, name, used, told)
    if identifier in told:
        words = element.find("text")
        if words is None:
            words = ElementTree.Element("title")
            element.insert(0, words)
        words.text = printable(told[identifier])
        element.set("class", identifier.partition("-")[0])


def _shortened(path: str) -> str:
    """Returns a path whose points are differences in tenths of a pixel."""
    words = path.split()
    if set(words[::3]) - {"M", "L", "z"}:
        return re.sub(r"\.\d+", lambda found: found[0][:4], path).strip()
    parts, x, y = [], 0, 0
    for command, *place in zip(words[::3], words[1::3], words[2::3], strict=False):
        new_x, new_y = (round(10 * float(word)) for word in place)
        if command == "M":
            parts.append(f"M{_tenths(new_x)} {_tenths(new_y)}")
        else:
            parts.append(f"l{_tenths(new_x - x)} {_tenths(new_y - y)}")
        x, y = new_x, new_y
    return "".join(parts).replace(" -", "-") + "z" * (words[-1] == "z")


def _tenths(number: int) -> str:
    return re.sub(r"^(-?)0\.", r"\1.", f"{number / 10:g}")


def _reduced(address: str) -> str:
    """Returns a picture of few colours, as thin lines are."""
    with Image.open(BytesIO(b64decode(address.partition(",")[2]))) as picture:
        few = picture.quantize(64, Image.Quantize.FASTOCTREE)
    file = BytesIO()
    few.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
