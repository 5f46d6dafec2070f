"""A training run and bare loops that take turns in one process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from bare import Bare
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gans.callbacks import Progress

__all__ = ["Duel", "Instead", "Watch"]


class Watch(Callback):
    """A callback that adds nothing to a round but its own ``on_train_batch_end``."""

    # Lightning calls each hook of each callback, in a context that takes microseconds.
    on_train_batch_start = on_before_backward = on_after_backward = None
    on_before_optimizer_step = None


class Duel(Watch):
    """Lets bare loops play whenever a run has made some updates, and times them all.

    The turns alternate, so that a machine that slows down slows all of them down.

    Attributes:
        seconds: of each turn that counts, in order: the run's as "ours", and of each bare loop.
        operations: of one round, see `Bare.operations`.

    Args:
        warm_up: updates before the first turn.
        updates: of each turn.
        halves: by name, whether a bare loop is in half precision.
    """

    def __init__(self, warm_up: int, updates: int, halves: dict[str, bool]) -> None:
        self.warm_up = warm_up
        self.updates = updates
        self.halves = halves
        self.seconds: dict[str, list[float]] = {"ours": [], **{name: [] for name in halves}}
        self.operations = 0
        self._start: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes the bare loops of copies of the networks."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        model: Any = pl_module
        self.bare = {
            name: Bare(model, data, data.batch_size, half) for name, half in self.halves.items()
        }
        for loop in self.bare.values():
            self.operations = loop.operations()
            for _ in range(self.warm_up):
                loop.update()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Ends the run's turn, if it has made its updates."""
        made = trainer.global_step - self.warm_up
        if made < 0 or made % self.updates:
            return
        now = _time(pl_module.device)
        if self._start is not None:
            self.seconds["ours"].append(now - self._start)
            with _still(trainer):
                for name, loop in self.bare.items():
                    self.seconds[name].append(self._timed(loop.update, pl_module.device))
        self._start = _time(pl_module.device)

    def _timed(self, update: Callable[[], None], device: torch.device) -> float:
        start = _time(device)
        for _ in range(self.updates):
            update()
        return _time(device) - start


class Instead(Callback):
    """Lets a bare loop play in the place of a run, with all around it as in the run.

    Args:
        updates: that the bare loop makes.
        half: whether it is in half precision.
    """

    def __init__(self, updates: int, half: bool) -> None:
        self.updates = updates
        self.half = half

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Plays, and ends the run before its first update."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        model: Any = pl_module
        loop = Bare(model, data, data.batch_size, self.half)
        for _ in range(self.updates):
            loop.update()
        trainer.should_stop = True


def _time(device: torch.device) -> float:
    """Returns the time, when the device has done all it was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def _still(trainer: Trainer) -> Iterator[None]:
    """Keeps the thread of the live progress bar from drawing in a bare loop's turn."""
    bar = trainer.progress_bar_callback
    if not isinstance(bar, Progress) or bar._live is None:
        raise RuntimeError("The progress bar must be live: set TTY_COMPATIBLE=1 and TERM=xterm.")
    with bar._live._lock:
        yield
