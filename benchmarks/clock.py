"""A clock inside a training run."""

import time
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["Clock"]


class Clock(Callback):
    """Notes when a training run has made some of its updates, and when all of them.

    Attributes:
        seconds: between the two, of every run of this process so far.

    Args:
        warm_up: updates before the clock starts.
    """

    # Of the class: the runs are started by name and hand nothing back.
    seconds: ClassVar[list[float]] = []

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.start: float | None = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Reads the clock."""
        if trainer.global_step == self.warm_up:
            self.start = time.perf_counter()
        elif trainer.global_step == trainer.max_steps and self.start is not None:
            self.seconds.append(time.perf_counter() - self.start)
