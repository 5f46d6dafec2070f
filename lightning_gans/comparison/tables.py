"""The tables of a page, as HTML: all that stems from a run is escaped here."""

from collections.abc import Mapping, Sequence
from math import floor, inf, isnan, log10
from statistics import median
from typing import Any

from lightning_gans.comparison.cells import LACKING, Cell, short, shown
from lightning_gans.comparison.markup import named, swatch, tag, text, wide
from lightning_gans.comparison.summary import cost

__all__ = ["differing", "every_run", "mean_scores", "paired_differences", "ranked", "said", "sign"]

SIGNS = {
    "low": ("\u2193", "lower is better"),
    "high": ("\u2191", "higher is better"),
    "same": ("=", "closer to real data is better"),
}
MARK = " \u2020"
"""Of runs whose commit is not that of the most."""
MINUS = str.maketrans("-", "\u2212")
DIGITS = 3
"""Significant ones of a typical score."""

Numbers = Mapping[str, Any]


def sign(about: Numbers) -> str:
    """Returns an arrow that says where a score is best."""
    arrow, words = SIGNS[about["better"]]
    return tag("abbr", arrow, title=words)


def said(about: Numbers) -> str:
    """Returns where a score is best, in words."""
    return SIGNS[about["better"]][1]


def mean_scores(summary: Numbers) -> str:
    """Returns the table of all scores, in the order of the first of them."""
    about, cells = summary["scores"], summary["cells"]
    decimals = {name: _decimals(name, summary) for name in about}
    real = [tag("th", "real data", scope="row"), tag("td")]
    real += [tag("td", _number(f["real_data"], decimals[n])) for n, f in about.items()]
    rows = [tag("tr", *real, class_="real")]
    best = {name: _best(name, summary) for name in about}
    usual = _usual([run["commit"] for cell in cells for run in cell["runs"]])
    for index in ranked(summary):
        cell = cells[index]
        row = [tag("th", swatch(index), named(cell["label"]), scope="row"), _ended(cell, usual)]
        for name in about:
            entry = _entry(cell["scores"].get(name), decimals[name])
            row.append(tag("td", entry, class_="best" if index in best[name] else ""))
        rows.append(tag("tr", *row))
    heads = [tag("th", "cell", scope="col"), tag("th", "finished", scope="col")]
    return wide([*heads, *_heads(about)], rows, "Scores of every cell")


def paired_differences(summary: Numbers) -> str:
    """Returns the table of the differences of all other cells from the first one."""
    about, cells = summary["scores"], summary["cells"]
    rows = []
    for index, cell in enumerate(cells[1:], 1):
        row = [tag("th", swatch(index), named(cell["label"]), scope="row")]
        for name, facts in about.items():
            numbers = cell["differences"].get(name)
            row.append(tag("td", _difference(numbers, facts, _decimals(name, summary))))
        rows.append(tag("tr", *row))
    heads = [tag("th", "cell", scope="col"), *_heads(about)]
    return wide(heads, rows, f"Differences from {cells[0]['label']}")


def differing(summary: Numbers) -> str:
    """Returns the table of the settings that are not equal in all cells, empty if all are."""
    cells = summary["cells"]
    keys = dict.fromkeys(key for cell in cells for key in cell["settings"])
    heads = [tag("th", "setting", scope="col")]
    heads += [tag("th", swatch(i), named(c["label"]), scope="col") for i, c in enumerate(cells)]
    rows = []
    for key in keys:
        values = [shown(cell["settings"].get(key, LACKING)) for cell in cells]
        entries = [tag("td", text(value)) for value in values]
        rows.append(tag("tr", tag("th", named(short(key)), scope="row"), *entries))
    return wide(heads, rows, "Settings that differ", "words") if keys else ""


def every_run(cells: Sequence[Cell]) -> str:
    """Returns the table of all runs."""
    usual = _usual([run.record.get("commit") for cell in cells for run in cell.runs])
    rows = []
    for index, cell in enumerate(cells):
        for run in cell.runs:
            commit, seconds = run.record.get("commit"), run.record.get("wall_time_s")
            values = [
                str(run.seed),
                run.status,
                f"{run.updates:,}",
                "" if seconds is None else f"{seconds / 60:,.1f}",
                (commit or "")[:7] + MARK * (commit not in (None, usual)),
                str((run.record.get("machine") or {}).get("device", "")),
            ]
            entries = [tag("td", text(value)) for value in values]
            if run.status == "stopped":
                entries[1] = tag("td", run.status, tag("small", text(run.message), class_="why"))
            origin = ""
            if run.parent:
                place = f"{run.parent.get('folder')}, update {run.parent.get('updates')}"
                origin = tag("small", text(f"forked from {place}"), class_="why")
            folder = tag("td", named(str(run.folder)), origin, class_="folder")
            label = tag("th", swatch(index), named(cell.label), scope="row")
            rows.append(tag("tr", label, *entries, folder))
    names = ("cell", "seed", "status", "updates", "minutes", "commit", "device")
    heads = [tag("th", name, scope="col") for name in names]
    heads.append(tag("th", "folder", scope="col", class_="folder"))
    return wide(heads, rows, "All runs")


