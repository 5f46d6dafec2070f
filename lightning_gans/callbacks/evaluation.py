"""Scores of the generator in every validation, beside what real data scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from torchmetrics import Metric
from typing_extensions import override

from lightning_gans.core.evaluating import EvaluatedModule
from lightning_gans.core.module import AdversarialModule
from lightning_gans.metrics import (
    InceptionScores,
    RecordMetric,
    TrainingNeighbours,
    better,
    fitting_metrics,
    meaning,
    range_of,
)
from lightning_gans.terminal import console

__all__ = ["Evaluation"]

BETTER = {"low": ("lower", "\u2193"), "high": ("higher", "\u2191"), "same": ("as real", "=")}
"""What the table says of a score, in words and as a sign."""
FORMS = ((4, False), (4, True), (3, True))
"""Columns of the table and whether they stand close together, for narrower and narrower terminals.
They are tried if the table is too wide with all columns, and with all but the meaning."""


class Evaluation(Callback):
    """Scores generated samples against real ones in every validation and at the end of training.

    As many samples are generated as the validation data has real ones. The floor of a score is
    what further real samples get in the place of generated ones: no generator can be expected to
    do better. It is computed once, from the data module's ``floor_dataloader`` if it has one.
    Metrics that take long are left out of training, unless they are given.

    The scores are logged as ``val/<score>`` (``test/<score>``) at the number of generator updates,
    those of the checkpoint if nothing is trained, and put where checkpoints and early stopping
    find them.

    Args:
        metrics: that are computed; by default those of `fitting_metrics`. A `RecordMetric`
            observes the fields of the model's evaluation record, and any other metric has
            ``update(samples, real=...)``. Each computes a dict of named scores.
        inception_weights: the file of Inception's weights, for `InceptionScores` in addition.

    Attributes:
        scores: of the last evaluation, by name.
        floors: what real samples score, by name.
        num_samples: generated samples of the last evaluation, over all processes.
        split: what they were compared with, "validation" or "test".
        updates: generator updates that were made until then.
        looks_for_copies: whether `TrainingNeighbours` is computed in addition; to be set before
            a checkpoint is scored.
    """

    def __init__(
        self, metrics: Sequence[Metric] | None = None, inception_weights: str | None = None
    ) -> None:
        self.metrics = None if metrics is None else list(metrics)
        self.inception_weights = inception_weights
        self.scores: dict[str, float] = {}
        self.floors: dict[str, float] = {}
        self.num_samples = 0
        self.split = "validation"
        self.updates = 0
        self.looks_for_copies = False
        self._active: dict[str, list[Metric]] = {}
        self._counted = 0
        self._scored_at = -1
        self._known_real: str | None = None

    def known_scores(self) -> set[str] | None:
        """Returns the log keys of validation, or None if a metric does not tell its own."""
        scores = [
            (name, getattr(metric, "scores", None))
            for name, metrics in self._active.items()
            for metric in metrics
        ]
        if any(names is None for _, names in scores):
            return None
        found: dict[str, set[str]] = {}
        for name, names in scores:
            found.setdefault(name, set()).update(names or ())
        keys = {_key(score, name) for name, names in found.items() for score in names}
        common = set.intersection(*found.values()) if found else set()
        return {f"val/{key}" for key in keys | common}

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, EvaluatedModule)
        data = getattr(trainer, "datamodule", None)
        self._active = {}
        fits = self.metrics is not None
        for name in pl_module.comparisons:
            # What is not named is compared with the targets of pairs, if the data has pairs.
            part = getattr(data, "sources", {}).get(name or "target", data)
            if self.metrics is None:
                fitting = fitting_metrics(part, pl_module)
                fits = fits or bool(fitting)
                metrics: list[Metric] = [m for m in fitting if m.in_training or stage != "fit"]
            else:
                metrics = [metric.clone() if name else metric for metric in self.metrics]
            if self.inception_weights is not None:
                metrics.append(InceptionScores(self.inception_weights, range_of(part)))
            if self.looks_for_copies:
                metrics.append(TrainingNeighbours.of(part if name else data))
            self._active[name] = metrics
        if not (self._all() or fits or stage == "predict"):
            kind = "a data loader alone" if data is None else f"{type(data).__name__}"
            rank_zero_warn(
                f"Evaluation: no metric fits {kind}, so nothing is scored. Use a data module that "
                "says what its samples are (docs/data.md), or give Evaluation(metrics=[...])."
            )
        self.floors = {}
        self._known_real = None

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._counted = 0
        self._begin(pl_module, "val")

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._counted = 0
        self._begin(pl_module, "test")

    def _begin(self, model: LightningModule, stage: str) -> None:
        for metric in self._all():
            if self._keeps_real(metric, stage):
                metric.reset_generated()  # type: ignore[operator]
            else:
                metric.reset()
            metric.to(model.device)

    def _all(self) -> list[Metric]:
        return [metric for metrics in self._active.values() for metric in metrics]

    def _keeps_real(self, metric: Metric, stage: str) -> bool:
        """Whether a metric still holds the real samples, the same ones as before."""
        return self._known_real == stage and hasattr(metric, "reset_generated")

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
        self._add(outputs, "val")

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
        self._add(outputs, "test")

    def _add(self, outputs: Mapping[str, Any], stage: str) -> None:
        for index, (name, metrics) in enumerate(self._active.items()):
            record = vars(outputs[name]) if name else outputs
            if index == 0:
                self._counted += len(record["fake"])
            for metric in metrics:
                if not self._keeps_real(metric, stage):
                    _observe(metric, record, real=True)
                _observe(metric, record, real=False)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._finish(trainer, pl_module, "val")

    @override
    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module, "test")

    def _finish(self, trainer: Trainer, model: LightningModule, stage: str) -> None:
        assert isinstance(model, AdversarialModule)
        number = torch.tensor(self._counted, device=model.device)
        self.num_samples = int(trainer.strategy.reduce(number, reduce_op="sum"))
        self.scores = self._compute()
        known = self._known_floors()
        self.split = "test" if stage == "test" else "validation"
        self.updates = model.updates_made
        self._scored_at = trainer.global_step
        # Any other loader may shuffle: its real samples are read anew every time.
        fixed = hasattr(trainer.datamodule, "floor_dataloader")  # type: ignore[attr-defined]
        self._known_real = stage if fixed else None
        if fixed and not self.floors:
            self.floors = self._score_real_data(trainer, model, stage)
        self.floors.update(known)
        row = {f"{stage}/{name}": value for name, value in self.scores.items()}
        model.last_logged.update(row)
        model.log_dict(row, logger=False, sync_dist=True)
        fits = trainer.state.fn == "fit"
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step if fits else model.updates_made)
        if not fits:
            self.print_table(trainer)

    def _score_real_data(
        self, trainer: Trainer, model: AdversarialModule, stage: str
    ) -> dict[str, float]:
        """Scores further real samples, at most as many as there were generated ones.

        The metrics' own states have been read by now.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._begin(model, stage)
        again = any(not self._keeps_real(metric, stage) for metric in self._all())
        loader = data.val_dataloader() if stage == "val" else data.test_dataloader()
        for batches, real in ((loader if again else (), True), (data.floor_dataloader(), False)):
            left = self._counted  # scores depend on how many samples they are of
            for batch in batches:
                if left <= 0:
                    break
                part = model.read_evaluation_batch(trainer.strategy.batch_to_device(batch))
                part = part.rows(slice(0, left))
                left -= len(part)
                whole = vars(model.floor_record(part))
                for name, metrics in self._active.items():
                    record = vars(whole[name]) if name else whole
                    for metric in metrics:
                        if _has_floor(metric) and not (real and self._keeps_real(metric, stage)):
                            _observe(metric, record, real=real)
        return self._compute(_has_floor)

    def _known_floors(self) -> dict[str, float]:
        """Returns the floors that metrics tell by themselves, for each comparison."""
        return {
            _key(score, name): floor
            for name, metrics in self._active.items()
            for metric in metrics
            if isinstance(metric, RecordMetric)
            for score, floor in metric.known_floors().items()
        }

    def training_neighbours(self) -> dict[str, TrainingNeighbours]:
        """Returns the metrics that have looked for copies, by the name of the comparison."""
        return {
            name: metric
            for name, metrics in self._active.items()
            for metric in metrics
            if isinstance(metric, TrainingNeighbours)
        }

    def _compute(self, chosen: Callable[[Metric], bool] = lambda metric: True) -> dict[str, float]:
        """Returns the scores of some metrics.

        Those of a named comparison have its name, and those of all comparisons a mean without.
        """
        found: dict[str, dict[str, float]] = {}
        for name, metrics in self._active.items():
            for metric in filter(chosen, metrics):
                for score, value in metric.compute().items():
                    found.setdefault(score, {})[name] = float(value)
        scores: dict[str, float] = {}
        for score, values in found.items():
            scores.update((_key(score, name), value) for name, value in values.items())
            if len(values) == len(self._active):
                scores[score] = sum(values.values()) / len(values)
        return scores

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.enable_validation and self._scored_at != trainer.global_step:
            # The same as Lightning's own loop does between two batches.
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True
        self.print_table(trainer)

    def print_table(self, trainer: Trainer) -> None:
        """Prints the scores of the last evaluation beside their floors, on the main process.

        A mean over several comparisons has them in its row.
        """
        if not (trainer.is_global_zero and self.scores):
            return
        screen = console()
        drawn = screen.encoding.lower().startswith("utf")
        parts = [name for name in self._active if name]
        means = [s for s in self.scores if all(_key(s, part) in self.scores for part in parts)]
        within = {_key(score, part) for score in means for part in parts}
        shown = [score for score in self.scores if score not in within]
        columns = [
            ["score", *shown],
            ["mean" if parts else "generated", *_aligned(self.scores, shown)],
            ["real data", *_aligned(self.floors, shown)],
            ["better", *(BETTER[better(score)][drawn] for score in shown)],
            *([part, *_aligned(self.scores, [_key(s, part) for s in shown])] for part in parts),
            ["meaning", *map(meaning, shown)],
        ]
        title = (
            f"Scores of {self.num_samples:,} generated samples at update {self.updates:,} "
            f"({self.split} split)"
        )
        whole = len(columns)
        forms = [(whole, False), (whole - 1, False), (whole - 1, True), *FORMS]
        tables = [_table(title, columns[:number], close=close) for number, close in forms]
        endless = screen.options.update_width(10_000)
        needed = [screen.measure(table, options=endless).minimum for table in tables]
        fitting = (t for t, width in zip(tables, needed, strict=True) if width <= screen.width)
        screen.print(next(fitting, tables[-1]))


