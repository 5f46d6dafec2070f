"""Which checkpoint is meant by a path, or by the name of a run."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_gans.errors import InputError
from lightning_gans.spelling import likely, nearest

__all__ = [
    "RUNS",
    "checkpoint_in",
    "explained",
    "find_checkpoint",
    "folder_of",
    "newest_first",
    "run_in",
    "run_of",
    "unfinished",
]

RUNS = Path("runs")
"""Folder of all runs in the working directory, unless a run is given another."""


@contextmanager
def explained() -> Iterator[None]:
    """Blames the requested checkpoint where it is not found or cannot be opened.

    Raises:
        InputError: in the place of an OSError or a ValueError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(f"ckpt_path: {error}") from error


def find_checkpoint(root: Path, name: str, which: str) -> Path:
    """Returns the newest run's checkpoint of a name.

    Args:
        root: folder of all runs.
        name: of the run.
        which: "last" or "best".

    Raises:
        FileNotFoundError: if no run of this name has one.
    """
    runs = newest_first(root / name)
    if not runs:
        raise FileNotFoundError(f"There is no run {name} in {root}{likely(name, _names(root))}")
    for run in runs:
        if (run / "checkpoints" / f"{which}.ckpt").is_file():
            return run / "checkpoints" / f"{which}.ckpt"
    raise FileNotFoundError(f"No run in {root / name} has a checkpoint {which}.ckpt.")


def unfinished(root: Path, name: str) -> Path | None:
    """Returns the last checkpoint of a name's newest run, or None if that has written none.

    A run that ended before it began to train, which has no ``config.yaml``, does not count.

    Args:
        root: folder of all runs.
        name: of the run.
    """
    begun = (run for run in newest_first(root / name) if (run / "config.yaml").is_file())
    newest = next(begun, None)
    path = None if newest is None else newest / "checkpoints" / "last.ckpt"
    return path if path is not None and path.is_file() else None


def checkpoint_in(path: Path, first: str = "best") -> Path:
    """Returns the checkpoint that a path or the name of a run stands for.

    Args:
        path: a file, the folder of a run or of all runs of a name, of which the newest counts, or
            a name in the folder `RUNS`.
        first: which checkpoint of a run is taken, "best" or "last"; the other one, if there is no
            such.

    Raises:
        FileNotFoundError: if there is none.
    """
    if path.is_file():
        return path
    for run in _runs_at(path):
        for which in (first, "last" if first == "best" else "best"):
            if (run / "checkpoints" / f"{which}.ckpt").is_file():
                return run / "checkpoints" / f"{which}.ckpt"
    others = [found for found in (path / "checkpoints").glob("*.ckpt") if found.is_file()]
    if others:
        raise FileNotFoundError(
            f"{path} has no best.ckpt and no last.ckpt, which the callback Checkpoint writes. "
            f"Use a file, such as {max(others, key=os.path.getmtime)}."
        )
    what = "folder of a run with a checkpoint" if path.is_dir() else "checkpoint and no run folder"
    raise _nothing(what, path)


def run_in(path: Path) -> Path:
    """Returns the run folder that a path or the name of a run stands for.

    Args:
        path: as for `checkpoint_in`; a file has to be a checkpoint in the folder of a run.

    Raises:
        FileNotFoundError: if there is none.
    """
    inside = folder_of(path) if path.is_file() else None
    for run in (inside,) if inside is not None else _runs_at(path):
        if (run / "config.yaml").is_file():  # perhaps a copy of another name
            return run
    raise _nothing("run folder", path)


def _runs_at(path: Path) -> Iterator[Path]:
    """Yields the folders that may be those of the run that a path or a name stands for."""
    for place in (path, RUNS / path) if str(path) == path.name else (path,):
        yield from (place, *newest_first(place))


def _nothing(what: str, path: Path) -> FileNotFoundError:
    """Returns the error about what is not there, with what has a similar name."""
    near = nearest(path.name, _names(RUNS if str(path) == path.name else path.parent))
    hint = f": did you mean {path.with_name(near)}?" if near not in (None, path.name) else "."
    return FileNotFoundError(f"There is no {what} at {path}{hint}")


def _names(root: Path) -> list[str]:
    """Returns the names of the runs in a folder."""
    return sorted({path.parent.name for path in root.glob("*/version_*")})


def newest_first(folder: Path) -> list[Path]:
    """Returns the runs of a name.

    Args:
        folder: of the name.
    """
    found = [
        (int(match[1]), path)
        for path in folder.glob("version_*")
        if (match := re.fullmatch(r"version_(\d+)", path.name))
    ]
    return [path for _, path in sorted(found, reverse=True)]


def run_of(checkpoint: Path) -> Path | None:
    """Returns the run folder whose last checkpoint it is, so that the run can resume, or None."""
    folder = checkpoint.resolve().parent.parent
    is_last = checkpoint.name == "last.ckpt" and checkpoint.parent.name == "checkpoints"
    return folder if is_last and _is_run(folder) else None


def folder_of(checkpoint: Path) -> Path | None:
    """Returns the run folder in whose ``checkpoints`` a checkpoint lies, or None."""
    folder = Path(os.path.normpath(checkpoint.parent / ".."))
    is_inside = checkpoint.absolute().parent.name == "checkpoints"
    return folder if is_inside and _is_run(folder.resolve()) else None


def _is_run(folder: Path) -> bool:
    named = re.fullmatch(r"version_\d+", folder.name) is not None
    return named and (folder / "config.yaml").is_file()
