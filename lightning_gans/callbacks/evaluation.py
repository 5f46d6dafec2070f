"""Scores of the generator in every validation, beside what real data scores."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Reconstructs
from lightning_gans.metrics import (
    MEANINGS,
    ClassDiversity,
    DigitQuality,
    HistogramDivergence,
    InceptionScores,
    LabelFidelity,
    LabelMetric,
    ModeCoverage,
    PatternError,
    ReconstructionError,
    SlicedWasserstein,
    Wasserstein,
    better,
    digit_reader,
    mode_reader,
)
from lightning_gans.metrics.labels import Reader

__all__ = ["Evaluation", "fitting_metrics"]


def fitting_metrics(
    data: object, num_classes: int | None = None, *, reconstructs: bool = False
) -> list[Metric]:
    """Returns the metrics that fit some data, by what the data module tells of itself.

    Vectors get transport distances, points in the plane divergences of histograms as well,
    mixtures with ``modes`` and ``sd`` their coverage, and a ``pattern`` its error. Images get the
    sliced Wasserstein distance, and digits (``content``) their judge. Samples that are asked for
    by class are scored for what they were asked for, too, and reconstructions for their error.

    Args:
        data: the data module, or None.
        num_classes: of the model, if it has any.
        reconstructs: whether the model is one that `Reconstructs`.
    """
    metrics: list[Metric] = []
    if hasattr(data, "modes") and hasattr(data, "sd"):
        metrics.append(ModeCoverage(data.modes, data.sd))
    if hasattr(data, "pattern"):
        metrics.append(PatternError(data.pattern))
    shape = getattr(data, "data_shape", ())
    if getattr(data, "content", None) == "digits":
        metrics.append(DigitQuality(getattr(data, "value_range", (-1.0, 1.0))))
    if len(shape) == 1:
        metrics += [Wasserstein(1), Wasserstein(2)]
    if len(shape) in (1, 3):
        metrics.append(SlicedWasserstein())
    if shape == (2,):
        metrics.append(HistogramDivergence())
    read = None if num_classes is None else _reader(data)
    if read is not None:
        metrics.append(LabelFidelity(read))
    if num_classes is not None:
        metrics.append(ClassDiversity())
    if reconstructs and shape:
        metrics.append(ReconstructionError(shape, read))
    return metrics


def _reader(data: object) -> Reader | None:
    """Returns what reads the classes of samples, where that can be done."""
    if getattr(data, "content", None) == "digits":
        return digit_reader(getattr(data, "value_range", (-1.0, 1.0)))
    return mode_reader(data.modes) if hasattr(data, "modes") else None


class Evaluation(Callback):
    """Scores generated samples against real ones in every validation and at the end of training.

    As many samples are generated as the validation data has real ones. The floor of a score is
    what further real samples get in the place of generated ones: no generator can be expected to
    do better. It is computed once, from the data module's ``floor_dataloader`` if it has one.

    The scores are logged as ``val/<score>`` (``test/<score>``) at the number of generator updates,
    and put where checkpoints and early stopping find them.

    Args:
        metrics: updated with ``update(samples, real=...)``, or those that are a `LabelMetric` with
            the labels as well, or a `ReconstructionError`, computing dicts of named scores; those
            of `fitting_metrics` if they are not given.
        inception_weights: the file of Inception's weights, for `InceptionScores` in addition.

    Attributes:
        scores: of the last evaluation, by name.
        floors: what real samples score, by name.
        num_samples: generated samples of the last evaluation, over all processes.
    """

    def __init__(
        self, metrics: Sequence[Metric] | None = None, inception_weights: str | None = None
    ) -> None:
        self.metrics = None if metrics is None else list(metrics)
        self.inception_weights = inception_weights
        self.scores: dict[str, float] = {}
        self.floors: dict[str, float] = {}
        self.num_samples = 0
        self._active: list[Metric] = []
        self._scored_at = -1
        self._known_real: str | None = None

    def known_scores(self) -> set[str] | None:
        """Returns the log keys of validation, or None if a metric does not tell its own."""
        scores: list[Any] = [getattr(metric, "scores", None) for metric in self._active]
        if None in scores:
            return None
        return {f"val/{name}" for names in scores for name in names}

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        data = getattr(trainer, "datamodule", None)
        classes = getattr(pl_module, "num_classes", None)
        if self.metrics is None:
            reconstructs = isinstance(pl_module, Reconstructs)
            self._active = fitting_metrics(data, classes, reconstructs=reconstructs)
        else:
            self._active = [*self.metrics]
        if self.inception_weights is not None:
            value_range = getattr(data, "value_range", (-1.0, 1.0))
            self._active.append(InceptionScores(self.inception_weights, value_range))
        self.floors = {}
        self._known_real = None

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.num_samples = 0
        self._begin(pl_module, "val")

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.num_samples = 0
        self._begin(pl_module, "test")

    def _begin(self, gan: LightningModule, stage: str) -> None:
        for metric in self._active:
            if self._keeps_real(metric, stage):
                metric.reset_generated()  # type: ignore[operator]
            else:
                metric.reset()
            metric.to(gan.device)

    def _keeps_real(self, metric: Metric, stage: str) -> bool:
        """Tells whether a metric still holds the real samples, the same ones as before."""
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
        self._add(pl_module, outputs, "val")

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
        self._add(pl_module, outputs, "test")

    def _add(self, model: LightningModule, outputs: Any, stage: str) -> None:
        real, labels = outputs["real"], outputs["labels"]
        self.num_samples += len(real)
        for metric in self._active:
            if isinstance(metric, ReconstructionError):
                if not isinstance(model, GAN) or not isinstance(model.evaluated, Reconstructs):
                    raise ValueError(
                        "metrics: ReconstructionError needs a model that reconstructs, got "
                        f"{type(model).__name__}."
                    )
                metric.update(real, model.evaluated.reconstruct(real, labels), labels)
                continue
            if not self._keeps_real(metric, stage):
                _update(metric, real, labels, real=True)
            _update(metric, outputs["fake"], labels, real=False)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._finish(trainer, pl_module, "val")

    @override
    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module, "test")

    def _finish(self, trainer: Trainer, gan: LightningModule, stage: str) -> None:
        assert isinstance(gan, GAN)
        number = torch.tensor(self.num_samples, device=gan.device)
        self.num_samples = int(trainer.strategy.reduce(number, reduce_op="sum"))
        self.scores = _compute(self._active)
        self._scored_at = trainer.global_step
        # Any other loader may shuffle: its real samples are read anew every time.
        fixed = hasattr(trainer.datamodule, "floor_dataloader")  # type: ignore[attr-defined]
        self._known_real = stage if fixed else None
        if fixed and not self.floors:
            self.floors = self._score_real_data(trainer, gan, stage)
        row = {f"{stage}/{name}": value for name, value in self.scores.items()}
        gan.last_logged.update(row)
        gan.log_dict(row, logger=False, sync_dist=True)
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step)
        if trainer.state.fn != "fit":
            self.print_table(trainer)

    def _score_real_data(self, trainer: Trainer, gan: GAN, stage: str) -> dict[str, float]:
        """Scores further real samples; the metrics' own states have been read by now."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._begin(gan, stage)
        comparing = [m for m in self._active if not isinstance(m, ReconstructionError)]
        again = [metric for metric in comparing if not self._keeps_real(metric, stage)]
        loader = data.val_dataloader() if stage == "val" else data.test_dataloader()
        for batches, real in ((loader if again else (), True), (data.floor_dataloader(), False)):
            for batch in batches:
                record: Any = gan.read_batch(trainer.strategy.batch_to_device(batch))
                samples, labels = record.real, record.labels
                for metric in again if real else comparing:
                    _update(metric, samples, labels, real=real)
        return _compute(comparing)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.enable_validation and self._scored_at != trainer.global_step:
            # The same as Lightning's own loop does between two batches.
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True
        self.print_table(trainer)

    def print_table(self, trainer: Trainer) -> None:
        """Prints the scores of the last evaluation beside their floors, on the main process."""
        if not (trainer.is_global_zero and self.scores):
            return
        table = Table(title=f"Scores of {self.num_samples:,} generated samples", box=SIMPLE_HEAD)
        table.add_column("score", no_wrap=True)
        table.add_column("generated", justify="right")
        table.add_column("real data", justify="right")
        table.add_column("best")
        table.add_column("what it is")
        for name, value in self.scores.items():
            floor = f"{self.floors[name]:.4g}" if name in self.floors else "-"
            table.add_row(name, f"{value:.6g}", floor, better(name), MEANINGS.get(name, ""))
        Console(markup=False, emoji=False).print(table)  # names may stem from a file


def _update(metric: Metric, samples: Tensor, labels: Tensor | None, *, real: bool) -> None:
    if not isinstance(metric, LabelMetric):
        metric.update(samples, real=real)
    elif labels is None:
        raise ValueError(f"metrics: {type(metric).__name__} needs data with labels.")
    else:
        metric.update(samples, labels, real=real)


def _compute(metrics: Iterable[Metric]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for metric in metrics:
        scores.update((name, float(value)) for name, value in metric.compute().items())
    return scores
