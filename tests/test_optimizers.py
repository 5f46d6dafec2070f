"""Optimizers for games, on the bilinear game, where plain descent spirals outwards."""

import copy
from functools import partial
from math import atan, sqrt

import numpy as np
import pytest
import torch
from conftest import SMALL, fitted, quiet_trainer, same, small_ring, snapshot
from torch import nn

from lightning_gans import GAN, AdversarialModule, Player
from lightning_gans.callbacks import Checkpoint, Lookahead
from lightning_gans.optimizers import GANAdam, OptimisticAdam, PastExtraAdam

RATE = 0.1

AS_SGD = {"lr": RATE * 1e13, "beta1": 0.0, "beta2": 0.0, "eps": 1e13}
"""With these, Adam's step is the learning rate times the gradient, to 1e-13 of it."""


def doubled(*values):
    return torch.tensor(values, dtype=torch.float64)


def walked(optimizer, gradients):
    """The weight after each update with given gradients, from 0."""
    weight = nn.Parameter(doubled(0.0))
    optimizer = optimizer([weight])
    found = []
    for gradient in gradients:
        weight.grad = doubled(gradient)
        optimizer.step()
        found.append(weight.item())
    return found


def test_optimistic_steps_are_those_of_the_paper_but_for_the_first():
    found = walked(partial(OptimisticAdam, lr=0.1, beta1=0.5, beta2=0.9), (1, 2, -1))
    expected = [-0.0999999990, -0.2075666151, -0.1240050216]
    assert found == pytest.approx(expected, abs=1e-9)
    # Public code doubles the first step, which no later one takes back.
    published = [-0.1999999980, -0.3075666141, -0.2240050206]
    assert [f - 0.0999999990 for f in found] == pytest.approx(published, abs=1e-9)


def adam_by_hand(gradients, rate, beta1, beta2, eps=1e-8):
    """Adam's steps, one by one."""
    mean = square = 0.0
    steps = []
    for number, gradient in enumerate(gradients, 1):
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        corrected = mean / (1 - beta1**number), square / (1 - beta2**number)
        steps.append(rate * corrected[0] / (sqrt(corrected[1]) + eps))
    return steps


def test_each_gradient_moves_the_moments_of_the_extrapolation_once_more():
    steps = adam_by_hand([1, 1, 2, 2, -1, -1], 0.1, 0.5, 0.9)
    behind, expected = 0.0, []
    for step, ahead in zip(steps[::2], steps[1::2], strict=True):
        behind -= step
        expected.append(behind - ahead)
    found = walked(partial(PastExtraAdam, lr=0.1, beta1=0.5, beta2=0.9), (1, 2, -1))
    assert found == pytest.approx(expected, abs=1e-14)


def bilinear(optimizer, updates=100, after=lambda weights, update: None):
    """How far from its equilibrium the game min_x max_y x y ends, with both moving at once."""
    x, y = (nn.Parameter(doubled(1.0)) for _ in range(2))
    optimizer = optimizer([x, y])
    for update in range(1, updates + 1):
        x.grad, y.grad = y.detach().clone(), -x.detach().clone()
        optimizer.step()
        after((x, y), update)
    return torch.hypot(x, y).item()


def recursion(first, second, updates=100):
    """|z| of z' = first z + second z_before from z = z_before = 1 + i."""
    before, now = 1 + 1j, first(1 + 1j)
    for _ in range(updates - 1):
        before, now = now, second(now, before)
    return abs(now)


@pytest.mark.parametrize("optimizer", [partial(GANAdam, fused=False), GANAdam])
def test_plain_descent_leaves_the_equilibrium(optimizer):
    found = bilinear(partial(optimizer, **AS_SGD))
    assert found == pytest.approx(2.3258606276, abs=1e-9)
    assert found == pytest.approx(sqrt(2) * 1.01**50, abs=1e-10)


