"""Help on the commands that train and score, read from the sources; the parser's has it all."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import yaml

from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.cli.hints import (
    BASES,
    CHOSEN,
    EXAMPLES,
    HOMES,
    OTHERS,
    SECTIONS,
    classes_for,
    part_word,
    section_settings,
)
from lightning_gans.cli.modules import look_here
from lightning_gans.cli.screen import beside, wrapped
from lightning_gans.cli.sources import ClassSource, Setting, exported, find, find_own, settings
from lightning_gans.errors import InputError

__all__ = ["FULL", "TRAINER", "asked_help", "shown_default"]

FULL = "--help=full"
"""Asks for the help of the parser."""
TRAINER = {
    "max_steps": "generator updates in all",
    "max_time": "ends the run after DD:HH:MM:SS",
    "val_check_interval": "generator updates between two validations",
    "limit_val_batches": "batches of a validation, if not all",
    "log_every_n_steps": "generator updates between two rows of metrics.csv",
    "accelerator": "auto, cpu, gpu or mps",
    "devices": "how many, such as 2, or which, such as [0,1]",
    "num_nodes": "machines",
    "strategy": "of several processes, such as ddp",
    "precision": "32-true, bf16-mixed, 16-mixed or 64-true",
    "deterministic": "true for the same numbers in every run on a GPU",
    "logger": "TensorBoard or WandB, beside metrics.csv",
    "callbacks": "further ones: --trainer.callbacks+=GeneratorEMA",
    "profiler": "simple or pytorch, to see where the time goes",
    "fast_dev_run": "batches to try everything with; nothing is kept",
    "default_root_dir": "folder of all runs",
}
"""Those settings of Lightning's trainer that matter most."""
TRAINS = ("fit", "fork")
"""Commands that train."""
OF_TRAINING = (
    *("max_steps", "max_time", "val_check_interval", "log_every_n_steps", "logger"),
    *("fast_dev_run", "deterministic", "default_root_dir"),
)
"""Those of them that mean nothing where nothing is trained."""
CONFIG = (
    "-c, --config FILE",
    "settings: a YAML file, or an included configuration by its name; lightning-gans list names "
    "them.",
)
LAST = (
    ("--import MODULE", "a module with classes of your own, which can then be given by name."),
    ("--print_config", "prints all settings with their values, and ends."),
)
"""Flags of all commands that read settings, and what they are."""
MADE = ("lightning_gans.networks", "lightning_gans.optimizers")
"""Where the classes are that a model makes: it gives what has no default."""


def asked_help(arguments: Sequence[str], about: str) -> str | None:
    """Returns the help that a command line asks for, or None if it asks for none that is here.

    Args:
        arguments: the command and what follows it.
        about: what the command does.

    Raises:
        InputError: if it asks for the help on a model or data and names none.
    """
    command, *rest = arguments
    for flag, following in pairwise([*rest, ""]):
        asked = re.fullmatch(r"--([\w.]+)\.help(?:=(.*))?", flag)
        if asked is not None:
            key = asked[1]
            path = asked[2] or ("" if following.startswith("-") else following)
            path = path or next(_values(f"--{key}", rest), "")
            if key in CHOSEN and not path:
                example = f"--{key}.help {EXAMPLES[key]}"
                raise InputError(
                    f"{key}.help: no class is named. Use --{key}.help with one, such as {example}."
                )
            found = _known_class(key, path) or _own_class(key, path, _values("--import", rest))
            return None if found is None else _of_class(command, key, found)
    return _of_command(command, about) if {"-h", "--help"} & {*rest} else None


def _values(flag: str, arguments: Sequence[str]) -> Iterator[str]:
    """Yields what follows a flag, each time that it is given."""
    for one, following in pairwise([*arguments, ""]):
        name, equals, value = one.partition("=")
        if name == flag:
            yield value if equals else following


