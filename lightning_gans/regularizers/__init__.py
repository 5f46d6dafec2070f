"""What is added to a loss."""

from lightning_gans.regularizers.base import (
    Regularizer,
    RegularizerSource,
    View,
    WeightRegularizer,
)
from lightning_gans.regularizers.gradient import (
    R1,
    R2,
    GradientPenalty,
    gradient_penalty,
    input_gradient,
    zero_centered_penalty,
)

__all__ = [
    "R1",
    "R2",
    "GradientPenalty",
    "Regularizer",
    "RegularizerSource",
    "View",
    "WeightRegularizer",
    "gradient_penalty",
    "input_gradient",
    "zero_centered_penalty",
]
