"""How long the missing runs of a comparison will take, and how much of the disk, in words."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning_gans.cli.trials import Trials
from lightning_gans.comparison.estimates import Cost, bytes_of, makespan, seconds_of
from lightning_gans.comparison.planning import Cell, Planned, State
from lightning_gans.comparison.running import number_of
from lightning_gans.errors import InputError
from lightning_gans.progress import Work, clock

__all__ = ["estimate"]


def estimate(
    trials: Trials,
    left: Sequence[Planned],
    states: Mapping[Planned, State],
    jobs: int,
    max_hours: float | None,
) -> str:
    """Tries the cells, decides the threads of their runs, and returns what the runs will take.

    Args:
        trials: of the cells.
        left: the runs.
        states: how far they are.
        jobs: how many at a time.
        max_hours: after which they are stopped, if they are.

    Raises:
        InputError: if one cannot begin, or the disk has no room for them.
    """
    costs = _costs(trials, left, jobs)
    known = [(run, costs[run.cell]) for run in left]
    pairs = [(run, cost) for run, cost in known if cost is not None]
    for run, cost in pairs:
        run.threads = None if "OMP_NUM_THREADS" in os.environ else cost.threads
    seconds = makespan([seconds_of(run, states[run], cost) for run, cost in pairs], jobs)
    disk = sum(bytes_of(run, states[run], cost) for run, cost in pairs)
    place = _existing(left[0].home)
    if disk > (free := shutil.disk_usage(place).free):
        raise InputError(
            f"the runs need about {_size(disk)}, but {place} has {_size(free)} left. Use fewer "
            "runs, or --set trainer.default_root_dir=FOLDER on another disk."
        )
    room = f", and {_size(disk)} of disk" if disk else ""
    if not pairs:
        return "a few rounds of them could not be tried, so there is no estimate of their time"
    text = f"about {clock(seconds)} with {jobs} at a time{room}"
    if len(pairs) < len(left):
        text += f", without {number_of(len(left) - len(pairs), 'run')} that could not be tried"
    if max_hours is not None and seconds > 3600 * max_hours:
        text += f"; --max-hours {max_hours:g} stops them before"
    return text


def _costs(trials: Trials, left: Sequence[Planned], jobs: int) -> dict[Cell, Cost | None]:
    """Tries a few rounds of each cell, and all that a run does of each config."""
    found: dict[Cell, Cost | None] = {}
    wholes: dict[str, Cost] = {}
    cells = list(dict.fromkeys(run.cell for run in left))
    with Work("trying a few rounds", len(cells), "cells") as work:
        for cell in work.over(cells):
            whole = wholes.get(cell.config)
            cost = trials.cost(cell, cells, jobs, whole=whole is None)
            if cost is not None:
                cost = wholes[cell.config] = (
                    cost if whole is None else cost.with_the_rest_of(whole)
                )
            found[cell] = cost
    return found


def _existing(path: Path) -> Path:
    return next(place for place in path.absolute().parents if place.exists())


def _size(count: float) -> str:
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{count:.3g} {units[0]}"
