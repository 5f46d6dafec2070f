"""What a comparison varies: seeds, settings, and sweeps in W&B's own form."""

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import exp, isfinite, log
from pathlib import Path
from typing import Any

import yaml

from lightning_gans.errors import InputError, printable
from lightning_gans.spelling import likely

__all__ = ["OWN", "Settings", "Sweep", "parse_seeds", "parse_settings", "read_sweep"]

OWN = {
    "seed_everything": "Use --seeds.",
    "name": "Use --name.",
    "config": "Name the config as an argument of compare.",
    "ckpt_path": "Leave it out: every run resumes from its own checkpoint.",
    "checkpoint.dirpath": "Leave it out: every run keeps its checkpoints in its folder.",
    "trainer.default_root_dir": "Use --set, for all runs.",
    "trainer.fast_dev_run": "Leave it out: it keeps no runs that could be compared.",
}
"""Settings that a comparison chooses by itself, and what to do instead."""
READ = ("method", "parameters", "run_cap")
"""Keys of a sweep that count."""
UNREAD = ("program", "command", "metric", "name", "description", "project", "entity")
"""Keys of a sweep that matter to W&B only."""
DISTRIBUTIONS = ("uniform", "int_uniform", "log_uniform_values")
"""Of random values between two bounds."""
MOST_CELLS = 1000

Settings = tuple[tuple[str, str], ...]
"""Keys and values, both as flags have them."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Returns the seeds in a list such as 0,1,2.

    Raises:
        InputError: if it is no such list, or a seed is in it twice.
    """
    seeds = []
    for part in text.split(","):
        if not (part.strip().isdecimal() and len(part) < 12 and int(part) < 2**32):
            raise InputError(
                f"seeds must be numbers from 0 to 4294967295, as in 0,1,2, got {text}."
            )
        seeds.append(int(part))
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise InputError(f"seeds: {seed} is given twice.")
    return tuple(seeds)


def parse_settings(texts: Iterable[str]) -> Settings:
    """Returns the settings in texts such as data.batch_size=64.

    Raises:
        InputError: if one is no such text, or sets what a comparison chooses by itself.
    """
    found: list[tuple[str, str]] = []
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.removeprefix("--")
        if not equals:
            raise InputError(f"set must be KEY=VALUE, as in data.batch_size=64, got {text}.")
        _check_key("set", key)
        if key in dict(found) and not key.endswith("+"):
            raise InputError(f"set: {key} is given twice.")
        found.append((key, value))
    return tuple(found)


def _check_key(where: str, key: object, root: bool = True) -> None:
    """Refuses a key that is none, or that a comparison sets by itself."""
    if not (isinstance(key, str) and re.fullmatch(r"[A-Za-z_][\w.]*\+?", key)):
        raise InputError(f"{where}: {printable(str(key))} is not the key of a setting.")
    if key in OWN and not (root and key == "trainer.default_root_dir"):
        raise InputError(f"{where}: {key} is not for a comparison to vary. {OWN[key]}")


@dataclass(frozen=True)
class Sweep:
    """The settings that a comparison tries with every config.

    Attributes:
        cells: the settings of each cell.
        seeds: those in the file, if there are any.
    """

    cells: tuple[Settings, ...] = ((),)
    seeds: tuple[int, ...] | None = None


