"""Scores of generated samples against real ones: torchmetrics classes over pure functions.

Every metric is updated with ``update(samples, real=...)`` and computes a dict of named scores.
"""

from lightning_gans.metrics.accuracy import ClassifierAccuracy
from lightning_gans.metrics.base import RecordMetric, range_of
from lightning_gans.metrics.codes import CodeInformation, matched_share, mutual_information
from lightning_gans.metrics.density import held_out_bandwidth, kernel_log_density
from lightning_gans.metrics.digits import DigitJudge, DigitQuality, digit_judge
from lightning_gans.metrics.divergence import (
    HistogramDivergence,
    cross_entropy,
    histogram_probabilities,
    js_divergence,
    kl_divergence,
)
from lightning_gans.metrics.encoded import CodeMatch, CodeNeighbours
from lightning_gans.metrics.features import FeatureMetric, FeatureScores, InceptionScores
from lightning_gans.metrics.fitting import fitting_metrics
from lightning_gans.metrics.frechet import frechet_distance
from lightning_gans.metrics.judged import Judge
from lightning_gans.metrics.judges import judge_for
from lightning_gans.metrics.labels import (
    ClassDiversity,
    ClassFrechet,
    LabelFidelity,
    LabelMetric,
    judge_reader,
    mode_reader,
)
from lightning_gans.metrics.manifold import (
    FeatureCoverage,
    manifold_scores,
    nearest_neighbours,
)
from lightning_gans.metrics.modes import ModeCoverage, nearest_modes
from lightning_gans.metrics.names import better, meaning
from lightning_gans.metrics.neighbours import TrainingNeighbours
from lightning_gans.metrics.objects import ObjectJudge, ObjectQuality, object_judge
from lightning_gans.metrics.pattern import PatternError
from lightning_gans.metrics.reconstruction import ReconstructionError
from lightning_gans.metrics.stacked import StackedModes
from lightning_gans.metrics.styles import CodeStyles, written_styles
from lightning_gans.metrics.translation import ClassAgreement, CycleError, PairedError
from lightning_gans.metrics.transport import (
    CriticGap,
    PatchWasserstein,
    SlicedWasserstein,
    Wasserstein,
    kantorovich_potential,
    largest_slope,
    measured_slope,
    sliced_wasserstein_distance,
    wasserstein_distance,
)

__all__ = [
    "ClassAgreement",
    "ClassDiversity",
    "ClassFrechet",
    "ClassifierAccuracy",
    "CodeInformation",
    "CodeMatch",
    "CodeNeighbours",
    "CodeStyles",
    "CriticGap",
    "CycleError",
    "DigitJudge",
    "DigitQuality",
    "FeatureCoverage",
    "FeatureMetric",
    "FeatureScores",
    "HistogramDivergence",
    "InceptionScores",
    "Judge",
    "LabelFidelity",
    "LabelMetric",
    "ModeCoverage",
    "ObjectJudge",
    "ObjectQuality",
    "PairedError",
    "PatchWasserstein",
    "PatternError",
    "ReconstructionError",
    "RecordMetric",
    "SlicedWasserstein",
    "StackedModes",
    "TrainingNeighbours",
    "Wasserstein",
    "better",
    "cross_entropy",
    "digit_judge",
    "fitting_metrics",
    "frechet_distance",
    "held_out_bandwidth",
    "histogram_probabilities",
    "js_divergence",
    "judge_for",
    "judge_reader",
    "kantorovich_potential",
    "kernel_log_density",
    "kl_divergence",
    "largest_slope",
    "manifold_scores",
    "matched_share",
    "meaning",
    "measured_slope",
    "mode_reader",
    "mutual_information",
    "nearest_modes",
    "nearest_neighbours",
    "object_judge",
    "range_of",
    "sliced_wasserstein_distance",
    "wasserstein_distance",
    "written_styles",
]
