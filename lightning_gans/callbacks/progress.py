"""Progress of training and scoring: a live bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Group
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from lightning_gans.core.module import AdversarialModule
from lightning_gans.metrics.names import SCORES
from lightning_gans.progress import DRAWINGS_PER_S, Bar, Work, counted
from lightning_gans.terminal import console

__all__ = ["Progress"]

SHOWN = (
    *("loss_d", "loss_g", "wasserstein"),
    *(name for name, score in SCORES.items() if score.shown),
)
"""What the screen shows of the log rows, in this order, where it is there."""


class Progress(ProgressBar):
    """Shows the updates made, the time left, the latest losses and the latest scores.

    Validation, test and prediction show their batches if they take longer than 1.5 seconds.

    Reads what has been logged already: it costs no transfer from the device of its own.

    Args:
        every_n_seconds: time between two lines where there is no terminal, above 0.

    Raises:
        ValueError: if ``every_n_seconds`` is not above 0.
    """

    def __init__(self, every_n_seconds: float = 30.0) -> None:
        if not every_n_seconds > 0:
            raise ValueError(f"every_n_seconds must be above 0, got {every_n_seconds}.")
        super().__init__()
        self.every_n_seconds = every_n_seconds
        self._enabled = True
        self._live: Live | None = None
        self._work: Work | None = None

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if not self._enabled:
            return
        self._console = console()
        self._start = self._shown = time.monotonic()
        self._first = trainer.global_step
        self._last: tuple[int, str] | None = None
        self._total = _total_updates(trainer)
        if self._console.is_interactive:
            self._bar = Bar()
            self._task = self._bar.add_task(
                type(pl_module).__name__,
                total=self._total,
                completed=self._first,
                unit="updates",
            )
            self._live = Live(self._bar, console=self._console, refresh_per_second=DRAWINGS_PER_S)
            self._live.start()

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if not self._enabled:
            return
        now = time.monotonic()
        pause = 1 / DRAWINGS_PER_S if self._live is not None else self.every_n_seconds
        if now - self._shown >= pause:
            self._shown = now
            self._show(trainer, pl_module)

    def _show(self, trainer: Trainer, gan: AdversarialModule) -> None:
        update, values = self._last = trainer.global_step, _values(gan.last_logged)
        if self._live is not None:
            self._bar.update(self._task, completed=update)
            self._live.update(Group(self._bar, Text(values, style="dim", overflow="fold")))
            return
        seconds = max(time.monotonic() - self._start, 1e-9)
        count = counted(update, self._total, self._first, seconds)
        speed = (update - self._first) / seconds
        line = Text(f"update {count}, {speed:.3g} updates/s  {values}")
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if self._enabled:
            now = trainer.global_step, _values(pl_module.last_logged)
            if self._live is not None or now != self._last:
                self._show(trainer, pl_module)
            self._stop()

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._begin("validation", trainer.num_val_batches)

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._count(then="computing scores")

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin("test", trainer.num_test_batches)

    @override
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._count(then="computing scores")

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin("prediction", trainer.num_predict_batches)

    @override
    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._count()

    @override
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()

    def _begin(self, text: str, batches: Sequence[float]) -> None:
        if self._enabled:
            total = sum(batches)
            self._watch(text, total if isfinite(total) else None, "batches")

    def _watch(self, text: str, total: float | None = None, unit: str = "") -> None:
        within = None if self._live is None else self._bar
        every = self.every_n_seconds
        self._work = Work(text, total, unit, within=within, every_n_seconds=every)
        self._work.start()

    def _count(self, then: str | None = None) -> None:
        """Counts a batch; what follows the last one has no batches, but may take long, too."""
        if self._work is not None:
            self._work.done += 1
            if then is not None and self._work.done == self._work.total:
                self._end()
                self._watch(then)

    def _end(self) -> None:
        if self._work is not None:
            self._work.stop()
            self._work = None

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._end()
        if self._live is not None:
            self._live.stop()
            self._live = None


def _total_updates(trainer: Trainer) -> int | None:
    """Returns the updates that a run will have made in the end, if that can be told."""
    limits = [float(trainer.max_steps)] if trainer.max_steps > 0 else []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        limits.append(trainer.max_epochs * trainer.num_training_batches)
    limit = min(limits, default=inf)
    return int(limit) if isfinite(limit) else None


def _values(live: dict[str, float]) -> str:
    found = {key.partition("/")[2]: value for key, value in live.items()}
    return "  ".join(f"{name} {found[name]:.4g}" for name in SHOWN if name in found)
