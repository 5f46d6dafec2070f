"""The curve of a score of a run, over updates, images or seconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_gans.comparison.reading import Run

__all__ = ["KEYS", "points"]

KEYS = {"updates": "step", "images": "train/images_seen", "seconds": "train/seconds"}
"""Columns of the units."""

Values = NDArray[np.float64]


def points(run: Run, name: str, unit: str, runs: Sequence[Run]) -> tuple[Values, Values]:
    """Returns the curve of a score of a run.

    That of a run which was forked from another one begins on the curve of that one.

    Args:
        run: whose rows are read.
        name: of the score.
        unit: of the places.
        runs: all, among which its parent may be.
    """
    updates, values = _series(run, f"val/{name}")
    places = updates if unit == "updates" else _places(run, KEYS[unit], updates)
    known = np.isfinite(values) & np.isfinite(places)
    places, values, updates = places[known], values[known], updates[known]
    place = Path(str((run.parent or {}).get("folder", "")))
    at = (run.parent or {}).get("updates")
    for other in runs:
        if other is not run and isinstance(at, int) and other.folder.resolve() == place.resolve():
            before, earlier = points(other, name, "updates", ())
            x, _ = points(other, name, unit, ())
            kept = np.flatnonzero(before <= at)[-1:]
            if len(x) == len(before) and len(kept) and not (updates[:1] <= before[kept]).any():
                return np.append(x[kept], places), np.append(earlier[kept], values)
    return places, values


def _series(run: Run, key: str) -> tuple[Values, Values]:
    pairs = [(row["step"], row[key]) for row in run.rows if key in row]
    updates, values = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return updates, values


def _places(run: Run, key: str, updates: Values) -> Values:
    """Returns what a run had counted at some updates: NaN without rows.

    The last validation may follow on the last row: it is placed as if the rate had stayed.
    """
    steps, counted = _series(run, key)
    if not len(steps):
        return np.full(len(updates), np.nan)
    steps, counted = np.append(0.0, steps), np.append(0.0, counted)
    rate = (counted[-1] - counted[-2]) / max(1.0, steps[-1] - steps[-2])
    later = np.maximum(0.0, updates - steps[-1])
    return np.interp(updates, steps, counted) + rate * later
