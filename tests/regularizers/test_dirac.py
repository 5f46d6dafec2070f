"""The Dirac-GAN: eigenvalues of the game at its equilibrium, against closed forms.

The real samples are all 0, the generated ones all theta, and D(x) = psi x (Mescheder et al., 2018,
section 2). Near the equilibrium (0, 0) gradient descent of both players turns around it with the
frequency s = f'(0), unless a penalty of D pulls it inwards.
"""

import cmath

import pytest
import torch
from torch.autograd.functional import jacobian

from lightning_gans.losses import (
    Hinge,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticPaired,
    Wasserstein,
)
from lightning_gans.regularizers import R1, R2, GradientPenalty, OneSidedPenalty, View

PLAYED = {
    "non_saturating": (NonSaturating(), 0.5),
    "minimax": (Minimax(), 0.5),
    "relativistic_paired": (RelativisticPaired(), 0.5),
    "relativistic_average": (RelativisticAverage(), 0.5),
    "hinge": (Hinge(), 1.0),
    "wasserstein": (Wasserstein(), 1.0),
}
"""Losses with their s."""


def field(loss, *regularizers):
    """Returns where gradient descent of both players moves a point (theta, psi)."""

    def moved(point):
        theta, psi = point
        real, fake = torch.zeros(3, 1, dtype=point.dtype), theta.expand(3, 1)

        def discriminate(x):
            return (psi * x).squeeze(1)

        logits = discriminate(real), discriminate(fake)
        loss_d = loss.discriminator(*logits)
        for regularizer in regularizers:
            loss_d = loss_d + regularizer(View(discriminate, real, fake))
        loss_g = loss.generator(logits[1], logits[0])
        (of_theta,) = torch.autograd.grad(loss_g, theta, create_graph=True)
        (of_psi,) = torch.autograd.grad(loss_d, psi, create_graph=True)
        return -torch.stack([of_theta, of_psi])

    return moved


def eigenvalues(loss, *regularizers):
    """Returns those of the Jacobian of the field at the equilibrium."""
    found = jacobian(field(loss, *regularizers), torch.zeros(2, dtype=torch.float64))
    return sorted(torch.linalg.eigvals(found).tolist(), key=lambda value: (value.real, value.imag))


def expected(s, gamma):
    """Returns -gamma / 2 plus and minus the root of gamma^2 / 4 - s^2."""
    root = cmath.sqrt(gamma**2 / 4 - s**2)
    values = [-gamma / 2 - root, -gamma / 2 + root]
    return sorted(values, key=lambda value: (value.real, value.imag))


@pytest.mark.parametrize("gamma", [0.3, 3.0])
@pytest.mark.parametrize("name", PLAYED)
def test_r1_and_r2_make_the_equilibrium_attract(name, gamma):
    loss, s = PLAYED[name]
    alone = eigenvalues(loss)
    assert alone == pytest.approx(expected(s, 0.0), abs=1e-12)
    assert [value.real for value in alone] == pytest.approx([0, 0], abs=1e-12)
    for penalty in (R1(gamma), R2(gamma)):
        found = eigenvalues(loss, penalty)
        assert found == pytest.approx(expected(s, gamma), abs=1e-12)
        assert max(value.real for value in found) < -0.01
    both = eigenvalues(loss, R1(gamma), R2(gamma))
    assert both == pytest.approx(expected(s, 2 * gamma), abs=1e-12)


@pytest.mark.parametrize("psi", [1e-6, -1e-6])
def test_the_penalty_of_wgan_gp_pushes_away_from_the_equilibrium(psi):
    """It wants a slope of 1; the one-sided penalty does not mind a slope below that."""
    beside = torch.tensor([0.0, psi], dtype=torch.float64, requires_grad=True)
    pushed = field(Wasserstein(), GradientPenalty(0.1))(beside)[1].item()
    assert pushed == pytest.approx(0.2 * (1 if psi > 0 else -1), rel=1e-5)
    assert field(Wasserstein(), OneSidedPenalty(0.1))(beside)[1].item() == pytest.approx(0.0)
