"""The sections of a page that show pictures: curves, samples and weights."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np

from lightning_gans.comparison.cells import Cell
from lightning_gans.comparison.fragments import Fragments
from lightning_gans.comparison.markup import swatch, tag, text
from lightning_gans.comparison.points import KEYS, points
from lightning_gans.comparison.reading import Run
from lightning_gans.comparison.sections import UNITS, controls
from lightning_gans.comparison.summary import best_first
from lightning_gans.comparison.tables import sign
from lightning_gans.comparison.weights import EDGES, weights_of

__all__ = ["curves", "samples", "weights"]

LARGE = 64_000
"""Bytes of a picture from which on it is compressed with loss."""
LARGEST = 20_000_000
"""Bytes of a picture that is read at most."""
PIXELS = 340
"""Width of a grid of images, in their own pixels, up to which it is enlarged as it is."""

Numbers = Mapping[str, Any]


def curves(cells: Sequence[Cell], summary: Numbers, known: Any, fragments: Fragments) -> str:
    """Returns charts of every score over every unit, with what chooses among them."""
    units = fragments.of("units", known, lambda: _units(cells))
    figures = []
    for number, (name, about) in enumerate(summary["scores"].items()):
        real = _real_data(cells, name)
        charts = []
        for unit in units:
            make = partial(_curves, cells, name, about, real, unit, f"s{number}-{unit}")
            drawn = fragments.of("curves", [known, name, about, real, unit, number], make)
            charts.append(tag("div", drawn, class_=f"over over-{unit}"))
        words = [about["meaning"], "" if real is None else f"real data: {real:.4g}"]
        caption = tag("b", text(name)) + " " + sign(about)
        caption += tag("small", text("; ".join(filter(None, words))))
        figures.append(tag("figure", tag("figcaption", caption), *charts))
    explained = tag(
        "p",
        "Scores of the validation split. Bold lines are means over the finished seeds of a cell, "
        "up to where the first of them ends. Bands reach from the least to the greatest of up to "
        "4 seeds, and are 95 % intervals of the mean of more. Thin lines are single seeds. A "
        "cross is the last score of a run that failed. The dashed line is what real data scores; "
        "a logarithmic axis may end above it.",
        class_="about",
    )
    return explained + controls(summary, units) + tag("div", *figures, class_="charts")


def _real_data(cells: Sequence[Cell], name: str) -> float | None:
    """Returns what real data scores on the validation split, if a run knows."""
    runs = [run for cell in cells for run in cell.runs]
    found = [(run.record.get("floors") or {}).get(name) for run in runs]
    return next((float(value) for value in found if isinstance(value, int | float)), None)


def _units(cells: Sequence[Cell]) -> list[str]:
    rows = [row for cell in cells for run in cell.runs for row in run.rows]
    return [unit for unit, key in KEYS.items() if any(key in row for row in rows)]


def _curves(
    cells: Sequence[Cell], name: str, about: Numbers, real: float | None, unit: str, chart: str
) -> str:
    from lightning_gans.comparison import charts  # takes a second, which a kept page need not wait

    runs = [run for cell in cells for run in cell.runs]
    lines = []
    for cell in cells:
        found = []
        for run in cell.runs:
            x, y = points(run, name, unit, runs)
            end = f"seed {run.seed} failed at update {run.updates:,}: {run.message}"
            if len(x):
                end = end if run.status == "failed" else ""
                found.append(charts.Line(x, y, run.status == "finished", end))
        lines.append((cell.label, found))
    return charts.curves(
        lines,
        name=chart,
        about=_in_words(lines, name, UNITS[unit]),
        x_label=UNITS[unit],
        floor=real,
        is_distance=about["better"] == "low",
    )


def _in_words(lines: Sequence[tuple[str, Sequence[Any]]], name: str, unit: str) -> str:
    """Returns what a chart shows, for those who do not see it."""
    ends = []
    for label, seeds in lines:
        values = [line.y[-1] for line in seeds if line.averaged]
        if values:
            ends.append(f"{label} ends at {np.mean(values):.3g} in {len(values)} finished runs")
    return f"{name} over {unit}: {'; '.join(ends) or 'no run has finished'}."


def samples(cells: Sequence[Cell], summary: Numbers, fragments: Fragments) -> str:
    """Returns the last samples of the median seed of each cell, and of its best and worst."""
    name = next(iter(summary["scores"]))
    found, any_shown = [], False
    for index, (cell, numbers) in enumerate(zip(cells, summary["cells"], strict=True)):
        order = best_first(numbers, summary["scores"])
        figures = []
        for words, place in _chosen(order, len(cell.runs)).items():
            run = cell.runs[place]
            picture = _picture(run, fragments)
            score = numbers["runs"][place]["scores"].get(name)
            told = "" if score is None else f", {name} {score:.4g}"
            caption = f"{words}seed {run.seed}{told}, {run.status}"
            alt = f"Generated samples of {cell.label}, seed {run.seed}"
            shown = tag("p", "There is no picture of samples.")
            if picture is not None:
                any_shown = True
                size = f'width="{picture["width"]}" height="{picture["height"]}"'
                shown = f'<img src="{picture["address"]}" alt="{text(alt)}" {size}'
                shown += f"{picture['kind']}>"
            figures.append(tag("figure", tag("figcaption", tag("small", text(caption))), shown))
        others = tag("div", *figures[1:], class_="samples")
        more = tag("details", tag("summary", "Other seeds"), others)
        heading = tag("h3", swatch(index), text(cell.label))
        found.append(tag("div", heading, figures[0], more if figures[1:] else ""))
    explained = tag(
        "p",
        f"The last samples of the seed with the median {text(name)} of each cell; below, of its "
        "best and its worst one. Every run draws latents of its own seed.",
        class_="about",
    )
    return explained + tag("div", *found, class_="samples") if any_shown else ""


def _chosen(order: Sequence[int], number: int) -> dict[str, int]:
    """Returns the median, the best and the worst run of those in order; the last if none is."""
    if len(order) < 2:
        return {"": order[0] if order else number - 1}
    if len(order) == 2:
        return {"better: ": order[0], "worse: ": order[1]}
    return {"median: ": order[(len(order) - 1) // 2], "best: ": order[0], "worst: ": order[-1]}


def _picture(run: Run, fragments: Fragments) -> Any:
    path = run.last_picture()
    if path is None or path.stat().st_size > LARGEST:
        return None
    content = path.read_bytes()
    digest = sha256(content).hexdigest()
    return fragments.of("picture", digest, partial(_embedded, content))


def _embedded(content: bytes) -> dict[str, Any] | None:
    """Returns a picture that stands in the page, or None if it is damaged."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            image.load()
            width, height = image.size
            kind = "png"
            if len(content) > LARGE:
                file = BytesIO()
                image.convert("RGB").save(file, "WEBP", quality=90)
                content, kind = file.getvalue(), "webp"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    times = max(1, PIXELS // width)
    return {
        "address": f"data:image/{kind};base64,{b64encode(content).decode()}",
        "width": width * times,
        "height": height * times,
        "kind": ' class="pixels"' if width <= PIXELS else "",
    }


def weights(cells: Sequence[Cell], summary: Numbers, fragments: Fragments) -> str:
    """Returns how large the weights of each network are in the median seed of each cell."""
    measured: list[tuple[int, str, dict[str, Any]]] = []
    unread = []
    for index, (cell, numbers) in enumerate(zip(cells, summary["cells"], strict=True)):
        order = best_first(numbers, summary["scores"]) or [len(cell.runs) - 1]
        run = cell.runs[order[(len(order) - 1) // 2]]
        found = _weights(run, fragments)
        if found is None:
            unread.append(f"{cell.label}, seed {run.seed}")
        else:
            measured.append((index, cell.label, found))
    networks = dict.fromkeys(name for _, _, found in measured for name in found)
    kinds = (
        ("absolute values of all weights, 8 bins to a factor of 10", _distributions),
        ("root mean square of each tensor of weights", _layers),
    )
    figures = []
    for number, network in enumerate(networks):
        rows = [(i, label, found[network]) for i, label, found in measured if network in found]
        for words, make in kinds:
            inputs = [rows, network, number]
            drawn = fragments.of(make.__name__, inputs, partial(make, rows, network, number))
            caption = tag("b", text(network)) + tag("small", words)
            figures.append(tag("figure", tag("figcaption", caption), drawn))
    explained = (
        "Matrices and kernels in the last checkpoint of the seeds whose samples are shown first, "
        "without biases and scales of normalization."
    )
    if unread:
        explained += f" There is no whole checkpoint of: {'; '.join(unread)}."
    paragraph = tag("p", text(explained), class_="about")
    return paragraph + tag("div", *figures, class_="charts pairs") if figures else ""


def _weights(run: Run, fragments: Fragments) -> Any:
    path = run.checkpoint()
    if path is None:
        return None
    state = path.stat()

    def make() -> Any:
        try:
            return {network: asdict(found) for network, found in weights_of(path).items()}
        except (OSError, RuntimeError, ValueError):  # whatever a file may hold for a tensor
            return None

    return fragments.of("weights", [str(path.resolve()), state.st_size, state.st_mtime_ns], make)


def _distributions(rows: Sequence[tuple[int, str, Any]], network: str, number: int) -> str:
    from lightning_gans.comparison import charts

    ridges = [(i, label, np.array(w["shares"]), w["zeros"]) for i, label, w in rows]
    middles = [f"{label} {_typical(w['shares'])}" for _, label, w in rows]
    about = f"Histograms of the weights of the {network}. Medians: {'; '.join(middles)}."
    return charts.distributions(ridges, np.array(EDGES), name=f"w{number}", about=about)


def _typical(shares: Sequence[float]) -> str:
    """Returns the place of the median weight."""
    total = np.cumsum(shares)
    return f"{10 ** EDGES[int(np.searchsorted(total, total[-1] / 2))]:.1g}"


def _layers(rows: Sequence[tuple[int, str, Any]], network: str, number: int) -> str:
    from lightning_gans.comparison import charts

    ends = [f"{label} {', '.join(f'{size:.2g}' for size in w['sizes'])}" for _, label, w in rows]
    about = f"Root mean square of the weights of the {network} by layer. {'; '.join(ends)}."
    lines = [(index, label, w["sizes"]) for index, label, w in rows]
    return charts.layers(lines, name=f"l{number}", about=about)
