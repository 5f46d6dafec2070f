"""What is known of a command line before it is parsed, and what a checkpoint allows it to ask."""

import argparse
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from os.path import expanduser
from pathlib import Path
from typing import Any

import yaml

from lightning_gans.cli.catalogue import ENDINGS, config_path, configs, configs_folder
from lightning_gans.cli.modules import import_modules, look_here
from lightning_gans.errors import InputError, printable
from lightning_gans.finding import checkpoint_in, find_checkpoint, run_of, unfinished
from lightning_gans.spelling import nearest

__all__ = [
    "COMMANDS",
    "KNOWN",
    "Request",
    "check_keys",
    "check_name",
    "check_trainer",
    "class_name",
    "config_file",
    "is_help_of_class",
    "is_whole",
    "own_modules",
]

COMMANDS = ("fit", "validate", "test", "predict")
KNOWN = ("datamodules", "lightning", "lightning_gans", "torch", "torchmetrics", "torchvision")
"""Packages that define no models and data beyond those that are listed."""

PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
"""Of a class: names with dots."""
LONGEST_NAME = 200
"""Bytes of the name of a run; file systems allow some more."""
DEMO = "wgan_gp_ring_tuned"
"""The configuration that ``fit`` trains if nothing else is asked for."""
FLAGS = ("ckpt_path", "name", "trainer.default_root_dir")
"""What is read as it is given: a name may look like a number."""
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
LEARNING_RATE = r"model\.init_args\.optimizer\w*\.init_args\.lr"
"""Keys of the learning rates, which a fork may change unless a scheduler does."""
PARTS = ("class_path", "init_args", "dict_kwargs")
"""Keys of a class in a file."""
MERGE = "tag:yaml.org,2002:merge"
"""YAML's tag of ``<<``, which takes over the keys of other mappings."""
FORK = "_fork"
"""Ends the name of a fork, unless the user names it."""


