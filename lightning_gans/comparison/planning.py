"""What a comparison trains: cells, of a config and settings, and runs, of a cell and a seed.

The state of a comparison is that of its run folders. Nothing here trains, or imports PyTorch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightning_gans.comparison.cells import check_comparable
from lightning_gans.comparison.identity import identity
from lightning_gans.comparison.reading import Run, read_run
from lightning_gans.comparison.sweeps import OWN, Settings, Sweep
from lightning_gans.errors import InputError, one_line, printable
from lightning_gans.finding import newest_first
from lightning_gans.holders import Watch

__all__ = ["FAILURE", "Cell", "Planned", "State", "cells_of", "plan"]

FAILURE = "failed.txt"
"""File in a run's home that tells why it has failed before its first update."""
LONGEST_STEM = 60
"""Characters of the name of a config in the name of a run."""


@dataclass(frozen=True)
class Cell:
    """A config with settings of its own, to be trained with every seed.

    Attributes:
        config: its name or file.
        settings: those that are set on top of it.
        label: tells it from the other cells.
        modules: with classes of the user's own.
    """

    config: str
    settings: Settings
    label: str
    modules: tuple[str, ...] = ()

    @property
    def flags(self) -> list[str]:
        """What ``fit`` needs to know of it."""
        imports = [part for module in self.modules for part in ("--import", module)]
        settings = [f"--{key}={value}" for key, value in self.settings]
        return [*imports, "--config", self.config, *settings]


