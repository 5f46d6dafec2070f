"""Mistakes that a command line shows before PyTorch is imported, which takes seconds.

What the parser may accept is left to it: all names, once the user names modules of their own.
"""

import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from lightning_gans.cli import catalogue
from lightning_gans.cli.choices import Choices
from lightning_gans.cli.hints import (
    BASES,
    CHOSEN,
    EXAMPLES,
    SECTIONS,
    no_class,
    no_flag,
    no_part,
    no_section,
    no_setting,
    not_chosen,
    part_word,
    section_settings,
)
from lightning_gans.cli.request import (
    KNOWN,
    Request,
    check_name,
    check_trainer,
    class_name,
    is_help_of_class,
)
from lightning_gans.cli.sources import settings, takes_any
from lightning_gans.cli.values import must_be, shown
from lightning_gans.errors import InputError
from lightning_gans.finding import checkpoint_in, explained
from lightning_gans.spelling import nearest

__all__ = ["FLAGS", "check", "check_checkpoints"]

FLAGS = (
    *("config", "help", "import", "print_config", "seed_everything", "name", "threads"),
    *("model", "data"),
    *("ckpt_path", "weights_only", "verbose", "return_predictions"),
    *SECTIONS,
)
"""Beginnings of all flags of the commands that train and score."""
ONLY_FLAGS = ("config", "help", "import", "print_config")
"""Those of them that no file may have."""
GENERAL = {"seed_everything": "int | bool", "threads": "int | None"}
"""What the values of flags of no section are."""
NAMED = {
    "trainer.accelerator": ("auto", "cpu", "gpu", "mps", "cuda", "tpu"),
    "trainer.precision": (
        *("32-true", "bf16-mixed", "16-mixed", "64-true", "16-true", "bf16-true"),
        *("16", "32", "64", "bf16", "transformer-engine", "transformer-engine-float16"),
    ),
}
"""Names that settings of Lightning's trainer take; the first four are the usual ones."""
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
    shows_help = any(_is_help(flag) for flag in request.flags)
    word = next(iter(request.flags), "-")  # of those after a flag it may be the value
    if not word.startswith("-"):
        raise InputError(f"{arguments[0]} reads flags only, not {word}{_flag_for(word)}")
    is_ours = not (_names_own(request) or _has_own())
    if is_ours:
        _check_classes(request)
    _check_sections(request)
    _check_flags(request)
    with explained():
        checkpoint = request.checkpoint()
    if is_ours:
        _check_settings(request, checkpoint)
        _check_values(request, checkpoint)
    check_name(request.name())
    if request.command == "fit":
        settings_of_trainer = (
            (key.removeprefix("trainer."), value) for key, value in request.said
        )
        check_trainer(dict(settings_of_trainer))
    if checkpoint is None and not shows_help:
        check_chosen(request)


def check_chosen(request: Request) -> None:
    """Refuses a command line that names no model or no data.

    Raises:
        InputError: if it does not, and no checkpoint can.
    """
    chosen = {key for key, value in dict(request.said).items() if value is not None}
    if request.command in ("validate", "test", "predict") and not chosen & {*CHOSEN}:
        raise InputError(
            "ckpt_path is missing. Use --ckpt_path with a checkpoint or a run folder."
        )
    needed = {"data": "MNIST"} if request.command == "prepare" else EXAMPLES
    for section, example in needed.items():
        if section not in chosen:
            flag = f"--{section}"
            raise InputError(f"{section} is missing. Use {flag}, such as {flag} {example}.")


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
    waiting = [getattr(sys.modules.get(module), name, None) for module, name in BASES.values()]
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


def _is_help(flag: str) -> bool:
    """Tells whether a flag shows something, for which it needs no value."""
    name = flag.removeprefix("--").partition("=")[0]
    return name in ("help", "print_config") or is_help_of_class(flag)


def _check_sections(request: Request) -> None:
    """Refuses settings of files that stand in no section."""
    for path, key in request.in_files:
        section = re.split(r"[.+[]", key)[0]
        if section in ONLY_FLAGS:
            raise InputError(f"config: {path}: {section} is no setting. Use --{section}.")
        if section not in FLAGS:
            classes = [_classes(request, name) for name in CHOSEN]
            raise InputError(f"config: {path}: {no_section(section, *classes)}")


def _check_flags(request: Request) -> None:
    for flag, following in pairwise([*request.flags, "--"]):
        if not flag.startswith("--") or flag == "--":
            continue
        name = flag.removeprefix("--").partition("=")[0].removesuffix("+")
        section, _, setting = name.partition(".")
        known = section_settings(section) if section in SECTIONS else None
        if section not in FLAGS or (
            setting and known is not None and setting.split(".")[0].removesuffix("+") not in known
        ):
            raise InputError(no_flag(name, _classes(request, "model"), _classes(request, "data")))
        if following.startswith("--") and "=" not in flag and not _is_help(flag):
            raise InputError(f"argument {flag}: expected one argument")


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


def _check_values(request: Request, checkpoint: Path | None) -> None:
    """Refuses values that their settings cannot have, and names of parts that there are not."""
    choices = Choices(request.said, is_all=checkpoint is None)
    for given, value in request.said:
        key, is_added = given.removesuffix("+"), given.endswith("+")
        owner, _, name = key.rpartition(".")
        if key in SECTIONS and value is None:
            raise InputError(f"{key} has no settings below it. Leave it out of the file.")
        if key in SECTIONS:
            raise InputError(
                f"{key} is a group of settings. Use --{key}.SETTING {shown(value)}: see --help."
            )
        classes = choices.classes(owner)
        if not classes and choices.is_left_out(owner):
            raise InputError(not_chosen(owner, key))
        found = [settings(cls).get(name) for cls in classes]
        kinds = [setting.kind for setting in found if setting is not None]
        kinds += [GENERAL[key]] if key in GENERAL else []
        is_other = name in BESIDE_SETTINGS or any(map(takes_any, classes))
        if classes and not kinds and not is_other:
            known = {name: one for name, one in settings(classes[-1]).items() if one.default}
            raise InputError(no_setting(owner, classes[-1].name, name, known))
        for lacking in choices.lacking(key):
            raise InputError(f"{key}.{lacking} is missing. Use --{key}.{lacking} VALUE.")
        problems = [_problem(key, kind, value, is_added=is_added) for kind in kinds]
        if problems and all(problems):
            raise InputError(str(problems[-1]))


def _problem(key: str, kind: str, value: object, *, is_added: bool) -> str | None:
    """Returns the message about a value that a setting cannot have, or None if it may have it."""
    words = must_be(kind, value, is_added=is_added)
    if words is not None:
        end = f" Use --{key}+={value}." if words == "a list" else ""
        return f"{key} must be {words}, got {shown(value)}.{end}"
    if key in NAMED and value is not None and str(value) not in NAMED[key]:
        *first, last = NAMED[key][:4]
        return f"{key} must be {', '.join(first)} or {last}, got {shown(value)}."
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    word = part_word(kind)
    for part in names if word is not None else ():
        if isinstance(part, str) and part.isidentifier() and part != "null":
            problem = no_part(key, str(word), part)
            if problem is not None:
                return problem
    return None