class Request:
    """What has to be known of a command line before it can be parsed.

    Attributes:
        command: one of `COMMANDS`; ``fork`` is ``fit`` in a run of its own.
        forks: whether it is ``fork``.
        arguments: what follows it, files first, so that flags win over them in any order.
        flags: what of it are flags, but for those of files and modules.
        modules: that are imported, since the user asks for it.
        in_files: the settings of the user's files, as pairs of a file and a key.
        said: the settings that the user says in files and flags, as pairs of the key, without
            ``class_path`` and ``init_args``, and the value, perhaps a list of plain ones; the
            last is the strongest.
        words: those of them that are text, and could be the path of a class.

    Args:
        arguments: the command and what follows it.

    Raises:
        InputError: if a flag lacks its value, or a file has no settings.
    """

    def __init__(self, arguments: list[str]) -> None:
        given, *rest = arguments
        self.forks = given == "fork"
        self.command = "fit" if self.forks else given
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        parser.add_argument("-c", "--config", action="append", default=[])
        parser.add_argument("--import", dest="modules", action="append", default=[])
        for flag in FLAGS:
            parser.add_argument(f"--{flag}", dest=flag)
        try:
            found, flags = parser.parse_known_args(rest)
        except argparse.ArgumentError as error:
            raise InputError(str(error)) from error
        self._flags = {flag: vars(found)[flag] for flag in FLAGS}
        flags += [f"--{flag}={value}" for flag, value in self._flags.items() if value is not None]
        by_flags = [*_said(flags)]
        self._configs = [config_path(config) for config in found.config]
        chosen = {"model", "data", "ckpt_path"} & dict(by_flags).keys()
        if self.command == "fit" and not (self._configs or chosen or self.forks):
            self._configs = [config_path(DEMO)]
        in_files = [(path, *said) for path in self._configs for said in _in_file(path)]
        by_files = [(key, value) for _, key, value in in_files]
        self.in_files = [(path, key) for path, key, _ in in_files]
        self._files = dict([*_in_file(configs_folder() / "default.yaml"), *by_files])
        self.said = [*by_files, *by_flags]
        files = [part for path in self._configs for part in ("--config", str(path))]
        self.flags = flags
        self.arguments = [*files, *flags]
        self.modules: list[str] = found.modules
        pairs = ((key.replace("+", ""), value) for key, value in self.said)
        parts = ((key, part) for key, value in pairs for _, part in _leaves(value))
        self.words = {(key, part) for key, part in parts if isinstance(part, str)}
        if any(re.fullmatch(PATH, text) for _, text in self.words):
            look_here()
        import_modules(found.modules)

    def _setting(self, key: str) -> str | None:
        """Returns one of `FLAGS`, or what the last file says that has it."""
        value = self._files.get(key) if self._flags[key] is None else self._flags[key]
        return None if value is None else expanduser(str(value))

    def name(self) -> str | None:
        """Returns the name of the run, if the command line tells it."""
        return self._setting("name") or (self._configs[-1].stem if self._configs else None)

    def name_of_fork(self, name: str) -> str:
        """Returns the name of a fork of a run: another, so that ``auto`` resumes the right one.

        Args:
            name: of the run that it is forked from.

        Raises:
            InputError: if it is too long.
        """
        found = self.name() or f"{name.removesuffix(FORK)}{FORK}"
        check_name(found)
        return found

    def named(self) -> set[str]:
        """Returns what the user names anywhere: modules, and text that looks like a class path.

        Of packages of the user's own all is meant: a class may be defined deeper inside.
        """
        named = {text for _, text in self.words if re.fullmatch(PATH, text)}
        roots = {text.partition(".")[0] for text in named}
        return {*self.modules, *named, *roots - {"lightning", "lightning_gans", "torch"}}

    def tells_all(self) -> bool:
        """Tells whether the same command line begins a run and resumes it."""
        return self.command == "fit" and self._setting("ckpt_path") == "auto"

    def checkpoint(self) -> Path | None:
        """Returns the requested checkpoint.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if "auto", "last" or "best" is requested, but no run is named.
            InputError: if there is none to begin a fork from.
        """
        asked = self._setting("ckpt_path")
        if self.forks:
            helps = any(flag == "--help" or is_help_of_class(flag) for flag in self.flags)
            return None if helps and asked is None else _of_another_run(asked)
        if asked is None:
            return None
        is_path = asked not in ("last", "best") and not self.tells_all()
        if is_path or Path(asked).is_dir():
            return checkpoint_in(Path(asked), "last" if self.command == "fit" else "best")
        name = self.name()
        if name is None:
            raise ValueError(f"{asked} of which run? Use --name or --config.")
        root = Path(self._setting("trainer.default_root_dir") or ".")
        return unfinished(root, name) if self.tells_all() else find_checkpoint(root, name, asked)

    def check_place(self, checkpoint: Path | None) -> None:
        """Refuses flags that would move a resumed run out of its own folder, or a fork into it.

        Raises:
            InputError: if one does, or the name is no name.
        """
        check_name(self._setting("name"))
        if self.forks and checkpoint is not None:
            self._check_apart(checkpoint)
            return
        run = None if checkpoint is None else run_of(checkpoint)
        if run is None:
            return
        name, root = self._flags["name"], self._flags["trainer.default_root_dir"]
        moved = {
            "name": name is not None and name != run.parent.name,
            "trainer.default_root_dir": root is not None
            and Path(root).resolve() != run.parents[1],
        }
        for flag, is_moved in moved.items():
            if is_moved:
                raise InputError(
                    f"{flag}: the run continues in its own folder, {run}. Leave {flag} out, or "
                    "use lightning-gans fork to begin a new run."
                )

    def _check_apart(self, checkpoint: Path) -> None:
        """Refuses to write the checkpoints of a fork over those of the other run."""
        asked = dict(self.said).get("checkpoint.dirpath")
        taken = checkpoint.resolve().parent
        if isinstance(asked, str) and Path(asked).resolve() == taken:
            raise InputError(
                f"checkpoint.dirpath: {asked} has the checkpoint that the run is forked from. Use "
                "another folder."
            )

    def relevant(self, saved: dict[str, Any]) -> dict[str, Any]:
        """Returns the parts of a checkpoint's configuration that matter to the command."""
        if self.command == "fit":
            return saved
        parts = {k: saved[k] for k in ("seed_everything", "model", "data", "evaluation")}
        asked = dict(self.said).get("data")
        if isinstance(asked, str) and class_name(asked) != class_name(saved["data"]["class_path"]):
            del parts["data"]  # settings of one class mean something else in another
        trainer = {k: saved["trainer"].get(k) for k in ("callbacks", "precision")}
        return {**parts, "trainer": trainer}

    def without_places(self, settings: dict[str, Any], checkpoint: Path) -> dict[str, Any]:
        """Returns a checkpoint's settings without the places that the user gives in their stead.

        The folder of all runs is never the checkpoint's to choose: a run resumes in its own. Nor
        is a folder for the checkpoints of a fork.
        """
        run = run_of(checkpoint)
        root = settings.get("trainer", {}).get("default_root_dir")
        own = isinstance(root, str) and run is not None and Path(root).resolve() == run.parents[1]
        said = dict(self.said)
        left_out = [key for key in REPLACED if _short(key) in said]
        left_out += [] if own and not self.forks else ["trainer.default_root_dir"]
        left_out += ["checkpoint.dirpath"] if self.forks else []
        for key in left_out:
            settings = _without(settings, key.split("."))
        return settings

    def changes(
        self, saved: dict[str, Any], given: dict[str, Any], networks: Iterable[str] = ()
    ) -> dict[str, str]:
        """Returns what the user changes of a checkpoint's configuration, in words, by the key.

        What the checkpoint lacks is a change only if the user says it: the version that wrote it
        may not have had this setting. A fork may have another seed, since all random numbers
        follow from the seed and the update, and other learning rates, unless they follow from the
        state of a scheduler.

        Args:
            saved: the checkpoint's configuration.
            given: what is to hold now.
            networks: names of the model's networks whose weights the checkpoint holds.

        Raises:
            InputError: if a change could not take effect.
        """
        old = dict(_leaves(saved))
        new = dict(_leaves({key: given.get(key) for key in saved}))
        fixed = ("model.class_path", *(f"model.init_args.{name}" for name in networks))
        fixed += FIXED_BY_TRAINING if self.command == "fit" else ()
        said = {key.replace("+", "") for key, _ in self.said}
        # The checkpoint has no say of that folder, and a fork is another run anyway.
        places = {"trainer.default_root_dir", *(("name",) if self.forks else ())}
        schedule = (value for key, value in old.items() if ".scheduler" in key)
        is_scheduled = any(value is not None for value in schedule)
        changes: dict[str, str] = {}
        for key in dict.fromkeys((*old, *new)):
            is_told = key in old or _short(key) in said
            if old.get(key) == new.get(key) or not is_told or key in places:
                continue
            change = f"{_short(key)}: {old.get(key)} -> {new.get(key)}"
            is_rate = re.fullmatch(LEARNING_RATE, key) is not None and not is_scheduled
            may_fork = is_rate or key == "seed_everything"
            if key.startswith(fixed) and not (self.forks and may_fork):
                instead = "use lightning-gans fork to begin" if may_fork else "start"
                raise InputError(
                    f"{change}: the checkpoint holds the state of this, so it cannot be changed. "
                    f"Leave it out, or {instead} a new run."
                )
            changes[key] = change
        return changes