def ranked(summary: Numbers) -> list[int]:
    """Returns the cells from the best by the first score on.

    A run that failed counts as the worst of all. Cells without any come last, in their order.
    """
    name, about = next(iter(summary["scores"].items()))
    costs = [_costs(cell["scores"].get(name), about) for cell in summary["cells"]]
    worst = max([value for found in costs for value in found if value < inf], default=0.0)
    means = [
        sum(min(value, worst) for value in found) / len(found) if found else inf for found in costs
    ]
    return sorted(range(len(means)), key=means.__getitem__)


def _costs(numbers: Numbers | None, about: Numbers) -> list[float]:
    if numbers is None:
        return []
    known = [cost(value, about) for value in numbers["values"]] + [inf] * numbers["failed"]
    return [value for value in known if not isnan(value)]


def _best(name: str, summary: Numbers) -> list[int]:
    """Returns the cells with the best mean; none if all have the same."""
    about = summary["scores"][name]
    means = {
        index: cost(cell["scores"][name]["mean"], about)
        for index, cell in enumerate(summary["cells"])
        if "mean" in cell["scores"].get(name, {})
    }
    known = {index: value for index, value in means.items() if not isnan(value)}
    best = min(known.values(), default=0.0)
    return [i for i in known if known[i] == best] if len(set(known.values())) > 1 else []


def _heads(about: Numbers) -> list[str]:
    return [tag("th", text(n), " ", sign(f), scope="col") for n, f in about.items()]


def _usual(commits: Sequence[Any]) -> Any:
    """Returns the commit of the most runs, the first of several; None if none is known."""
    known = [commit for commit in commits if commit]
    return max(known, key=known.count, default=None)


def _ended(cell: Numbers, usual: Any) -> str:
    """Returns how many of the runs of a cell have finished, and what has become of the others."""
    ends = [run["status"] for run in cell["runs"]]
    others = [
        tag("span", f"{ends.count(status)} {status}", class_=status)
        for status in ("failed", "stopped", "running")
        if status in ends
    ]
    mark = MARK * any(run["commit"] not in (None, usual) for run in cell["runs"])
    return tag("td", f"{ends.count('finished')} of {len(ends)}{mark}", *others)


def _entry(numbers: Numbers | None, decimals: int) -> str:
    """Returns the mean of a score with its interval; of two seeds, both values."""
    if numbers is None or not numbers["values"]:
        return "\u2013"
    values, interval = numbers["values"], numbers["interval"]
    if interval is None:
        return "<br>".join(_number(value, decimals) for value in values)
    entry = _number(numbers["mean"], decimals) + tag("small", _interval(interval, decimals))
    if "interquartile_mean" in numbers:
        middle = _number(numbers["interquartile_mean"], decimals)
        bounds = _interval(numbers["interquartile_interval"], decimals)
        entry += tag("small", f"IQM {middle} {bounds}")
    return entry


def _difference(numbers: Numbers | None, about: Numbers, decimals: int) -> str:
    """Returns a mean difference, whether it is clear, and the probability of improvement."""
    if numbers is None:
        return "\u2013"
    values, interval = numbers["values"], numbers["interval"]
    entry = "\u2013"
    if interval is not None:
        entry = _number(numbers["mean"], decimals, signed=True)
        entry += tag("small", _interval(interval, decimals, signed=True))
    elif values:
        entry = "<br>".join(_number(value, decimals, signed=True) for value in values)
    if numbers["improvement"] is not None:
        entry += tag("small", f"P {numbers['improvement']:.2f}")
    if interval is not None and about["better"] != "same" and interval[0] * interval[1] > 0:
        is_better = (interval[0] > 0) == (about["better"] == "high")
        entry += tag("span", "better", class_="better") if is_better else ""
        entry += "" if is_better else tag("span", "worse", class_="worse")
    return entry


def _decimals(name: str, summary: Numbers) -> int:
    """Returns how many decimals the values of a score have in all rows of a table."""
    values = [v for c in summary["cells"] for v in c["scores"].get(name, {}).get("values", [])]
    sizes = [abs(value) for value in values if value]
    sizes = sizes or [abs(value) for value in [summary["scores"][name]["real_data"]] if value]
    return min(4, max(0, DIGITS - 1 - floor(log10(median(sizes))))) if sizes else 0


def _interval(bounds: Sequence[float], decimals: int, *, signed: bool = False) -> str:
    return "[" + ", ".join(_number(bound, decimals, signed=signed) for bound in bounds) + "]"


def _number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    if value is None:
        return "\u2013"
    plus = "+" if signed else ""
    is_far = abs(value) >= 1e6 or 0 < abs(value) < 0.5 * 10**-decimals
    text = f"{value:{plus}.1e}" if is_far else f"{value:{plus},.{decimals}f}"
    return text.translate(MINUS)
