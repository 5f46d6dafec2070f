"""Trains the runs of a comparison while it shows how far they are."""

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import FrameType

from rich.progress import TaskID
from typing_extensions import Self

from lightning_gans.cli.screen import say
from lightning_gans.comparison.planning import Planned
from lightning_gans.comparison.running import Runner, updates_of
from lightning_gans.errors import RunError
from lightning_gans.progress import DRAWINGS_PER_S, Bar, clock
from lightning_gans.terminal import console

__all__ = ["follow"]

LINE_EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""What ends a comparison, and its runs with it."""


def follow(runner: Runner, max_hours: float | None) -> None:
    """Trains until all is done, time is up, or a signal comes.

    Args:
        runner: of the runs.
        max_hours: after which they are stopped, if they are.

    Raises:
        RunError: if their folders cannot be written to.
        SystemExit: if a signal has come.
    """
    end = None if max_hours is None else time.monotonic() + 3600 * max_hours
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        runner.stop()

    with ExitStack() as stack:
        for number in (signal.Signals[name] for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as with nohup
                stack.callback(signal.signal, number, signal.signal(number, note))
        screen = stack.enter_context(_Screen(runner))

        def show() -> None:
            nonlocal end
            screen.show()
            if end is not None and time.monotonic() > end:
                end = None
                runner.stop()

        try:
            runner.run(show)
        except OSError as error:  # the disk may be full
            raise RunError(f"the runs cannot be started: {error}") from error
    if noted:
        if runner.active:
            say("the jobs stay in the queue: the same command follows them, scancel ends them")
        say(f"stopped with {runner}; the same command resumes the others")
        raise SystemExit(128 + noted[0])


class _Screen:
    """Shows how far the runs are: rows on a terminal, a line now and then elsewhere.

    Args:
        runner: of the runs.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._begun = self._shown = time.monotonic()
        self._first = self._done(self._updates())
        self._bar = Bar() if console().is_interactive else None
        self._rows: dict[Planned, TaskID] = {}

    def __enter__(self) -> Self:
        if self._bar is not None:
            done = int(self._percent(self._first))
            self._all = self._bar.add_task(str(self._runner), total=100, completed=done, unit="%")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self) -> None:
        """Draws, if it is time to."""
        pause = LINE_EVERY if self._bar is None else 1 / DRAWINGS_PER_S
        if time.monotonic() - self._shown < pause:
            return
        self._shown = time.monotonic()
        updates = self._updates()
        done = self._done(updates)
        if self._bar is None:
            say(self._line(updates, done))
            return
        for run in [run for run in self._rows if run not in updates]:
            self._bar.remove_task(self._rows.pop(run))
        for run, update in updates.items():
            if run not in self._rows:
                total = run.updates if run.updates > 0 else None
                self._rows[run] = self._bar.add_task(run.label, total=total, unit="updates")
            self._bar.update(self._rows[run], completed=update)
        text = str(self._runner)
        self._bar.update(self._all, description=text, completed=self._percent(done), refresh=True)

    def _percent(self, done: float) -> float:
        # Not rounded, or the bar would see no progress for minutes, and know no time left.
        return 100 * done / len(self._runner.states)

    def _updates(self) -> dict[Planned, int]:
        """Returns the updates of the runs under way."""
        return {run: updates_of(run) for run in (*self._runner.active, *self._runner.elsewhere)}

    def _done(self, updates: Mapping[Planned, int]) -> float:
        """Returns how many runs are done, with the parts of those that have begun."""
        done = 0.0
        for run, state in self._runner.states.items():
            part = updates.get(run, state.updates) / max(1, run.updates)
            is_over = state.status == "finished" or run in self._runner.failed
            done += 1 if is_over else min(part, 1)
        return done

    def _line(self, updates: Mapping[Planned, int], done: float) -> str:
        parts = [
            f"{run.label} at {update:,}" + (f" of {run.updates:,}" if run.updates > 0 else "")
            for run, update in updates.items()
        ]
        left = ""
        if done > self._first:
            speed = (done - self._first) / (time.monotonic() - self._begun)
            left = f", {clock((len(self._runner.states) - done) / speed)} left"
        return f"{self._runner}{left}: {', '.join(parts)}"
