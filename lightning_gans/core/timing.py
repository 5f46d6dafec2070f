"""How long training has taken. PyTorch is not needed here: it takes seconds to import."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from time import perf_counter, process_time
from typing import Any

__all__ = ["MEASURED", "Stopwatch"]

MEASURED = frozenset({"train/updates_per_s", "train/seconds", "train/cpu_seconds"})
"""What differs between rows of the log that are equal otherwise: measured times."""


class Stopwatch:
    """Adds up the seconds in which it runs, by the clock and of the CPU.

    Seconds of the CPU are those of all threads of this process, without other processes that it
    has started. It never waits for a device.
    """

    def __init__(self) -> None:
        self._before = 0.0, 0.0
        self._since: tuple[float, float] | None = None

    def start(self) -> None:
        """Runs from now on; does nothing if it runs already."""
        if self._since is None:
            self._since = perf_counter(), process_time()

    def stop(self) -> bool:
        """Runs no more; returns whether it did."""
        ran = self._since is not None
        self._before, self._since = self.read(), None
        return ran

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves out what is done meanwhile."""
        ran = self.stop()
        try:
            yield
        finally:
            if ran:
                self.start()

    def read(self) -> tuple[float, float]:
        """Returns the seconds so far, by the clock and of the CPU."""
        if self._since is None:
            return self._before
        now = perf_counter(), process_time()
        wall, cpu = (b + n - s for b, n, s in zip(self._before, now, self._since, strict=True))
        return wall, cpu

    def load(self, seconds: Any) -> None:
        """Continues from what `read` has returned, perhaps in another process.

        Raises:
            ValueError: if it has not, as in a damaged file.
        """
        pair = seconds if isinstance(seconds, list | tuple) else ()
        if len(pair) != 2 or not all(type(x) is float and isfinite(x) and x >= 0 for x in pair):
            raise ValueError("The checkpoint is damaged: it does not say how long training took.")
        self._before = pair[0], pair[1]
