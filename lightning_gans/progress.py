"""The look of progress: a live bar on a terminal, a line now and then elsewhere."""

from collections.abc import Iterable

from rich import get_console
from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from typing_extensions import override

__all__ = ["Bar", "counted"]

WIDE = 72
"""Characters of a terminal that has room for the bar itself."""


class Bar(Progress):
    """Rows of work under way, each with its bar, count and time; less on a narrow terminal.

    Every task has a field ``unit``, the plural of what is counted.
    """

    def __init__(self) -> None:
        whole, shrinking = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._text = TextColumn("{task.description}", markup=False)
        self._short_text = TextColumn("{task.description}", markup=False, table_column=shrinking)
        self._bar = BarColumn()
        self._count = MofNCompleteColumn(table_column=whole)
        self._unit = TextColumn("{task.fields[unit]}", markup=False)
        self._elapsed = TimeElapsedColumn(table_column=whole)
        self._left = TextColumn("left"), TimeRemainingColumn(table_column=whole)
        super().__init__(console=get_console(), auto_refresh=False, transient=True)

    @override
    def get_renderables(self) -> Iterable[RenderableType]:
        """Yields the rows, with as many columns as there is room for."""
        is_counted = any(task.total is not None or task.completed for task in self.tasks)
        is_narrow = get_console().width < WIDE
        columns: list[ProgressColumn] = (
            [self._short_text] if is_narrow else [self._text, self._bar]
        )
        if is_counted:
            columns += [
                self._count,
                *(() if is_narrow else (self._unit, self._elapsed)),
                *self._left,
            ]
        else:
            columns += [self._elapsed]
        self.columns, self.expand = tuple(columns), is_narrow
        yield from super().get_renderables()


def counted(done: float, total: float | None, first: float, seconds: float) -> str:
    """Returns the count of a line of progress, and the time left if that can be told.

    Args:
        done: units by now.
        total: units in the end, if that can be told.
        first: units that were done before.
        seconds: that the others took.
    """
    if total is None:
        return f"{done:,.0f}"
    left = (total - done) * seconds / max(done - first, 1e-9)
    return f"{done:,.0f} of {total:,.0f} ({done / total:.0%}), {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
