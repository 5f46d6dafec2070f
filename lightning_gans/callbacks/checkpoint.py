"""Checkpoints that are whole, finite, and as late as they can be."""

import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from lightning_gans.callbacks.evaluation import Evaluation
from lightning_gans.callbacks.preemption import Notice
from lightning_gans.core.lightning_compat import (
    is_local,
    skip_saving,
    validates_now,
    write_checkpoint,
)
from lightning_gans.files import PARTIAL, replacing

__all__ = ["AtomicCheckpointIO", "Checkpoint"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, flushes it to the disk and renames it.

    Lightning's own way goes through the folder for temporary files, which is no rename if that is
    on another file system.
    """

    @override
    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        if not is_local(str(path)):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            with replacing(Path(path)) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # PyTorch's has the system's as its context
            reason = error if isinstance(error, OSError) else error.__context__ or error
            raise OSError(
                f"{path} could not be written, the checkpoint before it is kept: {reason}"
            ) from error


class Checkpoint(ModelCheckpoint):
    """Writes ``best.ckpt``, and ``last.ckpt`` regularly, after validations and at the end.

    Where validation falls on the same update, the checkpoint comes after it. The loggers are
    flushed first, so that no row is lost that is older than the checkpoint.

    Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 end the run with a ``last.ckpt`` once the round is over,
    and the validation that follows it; in several processes, at the next update that is logged. In
    a SLURM job SIGUSR1 puts the job into the queue again.

    Args:
        monitor: score that decides which state is the best, such as "val/sliced_w"; no
            ``best.ckpt`` is written if it is not given.
        mode: whether the score is best at its least or at its greatest.
        every_n_updates: generator updates between two writes of ``last.ckpt``, at least 1.
        dirpath: where to; the folder ``checkpoints`` of the run if it is not given.

    Raises:
        ValueError: if ``every_n_updates`` is below 1, or no evaluation computes the score.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_n_updates: int = 1000,
        dirpath: str | None = None,
    ) -> None:
        if every_n_updates < 1:
            raise ValueError(f"every_n_updates must be at least 1, got {every_n_updates}.")
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            every_n_train_steps=every_n_updates,
            enable_version_counter=False,
        )
        self.every_n_updates = every_n_updates
        self.best_update: int | None = None
        self._notice = Notice()

    @property
    @override
    def state_key(self) -> str:
        return "Checkpoint"

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        with warnings.catch_warnings():
            # A resumed run finds its own checkpoints.
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._check_monitor(trainer)
            self._check_folder(trainer)
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        if trainer.is_global_zero and stage == "fit":
            for leftover in self._folder.glob(f"*{PARTIAL}"):
                leftover.unlink()

    def _check_monitor(self, trainer: Trainer) -> None:
        """Refuses a score that no evaluation of this data computes; they are set up by now."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            names = callback.known_scores() if isinstance(callback, Evaluation) else None
            if names is not None and self.monitor not in [None, *names]:
                raise ValueError(_no_score(self.monitor, "scores of this data", names))

    def _check_folder(self, trainer: Trainer) -> None:
        """Refuses a folder that cannot be made, before training ends at the first checkpoint."""
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        try:
            made = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
            self._folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self._folder, os.W_OK):
                raise PermissionError("it is not writable")
            with suppress(OSError):  # another run may have begun in one of them
                for path in made:
                    path.rmdir()
        except OSError as error:
            raise ValueError(
                f"dirpath: checkpoints cannot be written to {self._folder}: {error}"
            ) from error

    @property
    def _folder(self) -> Path:
        assert self.dirpath is not None
        return Path(self.dirpath)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._notice.listen(trainer)

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        told_to_stop = self._notice.agreed(trainer)
        if not (told_to_stop or trainer.global_step % self.every_n_updates == 0):
            return
        at_end = trainer.global_step == trainer.max_steps and trainer.enable_validation
        if validates_now(trainer) or at_end:
            return  # the checkpoint comes after the validation, and so does the end
        if not skip_saving(self, trainer):
            self._save(trainer, "last")
        if told_to_stop:
            raise self._notice.end(told_to_stop, trainer)

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Ends the epoch in the checkpoint if its last batch has been trained on.

        Lightning would begin the next epoch from such a checkpoint without counting it.
        """
        progress = checkpoint["loops"]["fit_loop"]
        epoch, batch = progress["epoch_progress"], progress["epoch_loop.batch_progress"]
        in_epoch = epoch["current"]["processed"] == epoch["current"]["started"] - 1
        in_batch = batch["current"]["completed"] == batch["current"]["processed"] - 1
        if batch["is_last_batch"] and in_epoch and in_batch:
            for counter in (epoch["total"], epoch["current"]):
                counter.update(dict.fromkeys(counter, counter["started"]))
            batch["total"]["completed"] = batch["total"]["processed"]
            batch["current"].update(dict.fromkeys(batch["current"], 0))
            batch["is_last_batch"] = False
            validation = progress["epoch_loop.val_loop.batch_progress"]["total"]
            validation.update(dict.fromkeys(validation, 0))
            progress["epoch_loop.state_dict"]["_batches_that_stepped"] += 1

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        fits = trainer.state.fn == TrainerFn.FITTING and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if not fits or trainer.sanity_checking:
            return
        # The last validation may follow on a checkpoint of the same update, which lacks its score.
        if self.monitor is not None and self._improves(trainer):
            self._save(trainer, "best")
        self._save(trainer, "last")
        told_to_stop = self._notice.agreed(trainer)
        if told_to_stop:
            raise self._notice.end(told_to_stop, trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Does nothing: epochs are no occasion, updates and validations are."""

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not skip_saving(self, trainer):
            self._save(trainer, "last")

    def _improves(self, trainer: Trainer) -> bool:
        """Notes the score if it is the best so far."""
        assert self.monitor is not None
        if self.monitor not in trainer.callback_metrics:
            raise ValueError(_no_score(self.monitor, "scores", trainer.callback_metrics))
        score = trainer.callback_metrics[self.monitor].detach().clone()
        best = self.best_model_score
        better = best is None or (score < best if self.mode == "min" else score > best)
        if not (better and score.isfinite()):
            return False
        self.best_model_score = score
        self.best_update = trainer.global_step
        self._know_best()
        return True

    def _know_best(self) -> None:
        """Fills in what Lightning and its loggers look for."""
        assert self.best_model_score is not None
        self.best_model_path = str(self._folder / "best.ckpt")
        self.best_k_models = {self.best_model_path: self.best_model_score}
        self.kth_best_model_path = self.best_model_path

    def _save(self, trainer: Trainer, name: str) -> None:
        model: Any = trainer.lightning_module
        with model.stopwatch.paused():
            for logger in trainer.loggers:
                logger.save()
            path = self._folder / f"{name}.ckpt"
            if name == "last":
                self.last_model_path = str(path)
            write_checkpoint(self, trainer, str(path))

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the best score and its update: no paths, so that folders may move."""
        score = None if self.best_model_score is None else float(self.best_model_score)
        return {
            "monitor": self.monitor,
            "mode": self.mode,
            "best_score": score,
            "best_update": self.best_update,
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        known = (state_dict.get("monitor"), state_dict.get("mode"))
        if known != (self.monitor, self.mode):
            return  # the best by another score need not be the best by this one
        if state_dict["best_score"] is not None and (self._folder / "best.ckpt").exists():
            self.best_model_score = torch.tensor(state_dict["best_score"])
            self.best_update = state_dict["best_update"]
            self._know_best()


def _no_score(monitor: str | None, scores: str, names: Iterable[str]) -> str:
    """Returns the message about a score that there is not."""
    known = ", ".join(sorted(names))
    if known:
        return f"monitor: {monitor} is not among the {scores}. Use one of {known}."
    return (
        f"monitor: there is no {monitor}, since nothing is scored. Without a data module, use "
        "Evaluation with metrics, such as Evaluation([SlicedWasserstein()])."
    )
