"""Losses of logits on the vectors of other implementations, and what is refused of them."""

import math
from functools import partial

import pytest
import torch
from losses.vectors import BOTH, FAKE, FAR, REAL, P, Q, close, exact, slopes, values
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from lightning_gans import R3GAN
from lightning_gans.losses import (
    FDivergence,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticPaired,
    Wasserstein,
    minimax_discriminator_loss,
    relativistic_average_loss,
    relativistic_paired_loss,
)

LOGISTIC = {
    "non-saturating": NonSaturating,
    "smooth": partial(NonSaturating, 0.9),
    "minimax": Minimax,
    "hinge": Hinge,
    "paired": RelativisticPaired,
    "average": RelativisticAverage,
    "Jensen-Shannon": FDivergence,
}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NonSaturating(), (1.1385654549, 0.9171432273)),
        (NonSaturating(0.9), (1.2218987883, 0.9171432273)),
        (Hinge(), (1.4166666667, 0.25)),
        (RelativisticPaired(), (0.3158542740, 1.3991876074)),
        (RelativisticPaired("hinge"), (0.1666666667, 2.0833333333)),
        (RelativisticPaired("least_squares"), (0.2708333333, 4.6041666667)),
        (RelativisticAverage(), (0.3757266280, 1.4590599613)),
        (RelativisticAverage("hinge"), (0.3888888889, 2.0833333333)),
        (RelativisticAverage("least_squares"), (0.9305555556, 5.2638888889)),
        (LeastSquares(), (0.96875, 1.1770833333)),
        (LeastSquares(1, -1, 0), (1.21875, 0.4270833333)),
    ],
    ids=str,
)
def test_losses_have_the_values_of_other_implementations(loss, expected):
    assert values(loss) == tuple(map(close, expected))


def test_the_generator_of_the_average_hinge_has_a_hinge_for_each_sample():
    """And not one for the mean, which would be 1.25; the vectors above do not tell them apart."""
    found = values(RelativisticAverage("hinge"), real=FAR)
    assert found == (close(1.0833333333), close(1.5416666667))


@pytest.mark.parametrize("make", LOGISTIC.values(), ids=LOGISTIC)
def test_real_samples_should_score_high_and_generated_ones_low_and_high(make):
    """For the discriminator and for the generator."""
    at_real, at_fake, of_generator = slopes(make())
    assert (at_real < 0).any()
    assert (at_real <= 0).all()
    assert (at_fake > 0).any()
    assert (at_fake >= 0).all()
    assert (of_generator < 0).all()


def expected(loss, logits):
    """The discriminator's loss on three points of densities P and Q."""
    sure = torch.tensor(50.0, dtype=torch.float64)  # the other sample, which adds a constant
    at_real = torch.stack([loss.discriminator(x, -sure) for x in logits])
    at_fake = torch.stack([loss.discriminator(sure, x) for x in logits])
    return (P * at_real + Q * at_fake).sum()


# One-sided label smoothing


def test_smoothing_is_the_cross_entropy_with_a_target_for_real_samples_alone():
    smooth = binary_cross_entropy_with_logits(REAL, torch.full_like(REAL, 0.75))
    plain = binary_cross_entropy_with_logits(FAKE, torch.zeros_like(FAKE))
    loss = minimax_discriminator_loss(REAL, FAKE, real_target=0.75)
    assert loss.item() == exact((smooth + plain).item())
    both = 0.1 * binary_cross_entropy_with_logits(FAKE, torch.ones_like(FAKE))
    both = both + 0.9 * plain  # with smooth targets on both sides
    found = NonSaturating(0.9).discriminator(*BOTH).item()
    assert found == close(1.2468987883 - (both - plain).item())
    assert found == close(1.2218987883)


def test_the_best_smoothed_discriminator_is_a_share_of_the_density():
    best = 0.9 * P / (P + Q)
    assert best[1] == exact(0.45)
    logits = best.logit().requires_grad_()
    (slope,) = torch.autograd.grad(expected(NonSaturating(0.9), logits), logits)
    assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-12)


