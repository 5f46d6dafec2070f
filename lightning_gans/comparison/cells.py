"""Runs that differ in their seeds only make a cell; cells are what is compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gans.comparison.identity import identity, settings_of
from lightning_gans.comparison.reading import Run
from lightning_gans.errors import InputError, printable

__all__ = ["LACKING", "Cell", "cells_of", "check_comparable", "differences", "short", "shown"]

TRAINING_ONLY = {
    *("batch_size", "cache", "data_dir", "dequantize", "horizontal_flip", "jitter"),
    *("label_seed", "labels", "num_labels", "num_workers", "split_seed", "subset", "subset_seed"),
}
"""Settings of data that do not change what generated samples are compared with."""
LACKING = "\u2013"
"""Stands for a setting that a cell does not have."""


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs of the same settings.

    Attributes:
        label: that no other cell has.
        identity: of the settings.
        settings: by their dotted names.
        runs: in the order of their seeds.
    """

    label: str
    identity: str
    settings: dict[str, Any]
    runs: tuple[Run, ...]


def cells_of(runs: Sequence[Run]) -> list[Cell]:
    """Returns the cells of some runs, in the order in which their first runs come.

    Args:
        runs: at least one.

    Raises:
        InputError: if the scores of the runs are not comparable, or a run is there twice.
    """
    groups: dict[str, dict[int, Run]] = {}
    for run in runs:
        check_comparable(runs[0], run)
        seeds = groups.setdefault(identity(run.config), {})
        other = seeds.setdefault(run.seed, run)
        if other is not run:
            raise InputError(
                f"{other.folder} is given twice. Name each run once."
                if other.folder.resolve() == run.folder.resolve()
                else f"{other.folder} and {run.folder} have the same settings and the same seed, "
                f"{run.seed}. Use one of them."
            )
    settings = [
        dict(_flat(settings_of(next(iter(seeds.values())).config))) for seeds in groups.values()
    ]
    names = [next(iter(seeds.values())).name for seeds in groups.values()]
    return [
        Cell(label, key, own, tuple(seeds[seed] for seed in sorted(seeds)))
        for label, own, (key, seeds) in zip(
            _labels(names, settings), settings, groups.items(), strict=True
        )
    ]


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the settings that are not equal everywhere, with their values or `LACKING`.

    Args:
        settings: by their dotted names, of each cell.
    """
    keys = dict.fromkeys(key for own in settings for key in own)
    values = {key: [own.get(key, LACKING) for own in settings] for key in keys}
    return {key: found for key, found in values.items() if any(v != found[0] for v in found)}


def short(key: str) -> str:
    """Returns the name of a setting as flags have it."""
    words = [word for word in key.split(".") if word not in ("init_args", "class_path")]
    return ".".join(words)


def shown(value: Any) -> str:
    """Returns the value of a setting as text: of a class, its name."""
    if isinstance(value, str):
        path, _, name = value.rpartition(".")
        is_class = all(map(str.isidentifier, path.split("."))) and name[:1].isupper()
        return name if is_class else value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the settings in a config by their dotted names."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _labels(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of cells, with the settings that tell those of one name apart."""
    labels = list(names)
    for name in set(names):
        alike = [index for index, other in enumerate(names) if other == name]
        for key, values in differences([settings[index] for index in alike]).items():
            told = len({labels[index] for index in alike})
            texts = [shown(value) for value in values]
            whole = [value if isinstance(value, str) else json.dumps(value) for value in values]
            if len(set(texts)) < len(set(whole)):  # such as two classes of one name
                texts = whole
            longer = [
                f"{labels[index]}, {short(key).removeprefix('model.')} {value}"
                for index, value in zip(alike, texts, strict=True)
            ]
            if len(set(longer)) > told:
                for index, label in zip(alike, longer, strict=True):
                    labels[index] = label
    return [printable(label) for label in labels]


def check_comparable(first: Run, second: Run) -> None:
    """Refuses runs whose scores mean different things.

    Raises:
        InputError: if data, metrics or the number of samples differ.
    """
    numbers = [run.record.get("samples") for run in (first, second)]
    if None not in numbers and numbers[0] != numbers[1]:
        raise _different_numbers(first, second, numbers[0], numbers[1])
    for key, (one, other) in differences([_scored_by(run) for run in (first, second)]).items():
        if key.endswith(("num_eval_samples", "limit_val_batches")):
            raise _different_numbers(first, second, one, other, key)
        what = "metrics" if key.startswith("evaluation") else "data"
        raise InputError(
            f"{first.folder} and {second.folder} have different {what} ({short(key)}: "
            f"{printable(shown(one))} and {printable(shown(other))}): their scores are not "
            f"comparable. Use one page for each."
        )


def _different_numbers(
    first: Run, second: Run, one: Any, other: Any, key: str = "samples"
) -> InputError:
    return InputError(
        f"{first.folder} and {second.folder} were scored at different numbers of samples "
        f"({short(key)}: {printable(shown(one))} and {printable(shown(other))}): their scores are "
        "not comparable. Use one page for each."
    )


def _scored_by(run: Run) -> dict[str, Any]:
    """Returns the settings that decide what the scores of a run mean."""
    trainer, evaluation = run.config.get("trainer"), run.config.get("evaluation")
    weights = (evaluation or {}).get("inception_weights")
    decisive = {
        "data": run.config.get("data"),
        "trainer": {"limit_val_batches": (trainer or {}).get("limit_val_batches")},
        "evaluation": {
            "metrics": (evaluation or {}).get("metrics"),
            "inception_weights": None if weights is None else Path(weights).name,
        },
    }
    return {k: v for k, v in _flat(decisive) if k.rpartition(".")[2] not in TRAINING_ONLY}