def _table(title: str, columns: Sequence[Sequence[str]], *, close: bool) -> Table:
    """Returns a table of columns below their headings; only the narrowest breaks what is in it."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, not close), show_edge=not close)
    for cells in columns:
        breaks = cells[0] == "meaning" or len(columns) == FORMS[-1][0]
        least = max(map(len, cells)) if not breaks else 16 if cells[0] == "meaning" else 1
        # What may break, and nothing else: rich would cut off what a column that keeps its width
        # had been asked to give.
        table.add_column(cells[0], overflow="fold", min_width=least, no_wrap=not breaks)
    for row in [*zip(*columns, strict=True)][1:]:
        table.add_row(*map(Text, row))  # names may stem from a file: no markup
    return table


def _aligned(numbers: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """Returns numbers of 4 digits with their points in one column, and a dash for none."""
    texts = [f"{numbers[name]:.4g}" if name in numbers else "-" for name in names]
    heads = [text.partition(".")[0] for text in texts]
    return [" " * (max(map(len, heads)) - len(h)) + t for h, t in zip(heads, texts, strict=True)]


def _key(score: str, comparison: str) -> str:
    return f"{score}_{comparison}" if comparison else score


def _has_floor(metric: Metric) -> bool:
    return not isinstance(metric, RecordMetric) or metric.has_floor


def _observe(metric: Metric, record: Mapping[str, Any], *, real: bool) -> None:
    """Updates a metric, which may be a user's own."""
    if isinstance(metric, RecordMetric):
        metric.observe(record, real=real)
    else:
        metric.update(record["real" if real else "fake"], real=real)
