"""How long the runs of a comparison will take, and how much of the disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace

from lightning_gans.comparison.planning import Planned, State

__all__ = ["Cost", "bytes_of", "makespan", "seconds_of"]


@dataclass(frozen=True)
class Cost:
    """What a run takes, as a few rounds of it tell.

    Attributes:
        fixed: seconds before the first update and after the last one.
        update: seconds of a round.
        validation: seconds of a validation.
        threads: on the CPU.
        disk: bytes of its checkpoints, its tables and the pictures at its end.
        picture: bytes of the pictures of one update.
    """

    fixed: float
    update: float
    validation: float
    threads: int
    disk: int
    picture: int

    def with_the_rest_of(self, other: "Cost") -> "Cost":
        """Returns the cost of a run of which only rounds were tried, with the rest of another."""
        return replace(other, update=self.update, threads=self.threads)


def seconds_of(run: Planned, state: State, cost: Cost) -> float:
    """Returns how long a run will take to its end; without a limit, only its fixed seconds."""
    updates = max(0, run.updates - state.updates)
    trainer = run.config["trainer"]
    interval = trainer.get("val_check_interval")
    every = interval if type(interval) is int else run.updates
    validations = 0
    if updates > 0:
        every = min(every, run.updates)  # as the planner has it
        validations = -(-run.updates // every) - state.updates // every  # the last state has one
    return cost.fixed + updates * cost.update + validations * cost.validation


def bytes_of(run: Planned, state: State, cost: Cost) -> int:
    """Returns what a run will add to the disk: nothing if it has begun."""
    if state.folder is not None:
        return 0
    every = run.config["pictures"].get("every_n_updates") or run.updates
    return cost.disk + cost.picture * (2 + max(0, run.updates) // max(1, every))


def makespan(seconds: Sequence[float], jobs: int) -> float:
    """Returns how long runs take that are begun in their order, some at a time.

    Args:
        seconds: that each takes.
        jobs: how many run at a time.
    """
    ends = [0.0] * jobs
    for duration in seconds:
        heapreplace(ends, ends[0] + duration)
    return max(ends)
