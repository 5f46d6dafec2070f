"""What a player minimises."""

from lightning_gans.losses.functional import (
    bernoulli_distance,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    normal_divergence,
    optimal_logits,
    squared_distance,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)

__all__ = [
    "bernoulli_distance",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_discriminator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "normal_divergence",
    "optimal_logits",
    "squared_distance",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
]