def cells_of(
    configs: Sequence[str], settings: Settings, sweep: Sweep, modules: Sequence[str] = ()
) -> list[Cell]:
    """Returns a cell for each config and each choice of a sweep.

    Args:
        configs: names or files.
        settings: of all cells.
        sweep: what differs between the cells of a config.
        modules: with classes of the user's own.

    Raises:
        InputError: if there is no config, one is given twice, or a setting is in the sweep, too.
    """
    if not configs:
        raise InputError(
            "compare needs configs, such as: lightning-gans compare gan_ring wgan_ring"
        )
    for config in configs:
        if configs.count(config) > 1:
            raise InputError(f"{config} is given twice.")
    for key, _ in settings:
        if any(key.removesuffix("+") == swept for swept, _ in sweep.cells[0]):
            raise InputError(f"set: {key} is in the sweep, too. Use only one of the two.")
    stems = [Path(config).stem for config in configs]
    cells = []
    for config, stem in zip(configs, stems, strict=True):
        name = stem if stems.count(stem) == 1 else config
        for swept in sweep.cells:
            label = " ".join([name, *(f"{key}={value}" for key, value in swept)])
            chosen = (*settings, *swept)
            cells.append(Cell(config, chosen, printable(label), tuple(modules)))
    return cells


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
        status: "new" if it has never trained; "running" if another process trains it now.
        folder: that it trains in, if it has one.
        updates: generator updates made.
        message: why it failed, or who trains it.
    """

    status: Literal["new", "running", "finished", "stopped", "failed"]
    folder: Path | None = None
    updates: int = 0
    message: str = ""


@dataclass(eq=False)
class Planned:
    """A run of a comparison.

    Attributes:
        cell: of the run.
        seed: of the run.
        config: the whole configuration, but for what differs between the runs of the cell.
        home: folder of the run's versions.
        flags: that the planner adds to those of the cell, for scores at the end.
        threads: on the CPU, or None if the run or its environment decides.
    """

    cell: Cell
    seed: int
    config: dict[str, Any]
    home: Path
    flags: tuple[str, ...] = ()
    threads: int | None = None
    _watches: dict[Path, Watch] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """Tells the run from the others."""
        return f"{self.cell.label} seed {self.seed}"

    @property
    def updates(self) -> int:
        """Generator updates in the end, or -1 if something else ends the run."""
        return int(self.config["trainer"]["max_steps"])

    @property
    def devices(self) -> int | None:
        """Devices that the run trains on, or None if the user says which."""
        devices = self.config["trainer"].get("devices")
        if devices in (None, "auto"):
            return 1
        return int(devices) if str(devices).isdecimal() else None

    @property
    def command(self) -> list[str]:
        """The arguments of ``lightning-gans`` that begin the run, or resume it."""
        return [
            *("fit", *self.cell.flags, *self.flags, f"--seed_everything={self.seed}"),
            *(f"--trainer.default_root_dir={self.home.parent}", f"--name={self.home.name}"),
            "--ckpt_path=auto",
        ]

    def state(self) -> State:
        """Looks how far the run is.

        Raises:
            InputError: if its folder is damaged, is that of another run, or has a longer one.
        """
        folders = newest_first(self.home)
        for folder in folders:
            holder = self._watches.setdefault(folder, Watch(folder)).holder()
            if holder is not None:
                return State("running", folder, message=holder)
        begun = (
            f for f in folders if (f / "config.yaml").is_file() and (f / "run.json").is_file()
        )
        newest = next(begun, None)
        if newest is not None:
            return self._state_in(newest)
        failure = self.home / FAILURE
        if failure.is_file():
            return State("failed", message=one_line(failure.read_text(errors="replace")))
        return State("new")

    def _state_in(self, folder: Path) -> State:
        try:
            run = read_run(folder)
        except ValueError as error:
            raise InputError(str(error)) from error
        if identity(run.config) != identity(self.config) or run.seed != self.seed:
            raise InputError(
                f"{folder} has been trained with other settings than {self.label}. Move it away, "
                "or use another --name."
            )
        if 0 < self.updates < run.updates:
            raise InputError(
                f"{folder} has {run.updates:,} updates, and trainer.max_steps is "
                f"{self.updates:,}. Use --set trainer.max_steps={run.updates}, or another --name."
            )
        status = run.status
        if status == "finished" and not (run.updates == self.updates or self._ends_as(run.config)):
            status = "stopped"  # and has further to go now
        return State(status, folder, run.updates, run.message)

    def _ends_as(self, config: Mapping[str, Any]) -> bool:
        ends = ("max_steps", "max_time")
        return all(config["trainer"].get(end) == self.config["trainer"].get(end) for end in ends)


def plan(
    cells: Sequence[Cell], configs: Sequence[dict[str, Any]], seeds: Sequence[int], root: Path
) -> list[Planned]:
    """Returns the runs of a comparison, cell by cell.

    Args:
        cells: in their order.
        configs: the whole configuration of each.
        seeds: of each cell.
        root: folder of all runs of the comparison.

    Raises:
        InputError: if two cells are the same, or runs of one could not be compared.
    """
    runs: list[Planned] = []
    labels: dict[str, str] = {}
    for cell, config in zip(cells, configs, strict=True):
        _check_config(cell, config)
        check_comparable(_sketch(cells[0], configs[0]), _sketch(cell, config))
        key = identity(config)
        if key in labels:
            raise InputError(
                f"{labels[key]} and {cell.label} are the same cell: none of the settings that "
                "differ between them decides any result."
            )
        labels[key] = cell.label
        stem = re.sub(r"[^A-Za-z0-9_.+-]", "_", Path(cell.config).stem)[:LONGEST_STEM]
        flags = _scored_at_its_end(config["trainer"])
        homes = [root / f"{stem}-{key}-seed_{seed}" for seed in seeds]
        pairs = zip(seeds, homes, strict=True)
        runs += [Planned(cell, seed, config, home, flags) for seed, home in pairs]
    return runs


def _sketch(cell: Cell, config: dict[str, Any]) -> Run:
    """Returns a run of a cell that has yet to begin, under the cell's label."""
    return Run(Path(cell.label), cell.label, config, {}, "stopped", 0, 0, "", None)


def _check_config(cell: Cell, config: Mapping[str, Any]) -> None:
    """Refuses a config whose runs cannot be followed."""
    for key in ("checkpoint.dirpath", "trainer.fast_dev_run"):
        section, _, name = key.partition(".")
        if config[section].get(name):
            raise InputError(f"{cell.label}: {key} is not for a comparison to vary. {OWN[key]}")
    trainer = config["trainer"]
    ends = trainer["max_steps"], trainer.get("max_epochs"), trainer.get("max_time")
    if all(end in (None, -1) for end in ends):
        raise InputError(f"{cell.label} has no end. Use --set trainer.max_steps=10000.")


def _scored_at_its_end(trainer: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the flag that gives a run scores which is too short for its first validation."""
    interval, updates = trainer.get("val_check_interval"), trainer["max_steps"]
    counts_updates = trainer.get("check_val_every_n_epoch") is None and type(interval) is int
    if counts_updates and 0 < updates < interval:
        return (f"--trainer.val_check_interval={updates}",)
    return ()
