"""Losses of energies and Fisher's: their values, and the scalars that follow training."""

import math

import pytest
import torch
from conftest import SMALL, fitted, small_ring
from losses.vectors import BOTH, FAKE, REAL, P, Q, close, exact, slopes, values
from torch import nn
from torch.testing import assert_close

from lightning_gans import BEGAN, EBGAN, GAN, FisherGAN
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import BoundaryEquilibrium, EnergyMargin, Fisher, pulling_away
from lightning_gans.regularizers import FeatureMatching

REAL_ENERGY = torch.tensor([0.2, 0.4, 0.1], dtype=torch.float64)
FAKE_ENERGY = torch.tensor([0.5, 1.3, 0.05], dtype=torch.float64)
ENERGIES = REAL_ENERGY, FAKE_ENERGY


def same(value):
    """The mean over one process."""
    return value


# EBGAN


def test_the_margin_is_that_of_each_sample():
    """And not of their mean, which would give 0.6166666667."""
    found = values(EnergyMargin(1.0), *ENERGIES)
    assert found == (close(0.7166666667), close(0.6166666667))


def test_generated_samples_beyond_the_margin_cost_the_discriminator_nothing():
    at_real, at_fake, of_generator = slopes(EnergyMargin(1.0), *ENERGIES)
    assert_close(at_real, torch.full_like(at_real, 1 / 3))
    assert_close(at_fake, torch.tensor([-1 / 3, 0, -1 / 3], dtype=torch.float64))
    assert_close(of_generator, torch.full_like(at_real, 1 / 3))  # it has no margin


def test_codes_are_pulled_away_by_their_squared_cosines():
    """Not by the cosines (0.4714045208), nor over the samples' axis (0.3666666667)."""
    codes = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    assert pulling_away(codes).item() == close(1 / 3)
    assert pulling_away(5 * codes).item() == exact(1 / 3)
    alike = torch.ones(4, 3, dtype=torch.float64)
    assert pulling_away(alike).item() == exact(1.0)
    assert pulling_away(torch.eye(3, dtype=torch.float64)).item() == 0
    with pytest.raises(ValueError, match=r"at least 2, got 1\. Use a larger batch_size"):
        pulling_away(codes[:1])


# BEGAN


def test_the_equilibrium_loss_and_its_next_step():
    loss = BoundaryEquilibrium(0.5, 0.001).double()
    loss.k.fill_(0.1)
    assert values(loss, *ENERGIES) == (close(0.1716666667), close(0.6166666667))
    noted = loss.log(*ENERGIES)
    assert noted["convergence"].item() == close(0.7333333333)
    assert noted["k"].item() == 0.1
    loss.after_turn("discriminator", *ENERGIES, same)
    assert loss.k.item() == 0.1  # the generator's samples move it
    loss.after_turn("generator", None, FAKE_ENERGY, same)
    assert loss.k.item() == close(0.0995)


@pytest.mark.parametrize(
    ("start", "fake", "end"),
    [(0.0, 9.0, 0.0), (0.1, 9.0, 0.0), (0.95, 0.0, 1.0), (1.0, 0.0, 1.0)],
)
def test_the_weight_of_generated_samples_stays_between_zero_and_one(start, fake, end):
    loss = BoundaryEquilibrium(0.5, 10.0).double()
    loss.k.fill_(start)
    energy = torch.full((3,), fake, dtype=torch.float64)
    loss.after_turn("discriminator", REAL_ENERGY, energy, same)
    loss.after_turn("generator", None, energy, same)
    assert loss.k.item() == end


def test_at_the_equilibrium_the_weight_rests():
    loss = BoundaryEquilibrium(0.7, 1.0).double()
    loss.k.fill_(0.3)
    loss.after_turn("discriminator", REAL_ENERGY, FAKE_ENERGY, same)
    loss.after_turn("generator", None, 0.7 * REAL_ENERGY, same)
    assert loss.k.item() == exact(0.3)
    found = loss.log(REAL_ENERGY, 0.7 * REAL_ENERGY)["convergence"].item()
    assert found == exact(REAL_ENERGY.mean().item())


# Fisher


def test_the_fisher_loss_and_its_next_step():
    loss = Fisher(0.1).double()
    loss.multiplier.fill_(0.2)
    assert values(loss) == (close(-1.0183539497), exact(-FAKE.mean().item()))
    assert loss.log(*BOTH)["constraint"].item() == close(1.3020833333)
    assert loss.log(*BOTH)["ipm"].item() == exact((REAL.mean() - FAKE.mean()).item())
    loss.after_turn("generator", None, FAKE, same)
    assert loss.multiplier.item() == 0.2
    loss.after_turn("discriminator", *BOTH, same)
    assert loss.multiplier.item() == close(0.2302083333)  # a second moment above 1 raises it


def test_the_multiplier_follows_the_mean_over_the_processes():
    loss = Fisher(0.1).double()
    loss.after_turn("discriminator", *BOTH, lambda value: (value + 3.0) / 2)
    assert loss.multiplier.item() == close(0.1 * ((1.3020833333 + 3) / 2 - 1))