def _known_class(key: str, path: str) -> ClassSource | None:
    """Returns the class that a name or a path stands for, if it comes along."""
    package, _, name = path.rpartition(".")
    if package.partition(".")[0] not in ("", "datamodules", "lightning_gans"):
        return None
    homes = [CHOSEN[key][0]] if key in CHOSEN else HOMES
    if key in CHOSEN and name not in CHOSEN[key][1]():
        return None
    return next((find(home, name) for home in homes if name in exported(home)), None)


def _own_class(key: str, path: str, modules: Iterable[str]) -> ClassSource | None:
    """Returns a class of the user's own that a path, or a name in a module, stands for."""
    if key not in BASES:
        return None
    look_here()
    paths = [path, *(f"{module}.{path}" for module in modules)]
    return next(filter(None, (find_own(one, BASES[key][1]) for one in paths)), None)


def _of_class(command: str, key: str, cls: ClassSource) -> str:
    """Returns the help on a class in the place of a setting."""
    is_ours = cls.module.partition(".")[0] in ("datamodules", "lightning_gans")
    called = cls.name if is_ours else f"{cls.module}.{cls.name}"
    usage = f"lightning-gans {command} --{key} {called} [--{key}.SETTING VALUE ...]"
    lines = wrapped(usage, 7, "usage: ")
    lines += ["", *wrapped(cls.text.split("\n\n")[0] or called), "", "settings:"]
    owner = None
    for setting in settings(cls).values():
        if setting.default is None and cls.module.startswith(MADE):
            continue
        if owner not in (None, setting.owner.name):
            lines += ["", *wrapped(f"settings that come from {setting.owner.name}:")]
        owner = setting.owner.name
        lines += _lines(f"--{key}.{setting.name}", setting, shown_default(setting.default))
    if key == "model":
        text = (
            "The settings of a part follow its name, such as --model.generator.hidden '[64,64]'; "
            f"lightning-gans {command} --model.generator.help MLPGenerator lists them. In the "
            "place of any class goes one of your own, by its path."
        )
        lines += ["", *wrapped(text)]
    if key in CHOSEN:
        full = f"lightning-gans {command} --{key}.help {called} {FULL}"
        lines += ["", *wrapped(f"{full} has the parser's own help.")]
    return "\n".join(lines)


def _of_command(command: str, about: str) -> str:
    """Returns the help on a command."""
    about = f"{about[0].upper()}{about[1:]}."
    usage = wrapped(f"lightning-gans {command} [--FLAG VALUE ...]", 7, "usage: ")
    lines = [*usage, "", *wrapped(about), ""]
    for flag, text in _general(command):
        lines += [f"  {flag}", *wrapped(text, 6)]
    if command != "prepare":
        defaults: dict[str, Any] = yaml.safe_load(
            (configs_folder() / "default.yaml").read_text(encoding="utf-8")
        )
        for section in SECTIONS:
            shown = {key: str(value) for key, value in defaults.get(section, {}).items()}
            if section == "trainer":
                lines += _of_trainer(command, shown)
            elif command in TRAINS or section == "evaluation":
                lines += _of_section(section, shown, kept=command != "fit")
    end = f"lightning-gans {command} {FULL} has all flags."
    return "\n".join([*lines, "", *wrapped(end)])


def _general(command: str) -> Iterator[tuple[str, str]]:
    """Yields the flags of no section, each with what it is."""
    if command == "fork":
        yield from _of_fork()
        return
    for section, text in (("model", "the GAN"), ("data", "the data")):
        if section == "data" or command != "prepare":
            named = f"{text}: {', '.join(CHOSEN[section][1]())}"
            own = "" if command == "prepare" else ", or a class of your own by its path"
            helped = f"lightning-gans {command} --{section}.help CLASS lists its settings."
            yield f"--{section} CLASS", f"{named}{own}. {helped}"
    if command == "prepare":
        return
    yield CONFIG
    yield "--name NAME", "name of the run and its folder; by default that of the configuration."
    if command == "fit":
        text = (
            "the checkpoint or run folder to resume from; or last or best of the runs of --name; "
        )
        text += "or auto, which resumes the newest of them if there is one."
    else:
        text = "a checkpoint or run folder; or best or last of the runs of --name. It brings the "
        text += "model, the data and their settings along."
    yield "--ckpt_path PATH", text
    yield (
        "--threads N",
        "on the CPU; by default those of the run that is resumed, or OMP_NUM_THREADS, or one for "
        "small networks and all cores for large ones.",
    )
    seed = "(default: 0)" if command == "fit" else "(default: that of the run)"
    yield "--seed_everything N", f"decides all random numbers {seed}."
    yield from LAST


