"""A run on a GPU that was stopped goes on as if it had not been, in every precision."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from interrupted import CLIPPED, assert_same, command, content, rows
from made import fill

from lightning_gans.cli.main import main

pytestmark = pytest.mark.gpu

GPU = ["--trainer.accelerator", "gpu", "--trainer.devices", "1"]
RING = ["GaussianRing"]
PHOTOS = ["ImageFolder", "--data.path", "photos", "--data.image_size", "16"]
IMAGES = ("--model", "WDCGANGP")
DETERMINISTIC = ["--trainer.deterministic", "true"]


@pytest.fixture(autouse=True)
def _any_algorithm(monkeypatch):
    """A deterministic trainer sets both of these for the whole process."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.filterwarnings("error:.*cannot be compiled")
@pytest.mark.parametrize(
    ("model", "data", "more"),
    [
        (CLIPPED, RING, ["--trainer.precision", "32-true"]),
        (CLIPPED, RING, ["--trainer.precision", "bf16-mixed"]),
        (CLIPPED, RING, ["--trainer.precision", "16-mixed"]),
        (CLIPPED, RING, ["--trainer.precision", "64-true"]),
        (CLIPPED, RING, ["--model.compile", "true"]),
        (IMAGES, PHOTOS, DETERMINISTIC),
        (IMAGES, PHOTOS, [*DETERMINISTIC, "--trainer.precision", "bf16-mixed"]),
    ],
)
def test_a_resumed_run_and_evaluate_are_exact(model, data, more, tmp_path):
    fill("photos", 60, (16, 16))
    run = command(2, data, 6, 4, *GPU, *more, model=model)
    longer = ["--trainer.max_steps", "14"]
    main([*run, "--trainer.max_steps", "8"])
    half, whole = (Path("runs", name, "version_0") for name in ("half", "whole"))
    shutil.copytree("runs/run/version_0", half)
    main(["fit", "--ckpt_path", str(half / "checkpoints" / "last.ckpt"), *longer])
    main([*run, "--name", "whole", *longer])
    states = [content(folder / "checkpoints" / "last.ckpt") for folder in (half, whole)]
    for state in states:
        assert state.pop("config")
        assert state["global_step"] == 14
    assert_same(*states)
    # Only the run that was stopped was validated where it stopped.
    trained = [[row for row in rows(folder) if row["train/loss_d"]] for folder in (half, whole)]
    assert [row["step"] for row in trained[0]] == ["2", "4", "6", "8", "10", "12", "14"]
    assert trained[0] == trained[1]
    main(["evaluate", "--ckpt_path", str(whole / "checkpoints" / "last.ckpt")])
    record = json.loads((whole / "run.json").read_text())
    assert record["machine"]["device"] == torch.cuda.get_device_name()
    assert json.loads((whole / "scores.json").read_text())["scores"] == record["scores"]
