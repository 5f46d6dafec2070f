"""Run folders: ``<root>/<name>/version_<n>`` with everything that one training leaves behind.

``config.yaml`` is the whole configuration, ``metrics.csv`` every logged row, ``run.json`` what ran
where, and ``checkpoints``, ``samples`` and ``figures`` hold what their names say.
"""

import csv
import json
import os
import shlex
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor
from typing_extensions import override

from lightning_gans.callbacks import Checkpoint, Evaluation
from lightning_gans.callbacks.preemption import Preempted
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.cli.locks import RunLock
from lightning_gans.cli.processes import give_time
from lightning_gans.cli.screen import say
from lightning_gans.core.divergence import DivergenceError
from lightning_gans.core.lightning_compat import NumberedLogger
from lightning_gans.core.module import AdversarialModule
from lightning_gans.errors import InputError, printable
from lightning_gans.files import as_json, read_rows, replacing
from lightning_gans.finding import folder_of, run_of
from lightning_gans.holders import Watch
from lightning_gans.loggers import wandb_identity

__all__ = ["CONFIG_KEY", "RunLogger", "RunRecord", "conclude", "parent_of"]

CONFIG_KEY = "config"
"""Key of the run's configuration in the package's record of a checkpoint."""


class _Rows:
    """The rows of a ``metrics.csv``: appended as they come, rewritten only for new columns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics: list[dict[str, Any]] = []
        self._columns = ["step"]
        if path.is_file():
            with path.open(newline="", errors="replace") as file:
                self._columns = next(csv.reader(file), self._columns)

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        values = {k: v.item() if isinstance(v, Tensor) else v for k, v in metrics.items()}
        self.metrics.append({"step": step, **values})

    def save(self) -> None:
        if not self.metrics:
            return
        pending, self.metrics = self.metrics, []
        columns = dict.fromkeys(column for row in pending for column in row)
        new = [column for column in columns if column not in self._columns]
        self._columns += new
        try:
            if new or not self.path.is_file():
                self._rewrite(self.read() + pending)
                return
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerows(pending)
        except OSError as error:
            raise OSError(f"{self.path} could not be written: {error}") from error

    def read(self) -> list[dict[str, Any]]:
        """Returns the rows but for what a kill may have left of the last one."""
        try:
            return read_rows(self.path)
        except ValueError as error:
            raise ValueError(
                f"{error} Repair it, or move it away to resume without its rows."
            ) from error

    def cut_after(self, step: int) -> None:
        """Drops the rows after a step, and what a kill may have left of the last one."""
        rows = self.read()
        kept = [row for row in rows if int(row["step"]) <= step]
        if len(kept) < len(rows) or not self._ends_whole():
            self._rewrite(kept)

    def _ends_whole(self) -> bool:
        return not self.path.is_file() or self.path.read_bytes().endswith(b"\n")

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())


class RunLogger(NumberedLogger):
    """Writes ``metrics.csv`` into a run folder of its own, row by row.

    The folder is made when it is first asked for, under a number that no other run has, even if
    several start at once. A resumed run keeps the rows up to its checkpoint; Lightning's own
    logger would delete them.

    Args:
        save_dir: folder of all runs.
        name: of the run.
        version: number of an earlier run to resume.

    Attributes:
        is_new: whether the run begins.
        made: folders above that of the name that had to be made for it, innermost first.
    """

    def __init__(self, save_dir: str, name: str, version: int | None = None) -> None:
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=1)
        self.is_new = version is None
        self.lock: RunLock | None = None
        self.made: list[Path] = []
        self._rows: _Rows | None = None

    @override
    def new_version(self) -> int:
        if getattr(rank_zero_only, "rank", 0) != 0:
            return 0  # the main process's folder is the one that counts
        root = Path(self.root_dir)
        self.made = [folder for folder in root.parents if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        number = super().new_version()
        while True:
            try:
                (root / f"version_{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return number

    @property
    @override
    def experiment(self) -> Any:
        if self._rows is None:
            self._rows = _Rows(Path(self.log_dir) / "metrics.csv")
        return self._rows

    @rank_zero_only
    def take(self) -> None:
        """Takes the folder of the run, in which no other process may train from now on.

        Raises:
            InputError: if one does, or the folder has links that lead out of it.
        """
        if not self.is_new:
            _check_links(Path(self.log_dir))
        lock = RunLock(Path(self.log_dir))
        lock.acquire()
        self.lock = lock

    @rank_zero_only
    def give_back(self) -> None:
        """Gives the folder back, if it was taken."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    @override
    @rank_zero_only
    def save(self) -> None:
        """Writes the rows that have come.

        Raises:
            RunError: if another process has taken the folder over.
        """
        if self.lock is not None:
            self.lock.check()
        self.experiment.save()

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        with nullcontext() if status == "success" else suppress(OSError):  # the disk may be full
            self.experiment.save()

    @override
    def log_hyperparams(self, params: Any = None) -> None:
        """Does nothing: ``config.yaml`` holds them."""

    @rank_zero_only
    def check(self) -> None:
        """Reads the rows of a resumed run.

        Raises:
            ValueError: if they are damaged.
        """
        self.experiment.read()

    @rank_zero_only
    def cut_after(self, step: int) -> None:
        """Drops the rows after a step, before the run resumes from there."""
        self.experiment.cut_after(step)