def test_optimism_approaches_the_equilibrium_as_its_recursion_says():
    """The gradient is -i z: z' = z + 2 i rate z - i rate z_before."""
    found = bilinear(partial(OptimisticAdam, **AS_SGD))
    assert found == pytest.approx(0.8599852788, abs=1e-9)
    expected = recursion(
        lambda z: z * (1 + RATE * 1j), lambda z, before: z * (1 + 2j * RATE) - 1j * RATE * before
    )
    assert found == pytest.approx(expected, abs=1e-10)
    roots = np.roots([1, -(1 + 2j * RATE), 1j * RATE])
    shares = np.linalg.solve([[1, 1], roots], [1, 1 + RATE * 1j])
    assert found == pytest.approx(sqrt(2) * abs(shares @ roots**100), abs=1e-10)
    extragradient = sqrt(2) * sqrt((1 - RATE**2) ** 2 + RATE**2) ** 100
    assert extragradient == pytest.approx(0.8599397482, abs=1e-9)
    assert abs(found - extragradient) > 1e-5


def test_without_momentum_extrapolation_is_optimism_with_a_doubled_first_step():
    found = bilinear(partial(PastExtraAdam, **AS_SGD))
    expected = recursion(
        lambda z: z * (1 + 2j * RATE), lambda z, before: z * (1 + 2j * RATE) - 1j * RATE * before
    )
    assert found == pytest.approx(expected, abs=1e-10)
    assert abs(found - 0.8599852788) > 1e-3


def test_lookahead_approaches_the_equilibrium_by_its_closed_form():
    """Of both players at once, as the callback does with the weights of a model."""
    lookahead = Lookahead(5, 0.5)
    trainer = type("At", (), {"global_step": 0})()

    def correct(weights, update):
        if update == 1:
            lookahead._slow = {name: doubled(1.0) for name in "xy"}
            lookahead._fast = dict(zip("xy", weights, strict=True))
        trainer.global_step = update
        lookahead.on_train_batch_end(trainer, None, None, None, 0)

    found = bilinear(partial(GANAdam, **AS_SGD), after=correct)
    assert found == pytest.approx(0.9700390108, abs=1e-9)
    turned = 1.01**2.5 * np.exp(5j * atan(RATE))
    assert found == pytest.approx(sqrt(2) * abs(0.5 + 0.5 * turned) ** 20, abs=1e-10)


class Bilinear(AdversarialModule):
    """The same game of two players that take turns, by the loop of all games."""

    def __init__(self, optimizer):
        super().__init__()
        self.make = optimizer
        self.x, self.y = (nn.Linear(1, 1, bias=False) for _ in range(2))
        with torch.no_grad():
            self.x.weight.fill_(1.0)
            self.y.weight.fill_(1.0)

    def configure_players(self):
        return [
            Player("highest", [self.y], lambda batch: {"less": -self.value()}, self.make),
            Player("lowest", [self.x], lambda batch: {"value": self.value()}, self.make),
        ]

    def evaluation_record(self, batch, key):
        return batch

    floor_record = evaluation_record

    def value(self):
        return (self.x.weight * self.y.weight).sum()


@pytest.mark.parametrize("lookahead", [False, True])
def test_players_that_take_turns_are_corrected_together(lookahead):
    """One turn each is a matrix of determinant 1, so plain descent stays near its circle."""
    model = Bilinear(partial(torch.optim.SGD, lr=RATE))
    fitted(
        model,
        max_steps=100,
        precision="64-true",
        callbacks=[Lookahead(5, 0.5)] if lookahead else [],
    )
    one = np.array([[1 - RATE**2, -RATE], [RATE, 1]])
    five = np.linalg.matrix_power(one, 5)
    corrected = np.linalg.matrix_power((np.eye(2) + five) / 2, 20)
    way = corrected if lookahead else np.linalg.matrix_power(one, 100)
    found = [model.x.weight.item(), model.y.weight.item()]
    assert found == pytest.approx(list(way @ [1, 1]), abs=1e-10)
    if not lookahead:
        assert np.hypot(*found) == pytest.approx(1.4363531489, abs=1e-9)


@pytest.mark.parametrize("optimizer", [OptimisticAdam, PastExtraAdam])
def test_parameters_behind_one_without_a_gradient_are_updated(optimizer):
    weights = [nn.Parameter(doubled(1.0)) for _ in range(3)]
    made = optimizer(weights, lr=0.1)
    for weight in (weights[0], weights[2]):
        weight.grad = doubled(1.0)
    made.step()
    assert weights[1] == 1
    assert weights[0] == weights[2] < 1


