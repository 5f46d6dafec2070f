"""Compiled losses against those that are not."""

from dataclasses import replace
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, quiet_trainer, small_ring
from reference.games import CURES, GAMES, LAZY
from torch import Tensor, nn
from torch.testing import assert_close

from lightning_gans import GAN, WGANGP
from lightning_gans.core.compiling import Compiled
from lightning_gans.core.priors import NormalPrior
from lightning_gans.core.timing import MEASURED
from lightning_gans.core.trust import known_classes
from lightning_gans.losses import MMD, AdversarialLoss, Cramer, Fisher
from lightning_gans.regularizers import R1


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


class Compilations(pl.Callback):
    """Notes at the end which losses are compiled."""

    def on_train_epoch_end(self, trainer, model):
        self.found = {name: loss.compiled for name, loss in model._compiled.items()}


def trained(make, *, compiled=None, data=None):
    """Trains for three rounds of which the second writes a row; returns weights and that row."""
    pl.seed_everything(0)
    model = make()
    noted = Compilations()
    quiet_trainer(3, log_every_n_steps=2, limit_val_batches=0, callbacks=[noted]).fit(
        model, small_ring(batch_size=12) if data is None else data
    )
    assert noted.found == (compiled or {})
    assert model._compiled == {}  # it could not be pickled
    row = {name: value for name, value in model.last_logged.items() if name not in MEASURED}
    return list(model.parameters()), row


def test_compiled_losses_and_gradients_are_those_of_eager_mode():
    def make(compile):
        arguments = {**SMALL, "optimizer_g": sgd, "optimizer_d": sgd, "n_critic": 2}
        return lambda: WGANGP(compile=compile, **arguments)

    weights, row = trained(make(False))
    players = {"discriminator": True, "generator": True}
    compiled, compiled_row = trained(make(True), compiled=players)
    for one, other in zip(compiled, weights, strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert row.keys() == compiled_row.keys()
    for name, value in row.items():
        assert compiled_row[name] == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_a_function_has_as_many_versions_however_many_others_there_are(monkeypatch):
    monkeypatch.setattr("lightning_gans.core.compiling.VERSIONS", 1)

    def scaled(factor: float, x: Tensor) -> Tensor:
        return factor * x

    for factor in (2.0, 3.0):
        function = Compiled("scaled", partial(scaled, factor))
        assert torch.equal(function(torch.ones(3)), torch.full((3,), factor))
        assert function.compiled

    several = Compiled("scaled", scaled)
    several(2.0, torch.ones(3))
    with pytest.warns(match="compile: scaled cannot be compiled and runs without"):
        assert torch.equal(several(3.0, torch.ones(3)), torch.full((3,), 3.0))
    assert not several.compiled


ENCODERS = {
    "AAE with a penalty": ("autoencoder", "discriminator", "encoder"),
    "BiGAN with a penalty": ("discriminator", "generator"),
    "SemiSupervisedAAE with a penalty": ("autoencoder", "discriminator", "encoder", "classifier"),
    "VAEGAN with a penalty": ("discriminator", "encoder", "generator"),
}
"""Players of the games with an encoder."""
CODES = ("InfoGAN", "InfoGAN with a posterior", "SGAN with a penalty", *ENCODERS)
ENERGIES = ("BEGAN", "EBGAN")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LAZY, *CURES, *CODES, *ENERGIES])
def test_regularizers_cures_codes_labels_and_energies_are_compiled_as_they_are_in_eager_mode(name):
    """On the networks of the plain loop, with a row and with updates in which it is not due."""

    def make(compile):
        def model():
            played = GAMES[name]
            plain = replace(played, arguments={**played.arguments, "compile": compile}).model(1)
            if name in ENCODERS:
                # A critic's last bias has no gradient but rounding, and Adam makes whole steps.
                plain.optimizer_d = sgd
            return plain

        return model

    own = GAMES[name].structure.data
    data = None if own is None else own()
    weights, row = trained(make(False), data=data)
    players = dict.fromkeys(ENCODERS.get(name, ("discriminator", "generator")), True)
    compiled, compiled_row = trained(make(True), compiled=players, data=data)
    for one, other in zip(compiled, weights, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert row.keys() == compiled_row.keys()
    for key, value in row.items():
        assert compiled_row[key] == pytest.approx(value, rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CoGAN", "CycleGAN", "Pix2Pix"])
def test_games_of_two_kinds_are_compiled_as_they_are_in_eager_mode(name):
    def make(compile):
        played = GAMES[f"{name} with a penalty"]
        plain = replace(played, arguments={**played.arguments, "compile": compile})
        return lambda: plain.model(1)

    weights, row = trained(make(False), data=GAMES[name].data())
    players = {"discriminator": True, "generator": True}
    compiled, compiled_row = trained(make(True), compiled=players, data=GAMES[name].data())
    for one, other in zip(compiled, weights, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert compiled_row == pytest.approx(row, rel=1e-4, abs=1e-5)


KINDS = sorted(known_classes(AdversarialLoss), key=lambda kind: kind.__name__)
QUICK = {Fisher}  # with a state, which is changed outside of what is compiled
SOME_FEATURES = {kind: {"num_outputs": 3} for kind in (Cramer, MMD)}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow)
        for kind in KINDS
        if not kind.reads_energies
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_loss_of_logits_compiles_with_a_penalty_on_its_critic(kind):
    def make(compile):
        arguments = {**SMALL, "optimizer_g": sgd, "optimizer_d": sgd, "regularizers": [R1(0.1)]}
        loss = partial(kind, **SOME_FEATURES.get(kind, {}))
        return lambda: GAN(compile=compile, loss=loss, **arguments)

    weights, row = trained(make(False))
    compiled, compiled_row = trained(
        make(True), compiled={"discriminator": True, "generator": True}
    )
    for one, other in zip(compiled, weights, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert compiled_row == pytest.approx(row, rel=1e-4, abs=1e-5)


class Looks(nn.Module):
    """A discriminator that no compiler can follow: it looks at its values."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x if x.sum().item() < 1e9 else -x)


def test_a_loss_that_cannot_be_compiled_says_so_and_runs_without():
    def make(compile):
        return lambda: GAN(
            generator=nn.Linear(3, 2),
            discriminator=Looks(),
            prior=NormalPrior(3),
            optimizer_g=sgd,
            optimizer_d=sgd,
            compile=compile,
        )

    eager, _ = trained(make(False))
    players = {"discriminator": False, "generator": False}
    with pytest.warns(UserWarning, match=r"GAN\.discriminator_loss cannot be compiled") as said:
        compiled, _ = trained(make(True), compiled=players)
    assert sum("cannot be compiled" in str(one.message) for one in said) == 2  # both players'
    for one, other in zip(compiled, eager, strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.in_two_processes("compile_losses")
def test_two_processes_compile_what_each_of_them_computes(left_behind):
    for rank in range(2):
        found = torch.load(left_behind / f"{rank}.pt")
        _, weights = found[False]
        compiled, compiled_weights = found[True]
        assert compiled == {"discriminator": True, "generator": True}
        for one, other in zip(compiled_weights, weights, strict=True):
            assert_close(one, other, rtol=1e-5, atol=1e-6)
