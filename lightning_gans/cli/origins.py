"""What a command line begins from: a checkpoint, with the settings of its run."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningDataModule

from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures, Progress
from lightning_gans.cli.processes import is_main
from lightning_gans.cli.request import Request, check_name, is_whole
from lightning_gans.cli.runs import CONFIG_KEY, conclude
from lightning_gans.cli.screen import say
from lightning_gans.core.checkpointing import read_checkpoint
from lightning_gans.core.module import STATEFUL, AdversarialModule
from lightning_gans.core.trust import Trust
from lightning_gans.errors import InputError, printable
from lightning_gans.finding import explained, run_of
from lightning_gans.trainer import Trainer

__all__ = ["SECTIONS", "Origin", "end_with_nothing_left", "read_origin"]

SECTIONS = {
    "progress": Progress,
    "evaluation": Evaluation,
    "pictures": Pictures,
    "checkpoint": Checkpoint,
}
"""Callbacks of every run, by the key of their settings."""


@dataclass(frozen=True)
class Origin:
    """What a command line begins from.

    Attributes:
        path: of the checkpoint, if there is one.
        settings: of its run, the parts that matter to the command, as the file has them.
        checked: those that the command takes over.
        updates: that its run has made.
        networks: names of the networks whose weights it holds.
    """

    path: Path | None = None
    settings: dict[str, Any] | None = None
    checked: dict[str, Any] = field(default_factory=dict)
    updates: int = 0
    networks: frozenset[str] = frozenset()


def read_origin(request: Request) -> Origin:
    """Opens the requested checkpoint, before anything else is done.

    Raises:
        InputError: if it cannot be opened, or its settings name what they may not.
    """
    with explained():
        path = request.checkpoint()
        if path is None:
            return Origin()
        state = read_checkpoint(path)
    saved, updates = state.get(CONFIG_KEY), state.get("global_step", 0)
    if not (saved is None or is_whole(saved)) or not isinstance(updates, int):
        raise InputError(f"ckpt_path: the settings in {path} are damaged.")
    said = dict(request.said)
    missing = [f"--{section}" for section in ("model", "data") if said.get(section) is None]
    if saved is None and missing:
        raise InputError(
            f"ckpt_path: {path} was written by a program in Python, without the settings that a "
            f"command needs. Use {' and '.join(missing)} with the class of its run, and with its "
            "settings."
        )
    settings = None if saved is None else request.relevant(saved)
    taken = {} if settings is None or request.tells_all() else settings
    try:
        trust = Trust(request.modules, named=request.words)
        checked = _checked_settings(request.without_places(taken, path), trust)
    except ValueError as error:
        raise InputError(f"ckpt_path: {path}: {error}") from error
    weights = state.get("state_dict")
    named = weights if isinstance(weights, dict) else {}  # a damaged file is told of later
    networks = frozenset(str(name).partition(".")[0] for name in named)
    return Origin(path, settings, checked, updates, networks.difference(STATEFUL))


def _checked_settings(settings: dict[str, Any], trust: Trust) -> dict[str, Any]:
    """Returns the settings in a checkpoint, checked one by one, or refuses them.

    Args:
        settings: all or some sections of a configuration, as the file has them.
        trust: decides which classes they may name.

    Raises:
        InputError: if they name a run that has no name.
        ValueError: as `Trust.check`, or if there is no such section.
    """
    sections = {"trainer": Trainer, **SECTIONS}
    hints = {
        "model": AdversarialModule,
        "data": LightningDataModule,
        "name": str | None,
        "threads": int | None,
        "seed_everything": bool | int | None,
    }
    checked = {}
    for key, value in settings.items():
        if key in sections:
            checked[key] = trust.check_arguments(value, sections[key], key)
        elif key in hints:
            checked[key] = trust.check(value, hints[key], key)
        else:
            raise ValueError(f"the file has an unknown section {printable(str(key))!r}.")
    check_name(checked.get("name"))
    return checked


def end_with_nothing_left(origin: Origin, limit: int, *, forks: bool) -> NoReturn:
    """Ends a run that has reached its end already, before it touches anything else.

    Raises:
        InputError: if it is to be a new run, which would train nothing.
    """
    done = origin.updates
    if forks:
        raise InputError(
            f"trainer.max_steps: the checkpoint has {done:,} generator updates already, got "
            f"{limit:,}. Use --trainer.max_steps {2 * done}, or any number above {done:,}."
        )
    run = None if origin.path is None else run_of(origin.path)
    if run is not None and is_main() and done == limit:  # else it may have further to go
        conclude(run)
    say(
        f"nothing left to train: the checkpoint has {done:,} generator updates, and "
        f"trainer.max_steps is {limit:,}"
    )
    sys.exit(0)
