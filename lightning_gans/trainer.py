"""Lightning's trainer, with one line of progress and without its notices."""

import logging
import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import (
    GradientAccumulationScheduler,
    LearningRateFinder,
    ProgressBar,
    StochasticWeightAveraging,
    WeightAveraging,
)

from lightning_gans.callbacks import Progress

__all__ = ["Trainer", "silence_notices"]

NOTICES = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own affair
    ".*is smaller than the logging interval.*",  # rows are logged all the same, over epochs
    "You defined a `validation_step` but have no `val_dataloader`.*",  # every model here has one
    ".*distributed.nn.functional.all_gather is deprecated.*",  # Lightning calls it
    "Using ModelCheckpoint with manual optimization.*",  # its checkpoints are of whole updates
    ".*does not have many workers which may be a bottleneck.*",  # of batches that are in memory
)
"""Warnings of Lightning that a user can do nothing about."""


def silence_notices() -> None:
    """Lets Lightning print warnings only, and none of those that a user can do nothing about."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for notice in NOTICES:
        warnings.filterwarnings("ignore", notice)


Method = TypeVar("Method", bound=Callable[..., Any])


def _with_scores(evaluate: Method) -> Method:
    """Returns a method that evaluates a model and also returns the scores of `Evaluation`.

    Lightning returns what it logs, and `Evaluation` gives its scores to the loggers by itself.

    Args:
        evaluate: Lightning's method, whose arguments the command line shows.
    """

    @wraps(evaluate)
    def scored(self: pl.Trainer, *args: Any, **kwargs: Any) -> list[dict[str, float]]:
        logged = evaluate(self, *args, **kwargs)
        scores = {name: value.item() for name, value in self.callback_metrics.items()}
        return [{**scores, **values} for values in logged]

    return cast("Method", scored)


ELSEWHERE = {
    "gradient_clip_val": (0, "the argument gradient_clip_norm of the model"),
    "accumulate_grad_batches": (1, "a larger batch_size"),
}
"""Arguments of Lightning's trainer that cannot treat two players, the value that asks for nothing,
and what to use instead."""
UNFIT: dict[type[pl.Callback], str] = {
    StochasticWeightAveraging: "GeneratorSWA",
    WeightAveraging: "GeneratorEMA",
    LearningRateFinder: "optimizer_g and optimizer_d of the model",
    GradientAccumulationScheduler: "a larger batch_size",
}
"""Callbacks of Lightning that cannot treat two players, and what to use instead."""


def _check_fits(arguments: dict[str, Any], callbacks: Iterable[pl.Callback]) -> None:
    """Refuses arguments and callbacks that are made for models with one loss."""
    for name, (nothing, remedy) in ELSEWHERE.items():
        value = arguments.get(name)
        if value not in (None, nothing):
            raise ValueError(
                f"{name}: a trainer cannot do this for several players, got {value}. Use {remedy}."
            )
    for callback in callbacks:
        for kind, remedy in UNFIT.items():
            if isinstance(callback, kind):
                raise ValueError(
                    f"callbacks: {type(callback).__name__} is made for a model with one loss and "
                    f"one optimizer. Use {remedy}."
                )


class Trainer(pl.Trainer):
    """Lightning's trainer for GANs: one line of progress with losses and scores.

    Updates are generator updates, so ``max_steps`` counts these. The progress line counts updates,
    not epochs: see `Progress`. Lightning's table of the model is left out, and so are its notices
    and the validation batches that it tries before training: the networks and the first batch are
    checked in any case. `validate` and `test` return the scores of `Evaluation`.

    Args:
        callbacks: as for Lightning's trainer; `Progress` joins them, unless there is a progress
            bar among them.
        enable_progress_bar: whether progress is shown.
        enable_model_summary: whether Lightning's table of the model is shown.
        num_sanity_val_steps: validation batches before training.
        **kwargs: as for Lightning's trainer.

    Raises:
        ValueError: if an argument or a callback is made for a model with one loss, such as
            ``gradient_clip_val``.
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
        _check_fits(kwargs, given)
        if not enable_progress_bar:  # Lightning refuses this beside a bar, which every command has
            chosen = [callback for callback in given if not isinstance(callback, Progress)]
        else:
            has_bar = any(isinstance(callback, ProgressBar) for callback in given)
            chosen = [*given, *([] if has_bar else [Progress()])]
        super().__init__(
            callbacks=chosen,
            enable_progress_bar=enable_progress_bar,
            enable_model_summary=enable_model_summary,
            num_sanity_val_steps=num_sanity_val_steps,
            **kwargs,
        )

    validate = _with_scores(pl.Trainer.validate)
    test = _with_scores(pl.Trainer.test)
