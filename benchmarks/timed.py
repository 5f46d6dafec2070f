"""Callbacks that time a training run, or change how it is laid out in memory."""

import time
from typing import Any

import torch
from duel import Watch
from lightning.pytorch import LightningModule, Trainer

__all__ = ["ChannelsLast", "Timed"]


class ChannelsLast(Watch):
    """Lays out the weights so that the channels of a pixel are next to each other."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lays out the networks."""
        pl_module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class Timed(Watch):
    """Times turns of some updates, and notes how much memory they take.

    Attributes:
        seconds: of each turn, by the clock.
        cpu_seconds: of each turn, of all threads on the CPU.
        memory: the most that tensors on the GPU took in these turns, in bytes; 0 on a CPU.

    Args:
        warm_up: updates before the first turn.
        updates: of each turn.
    """

    def __init__(self, warm_up: int, updates: int) -> None:
        self.warm_up = warm_up
        self.updates = updates
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.memory = 0
        self._start: tuple[float, float] | None = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Ends a turn, if it has made its updates."""
        made = trainer.global_step - self.warm_up
        if made < 0 or made % self.updates:
            return
        gpu = pl_module.device.type == "cuda"
        if gpu:
            torch.cuda.synchronize()
        if self._start is not None:
            wall, cpu = self._start
            self.seconds.append(time.perf_counter() - wall)
            self.cpu_seconds.append(time.process_time() - cpu)
        elif gpu:
            torch.cuda.reset_peak_memory_stats()
        if gpu:
            self.memory = torch.cuda.max_memory_allocated()
        self._start = time.perf_counter(), time.process_time()