def is_help_of_class(flag: str) -> bool:
    """Tells whether a flag shows the settings of a class, and nothing else is done."""
    return flag.partition("=")[0].endswith(".help")


def own_modules(settings: Mapping[str, Any]) -> set[str]:
    """Returns the modules of the user's own classes that a configuration names.

    A command that reads the checkpoint has to import them.

    Args:
        settings: with the path of every class.
    """
    paths = (str(value) for key, value in _leaves(settings) if key.endswith("class_path"))
    return {
        path.rpartition(".")[0]
        for path in paths
        if "." in path and path.partition(".")[0] not in KNOWN
    }


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


def _of_another_run(asked: str | None) -> Path:
    """Returns the checkpoint that a fork begins from.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if none is named.
    """
    if asked is None:
        raise InputError(
            "ckpt_path is missing. Use --ckpt_path with a checkpoint or a run folder."
        )
    if asked in ("auto", "last", "best") and not Path(asked).exists():
        raise InputError(
            f"ckpt_path: {asked} is of the run that --name names, but a fork is a new one. Use "
            "--ckpt_path with a checkpoint or a run folder."
        )
    return checkpoint_in(Path(asked), "last")


def _said(flags: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yields the settings that flags say."""
    for flag, following in pairwise([*flags, ""]):
        name, equals, value = flag.partition("=")
        if not name.startswith("--"):
            continue
        content = text = value if equals else following
        with suppress(OSError, ValueError, yaml.YAMLError):  # the parser will tell
            if text.endswith(ENDINGS) and Path(text).is_file():
                text = Path(text).read_text()
            content = yaml.safe_load(text)
        for key, leaf in _leaves(content, name.removeprefix("--"), lists=True):
            yield _as_said(key), leaf


def _leaves(value: Any, key: str = "", *, lists: bool = False) -> Iterator[tuple[str, Any]]:
    """Yields the settings in nested ones, each with all the keys that lead to it.

    Args:
        value: the nested settings.
        key: that leads to them.
        lists: whether a list of plain values stays one setting.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name), lists=lists)
    elif isinstance(value, list) and not (lists and _is_plain(value)):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{index}]", lists=lists)
    else:
        yield key, value


