"""Runs of a comparison that train at once, by ``brief_fit.py``."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from lightning_gans.comparison.identity import identity
from lightning_gans.comparison.planning import Planned, cells_of, plan
from lightning_gans.comparison.sweeps import Sweep

PROGRAM = (sys.executable, str(Path(__file__).with_name("brief_fit.py")))
"""In the place of ``lightning-gans``."""


def config(max_steps: int = 10, **changes: Any) -> dict[str, Any]:
    """A whole configuration, as far as planning reads it."""
    whole = {
        "seed_everything": 0,
        "name": None,
        "trainer": {
            **{"max_steps": max_steps, "max_time": None, "max_epochs": -1, "devices": "auto"},
            **{"val_check_interval": 5, "check_val_every_n_epoch": None, "fast_dev_run": False},
        },
        "model": {"class_path": "GAN"},
        "data": {"class_path": "GaussianRing", "init_args": {"batch_size": 8}},
        "checkpoint": {"dirpath": None},
        "pictures": {"every_n_updates": 5},
    }
    for key, value in changes.items():
        whole["trainer"][key] = value
    return whole


def runs_of(*seeds: int, max_steps: int = 10, name: str = "gan") -> list[Planned]:
    """Runs of one cell in ``runs/compare``, which train by what ``brief.json`` says."""
    Path("config.yaml").write_text(yaml.safe_dump(config(max_steps)))
    settings = (("trainer.max_steps", str(max_steps)),)
    cells = cells_of([name], settings, Sweep())
    return plan(cells, [config(max_steps)], seeds, Path("runs/compare"))


def brief(**told: dict[str, Any]) -> None:
    """Says how the runs of some seeds, as s0, train."""
    found = {name.removeprefix("s"): what for name, what in told.items()}
    Path("brief.json").write_text(json.dumps(found))


def leave(run: Planned, version: int = 0, **record: Any) -> Path:
    """Leaves the folder of a run behind."""
    folder = run.home / f"version_{version}"
    folder.mkdir(parents=True)
    settings = {**run.config, **record.pop("config", {})}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    whole = {"status": "finished", "updates": run.updates, "seed": run.seed, **record}
    (folder / "run.json").write_text(json.dumps(whole))
    return folder


__all__ = ["PROGRAM", "brief", "config", "identity", "leave", "runs_of"]
