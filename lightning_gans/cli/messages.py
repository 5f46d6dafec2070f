"""What a command says of a run on the terminal, beside its progress."""

import shlex
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Timer
from torch.nn.parameter import is_lazy

from lightning_gans.cli.screen import say
from lightning_gans.core.module import AdversarialModule
from lightning_gans.loggers import WandB

__all__ = ["print_header", "print_resume_hint", "print_summary", "print_uploads"]

LEFT_BEHIND = {
    "figures/real_and_generated.png": "real beside generated samples",
    "figures/reconstructions.png": "real samples over their reconstructions",
    "figures/training.gif": "the training as an animation",
    "figures/curves.png": "losses, gradient norms and scores",
    "metrics.csv": "every logged value",
    "checkpoints/best.ckpt": "best checkpoint",
    "checkpoints/last.ckpt": "last checkpoint",
}
"""What is worth a look in the folder of a run."""


def print_header(
    trainer: Trainer,
    model: AdversarialModule,
    data: LightningDataModule,
    seed: int,
    checkpoint: str | None,
    changes: Sequence[str],
    *,
    batch_is_given: bool,
    is_new: bool = False,
) -> None:
    """Says what is trained, on what, and from where.

    Args:
        trainer: tells the devices.
        model: tells its class and its size.
        data: tells its class and the samples in a batch.
        seed: of the run.
        checkpoint: that the run begins with, if it does.
        changes: what is otherwise than in the checkpoint.
        batch_is_given: whether a flag says how many samples each process reads.
        is_new: whether the run is another than that of the checkpoint.
    """
    ranks = trainer.world_size
    sizes = {
        name: sum(weight.numel() for weight in network.parameters() if not is_lazy(weight))
        for name, network in model.named_children()
    }
    device = trainer.strategy.root_device.type
    parameters = " + ".join(f"{size:,} ({name})" for name, size in sizes.items() if size > 0)
    say(
        f"{type(model).__name__} on {type(data).__name__}, {parameters} parameters, "
        f"{ranks} x {device}{_threads(device)}, seed {seed}",
        breaks=True,
    )
    batch_size = getattr(data, "batch_size", None)
    if batch_size is not None and ranks > 1:
        text = (
            f"an update of the discriminator sees {ranks} x {batch_size} = "
            f"{ranks * batch_size:,} real samples; the learning rates are left as they are."
        )
        # A batch that somebody has chosen, now or for the run that goes on, may be such a share.
        advice = "" if batch_is_given or checkpoint else _keeping(trainer, data, batch_size)
        say(f"{text} {advice}".strip(), breaks=True)
    if checkpoint:
        say(f"{'new run, forked' if is_new else 'resuming'} from {checkpoint}")
    for change in changes:
        say(f"changed from the checkpoint: {change}")


def _keeping(trainer: Trainer, data: LightningDataModule, batch_size: int) -> str:
    """Returns how all processes together see the samples that one would see, as published."""
    each, rest = divmod(batch_size, trainer.world_size)
    if rest == 0 and "batch_size" in signature(type(data)).parameters:
        return f"Use --data.batch_size {each} to keep {batch_size:,} in all."
    nodes = " --trainer.num_nodes 1" if trainer.num_nodes > 1 else ""
    return f"Use --trainer.devices 1{nodes} to keep {batch_size:,}."


def _threads(device: str) -> str:
    number = torch.get_num_threads()
    return f" with {number} thread{'s' * (number > 1)}" if device == "cpu" else ""


def print_summary(
    trainer: Trainer, folder: Path, modules: Sequence[str], *, trained: bool
) -> None:
    """Says what a finished run leaves in its folder, and how to train longer.

    Args:
        trainer: which has run.
        folder: of the run.
        modules: that the command imports.
        trained: whether there was anything left to train.
    """
    if not trained:
        flag = _longer(trainer)
        limit = "its end" if flag is None else flag.split()[0].removeprefix("--")
        say(f"nothing left to train: {limit} has been reached")
    for name, what in LEFT_BEHIND.items():
        if (folder / name).exists():
            say(f"{what}: {folder / name}")
    last = folder / "checkpoints" / "last.ckpt"
    if last.exists() and trainer.max_steps > 0:
        flag = _longer(trainer)
        if flag is not None:
            say(f"to train longer: {_resuming(last, modules)} {flag}")
    print_uploads(trainer)


def _longer(trainer: Trainer) -> str | None:
    """Returns the flag that doubles what ended a run: its time, its epochs or its updates.

    There is none for a run whose learning rate has come to the end of its way.
    """
    periods = (getattr(c.scheduler, "T_max", None) for c in trainer.lr_scheduler_configs)
    if any(period is not None and trainer.global_step >= period for period in periods):
        return None
    for timer in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(timer, Timer) and (left := timer.time_remaining()) is not None and left <= 0:
            seconds = 2 * round(timer.time_elapsed() + left)
            minutes, seconds = divmod(seconds, 60)
            hours, minutes = divmod(minutes, 60)
            days, hours = divmod(hours, 24)
            return f"--trainer.max_time {days:02}:{hours:02}:{minutes:02}:{seconds:02}"
    epochs = trainer.max_epochs
    if trainer.global_step < trainer.max_steps and epochs and epochs > 0:
        return f"--trainer.max_epochs {2 * epochs}"
    return f"--trainer.max_steps {2 * trainer.max_steps}"


def print_uploads(trainer: Trainer) -> None:
    """Says how to upload what W&B has recorded offline."""
    for logger in trainer.loggers:
        command = logger.to_upload() if isinstance(logger, WandB) else None
        if command is not None:
            say(f"to upload it to W&B: {command}")


def print_resume_hint(
    trainer: Trainer, folder: Path, modules: Sequence[str], note: str = ""
) -> None:
    """Says where a run was stopped, why if a note tells, and what continues it.

    Args:
        trainer: which has been stopped.
        folder: of the run.
        modules: that the command imports.
        note: why it was stopped.
    """
    updates = trainer.global_step
    say(f"stopped after {updates:,} update{'s' if updates != 1 else ''}")
    if note:
        say(note)
    last = folder / "checkpoints" / "last.ckpt"
    if last.exists():
        say(f"resume with: {_resuming(last, modules)}")


def _resuming(checkpoint: Path, modules: Sequence[str]) -> str:
    """Returns the command that resumes a run."""
    imports = (part for module in modules for part in ("--import", module))
    return shlex.join(["lightning-gans", "fit", "--ckpt_path", str(checkpoint), *imports])
