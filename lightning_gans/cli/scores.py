"""Scores of a checkpoint, as they are kept: ``scores.json`` and ``validation.csv`` of its run.

Nothing here needs the folder's lock: a training that runs there at the same time writes neither.
"""

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer

from lightning_gans.callbacks import Evaluation, StandingStatistics
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.core.module import AdversarialModule
from lightning_gans.errors import InputError, RunError, printable
from lightning_gans.files import as_json, replacing
from lightning_gans.sampling import RefinedEvaluation

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LATEST", "ROWS", "check_places", "keep", "record_of", "refuse_links", "write_scores"]

LATEST = "scores.json"
"""Holds the scores that were computed last."""
ROWS = "validation.csv"
"""Holds a row for each time that a checkpoint of the run was scored."""
ABOUT = ("time", "checkpoint", "updates", "split", "data", "samples")
"""Its first columns; those of the scores have the keys of the log."""


def refuse_links(*paths: Path) -> None:
    """Refuses links where files are to be written: a run folder may be a download.

    Raises:
        InputError: if one of the paths is a link.
    """
    for path in paths:
        if path.is_symlink():
            raise InputError(f"{path} is a link, where nothing is written. Remove it.")


def check_places(folder: Path) -> None:
    """Refuses a run folder that cannot take scores, before they are computed.

    Raises:
        InputError: if there is a link or a folder in the place of a file, if the rows in it are
            damaged, or if it is not writable.
    """
    refuse_links(folder / LATEST, folder / ROWS)
    try:
        _read(folder / ROWS)
        blocked = [name for name in (LATEST, ROWS) if (folder / name).is_dir()]
        if blocked or not os.access(folder, os.W_OK):
            raise PermissionError(f"{blocked[0]} is a folder" if blocked else "it is not writable")
    except OSError as error:
        raise InputError(
            f"{folder} cannot take the scores: {error}. Use lightning-gans evaluate --out FILE to "
            "write them elsewhere."
        ) from error
    except ValueError as error:
        raise InputError(str(error)) from error


def record_of(
    trainer: Trainer,
    model: AdversarialModule,
    data: LightningDataModule,
    checkpoint: str | None,
    truncation: float | None = None,
) -> dict[str, Any]:
    """Returns what is kept of scores that have been computed, as plain data.

    Args:
        trainer: that computed them.
        model: that was scored.
        data: that it was compared with.
        checkpoint: where the model came from, if from one.
        truncation: psi of the samples' styles, if they are truncated.

    Raises:
        InputError: if there are no scores.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    evaluation = next(c for c in callbacks if isinstance(c, Evaluation))
    if not evaluation.scores:
        raise InputError("nothing was scored: the settings leave no samples or no metric.")
    refined = next((c.about() for c in callbacks if isinstance(c, RefinedEvaluation)), None)
    standing = next((c.about() for c in callbacks if isinstance(c, StandingStatistics)), None)
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "checkpoint": checkpoint,
        "updates": model.updates_made,
        "model": type(model).__name__,
        "data": type(data).__name__,
        "split": "test" if trainer.state.fn == "test" else "validation",
        "samples": evaluation.num_samples,
        **({} if refined is None else {"refined": refined}),
        **({} if standing is None else {"standing_statistics": standing}),
        **({} if truncation is None else {"truncation": truncation}),
        "scores": evaluation.scores,
        "floors": evaluation.floors,
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(trainer.strategy.root_device),
    }


def write_scores(record: Mapping[str, Any], path: Path) -> None:
    """Writes a record as JSON, the whole file or nothing."""
    with replacing(path) as file:
        file.write(as_json(record))


def keep(record: Mapping[str, Any], folder: Path) -> None:
    """Adds a row to ``validation.csv`` of a run and writes ``scores.json`` anew.

    Rows that have other columns stay as they are: new columns follow the old ones, and what a row
    does not have is left empty.

    Args:
        record: as `record_of` returns it.
        folder: of the run.

    Raises:
        RunError: if a file cannot be written; it is as it was before then.
    """
    stage = "test" if record["split"] == "test" else "val"
    row = {name: record[name] for name in ABOUT}
    row["checkpoint"] = Path(record["checkpoint"]).name
    row.update((f"{stage}/{name}", value) for name, value in record["scores"].items())
    try:
        with _alone(folder):
            write_scores(record, folder / LATEST)
            _add(row, folder / ROWS)
    except (OSError, ValueError) as error:
        raise RunError(
            f"the scores above could not be kept in {folder}: {error}. Use lightning-gans "
            "evaluate --out FILE to write them elsewhere."
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time add a row, where the file system has locks for folders."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _add(row: Mapping[str, Any], path: Path) -> None:
    """Writes a file of rows anew with one more row; an interruption leaves the old file."""
    columns, *rows = _read(path) or [[]]
    columns = list(dict.fromkeys([*columns, *row]))
    rows.append([row.get(name, "") for name in columns])
    text = StringIO(newline="")
    csv.writer(text).writerows([columns, *(r + [""] * (len(columns) - len(r)) for r in rows)])
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def _read(path: Path) -> list[list[str]]:
    """Returns the lines of a file of rows, that of the columns first; none if there is no file.

    Raises:
        ValueError: if the file is damaged, so that rows cannot be told from each other.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        reason = str(error)
    else:
        columns = lines[0] if lines else []
        if len(columns) == len(set(columns)) and all(len(r) <= len(columns) for r in lines):
            return lines
        reason = "it has values without a column of their own"
    raise ValueError(
        f"{path} is damaged: {printable(reason)}. Repair it, or move it away to begin a new one."
    )
