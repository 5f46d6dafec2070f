"""What a player minimises."""

from lightning_gans.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    LossSource,
    Minimax,
    NonSaturating,
    RelativisticPaired,
    Wasserstein,
)
from lightning_gans.losses.functional import (
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    optimal_logits,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from lightning_gans.losses.reconstruction import (
    bernoulli_nll,
    kl_standard_normal,
    squared_error,
)

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "LossSource",
    "Minimax",
    "NonSaturating",
    "RelativisticPaired",
    "Wasserstein",
    "bernoulli_nll",
    "kl_standard_normal",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_discriminator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "optimal_logits",
    "squared_error",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
]
