"""What the folder of a run tells, which may be anybody's: a download, damaged, or hostile."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import yaml

from lightning_gans.described import is_plain
from lightning_gans.errors import one_line, printable
from lightning_gans.files import is_overgrown, read_rows
from lightning_gans.holders import Watch

__all__ = ["FolderError", "Run", "Scored", "Status", "read_run"]

Status = Literal["finished", "running", "stopped", "failed"]

LARGEST = 10_000_000
"""Bytes of a config or a record at most; those of this package have thousands."""
LAST_LINES, LOG_END = 40, 100_000
"""Lines of a log that are shown, and the bytes at its end that they are looked for in."""
TRAINED = r"-[0-9a-f]{12}-seed_\d+$"
"""Ends the name of a run that `compare` has trained: the identity of its cell, and its seed."""
CONFIG_KINDS = {"trainer": dict, "evaluation": dict, "checkpoint": dict}
RECORD_KINDS = {
    **{
        "seed": int,
        "updates": int,
        "images_seen": int,
        "samples": int,
        "wall_time_s": float | int,
    },
    **{"commit": str, "command": str, "data": str},
    **{"floors": dict, "versions": dict, "machine": dict, "parent": dict},
}
"""What is used of a config and of a record, if it is there."""
STAGES = {"validation": "val/", "test": "test/"}
"""Splits, and how the keys of their scores begin."""

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FolderError(ValueError):
    """A folder is not that of a run, or is damaged; the message names the file."""


@dataclass(frozen=True)
class Scored:
    """The scores of a run on one split.

    Attributes:
        scores: by name; some may not be finite.
        updates: generator updates after which they were computed.
        samples: generated samples that they were computed of, if that is known.
        floors: what real samples score, by name, as far as it is known.
    """

    scores: dict[str, float]
    updates: int
    samples: int | None
    floors: dict[str, float]


@dataclass(frozen=True, eq=False)
class Run:
    """A run as its folder has it.

    Attributes:
        folder: of the run.
        name: of its config, or the one that it was given.
        config: the whole configuration.
        record: what ``run.json`` holds.
        status: how far it is. One that was killed, or was interrupted, is stopped.
        seed: of the run.
        updates: generator updates made.
        message: why it is not finished, in one line; empty if it is.
        parent: the run that it was forked from, and where, if it was.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    record: dict[str, Any]
    status: Status
    seed: int
    updates: int
    message: str
    parent: dict[str, Any] | None

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv`` in their order: the values of each that are numbers.

        Raises:
            FolderError: if the file is damaged.
        """
        path = _inside(self.folder, "metrics.csv")
        try:
            return [_numbers(row) for row in read_rows(path)]
        except ValueError as error:
            raise FolderError(str(error)) from error

    @cached_property
    def digest(self) -> str:
        """A hash of everything that tables and curves are drawn from."""
        sha = hashlib.sha256(self.status.encode())
        for name in ("config.yaml", "run.json", "metrics.csv", "validation.csv", "scores.json"):
            path = _inside(self.folder, name)
            sha.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
        return sha.hexdigest()

    def scored(self, split: str) -> Scored | None:
        """Returns the last scores, or None if there are none.

        Args:
            split: "validation", of the training itself, or "test", of a checkpoint of the run.

        Raises:
            FolderError: if a file is damaged.
        """
        prefix, rows, about = STAGES[split], self.rows, self.record
        if split == "test":
            rows, about = self._tested()
        for row in reversed(rows):
            scores = {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)}
            if scores:
                samples = row.get("samples", about.get("samples"))
                return Scored(
                    scores,
                    int(row.get("step", row.get("updates", 0))),
                    None if samples is None else int(samples),
                    _finite(about.get("floors") or {}),
                )
        return None

    def _tested(self) -> tuple[list[dict[str, float]], dict[str, Any]]:
        """Returns the rows of tests, and what is kept of the last one."""
        path = _inside(self.folder, "validation.csv")
        try:
            text = path.read_bytes().decode() if path.is_file() else ""
            rows = list(csv.DictReader(StringIO(text, newline="")))
        except (UnicodeDecodeError, csv.Error) as error:
            raise _damage(path, printable(str(error))) from error
        last = _inside(self.folder, "scores.json").is_file()
        about = _read(self.folder, "scores.json", json.loads, RECORD_KINDS) if last else {}
        tested = [_numbers(row) for row in rows if row.get("split") == "test"]
        return tested, about if about.get("split") == "test" else {}

    def last_picture(self) -> Path | None:
        """Returns the last picture of samples, or None if there is none."""
        found = [
            path
            for path in sorted((self.folder / "samples").glob("*.png"))
            if re.fullmatch(r"\d+\.png", path.name)
        ]
        return _inside(self.folder, f"samples/{found[-1].name}") if found else None

    def checkpoint(self) -> Path | None:
        """Returns the last checkpoint, or None if there is none."""
        path = _inside(self.folder, "checkpoints/last.ckpt")
        return path if path.is_file() else None

    def last_words(self) -> list[str]:
        """Returns the last lines of the log that ``compare`` keeps, without control characters."""
        path = self.folder.absolute().parent / "log.txt"
        if not re.search(TRAINED, path.parent.name) or not path.is_file() or path.is_symlink():
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_END))
            text = file.read().decode(errors="replace")
        # Of a line of progress, which is written over itself, the last state.
        lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
        return [printable(line) for line in lines if line][-LAST_LINES:]


def read_run(folder: Path) -> Run:
    """Returns the run of a folder; its rows are not read yet.

    Args:
        folder: ``runs/<name>/version_<n>``, or a copy of one.

    Raises:
        FolderError: if it is not the folder of a run, or is damaged.
    """
    for name in ("config.yaml", "run.json"):
        if not _inside(folder, name).is_file():
            raise FolderError(
                f"{folder} is not the folder of a run: it has no {name}. Use folders such as "
                "runs/gan_ring/version_0."
            )
    config = _read(folder, "config.yaml", _yaml, CONFIG_KINDS)
    record = _read(folder, "run.json", json.loads, RECORD_KINDS)
    status, message = _status(record, Watch(folder))
    seed = record.get("seed", config.get("seed_everything"))
    if type(seed) is not int:
        raise _damage(folder / "run.json", "it has no seed")
    return Run(
        folder=folder,
        name=_name(config, folder),
        config=config,
        record=record,
        status=status,
        seed=seed,
        updates=record.get("updates") or 0,
        message=message,
        parent=record.get("parent"),
    )


def _status(record: Mapping[str, Any], watch: Watch) -> tuple[Status, str]:
    """Returns the status that a record tells, and why the run is not finished."""
    told = record.get("status")
    if told == "finished":
        return "finished", ""
    if told == "running":
        return ("running", "") if watch.holder() else ("stopped", "killed, or its machine stopped")
    reason = one_line(str(told)).removeprefix("stopped: ")
    # An error is told by its class; a signal, by its own name.
    interrupted = re.match(r"SIG[A-Z0-9]+$|KeyboardInterrupt|RunError", reason)
    return ("stopped" if interrupted else "failed"), reason


def _name(config: Mapping[str, Any], folder: Path) -> str:
    """Returns the name of a run; of one that `compare` has trained, that of its config."""
    name = config.get("name")
    name = name if isinstance(name, str) and name else folder.absolute().parent.name
    return re.sub(TRAINED, "", name)


def _inside(folder: Path, name: str) -> Path:
    """Returns the path of a file in a folder.

    Raises:
        FolderError: if it is a link that leads out of the folder, to a file of the reader's own.
    """
    path = folder / name
    if path.exists() and not path.resolve().is_relative_to(folder.resolve()):
        raise FolderError(f"{path} is a link that leads out of the run. Remove it.")
    return path


def _read(
    folder: Path, name: str, parse: Callable[[bytes], Any], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the mapping of plain data that a file holds.

    Args:
        folder: of a run.
        name: of the file.
        parse: reads it.
        kinds: of values, which may lack.

    Raises:
        FolderError: if it holds anything else.
    """
    path = _inside(folder, name)
    if path.stat().st_size > LARGEST:
        raise _damage(path, f"it has more than {LARGEST:,} bytes")
    try:
        content = parse(path.read_bytes())
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise _damage(path, one_line(str(error))) from error
    if not isinstance(content, dict) or is_overgrown(content) or not is_plain(content):
        raise _damage(path, "it is no mapping of plain data")
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind | None):
            raise _damage(path, f"{key} cannot be {one_line(repr(content[key]))[:100]}")
    return content


def _yaml(text: bytes) -> Any:
    return yaml.load(text, Loader)


def _damage(path: Path, reason: str) -> FolderError:
    return FolderError(f"{path} is damaged: {reason}.")


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: value for name, value in values.items() if type(value) in (int, float)}
    return {name: float(value) for name, value in numbers.items() if isfinite(value)}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return dict(_pairs(row))


def _pairs(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, text in row.items():
        if text:
            with suppress(TypeError, ValueError):  # words of a logger of the user's own
                yield name, float(text)
