"""What a name that does not exist was probably meant to be."""

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from lightning.pytorch import Trainer

from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures, Progress
from lightning_gans.cli import catalogue

__all__ = ["SECTIONS", "with_hint"]

SECTIONS = {
    "progress": Progress,
    "evaluation": Evaluation,
    "pictures": Pictures,
    "checkpoint": Checkpoint,
}
"""Callbacks of every run, by the key of their settings."""
HOMES = (
    *("variants", "networks", "core.priors", "losses", "regularizers", "augment"),
    *("optimizers", "callbacks", "loggers"),
)


def with_hint(message: str) -> str:
    """Adds what may have been meant to a message about a name that there is not."""
    for pattern, known in (
        (r'"(?P<owner>model|data)": there is no class (?P<name>\w+)$', _choices),
        (r"there is no class (?P<name>\w+)$", _classes),
        (r"class_path '(?P<owner>[\w.]+)': Option '(?P<name>\w+)' is not accepted$", _arguments),
        (r"unrecognized arguments: --(?P<name>[\w.]+)", _flags),
    ):
        found = re.search(pattern, message)
        if found is not None:
            names = list(known(found.groupdict().get("owner", "")))
            near = get_close_matches(found["name"], names, 1)
            if near and near[0] != found["name"]:
                return f"{message}: did you mean {near[0]}?"
            return f"{message}; there are {', '.join(names)}." if known is _choices else message
    return message


def _choices(section: str) -> Iterable[str]:
    return catalogue.variants() if section == "model" else catalogue.data()


def _classes(_: str) -> Iterable[str]:
    modules = [import_module(f"lightning_gans.{home}") for home in HOMES]
    return [name for module in (*modules, import_module("datamodules")) for name in module.__all__]


def _arguments(owner: str) -> Iterable[str]:
    module, _, name = owner.rpartition(".")
    found = getattr(import_module(module), name)
    return _parameters(found) if isinstance(found, type) else ()


def _flags(_: str) -> Iterable[str]:
    sections = {"trainer": Trainer, **SECTIONS}
    return [f"{key}.{name}" for key, cls in sections.items() for name in _parameters(cls)]


def _parameters(cls: type) -> Iterable[str]:
    """Returns the names of what a class and its bases are made from."""
    made = (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    return {name for init in made for name in inspect.signature(init).parameters}
