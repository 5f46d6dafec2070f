"""Published values of the penalties, and values of well-known mistakes that they must not have.

D(x) = x1^2 + x2^2 / 2 has the gradient (2 x1, x2). At the points between the samples below its
norms are sqrt(0.8125) and sqrt(3.25), at the real samples 2, at the fake ones 1 and sqrt(5).
"""

from functools import partial
from math import sqrt

import pytest
import torch

from lightning_gans import regularizers
from lightning_gans.core.trust import known_classes
from lightning_gans.losses import NonSaturating
from lightning_gans.regularizers import (
    R1,
    R2,
    DRAGANPenalty,
    GradientPenalty,
    MaxGradientPenalty,
    OneSidedPenalty,
    Regularizer,
    View,
    WGANDivPenalty,
    ZeroCenteredPenalty,
    dragan_penalty,
    gradient_penalty,
    one_sided_penalty,
    wgan_div_penalty,
    zero_centered_penalty,
)
from lightning_gans.regularizers.between import between

REAL = torch.tensor([[1.0, 0], [0, 2]], dtype=torch.float64)
FAKE = torch.tensor([[0.0, 1], [1, 1]], dtype=torch.float64)
EPSILON = torch.tensor([[0.25], [0.5]], dtype=torch.float64)
FIRST, SECOND = sqrt(0.8125), sqrt(3.25)
DIFFERENTIATING = sorted(
    (kind for kind in known_classes(Regularizer) if kind.reads_gradient),
    key=lambda kind: kind.__name__,
)


def critic(x, scale=1.0):
    return scale * (x[:, 0] ** 2 + x[:, 1] ** 2 / 2)


def dragan(critic, real, fake, epsilon):
    """At alpha (0.4, 0.8) and u ((0.5, 0.1), (0.2, 0.9))."""
    alpha = torch.tensor([[0.4], [0.8]], dtype=torch.float64)
    entries = torch.tensor([[0.5, 0.1], [0.2, 0.9]], dtype=torch.float64)
    return dragan_penalty(critic, real, 0.5, alpha=alpha, entries=entries)


def wgan_div(critic, real, fake, epsilon):
    return 2 * wgan_div_penalty(critic, between(real, fake, epsilon), 6)


def zero_centered(critic, real, fake, epsilon):
    return 2 * zero_centered_penalty(critic, between(real, fake, epsilon))


