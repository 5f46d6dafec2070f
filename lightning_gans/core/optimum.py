"""The best discriminator for what a generator makes, beside the one that was trained."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightning_gans.core.players import Batch
from lightning_gans.core.showing import Beside, Levels, fixed_samples, scores_on_plane
from lightning_gans.losses import Minimax, NonSaturating
from lightning_gans.losses.functional import optimal_logits
from lightning_gans.metrics import (
    held_out_bandwidth,
    kantorovich_potential,
    kernel_log_density,
    measured_slope,
)
from lightning_gans.regularizers.base import Critic

if TYPE_CHECKING:
    from lightning_gans.core.gan import GAN

__all__ = ["beside_the_optimum"]

FAINT = 1e-3
"""Of the highest density: where both are lower, the best discriminator is not shown."""


def beside_the_optimum(gan: "GAN", real: Batch, data: Any) -> Beside | None:
    """Returns a discriminator of points in the plane beside the best one, where that is known.

    Of a Wasserstein loss it is the Kantorovich potential of the real and as many generated
    samples. Of the cross-entropy it is p / (p + q), if the data tells its density p and
    labels are not smoothed. A discriminator that learns from augmented samples, or from others
    than those of the prior, has another optimum.

    Args:
        gan: the model.
        real: some real samples.
        data: the data module, or None.
    """
    if real.real.shape[1:] != (2,) or gan.num_classes is not None:
        return None
    if not (gan.judges_alone and gan.learns_ratio and gan.augment is None):
        return None
    critic = gan.wasserstein_critic()
    if critic is not None:
        return _beside_potential(gan, critic, real.real)
    plain = isinstance(gan.loss, Minimax) or (
        isinstance(gan.loss, NonSaturating) and gan.loss.real_target == 1
    )
    if plain and hasattr(data, "log_density"):
        return _beside_densities(gan, real.real, data.log_density)
    return None


def _beside_potential(gan: "GAN", critic: Critic, real: Tensor) -> Beside:
    fake = fixed_samples(gan, len(real))
    both = torch.cat([real, fake])
    slope = measured_slope(critic, real, fake).clamp(min=1e-12)
    with torch.no_grad():
        mean = critic(both).mean()

    @torch.no_grad()
    def scaled(x: Tensor) -> Tensor:
        return (critic(x.to(fake)) - mean) / slope

    potential = kantorovich_potential(real.double(), fake.double())
    values = [(score(real), score(fake)) for score in (scaled, potential)]
    estimate, w1 = (float(high.mean() - low.mean()) for high, low in values)
    least, greatest = torch.cat([part for pair in values for part in pair]).aminmax()
    return Beside(
        Levels(scaled, fake, real, f"critic / {slope:.3g}: estimate {estimate:.3g}"),
        Levels(potential, fake, real, f"Kantorovich potential: W1 = {w1:.3g}"),
        (float(least), float(greatest)),
    )


def _beside_densities(gan: "GAN", real: Tensor, log_density: Callable[[Tensor], Tensor]) -> Beside:
    fake = fixed_samples(gan, 2 * len(real))
    bandwidth = held_out_bandwidth(fake)
    learned = scores_on_plane(gan, real, fake)

    def optimal(x: Tensor) -> Tensor:
        x = x.to(fake)
        p, q = log_density(x), kernel_log_density(x, fake, bandwidth)
        faint = (p - p.max()).maximum(q - q.max()).exp() < FAINT
        return optimal_logits(p, q).sigmoid().masked_fill(faint, torch.nan)

    return Beside(
        Levels(lambda x: learned(x).sigmoid(), fake[: len(real)], real, "discriminator D"),
        Levels(optimal, fake[:0], real[:0], f"p / (p + q), bandwidth of q {bandwidth:.2g}"),
        (0.0, 1.0),
    )
