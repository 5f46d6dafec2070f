"""The steps that the generator looks ahead."""

import warnings
from copy import deepcopy
from functools import partial

import pytest
import torch
from conftest import SMALL, fitted, quiet_trainer, same, small_ring, snapshot
from torch import nn
from torch.testing import assert_close

from lightning_gans import GAN, UnrolledGAN
from lightning_gans.core.players import Samples
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import Minimax, NonSaturating, Wasserstein
from lightning_gans.networks import MLPDiscriminator, SpectralNorm
from lightning_gans.optimizers import GANAdam, OptimisticAdam
from lightning_gans.regularizers import R1, R2, GradientPenalty, View

DOUBLE = torch.float64


class Times(nn.Module):
    """Multiplies by one weight."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=DOUBLE))

    def forward(self, x):
        return self.weight * x


def test_the_gradient_of_the_bilinear_game_runs_through_all_steps():
    """The generator's g = 2 meets d = 1, which would make three steps of 0.1.

    The gradient is d + 2 K eta g. Through the last values alone it is 1.6, and 1 without steps.
    """
    model = UnrolledGAN(
        generator=Times(2.0),
        discriminator=Times(-1.0),  # the critic's loss is -d g, the generator's d g
        prior=NormalPrior(1),
        loss=Wasserstein,
        unrolling=3,
        inner_lr=0.1,
    )
    model.configure_players()
    fake = model.generator(torch.ones(1, 1, dtype=DOUBLE))
    terms = model.generator_loss(Samples(torch.zeros(1, 1, dtype=DOUBLE), fake))
    assert terms.keys() == {"adversarial_g", "lookahead"}
    assert terms["adversarial_g"].item() == pytest.approx(2 * 1.6, rel=0, abs=1e-12)
    sum(terms.values()).backward()
    assert model.generator.weight.grad.item() == pytest.approx(2.2, rel=0, abs=1e-12)
    assert model.discriminator.weight.grad is None
    assert model.discriminator.weight.item() == -1


def trained(**arguments):
    model = UnrolledGAN(**{**SMALL, "unrolling": 3, **arguments})
    fitted(model, small_ring(), max_steps=3, precision="64-true")
    return model


def seen(model, n=8):
    latent = torch.randn(n, model.prior.dim, dtype=DOUBLE)
    return Samples(torch.randn(n, 2, dtype=DOUBLE), model.generate(latent))


@pytest.mark.parametrize(
    ("arguments", "optimizer"),
    [
        ({"inner_lr": 0.3, "regularizers": [R1(0.5, every=16)]}, partial(torch.optim.SGD, lr=0.3)),
        ({"optimizer_d": partial(GANAdam, lr=1e-2, beta2=0.9)}, None),
        ({"optimizer_d": partial(GANAdam, lr=1e-2), "gradient_clip_norm": 0.05}, None),
        ({"inner_lr": 0.3, "gradient_clip_norm": 0.05}, partial(torch.optim.SGD, lr=0.3)),
    ],
)
def test_the_steps_are_those_of_the_optimizer(arguments, optimizer):
    """Of plain gradients, or of the Adam that has trained the discriminator so far."""
    optimizers = []
    usual = UnrolledGAN.configure_optimizers

    class Keeps(UnrolledGAN):
        def configure_optimizers(self):
            found = usual(self)
            optimizers[:] = found[0]
            return found

    model = Keeps(**SMALL, unrolling=3, **arguments)
    fitted(model, small_ring(), max_steps=3, precision="64-true")
    x = seen(model)
    found = model._unrolled(x)
    judge = deepcopy(model.discriminator)
    stepping = optimizer(judge.parameters()) if optimizer else GANAdam(judge.parameters())
    if optimizer is None:
        stepping.load_state_dict(deepcopy(optimizers[0].state_dict()))
    for _ in range(3):
        stepping.zero_grad()
        real, fake = judge(x.real), judge(x.fake.detach())
        loss = model.loss.discriminator(real, fake)
        loss = loss + sum(part.penalize(part_view(judge, x)) / 2 for part in model.regularizers)
        loss.backward()
        if model.gradient_clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(judge.parameters(), model.gradient_clip_norm)
            assert norm > 2 * model.gradient_clip_norm
        stepping.step()
    for name, weight in judge.named_parameters():
        assert_close(found[name], weight, rtol=0, atol=1e-12)
        assert not torch.equal(found[name], dict(model.discriminator.named_parameters())[name])


def test_an_unused_layer_does_not_end_the_unrolling():
    class Partly(nn.Module):
        def __init__(self, data_shape):
            super().__init__()
            self.layer, self.unused = MLPDiscriminator(data_shape, [8]), nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(x)

    model = trained(discriminator=Partly, optimizer_d=partial(GANAdam, lr=1e-2))
    found = model._unrolled(seen(model))
    for name, weight in model.discriminator.named_parameters():
        assert torch.equal(found[name], weight) is name.startswith("unused")


def part_view(judge, x):
    return View(judge, x.real, x.fake)


@pytest.mark.parametrize("regularizer", [None, R1(1.0), R2(1.0), GradientPenalty(1.0)], ids=str)
@pytest.mark.parametrize("inner_lr", [0.5, None])
def test_the_gradient_of_a_zero_sum_loss_is_that_of_the_discriminators_later_loss(
    inner_lr, regularizer
):
    """By finite differences of minus that loss, the paper's objective.

    The regularizers of the discriminator are no part of the game: they count in its steps and by
    its weights, and not by the samples themselves.
    """
    parts = [] if regularizer is None else [regularizer]
    model = trained(inner_lr=inner_lr, loss=Minimax, regularizers=parts)
    x = seen(model)
    fake = x.fake.detach().requires_grad_()

    def adversarial(samples):
        return sum(model.discriminator_loss(samples).values())

    def objective(moved):
        torch.manual_seed(0)  # places between real and generated samples
        moved = Samples(x.real, moved)
        weights = model._unrolled(moved)
        through_weights = model._against(weights, model._whole_loss, Samples(x.real, x.fake))
        return -through_weights - model._against(later, adversarial, moved)

    torch.manual_seed(0)
    later = {name: weight.detach() for name, weight in model._unrolled(x).items()}
    torch.manual_seed(0)
    (gradient,) = torch.autograd.grad(
        sum(model.generator_loss(Samples(x.real, fake)).values()), fake
    )
    for row, column in ((0, 0), (3, 1)):
        step = torch.zeros_like(fake)
        step[row, column] = 1e-5
        ahead, back = objective(fake.detach() + step), objective(fake.detach() - step)
        slope = (ahead - back) / 2e-5
        assert_close(gradient[row, column], slope.detach(), rtol=1e-6, atol=1e-9)
    (usual,) = torch.autograd.grad(
        GAN.generator_loss(model, Samples(x.real, fake))["adversarial_g"], fake
    )
    assert (gradient - usual).abs().max() > 1e-5


def test_the_discriminator_makes_its_usual_update_alone():
    """Those of a GAN, until the generators part; nothing of the steps stays."""
    weights = []
    for make in (partial(UnrolledGAN, inner_lr=0.5), GAN):
        torch.manual_seed(0)
        model = make(**SMALL, loss=NonSaturating)
        fitted(model, small_ring(), max_steps=1)
        weights.append((snapshot(model.discriminator), snapshot(model.generator)))
    assert same(weights[0][0], weights[1][0])
    assert not same(weights[0][1], weights[1][1])


def test_buffers_of_the_discriminator_stay_as_they_are():
    """Those of batch norm move in its own update alone, by one pass over real and fake each."""
    judge = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    counts = []
    model = UnrolledGAN(data_shape=(2,), discriminator=judge, unrolling=4, inner_lr=0.1)
    judge[1].register_forward_hook(lambda *_: counts.append(1))
    fitted(model, small_ring(), max_steps=2)
    assert len(counts) > 2 * 2 * 5
    assert judge[1].num_batches_tracked == 2 * 2


def adam(**arguments):
    torch.manual_seed(0)
    return UnrolledGAN(**SMALL, unrolling=2, **arguments)


def test_a_resumed_run_continues_with_the_averages_of_adam(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    whole = adam()
    fitted(whole, small_ring(), max_steps=4)
    fitted(adam(), small_ring(), max_steps=2).save_checkpoint("stopped.ckpt")
    resumed = adam()
    quiet_trainer(4).fit(resumed, small_ring(), ckpt_path="stopped.ckpt", weights_only=True)
    assert same(snapshot(resumed), snapshot(whole))


@pytest.mark.slow
@pytest.mark.parametrize("penalties", [[R1(0.1)], [R1(0.1), R2(0.1)]], ids=["R1", "R1 and R2"])
def test_the_steps_of_adam_are_compiled_as_they_are_in_eager_mode(penalties, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    weights = []
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="compile: ")
        for compile in (False, True):
            model = adam(compile=compile, regularizers=penalties)
            fitted(model, small_ring(), max_steps=4)
            weights.append(snapshot(model))
    for one, other in zip(*weights, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unrolling": 0}, "unrolling must be at least 1, got 0. Use GAN"),
        ({"inner_lr": 0.0}, "inner_lr must be finite and above 0, got 0.0. Use None"),
        ({"inner_lr": float("nan")}, "inner_lr must be finite and above 0, got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UnrolledGAN(data_shape=(2,), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"discriminator": SpectralNorm},
            "discriminator: UnrolledGAN steps its weights, but those",
        ),
        (
            {"optimizer_d": partial(torch.optim.SGD, lr=0.1)},
            "inner_lr: optimizer_d is SGD, but .* Use inner_lr 0.1, or GANAdam",
        ),
        ({"optimizer_d": OptimisticAdam}, "optimizer_d is OptimisticAdam, but without"),
        (
            {"optimizer_d": partial(torch.optim.Adam, maximize=True)},
            "optimizer_d is Adam with maximize, which the steps without inner_lr do not support",
        ),
        (
            {"optimizer_d": lambda p: torch.optim.Adam([{"params": [*p], "amsgrad": True}])},
            "optimizer_d is Adam with amsgrad, which",
        ),
        (
            {"optimizer_d": lambda p: torch.optim.Adam([{"params": [each]} for each in p])},
            "optimizer_d has 8 groups of weights, but the steps without inner_lr have the",
        ),
    ],
)
def test_what_cannot_be_unrolled_is_refused_before_training(arguments, message):
    model = UnrolledGAN(data_shape=(2,), **arguments)
    with pytest.raises(ValueError, match=message):
        fitted(model)
    assert not model.has_trained


def test_the_lookahead_is_logged_and_a_frozen_layer_is_not_stepped():
    model = UnrolledGAN(**SMALL)
    next(model.discriminator.parameters()).requires_grad_(False)
    fitted(model, small_ring(), max_steps=2, log_every_n_steps=1)
    assert model.last_logged["train/lookahead"] < 0
    assert len(model._stepped) == len(snapshot(model.discriminator)) - 1
