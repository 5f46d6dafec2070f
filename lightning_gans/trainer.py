"""Lightning's trainer, with one line of progress and without its notices."""

import logging
import warnings
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from lightning_gans.callbacks import Progress

__all__ = ["Trainer", "silence_notices"]

NOTICES = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own affair
    ".*is smaller than the logging interval.*",  # rows are logged all the same, over epochs
    "You defined a `validation_step` but have no `val_dataloader`.*",  # every model here has one
    ".*distributed.nn.functional.all_gather is deprecated.*",  # Lightning calls it
    ".*does not have many workers which may be a bottleneck.*",  # of batches that are in memory
)
"""Warnings of Lightning that a user can do nothing about."""


def silence_notices() -> None:
    """Lets Lightning print warnings only, and none of those that a user can do nothing about."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for notice in NOTICES:
        warnings.filterwarnings("ignore", notice)


class Trainer(pl.Trainer):
    """Lightning's trainer for GANs: one line of progress with losses and scores.

    Updates are generator updates, so ``max_steps`` counts these. The progress line counts updates,
    not epochs: see `Progress`. Lightning's table of the model is left out, and so are its notices
    and the validation batches that it tries before training: the networks and the first batch are
    checked in any case.

    Args:
        callbacks: as for Lightning's trainer; `Progress` joins them, unless there is a progress
            bar among them.
        enable_progress_bar: whether progress is shown.
        enable_model_summary: whether Lightning's table of the model is shown.
        num_sanity_val_steps: validation batches before training.
        **kwargs: as for Lightning's trainer.
    """

    def __init__(
        self,
        *,
        callbacks: list[pl.Callback] | pl.Callback | None = None,
        enable_progress_bar: bool = True,
        enable_model_summary: bool = False,
        num_sanity_val_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        silence_notices()
        given = callbacks if isinstance(callbacks, Iterable) else [callbacks] if callbacks else []
        if not enable_progress_bar:  # Lightning refuses this beside a bar, which every command has
            chosen = [callback for callback in given if not isinstance(callback, Progress)]
        elif any(isinstance(callback, ProgressBar) for callback in given):
            chosen = [*given]
        else:
            chosen = [*given, Progress()]
        super().__init__(
            callbacks=chosen,
            enable_progress_bar=enable_progress_bar,
            enable_model_summary=enable_model_summary,
            num_sanity_val_steps=num_sanity_val_steps,
            **kwargs,
        )
