"""What is seen of the weights of layers over time."""

import math

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from conftest import SMALL, Rows, fitted, quiet_trainer, small_ring
from PIL import Image
from torch.testing import assert_close

from lightning_gans import GAN, WGAN
from lightning_gans.callbacks import Checkpoint, WeightHistograms
from lightning_gans.callbacks.layers import BINS, _widened, counts, distribution

NAMES = {
    f"{network}.layers.{layer}.weight"
    for network, layers in (("discriminator", (1, 3)), ("generator", (0, 2)))
    for layer in layers
}


@pytest.fixture
def drawn(monkeypatch):
    """Notes what would be drawn, which takes longer than such trainings."""
    found = []

    def note(updates, weights):
        found.append(([*updates], weights))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("lightning_gans.callbacks.weights.layers_over_time", note)
    return found


def test_weights_on_the_bounds_are_in_their_own_bins_and_counted():
    """A fifth at each bound of 0.01, which the limit 1/64 of the histogram is just above."""
    weight = torch.tensor([0.01, -0.01, 0.0, 0.004, 0.002]).repeat(10, 1)
    limit, share, norm, *shares = distribution(weight, 2.5)[0].tolist()
    assert (limit, norm) == (1 / 64, 2.5)
    assert share == pytest.approx(0.4)
    edges = np.linspace(-limit, limit, BINS + 1)
    assert shares[int(np.searchsorted(edges, 0.01)) - 1] == pytest.approx(0.2)
    assert shares[int(np.searchsorted(edges, -0.01)) - 1] == pytest.approx(0.2)
    numbers, found = counts(weight, distribution(weight, math.nan))
    assert numbers.tolist() == np.histogram(weight, edges)[0].tolist()
    assert found.tolist() == edges.tolist()


@pytest.mark.parametrize("weight", [torch.zeros(3, 3), torch.tensor([[0.5, -0.5]])])
def test_alike_weights_are_all_at_the_largest_value(weight):
    assert distribution(weight, 1.0)[0, 1] == 1
    assert distribution(weight, 1.0)[0, 3:].sum() == 1


def test_histograms_of_different_limits_are_put_on_the_bins_of_the_largest():
    values = torch.randn(999) / 40
    own = distribution(values, math.nan)[0]
    limit = float(own[0])
    for ratio in (1, 2, 8, 32):
        wide = np.linspace(-ratio * limit, ratio * limit, BINS + 1)
        expected = np.histogram(values, wide)[0] / 999
        np.testing.assert_allclose(_widened(own[3:].numpy(), ratio), expected, atol=1e-6)
    assert _widened(own[3:].numpy(), 1024)[31:33].sum() == pytest.approx(1, rel=1e-5)


class Gradients(pl.Callback):
    """Notes what the last update of each weight left, after clipping."""

    def __init__(self):
        self.norms, self.weights = {}, {}

    def on_train_batch_end(self, trainer, model, *_):
        for name, weight in model.named_parameters():
            self.norms[trainer.global_step, name] = weight.grad.norm().item()
            self.weights[trainer.global_step, name] = weight.detach().clone()


def test_norms_and_shares_are_logged_at_the_cadence_only(drawn):
    rows, gradients = Rows(), Gradients()
    callbacks = [WeightHistograms(2), gradients]
    model = WGAN(**SMALL, clip_value=0.02, n_critic=3)
    fitted(model, max_steps=5, callbacks=callbacks, logger=rows, log_every_n_steps=1)
    seen = {step: row for step, row in rows.rows if any("at_largest" in key for key in row)}
    assert list(seen) == [2, 4]
    for step, row in seen.items():
        assert row.keys() == {f"{key}/{n}" for key in ("at_largest", "grad_norm") for n in NAMES}
        for name in NAMES:
            assert row[f"grad_norm/{name}"] == pytest.approx(gradients.norms[step, name])
            weight = gradients.weights[step, name].abs()
            share = (weight >= 0.99 * weight.max()).double().mean().item()
            assert row[f"at_largest/{name}"] == pytest.approx(share)
        assert row["at_largest/discriminator.layers.3.weight"] > 0.1


def test_norms_are_those_before_clipping(drawn):
    rows, gradients = Rows(), Gradients()
    model = GAN(**SMALL, gradient_clip_norm=1e-3)
    fitted(model, max_steps=1, callbacks=[WeightHistograms(1), gradients], logger=rows)
    (row,) = (row for _, row in rows.rows if any("grad_norm/" in key for key in row))
    assert row["grad_norm/discriminator.layers.3.weight"] > 1e-2
    assert gradients.norms[1, "discriminator.layers.3.weight"] < 1e-3


def test_a_resumed_run_has_seen_and_shows_the_same_weights(drawn, tmp_path):
    def run(folder, max_steps, **arguments):
        torch.manual_seed(0)
        callback = WeightHistograms(2)
        trainer = quiet_trainer(
            max_steps,
            enable_checkpointing=True,
            default_root_dir=tmp_path / folder,
            callbacks=[callback, Checkpoint(dirpath=str(tmp_path / folder))],
        )
        trainer.fit(WGAN(**SMALL), small_ring(), **arguments)
        return callback.state_dict()

    whole = run("whole", 7)
    run("parts", 3)
    resumed = run("parts", 7, ckpt_path=str(tmp_path / "parts" / "last.ckpt"))
    assert whole["updates"] == resumed["updates"] == [2, 4, 6]
    assert whole["seen"].keys() == resumed["seen"].keys() == NAMES
    for name, rows in whole["seen"].items():
        assert torch.equal(rows, resumed["seen"][name])
    parts = [(updates, [*weights]) for updates, weights in drawn]
    discriminator, generator = sorted(NAMES)[:2], sorted(NAMES)[2:]
    for index, updates in enumerate(([2, 4, 6, 7], [2, 3], [2, 4, 6, 7])):
        assert sorted(parts[2 * index : 2 * index + 2], key=lambda part: part[1]) == [
            (updates, discriminator),
            (updates, generator),
        ]
    for (_, before), (_, after) in zip(drawn[:2], drawn[4:], strict=True):
        for name, rows in before.items():
            assert_close(rows, after[name], rtol=0, atol=0, equal_nan=True)


def test_long_runs_keep_ever_fewer_of_their_looks(drawn, monkeypatch):
    monkeypatch.setattr("lightning_gans.callbacks.weights.MOST", 4)
    callback = WeightHistograms(1)
    fitted(WGAN(**SMALL), max_steps=8, callbacks=[callback])
    state = callback.state_dict()
    assert state["updates"] == [1, 5, 7, 8]
    assert {len(rows) for rows in state["seen"].values()} == {4}


def test_each_network_has_a_picture():
    fitted(WGAN(**SMALL), max_steps=3, callbacks=[WeightHistograms(1)], default_root_dir="run")
    for network in ("discriminator", "generator"):
        with Image.open(f"run/figures/weights_{network}.png") as picture:
            assert picture.size == (1100, 400)


def test_a_cadence_below_one_is_refused():
    with pytest.raises(ValueError, match="every_n_updates must be at least 1, got 0"):
        WeightHistograms(0)
