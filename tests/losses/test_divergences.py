"""Bounds of f-divergences: tight at the best output, and from below everywhere else."""

import math
from dataclasses import dataclass

import pytest
import torch
from losses.vectors import BOTH, FAKE, P, Q, close, exact, values
from torch.testing import assert_close

from lightning_gans.losses import (
    FDivergence,
    f_divergence_discriminator_loss,
    f_divergence_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
)
from lightning_gans.losses.divergences import DIVERGENCES

V = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)


@dataclass(frozen=True)
class Row:
    """A divergence by its definition, and values of it.

    Attributes:
        f: as a function of u = p / q.
        slope: f'(u), the best T.
        output: v where g(v) = T; None where it is at infinity.
        of_densities: the divergence of P and Q.
        below: the bound at V.
        losses: of the discriminator and of the generator, saturating and not.
    """

    f: object
    slope: object
    output: object
    of_densities: float
    below: float
    losses: tuple[float, float, float]


log, sqrt = torch.log, torch.sqrt
ROWS = {
    "kl": Row(
        lambda u: u * log(u),
        lambda u: 1 + log(u),
        lambda t: t,
        0.2748872196,
        -0.2829601542,
        (-0.4463392630, -0.3869940704, 0.25),
    ),
    "reverse_kl": Row(
        lambda u: -log(u),
        lambda u: -1 / u,
        lambda t: -log(-t),
        0.2748872196,
        0.0322025786,
        (-0.5326880016, 1.25, 1.9556735044),
    ),
    "pearson": Row(
        lambda u: (u - 1) ** 2,
        lambda u: 2 * (u - 1),
        lambda t: t,
        0.63,
        0.05125,
        (-0.8697916667, 0.0364583333, 0.25),
    ),
    "hellinger": Row(
        lambda u: (sqrt(u) - 1) ** 2,
        lambda u: (sqrt(u) - 1) / sqrt(u),
        lambda t: -log(1 - t),
        0.1350889359,
        0.0140261321,
        (-0.2307290525, -0.0519589492, 0.9556735044),
    ),
    "jensen_shannon": Row(
        lambda u: u * log(u) - (u + 1) * log((u + 1) / 2),
        lambda u: log(2 * u / (u + 1)),
        lambda t: -log(2 / t.exp() - 1),
        0.1328286288,
        0.0182847063,
        (-0.2477289062, 0.0260039532, 0.2239960468),
    ),
    "gan": Row(
        lambda u: u * log(u) - (u + 1) * log(u + 1),
        lambda u: log(u / (u + 1)),
        lambda t: -log(1 / t.exp() - 1),
        -1.2534657324,
        -1.3680096548,
        (1.1385654549, -0.6671432273, 0.9171432273),
    ),
    "total_variation": Row(
        lambda u: (u - 1).abs() / 2,
        lambda u: torch.sign(u - 1) / 2,
        lambda t: torch.atanh(2 * t),
        0.3,
        0.0287466927,
        (-0.2436028355, 0.0330187390, 0.0330187390),
    ),
}
NAMES = pytest.mark.parametrize("name", ROWS)


def test_every_divergence_has_a_row():
    assert ROWS.keys() == DIVERGENCES.keys()


def bound(name, output):
    """The bound of the divergence of P and Q, for outputs at the three points."""
    divergence = DIVERGENCES[name]
    return (P * divergence.activation(output) - Q * divergence.conjugate(output)).sum().item()


@NAMES
def test_losses_have_the_values_of_other_implementations(name):
    d, saturating, usual = map(close, ROWS[name].losses)
    assert values(FDivergence(name)) == (d, usual)
    assert values(FDivergence(name, saturating=True)) == (d, saturating)


@NAMES
def test_the_bound_is_tight_at_the_best_output_and_below_it_elsewhere(name):
    row = ROWS[name]
    exactly = (Q * row.f(P / Q)).sum().item()
    assert exactly == close(row.of_densities)
    best = row.output(row.slope(P / Q)).clamp(-40, 40)  # at infinity for the total variation
    assert bound(name, best) == exact(exactly)
    assert bound(name, V) == close(row.below)
    for index in (0, 1, 2):
        for size in (-0.1, 0.1):
            other = best.clone()
            other[index] += size
            assert bound(name, other) < exactly + 1e-12


@NAMES
def test_the_conjugate_is_the_supremum_over_all_ratios(name):
    """By trying ratios on a fine grid."""
    u = torch.logspace(-9, 9, 400_001, base=math.e, dtype=torch.float64)
    for v in (-0.7, 0.2, 0.6):
        output = torch.tensor(v, dtype=torch.float64)
        t = DIVERGENCES[name].activation(output)
        largest = (u * t - ROWS[name].f(u)).max()
        edge = {"total_variation": torch.tensor(-0.5)}.get(name)  # at u = 0: u t - f(u) = -1/2
        largest = largest if edge is None else torch.maximum(largest, edge)
        assert DIVERGENCES[name].conjugate(output).item() == pytest.approx(
            largest.item(), abs=1e-7
        )


def test_one_of_them_is_the_loss_of_the_first_gan():
    assert_close(
        f_divergence_discriminator_loss(*BOTH, kind="gan"), minimax_discriminator_loss(*BOTH)
    )
    assert_close(
        f_divergence_generator_loss(FAKE, kind="gan"), non_saturating_generator_loss(FAKE)
    )
    assert_close(
        f_divergence_generator_loss(FAKE, kind="gan", saturating=True),
        minimax_generator_loss(FAKE),
    )
    js = bound("jensen_shannon", (P / Q).log())
    assert bound("gan", (P / Q).log()) == exact(js - 2 * math.log(2))


@pytest.mark.parametrize("name", ["reverse_kl", "jensen_shannon", "gan", "total_variation"])
@pytest.mark.parametrize("sign", [1, -1])
def test_conjugates_are_finite_where_they_can_be(name, sign):
    """Formulas with exponentials inside logarithms are not, at such outputs."""
    output = torch.full((2,), 1e3 * sign, requires_grad=True)
    value = DIVERGENCES[name].conjugate(output).sum()
    (slope,) = torch.autograd.grad(value, output)
    assert value.isfinite()
    assert slope.isfinite().all()


def test_small_outputs_keep_their_digits():
    tiny = torch.tensor([1e-6])
    hellinger = DIVERGENCES["hellinger"]
    assert_close(hellinger.conjugate(tiny), tiny + tiny**2 / 2, rtol=1e-6, atol=0)
    assert_close(hellinger.activation(tiny), tiny - tiny**2 / 2, rtol=1e-6, atol=0)


@NAMES
def test_the_bound_is_logged(name):
    loss = FDivergence(name)
    assert loss.log(*BOTH) == {"divergence": -loss.discriminator(*BOTH)}
