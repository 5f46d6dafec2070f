"""Experiments whose runs ``lightning-gans compare`` trains, one thread for each run."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import yaml
from trained import ROOT, recorded

Cell = tuple[str, Mapping[str, Any]]
"""The name of a config of ``configs/``, and what is set in it, by key."""


def config_of(base: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config of ``configs/`` with other settings, by key."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs" / f"{base}.yaml").read_text())
    for key, value in settings.items():
        *above, last = key.split(".")
        place = config
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return config


def write_configs(folder: Path, cells: Mapping[str, Cell]) -> list[Path]:
    """Writes the config of each cell of an experiment into a folder, and returns the files.

    Args:
        folder: where they go, by the names of the cells.
        cells: by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, cell in cells.items():
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config_of(*cell), sort_keys=False))
        files.append(path)
    return files


def recorded_cells(results: str, name: str) -> set[tuple[str, int]]:
    """Returns the cells and seeds of the runs that are in the results, from any machine.

    Args:
        results: name of the file in ``results``.
        name: of the experiment in it.
    """
    runs = recorded(results).get(name, [])
    return {(run["cell"], run["seed"]) for run in runs}


def compare(
    files: Iterable[Path],
    seeds: Iterable[int],
    root: Path,
    name: str,
    jobs: int,
    settings: Mapping[str, Any],
    max_hours: float | None = None,
    done: Set[tuple[str, int]] = frozenset(),
) -> None:
    """Trains what is missing of an experiment, or resumes it.

    Cells that lack the same seeds are trained together.

    Args:
        files: the configs of its cells.
        seeds: of each cell.
        root: folder of its folder.
        name: of the experiment, and of its folder.
        jobs: runs at a time.
        settings: of all cells, by key.
        max_hours: after which no more is begun, and what runs is stopped.
        done: cells and seeds that are not trained again.
    """
    known = (*seeds,)
    groups: dict[tuple[int, ...], list[str]] = {}
    for file in files:
        left = (*(seed for seed in known if (file.stem, seed) not in done),)
        if left:
            groups.setdefault(left, []).append(str(file))
    whole = {"trainer.default_root_dir": root, "trainer.accelerator": "cpu", **settings}
    begin = time.monotonic()
    for left, cells in groups.items():
        command = [sys.executable, "-m", "lightning_gans", "compare", *cells]
        command += ["--seeds", ",".join(map(str, left)), "--name", name, "--jobs", str(jobs)]
        for key, value in whole.items():
            command += ["--set", f"{key}={value}"]
        if max_hours is not None:
            hours = max_hours - (time.monotonic() - begin) / 3600
            command += ["--max-hours", f"{max(hours, 0.001):.3f}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        stopped = subprocess.run(command, env=environment, check=False).returncode
        if not 0 <= stopped < 128:  # by a signal
            return
