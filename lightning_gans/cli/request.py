"""What is known of a command line before it is parsed, and what a checkpoint allows it to ask."""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from functools import cached_property
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from lightning_gans.cli.catalogue import config_path, configs, configs_folder
from lightning_gans.cli.parser import ENDINGS, import_modules, look_here
from lightning_gans.cli.runs import checkpoint_in, find_checkpoint, run_of, unfinished
from lightning_gans.errors import InputError, printable

__all__ = [
    "COMMANDS",
    "Request",
    "changes",
    "check_name",
    "check_trainer",
    "class_name",
    "config_file",
    "is_whole",
]

COMMANDS = ("fit", "validate", "test", "predict")

PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
"""Of a class: names with dots."""
LONGEST_NAME = 200
"""Bytes of the name of a run; file systems allow some more."""
DEMO = "wgan_gp_ring_tuned"
"""The configuration that ``fit`` trains if nothing else is asked for."""
FLAGS = (
    *("ckpt_path", "name", "trainer.default_root_dir"),
    *("model", "model.class_path", "data", "data.class_path"),
    *("checkpoint.dirpath", "data.data_dir", "trainer.logger"),
    *("trainer.accelerator", "trainer.strategy", "trainer.profiler"),
    *("trainer.logger.class_path", "trainer.accelerator.class_path"),
    *("trainer.strategy.class_path", "trainer.profiler.class_path"),
)
REPLACED = (
    *("checkpoint.dirpath", "data.init_args.data_dir", "trainer.logger"),
    *("trainer.accelerator", "trainer.strategy", "trainer.profiler"),
)
"""Settings of which a checkpoint has no say where the user gives them."""
FIXED_BY_TRAINING = (
    *("seed_everything", "model.init_args.optimizer", "model.init_args.scheduler"),
    "data.class_path",
)
"""Beginnings of the keys that a run cannot change on its way, since their state is saved."""


