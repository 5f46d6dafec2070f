"""What differs between two runs: settings, what made them, and where their rows part.

Rows are a function of the settings, so equal runs have equal rows but for the times in them.
PyTorch is not needed here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_gans.core.timing import MEASURED

__all__ = ["Difference", "Parting", "origins", "parting", "settings"]

MISSING = "-"
"""Stands for a value that one of the runs does not have."""
NAMES = ("name", "trainer.default_root_dir")
"""Settings by which every run differs from any other."""
ORIGINS = ("commit", "versions", "machine", "processes")
"""What a record tells of what made a run."""


@dataclass(frozen=True)
class Difference:
    """Something that two runs have in different ways.

    Attributes:
        key: of a setting or of a value.
        one: how the first run has it.
        other: how the second run has it.
    """

    key: str
    one: str
    other: str


@dataclass(frozen=True)
class Parting:
    """How far two runs log the same.

    Attributes:
        same: how many updates have equal rows in both, up to where they part.
        update: the first one whose rows differ, or None.
        terms: what differs then, in the order of the columns.
        ends: the last logged update of each run, 0 if there is none.
    """

    same: int
    update: int | None
    terms: list[Difference]
    ends: tuple[int, int]


def settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Returns the settings that differ, but for the name and the place of a run.

    Args:
        one: the configuration of a run.
        other: that of another.
    """
    found = _differences(dict(_leaves(one)), dict(_leaves(other)))
    return [difference for difference in found if difference.key not in NAMES]


def origins(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Returns what differs of commit, versions, machine and number of processes.

    Args:
        one: the record of a run.
        other: that of another.
    """
    chosen = ({key: record.get(key) for key in ORIGINS} for record in (one, other))
    return _differences(*(dict(_leaves(part)) for part in chosen))


def parting(one: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> Parting:
    """Returns how far two runs log the same, at the updates at which both log anything.

    Args:
        one: the rows of a run.
        other: those of another. Those of a fork begin where it does.
    """
    first, second = _by_update(one), _by_update(other)
    ends = max(first, default=0), max(second, default=0)
    same = 0
    for update in sorted(first.keys() & second.keys()):
        stages = _stages(first[update]) & _stages(second[update])
        if not stages:
            continue  # one was trained on, and the other validated
        shared = (
            {k: v for k, v in rows[update].items() if _stage(k) in stages}
            for rows in (first, second)
        )
        terms = _differences(*shared)
        if terms:
            return Parting(same, update, terms, ends)
        same += 1
    return Parting(same, None, [], ends)


def _by_update(rows: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """Returns what is logged at each update, of training and of scores, without times."""
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        values = {k: v for k, v in row.items() if k != "step" and k not in MEASURED}
        found.setdefault(int(row["step"]), {}).update(values)
    return found


def _stage(key: str) -> str:
    return key.partition("/")[0]


def _stages(values: Mapping[str, float]) -> set[str]:
    return {_stage(key) for key in values}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Returns the keys whose values differ; NaN is equal to itself."""
    return [
        Difference(key, first, second)
        for key in dict.fromkeys((*one, *other))
        if (first := _shown(one, key)) != (second := _shown(other, key))
    ]


def _shown(values: Mapping[str, Any], key: str) -> str:
    """Returns a value as flags have it; numbers have all digits, so that the last bit shows."""
    value = values.get(key, MISSING)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested settings, each with the keys that lead to it, as flags have them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            skipped = name in ("class_path", "init_args")
            yield from _leaves(inner, key if skipped else f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and all(isinstance(inner, dict | list) for inner in value):
        for index, inner in enumerate(value):  # an empty list is one without parts
            yield from _leaves(inner, f"{key}[{index}]")
    else:
        yield key, value
