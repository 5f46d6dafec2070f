"""A run that was stopped anywhere and goes on is the run that was not stopped."""

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import assert_same, command, content, finish, rows, start, wait_for_row
from made import fill, make_digits

from lightning_gans.callbacks import AtomicCheckpointIO
from lightning_gans.cli.main import main


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


slow = partial(pytest.param, marks=pytest.mark.slow)

ARRAY = ["ArrayData", "--data.path", "points.npy"]  # 90 rows to train on
FOLDER = [
    *("ImageFolder", "--data.path", "photos", "--data.image_size", "8", "--data.cache", "false"),
    *("--data.num_workers", "2", "--data.horizontal_flip", "true"),  # 90 images to train on
]
CLASSES = ["GaussianRing", "--data.labels", "true"]
DIGITS = ["MNIST", "--data.data_dir", "digits"]  # 60 images to train on
BY_EPOCHS = ["--trainer.max_steps", "-1", "--trainer.max_epochs", "2"]


@pytest.mark.parametrize(
    ("n_critic", "data", "validate_every", "save_every", "more", "last"),
    [
        (1, ["GaussianRing"], 4, 3, [], 11),
        slow(5, ["GaussianRing"], 3, 6, [], 11),
        slow(2, ARRAY, 6, 2, [], 11),  # epochs of 5 batches
        slow(2, ARRAY, 5, 5, [], 11),  # validation where epochs end
        slow(2, ARRAY, 4, 1, BY_EPOCHS, 10),
        slow(2, FOLDER, 6, 4, [], 11),  # decoded ahead by workers
        slow(5, DIGITS, 4, 3, [], 11),  # epochs of one batch
        slow(2, ARRAY, 4, 3, ["--trainer.reload_dataloaders_every_n_epochs", "1"], 11),
        (2, ["GaussianRing"], 4, 3, ["--trainer.precision", "64-true"], 11),
        slow(2, ["GaussianRing"], 6, 4, ["--trainer.precision", "bf16-mixed"], 11),
        slow(2, ["GaussianRing"], 6, 4, ["--trainer.precision", "16-mixed"], 11),
    ],
)
def test_every_checkpoint_leads_to_the_same_end(
    n_critic, data, validate_every, save_every, more, last, written, tmp_path
):
    assert_same_end(
        command(n_critic, data, validate_every, save_every, *more),
        {*range(save_every, last, save_every), *range(validate_every, last, validate_every)},
        last,
        written,
        tmp_path,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "data"), [("CGAN", CLASSES), ("ACGAN", CLASSES), ("CVAEGAN", DIGITS)]
)
def test_and_so_it_does_with_classes_and_more_networks(variant, data, written, tmp_path):
    classes = "8" if data is CLASSES else "10"
    model = ("--model", variant, "--model.num_classes", classes)
    run = command(2, data, 7, 5, model=model)
    assert_same_end(run, {5, 7, 10}, 11, written, tmp_path)


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed", "16-mixed"])
def test_evaluate_repeats_the_scores_of_the_run(precision, tmp_path):
    main(command(2, ["GaussianRing"], 11, 11, "--trainer.precision", precision))
    run = tmp_path / "runs" / "run" / "version_0"
    last = str(run / "checkpoints" / "last.ckpt")
    main(["evaluate", "--ckpt_path", last])
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores == json.loads((run / "run.json").read_text())["scores"]


