"""A run that was stopped anywhere and goes on is the run that was not stopped."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from made import fill, make_digits

from lightning_gans.callbacks import AtomicCheckpointIO
from lightning_gans.cli import main

NETWORK = "{class_path: %s, init_args: {hidden: [8, 8], normalization: torch.nn.BatchNorm1d}}"


def command(n_critic, data, validate_every, save_every, *more):
    """A run with all that has a state: BatchNorm, clipping, a schedule, an average, a best."""
    return [
        *("fit", "--name", "run", "--model", "WGAN", "--model.n_critic", str(n_critic)),
        *("--model.generator", NETWORK % "MLPGenerator"),
        *("--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR"),
        *("--model.scheduler.T_max", "20", "--trainer.callbacks+=GeneratorEMA"),
        *("--data", *data, "--data.batch_size", "8", "--data.num_eval_samples", "32"),
        *("--trainer.max_steps", "17", "--trainer.log_every_n_steps", "2"),
        *("--trainer.val_check_interval", str(validate_every)),
        *("--checkpoint.every_n_updates", str(save_every), "--pictures.every_n_updates", "0"),
        *more,
    ]


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "train/updates_per_s"} for row in found]


def content(path):
    return torch.load(path, weights_only=True)


def assert_same(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert a == b, where


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Every ``last.ckpt`` that is written, by update, the later of two."""
    found = {}
    save = AtomicCheckpointIO.save_checkpoint

    def keep(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        if Path(path).name == "last.ckpt":
            found[checkpoint["global_step"]] = tmp_path / f"{checkpoint['global_step']}.ckpt"
            shutil.copy(path, found[checkpoint["global_step"]])

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", keep)
    return found


ARRAY = ["ArrayData", "--data.path", "points.npy"]  # 90 rows to train on
FOLDER = [
    *("ImageFolder", "--data.path", "photos", "--data.image_size", "8", "--data.cache", "false"),
    *("--data.num_workers", "2", "--data.horizontal_flip", "true"),  # 90 images to train on
]
DIGITS = ["MNIST", "--data.data_dir", "digits"]  # 60 images to train on
BY_EPOCHS = ["--trainer.max_steps", "-1", "--trainer.max_epochs", "3"]


@pytest.mark.parametrize(
    ("n_critic", "data", "validate_every", "save_every", "more", "last"),
    [
        (1, ["GaussianRing"], 4, 3, [], 17),
        (5, ["GaussianRing"], 3, 6, [], 17),
        (2, ARRAY, 6, 2, [], 17),  # epochs of 5 batches
        (2, ARRAY, 5, 5, [], 17),  # validation where epochs end
        (2, ARRAY, 4, 1, BY_EPOCHS, 15),
        (2, FOLDER, 6, 4, [], 17),  # decoded ahead by workers
        (5, DIGITS, 4, 3, [], 17),  # epochs of one batch
    ],
)
def test_every_checkpoint_leads_to_the_same_end(
    n_critic, data, validate_every, save_every, more, last, written, tmp_path
):
    np.save("points.npy", np.random.default_rng(0).normal(size=(100, 2)))
    fill("photos", 100)
    make_digits("digits")
    main(command(n_critic, data, validate_every, save_every, *more))
    whole = tmp_path / "runs" / "run" / "version_0"
    due = {*range(save_every, last, save_every), *range(validate_every, last, validate_every)}
    assert written.keys() == {*due, last}
    expected = {update: content(path) for update, path in written.items()}
    for update in sorted(due):
        folder = tmp_path / "moved" / str(update) / "version_0"
        shutil.copytree(whole, folder)
        torch.save(expected[update], folder / "checkpoints" / "last.ckpt")
        written.clear()
        main(["fit", "--ckpt_path", str(folder / "checkpoints" / "last.ckpt")])
        assert rows(folder) == rows(whole)
        # Whatever it writes on its way is the same too, so it may be stopped again.
        assert written.keys() == {later for later in expected if later > update}
        for later, path in written.items():
            assert_same(content(path), expected[later], f"from {update}, at {later}: ")
        best = [content(f / "checkpoints" / "best.ckpt") for f in (folder, whole)]
        assert_same(*best)
        record = json.loads((folder / "run.json").read_text())
        assert record["resumed_at"] == [update]
        assert record["status"] == "finished"


def start(arguments):
    console_script = Path(sys.executable).parent / "lightning-gans"
    return subprocess.Popen(
        [console_script, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def wait_for_row(folder, step, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "metrics.csv").exists() and int(rows(folder)[-1]["step"]) >= step:
            return
        time.sleep(0.01)
    raise AssertionError(process.stderr.read().decode())


@pytest.mark.parametrize("data", [["GaussianRing"], FOLDER], ids=lambda data: data[0])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(data, tmp_path):
    fill("photos", 100)
    run = command(2, data, 40, 30, "--trainer.max_steps", "300")
    process = start([*run, "--name", "whole"])
    assert process.wait(timeout=240) == 0, process.stderr.read().decode()
    whole = tmp_path / "runs" / "whole" / "version_0"
    folder = tmp_path / "runs" / "run" / "version_0"
    for arguments, step in ((run, 75), (["fit", "--name", "run", "--ckpt_path", "last"], 190)):
        process = start(arguments)
        wait_for_row(folder, step, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        saved = content(folder / "checkpoints" / "last.ckpt")["global_step"]
        assert saved < 300
        record = json.loads((folder / "run.json").read_text())
        assert record["updates"] >= saved
        assert record["wall_time_s"] > 0
    # A kill in the middle of a write leaves part of a row and of a checkpoint.
    with (folder / "metrics.csv").open("a") as file:
        file.write("299,0.1")
    (folder / "checkpoints" / "last.ckpt.part").write_bytes(b"half")
    process = start(["fit", "--name", "run", "--ckpt_path", "last"])
    assert process.wait(timeout=240) == 0, process.stderr.read().decode()
    assert rows(folder) == rows(whole)
    states = [content(f / "checkpoints" / "last.ckpt") for f in (folder, whole)]
    for state in states:
        assert state.pop("config").pop("name") in ("run", "whole")
    assert_same(*states)
    assert os.listdir(tmp_path / "runs" / "run") == ["version_0"]
    assert sorted(os.listdir(folder / "checkpoints")) == ["best.ckpt", "last.ckpt"]
    pictures = [(f / "samples" / "0000300.png").read_bytes() for f in (folder, whole)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [(signal.SIGINT, 1, "KeyboardInterrupt"), (signal.SIGTERM, 143, "SIGTERMException")],
)
def test_a_run_that_is_told_to_stop_tells_how_to_go_on(number, code, kind, tmp_path):
    run = command(1, ["GaussianRing"], 40, 5, "--trainer.max_steps", "100000")
    script = Path(sys.executable).parent / "lightning-gans"
    process = subprocess.Popen(
        [script, *run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell lets what it runs in the background ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    folder = tmp_path / "runs" / "run" / "version_0"
    wait_for_row(folder, 20, process)
    process.send_signal(number)
    printed, errors = (stream.decode() for stream in process.communicate(timeout=120))
    assert process.returncode == code
    assert "Traceback" not in errors
    assert (
        "to go on: lightning-gans fit --ckpt_path runs/run/version_0/checkpoints/last.ckpt"
        in printed
    )
    record = json.loads((folder / "run.json").read_text())
    assert record["status"].startswith(f"stopped: {kind}")
