"""What configs come to, and what their runs take: asked of another process, and remembered."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typing_extensions import Self

from lightning_gans.cli.catalogue import ENDINGS, PACKAGE, configs_folder
from lightning_gans.cli.request import KNOWN, Request
from lightning_gans.comparison.estimates import Cost
from lightning_gans.comparison.planning import Cell
from lightning_gans.errors import InputError, RunError
from lightning_gans.files import replacing

__all__ = ["Trials"]


class Trials:
    """Resolves configs and tries them, in a process that is started if need be.

    What it answers is kept in a file, which saves the seconds in which PyTorch is imported. There
    it counts as long as neither the config nor the sources have changed.

    Args:
        memory: the file.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._process: subprocess.Popen[str] | None = None
        self._seconds = 0.0
        self._changed = False
        self._sources = _fingerprint(_sources())
        self._known: dict[str, dict[str, Any]] = {}
        with suppress(OSError, ValueError, TypeError, KeyError):  # it may be damaged
            kept = json.loads(memory.read_bytes())
            if kept["sources"] == self._sources:
                self._known = dict(kept["cells"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        if self._changed and kind is None:  # what is refused leaves no trace
            with suppress(OSError), replacing(self._memory) as file:  # it saves time only
                kept = {"sources": self._sources, "cells": self._known}
                file.write(json.dumps(kept, indent=1).encode() + b"\n")

    def config(self, cell: Cell, cells: Sequence[Cell]) -> dict[str, Any]:
        """Returns the whole configuration of a cell, as ``config.yaml`` would have it.

        Args:
            cell: the cell.
            cells: all of them; an error names the cell if there are several.

        Raises:
            InputError: if it is refused.
        """
        kept = self._kept(cell)
        if not isinstance(kept.get("config"), dict):
            with _named(cell, cells):
                kept["config"] = self._ask(cell, tries=False)["config"]
            self._changed = True
        config: dict[str, Any] = kept["config"]
        return config

    def cost(self, cell: Cell, cells: Sequence[Cell], jobs: int, *, whole: bool) -> Cost | None:
        """Returns what a run of a cell takes, or None if a trial cannot tell.

        Args:
            cell: the cell.
            cells: all of them; an error names the cell if there are several.
            jobs: runs that will share the cores.
            whole: whether its validation and its pictures count.

        Raises:
            InputError: if the run cannot begin.
        """
        kept = self._kept(cell)
        threads = os.environ.get("OMP_NUM_THREADS")  # which the trial and then the runs will have
        trial = {"machine": socket.gethostname(), "jobs": jobs, "whole": whole, "threads": threads}
        if kept.get("trial") != trial:
            config = self.config(cell, cells)
            with _named(cell, cells):
                found = self._ask(cell, config=config, tries=True, jobs=jobs, whole=whole)
            kept["cost"], kept["trial"] = found.get("cost"), trial
            self._changed = True
            if kept["cost"] is not None:
                kept["cost"]["fixed"] += self._seconds
        return None if kept["cost"] is None else Cost(**kept["cost"])

    def _kept(self, cell: Cell) -> dict[str, Any]:
        return self._known.setdefault(_key(cell.flags), {})

    def _ask(self, cell: Cell, **asked: Any) -> dict[str, Any]:
        if self._process is None:
            begun = time.monotonic()
            self._start()
            self._answer()
            self._seconds = time.monotonic() - begun
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            print(
                json.dumps({"arguments": ["fit", *cell.flags], **asked}),
                file=self._process.stdin,
                flush=True,
            )
        answer = self._answer()
        if "refused" in answer:
            raise InputError(answer["refused"])
        return answer

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lightning_gans.cli.trying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise RunError(f"the process that tries the configs has ended: exit code {code}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def _named(cell: Cell, cells: Sequence[Cell]) -> Iterator[None]:
    """Names the cell that is refused, if there are several."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{cell.label}: {error}" if len(cells) > 1 else str(error)) from error


def _key(flags: Sequence[str]) -> str:
    """Returns a hash of all that a config is resolved from, but for the sources."""
    request = Request(["fit", *flags])
    said = [(key, str(value)) for key, value in request.said]
    texts = [text for _, text in request.words if text.endswith(ENDINGS)]
    files = [Path(text) for text in texts if os.path.isfile(text)]
    own = {name.partition(".")[0] for name in request.named()}.difference(KNOWN)
    found = [find_spec(name) for name in sorted(own)]
    origins = [Path(spec.origin) for spec in found if spec is not None and spec.origin]
    own_files = [path for origin in origins for path in _beside(origin)]
    told = [said, [file.read_text(errors="replace") for file in files], _fingerprint(own_files)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _sources() -> list[Path]:
    """Returns the files of this package, and of the data modules beside it."""
    folders = [PACKAGE, PACKAGE.parent / "datamodules"]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    return [*found, configs_folder() / "default.yaml"]


def _beside(origin: Path) -> list[Path]:
    """Returns the files of a module, all of them if it is a package."""
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]


def _fingerprint(files: Sequence[Path]) -> str:
    """Returns what changes when one of some files does, or a package that reads configs."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files)]
    versions = [version(name) for name in ("torch", "lightning", "jsonargparse")]
    data = os.environ.get("LIGHTNING_GANS_DATA")
    return hashlib.sha256(repr((stats, versions, data)).encode()).hexdigest()
