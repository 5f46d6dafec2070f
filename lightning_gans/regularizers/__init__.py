"""What is added to a loss."""

from lightning_gans.regularizers.gradient import (
    R1,
    GradientPenalty,
    Penalty,
    gradient_penalty,
    input_gradient,
    r1_penalty,
)

__all__ = ["R1", "GradientPenalty", "Penalty", "gradient_penalty", "input_gradient", "r1_penalty"]
