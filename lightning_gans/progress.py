"""Progress of long work: a live bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from threading import Event, Thread
from typing import TypeVar

from lightning_utilities.core.rank_zero import rank_zero_only  # Lightning's own; needs no PyTorch
from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text
from typing_extensions import Self, override

from lightning_gans.terminal import console

__all__ = ["DRAWINGS_PER_S", "Bar", "Work", "clock", "counted"]

DRAWINGS_PER_S = 1.0
"""Of a live bar; each takes milliseconds from what is done meanwhile."""
Item = TypeVar("Item")
PATIENCE = 1.5
"""Seconds that work may take before a bar shows up."""
WIDE = 72
"""Characters of a terminal that has room for the bar itself."""


class Bar(Progress):
    """Rows of work under way, each with its bar, count and time; less on a narrow terminal.

    Every task has a field ``unit``, the plural of what is counted.
    """

    def __init__(self) -> None:
        whole, shrinking = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
        text = "{task.description}"
        count, left, elapsed = _Count(whole), _Left(whole), TimeElapsedColumn(table_column=whole)
        unit = TextColumn("{task.fields[unit]}", markup=False)
        self._wide = (TextColumn(text, markup=False), BarColumn(), count, unit, elapsed, left)
        self._narrow = (TextColumn(text, markup=False, table_column=shrinking), count)
        self._times = (elapsed, left)
        super().__init__(console=console(), auto_refresh=False, transient=True)

    @override
    def get_renderables(self) -> Iterable[RenderableType]:
        """Yields the rows, with as many columns as there is room for."""
        self.expand = console().width < WIDE
        time = self._times[any(task.total is not None for task in self.tasks)]
        self.columns = (*self._narrow, time) if self.expand else self._wide
        yield from super().get_renderables()


class _Count(MofNCompleteColumn):
    """What is done of all, if anything is counted."""

    def __init__(self, column: Column) -> None:
        super().__init__(table_column=column)

    @override
    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["unit"] else Text()


class _Left(TimeRemainingColumn):
    """The time left, if the end is known."""

    def __init__(self, column: Column) -> None:
        super().__init__(table_column=column)

    @override
    def render(self, task: Task) -> Text:
        return Text() if task.total is None else Text("left ").append_text(super().render(task))


class Work:
    """Work that shows its progress if it takes long, in the first of several processes.

    On a terminal a bar shows up after 1.5 seconds, and is gone once the work is done. Elsewhere a
    line is printed now and then. A thread does both: the work has only to count, and what does
    not count shows that it goes on.

    Args:
        text: what is done, such as "reading images".
        total: units in the end, if that can be told.
        unit: plural of what is counted.
        within: the live bar of other work that this is part of, for a row of its own there.
        every_n_seconds: time between two lines where there is no terminal.

    Attributes:
        done: units by now.

    Example:
        >>> with Work("adding numbers", 3, "numbers") as work:
        ...     total = sum(work.over([1, 2, 3]))
    """

    def __init__(
        self,
        text: str,
        total: float | None = None,
        unit: str = "",
        *,
        within: Bar | None = None,
        every_n_seconds: float = 30.0,
    ) -> None:
        self.text = text
        self.total = total
        self.unit = unit
        self.within = within
        self.every_n_seconds = every_n_seconds
        self.done: float = 0
        self._ended = Event()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins to watch the work, in the first of several processes."""
        if getattr(rank_zero_only, "rank", 0) != 0:
            return
        self._start = time.monotonic()
        self._thread = Thread(target=self._show, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes away what is shown of the work."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yields items, each of which is a unit that is done when the next one is asked for."""
        for item in items:
            yield item
            self.done += 1

    def _show(self) -> None:
        if not console().is_interactive:
            while not self._ended.wait(self.every_n_seconds):
                self._print_line()
        elif not self._ended.wait(PATIENCE):
            if self.within is not None:
                self._draw(self.within)
            else:
                with Bar() as bar:
                    self._draw(bar)

    def _draw(self, bar: Bar) -> None:
        """Keeps a row up to date, in a bar that is drawn now and then."""
        row = bar.add_task(self.text, total=self.total, unit=self.unit)
        while True:
            bar.update(row, completed=self.done, total=self.total, unit=self.unit, refresh=True)
            if self._ended.wait(1 / DRAWINGS_PER_S):
                break
        bar.remove_task(row)

    def _print_line(self) -> None:
        seconds = time.monotonic() - self._start
        units = (self.done, self.total, 0, seconds, self.unit)
        count = counted(*units) if self.unit else clock(seconds)
        shown = console()
        shown.print(Text(f"{self.text}: {count}"), soft_wrap=not shown.is_terminal)


def counted(done: float, total: float | None, first: float, seconds: float, unit: str = "") -> str:
    """Returns the count of a line of progress, and the time left if that can be told.

    Args:
        done: units by now.
        total: units in the end, if that can be told.
        first: units that were done before.
        seconds: that the others took.
        unit: plural of what is counted.
    """
    ending = f" {unit}" if unit else ""
    if total is None:
        return f"{done:,.0f}{ending}"
    count = f"{done:,.0f} of {total:,.0f}{ending} ({done / max(total, 1):.0%})"
    if done <= first:
        return count
    return f"{count}, {clock((total - done) * seconds / (done - first))} left"


def clock(seconds: float) -> str:
    """Returns a duration in hours, minutes and seconds, such as 0:05 or 1:10:00."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
