"""What the rows of a log are made of: means over all updates since the last row."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from lightning_gans.errors import printable

__all__ = ["RunningMeans"]


class RunningMeans:
    """Means of named values over updates, in sums that stay on the device.

    Values that are computed together are added up as one tensor, so that an update costs two small
    operations. Sums are in double precision where the device has it, and are the same after any
    checkpoint: those of a resumed run continue with the same bits.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}
        self._last: dict[str, float] = {}

    @torch.no_grad()
    def add(self, values: Mapping[str, Tensor]) -> None:
        """Adds the scalars of one update."""
        names = tuple(values)
        added = torch.stack([*values.values()])
        if names in self._sums:
            self._sums[names].add_(added)
            self._counts[names] += 1
        else:
            self._sums[names] = added.to(_precision(added.device))
            self._counts[names] = 1

    def take(
        self, further: Mapping[str, Tensor], reduce: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        """Returns the mean of each value and begins anew.

        A value that was not computed since the last row has its last mean again.

        Args:
            further: scalars that are read with the means, in one transfer from the device.
            reduce: takes the mean of a tensor over all processes.
        """
        sums = list(self._sums.values())
        if further:
            sums.append(torch.stack([*further.values()]).to(sums[0]))
        values = iter(reduce(torch.cat(sums)).tolist())
        totals: dict[str, tuple[float, int]] = {}
        for names, count in self._counts.items():
            for name in names:
                total, number = totals.get(name, (0.0, 0))
                totals[name] = total + next(values), number + count
        self._last.update((name, total / number) for name, (total, number) in totals.items())
        self._sums, self._counts = {}, {}
        return {**self._last, **dict(zip(further, values, strict=True))}

    def to(self, device: torch.device) -> None:
        """Moves the sums to a device."""
        for names, total in self._sums.items():
            self._sums[names] = total.to(device, _precision(device))

    def state(self, gather: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Returns sums of each process, counts and last means as plain data.

        Args:
            gather: stacks a tensor of all processes.
        """
        sums = [*self._sums.values()]
        mine = torch.cat(sums) if sums else torch.zeros(0)
        return {
            "names": [list(names) for names in self._sums],
            "counts": [*self._counts.values()],
            "sums": gather(mine).reshape(-1, len(mine)).tolist() if sums else [],
            "last": dict(self._last),
        }

    def load(self, state: Any, rank: int, ranks: int) -> None:
        """Restores a state, on the CPU.

        If it was saved by another number of processes, the mean of their sums is used.

        Args:
            state: as `state` returns it.
            rank: index of the process.
            ranks: number of processes.

        Raises:
            ValueError: if it is no such state, as in a damaged file.
        """
        if not _is_whole(state):
            raise ValueError(
                "The checkpoint is damaged: the sums of its next log row are damaged."
            )
        self._last = dict(state["last"])
        self._sums, self._counts = {}, {}
        if state["names"]:
            sums = torch.tensor(state["sums"], dtype=torch.float64)
            parts = sums[rank] if len(sums) == ranks else sums.mean(0)
            totals = torch.split(parts, [len(names) for names in state["names"]])
            for names, count, total in zip(state["names"], state["counts"], totals, strict=True):
                self._sums[tuple(names)] = total.clone()
                self._counts[tuple(names)] = count


def _is_whole(state: Any) -> bool:
    """Whether a state from a file is what `RunningMeans.state` returns."""
    if not isinstance(state, dict) or state.keys() != {"names", "counts", "sums", "last"}:
        return False
    names, counts, sums, last = (state[key] for key in ("names", "counts", "sums", "last"))
    if not isinstance(last, dict) or not all(isinstance(p, list) for p in (names, counts, sums)):
        return False
    if not all(isinstance(group, list) for group in (*names, *sums)):
        return False
    width = sum(map(len, names))
    values = [*last.values(), *(value for part in sums for value in part)]
    return (
        all(isinstance(n, str) and printable(n) == n for n in (*last, *chain(*names)))
        and all(isinstance(value, float) for value in values)
        and len(counts) == len(names)
        and all(type(count) is int and count > 0 for count in counts)
        and bool(sums) == bool(names)
        and all(len(part) == width for part in sums)
    )


def _precision(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