def _is_plain(values: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _short(key: str) -> str:
    """Returns a key without what flags leave out: ``class_path``, ``init_args`` and positions."""
    parts = re.sub(r"\[\d+\]", "", key).split(".")
    return ".".join(part for part in parts if part not in ("class_path", "init_args", ""))


def _as_said(key: str) -> str:
    """Returns a key as flags have it: a part of a list, like one that a flag adds, ends in +."""
    is_part = re.search(r"\[\d+\](\.class_path)?$", key) is not None
    return _short(key).removesuffix("+") + "+" if is_part else _short(key)


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


def check_keys(text: str) -> None:
    """Refuses a key that a mapping has twice, of which YAML would leave out the first.

    Raises:
        yaml.YAMLError: if there is one.
    """
    waiting, seen = [yaml.compose(text, yaml.SafeLoader)], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))  # which an alias may stand for
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        known = set()
        for key, value in node.value:
            waiting.append(value)
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if (key.tag, key.value) in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is there twice", key.start_mark
                )
            known.add((key.tag, key.value))


def _in_file(path: Path) -> list[tuple[str, Any]]:
    """Returns the settings in a file, as `_said` has those of flags, or refuses it."""
    try:
        exists = path.is_file()
    except OSError as error:
        raise InputError(f"config: it cannot be read: {error.strerror}: {path}") from error
    if not exists:
        near = nearest(path.stem, configs())
        hint = f": did you mean {near}?" if near else "; lightning-gans list names them."
        raise InputError(f"config: there is no file and no configuration {path}{hint}")
    try:
        text = path.read_text()
        check_keys(text)
        content = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"config: {path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"config: {path} has no settings, such as model: WGANGP.")
    found = [(_as_said(key), leaf) for key, leaf in _leaves(content, lists=True)]
    _check_parts(content, path)
    return found


def _check_parts(settings: Any, path: Path, key: str = "") -> None:
    """Refuses arguments of a class that stand beside its path in a file, and not below it.

    Args:
        settings: of the file, or some of them.
        path: of the file.
        key: that leads to these.

    Raises:
        InputError: if there are some.
    """
    if isinstance(settings, list):
        for index, part in enumerate(settings):
            _check_parts(part, path, f"{key}[{index}]")
    if not isinstance(settings, dict):
        return
    beside = [str(name) for name in settings if name not in PARTS]
    if "class_path" in settings and beside:
        raise InputError(
            f"config: {path}: {key}: {', '.join(beside)} must stand below init_args, which is "
            f"beside class_path: {settings['class_path']}."
        )
    for name, value in settings.items():
        _check_parts(value, path, f"{key}.{name}" if key else str(name))


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


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuses settings of the trainer that it cannot have, or that would train or log nothing.

    Args:
        trainer: all of them, or those that are known.

    Raises:
        InputError: if one is, or the trainer is to do what it cannot do for two players, or is to
            leave no checkpoint.
    """
    for name in ("max_steps", "limit_train_batches", "val_check_interval", "log_every_n_steps"):
        value = trainer.get(name)
        unlimited = name == "max_steps" and value == -1
        if name == "val_check_interval" and isinstance(value, str | dict):
            if isinstance(value, str) and not re.fullmatch(r"\d+(:\d+){3}", value):
                raise InputError(
                    f"trainer.{name} must be a number of updates or a time DD:HH:MM:SS, got "
                    f"{value}."
                )
        elif isinstance(value, int | float) and not (value > 0 or unlimited):
            raise InputError(f"trainer.{name} must be above 0, got {value}.")
    strategy, devices = trainer.get("strategy"), trainer.get("devices")
    if isinstance(strategy, str) and re.search("spawn|fork|notebook", strategy):
        raise InputError(
            f"trainer.strategy: {strategy} copies this process, whose threads and open files "
            "cannot be copied. Use ddp, which starts each process anew."
        )
    if isinstance(devices, str) and not re.fullmatch(r"auto|-1|\d+(,\d*)*", devices):
        raise InputError(
            f"trainer.devices must be a number such as 2, a list such as [0,1], or auto, got "
            f"{devices}."
        )
    time = trainer.get("max_time")
    if isinstance(time, str) and not re.fullmatch(r"\d+(:\d+){3}", time):
        raise InputError(f"trainer.max_time must be DD:HH:MM:SS, such as 00:01:30:00, got {time}.")
    if trainer.get("gradient_clip_val") not in (None, 0):
        raise InputError(
            "trainer.gradient_clip_val: the trainer cannot clip the gradients of two players. Use "
            "--model.gradient_clip_norm."
        )
    if trainer.get("accumulate_grad_batches") not in (None, 1):
        raise InputError(
            "trainer.accumulate_grad_batches: the trainer cannot add up the gradients of two "
            "players. Use a larger --data.batch_size."
        )
    for name, value in (("enable_checkpointing", False), ("barebones", True)):
        if trainer.get(name) is value:
            raise InputError(
                f"trainer.{name}: every run keeps its last checkpoint and its rows, got "
                f"{str(value).lower()}. Leave it out."
            )
