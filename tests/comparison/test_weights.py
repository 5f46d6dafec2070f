"""Weights of checkpoints: real ones, clipped ones, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, fitted

from lightning_gans import GAN
from lightning_gans.comparison.weights import EDGES, weights_of


def test_histograms_are_those_of_numpy(tmp_path):
    model = GAN(**SMALL)
    trainer = fitted(model, max_steps=1)
    weights = model.generator.state_dict()
    first = next(name for name, tensor in weights.items() if tensor.ndim == 2)
    weights[first][0] = 0.0  # exact zeros
    weights[first][1] = 1e-30  # beyond the bins
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    found = weights_of(tmp_path / "a.ckpt")
    assert set(found) == {"generator", "discriminator"}
    matrices = {name: t.double().numpy() for name, t in weights.items() if t.ndim == 2}
    values = np.abs(np.concatenate([matrix.ravel() for matrix in matrices.values()]))
    logs = np.log10(values[values > 0]).clip(EDGES[0], EDGES[-1] - 1e-9)
    mine = found["generator"]
    np.testing.assert_allclose(mine.shares, np.histogram(logs, EDGES)[0] / len(values))
    assert mine.zeros == np.mean(values == 0) > 0
    assert mine.layers == list(matrices)
    sizes = [np.sqrt((matrix**2).mean()) for matrix in matrices.values()]
    np.testing.assert_allclose(mine.sizes, sizes)


def test_clipped_weights_are_a_spike(tmp_path):
    model = GAN(**SMALL)
    trainer = fitted(model, max_steps=1)
    for tensor in model.discriminator.parameters():
        tensor.data = tensor.sign() * 0.01
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    shares = np.array(weights_of(tmp_path / "a.ckpt")["discriminator"].shares)
    assert shares.max() == 1.0
    place = shares.argmax()
    assert EDGES[place] - 1e-6 <= -2 <= EDGES[place + 1] + 1e-6


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint"])
def test_what_is_no_checkpoint_is_refused(content):
    Path("a.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.ckpt"):
        weights_of(Path("a.ckpt"))
    torch.save({"state_dict": {"a.b": torch.ones(2, 2)}}, "b.ckpt")
    with pytest.raises(ValueError, match="not written by a model of lightning_gans"):
        weights_of(Path("b.ckpt"))
