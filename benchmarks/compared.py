"""Experiments whose runs ``lightning-gans compare`` trains, one thread for each run."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from trained import ROOT

Cell = tuple[str, Mapping[str, Any]]
"""The name of a config of ``configs/``, and what is set in it, by key."""


def write_configs(folder: Path, cells: Mapping[str, Cell]) -> list[Path]:
    """Writes the config of each cell of an experiment into a folder, and returns the files.

    Args:
        folder: where they go, by the names of the cells.
        cells: by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, (base, settings) in cells.items():
        config = yaml.safe_load((ROOT / "configs" / f"{base}.yaml").read_text())
        for key, value in settings.items():
            *above, last = key.split(".")
            place = config
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        files.append(path)
    return files


def compare(
    files: Iterable[Path],
    seeds: Iterable[int],
    root: Path,
    name: str,
    jobs: int,
    settings: Mapping[str, Any],
    max_hours: float | None = None,
) -> None:
    """Trains what is missing of an experiment, or resumes it.

    Args:
        files: the configs of its cells.
        seeds: of each cell.
        root: folder of its folder.
        name: of the experiment, and of its folder.
        jobs: runs at a time.
        settings: of all cells, by key.
        max_hours: after which no more is begun, and what runs is stopped.
    """
    command = [sys.executable, "-m", "lightning_gans", "compare", *map(str, files)]
    command += ["--seeds", ",".join(map(str, seeds)), "--name", name, "--jobs", str(jobs)]
    whole = {"trainer.default_root_dir": root, "trainer.accelerator": "cpu", **settings}
    for key, value in whole.items():
        command += ["--set", f"{key}={value}"]
    if max_hours is not None:
        command += ["--max-hours", str(max_hours)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