FORMULAS = {
    "gradient_penalty": (
        lambda c, r, f, e: gradient_penalty(c, r, f, epsilon=e),
        0.3270865434,
        ((FIRST - 1) ** 2 + (SECOND - 1) ** 2) / 2,
    ),
    "one_sided_penalty": (
        lambda c, r, f, e: one_sided_penalty(c, r, f, epsilon=e),
        0.3222243623,
        (SECOND - 1) ** 2 / 2,
    ),
    "zero_centered_penalty": (zero_centered, 2.03125, (FIRST**2 + SECOND**2) / 2),
    "wgan_div_penalty": (wgan_div, 34.8645019531, FIRST**6 + SECOND**6),
    "dragan_penalty": (dragan, 1.5276760788, None),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_penalties_have_their_published_values(name):
    formula, published, closed = FORMULAS[name]
    value = formula(critic, REAL, FAKE, EPSILON).item()
    assert value == pytest.approx(published, rel=0, abs=1e-9)
    assert closed is None or value == pytest.approx(closed, rel=0, abs=1e-12)


def test_the_noise_of_dragan_has_the_scale_of_the_population():
    """An unbiased deviation (0.957), symmetric noise, or a norm of the batch give other values."""
    deviation = REAL.std(correction=0).item()
    assert deviation == pytest.approx(0.8291561976, abs=1e-9)
    first = (1 + 0.4 * 0.5 * deviation * 0.5, 0.4 * 0.5 * deviation * 0.1)
    second = (0.8 * 0.5 * deviation * 0.2, 2 + 0.8 * 0.5 * deviation * 0.9)
    norms = [sqrt((2 * a) ** 2 + b**2) for a, b in (first, second)]
    closed = sum((norm - 1) ** 2 for norm in norms) / 2
    value = dragan(critic, REAL, FAKE, EPSILON).item()
    assert value == pytest.approx(closed, rel=0, abs=1e-12)
    both = sqrt(sum(norm**2 for norm in norms))
    assert abs(value - (both - 1) ** 2) > 0.1


def test_a_norm_of_the_whole_batch_is_another_penalty():
    """1.0313711259 is what a public library computes at these points."""
    both = sqrt(FIRST**2 + SECOND**2)
    assert (both - 1) ** 2 == pytest.approx(1.0313711259, abs=1e-9)
    value = gradient_penalty(critic, REAL, FAKE, epsilon=EPSILON).item()
    assert abs(value - (both - 1) ** 2) > 0.1


def test_only_steep_gradients_cost_anything_in_the_one_sided_penalty():
    flat = partial(critic, scale=0.3)
    assert one_sided_penalty(flat, REAL, FAKE, epsilon=EPSILON).item() == 0.0
    two_sided = gradient_penalty(flat, REAL, FAKE, epsilon=EPSILON).item()
    assert two_sided == pytest.approx(0.3715634630, abs=1e-9)


def test_the_term_of_wgan_div_has_its_value_on_the_mixture_too():
    both = torch.cat([REAL, FAKE])
    assert 2 * wgan_div_penalty(critic, both, 6).item() == pytest.approx(127, rel=0, abs=1e-11)


def test_real_and_generated_points_cost_half_their_squared_norm():
    assert zero_centered_penalty(critic, REAL).item() == pytest.approx(2.0, abs=1e-12)
    assert zero_centered_penalty(critic, FAKE).item() == pytest.approx(1.5, abs=1e-12)


def scale_gradient(penalty):
    """The derivative of a penalty with respect to the scale of the critic, at 1."""
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(partial(critic, scale=scale)), scale)
    return gradient.item()


SCALED = {
    "gradient_penalty": (1.3583365434, FIRST * (FIRST - 1) + SECOND * (SECOND - 1)),
    "one_sided_penalty": (None, SECOND * (SECOND - 1)),
    "zero_centered_penalty": (4.0625, 2 * 2.03125),
    "wgan_div_penalty": (None, 6 * (FIRST**6 + SECOND**6)),
}


@pytest.mark.parametrize("name", SCALED)
def test_the_second_derivative_reaches_the_scale_of_the_critic(name):
    published, closed = SCALED[name]
    value = scale_gradient(lambda c: FORMULAS[name][0](c, REAL, FAKE, EPSILON))
    assert value == pytest.approx(closed, rel=1e-13)
    assert published is None or value == pytest.approx(published, rel=0, abs=1e-9)


def test_the_second_derivative_reaches_it_in_dragan_and_at_the_samples():
    assert scale_gradient(lambda c: zero_centered_penalty(c, REAL)) == pytest.approx(4.0, 1e-13)
    h = 1e-6
    value = scale_gradient(lambda c: dragan(c, REAL, FAKE, EPSILON))
    ends = [dragan(partial(critic, scale=1 + s), REAL, FAKE, None).item() for s in (h, -h)]
    assert value == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-8)


def test_each_module_weighs_its_own_formula():
    """On lines between points that are the same twice, nothing depends on the shares."""
    view = View(critic, REAL, REAL)
    for kind, expected in (
        (GradientPenalty, 1.0),
        (OneSidedPenalty, 1.0),
        (ZeroCenteredPenalty, 4.0),
        (MaxGradientPenalty, 4.0),
        (WGANDivPenalty, 64.0),
        (partial(WGANDivPenalty, power=3), 8.0),
        (partial(DRAGANPenalty, noise=0.0), 1.0),
        (R1, 2.0),
        (R2, 2.0),
    ):
        assert kind(weight=0.5)(view).item() == pytest.approx(0.5 * expected, abs=1e-12)


def test_the_largest_gradient_counts_alone(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: EPSILON)
    value = MaxGradientPenalty(1.0)(View(critic, REAL, FAKE)).item()
    assert value == pytest.approx(3.25, rel=0, abs=1e-12)


