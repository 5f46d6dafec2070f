"""The private names of Lightning that the core uses, and why each."""

import os

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from lightning.pytorch.core.optimizer import do_nothing_closure

__all__ = [
    "do_nothing_closure",
    "given_hyperparameters",
    "shares_statistics",
    "spare_driver_search",
]

given_hyperparameters = _given_hyperparameters
"""The arguments of a model as the command line has them, while LightningCLI makes it: plain data,
from which a checkpoint can build its networks again."""


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
