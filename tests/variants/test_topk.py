"""Which samples the generator learns from in top-k training."""

from functools import partial
from math import exp, log1p

import pytest
import torch
from conftest import SMALL, fitted, small_ring
from torch import nn

from lightning_gans import GAN, TopKGAN
from lightning_gans.losses import (
    MMD,
    Cramer,
    FDivergence,
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticAverage,
    RelativisticPaired,
    Wasserstein,
)

FAKE = torch.tensor([0.5, -1.5, 0.25], dtype=torch.float64)


def kept(number, loss=NonSaturating, fake=FAKE):
    """The generator's loss over the best of some outputs."""
    model = TopKGAN(data_shape=(2,), loss=loss)
    model.share.fill_(number / fake.numel() + 1e-9)
    return model.adversarial_g(model.loss, fake).item()


def test_the_loss_is_the_mean_over_the_best_samples():
    """That of all three is 0.9171432273, that of the two worst 1.1386800905."""
    closed = (log1p(exp(-0.5)) + log1p(exp(-0.25))) / 2
    assert kept(2) == pytest.approx(0.5250082020, rel=0, abs=1e-9)
    assert kept(2) == pytest.approx(closed, rel=0, abs=1e-12)
    assert kept(3) == pytest.approx(0.9171432273, rel=0, abs=1e-9)
    assert kept(1, Hinge) == -0.5
    assert kept(0) == kept(1)  # one is always kept


def test_no_gradient_reaches_the_others():
    model = TopKGAN(data_shape=(2,))
    model.share.fill_(0.7)
    fake = FAKE.clone().requires_grad_()
    model.adversarial_g(model.loss, fake).backward()
    expected = [-1 / (1 + exp(x)) / 2 for x in (0.5, 0.25)]
    assert fake.grad.tolist() == [pytest.approx(expected[0]), 0, pytest.approx(expected[1])]


def test_an_overflow_of_what_is_left_out_does_not_count():
    fake = torch.tensor([1.0, float("-inf"), 2.0], dtype=torch.float64, requires_grad=True)
    model = TopKGAN(data_shape=(2,), loss=Hinge)
    model.share.fill_(0.7)
    loss = model.adversarial_g(model.loss, fake)
    assert loss.item() == -1.5
    loss.backward()
    assert fake.grad.tolist() == [-0.5, 0, -0.5]


def test_patches_are_samples_of_their_own():
    assert kept(2, fake=FAKE.reshape(1, 1, 3, 1)) == kept(2)


def test_the_share_is_a_function_of_the_update():
    """With 0.99 it is a half after 69 factors."""
    model = TopKGAN(data_shape=(2,), every=10)
    assert [model.share_at(update) for update in (1, 10, 11, 21)] == [1, 1, 0.99, 0.99**2]
    assert model.share_at(69 * 10) > 0.5
    assert model.share_at(69 * 10 + 1) == 0.5
    assert TopKGAN(data_shape=(2,), smallest_share=0.75).share_at(10**6) == 0.75


def test_the_share_falls_in_training_and_is_logged():
    model = TopKGAN(**SMALL, decay=0.5, smallest_share=0.25, every=1, n_critic=2)
    shares = []
    usual = model.generator_loss
    model.generator_loss = lambda x: shares.append(model.share.item()) or usual(x)
    fitted(model, small_ring(batch_size=8), max_steps=4, log_every_n_steps=4)
    assert shares == [1, 1, 0.5, 0.25, 0.25]  # the first is tried before training
    assert model.last_logged["train/kept"] == 0.5
    assert "share" not in model.state_dict()


def test_it_is_a_gan_as_long_as_all_are_kept():
    losses = []
    for kind in (partial(TopKGAN, decay=1.0), GAN):
        torch.manual_seed(0)
        model = kind(**SMALL)
        fitted(model, small_ring(), max_steps=2, precision="64-true")
        losses.append(torch.cat([p.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*losses, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 0.0}, "decay must be above 0 and at most 1, got 0.0. Use 0.99"),
        ({"decay": 1.1}, "decay must be above 0 and at most 1, got 1.1. Use 0.99"),
        ({"smallest_share": 0.0}, "smallest_share must be above 0 and at most 1, got 0.0. Use 0."),
        ({"smallest_share": float("nan")}, "smallest_share must be above 0 and at most 1, got na"),
        ({"every": 0}, "every must be at least 1, got 0. Use 500"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TopKGAN(data_shape=(2,), **arguments)


class Softest(NonSaturating):
    """A generator's loss that compares its samples with each other."""

    def generator(self, fake, real=None):
        return -fake.logsumexp(0)


@pytest.mark.parametrize(
    "loss", [RelativisticPaired, RelativisticAverage, partial(MMD, num_outputs=1), Cramer, Softest]
)
def test_losses_that_compare_samples_are_refused(loss):
    with pytest.raises(ValueError, match=r"loss: \w+ compares the samples of an update, so that"):
        TopKGAN(data_shape=(2,), loss=loss)


def test_a_loss_whose_outputs_are_low_for_real_samples_is_refused():
    with pytest.raises(
        ValueError, match="with LeastSquares the outputs of real samples are lower"
    ):
        TopKGAN(data_shape=(2,), loss=partial(LeastSquares, -1.0, 1.0, -1.0))


@pytest.mark.parametrize(
    "loss",
    [
        *(LeastSquares, partial(LeastSquares, 1.0, -1.0, 0.0), Wasserstein),
        *(FDivergence, partial(FDivergence, "kl")),
    ],
)
def test_other_losses_fit(loss):
    model = TopKGAN(data_shape=(2,), loss=loss, discriminator=nn.Linear(2, 1))
    assert model.adversarial_g(model.loss, FAKE).item() == pytest.approx(
        model.loss.generator(FAKE).item(), rel=0, abs=1e-12
    )