@pytest.mark.parametrize("kind", DIFFERENTIATING)
@pytest.mark.parametrize("slope", [0.0, 100.0])
def test_value_and_gradient_are_finite_where_the_critic_is_flat_or_steep(kind, slope):
    weight = torch.full((3,), slope, requires_grad=True)
    real, fake = torch.randn(2, 4, 3)
    penalty = kind(weight=1.0)(View(lambda x: x @ weight, real, fake))
    penalty.backward()
    assert penalty.isfinite()
    assert weight.grad.isfinite().all()
    assert slope == 0 or weight.grad.abs().max() > 0


# The game of two numbers: a real point at 0, a generated one at theta, and D(x) = psi x


def eigenvalues(*penalties):
    """Of the flow of simultaneous gradients at its rest point."""
    loss = NonSaturating()

    def flow(at):
        theta, psi = at[:1], at[1:]

        def judge(x):
            return (x * psi).flatten()

        real, fake = torch.zeros(1, 1, dtype=torch.float64), theta.reshape(1, 1)
        total = loss.discriminator(judge(real), judge(fake))
        view = View(judge, real, fake)
        total = total + sum(penalty(view) for penalty in penalties)
        fooled = loss.generator(judge(fake))
        (by_psi,) = torch.autograd.grad(total, psi, create_graph=True)
        (by_theta,) = torch.autograd.grad(fooled, theta, create_graph=True)
        return -torch.cat([by_theta, by_psi])

    jacobian = torch.autograd.functional.jacobian(flow, torch.zeros(2, dtype=torch.float64))
    found = torch.linalg.eigvals(jacobian)
    return sorted(found.tolist(), key=lambda value: (value.real, value.imag))


@pytest.mark.parametrize(
    ("penalties", "gamma"),
    [
        ((), 0.0),
        ((R1(0.1),), 0.1),
        ((R1(1.0),), 1.0),
        ((R1(2.0),), 2.0),
        ((R2(0.1),), 0.1),
        ((R2(2.0),), 2.0),
        ((R1(0.1), R2(0.1)), 0.2),
        ((R1(0.5), R2(0.5)), 1.0),
    ],
)
def test_the_game_of_two_numbers_converges_as_published(penalties, gamma):
    """Without a penalty it never does. Twice the weight would give -0.13 and -1.87 for 1."""
    root = complex(gamma**2 / 4 - 1 / 4) ** 0.5
    expected = sorted((-gamma / 2 - root, -gamma / 2 + root), key=lambda v: (v.real, v.imag))
    # At 1 the two fall together, where an eigenvalue moves like the root of a rounding error.
    for found, wanted in zip(eigenvalues(*penalties), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-7 if gamma == 1 else 1e-12)


def test_published_eigenvalues():
    assert eigenvalues(R1(0.1))[1] == pytest.approx(-0.05 + 0.4974937186j, abs=1e-9)
    assert eigenvalues(R1(2.0)) == pytest.approx([-1.8660254038, -0.1339745962], abs=1e-9)


# What is refused


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", sorted(known_classes(Regularizer), key=lambda k: k.__name__))
def test_a_weight_out_of_range_is_refused(kind, weight):
    with pytest.raises(
        ValueError,
        match=rf"{kind.__name__}: weight must be finite and at least 0, got {weight}\. Use ",
    ):
        kind(weight=weight)


@pytest.mark.parametrize("every", [0, -3])
@pytest.mark.parametrize("kind", sorted(known_classes(Regularizer), key=lambda k: k.__name__))
def test_every_below_1_is_refused(kind, every):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: every must be at least 1, got"):
        kind(every=every)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (
            "DRAGANPenalty",
            {"noise": -0.1},
            "noise must be finite and at least 0, got -0.1. Use 0.5",
        ),
        (
            "DRAGANPenalty",
            {"noise": float("nan")},
            "noise must be finite and at least 0, got nan. Use",
        ),
        ("WGANDivPenalty", {"power": 1.0}, "power must be finite and above 1, got 1.0. Use 6"),
        (
            "WGANDivPenalty",
            {"power": float("inf")},
            "power must be finite and above 1, got inf. Use 6",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=f"{kind}: {message}"):
        getattr(regularizers, kind)(**arguments)