class Request:
    """What has to be known of a command line before it can be parsed.

    Attributes:
        command: one of `COMMANDS`.
        arguments: what follows it, files first, so that flags win over them in any order.

    Args:
        arguments: the command and what follows it.

    Raises:
        InputError: if a flag lacks its value, or a file holds no settings.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.command, *rest = arguments
        options: dict[str, Any] = {
            "add_help": False,
            "allow_abbrev": False,
            "exit_on_error": False,
        }
        parser_of_files = argparse.ArgumentParser(**options)
        parser_of_files.add_argument("-c", "--config", action="append", default=[])
        parser_of_files.add_argument("--import", dest="modules", action="append", default=[])
        parser = argparse.ArgumentParser(**options)
        for flag in FLAGS:
            parser.add_argument(f"--{flag}", dest=flag)
        try:
            found, flags = parser_of_files.parse_known_args(rest)
            self._flags = vars(parser.parse_known_args(flags)[0])
        except argparse.ArgumentError as error:
            raise InputError(str(error)) from error
        self._configs = [config_path(config) for config in found.config]
        if self.command == "fit" and not (self._configs or self._chosen()):
            self._configs = [config_path(DEMO)]
        for path in self._configs:
            _check_config(path)
        files = [part for path in self._configs for part in ("--config", str(path))]
        self.arguments = [*files, *flags]
        self.modules: list[str] = found.modules
        if any(re.fullmatch(PATH, text) for _, text in self.words):
            look_here()
        import_modules(found.modules)

    def _chosen(self) -> bool:
        """Tells whether a flag says what to train."""
        names = ("model", "model.class_path", "data", "data.class_path", "ckpt_path")
        return any(self._flags[name] is not None for name in names)

    def _setting(self, key: str) -> str | None:
        """Returns a setting from the flags or from the last file that has it."""
        if self._flags[key] is not None:
            return str(self._flags[key])
        for path in (*reversed(self._configs), configs_folder() / "default.yaml"):
            try:
                value = yaml.safe_load(path.read_text())
            except (OSError, yaml.YAMLError):
                continue  # the parser will tell
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                return str(value)
        return None

    def name(self) -> str | None:
        """Returns the name of the run, if the command line tells it."""
        return self._setting("name") or (self._configs[-1].stem if self._configs else None)

    @cached_property
    def words(self) -> set[tuple[str, str]]:
        """Returns what the user says of each setting, where it could be the path of a class.

        A pair is the key, without ``class_path`` and ``init_args``, and the text.
        """
        found: set[tuple[str, str]] = set()
        for path in self._configs:
            found.update(_words("", yaml.safe_load(path.read_text())))
        for flag, following in pairwise([*self.arguments, ""]):
            name, equals, value = flag.removeprefix("--").partition("=")
            text = value if equals else following
            with suppress(OSError, ValueError, yaml.YAMLError):  # the parser will tell
                if text.endswith(ENDINGS) and Path(text).is_file():
                    text = Path(text).read_text()
                found.update(_words(name.removesuffix("+"), yaml.safe_load(text)))
        parts = ((key.split("."), text) for key, text in found)
        ours = ("class_path", "init_args", "")
        return {(".".join(p for p in key if p not in ours), text) for key, text in parts}

    def named(self) -> set[str]:
        """Returns what the user names anywhere: modules, and text that looks like a class path.

        Of packages of the user's own all is meant: a class may be defined deeper inside.
        """
        named = {text for _, text in self.words if re.fullmatch(PATH, text)}
        roots = {text.partition(".")[0] for text in named} - {
            "lightning",
            "lightning_gans",
            "torch",
        }
        return {*self.modules, *named, *roots}

    def tells_all(self) -> bool:
        """Tells whether the same command line begins a run and goes on with it."""
        return self.command == "fit" and self._setting("ckpt_path") == "auto"

    def checkpoint(self) -> Path | None:
        """Returns the checkpoint that is asked for.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if "auto", "last" or "best" is asked for, but of what run is not said.
        """
        asked = self._setting("ckpt_path")
        if asked is None:
            return None
        if Path(asked).is_dir():
            return checkpoint_in(Path(asked), "last" if self.command == "fit" else "best")
        if asked not in ("last", "best") and not self.tells_all():
            return Path(asked)
        name = self.name()
        if name is None:
            raise ValueError(f"{asked} of which run? Give --name or --config.")
        root = Path(self._setting("trainer.default_root_dir") or ".")
        return unfinished(root, name) if self.tells_all() else find_checkpoint(root, name, asked)

    def check_place(self, checkpoint: Path | None) -> None:
        """Refuses flags that would put a run elsewhere that goes on in its own folder.

        Raises:
            InputError: if one does, or the name is no name.
        """
        name, root = self._flags["name"], self._flags["trainer.default_root_dir"]
        check_name(self._setting("name"))
        run = None if checkpoint is None else run_of(checkpoint)
        if run is None:
            return
        for flag, given, own in (
            ("name", name, run.parent.name),
            (
                "trainer.default_root_dir",
                root and str(Path(root).resolve()),
                str(run.parent.parent),
            ),
        ):
            if given is not None and given != own:
                raise InputError(
                    f"{flag}: the run goes on in its own folder, {run}: leave {flag} out, or give "
                    "a copy of the checkpoint to begin a new run from."
                )

    def relevant(self, saved: dict[str, Any]) -> dict[str, Any]:
        """Returns the parts of a checkpoint's configuration that matter to the command."""
        if self.command == "fit":
            return saved
        parts = {k: saved[k] for k in ("seed_everything", "model", "data", "evaluation")}
        asked = self._flags["data"] or self._setting("data.class_path")
        if asked and class_name(asked) != class_name(saved["data"]["class_path"]):
            del parts["data"]  # settings of one class mean something else in another
        trainer = {k: saved["trainer"].get(k) for k in ("callbacks", "precision")}
        return {**parts, "trainer": trainer}

    def without_places(self, settings: dict[str, Any], checkpoint: Path) -> dict[str, Any]:
        """Returns a checkpoint's settings without the places that the user gives in their stead.

        The folder of all runs is never the checkpoint's to choose: a run goes on in its own.
        """
        run = run_of(checkpoint)
        root = settings.get("trainer", {}).get("default_root_dir")
        own = isinstance(root, str) and run is not None and Path(root).resolve() == run.parents[1]
        left_out = [key for key in REPLACED if self._given(key)]
        left_out += [] if own else ["trainer.default_root_dir"]
        for key in left_out:
            settings = _without(settings, key.split("."))
        return settings

    def _given(self, key: str) -> bool:
        """Tells whether a flag or a file of the user's has a setting."""
        flag = key.replace(".init_args", "")
        if any(self._flags.get(name) is not None for name in (flag, f"{flag}.class_path")):
            return True
        for path in self._configs:
            value = yaml.safe_load(path.read_text())
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                return True
        return False


@contextmanager
def config_file(config: dict[str, Any]) -> Iterator[str | None]:
    """Holds a configuration in a temporary file; gives its path, or None for an empty one."""
    if not config:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.yaml"
        path.write_text(yaml.safe_dump(config))
        yield str(path)