class RunRecord(Callback):
    """Writes ``config.yaml`` and ``run.json``, and the configuration into every checkpoint.

    Args:
        config: the whole configuration as plain data.
        command: the command line.
        parent: as `parent_of` returns it, if the run begins with a checkpoint of another.

    Attributes:
        problem: why the run cannot begin, if the main process knows and the others do not yet.
    """

    def __init__(
        self, config: dict[str, Any], command: list[str], parent: dict[str, Any] | None = None
    ) -> None:
        self.config = config
        self.command = command
        self.parent = parent
        self.problem: str | None = None
        self._record: dict[str, Any] = {}
        self._path: Path | None = None
        self._begun = False

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        give_time()
        runs = [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
        if stage != "fit" or not runs:
            return
        problem = trainer.strategy.broadcast(self.problem)
        if problem is not None:
            raise InputError(problem)
        if not trainer.is_global_zero:
            return
        folder = Path(runs[0].log_dir)
        self._path = folder / "run.json"
        self._start = time.monotonic()
        earlier = _read_record(self._path)
        runs[0].check()
        self._wall_time_before = earlier.get("wall_time_s", 0.0)
        self._record = {
            **earlier,
            "command": shlex.join(self.command),
            "status": "running",
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "model": type(pl_module).__name__,
            "data": type(trainer.datamodule).__name__,  # type: ignore[attr-defined]
            "commit": code_version(),
            "versions": versions(),
            "machine": machine(trainer.strategy.root_device),
            "processes": trainer.world_size,
            "precision": trainer.precision,
            "samples_per_update": _samples_per_update(trainer),
        }
        self._record.setdefault("first_started", self._record["started"])
        self._record.setdefault("resumed_at", [])

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit":
            self._tell_loggers(trainer)

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell_loggers(trainer)

    def _tell_loggers(self, trainer: Trainer) -> None:
        """Tells loggers of scores whose they are, and under which settings."""
        checkpoint = trainer.ckpt_path and str(trainer.ckpt_path)
        for logger in trainer.loggers:
            logger.log_hyperparams({**self.config, "checkpoint": checkpoint})

    @override
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Drops the states of callbacks that name files elsewhere, which they would delete."""
        path = Path(str(trainer.ckpt_path))
        resumes = self.parent is None and run_of(path) is not None
        folder = path.resolve().parent if resumes else None
        for key, state in list(checkpoint["callbacks"].items()):
            if any(
                folder is None or not Path(name).resolve().is_relative_to(folder)
                for name in _named_files(state)
            ):
                rank_zero_warn(
                    f"The state of {printable(str(key))[:200]} names files outside of the run. "
                    "It is left out."
                )
                del checkpoint["callbacks"][key]

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if self.parent is not None:
            self._record["parent"] = {**self.parent, "updates": trainer.global_step}
        origin = {name: value for name, value in self._record.items() if name == "parent"}
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.cut_after(trainer.global_step)
            if trainer.is_global_zero:
                logger.log_hyperparams({**self.config, **origin})
        if self._path is None:
            return
        # Not before everything has been checked: a run that is refused leaves no trace.
        say(f"run folder: {self._path.parent}")
        self._write_config(self._path.with_name("config.yaml"))
        self._begun = True
        if trainer.global_step > 0 and self.parent is None:
            self._record["resumed_at"] = [*self._record["resumed_at"], trainer.global_step]
        self._record["seed"] = pl_module.seed
        self._write(trainer, pl_module)

    def _write_config(self, path: Path) -> None:
        text = yaml.safe_dump(self.config, sort_keys=False)
        if path.is_file() and path.read_text() != text:
            names = [earlier.stem for earlier in path.parent.glob("config_*.yaml")]
            numbers = [int(n) for name in names if (n := name.removeprefix("config_")).isdecimal()]
            # A copy: a folder without config.yaml, as a kill might leave it, would be no run.
            with replacing(path.with_name(f"config_{1 + max(numbers, default=0)}.yaml")) as file:
                file.write(path.read_bytes())
        with replacing(path) as file:
            file.write(text.encode())

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[CONFIG_KEY] = self.config
        self._write(trainer, pl_module)  # a run that is killed has the time up to here on record

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record["status"] = "finished"
        self._write(trainer, pl_module)

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        what = str(exception)
        if not isinstance(exception, Preempted):
            what = f"{type(exception).__name__}: {what}".removesuffix(": ")
        self._record["status"] = f"stopped: {what}"
        with suppress(OSError):  # the disk may be full
            self._write(trainer, pl_module)
        if isinstance(exception, DivergenceError) and self._path is not None:
            fields = vars(exception.samples).items()
            samples = {k: v for k, v in fields if isinstance(v, torch.Tensor)}
            path = self._path.with_name("diverged.pt")
            with suppress(OSError, RuntimeError), replacing(path) as file:  # as above
                torch.save({k: v.detach().cpu() for k, v in samples.items()}, file)

    def _write(self, trainer: Trainer, gan: LightningModule) -> None:
        if self._path is None or not self._begun:
            return
        assert isinstance(gan, AdversarialModule)
        self._record["updates"] = trainer.global_step
        self._record["images_seen"] = gan.images_seen
        self._record["wall_time_s"] = round(
            self._wall_time_before + time.monotonic() - self._start, 1
        )
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Evaluation) and callback.scores:
                self._record["scores"] = callback.scores
                self._record["floors"] = callback.floors
                self._record["samples"] = callback.num_samples
            if isinstance(callback, Checkpoint) and callback.best_update is not None:
                self._record["best"] = {callback.monitor: callback.state_dict()}
        _write_record(self._path, self._record)


def parent_of(checkpoint: Path) -> dict[str, Any]:
    """Returns what a run that begins with a checkpoint of another records of it.

    Args:
        checkpoint: perhaps in no run folder.
    """
    folder = folder_of(checkpoint)
    found = {
        "folder": None if folder is None else str(folder.resolve()),
        "checkpoint": str(checkpoint.resolve()),
    }
    identity = None if folder is None else wandb_identity(folder)
    return found if identity is None else {**found, "wandb": identity}


def _named_files(state: Any) -> list[str]:
    """Returns the files that the state of a callback of checkpoints names."""
    if not isinstance(state, dict):
        return []
    places = ("dirpath", "best_model_path", "kth_best_model_path", "last_model_path")
    models = state.get("best_k_models")
    found = [
        *(state.get(place) for place in places),
        *(models if isinstance(models, dict) else ()),
    ]
    return [str(name) for name in found if name]


def _check_links(folder: Path) -> None:
    """Refuses a folder, which may be a download, whose links lead to files elsewhere.

    Raises:
        InputError: if one does.
    """
    whole = folder.resolve()
    for place, folders, files in os.walk(folder):
        if Path(place).name == "wandb":
            folders.clear()  # W&B links to its own log, and gives each new folder a new name
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                raise InputError(
                    f"{path} is a link that leads out of the run, where nothing is to be written. "
                    "Remove it; use --checkpoint.dirpath to keep checkpoints elsewhere."
                )


def _read_record(path: Path) -> dict[str, Any]:
    """Returns what a ``run.json`` holds; nothing if there is none.

    Raises:
        ValueError: if it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_bytes())
        seconds, places = record.get("wall_time_s", 0.0), record.get("resumed_at", [])
        parent = [*record.get("parent", {}).values()]
    except (AttributeError, RecursionError, ValueError):
        seconds = places = parent = None
    is_plain = parent is not None and all(isinstance(x, str | int | None) for x in parent)
    if not (isinstance(seconds, int | float) and isinstance(places, list) and is_plain):
        raise ValueError(
            f"{path} is damaged: it is not the record of a run. Move it away to resume without it."
        )
    return record


def conclude(folder: Path) -> None:
    """Records that a run is finished which was killed after its last checkpoint.

    It may have been drawing its last pictures. A run that is still being trained is left alone.

    Args:
        folder: of the run.
    """
    path = folder / "run.json"
    with suppress(OSError, ValueError):  # a damaged record is told of when it is needed
        record = _read_record(path)
        if record.get("status", "finished") != "finished" and Watch(folder).holder() is None:
            _write_record(path, {**record, "status": "finished"})


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write(as_json(record))


def _samples_per_update(trainer: Trainer) -> int | None:
    """Returns the real samples that an update of the discriminator sees in all processes."""
    size: int | None = getattr(trainer.datamodule, "batch_size", None)  # type: ignore[attr-defined]
    return None if size is None else size * trainer.world_size
