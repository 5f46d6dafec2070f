"""Mistakes that a command line shows before PyTorch is imported, which takes seconds.

What the parser may accept is left to it: all names, once the user names modules of their own.
"""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lightning_gans.cli import catalogue
from lightning_gans.cli.finding import checkpoint_in, explained
from lightning_gans.cli.hints import (
    CHOSEN,
    SECTIONS,
    nearest,
    no_class,
    no_flag,
    no_setting,
    section_settings,
)
from lightning_gans.cli.request import Request, class_name
from lightning_gans.errors import InputError

__all__ = ["FLAGS", "check", "check_checkpoints"]

FLAGS = (
    *("config", "help", "import", "print_config", "seed_everything", "name", "threads"),
    *("model", "data"),
    *("ckpt_path", "weights_only", "verbose", "return_predictions"),
    *SECTIONS,
)
"""Beginnings of all flags of the commands that train and score."""
KNOWN = ("datamodules", "lightning", "lightning_gans", "torch", "torchmetrics", "torchvision")
"""Packages that define no models and data beyond those that are listed."""
BASES = (
    ("lightning_gans.core.module", "AdversarialModule"),
    ("lightning.pytorch", "LightningDataModule"),
)
"""Module and name of the bases of all models and data."""
BESIDE_SETTINGS = ("help", "dict_kwargs")
"""What may follow the key of a class beside its settings."""


def check(arguments: Sequence[str]) -> None:
    """Refuses a command that trains or scores if a name in it is misspelt.

    Args:
        arguments: the command and what follows it.

    Raises:
        InputError: if there is no such configuration, checkpoint, run, class, setting or flag.
    """
    request = Request([*arguments])
    word = next(iter(request.flags), "-")  # of those after a flag it may be the value
    if not word.startswith("-"):
        raise InputError(f"{request.command} reads flags only, not {word}{_flag_for(word)}")
    is_ours = not (_names_own(request) or _has_own())
    if is_ours:
        _check_classes(request)
        _check_flags(request)
    with explained():
        checkpoint = request.checkpoint()
    if is_ours:
        _check_settings(request, checkpoint)


def check_checkpoints(paths: Sequence[Path]) -> None:
    """Refuses paths that lead to no checkpoint.

    Raises:
        InputError: if one does not.
    """
    for path in paths:
        with explained():
            checkpoint_in(path)


def _flag_for(word: str) -> str:
    """Returns how a message ends about a word that lacks its flag."""
    flags = {name: f"--{section} {name}" for section in CHOSEN for name in CHOSEN[section][1]()}
    flags |= {name: f"--config {name}" for name in catalogue.configs()}
    if word in flags or Path(word).suffix in catalogue.ENDINGS:
        return f". Use {flags.get(word, f'--config {word}')}."
    if os.path.exists(word):  # unlike a path's own method, of any text
        return f". Use --ckpt_path {word}."
    near = nearest(word, flags)
    return f": did you mean {flags[near]}?" if near else "."


def _names_own(request: Request) -> bool:
    """Tells whether the user names modules that may define classes of their own."""
    roots = {name.partition(".")[0] for name in request.named()}.difference(KNOWN)
    return bool(request.modules) or any(map(_is_there, roots))


def _has_own() -> bool:
    """Tells whether a program that calls the command line has defined classes of its own."""
    waiting = [getattr(sys.modules.get(module), name, None) for module, name in BASES]
    while waiting:
        cls = waiting.pop()
        if cls is not None:
            if cls.__module__.partition(".")[0] not in KNOWN:
                return True
            waiting += cls.__subclasses__()
    return False


def _is_there(package: str) -> bool:
    return package in sys.modules or find_spec(package) is not None


def _classes(request: Request, section: str) -> list[str]:
    return [class_name(text) for key, text in request.words if key == section]


def _check_classes(request: Request) -> None:
    for key, text in request.said:
        section = key.removesuffix(".help")
        is_name = isinstance(text, str) and text.isidentifier()
        if section in CHOSEN and is_name and text not in CHOSEN[section][1]():
            raise InputError(no_class(section, text))


def _check_flags(request: Request) -> None:
    for flag in request.flags:
        if not flag.startswith("--") or flag == "--":
            continue
        name = flag.removeprefix("--").partition("=")[0].removesuffix("+")
        section, _, setting = name.partition(".")
        known = section_settings(section) if section in SECTIONS else None
        if section not in FLAGS or (
            setting and known is not None and setting.split(".")[0].removesuffix("+") not in known
        ):
            raise InputError(no_flag(name, _classes(request, "model"), _classes(request, "data")))


def _check_settings(request: Request, checkpoint: Path | None) -> None:
    """Refuses settings of the model and the data that none of the classes has.

    A class that takes the place of another need not have all settings that were chosen for that.
    """
    for section in CHOSEN:
        names = [] if checkpoint else _classes(request, section)  # which may name another
        if not set(names) <= set(CHOSEN[section][1]()):
            continue
        known = section_settings(section, names)
        for key, _ in request.said:
            name = key.replace("+", "").removeprefix(f"{section}.").split(".")[0]
            if key.startswith(f"{section}.") and name not in (*known, *BESIDE_SETTINGS):
                owner = names[0] if len(names) == 1 else None
                raise InputError(no_setting(section, owner, name, known))
