"""Chance changes checkpoints, exports and configurations: they open, or are refused in words."""

from pathlib import Path

import fuzz
import pytest
import yaml
from hypothesis import strategies as st

from lightning_gans import WGANGP, load
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.cli.main import main
from lightning_gans.core.checkpointing import read_checkpoint

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*_ring*.yaml"))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    from conftest import SMALL, fitted

    path = tmp_path_factory.mktemp("honest") / "good.ckpt"
    model = WGANGP(data_shape=SMALL["data_shape"], n_critic=1)
    trainer = fitted(model, max_steps=1, callbacks=[GeneratorEMA()])
    trainer.save_checkpoint(path)
    path.with_suffix(".safetensors").write_bytes(load(path).export("generator"))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    main(["fit", *fuzz.BRIEF, "--trainer.default_root_dir", str(root)])
    return root / "run" / "version_0" / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_bytes(suffix, honest):
    changed = fuzz.changed_bytes(honest.with_suffix(suffix).read_bytes())
    ends = fuzz.ends_of(60, changed, fuzz.opens_bytes, repeat=True)
    assert ends["refused"] > 10


def test_entries(honest):
    changed = fuzz.changed_entries(read_checkpoint(honest))
    ends = fuzz.ends_of(90, changed, fuzz.opens_entries, repeat=True)
    assert min(ends["refused"], ends["opened"]) > 10


@pytest.mark.slow
def test_commands(trained):
    """The state of a run changes; whoever trains on or scores hears why it cannot be."""
    changed = fuzz.changed_entries(read_checkpoint(trained))
    drawn = st.tuples(changed, st.sampled_from(["fit", "validate"]))
    ends = fuzz.ends_of(30, drawn, lambda pair: fuzz.runs_or_refuses(*pair), repeat=True)
    assert min(ends["refused"], ends["done"]) > 3


@pytest.mark.slow
def test_configurations():
    contents = [yaml.safe_load(path.read_text()) for path in CONFIGS]
    changed = st.one_of(
        st.sampled_from(contents).flatmap(fuzz.changed_entries).map(yaml.safe_dump),
        st.text(max_size=40),
    )
    ends = fuzz.ends_of(60, changed, fuzz.parses_or_refuses, repeat=True)
    assert min(ends["refused"], ends["done"]) > 5
