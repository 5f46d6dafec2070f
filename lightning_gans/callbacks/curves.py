"""The curves of a training: losses, the discriminator's outputs, gradient norms and scores."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from lightning_gans.axes import set_limits, spans_magnitudes
from lightning_gans.callbacks.drawing import FAKE, Picture, rendered
from lightning_gans.callbacks.evaluation import BETTER
from lightning_gans.metrics.names import SCORES, better

__all__ = ["curves", "figure_of", "smoothed"]

REAL = "#555555"
"""Darker than that of points: lines are thinner."""
DISCRIMINATOR = "#1f77b4"
FURTHER = ("#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#ff7f0e", "#17becf")
"""Of further players, and of what is compared with real data apart."""
NAMES = {"d": "discriminator", "g": "generator", "fake": "generated", "": "critic"}
"""What parts of the log keys stand for."""
COLOURS = {
    **{"discriminator": DISCRIMINATOR, "critic": DISCRIMINATOR, "real": REAL},
    **{"generator": FAKE, "generated": FAKE, "": FAKE, "mean": FAKE},
}
WORDS = {"low": "lower", "high": "higher", "same": "closer to real data"}
"""Where a score is better."""
COLUMNS = 5
"""Panels of scores in a row, at most."""
MANY = 20
"""Values of a line from which on it is smoothed, and has no marks."""
MOST = 5000
"""Values of a line that are drawn at most."""

Values = NDArray[np.float64]
Line = tuple[Values, Values]
"""Updates and values."""
Family = dict[str, Line]
"""Lines of one panel, by name; one that stands alone has an empty name."""


def curves(
    rows: Sequence[tuple[int, Mapping[str, float]]], floors: Mapping[str, float] | None = None
) -> Picture:
    """Returns the picture of `figure_of`."""
    return rendered(figure_of(rows, floors))


def figure_of(
    rows: Sequence[tuple[int, Mapping[str, float]]], floors: Mapping[str, float] | None = None
) -> Figure:
    """Returns losses, outputs, gradient norms and scores over generator updates.

    Values are thin and pale as they were logged, and bold as they are `smoothed`, over a
    twenty-fifth of them and at least 5. Before, the least and the greatest percent of them are cut
    to the others, and so are the axes: a spike flattens nothing and leaves no step. Of fewer than
    20 values there is the bold line only, which is not smoothed. Gradient norms have logarithmic
    axes, and so have distances that span a factor of 10; means on them are geometric. Values that
    are not finite are gaps.

    Args:
        rows: (update, values) in the order of the updates, with the keys of the log: ``train/``
            and ``val/`` are read.
        floors: what real samples score, by the name of the score: dashed lines.
    """
    lines = _lines(rows)
    distance = _family(lines, "train/wasserstein_")  # the difference of the outputs
    panels = {
        "losses": _family(lines, "train/loss_"),
        "estimated Wasserstein distance": distance,
        "outputs of the discriminator": {} if distance else _family(lines, "train/d_"),
        "gradient norms": _family(lines, "train/grad_norm_"),
    }
    panels = {title: family for title, family in panels.items() if family}
    scores = _scores(lines)
    deep = ceil(len(scores) / COLUMNS)
    columns = max(3, ceil(len(scores) / max(1, deep)))
    heights = [3.0] * bool(panels) + [0.6 + 1.5 * deep] * bool(scores)
    figure = Figure(figsize=(11, sum(heights)), dpi=120, layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if panels:
        every = parts[0].subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, family) in zip(every, panels.items(), strict=True):
            _draw(axes, title, family, is_log=title == "gradient norms")
    if scores:
        kinds = dict.fromkeys(better(name) for name in scores)
        words = ", ".join(f"{BETTER[kind][1]} {WORDS[kind]} is better" for kind in kinds)
        parts[-1].suptitle(f"scores (dashed: real data; {words})", x=0.01, ha="left", fontsize=10)
        every = parts[-1].subplots(deep, columns, squeeze=False).flatten()
        for axes, (name, family) in zip(every, scores.items(), strict=False):
            _draw_score(axes, name, family, (floors or {}).get(name))
        for axes in every[len(scores) :]:
            axes.set_visible(False)
    for part in parts:
        part.supxlabel("generator updates", fontsize=9)
    last = max(1, *(update for update, _ in rows))
    for axes in figure.get_axes():
        axes.set_xlim(-0.02 * last, 1.02 * last)
    return figure


def smoothed(values: Values, window: int) -> Values:
    """Returns the centred moving mean: that of each value and its neighbours.

    At both ends windows hold the neighbours that there are. NaN counts in none; the mean of a
    window without any other value is NaN.

    Args:
        values: shape (N,).
        window: values in a whole window, odd and at most N.
    """
    known, ones = np.isfinite(values), np.ones(window)
    total = np.convolve(np.where(known, values, 0.0), ones, "same")
    number = np.convolve(known.astype(float), ones, "same").round()
    return np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)


def _lines(rows: Iterable[tuple[int, Mapping[str, float]]]) -> dict[str, Line]:
    """Returns the line of each key, with NaN for what is not finite.

    Of very many values it has each k-th: more would show nothing, and take long.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for update, values in rows:
        for key, value in values.items():
            found.setdefault(key, []).append((update, value))
    lines = {}
    for key, pairs in found.items():
        pairs = pairs[:: 1 + len(pairs) // MOST]
        updates, numbers = np.array(pairs, dtype=np.float64).T
        lines[key] = updates, np.where(np.isfinite(numbers), numbers, np.nan)
    return lines


def _family(lines: Mapping[str, Line], prefix: str) -> Family:
    """Returns the lines of the keys that begin alike, each by what it is of."""
    family = {}
    for key, line in lines.items():
        if f"{key}_".startswith(prefix):
            first, *rest = f"{key}_".removeprefix(prefix).removesuffix("_").split("_")
            family[" ".join([NAMES.get(first, first), *rest])] = line
    return family


def _scores(lines: Mapping[str, Line]) -> dict[str, Family]:
    """Returns the lines of each score, of which each comparison may have one of its own."""
    names = {key.removeprefix("val/"): line for key, line in lines.items() if key[:4] == "val/"}
    scores: dict[str, Family] = {name: {} for name in names}
    for name, line in names.items():
        base, _, comparison = name.rpartition("_")
        if name in SCORES or base not in names:
            base, comparison = name, ""
        scores[base][comparison] = line
    for family in scores.values():
        if len(family) > 1 and "" in family:
            family["mean"] = family.pop("")
    return {name: family for name, family in scores.items() if family}


def _draw_score(axes: Any, name: str, family: Family, floor: float | None) -> None:
    values = np.concatenate([line[1] for line in family.values()])
    known = np.append(values, [] if floor is None else [floor])
    is_log = better(name) == "low" and spans_magnitudes(known)
    title = f"{name} {BETTER[better(name)][1]}"
    _draw(axes, title, family, is_log=is_log, floor=floor)


def _draw(
    axes: Any,
    title: str,
    family: Family,
    *,
    is_log: bool,
    floor: float | None = None,
) -> None:
    """Draws the lines of a panel, with their names between the title and the axes.

    Args:
        axes: to draw on.
        title: above the axes.
        family: the lines.
        is_log: whether the axis is logarithmic.
        floor: drawn as a dashed line.
    """
    shown = [np.array([] if floor is None else [floor])]
    further = iter(FURTHER * len(family))
    for name, (updates, values) in family.items():
        colour = COLOURS.get(name) or next(further)
        if is_log:
            values = np.where(values > 0, values, np.nan)
        bold = values
        if len(values) >= MANY:
            axes.plot(updates, values, color=colour, alpha=0.25, linewidth=0.8)
            known = values[np.isfinite(values)]
            cut = values.clip(*np.quantile(known, (0.01, 0.99))) if len(known) else values
            window = max(5, len(values) // 25) | 1
            bold = 10 ** smoothed(np.log10(cut), window) if is_log else smoothed(cut, window)
            shown.append(cut)
        marker = "." if len(values) < MANY else ""
        axes.plot(updates, bold, color=colour, linewidth=1.6, marker=marker, label=name, zorder=3)
        shown.append(bold)
    if floor is not None:
        axes.axhline(floor, color=REAL, linestyle="--", linewidth=1.2, zorder=1)
    set_limits(axes, np.concatenate(shown), is_log=is_log)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_title(title, loc="left", fontsize=10, pad=20 if any(family) else None)
    if any(family):
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.98),
            ncols=len(family),
            frameon=False,
            fontsize=8,
            handlelength=1.0,
            handletextpad=0.5,
            columnspacing=1.0,
        ).set_in_layout(False)
