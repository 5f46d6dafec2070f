"""What is added to a loss."""

from lightning_gans.regularizers.base import (
    Regularizer,
    RegularizerSource,
    View,
    WeightRegularizer,
)
from lightning_gans.regularizers.between import (
    GradientPenalty,
    MaxGradientPenalty,
    OneSidedPenalty,
    WGANDivPenalty,
    ZeroCenteredPenalty,
    gradient_penalty,
    one_sided_penalty,
    wgan_div_penalty,
)
from lightning_gans.regularizers.gradient import (
    R1,
    R2,
    DRAGANPenalty,
    dragan_penalty,
    input_gradient,
    zero_centered_penalty,
)
from lightning_gans.regularizers.outputs import (
    BalancedConsistency,
    Consistency,
    FeatureMatching,
    LeCam,
    lecam_penalty,
)
from lightning_gans.regularizers.styles import PathLength, StyledView, path_lengths
from lightning_gans.regularizers.weights import Orthogonal, orthogonal_penalty

__all__ = [
    "R1",
    "R2",
    "BalancedConsistency",
    "Consistency",
    "DRAGANPenalty",
    "FeatureMatching",
    "GradientPenalty",
    "LeCam",
    "MaxGradientPenalty",
    "OneSidedPenalty",
    "Orthogonal",
    "PathLength",
    "Regularizer",
    "RegularizerSource",
    "StyledView",
    "View",
    "WGANDivPenalty",
    "WeightRegularizer",
    "ZeroCenteredPenalty",
    "dragan_penalty",
    "gradient_penalty",
    "input_gradient",
    "lecam_penalty",
    "one_sided_penalty",
    "orthogonal_penalty",
    "path_lengths",
    "wgan_div_penalty",
    "zero_centered_penalty",
]