def _words(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yields the text of all settings, with the keys of those that it is in."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _words(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(key, inner)


def _without(settings: Any, key: list[str]) -> Any:
    """Returns nested settings without one of them."""
    first, *rest = key
    if not isinstance(settings, dict) or first not in settings:
        return settings
    inner = {} if not rest else {first: _without(settings[first], rest)}
    return {**{name: value for name, value in settings.items() if name != first}, **inner}


def check_name(name: object) -> None:
    """Refuses the name of a run that is no name of a folder.

    Raises:
        InputError: if it is none.
    """
    if name is None:
        return
    text = str(name)
    if text != Path(text).name or text in ("", "..") or printable(text) != text:
        raise InputError(f"name: it must be the name of a folder, got {printable(text)!r}.")
    if len(text.encode()) > LONGEST_NAME:
        raise InputError(
            f"name: it may be at most {LONGEST_NAME} bytes long, got {len(text.encode()):,}."
        )


def _check_config(path: Path) -> None:
    """Refuses what is no file of settings."""
    try:
        exists = path.is_file()
    except OSError as error:
        raise InputError(f"config: it cannot be read: {error.strerror}: {path}") from error
    if not exists:
        near = get_close_matches(path.stem, configs(), 1)
        hint = f": did you mean {near[0]}?" if near else "; lightning-gans list names them."
        raise InputError(f"config: there is no file and no configuration {path}{hint}")
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"config: {path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"config: {path} holds no settings.")


def is_whole(saved: object) -> bool:
    """Tells whether a checkpoint's configuration has the parts that are read of it."""
    if not isinstance(saved, dict):
        return False
    parts = [saved.get(name) for name in ("model", "data", "trainer", "evaluation")]
    named = (part.get("class_path") for part in parts[:2] if isinstance(part, dict))
    return (
        "seed_everything" in saved
        and all(isinstance(part, dict) for part in parts)
        and all(isinstance(name, str) for name in named)
    )


def class_name(class_path: str) -> str:
    """Returns the last part of a class path."""
    return class_path.rpartition(".")[2]


def check_trainer(trainer: Any) -> None:
    """Refuses settings of the trainer under which nothing would be trained, scored or logged.

    Raises:
        InputError: if one is, or the trainer is to clip gradients.
    """
    for name in ("max_steps", "limit_train_batches", "val_check_interval", "log_every_n_steps"):
        value = trainer[name]
        unlimited = name == "max_steps" and value == -1
        if name == "val_check_interval" and isinstance(value, str | dict):
            if isinstance(value, str) and not re.fullmatch(r"\d+(:\d+){3}", value):
                raise InputError(
                    f"trainer.{name} must be a number of updates or a time DD:HH:MM:SS, got "
                    f"{value}."
                )
        elif value is not None and not (value > 0 or unlimited):
            raise InputError(f"trainer.{name} must be above 0, got {value}.")
    if isinstance(trainer.strategy, str) and re.search("spawn|fork|notebook", trainer.strategy):
        raise InputError(
            f"trainer.strategy: {trainer.strategy} makes processes of this one, which holds what "
            "they cannot share. Use ddp, which starts each anew."
        )
    if trainer.gradient_clip_val is not None:
        raise InputError(
            "trainer.gradient_clip_val: the trainer cannot clip the gradients of two players; "
            "give --model.gradient_clip_norm."
        )


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        parts = {f"{key}.{name}" if key else str(name): inner for name, inner in value.items()}
    elif isinstance(value, list):
        parts = {f"{key}[{index}]": inner for index, inner in enumerate(value)}
    else:
        return {key: value}
    return {k: v for name, inner in parts.items() for k, v in _flat(inner, name).items()}


def _is_newer(key: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tells whether a setting is a default that the checkpoint's version did not have."""
    owner, _, name = key.rpartition(".init_args.")
    class_path = new.get(f"{owner}.class_path")
    if key in old or class_path is None or old.get(f"{owner}.class_path") != class_path:
        return False
    module, _, class_ = class_path.rpartition(".")  # the parser has imported it
    bases = getattr(getattr(sys.modules.get(module), class_, None), "__mro__", ())
    methods = (vars(base).get("__init__") for base in bases)
    parameters = (signature(method).parameters for method in methods if method)
    defaults = [found[name].default for found in parameters if name in found]
    return bool(defaults) and defaults[0] == new[key]


def changes(
    saved: dict[str, Any], given: dict[str, Any], command: str, networks: Iterable[str] = ()
) -> list[str]:
    """Returns what the user changes of a checkpoint's configuration.

    Args:
        saved: the checkpoint's configuration.
        given: what is to hold now.
        command: one of `COMMANDS`.
        networks: names of the model's networks whose weights the checkpoint holds.

    Raises:
        InputError: if a change could not take effect.
    """
    old, new = _flat(saved), _flat({key: given.get(key) for key in saved})
    fixed = ("model.class_path", *(f"model.init_args.{name}" for name in networks))
    fixed += FIXED_BY_TRAINING if command == "fit" else ()
    changes = []
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) == new.get(key) or _is_newer(key, old, new):
            continue
        if key == "trainer.default_root_dir":
            continue  # of which the checkpoint has no say
        change = f"{key}: {old.get(key)} -> {new.get(key)}"
        if key.startswith(fixed):
            raise InputError(
                f"{change}: the checkpoint holds the state of this, so it cannot be changed. "
                "Leave it out, or start a new run."
            )
        changes.append(change)
    return changes
