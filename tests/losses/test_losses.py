import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from lightning_gans.losses import (
    bernoulli_nll,
    kl_standard_normal,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    optimal_logits,
    squared_error,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)


@pytest.fixture
def logits():
    return torch.randn(7, dtype=torch.float64) * 3, torch.randn(7, dtype=torch.float64) * 3


def test_minimax_discriminator_loss_is_the_cross_entropy(logits):
    real, fake = logits
    expected = binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert_close(minimax_discriminator_loss(real, fake), expected)


def test_generator_losses_are_cross_entropies(logits):
    _, fake = logits
    to_real = binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    to_fake = binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert_close(non_saturating_generator_loss(fake), to_real)
    assert_close(minimax_generator_loss(fake), -to_fake)


def test_losses_of_an_undecided_discriminator():
    zero = torch.zeros(5, dtype=torch.float64)
    log2 = torch.tensor(math.log(2), dtype=torch.float64)
    assert_close(minimax_discriminator_loss(zero, zero), 2 * log2)
    assert_close(minimax_generator_loss(zero), -log2)
    assert_close(non_saturating_generator_loss(zero), log2)


def test_least_squares_losses():
    real = torch.tensor([0.5, 1.5], dtype=torch.float64)
    fake = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
    assert_close(
        least_squares_discriminator_loss(real, fake, real_target=1.0, fake_target=-1.0),
        torch.tensor(0.25 + (1 + 9 + 4) / 3, dtype=torch.float64),
    )
    targets = torch.tensor([0.5, 1.0], dtype=torch.float64)
    assert_close(
        least_squares_discriminator_loss(real, fake, real_target=targets),
        torch.tensor(0.125 + 5 / 3, dtype=torch.float64),
    )
    assert_close(
        least_squares_generator_loss(fake, target=0.5),
        torch.tensor((0.25 + 2.25 + 0.25) / 3, dtype=torch.float64),
    )


def test_wasserstein_losses():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0, 4.0])
    assert_close(wasserstein_discriminator_loss(real, fake), torch.tensor(-1.0))
    assert_close(wasserstein_generator_loss(fake), torch.tensor(-1.0))


@pytest.mark.parametrize("sign", [1, -1])
def test_logits_of_a_sure_discriminator_give_finite_losses_and_gradients(sign):
    logit = torch.full((3,), sign * 1e4, requires_grad=True)
    for loss in (
        minimax_discriminator_loss(logit, -logit),
        minimax_generator_loss(logit),
        non_saturating_generator_loss(logit),
    ):
        (gradient,) = torch.autograd.grad(loss, logit)
        assert loss.isfinite()
        assert gradient.isfinite().all()


# The optimal discriminator of two normal distributions on the line. Expectations are means over
# quantiles, exact to about 2e-6.

P = Normal(torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
Q = Normal(torch.tensor(1.0, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64))
LEVELS = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000


def jensen_shannon(p, q):
    """Half of KL(p, m) + KL(q, m) by the trapezoidal rule."""
    x = torch.linspace(-20, 20, 100_001, dtype=torch.float64)
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    integrand = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
    return torch.trapezoid(integrand, x) / 2


def test_discriminator_loss_at_the_optimum_is_two_log_two_minus_twice_js():
    real, fake = P.icdf(LEVELS), Q.icdf(LEVELS)
    loss = minimax_discriminator_loss(
        optimal_logits(P.log_prob(real), Q.log_prob(real)),
        optimal_logits(P.log_prob(fake), Q.log_prob(fake)),
    )
    assert_close(loss, 2 * math.log(2) - 2 * jensen_shannon(P, Q), rtol=0, atol=5e-6)


def test_no_discriminator_does_better_than_the_optimal_one():
    real, fake = P.icdf(LEVELS), Q.icdf(LEVELS)
    at_real = optimal_logits(P.log_prob(real), Q.log_prob(real))
    at_fake = optimal_logits(P.log_prob(fake), Q.log_prob(fake))
    best = minimax_discriminator_loss(at_real, at_fake)
    for bend in (torch.sin, torch.tanh, torch.ones_like, lambda x: x):
        for size in (-0.1, 0.1):
            worse = minimax_discriminator_loss(
                at_real + size * bend(real), at_fake + size * bend(fake)
            )
            assert worse > best + 1e-5


@pytest.mark.parametrize(
    ("loss", "kl_weight", "js_weight"),
    [(non_saturating_generator_loss, 1, -2), (minimax_generator_loss, 0, 2)],
    ids=["non-saturating", "minimax"],
)
def test_generator_gradient_at_the_optimal_discriminator(loss, kl_weight, js_weight):
    """The discriminator stays as it is while the generator's two parameters move."""
    parameters = torch.tensor([1.0, 1.5], dtype=torch.float64, requires_grad=True)
    x = parameters[0] + parameters[1] * Normal(0.0, 1.0).icdf(LEVELS)
    fixed = Normal(parameters[0].detach(), parameters[1].detach())
    value = loss(optimal_logits(P.log_prob(x), fixed.log_prob(x)))
    (gradient,) = torch.autograd.grad(value, parameters)

    q = Normal(parameters[0], parameters[1])
    divergence = kl_weight * kl_divergence(q, P) + js_weight * jensen_shannon(P, q)
    (expected,) = torch.autograd.grad(divergence, parameters)
    assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


def test_the_divergence_from_the_prior_is_that_of_the_distributions():
    mean, log_sd = (torch.randn(7, 3, dtype=torch.float64) for _ in range(2))
    prior = torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(mean, log_sd.exp())
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    assert_close(kl_standard_normal(mean, log_sd), expected, rtol=1e-12, atol=0)
    assert kl_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_distances_are_summed_over_entries_and_averaged_over_samples():
    x, p = (torch.rand(5, 1, 2, 3, dtype=torch.float64) for _ in range(2))
    expected = sum((a - b) ** 2 for a, b in zip(x.flatten(), p.flatten(), strict=True)) / 5
    assert_close(squared_error(x, p), expected, rtol=1e-12, atol=0)
    terms = x * p.log() + (1 - x) * (1 - p).log()
    assert_close(bernoulli_nll(x, p), -terms.sum() / 5, rtol=1e-12, atol=0)
    sure = torch.ones(1, 1, dtype=torch.float64)
    assert bernoulli_nll(sure, sure) == 0
    assert bernoulli_nll(sure, 0 * sure) == 100
