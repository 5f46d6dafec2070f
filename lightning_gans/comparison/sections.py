"""The sections of a page but for its tables, as HTML: all that stems from a run is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lightning_gans.comparison import tables
from lightning_gans.comparison.cells import Cell
from lightning_gans.comparison.markup import swatch, tag, text
from lightning_gans.comparison.reading import Run
from lightning_gans.comparison.statistics import BANDED

__all__ = ["UNITS", "about_scores", "controls", "differences", "failures", "head", "notes"]

STATUSES = ("finished", "running", "stopped", "failed")
UNITS = {"updates": "generator updates", "images": "images seen", "seconds": "seconds of training"}
"""What curves are drawn over."""

Numbers = Mapping[str, Any]


def head(cells: Sequence[Cell], summary: Numbers) -> str:
    """Returns what was run where, and how far it is."""
    runs = [run for cell in cells for run in cell.runs]
    ended = [(sum(run.status == status for run in runs), status) for status in STATUSES]
    told = ", ".join(f"{number} {status}" for number, status in ended if number)
    samples = f", {summary['samples']:,} samples" if summary["samples"] else ""
    facts = {
        "Runs": f"{len(runs)} in {len(cells)} {'cell' if len(cells) == 1 else 'cells'}: {told}",
        "Seeds": ", ".join(str(seed) for seed in sorted({run.seed for run in runs})),
        "Scored on": f"{summary['split']} split{samples}",
        "Data": _each(run.record.get("data") for run in runs),
        "Commit": _each((run.record.get("commit") or "")[:7] for run in runs),
        "Versions": _each(_versions(run) for run in runs),
        "Machine": _each(_machine(run) for run in runs),
    }
    rows = [tag("div", tag("dt", k), tag("dd", text(v))) for k, v in facts.items() if v]
    return tag("dl", *rows, class_="facts")


def notes(cells: Sequence[Cell]) -> str:
    """Returns what should be known before any number is read; nothing if there is nothing."""
    runs = [run for cell in cells for run in cell.runs]
    failed = [run for run in runs if run.status == "failed"]
    unfinished = [run for run in runs if run.status in ("running", "stopped")]
    made = sorted({run.updates for run in runs if run.status == "finished"})
    commits = {run.record["commit"] for run in runs if run.record.get("commit")}
    changed = [run for run in runs if "with changes" in (run.record.get("commit") or "")]
    found = []
    if failed:
        found.append(
            f'{_number(failed)} <a href="#failed">failed</a>. A failed run counts as worse than '
            "all others."
        )
    if unfinished:
        found.append(f"{_number(unfinished)} not finished yet. Means are of finished runs only.")
    if len(made) > 1:
        found.append(
            f"Finished runs have made different numbers of updates, from {made[0]:,} to "
            f"{made[-1]:,}: their last scores are not those of equal training."
        )
    if len(commits) > 1:
        found.append(
            f"The runs used {len(commits)} commits of the code; \u2020 marks runs that did not "
            "use the most common one."
        )
    if changed:
        found.append(f"{_number(changed)} used code with changes that are in no commit.")
    return tag("ul", *(tag("li", sentence) for sentence in found), class_="notes") if found else ""


def about_scores(summary: Numbers) -> str:
    """Returns how the table of scores is read."""
    name, about = next(iter(summary["scores"].items()))
    words = (
        "Means over finished seeds, with 95 % intervals by Student's t below; of two seeds, both "
        "values. IQM is the mean without the least and the greatest quarter of 5 or more seeds, "
        "with its bootstrap interval. The best mean is bold, however uncertain it is: "
        f"see the differences. Cells are in the order of {name} ({tables.said(about)}), where a "
        "failed run counts as the worst of all."
    )
    return tag("p", text(words), class_="about") + _meanings(summary)


def differences(summary: Numbers) -> str:
    """Returns the table of differences and how it is read; nothing of one cell alone."""
    if len(summary["cells"]) < 2:
        return ""
    first = summary["cells"][0]["label"]
    words = (
        "The mean of the differences between runs of equal seeds, with its 95 % interval; of two "
        "seeds, both differences; a dash if no seed is in both cells. Where the interval does not "
        "hold 0, it says better or worse. P is the share of all pairs of runs in which the one of "
        f"the cell is better than the one of {first}; a failed run is worse than any other."
    )
    return tag("p", text(words), class_="about") + tables.paired_differences(summary)


def _meanings(summary: Numbers) -> str:
    """Returns what the scores mean."""
    terms = [
        tag("dt", text(name)) + tag("dd", text(f"{facts['meaning']}; {tables.said(facts)}"))
        for name, facts in summary["scores"].items()
        if facts["meaning"]
    ]
    listed = tag("dl", *terms, class_="meanings")
    return tag("details", tag("summary", "What the scores mean"), listed) if terms else ""


def controls(summary: Numbers, units: Sequence[str]) -> str:
    """Returns what chooses the axis and the cells that are shown.

    Args:
        summary: of the comparison.
        units: what the curves can be drawn over.
    """
    axes = [
        tag("label", _box("radio", f"over-{unit}", unit == units[0], "over"), UNITS[unit])
        for unit in units
    ]
    shown = [
        tag("label", _box("checkbox", f"show-{i}"), swatch(i), text(_banded(cell)))
        for i, cell in enumerate(summary["cells"])
    ]
    seeds = tag("label", _box("checkbox", "show-seeds"), "single seeds")
    parts = [
        tag("fieldset", tag("legend", "Over"), *axes) if len(units) > 1 else "",
        tag("fieldset", tag("legend", "Show"), *shown, seeds),
    ]
    return tag("div", *parts, class_="controls")


def failures(cells: Sequence[Cell]) -> str:
    """Returns the failed runs with their last words, empty if none failed."""
    found = []
    for cell in cells:
        for run in (run for run in cell.runs if run.status == "failed"):
            words = run.last_words()
            log = tag("pre", "\n".join(map(text, words)), tabindex="0")
            found += [
                tag("h3", text(f"{cell.label}, seed {run.seed}")),
                tag("p", text(f"After update {run.updates:,}, in {run.folder}")),
                tag("pre", text(run.message), tabindex="0"),
                tag("details", tag("summary", "Last lines of its log"), log) if words else "",
            ]
    return "".join(found)


def _box(kind: str, identifier: str, checked: bool = True, name: str = "") -> str:
    words = f' name="{name}"' if name else ""
    return f'<input type="{kind}" id="{identifier}"{words}{" checked" if checked else ""}>'


def _banded(cell: Numbers) -> str:
    """Returns the label of a cell with what its band is."""
    number = sum(run["status"] == "finished" for run in cell["runs"])
    band = "95 % interval of the mean" if number >= BANDED else "least to greatest"
    told = f"{number} seeds, band: {band}" if number > 1 else "1 seed" if number else "no seed"
    return f"{cell['label']} ({told})"


def _each(texts: Iterable[Any]) -> str:
    """Returns all different texts, with those that hold for most runs first."""
    known = [str(one) for one in texts if one]
    return "; ".join(sorted(dict.fromkeys(known), key=lambda one: -known.count(one)))


def _versions(run: Run) -> str:
    versions = run.record.get("versions") or {}
    names = ("lightning-gans", "torch", "python")
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def _machine(run: Run) -> str:
    machine = run.record.get("machine") or {}
    return ", ".join(str(machine[name]) for name in ("device", "processor") if name in machine)


def _number(runs: Sequence[Run]) -> str:
    """Returns the beginning of a sentence on some runs."""
    return "1 run has" if len(runs) == 1 else f"{len(runs)} runs have"
