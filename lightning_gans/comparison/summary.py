"""The numbers of a comparison, as plain data: what the page shows and ``compare.json`` holds."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from math import inf, isfinite, isnan, nan
from typing import Any

from lightning_gans.comparison.cells import LACKING, Cell, differences
from lightning_gans.comparison.reading import Run, Scored
from lightning_gans.comparison.statistics import (
    BANDED,
    estimate,
    improvement,
    interquartile_interval,
    interquartile_mean,
    paired,
)
from lightning_gans.errors import InputError

__all__ = ["as_csv", "best_first", "cost", "summarized"]


def summarized(cells: Sequence[Cell], split: str) -> dict[str, Any]:
    """Returns scores of runs and cells, and the differences of cells from the first one.

    Runs that are not finished have no share in means. In probabilities of improvement, a run that
    failed is worse than every other one.

    Args:
        cells: at least one.
        split: whose scores are taken, "validation" or "test".

    Raises:
        InputError: if no run has scores.
        FolderError: if a file of a run is damaged.
    """
    scored = {run: run.scored(split) for cell in cells for run in cell.runs}
    names = _names(cells, [found for found in scored.values() if found])
    if not names:
        raise InputError(
            f"no run has scores of the {split} split. Use "
            + ("lightning-gans test first." if split == "test" else "runs that were validated.")
        )
    _check_samples(scored)
    floors = _floors(scored)
    about = {
        name: {"better": best, "meaning": meaning, "real_data": floors.get(name)}
        for name, (best, meaning) in _told(names).items()
    }
    changed = differences([cell.settings for cell in cells])
    found = [
        {
            "label": cell.label,
            "identity": cell.identity,
            "settings": {k: v[index] for k, v in changed.items() if v[index] != LACKING},
            "runs": [_run(run, scored[run]) for run in cell.runs],
            "scores": _scores(cell, names, scored),
        }
        for index, cell in enumerate(cells)
    ]
    for cell, numbers in zip(cells[1:], found[1:], strict=True):
        numbers["differences"] = _differences(cells[0], cell, about, scored)
    return {
        "split": split,
        "samples": next((s.samples for s in scored.values() if s and s.samples), None),
        "scores": about,
        "cells": found,
    }


def as_csv(summary: Mapping[str, Any]) -> bytes:
    """Returns a table with a row for each run, as a file."""
    prefix = "test/" if summary["split"] == "test" else "val/"
    columns = ["cell", "identity", *summary["cells"][0]["runs"][0]]
    columns.remove("scores")
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, *(prefix + name for name in summary["scores"])])
    for cell in summary["cells"]:
        for run in cell["runs"]:
            row = {"cell": cell["label"], "identity": cell["identity"], **run}
            scores = [run["scores"].get(name) for name in summary["scores"]]
            writer.writerow([*(row[column] for column in columns), *scores])
    return text.getvalue().encode()


def _names(cells: Sequence[Cell], scored: Sequence[Scored]) -> list[str]:
    """Returns the names of all scores, the one that decides about checkpoints first."""
    monitor = (cells[0].runs[0].config.get("checkpoint") or {}).get("monitor")
    names = dict.fromkeys(name for found in scored for name in found.scores)
    return sorted(names, key=lambda name: f"val/{name}" != monitor)


def _check_samples(scored: Mapping[Run, Scored | None]) -> None:
    known = [(run, found.samples) for run, found in scored.items() if found and found.samples]
    for run, samples in known:
        if samples != known[0][1]:
            raise InputError(
                f"{known[0][0].folder} was scored on {known[0][1]:,} samples and {run.folder} on "
                f"{samples:,}: their scores are not comparable. Use one page for each."
            )


def _floors(scored: Mapping[Run, Scored | None]) -> dict[str, float]:
    found: dict[str, float] = {}
    for scores in scored.values():
        found = {**(scores.floors if scores else {}), **found}
    return found


def _told(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns where scores are best, and a few words on each, as their metrics tell."""
    from lightning_gans.metrics.names import better, meaning

    return {name: (better(name), meaning(name)) for name in names}


def cost(value: float, about: Mapping[str, Any]) -> float:
    """Returns a score as what it costs: the less, the better.

    Args:
        value: of the score.
        about: where it is best, and what real data scores; of a score that is best where real
            data has it, NaN if that is not known.
    """
    if about["better"] == "same":
        return nan if about["real_data"] is None else abs(value - about["real_data"])
    return -value if about["better"] == "high" else value


def best_first(cell: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """Returns the places of the runs of a cell that have the first score, from the best on.

    Args:
        cell: of a summary.
        scores: of the same summary.
    """
    name, about = next(iter(scores.items()))
    costs = {
        place: cost(run["scores"][name], about)
        for place, run in enumerate(cell["runs"])
        if run["status"] == "finished" and run["scores"].get(name) is not None
    }
    return sorted(costs, key=lambda place: (isnan(costs[place]), costs[place]))


def _run(run: Run, scored: Scored | None) -> dict[str, Any]:
    seconds = [row["train/seconds"] for row in run.rows if "train/seconds" in row]
    scores = scored.scores if scored else {}
    return {
        "seed": run.seed,
        "status": run.status,
        "message": run.message,
        "updates": run.updates,
        "scored_at": scored.updates if scored else None,
        "images": run.record.get("images_seen"),
        "seconds": seconds[-1] if seconds and isfinite(seconds[-1]) else None,
        "commit": run.record.get("commit"),
        "folder": str(run.folder),
        "scores": {k: v if isfinite(v) else None for k, v in scores.items()},
    }


def _values(
    cell: Cell, name: str, scored: Mapping[Run, Scored | None]
) -> tuple[dict[int, float], int]:
    """Returns a score of the finished runs by seed, and how many runs have failed to get one."""
    values, failed = {}, 0
    for run in cell.runs:
        found = scored[run]
        value = found.scores.get(name) if found and run.status == "finished" else None
        if value is not None and isfinite(value):
            values[run.seed] = value
        elif value is not None or run.status == "failed":
            failed += 1
    return values, failed


def _scores(
    cell: Cell, names: Sequence[str], scored: Mapping[Run, Scored | None]
) -> dict[str, Any]:
    found = {}
    for name in names:
        values, failed = _values(cell, name, scored)
        if not values and not failed:
            continue
        numbers: dict[str, Any] = {"seeds": list(values), "values": list(values.values())}
        numbers["failed"] = failed
        if values:
            mean = estimate(numbers["values"])
            numbers |= {"mean": mean.mean, "interval": mean.interval}
        if len(values) >= BANDED:
            numbers["interquartile_mean"] = interquartile_mean(numbers["values"])
            numbers["interquartile_interval"] = interquartile_interval(numbers["values"])
        found[name] = numbers
    return found


def _differences(
    first: Cell,
    second: Cell,
    about: Mapping[str, Mapping[str, Any]],
    scored: Mapping[Run, Scored | None],
) -> dict[str, Any]:
    found = {}
    for name, facts in about.items():
        both = [_values(cell, name, scored) for cell in (first, second)]
        difference = paired(both[0][0], both[1][0])
        costs = [
            [cost(value, facts) for value in values.values()] + [inf] * failed
            for values, failed in both
        ]
        if not all(costs):
            continue
        is_known = not any(map(isnan, costs[0] + costs[1]))
        found[name] = {
            "seeds": [seed for seed in both[0][0] if seed in both[1][0]],
            "values": list(difference.values) if difference else [],
            "mean": difference.mean if difference else None,
            "interval": difference.interval if difference else None,
            "improvement": improvement(*costs) if is_known else None,
        }
    return found