@pytest.mark.parametrize("optimizer", [OptimisticAdam, PastExtraAdam])
def test_the_penalty_on_weights_is_part_of_the_gradient(optimizer):
    found = []
    for decay in (0.0, 0.5):
        weight = nn.Parameter(doubled(2.0))
        made = optimizer([weight], lr=0.1, weight_decay=decay)
        weight.grad = doubled(1.0 if decay else 1.0 + 0.5 * 2.0)
        made.step()
        found.append(weight.item())
    assert found[0] == found[1]


@pytest.mark.parametrize("optimizer", [OptimisticAdam, PastExtraAdam])
def test_a_state_that_is_loaded_continues_exactly(optimizer):
    def made():
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        return network, optimizer(network.parameters(), lr=0.1)

    def update(network, made):
        made.zero_grad()
        network.weight.square().sum().backward()
        made.step()

    network, first = made()
    for _ in range(3):
        update(network, first)
    other, second = made()
    other.load_state_dict(network.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    update(network, first)
    update(other, second)
    assert torch.equal(network.weight, other.weight)


def test_clipped_weights_stay_in_their_bounds():
    """What is clipped after an update is what the next one steps from."""
    weight = nn.Parameter(doubled(0.0))
    made = PastExtraAdam([weight], lr=1.0)
    made.register_step_post_hook(lambda *_: weight.data.clamp_(-0.1, 0.1))
    for gradient in (1.0, 1.0, -1.0, -1.0, -1.0, -1.0):
        weight.grad = doubled(gradient)
        made.step()
        assert abs(weight.item()) <= 0.1
    assert weight.item() == 0.1


def test_lookahead_keeps_what_a_checkpoint_holds(tmp_path):
    def run(steps, begin=None, callbacks=()):
        torch.manual_seed(2)
        model = GAN(**SMALL)
        saver = Checkpoint(dirpath=str(tmp_path))
        trainer = quiet_trainer(steps, callbacks=[*callbacks, saver], enable_checkpointing=True)
        trainer.fit(model, small_ring(), ckpt_path=begin)
        return snapshot(model)

    whole = run(12, callbacks=[Lookahead(5)])
    run(7, callbacks=[Lookahead(5)])
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    (state,) = (state for name, state in saved["callbacks"].items() if "Lookahead" in name)
    assert state.keys() == saved["state_dict"].keys()
    assert not torch.equal(
        state["generator.layers.0.weight"], saved["state_dict"]["generator.layers.0.weight"]
    )
    begin = tmp_path / "begin.ckpt"
    (tmp_path / "last.ckpt").rename(begin)
    assert same(run(12, str(begin), [Lookahead(5)]), whole)
    (tmp_path / "last.ckpt").unlink()
    assert not same(run(12, str(begin), []), whole)


def test_a_share_of_1_changes_nothing():
    found = []
    for callbacks in ([], [Lookahead(2, 1.0)]):
        torch.manual_seed(0)
        model = GAN(**SMALL)
        fitted(model, max_steps=4, callbacks=callbacks)
        found.append(snapshot(model))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_n_updates": 0}, "every_n_updates must be at least 1, got 0. Use 5"),
        ({"share": 0.0}, "share must be above 0 and at most 1, got 0.0. Use 0.5"),
        ({"share": 1.1}, "share must be above 0 and at most 1, got 1.1"),
    ],
)
def test_arguments_of_lookahead_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"Lookahead: {message}"):
        Lookahead(**arguments)


@pytest.mark.parametrize("arguments", [{"lr": -1.0}, {"beta1": 1.0}, {"beta2": -0.1}])
@pytest.mark.parametrize("optimizer", [OptimisticAdam, PastExtraAdam])
def test_settings_out_of_range_are_refused_before_training(optimizer, arguments):
    model = GAN(**SMALL, optimizer_d=partial(optimizer, **arguments))
    with pytest.raises(ValueError, match="discriminator: its optimizer cannot be made: Invalid"):
        fitted(model)
