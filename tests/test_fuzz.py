"""Chance changes checkpoints, exports and configurations: they open, or are refused in words."""

from collections import Counter
from pathlib import Path

import fuzz
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_gans import WGANGP, load
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.checkpoints import read_checkpoint
from lightning_gans.cli import main

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*_ring*.yaml"))
CASES = settings(
    deadline=None,
    database=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


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
    content = honest.with_suffix(suffix).read_bytes()
    ends = Counter()

    @settings(CASES, max_examples=60)
    @given(fuzz.changed_bytes(content))
    def opens(changed):
        Path("changed").write_bytes(changed)
        ends[fuzz.opens_or_refuses(Path("changed"))] += 1

    opens()
    assert sum(ends.values()) >= 60
    assert ends["refused"] > 10


def test_entries(honest):
    state = read_checkpoint(honest)
    ends = Counter()

    @settings(CASES, max_examples=100)
    @given(fuzz.changed_entries(state))
    def opens(changed):
        torch.save(changed, "changed.ckpt")
        ends[fuzz.opens_or_refuses(Path("changed.ckpt"))] += 1

    opens()
    assert sum(ends.values()) >= 100
    assert min(ends["refused"], ends["opened"]) > 10


def test_commands(trained, capsys):
    """The state of a run changes; whoever trains on or scores hears why it cannot be."""
    state = read_checkpoint(trained)
    ends = Counter()

    @settings(CASES, max_examples=40)
    @given(fuzz.changed_entries(state), st.sampled_from(["fit", "validate"]))
    def runs(changed, command):
        torch.save(changed, "changed.ckpt")
        ends[fuzz.runs_or_refuses(command, Path("changed.ckpt"))] += 1
        capsys.readouterr()

    runs()
    assert sum(ends.values()) >= 40
    assert min(ends["refused"], ends["done"]) > 5


def test_configurations(capsys):
    contents = [yaml.safe_load(path.read_text()) for path in CONFIGS]
    ends = Counter()

    @settings(CASES, max_examples=80)
    @given(
        st.one_of(
            st.sampled_from(contents).flatmap(fuzz.changed_entries).map(yaml.safe_dump),
            st.text(max_size=40),
        )
    )
    def parses(text):
        Path("changed.yaml").write_text(text)
        ends[fuzz.parses_or_refuses(Path("changed.yaml"))] += 1
        capsys.readouterr()

    parses()
    assert sum(ends.values()) >= 80
    assert min(ends.values()) > 5
