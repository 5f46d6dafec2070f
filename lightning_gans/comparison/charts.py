"""The charts of a page: curves of scores, and how large weights are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from lightning_gans.axes import set_limits, spans_magnitudes
from lightning_gans.comparison.statistics import BANDED, student_quantile
from lightning_gans.comparison.svg import COLOURS, FLOOR, GRID, INK, element, plain

__all__ = ["Line", "curves", "distributions", "layers"]

WIDTH, HEIGHT = 360, 230
"""Of a chart, in pixels where the page is read at its own size."""
MOST = 400
"""Points of a line."""
REACH = 10
"""How many times lower than all scores that of real data may be to be on a logarithmic axis."""
RARE = 0.0005
"""Share of all weights up to which the outer bins are left out."""
LONGEST = 30
"""Characters of a label in a chart."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One seed's score.

    Attributes:
        x: in rising order, shape (N,), at least one.
        y: at these places, finite.
        averaged: whether it has a share in the mean.
        end: what happened at its last point, if the run failed there.
    """

    x: Values
    y: Values
    averaged: bool
    end: str = ""


def curves(
    cells: Sequence[tuple[str, Sequence[Line]]],
    *,
    name: str,
    about: str,
    x_label: str,
    floor: float | None = None,
    is_distance: bool = False,
) -> str:
    """Returns a chart of one score: of each cell the mean, a band, and thin lines of the seeds.

    Args:
        cells: labels, and lines of their seeds; none where there are no rows.
        name: of the chart, that no other one in the page has.
        about: what is drawn, for those who do not see it.
        x_label: below the axis.
        floor: what real data scores.
        is_distance: whether the axis may be logarithmic.
    """
    means = [_mean([line for line in lines if line.averaged]) for _, lines in cells]
    every = [line for _, lines in cells for line in lines]
    limits = _limits(every, means)
    is_log = is_distance and spans_magnitudes(limits)
    if floor is not None and (not is_log or floor * REACH > limits.min()):
        limits = np.append(limits, floor)
    with plain():
        figure, axes = _figure()
        if floor is not None:
            axes.axhline(floor, color=FLOOR, linestyle=(0, (4, 3)), linewidth=1)
        set_limits(axes, limits, is_log=is_log)
        axes.set_xlim(0, 1.02 * max([line.x[-1] for line in every], default=1) or 1)
        axes.set_rasterization_zorder(0)
        told = {}
        for index, ((label, lines), mean) in enumerate(zip(cells, means, strict=True)):
            ends = _draw_seeds(axes, index, lines)
            told.update({gid: f"{label}, {end}" for gid, end in ends.items()})
            if mean:
                told.update(dict.fromkeys(_draw_mean(axes, index, *mean), label))
        axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(_counted))
        if not is_log:
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        return element(figure, name, about, told)


def _limits(every: Sequence[Line], means: Sequence[tuple[Values, ...] | None]) -> Values:
    """Returns the values that the axis has to hold: those of failed runs only if all did."""
    shown = [part for mean in means if mean for part in mean[1:]]
    shown += [_typical(line.y) for line in every if line.averaged or not shown]
    return np.concatenate([np.array([]), *shown])


def _draw_seeds(axes: Any, index: int, lines: Sequence[Line]) -> dict[str, str]:
    """Draws the thin lines of a cell; returns what its crosses mean."""
    colour, _ = _style(index)
    low, high = axes.get_ylim()
    ends = {}
    thin = [np.stack([line.x, line.y], 1)[_kept(line.y)] for line in lines]
    look: dict[str, Any] = {"colors": colour, "alpha": 0.4, "linewidths": 0.8, "zorder": -1}
    axes.add_collection(LineCollection(thin, **look), autolim=False)
    for number, line in enumerate(lines):
        if line.end:
            place = min(max(line.y[-1], low), high)
            axes.plot(
                *(line.x[-1], place, "x"),
                **{"color": colour, "markeredgewidth": 1.8, "clip_on": False, "zorder": 4},
                gid=f"c{index}-end{number}",
            )
            ends[f"c{index}-end{number}"] = line.end
    return ends


def _draw_mean(axes: Any, index: int, x: Values, y: Values, *band: Values) -> list[str]:
    """Draws the mean of a cell and its band; returns their names."""
    colour, dashes = _style(index)
    kept = _kept(y)
    if band:
        some = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST // 2)).round().astype(int))
        lower, upper = (part[some].clip(*axes.get_ylim()) for part in band)
        area = {"color": colour, "alpha": 0.16, "linewidth": 0, "gid": f"c{index}-band"}
        axes.fill_between(x[some], lower, upper, **area)
    line = {"color": colour, "linestyle": dashes, "linewidth": 1.8, "zorder": 3}
    if len(x) == 1:
        line["marker"] = "o"
    axes.plot(x[kept], y[kept], **line, gid=f"c{index}-mean")
    return [f"c{index}-band", f"c{index}-mean"]


def distributions(
    cells: Sequence[tuple[int, str, Values, float]], edges: Values, *, name: str, about: str
) -> str:
    """Returns a ridge of histograms of the logarithms of absolute weights, one for each cell.

    Args:
        cells: places, labels, shares of the weights in each bin, and the share that is exactly 0.
        edges: of the bins, powers of 10, shape (bins + 1,).
        name: of the chart, that no other one in the page has.
        about: what is drawn, for those who do not see it.
    """
    rows = len(cells)
    highest = max([counts.max() for _, _, counts, _ in cells], default=1) or 1
    filled = np.flatnonzero(np.max([counts for _, _, counts, _ in cells], axis=0) > RARE)
    first, last = (filled[0], filled[-1]) if len(filled) else (0, len(edges) - 2)
    told = {}
    with plain():
        figure, axes = _figure(height=50 + 52 * rows, left=14)
        for row, (index, label, counts, zeros) in enumerate(cells):
            colour, _ = _style(index)
            base = rows - 1 - row
            axes.stairs(
                base + 0.66 * counts / highest, edges, baseline=base, fill=True, color=colour
            )
            text = {"color": INK, "transform": axes.get_yaxis_transform()}
            axes.text(0.005, base + 0.74, "label", **text, gid=f"label-{index}")
            told[f"label-{index}"] = label if len(label) <= LONGEST else f"{label[:LONGEST]}..."
            if zeros:
                axes.text(0.995, base + 0.74, f"{zeros:.1%} exactly 0", ha="right", **text)
        axes.set_xlim(edges[max(0, first - 1)], edges[min(len(edges) - 1, last + 2)])
        axes.set_ylim(-0.05, rows)
        axes.set_yticks(range(rows), labels=[""] * rows)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"1e{value:.0f}"))
        axes.set_xlabel("absolute value of a weight")
        return element(figure, name, about, told)


def layers(cells: Sequence[tuple[int, str, Sequence[float]]], *, name: str, about: str) -> str:
    """Returns a chart of the root mean square of each tensor of weights.

    Args:
        cells: places, labels, and values from the first layer to the last.
        name: of the chart, that no other one in the page has.
        about: what is drawn, for those who do not see it.
    """
    with plain():
        figure, axes = _figure()
        for index, _, values in cells:
            colour, dashes = _style(index)
            axes.plot(
                *(np.arange(1, len(values) + 1), values),
                **{"color": colour, "linestyle": dashes, "marker": "o", "markersize": 3.5},
                gid=f"c{index}-rms",
            )
        known = np.concatenate([np.asarray(values, float) for _, _, values in cells])
        set_limits(axes, known, is_log=spans_magnitudes(known))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("tensor of weights, from the input on")
        return element(figure, name, about, {f"c{i}-rms": label for i, label, _ in cells})


def _style(index: int) -> tuple[str, Any]:
    """Returns the colour and the dashes of a cell's lines."""
    again = index // len(COLOURS)
    dashes: Any = ("-", (0, (5, 2)), (0, (1, 1.5)))[again % 3]
    return COLOURS[index % len(COLOURS)], dashes


