"""Trains what is missing of a comparison, some runs at a time."""

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from lightning_gans.comparison.engines import LOG, Engine, Handle, is_claimed
from lightning_gans.comparison.planning import FAILURE, Planned, State
from lightning_gans.errors import one_line
from lightning_gans.finding import newest_first

__all__ = ["Runner", "number_of", "updates_of"]

PAUSE = 0.2
"""Seconds between two looks at the runs."""
PATIENCE = 2.0
"""Seconds between two looks at a run that another process trains."""
TAIL = 10_000
"""Bytes at the end of a file in which its last line is looked for."""


class Runner:
    """Trains runs until each is finished or has failed, or all are to stop.

    The first seed of all cells comes first: a comparison that is stopped on its way then has as
    many seeds of each.

    Args:
        states: of all runs, as they are now.
        engine: trains them.
        jobs: how many at a time, or None for all.
        retries: whether runs that have failed before are tried again.
        tell: prints a line.

    Attributes:
        states: of all runs, as they were when last looked at.
        active: the runs under way.
        elsewhere: the runs that another process trains, and when they were looked at.
        failed: why a run has failed, of each that has.
    """

    def __init__(
        self,
        states: Mapping[Planned, State],
        engine: Engine,
        jobs: int | None,
        *,
        retries: bool,
        tell: Callable[[str], None],
    ) -> None:
        self.states = dict(states)
        self.active: dict[Planned, Handle] = {}
        self.elsewhere: dict[Planned, float] = {}
        self.failed: dict[Planned, str] = {}
        self._engine = engine
        self._jobs = jobs
        self._tell = tell
        self._stops = 0
        self._waiting: list[Planned] = []
        seeds = list(dict.fromkeys(run.seed for run in states))
        for run in sorted(states, key=lambda run: seeds.index(run.seed)):
            state = states[run]
            if state.status == "failed" and not retries:
                self.failed[run] = state.message
            elif state.status != "finished":
                self._waiting.append(run)

    @property
    def finished(self) -> int:
        """The number of runs that are finished."""
        return sum(state.status == "finished" for state in self.states.values())

    def __str__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{self.finished} of {number_of(len(self.states), 'run')} finished{failed}"

    def stop(self) -> None:
        """Lets all runs end with a checkpoint, soon; asked again, ends them at once.

        Jobs of a cluster are left to it. This may be called while something else is done.
        """
        self._stops += 1

    def run(self, show: Callable[[], None]) -> None:
        """Trains.

        Args:
            show: called now and then, to draw how far the runs are.

        Raises:
            InputError: if the folder of a run is damaged.
        """
        stopped = 0
        try:
            while self.active or (self._waiting and not self._stops):
                for run, handle in list(self.active.items()):
                    code = handle.poll()
                    if code is not None:
                        del self.active[run]
                        self._end(run, code)
                if not self._stops:
                    self._start()
                elif self._engine.outlives:
                    return
                elif stopped < min(self._stops, 2):
                    stopped = min(self._stops, 2)
                    self._stop(at_once=stopped == 2)
                show()
                time.sleep(PAUSE)
        except BaseException:
            self._stop(at_once=False)
            raise

    def _stop(self, *, at_once: bool) -> None:
        """Tells the runs under way to end."""
        if self.active and not at_once:
            number = number_of(len(self.active), "run")
            self._tell(f"stopping {number} after the current round; Ctrl-C again stops at once")
        for handle in self.active.values():
            if at_once:
                handle.kill()
            else:
                handle.stop()

    def _start(self) -> None:
        """Starts waiting runs, as many as may run."""
        # Those that an earlier start has left behind use this machine, too.
        claimed = {run for run in self._waiting if is_claimed(run.home)}
        used = len(self.active) + len(claimed)
        for run in list(self._waiting):
            if time.monotonic() - self.elsewhere.get(run, -PATIENCE) < PATIENCE:
                continue
            has_room = self._jobs is None or used < self._jobs
            if has_room or run in claimed or run in self.elsewhere:
                used += self._look(run, has_room=has_room)

    def _look(self, run: Planned, *, has_room: bool) -> bool:
        """Looks at a waiting run; returns whether it has been started."""
        before, state = self.states[run], run.state()
        self.states[run] = state
        if state.status == "finished":
            self._waiting.remove(run)
            self._tell_of(run)
        elif state.status == "failed" and before.status != "failed":  # by another process
            self._fail(run, state.message)
        elif state.status != "running" and not is_claimed(run.home):
            self.elsewhere.pop(run, None)
            handle = None
            if has_room:
                handle = self._engine.find(run) or self._engine.start(run)
            if handle is not None:
                (run.home / FAILURE).unlink(missing_ok=True)
                self._waiting.remove(run)
                self.active[run] = handle
                return True
        else:
            if run not in self.elsewhere:
                by = state.message or "another process"
                self._tell(f"{run.label}: waiting for {by}, which is training it")
            self.elsewhere[run] = time.monotonic()
        return False

    def _end(self, run: Planned, code: int) -> None:
        """Sees how a run has ended."""
        state = self.states[run] = run.state()
        if state.status == "finished":
            self._tell_of(run)
        elif state.status == "running" or is_claimed(run.home):
            self._waiting.append(run)  # another process was faster
        elif state.status == "failed":
            self._fail(run, state.message)
        elif not self._stops:
            reason = _why(run, code)
            if state.status == "new" and 0 < code < 128:  # it was not killed
                (run.home / FAILURE).write_text(f"{reason}\n")
            self._fail(run, reason)

    def _fail(self, run: Planned, reason: str) -> None:
        self.failed[run] = reason
        if run in self._waiting:
            self._waiting.remove(run)
        self._tell(f"{run.label}: failed: {reason} ({run.home / LOG})")

    def _tell_of(self, run: Planned) -> None:
        self.elsewhere.pop(run, None)
        updates, number = self.states[run].updates, number_of(len(self.states), "run")
        self._tell(
            f"{run.label}: finished after {updates:,} updates ({self.finished} of {number})"
        )


def number_of(count: int, what: str) -> str:
    """Returns a number with the word for what it counts."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def _why(run: Planned, code: int) -> str:
    """Returns why a process has ended that left no word of it in the run's folder."""
    if code < 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    last = _last_line(run.home / LOG)
    return one_line(last.removeprefix("lightning-gans: error: ")) or f"exit code {code}"


def updates_of(run: Planned) -> int:
    """Returns the updates that a run under way has logged."""
    for folder in newest_first(run.home)[:1]:
        first = _last_line(folder / "metrics.csv").partition(",")[0]
        return int(first) if first.isdecimal() else 0
    return 0


def _last_line(path: Path) -> str:
    """Returns the last whole line of a file, or nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").splitlines(keepends=True)
    except OSError:
        return ""
    whole = [line.strip() for line in lines if line.endswith("\n") and line.strip()]
    return whole[-1] if whole else ""