def test_the_largest_difference_of_means_at_unit_moments_is_the_distance_of_its_formula():
    def moments(f):
        return (P * f**2).sum() / 2 + (Q * f**2).sum() / 2

    best = (P - Q) / (P + Q)
    best = best / moments(best).sqrt()
    distance = ((P - Q) * best).sum().item()
    assert distance == close(0.7171371656)
    assert distance == exact(math.sqrt(((P - Q) ** 2 / ((P + Q) / 2)).sum().item()))
    for index in range(3):
        other = best.clone()
        other[index] += 0.1
        other = other / moments(other).sqrt()
        assert ((P - Q) * other).sum().item() < distance - 1e-4


# In training


class Rebuilds(nn.Module):
    """An autoencoder of points, with or without codes."""

    def __init__(self, codes: bool = True, entries: int = 2) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(2, 1), nn.Linear(1, entries)
        self.codes = codes

    def forward(self, x):
        code = self.encoder(x)
        return (self.decoder(code), code) if self.codes else self.decoder(code)


def autoencoding(kind, network=None, **arguments):
    networks = {**SMALL, "discriminator": network or Rebuilds()}
    return kind(**networks, prior=NormalPrior(2), **arguments)


@pytest.mark.parametrize(
    ("kind", "power"), [(EBGAN, 2), (BEGAN, 1)], ids=lambda value: getattr(value, "__name__", "")
)
def test_the_energy_is_the_mean_error_of_a_samples_entries(kind, power):
    model, x = autoencoding(kind), torch.randn(5, 2)
    expected = (model.discriminator(x)[0] - x).abs().pow(power).sum(1) / 2
    assert_close(model.discriminate(x), expected)


@pytest.mark.parametrize("kind", [EBGAN, BEGAN])
def test_features_that_an_autoencoder_does_not_have_are_refused(kind):
    with pytest.raises(ValueError, match=rf"regularizers_g: .* {kind.__name__} is an auto"):
        autoencoding(kind, regularizers_g=[FeatureMatching()])


def test_the_generator_learns_from_both_sides_of_the_error():
    """A target that is detached would leave half of the gradient away."""
    model = autoencoding(EBGAN)
    x = torch.randn(5, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(model.discriminate(x).sum(), x)
    difference = (model.discriminator(x)[0] - x).detach()
    jacobian = model.discriminator.decoder.weight @ model.discriminator.encoder.weight
    expected = difference @ (jacobian.detach() - torch.eye(2))
    assert_close(slope, expected)


@pytest.mark.parametrize("kind", [BEGAN, EBGAN, FisherGAN])
def test_adaptive_scalars_are_logged_and_change(kind):
    model = FisherGAN(**SMALL, n_critic=2) if kind is FisherGAN else autoencoding(kind)
    fitted(model, max_steps=3, log_every_n_steps=1)
    names = {
        BEGAN: {"k", "convergence"},
        EBGAN: {"pulling_away"},
        FisherGAN: {"ipm", "constraint", "multiplier"},
    }[kind]
    assert {f"train/{name}" for name in names} <= model.last_logged.keys()
    state = [value for name, value in model.state_dict().items() if name.startswith("loss.")]
    assert len(state) == {BEGAN: 2, EBGAN: 0, FisherGAN: 1}[kind]
    assert all(value != 0 for value in state)


def test_an_autoencoder_that_does_not_fit_is_refused_before_training():
    for network, message in (
        (Rebuilds(codes=False), "it returns no codes, which pulling_away_weight 0.1 needs. Use"),
        (Rebuilds(entries=3), r"it reconstructs samples of shape \(2,\) with shape \(3,\)"),
    ):
        model = autoencoding(EBGAN, network)
        with pytest.raises(ValueError, match=message):
            fitted(model)
        assert not model.has_trained
    fitted(autoencoding(EBGAN, Rebuilds(codes=False), pulling_away_weight=0.0), max_steps=1)
    fitted(autoencoding(BEGAN, Rebuilds(codes=False)), max_steps=1)


def test_two_discriminators_cannot_share_a_scalar():
    loss = BoundaryEquilibrium()

    class Twice(GAN):
        def discriminator_loss(self, samples):
            (view,) = self.views(samples)
            outputs = view.discriminate(view.real), view.discriminate(view.fake)
            return {name: self.adversarial_d(loss, *outputs, name=name) for name in ("one", "two")}

    with pytest.raises(ValueError, match="'one' and 'two' share a BoundaryEquilibrium"):
        fitted(Twice(**SMALL), small_ring())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: EnergyMargin(0.0),
            r"margin must be finite and above 0, got 0\.0\. Use about the energy",
        ),
        (lambda: EnergyMargin(math.inf), "margin must be finite and above 0, got inf"),
        (
            lambda: BoundaryEquilibrium(0.0),
            "gamma must be above 0 and at most 1, got 0.0",
        ),
        (
            lambda: BoundaryEquilibrium(k_rate=-1.0),
            "k_rate must be finite and at least 0, got -1.0",
        ),
        (lambda: Fisher(0.0), "rho must be finite and above 0, got 0.0"),
        (
            lambda: autoencoding(EBGAN, pulling_away_weight=-1),
            "pulling_away_weight must be finite",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