def _mean(lines: Sequence[Line]) -> tuple[Values, ...] | None:
    """Returns places, the mean of lines up to the end of the first, and its band.

    Of one line there is no band. Lines that have other places than each other are interpolated.
    """
    if not lines:
        return None
    start, end = max(line.x[0] for line in lines), min(line.x[-1] for line in lines)
    x = np.unique(np.concatenate([line.x for line in lines]))
    x = x[(x >= start) & (x <= end)]
    if not len(x):
        return None
    y = np.stack([np.interp(x, line.x, line.y) for line in lines])
    mean, number = y.mean(0), len(lines)
    if number == 1:
        return x, mean
    if number < BANDED:
        return x, mean, y.min(0), y.max(0)
    half = student_quantile(number - 1) * y.std(0, ddof=1) / sqrt(number)
    return x, mean, mean - half, mean + half


def _typical(values: Values) -> Values:
    """Returns values whose extremes are cut: one spike should not flatten everything."""
    return values.clip(*np.quantile(values, (0.02, 0.98)))


def _kept(values: Values) -> NDArray[np.int64]:
    """Returns which values are drawn: the extremes of each part, the first and the last."""
    number = len(values)
    if number <= MOST:
        return np.arange(number)
    size = -(-number // (MOST // 2 - 1))
    starts = np.arange(0, number, size)
    parts = np.append(values, np.full(-number % size, values[-1])).reshape(-1, size)
    extremes = [starts + parts.argmin(1), starts + parts.argmax(1)]
    return np.unique(np.concatenate([[0], *extremes, [number - 1]]).clip(max=number - 1))


def _counted(value: float, _: Any) -> str:
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 10 * unit or (value >= unit and unit > 1e3):
            return f"{value / unit:g}{sign}"
    return f"{value:,.4g}"


def _figure(height: int = HEIGHT, left: int = 46) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=108)
    figure.patch.set_visible(False)
    area = (left / WIDTH, 40 / height, (WIDTH - left - 8) / WIDTH, (height - 50) / height)
    axes = figure.add_axes(area, facecolor="none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, labelsize=11, labelcolor=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(INK)
    return figure, axes
