"""Adversarial losses as pure functions.

Each takes *logits*, shape (N,), real before fake, and returns a scalar that its
player minimizes. Networks that end in a sigmoid hand over probabilities instead; only the
least-squares losses are meant for those.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

__all__ = [
    "EXCESS",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_discriminator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "optimal_logits",
    "relativistic_average_loss",
    "relativistic_paired_loss",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
]


def minimax_discriminator_loss(real: Tensor, fake: Tensor, *, real_target: float = 1.0) -> Tensor:
    """Returns the cross-entropy of telling real from fake, -log D(x) - log(1 - D(G(z))).

    At the optimal discriminator (`optimal_logits`) it equals 2 log 2 - 2 JS(real, fake). With
    one-sided label smoothing the optimal discriminator is a p / (p + q), a being ``real_target``.
    Generated samples are not smoothed: that would add q to the numerator, and reward the generator
    for staying where it is.

    References:
        | Generative Adversarial Networks (Goodfellow et al., 2014), equation 1,
        | https://arxiv.org/abs/1406.2661
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 3.4,
        | https://arxiv.org/abs/1606.03498

    Args:
        real: logits of real samples, shape (N,).
        fake: logits of generated samples, shape (N,).
        real_target: probability of being real that real samples should have, in (0, 1].
    """
    loss = softplus(-real).mean() + softplus(fake).mean()
    # a softplus(-x) + (1 - a) softplus(x) = softplus(-x) + (1 - a) x
    return loss if real_target == 1 else loss + (1 - real_target) * real.mean()


def minimax_generator_loss(fake: Tensor) -> Tensor:
    """Returns log(1 - D(G(z))), the generator's side of the minimax game.

    Its gradient vanishes where the discriminator is sure (D(G(z)) near 0): it saturates.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), equation 1 and algorithm 1,
        https://arxiv.org/abs/1406.2661

    Args:
        fake: logits of generated samples, shape (N,).
    """
    return logsigmoid(-fake).mean()


def non_saturating_generator_loss(fake: Tensor) -> Tensor:
    """Returns -log D(G(z)), whose gradient is largest where the discriminator is sure.

    At the optimal discriminator its gradient is that of KL(fake, real) - 2 JS(real, fake).

    References:
        | Generative Adversarial Networks (Goodfellow et al., 2014), section 3,
        | https://arxiv.org/abs/1406.2661
        | Towards Principled Methods for Training GANs (Arjovsky and Bottou, 2017), theorem 2.5,
        | https://arxiv.org/abs/1701.04862

    Args:
        fake: logits of generated samples, shape (N,).
    """
    return softplus(-fake).mean()


def optimal_logits(real_log_density: Tensor, fake_log_density: Tensor) -> Tensor:
    """Returns the logits of the optimal discriminator D = p / (p + q) at some points.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), proposition 1,
        https://arxiv.org/abs/1406.2661

    Args:
        real_log_density: log p at the points, any shape.
        fake_log_density: log q at the points, the same shape.
    """
    return real_log_density - fake_log_density


def least_squares_discriminator_loss(
    real: Tensor,
    fake: Tensor,
    *,
    real_target: float | Tensor = 1.0,
    fake_target: float | Tensor = 0.0,
) -> Tensor:
    """Returns (D(x) - b)^2 + (D(G(z)) - a)^2, each averaged over its batch.

    The paper's factor 1/2 is left to the caller.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2017), equation 2,
        https://arxiv.org/abs/1611.04076

    Args:
        real: outputs on real samples, shape (N,).
        fake: outputs on generated samples, shape (N,).
        real_target: b, a number or one target for each sample, shape (N,).
        fake_target: a, likewise.
    """
    return (real - real_target).square().mean() + (fake - fake_target).square().mean()


def least_squares_generator_loss(fake: Tensor, *, target: float = 1.0) -> Tensor:
    """Returns (D(G(z)) - c)^2 averaged over the batch; the factor 1/2 is left to the caller.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2017), equation 2,
        https://arxiv.org/abs/1611.04076

    Args:
        fake: outputs on generated samples, shape (N,).
        target: c, what the generator wants the discriminator to say.
    """
    return (fake - target).square().mean()


def wasserstein_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns mean D(G(z)) - mean D(x), minus the critic's estimate of the Wasserstein-1 distance.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), equation 3 and algorithm 1,
        https://arxiv.org/abs/1701.07875

    Args:
        real: critic outputs on real samples, shape (N,).
        fake: critic outputs on generated samples, shape (N,).
    """
    return fake.mean() - real.mean()


def wasserstein_generator_loss(fake: Tensor) -> Tensor:
    """Returns -mean D(G(z)).

    References:
        Wasserstein GAN (Arjovsky et al., 2017), algorithm 1, https://arxiv.org/abs/1701.07875

    Args:
        fake: critic outputs on generated samples, shape (N,).
    """
    return -fake.mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns relu(1 - D(x)) + relu(1 + D(G(z))), each averaged over its batch.

    Its least value is 2 - 2 TV(real, fake), at logits of 1 where real samples are the denser ones
    and of -1 elsewhere.

    References:
        | Geometric GAN (Lim and Ye, 2017), https://arxiv.org/abs/1705.02894
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        | equation 16, https://arxiv.org/abs/1802.05957

    Args:
        real: logits of real samples, shape (N,).
        fake: logits of generated samples, shape (N,).
    """
    return relu(1 - real).mean() + relu(1 + fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """Returns -mean D(G(z)), without a hinge.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), equation
        17, https://arxiv.org/abs/1802.05957

    Args:
        fake: logits of generated samples, shape (N,).
    """
    return -fake.mean()


EXCESS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": softplus,
    "hinge": lambda excess: relu(1 + excess),
    "least_squares": lambda excess: (1 + excess).square(),
}
"""What it costs that a logit that should be the higher one is below the other, by the kind of
relativistic loss."""


def relativistic_paired_loss(higher: Tensor, lower: Tensor, *, kind: str = "logistic") -> Tensor:
    """Returns what the differences between two sides cost, pair by pair.

    It does not change if a number is added to all logits.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.1, https://arxiv.org/abs/1807.00734

    Args:
        higher: logits of the samples that should have the higher ones, shape (N,): of real ones
            for the discriminator, of generated ones for the generator.
        lower: logits of the others, the same shape.
        kind: one of `EXCESS`.

    Raises:
        ValueError: if the shapes differ.
    """
    if higher.shape != lower.shape:
        raise ValueError(
            "real and fake must have one shape, since each real sample is compared with one "
            f"generated sample, got {tuple(higher.shape)} and {tuple(lower.shape)}. Use as many "
            "of both."
        )
    return EXCESS[kind](lower - higher).mean()


def relativistic_average_loss(higher: Tensor, lower: Tensor, *, kind: str = "logistic") -> Tensor:
    """Returns what the differences between logits and the mean of the other side cost, halved.

    References:
        The Relativistic Discriminator: a Key Element Missing from Standard GAN
        (Jolicoeur-Martineau, 2018), section 4.2, https://arxiv.org/abs/1807.00734; the factor 1/2
        is that of its author's code.

    Args:
        higher: logits of the samples that should have the higher ones: of real ones for the
            discriminator, of generated ones for the generator.
        lower: logits of the others.
        kind: one of `EXCESS`.
    """
    excess = EXCESS[kind]
    return (excess(lower.mean() - higher).mean() + excess(lower - higher.mean()).mean()) / 2
