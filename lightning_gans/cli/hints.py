"""What a name that does not exist was probably meant to be."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module

from lightning_gans.cli import catalogue
from lightning_gans.cli.sources import Setting, exported, find, settings

__all__ = [
    "CHOSEN",
    "HOMES",
    "SECTIONS",
    "likely",
    "nearest",
    "no_class",
    "no_flag",
    "no_setting",
    "section_settings",
    "with_hint",
]

SECTIONS = {
    "trainer": ("lightning.pytorch", "Trainer"),
    "progress": ("lightning_gans.callbacks", "Progress"),
    "evaluation": ("lightning_gans.callbacks", "Evaluation"),
    "pictures": ("lightning_gans.callbacks", "Pictures"),
    "checkpoint": ("lightning_gans.callbacks", "Checkpoint"),
}
"""Module and name of the classes that every run has, by the key of their settings."""
CHOSEN: dict[str, tuple[str, Callable[[], Mapping[str, str]]]] = {
    "model": ("lightning_gans.variants", catalogue.variants),
    "data": ("datamodules", catalogue.data),
}
"""Module and names of the classes that a command line chooses from, by key."""
HOMES = (
    *("lightning_gans.variants", "lightning_gans.networks", "lightning_gans.core.priors"),
    *("lightning_gans.losses", "lightning_gans.regularizers", "lightning_gans.augment"),
    *("lightning_gans.optimizers", "lightning_gans.callbacks", "lightning_gans.loggers"),
    "datamodules",
)
"""Modules that the classes are exported from which a name is enough for."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the name that is most like one, whatever its capitals and underscores, or None."""
    plain = {_plain(one): one for one in known}
    near = get_close_matches(_plain(name), plain, 1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub("[_-]", "", name.lower())


def likely(name: str, known: Iterable[str]) -> str:
    """Returns how a message ends about a name that there is not: the nearest one, or else all."""
    names = [*known]
    near = nearest(name, names)
    return f": did you mean {near}?" if near else f"; there are {', '.join(names) or 'none'}."


def no_class(section: str, name: str) -> str:
    """Returns the message about a model or data that there is not."""
    return f"{section}: there is no class {name}{likely(name, CHOSEN[section][1]())}"


def section_settings(section: str, names: Iterable[str] = ()) -> dict[str, Setting]:
    """Returns the settings of a section of a configuration.

    Args:
        section: one of `SECTIONS`, "model" or "data".
        names: classes of the model or data, any of which may have the setting; all if none are
            given.
    """
    if section in SECTIONS:
        module, name = SECTIONS[section]
        classes = [find(module, name)]
    else:
        module, known = CHOSEN[section]
        classes = [find(module, name) for name in [*names] or known()]
    found = [settings(cls) for cls in classes if cls is not None]
    return {name: setting for part in found for name, setting in part.items()}


def no_setting(section: str, owner: str | None, name: str, known: Mapping[str, Setting]) -> str:
    """Returns the message about a setting that there is not.

    Args:
        section: "model" or "data".
        owner: the class, if it is known.
        name: of the setting.
        known: settings that there are.
    """
    deeper = _deeper(section, name, known)
    end = f". Use {' and '.join(deeper)}." if deeper else likely(name, known)
    what = f"{owner} has no setting" if owner else "there is no setting"
    return f"{section}: {what} {name}{end}"


def _deeper(section: str, name: str, known: Mapping[str, Setting]) -> list[str]:
    """Returns the flags of settings of this name that parts of a class have."""
    parts = ((part, _part_settings(setting)) for part, setting in known.items())
    return [f"--{section}.{part}.{name}" for part, found in parts if name in found]


def _part_settings(setting: Setting) -> Mapping[str, Setting]:
    """Returns the settings of what a setting makes by default."""
    if setting.kind == "OptimizerCallable":  # the settings that all optimizers have
        part = find("lightning_gans.optimizers", "GANAdam")
    else:
        words = re.findall(r"\w+", f"{setting.default} {setting.kind}")
        classes = (find(setting.owner.module, word) for word in words)
        part = next((cls for cls in classes if cls is not None), None)
    return {} if part is None else settings(part)


def no_flag(flag: str, models: Iterable[str] = (), data: Iterable[str] = ()) -> str:
    """Returns the message about a flag that there is not.

    Args:
        flag: without the dashes in front.
        models: classes of the model, of which one may have it as a setting.
        data: classes of the data, likewise.
    """
    message = f"there is no flag --{flag}"
    chosen = {"model": models, "data": data}
    known = {
        section: section_settings(section, chosen.get(section, ()))
        for section in (*CHOSEN, *SECTIONS)
    }
    section, _, name = flag.partition(".")
    if section in known and name:
        near = nearest(name, known[section])
        return (
            f"{message}: did you mean --{section}.{near}?" if near else f"{message}; see --help."
        )
    name = flag.rpartition(".")[2]
    exact = [f"--{section}.{name}" for section, found in known.items() if name in found]
    if exact:
        return f"{message}. Use {' or '.join(exact)}."
    deeper = _deeper("model", name, known["model"])
    if deeper:
        return f"{message}. Use {' and '.join(deeper)}."
    flags = {inner: f"{key}.{inner}" for key, found in known.items() for inner in found}
    near = nearest(name, [*known, *flags])
    return (
        f"{message}: did you mean --{flags.get(near, near)}?"
        if near
        else f"{message}; see --help."
    )


def with_hint(message: str) -> str:
    """Adds what may have been meant to a message of the parser about a name that there is not."""
    if found := re.search(r'"(model|data)": there is no class (\w+)$', message):
        return no_class(found[1], found[2])
    if found := re.search(r"there is no class (\w+)$", message):
        return message + _hint(found[1], (name for home in HOMES for name in exported(home)))
    if found := re.search(r"class_path '([\w.]+)': Option '(\w+)' is not accepted$", message):
        return _not_accepted(found[1], found[2])
    if found := re.search(r"unrecognized arguments: --([\w.]+)", message):
        return no_flag(found[1])
    return message


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f": did you mean {near}?" if near not in (None, name) else ""


def _not_accepted(owner: str, name: str) -> str:
    package, _, plain = owner.rpartition(".")
    for section, (module, known) in CHOSEN.items():
        if package in ("lightning_gans", module) and plain in known():
            return no_setting(section, plain, name, section_settings(section, [plain]))
    shown = plain if package.startswith("lightning_gans") else owner
    return f"{shown} has no setting {name}{_hint(name, _arguments(owner)) or '.'}"


def _arguments(owner: str) -> Iterable[str]:
    """Returns the names of what a class, perhaps of the user's own, is made from."""
    module, _, name = owner.rpartition(".")
    found = getattr(import_module(module), name)
    bases = found.__mro__ if isinstance(found, type) else ()
    made = (vars(base)["__init__"] for base in bases if "__init__" in vars(base))
    return {name for init in made for name in inspect.signature(init).parameters}