def assert_same_end(run, due, last, written, tmp_path):
    np.save("points.npy", np.random.default_rng(0).normal(size=(100, 2)))
    fill("photos", 100)
    make_digits("digits")
    main(run)
    whole = tmp_path / "runs" / "run" / "version_0"
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "processes"), [(["GaussianRing"], 1), (["GaussianRing"], 2), (FOLDER, 1)]
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(data, processes, tmp_path):
    fill("photos", 100)
    run = command(2, data, 20, 15, "--trainer.max_steps", "150")
    run += ["--trainer.accelerator", "cpu", "--trainer.devices", str(processes)]
    finish([*run, "--name", "whole"], processes)
    whole = tmp_path / "runs" / "whole" / "version_0"
    folder = tmp_path / "runs" / "run" / "version_0"
    for arguments, step in ((run, 40), (["fit", "--name", "run", "--ckpt_path", "last"], 95)):
        process = start(arguments)
        wait_for_row(folder, step, process)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        saved = content(folder / "checkpoints" / "last.ckpt")["global_step"]
        assert saved < 150
        record = json.loads((folder / "run.json").read_text())
        assert record["updates"] >= saved
        assert record["wall_time_s"] > 0
    # A kill in the middle of a write leaves part of a row and of a checkpoint.
    with (folder / "metrics.csv").open("a") as file:
        file.write("149,0.1")
    (folder / "checkpoints" / "last.ckpt.part").write_bytes(b"half")
    finish(["fit", "--name", "run", "--ckpt_path", "last"], processes)
    assert rows(folder) == rows(whole)
    states = [content(f / "checkpoints" / "last.ckpt") for f in (folder, whole)]
    for state in states:
        assert state.pop("config").pop("name") in ("run", "whole")
    assert_same(*states)
    assert os.listdir(tmp_path / "runs" / "run") == ["version_0"]
    assert sorted(os.listdir(folder / "checkpoints")) == ["best.ckpt", "last.ckpt"]
    pictures = [(f / "samples" / "0000150.png").read_bytes() for f in (folder, whole)]
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_a_full_disk_stops_the_run_in_one_line_and_keeps_what_was_there(tmp_path):
    """The disk is a small one in memory, filled between two checkpoints."""
    run = command(1, ["GaussianRing"], 1000, 10, "--trainer.max_steps", "20")
    script = Path(sys.executable).parent / "lightning-gans"
    shell = f"""
        mkdir runs && mount -t tmpfs -o size=900k tmpfs runs
        {shlex.join([str(script), *run])} || exit 99
        cp runs/run/version_0/checkpoints/last.ckpt before.ckpt
        dd if=/dev/zero of=runs/balloon bs=1k count=2000 2> /dev/null
        {script} fit --name run --ckpt_path last --trainer.max_steps 40
        code=$?
        cp -r runs/run after
        exit $code
    """
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", shell],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    line = done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert line.startswith("lightning-gans: error: ")
    assert "No space left on device" in line
    kept = tmp_path / "after" / "version_0" / "checkpoints"
    assert (kept / "last.ckpt").read_bytes() == (tmp_path / "before.ckpt").read_bytes()
    assert sorted(os.listdir(kept)) == ["last.ckpt"]


def test_rows_that_cannot_be_written_are_told_with_their_file(tmp_path):
    run = command(1, ["GaussianRing"], 10_000, 10_000, "--trainer.max_steps", "400")
    run += ["--trainer.log_every_n_steps", "1"]
    script = Path(sys.executable).parent / "lightning-gans"
    done = subprocess.run(
        [script, *run],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000)),
    )
    assert done.returncode == 1
    (line,) = (text for text in done.stderr.splitlines() if "error" in text)
    assert "metrics.csv could not be written: [Errno 27] File too large" in line
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_one_before(tmp_path):
    """No file may become larger than a checkpoint's half."""
    run = command(1, ["GaussianRing"], 1000, 10, "--trainer.max_steps", "20")
    main(run)
    folder = tmp_path / "runs" / "run" / "version_0" / "checkpoints"
    before = (folder / "last.ckpt").read_bytes()
    script = Path(sys.executable).parent / "lightning-gans"
    limit = len(before) // 2
    done = subprocess.run(
        [script, "fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "40"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "last.ckpt could not be written, the checkpoint before it is kept: " in line
    assert "File too large" in line
    assert "to go on: lightning-gans fit --ckpt_path" in done.stdout
    assert (folder / "last.ckpt").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["last.ckpt"]
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "40"])
    assert content(folder / "last.ckpt")["global_step"] == 40