def _of_fork() -> Iterator[tuple[str, str]]:
    """Yields the flags of no section of the command that changes settings of another run."""
    text = "the checkpoint to begin from, or a run's folder or name, for its last.ckpt. It brings "
    text += "all settings along."
    yield "--ckpt_path PATH", text
    yield (
        "--name NAME",
        "name of the run and its folder; by default that of the other run, with _fork appended.",
    )
    text = "a setting of the model, but for those of networks, schedulers and optimizers; a "
    text += "learning rate may change if there is no scheduler. lightning-gans fork --model.help "
    text += "CLASS lists them."
    yield "--model.SETTING VALUE", text
    yield "--data.SETTING VALUE", "a setting of the data."
    yield CONFIG
    yield "--threads N", "on the CPU; those of the other run by default."
    yield "--seed_everything N", "decides all random numbers from here on."
    yield from LAST


def _of_trainer(command: str, defaults: Mapping[str, str]) -> Iterator[str]:
    """Yields the lines on the trainer."""
    kept = ", by default those of the checkpoint" if command == "fork" else ""
    yield from ["", *wrapped(f"Lightning's trainer, those settings that matter most{kept}:")]
    known = section_settings("trainer")
    for name, text in TRAINER.items():
        if command in TRAINS or name not in OF_TRAINING:
            default = defaults.get(name, shown_default(known[name].default))
            end = "" if kept or default == "null" else f" (default: {default})"
            yield from beside(f"  --trainer.{name}", f"{text}{end}", 31)


def _of_section(section: str, defaults: Mapping[str, str], *, kept: bool) -> Iterator[str]:
    """Yields the lines on a callback that every run has.

    Args:
        section: its key.
        defaults: of its settings.
        kept: whether those of a checkpoint are the defaults.
    """
    cls = find(*SECTIONS[section])
    assert cls is not None
    yield from ["", *wrapped(cls.text.split("\n\n")[0].rstrip(".") + ":")]
    for name, setting in section_settings(section).items():
        default = defaults.get(name, shown_default(setting.default))
        default = "that of the checkpoint" if kept else default
        yield from _lines(f"--{section}.{name}", setting, default)


def _lines(flag: str, setting: Setting, default: str | None) -> list[str]:
    """Returns the lines on a setting: its flag, type and default, and what it is."""
    kind = re.sub(r"Literal\[(.*)\]", lambda found: found[1].replace(", ", " | "), setting.kind)
    kind, text = kind.replace("None", "null").replace("'", ""), setting.text
    word = part_word(kind)
    if word is not None:
        kind, text = "CLASS", f"{text} {_choices(word)}"
    is_list = word is not None and "Sequence" in setting.kind
    flag = f"{flag}+={kind}" if is_list else f"{flag} {kind}"
    value = "required" if default is None else f"default: {default}"
    return [*wrapped(f"{flag} ({value})", 4, "  "), *wrapped(text, 6)]


def _choices(word: str) -> str:
    """Returns the classes that a setting takes, in words."""
    names = [*classes_for(word), *OTHERS.get(word, ())]
    return f"Such as {', '.join(names)}." if names else ""


def shown_default(source: str | None) -> str | None:
    """Returns a default as a flag would have it.

    Args:
        source: as the source has it.
    """
    if source is None:
        return None
    made = re.fullmatch(r"lambda (\w+): (\w+)\(\1, (.*)\)", source)
    if made is not None:
        return f"{made[2]}({made[3]})"
    try:
        value = ast.literal_eval(source)
    except ValueError:  # a class
        return re.sub(r"^nn\.", "torch.nn.", source)
    if isinstance(value, str):
        return value
    return yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value, default_flow_style=True
    ).split("\n")[0]
