"""Regularizers that differentiate nothing: of outputs and of weights."""

import pytest
import torch
from conftest import MadeImages, fitted, small_ring
from torch import nn
from torch.testing import assert_close

from lightning_gans import DCGAN, GAN
from lightning_gans.core.priors import NormalPrior
from lightning_gans.regularizers import (
    LeCam,
    Orthogonal,
    View,
    lecam_penalty,
    orthogonal_penalty,
)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


REAL, FAKE = doubles(1.0, -3.0, 2.0), doubles(0.5, -1.5, 0.25)


def view(real=REAL, fake=FAKE, **more):
    return View(lambda x: x, real, fake, real_logits=real, fake_logits=fake, **more)


# LeCam


def test_lecam_has_the_value_of_its_paper_and_not_that_of_its_code():
    value = lecam_penalty(REAL, FAKE, 0.5, -0.5).item()
    assert value == pytest.approx(6.2708333333, rel=0, abs=1e-9)
    closed = (1.5**2 + 2.5**2 + 2.5**2) / 3 + (0 + 2.0**2 + 0.25**2) / 3
    assert value == pytest.approx(closed, rel=0, abs=1e-12)
    code = (REAL + 0.5).relu().square().mean() + (0.5 - FAKE).relu().square().mean()
    assert code.item() == pytest.approx(4.1875, abs=1e-12)


def test_its_gradient_pulls_each_output_to_the_other_average():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    lecam_penalty(real, fake, 0.5, -0.5).backward()
    assert_close(real.grad, 2 * (REAL + 0.5) / 3)
    assert_close(fake.grad, 2 * (FAKE - 0.5) / 3)


def test_its_averages_move_as_published():
    penalty = LeCam(decay=0.99).double()
    penalty.averages.copy_(doubles(0.5, -0.5))
    penalty.updates.fill_(1000)
    penalty.after_turn([view(doubles(1.0, -0.5, 2.0))], lambda value: value)
    assert_close(penalty.averages, doubles(0.5033333333, -0.4975), rtol=0, atol=1e-9)
    assert_close(penalty.averages[0], doubles(0.99 * 0.5 + 0.01 * 2.5 / 3)[0])


def test_its_first_averages_are_plain_means_over_all_processes():
    penalty = LeCam(decay=0.6).double()
    for outputs in (doubles(1.0), doubles(3.0), doubles(8.0)):
        penalty.after_turn([view(outputs, outputs)], lambda value: value + 1)
    # (2 + 4) / 2 = 3, and then 0.6 of it, since 2 / 3 is more than the decay
    assert_close(penalty.averages, doubles(*[0.6 * 3 + 0.4 * 9] * 2))
    assert penalty.updates == 3


def test_it_counts_from_its_start():
    penalty = LeCam(weight=2.0, start=2).double()
    for expected in (0.0, 0.0, None):
        value = penalty(view()).item()
        if expected is not None:
            assert value == expected
            penalty.after_turn([view()], lambda value: value)
    assert value == pytest.approx(
        2 * lecam_penalty(REAL, FAKE, REAL.mean(), FAKE.mean()).item(), abs=1e-12
    )


def test_it_reads_the_outputs_of_the_loss_and_makes_no_pass_of_its_own():
    passes = []
    critic = nn.Linear(2, 1)
    critic.register_forward_hook(lambda *_: passes.append(1))
    plain = GAN(data_shape=(2,), discriminator=critic)
    fitted(plain, max_steps=3)
    before = len(passes)
    passes.clear()
    penalised = GAN(data_shape=(2,), discriminator=critic, regularizers=[LeCam(start=1)])
    fitted(penalised, max_steps=3)
    assert len(passes) == before
    assert penalised.regularizers[0].updates == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 1.0}, "LeCam: decay must be at least 0 and below 1, got 1.0. Use 0.99"),
        ({"decay": -0.1}, "LeCam: decay must be at least 0 and below 1, got -0.1. Use"),
        ({"decay": float("nan")}, "LeCam: decay must be at least 0 and below 1, got nan"),
        ({"start": 0}, "LeCam: start must be at least 1, got 0. Use 1"),
    ],
)
def test_lecam_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeCam(**arguments)


def test_lecam_refuses_a_game_of_several_discriminators():
    with pytest.raises(ValueError, match="LeCam follows one discriminator, but this game has se"):
        LeCam()(view(name="a"))


# Orthogonal


MATRIX = doubles([1.0, 2.0], [0.0, 1.0])


def test_rows_that_are_not_orthogonal_cost_their_products():
    weight = MATRIX.clone().requires_grad_()
    value = orthogonal_penalty(weight)
    value.backward()
    assert value.item() == 8
    # Its authors' code adds half of this; columns in place of rows would give another gradient.
    assert torch.equal(weight.grad, doubles([0.0, 8.0], [8.0, 16.0]))
    full = (MATRIX @ MATRIX.T - torch.eye(2)).square().sum()
    assert full == 24
    assert orthogonal_penalty(3 * torch.eye(3)) == 0


def test_filters_are_what_makes_an_output_in_each_kind_of_layer():
    linear = nn.Linear(2, 2)
    convolution = nn.Conv2d(2, 3, 2)
    transposed = nn.ConvTranspose2d(2, 3, 2)
    network = nn.Sequential(linear, convolution, transposed, nn.Embedding(4, 2), nn.LayerNorm(3))
    expected = 0.0
    for filters in (linear.weight, [*convolution.weight], [*transposed.weight.transpose(0, 1)]):
        flat = [part.flatten() for part in filters]
        expected += sum(
            (one @ other).item() ** 2 for one in flat for other in flat if one is not other
        )
    value = Orthogonal(weight=0.5)([network]).item()
    assert value == pytest.approx(0.5 * expected, rel=1e-5)


def test_the_generator_takes_it_too_and_its_term_has_a_name_of_its_own():
    model = GAN(data_shape=(2,), regularizers_g=[Orthogonal(0.1)])
    fitted(model, max_steps=1, log_every_n_steps=1)
    assert model.last_logged["train/orthogonal_g"] > 0


def test_networks_without_layers_are_refused_before_training():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * x[:, 0]

    model = GAN(
        generator=nn.Linear(2, 2),
        discriminator=Scaled(),
        prior=NormalPrior(2),
        regularizers=[Orthogonal()],
    )
    with pytest.raises(ValueError, match="Orthogonal found no linear or convolutional layer in S"):
        fitted(model, small_ring(), max_steps=1)
    assert not model.has_trained


# What they have in common


@pytest.mark.parametrize("make", [lambda: LeCam(start=1), Orthogonal])
def test_a_discriminator_with_batch_statistics_is_allowed(make):
    model = DCGAN(data_shape=(1, 16, 16), regularizers=[make()])
    fitted(model, MadeImages(), max_steps=2)
    assert model.has_trained