def test_the_generator_learns_from_a_discriminator_that_is_sure():
    """A gradient of -1 at a logit of -40, where log(sigmoid + 1e-8) has next to none."""
    fake = torch.tensor([-40.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(NonSaturating().generator(fake), fake)
    assert slope.item() == close(-1.0)


# The hinge


def test_the_least_hinge_loss_is_two_less_twice_the_total_variation():
    """At the signs of the differences of the densities, and nowhere less."""

    best = torch.sign(P - Q)
    assert expected(Hinge(), best).item() == exact(2 * torch.minimum(P, Q).sum().item())
    assert expected(Hinge(), best).item() == exact(1.4)
    for index in (0, 2):
        for size in (-0.1, 0.1):
            other = best.clone()
            other[index] += size
            assert expected(Hinge(), other) > expected(Hinge(), best) + 1e-3


def test_outputs_beyond_the_margin_cost_nothing():
    far = torch.tensor([1.5, 3.0], dtype=torch.float64)
    assert values(Hinge(), far, -far)[0] == 0
    at_real, at_fake, of_generator = slopes(Hinge(), far, -far)
    assert not at_real.any()
    assert not at_fake.any()
    assert_close(of_generator, torch.full_like(far, -0.5))  # it has no hinge
    zero = torch.zeros_like(far)
    assert values(Hinge(), zero, zero) == (2, 0)


# The relativistic losses


def test_the_paired_loss_has_opposite_slopes_on_both_sides():
    at_real, at_fake, of_generator = slopes(RelativisticPaired())
    expected = [-0.1258468896, -0.0896471405, -0.0493490660]
    assert at_real.tolist() == list(map(close, expected))
    assert_close(at_fake, -at_real, rtol=0, atol=0)
    assert_close(of_generator, -torch.sigmoid(REAL - FAKE) / 3, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["logistic", "hinge", "least_squares"])
@pytest.mark.parametrize("loss", [RelativisticPaired, RelativisticAverage])
def test_only_differences_count(loss, kind):
    made = loss(kind)
    shifted = values(made, REAL + 8, FAKE + 8)
    assert shifted == tuple(map(exact, values(made)))
    assert values(made)[0] == exact(made.generator(REAL, FAKE).item())  # the sides are swapped
    one = torch.tensor([0.3], dtype=torch.float64)
    paired = RelativisticPaired(kind)
    if loss is RelativisticAverage:  # of one sample, the mean is itself
        assert values(made, one, -one) == tuple(map(exact, values(paired, one, -one)))


def test_the_average_loss_is_that_of_its_formula():
    def surprise(x):
        return -math.log(1 / (1 + math.exp(-x)))

    real, fake = REAL.tolist(), FAKE.tolist()
    mean_real, mean_fake = sum(real) / 3, sum(fake) / 3
    d = sum(surprise(r - mean_fake) for r in real) + sum(surprise(mean_real - f) for f in fake)
    g = sum(surprise(mean_fake - r) for r in real) + sum(surprise(f - mean_real) for f in fake)
    assert values(RelativisticAverage()) == (exact(d / 6), exact(g / 6))


def test_the_average_loss_compares_any_numbers_of_samples():
    expected = relativistic_average_loss(REAL, torch.cat([FAKE, FAKE]))
    assert relativistic_average_loss(REAL, FAKE).item() == exact(expected.item())


@pytest.mark.parametrize("number", [1, 2])
def test_unequal_numbers_cannot_be_paired(number):
    message = rf"one shape, since .* got \(3,\) and \({number},\). Use as many of both"
    with pytest.raises(ValueError, match=message):
        relativistic_paired_loss(REAL, FAKE[:number])
    with pytest.raises(ValueError, match=r"got \(3, 1\) and \(3,\)"):
        relativistic_paired_loss(FAKE.unsqueeze(1), REAL)


# What is refused


@pytest.mark.parametrize("target", [0.0, -0.1, 1.01, float("nan")])
def test_a_target_that_is_no_probability_is_refused(target):
    message = f"real_target must be above 0 and at most 1, got {target}. Use 0.9 for"
    with pytest.raises(ValueError, match=message):
        NonSaturating(target)


@pytest.mark.parametrize("name", ["real_target", "fake_target", "generator_target"])
@pytest.mark.parametrize("target", [float("nan"), float("inf")])
def test_a_target_of_least_squares_that_is_not_finite_is_refused(name, target):
    with pytest.raises(ValueError, match=f"^{name} must be finite, got {target}"):
        LeastSquares(**{name: target})


def test_equal_targets_of_least_squares_teach_nothing():
    with pytest.raises(ValueError, match=r"fake_target must differ, got 0\.0 for both"):
        LeastSquares(real_target=0.0)


@pytest.mark.parametrize("loss", [RelativisticPaired, RelativisticAverage, FDivergence])
def test_an_unknown_kind_is_refused(loss):
    with pytest.raises(ValueError, match=r"kind must be one of \w+, .*, got 'wasserstein'\."):
        loss("wasserstein")


def test_a_penalty_below_zero_is_refused_by_its_name():
    with pytest.raises(ValueError, match="gamma must be finite and at least 0, got -1"):
        R3GAN(data_shape=(2,), gamma=-1)


@pytest.mark.parametrize("loss", [NonSaturating(), NonSaturating(0.9), LeastSquares()], ids=str)
def test_an_encoder_wants_its_pairs_to_have_the_other_label(loss):
    """Both labels are flipped: with the generator's it is the discriminator's loss, exchanged."""
    plain = type(loss)()
    found = loss.generator(FAKE) + loss.encoder(REAL)
    assert found.item() == close(plain.discriminator(FAKE, REAL).item())


def test_an_encoder_is_the_generator_of_the_mirrored_game():
    """The value of the non-saturating one with both terms; without the encoder's 0.917143."""
    loss = NonSaturating()
    assert (loss.generator(FAKE) + loss.encoder(REAL)).item() == close(2.2218987883)
    assert Wasserstein().encoder(REAL).item() == close(REAL.mean().item())
    targets = LeastSquares(real_target=2.0, fake_target=-1.0, generator_target=0.5)
    expected = ((2.0 - 1.0 - REAL - 0.5) ** 2).mean().item() / 2
    assert targets.encoder(REAL).item() == close(expected)
    zero_sum = Minimax()
    both = zero_sum.generator(FAKE) + zero_sum.encoder(REAL)
    assert both.item() == close(-zero_sum.discriminator(REAL, FAKE).item())
    bound = FDivergence("kl", saturating=True)
    both = bound.generator(FAKE) + bound.encoder(REAL)
    assert both.item() == close(-bound.discriminator(REAL, FAKE).item())


@pytest.mark.parametrize("make", LOGISTIC.values(), ids=LOGISTIC)
def test_an_encoder_wants_real_samples_to_score_low(make):
    real = REAL.clone().requires_grad_()
    (slope,) = torch.autograd.grad(make().encoder(real, FAKE), real)
    assert (slope > 0).any()
    assert (slope >= 0).all()