def read_sweep(path: Path) -> Sweep:
    """Reads a file of the form that W&B's sweeps have, of the methods grid and random.

    The cells of a random sweep are always the same, and a larger ``run_cap`` adds to them.

    Raises:
        InputError: if the file cannot be used.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"sweep: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"sweep: {path} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise InputError(f"sweep: {path} has no parameters: docs/sweep.yaml has some.")
    for key in content:
        if key not in (*READ, *UNREAD):
            raise InputError(f"sweep: there is no {printable(str(key))}{likely(str(key), READ)}")
    method = content.get("method")
    if method == "bayes":
        raise InputError(
            "sweep: bayes chooses runs by the scores of earlier ones, for which there is wandb "
            "agent. Use method: grid or random."
        )
    if method not in ("grid", "random"):
        raise InputError(f"sweep: method must be grid or random, got {method}.")
    parameters = dict(_flat(content["parameters"]))
    seeds = _seeds_in(parameters.pop("seed_everything", None))
    for key in parameters:
        _check_key("sweep", key, root=False)
    if method == "grid":
        return Sweep(_grid(parameters, content.get("run_cap")), seeds)
    return Sweep(_random(parameters, content.get("run_cap")), seeds)


def _flat(parameters: Mapping[Any, Any], key: str = "") -> Iterable[tuple[str, dict[str, Any]]]:
    """Yields parameters, of which some may be nested in others."""
    for name, parameter in parameters.items():
        inner = f"{key}.{name}" if key else str(name)
        if not isinstance(parameter, dict):
            raise InputError(f"sweep: {printable(inner)} must have value or values.")
        if isinstance(parameter.get("parameters"), dict):
            yield from _flat(parameter["parameters"], inner)
        else:
            yield inner, parameter


def _seeds_in(parameter: dict[str, Any] | None) -> tuple[int, ...] | None:
    if parameter is None:
        return None
    values = _values("seed_everything", parameter)
    if values is None:
        raise InputError("sweep: seed_everything must have values, such as [0, 1, 2].")
    return parse_seeds(",".join(values))


def _values(key: str, parameter: dict[str, Any]) -> list[str] | None:
    """Returns the values that a parameter lists, as flags have them; None if it lists none."""
    listed = [parameter["value"]] if "value" in parameter else parameter.get("values")
    if listed is None and "values" not in parameter:
        return None
    if not isinstance(listed, list) or not listed:
        raise InputError(f"sweep: the values of {key} must be a list, such as [1, 2].")
    texts = [_as_flag(value) for value in listed]
    for text in texts:
        if texts.count(text) > 1:
            raise InputError(f"sweep: {key} has the value {text} twice.")
    return texts


def _as_flag(value: Any) -> str:
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _grid(parameters: Mapping[str, dict[str, Any]], cap: object) -> tuple[Settings, ...]:
    if cap is not None:
        raise InputError("sweep: run_cap is for method: random; a grid is always whole.")
    choices, number = [], 1
    for key, parameter in parameters.items():
        values = _values(key, parameter)
        if values is None:
            raise InputError(f"sweep: {key} must have value or values in a grid.")
        choices.append([(key, value) for value in values])
        number *= len(values)
    if number > MOST_CELLS:
        raise InputError(
            f"sweep: at most {MOST_CELLS:,} cells, got {number:,}. Use method: random."
        )
    return tuple(product(*choices))


def _random(parameters: Mapping[str, dict[str, Any]], cap: object) -> tuple[Settings, ...]:
    if type(cap) is not int or not 0 < cap <= MOST_CELLS:
        raise InputError(
            f"sweep: run_cap must be the number of random cells, from 1 to {MOST_CELLS:,}, got "
            f"{cap}."
        )
    chance = random.Random(0)
    found: dict[Settings, None] = {}
    for _ in range(100 * cap):  # of few values some are drawn again and again
        cell = tuple((key, _drawn(key, one, chance)) for key, one in parameters.items())
        found[cell] = None
        if len(found) == cap:
            break
    return tuple(found)


def _number(value: Any) -> Any:
    """Returns a number, also one like 1e-5, which YAML takes for text; all else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _drawn(key: str, parameter: dict[str, Any], chance: random.Random) -> str:
    """Returns a random value of a parameter."""
    values = _values(key, parameter)
    if values is not None:
        return chance.choice(values)
    low, high = (_number(parameter.get(end)) for end in ("min", "max"))
    kind = "int_uniform" if type(low) is type(high) is int else "uniform"
    kind = parameter.get("distribution", kind)
    if kind not in DISTRIBUTIONS:
        raise InputError(
            f"sweep: {key} has the distribution {kind}. Use {' or '.join(DISTRIBUTIONS)}."
        )
    if not all(isinstance(end, int | float) and isfinite(end) for end in (low, high)) or (
        low >= high
    ):
        raise InputError(
            f"sweep: {key} must have value, values, or a finite min below its finite max."
        )
    if kind == "int_uniform":
        return str(chance.randint(int(low), int(high)))
    if kind == "uniform":
        return f"{chance.uniform(low, high):.4g}"
    if low <= 0:
        raise InputError(f"sweep: the min of {key} must be above 0, got {low}.")
    return f"{exp(chance.uniform(log(low), log(high))):.4g}"
