"""Which metrics fit some data."""

from typing import Any

from lightning_gans.metrics.accuracy import ClassifierAccuracy
from lightning_gans.metrics.base import RecordMetric
from lightning_gans.metrics.codes import CodeInformation
from lightning_gans.metrics.digits import DigitQuality
from lightning_gans.metrics.divergence import HistogramDivergence
from lightning_gans.metrics.encoded import CodeMatch, CodeNeighbours
from lightning_gans.metrics.features import InceptionScores
from lightning_gans.metrics.labels import ClassDiversity, ClassFrechet, LabelFidelity
from lightning_gans.metrics.manifold import FeatureCoverage
from lightning_gans.metrics.modes import ModeCoverage
from lightning_gans.metrics.neighbours import TrainingNeighbours
from lightning_gans.metrics.objects import ObjectQuality
from lightning_gans.metrics.pattern import PatternError
from lightning_gans.metrics.reconstruction import ReconstructionError
from lightning_gans.metrics.stacked import StackedModes
from lightning_gans.metrics.styles import CodeStyles
from lightning_gans.metrics.translation import ClassAgreement, CycleError, PairedError
from lightning_gans.metrics.transport import (
    CriticGap,
    PatchWasserstein,
    SlicedWasserstein,
    Wasserstein,
)

__all__ = ["fitting_metrics"]

KINDS: tuple[type[RecordMetric], ...] = (
    *(ClassifierAccuracy, ModeCoverage, PatternError, StackedModes, DigitQuality, ObjectQuality),
    *(FeatureCoverage, Wasserstein, CriticGap, SlicedWasserstein, PatchWasserstein),
    *(HistogramDivergence, LabelFidelity, ClassDiversity, ClassFrechet, CodeInformation),
    *(CodeStyles, ReconstructionError, CodeMatch, CodeNeighbours, PairedError, CycleError),
    *(ClassAgreement, InceptionScores, TrainingNeighbours),
)
"""In the order in which scores are printed."""


def fitting_metrics(data: Any, model: Any = None) -> list[RecordMetric]:
    """Returns the metrics that fit some data: each says by itself whether it does.

    Args:
        data: the data module, or None.
        model: the model, or None.
    """
    return [metric for kind in KINDS for metric in kind.for_data(data, model)]
