"""Ending a run at a clean boundary when its machine is about to be taken away."""

import signal
import subprocess
import threading
from types import FrameType

import torch
from lightning.pytorch import Trainer

from lightning_gans.core.lightning_compat import spare_sigterm_broadcast
from lightning_gans.holders import slurm_job

__all__ = ["Notice", "Preempted"]

ANNOUNCEMENTS = [
    number
    for number in signal.Signals
    if number.name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
]
"""Signals that end a run; SIGHUP if its terminal is closed. Windows lacks the last two."""


class Preempted(SystemExit):
    """Ends a run that was told to stop, after its state has been written.

    Args:
        number: of the signal.
        requeued: whether the job waits in the queue again. The exit code is 0 then, or else 128
            plus the number of the signal, as a shell has it.
        note: what a user should know.
    """

    def __init__(self, number: int, *, requeued: bool = False, note: str = "") -> None:
        super().__init__(0 if requeued else 128 + number)
        self.number = number
        self.requeued = requeued
        self.note = note

    def __str__(self) -> str:
        return signal.Signals(self.number).name


class Notice:
    """Takes note of the signals that end a run: Ctrl-C, and what clusters announce a stop by.

    Lightning would stop in the middle of a round on Ctrl-C, with nothing written; on SIGUSR1 it
    would write a checkpoint from there, and go on training. Here the handler only takes note. A
    second Ctrl-C interrupts at once.
    """

    def __init__(self) -> None:
        self._number = 0
        self._interrupted = False

    def listen(self, trainer: Trainer) -> None:
        """Waits for signals, until Lightning puts back the handlers that it found."""
        self._number, self._interrupted = 0, False
        spare_sigterm_broadcast(trainer)
        if threading.current_thread() is threading.main_thread():  # no other can
            for number in ANNOUNCEMENTS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as Ctrl-C in the background
                    signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
        self._number = self._number or number

    def agreed(self, trainer: Trainer) -> int:
        """Returns the signal that has come, or 0; on all processes the same.

        Several processes compare notes at the updates that are logged only: to do so at every
        update would make them wait for each other.
        """
        if trainer.world_size == 1:
            return self._number
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % max(1, every) != 0:
            return 0
        noted = torch.tensor(self._number, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(noted, reduce_op="max"))

    def end(self, number: int, trainer: Trainer) -> Preempted:
        """Returns what ends the run; on a cluster, SIGUSR1 puts its job into the queue again."""
        job = slurm_job()
        if signal.Signals(number).name != "SIGUSR1" or job is None:
            return Preempted(number)
        if not trainer.is_global_zero:
            return Preempted(number, requeued=True)
        try:
            subprocess.run(
                ["scontrol", "requeue", job], check=True, capture_output=True, text=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            return Preempted(number, note=f"scontrol requeue {job} failed: {reason.strip()}")
        return Preempted(number, requeued=True, note=f"job {job} waits in the queue again")
