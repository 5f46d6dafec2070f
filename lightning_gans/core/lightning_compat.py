"""The private names of Lightning that this package uses, and why each.

A new release of Lightning can change any of them: this is the file to read then.
"""

import copy
import os
from collections.abc import Callable
from typing import Any

import torch
from lightning.fabric.utilities.cloud_io import _is_local_file_protocol
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from lightning.pytorch.core.optimizer import do_nothing_closure
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from typing_extensions import override

from lightning_gans.errors import InputError

__all__ = [
    "CommandLine",
    "NumberedLogger",
    "do_nothing_closure",
    "given_hyperparameters",
    "is_local",
    "move_tensorboard",
    "move_wandb",
    "set_hyperparameters",
    "shares_statistics",
    "skip_saving",
    "spare_driver_search",
    "spare_sigterm_broadcast",
    "trainer_of",
    "validates_now",
    "wandb_run",
    "wandb_settings",
    "wrap_termination",
    "write_checkpoint",
]

given_hyperparameters = _given_hyperparameters
"""The arguments of a model as the command line has them, while LightningCLI makes it: plain data,
from which a checkpoint can build its networks again."""

is_local = _is_local_file_protocol
"""Whether a path is that of a file on this machine, by Lightning's own rule."""


def set_hyperparameters(module: LightningModule, values: dict[str, Any]) -> None:
    """Replaces the hyper-parameters of a model.

    ``save_hyperparameters`` adds to those that are there, and merges those of base classes.
    """
    module._hparams = module._to_hparams_dict(copy.deepcopy(values))
    module._hparams_initial = copy.deepcopy(module._hparams)  # type: ignore[assignment]


def trainer_of(module: LightningModule) -> Trainer | None:
    """Returns the trainer of a model, if it has one; ``module.trainer`` raises if it has none."""
    return module._trainer


def shares_statistics(trainer: Trainer) -> bool:
    """Whether the processes share the statistics of BatchNorm layers.

    ``sync_batchnorm`` of a trainer is kept as ``_layer_sync`` of its strategy only.
    """
    return getattr(trainer.strategy, "_layer_sync", None) is not None


def spare_driver_search() -> None:
    """Keeps optimizers from searching for a driver in every step on a machine without a GPU.

    Lightning asks PyTorch by this variable to look for GPUs without starting their driver.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def spare_sigterm_broadcast(trainer: Trainer) -> None:
    """Keeps processes from asking each other in every update whether SIGTERM has come.

    They would wait for the answer; `Notice` asks at the updates that are logged.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def validates_now(trainer: Trainer) -> bool:
    """Whether a validation follows the current batch, which no public name tells."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def skip_saving(callback: ModelCheckpoint, trainer: Trainer) -> bool:
    """Whether no checkpoint is to be written now, as in a sanity check or ``fast_dev_run``."""
    return callback._should_skip_saving_checkpoint(trainer)


def write_checkpoint(callback: ModelCheckpoint, trainer: Trainer, path: str) -> None:
    """Writes a checkpoint as ModelCheckpoint does, which tells the loggers of it."""
    callback._save_checkpoint(trainer, path)


def wrap_termination(
    observer: Any, wrap: Callable[[Callable[[], None]], Callable[[], None]]
) -> None:
    """Puts something around what a thread of Lightning does when a process has failed.

    Args:
        observer: the thread, which kills this process then.
        wrap: returns what it does instead.
    """
    observer._terminate_all = wrap(observer._terminate_all)


def move_tensorboard(logger: TensorBoardLogger, folder: str) -> None:
    """Lets a logger that has not begun write elsewhere; the folder is known after it is made."""
    logger._root_dir = folder


def move_wandb(logger: WandbLogger, folder: str) -> None:
    """Lets a logger that has not begun write elsewhere; the folder is known after it is made."""
    logger._save_dir = logger._wandb_init["dir"] = folder


def wandb_settings(logger: WandbLogger, **settings: str) -> dict[str, str | None]:
    """Changes settings of a logger that has not begun, and returns its name, id and job type."""
    logger._wandb_init.update(settings)
    logger._name = settings.get("name", logger._name)
    logger._id = settings.get("id", logger._id)
    job_type = logger._wandb_init.get("job_type")
    return {"name": logger._name, "id": logger._id, "job_type": job_type}


def wandb_run(logger: WandbLogger) -> Any:
    """Returns the run of a logger, None if it has not begun; ``experiment`` would begin it."""
    return logger._experiment


class CommandLine(LightningCLI):
    """LightningCLI with names for what a subclass needs of it."""

    @override
    def _parse_ckpt_path(self) -> None:
        """Does nothing: Lightning would take the arguments of a checkpoint's model by itself."""

    @override
    def _set_seed(self) -> None:
        """Seeds everything, which is where Lightning checks the seed.

        Raises:
            InputError: if it is out of range.
        """
        try:
            super()._set_seed()
        except ValueError as error:
            raise InputError(f"seed_everything: {error}") from error

    def setting(self, key: str) -> Any:
        """Returns a setting of the command that runs, as the parser has read it."""
        return self._get(self.config, key)

    def made(self, key: str) -> Any:
        """Returns what was made from a setting."""
        return self._get(self.config_init, key)

    def parser_of(self, command: str) -> LightningArgumentParser:
        """Returns the parser of a command, the only one that can write its configuration."""
        return self._subcommand_parsers[command]


class NumberedLogger(CSVLogger):
    """CSVLogger whose subclass chooses the number of a new run."""

    @override
    def _get_next_version(self) -> int:
        return self.new_version()

    def new_version(self) -> int:
        """Returns the number of a new run."""
        return super()._get_next_version()
