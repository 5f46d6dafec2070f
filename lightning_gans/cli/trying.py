"""Answers `lightning_gans.cli.trials`: resolves configs, and trains a few rounds of each.

It is a process of its own, so that PyTorch and a GPU are given back before the runs begin.
"""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # as in lightning_gans/__main__.py

import gc
import json
import os
import re
import tempfile
import time
from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from lightning_gans.cli.parser import mended, reason
from lightning_gans.cli.threads import available_cores, threads_of_environment
from lightning_gans.cli.training import GANCLI
from lightning_gans.comparison.estimates import Cost
from lightning_gans.errors import InputError
from lightning_gans.trainer import silence_notices

__all__ = ["cost_of", "resolved"]

ROUNDS = 10
"""Generator updates of a trial; the first one, which takes longer, does not count."""


class _Resolved(Exception):  # noqa: N818  nothing is wrong
    """Ends a command line that is not to be run.

    Args:
        config: its whole configuration.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config


class _Resolving(GANCLI):
    """Reads a command line."""

    @override
    def instantiate_classes(self) -> None:
        raise _Resolved(self.config_dump)


class _Trial(GANCLI):
    """Runs a command line, and notes when what happens.

    Args:
        arguments: the command line.
        jobs: runs that will share the cores.
    """

    def __init__(self, arguments: list[str], jobs: int) -> None:
        self.stopwatch = _Stopwatch()
        self._jobs = jobs
        super().__init__(arguments)

    @override
    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        if self.setting("threads") is None and threads_of_environment() is None:
            share = max(1, available_cores() // self._jobs)
            torch.set_num_threads(min(torch.get_num_threads(), share))
        self.trainer.callbacks.append(self.stopwatch)  # type: ignore[attr-defined]


class _Stopwatch(Callback):
    """Notes when training and validation begin and end."""

    def __init__(self) -> None:
        self.begun = 0.0
        self.rounds: list[float] = []
        self.validation: list[float] = []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begun = _now(trainer)

    @override
    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.rounds.append(_now(trainer))

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validation.append(_now(trainer))

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validation.append(_now(trainer))


def _now(trainer: Trainer) -> float:
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _told() -> Iterator[None]:
    """Blames the command line for what the parser refuses."""
    try:
        with mended():
            yield
    except ArgumentError as error:
        raise InputError(reason(error)) from error


def resolved(arguments: list[str]) -> dict[str, Any]:
    """Returns the whole configuration of a command line, as ``config.yaml`` would have it.

    Args:
        arguments: ``fit`` and its flags.

    Raises:
        InputError: if the command line is refused.
    """
    with _told():
        try:
            _Resolving(arguments)
        except _Resolved as end:
            return end.config
    raise AssertionError(arguments)


def cost_of(arguments: list[str], config: dict[str, Any], jobs: int, *, whole: bool) -> Cost:
    """Trains a few rounds, and returns what they have taken.

    The first validation scores real data, too, which is done once in a run. So there is a second
    one, whose time is that of all others; a run of fewer rounds than a trial has only the first.

    Args:
        arguments: ``fit`` and its flags.
        config: the whole configuration.
        jobs: runs that will share the cores.
        whole: whether there is a validation, too, and pictures are drawn.

    Raises:
        InputError: if the run cannot begin.
    """
    limit = config["trainer"]["max_steps"]
    rounds = min(ROUNDS, limit) if limit > 0 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, _told():
        flags = {
            "trainer.max_steps": rounds,
            "trainer.val_check_interval": rounds // 2 if rounds == ROUNDS else rounds,
            "trainer.log_every_n_steps": rounds,
            "trainer.enable_progress_bar": "false",
            "trainer.logger": "false",
            "trainer.devices": 1,  # for more, Lightning would start this program again
            "trainer.num_nodes": 1,
            "trainer.default_root_dir": folder,
            "name": "trial",
            **({} if whole else {"trainer.limit_val_batches": 0, "pictures.enabled": "false"}),
        }
        begun = time.perf_counter()
        command = [*arguments, *(f"--{key}={value}" for key, value in flags.items())]
        trial = _Trial(command, jobs)
        took = time.perf_counter() - begun
        watch = trial.stopwatch
        stops = watch.validation
        validations = [end - begin for begin, end in zip(stops[::2], stops[1::2], strict=True)]
        validation = validations[-1] if validations else 0.0
        training = watch.rounds[-1] - watch.begun - sum(validations[:-1])
        ends = [watch.begun, *watch.rounds]
        durations = [after - before for before, after in pairwise(ends)]
        disk, picture = _sizes(Path(folder))
        return Cost(
            fixed=took - training - len(validations) * validation,
            update=median(durations[1:] or durations),
            validation=validation,
            threads=torch.get_num_threads(),
            disk=disk,
            picture=picture,
        )


def _sizes(folder: Path) -> tuple[int, int]:
    """Returns the bytes of a run's files, and those of what is drawn again and again."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    numbered = [path for path in sizes if re.search(r"\d{7}\.png$", path.name)]
    updates = {path.stem[-7:] for path in numbered}
    drawn = sum(sizes[path] for path in numbered)
    return sum(sizes.values()) - drawn, drawn // max(1, len(updates))


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Does what a request asks for."""
    try:
        config = asked.get("config") or resolved(asked["arguments"])
        if not asked["tries"]:
            return {"config": config}
        cost = cost_of(asked["arguments"], config, asked["jobs"], whole=asked["whole"])
        return {"cost": asdict(cost)}
    except InputError as error:
        return {"refused": str(error)}
    except (Exception, SystemExit) as error:  # the run itself will tell, and is kept with that
        return {"failed": f"{type(error).__name__}: {error}"}
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def main() -> None:
    """Answers requests until there are no more; what is printed meanwhile goes nowhere."""
    with os.fdopen(os.dup(1), "w") as answers:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        silence_notices()
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
