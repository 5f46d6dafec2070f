"""A run that was stopped anywhere and goes on is the run that was not stopped.

That is a matter of the module, the callbacks and the loop, which are tried from Python here. What
the command line adds is tried once, and with runs that are killed.
"""

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from conftest import SMALL_CVAE, Rows, small_ring
from interrupted import assert_same, command, content, finish, rows, start, wait_for_row
from made import fill, make_digits

from datamodules import MNIST, ArrayData, ImageFolder
from lightning_gans import ACGAN, CGAN, CVAEGAN, DRAGAN, GAN, WGAN
from lightning_gans.augment import ADA, APA, InstanceNoise
from lightning_gans.callbacks import (
    AtomicCheckpointIO,
    Checkpoint,
    Evaluation,
    GeneratorEMA,
    Lookahead,
    Schedule,
)
from lightning_gans.cli.main import main
from lightning_gans.core.timing import MEASURED
from lightning_gans.networks import MLPDiscriminator, MLPGenerator, SpectralNorm
from lightning_gans.optimizers import OptimisticAdam, PastExtraAdam
from lightning_gans.regularizers import DRAGANPenalty, LeCam

# From Python


class Kill(Exception):  # noqa: N818
    """Ends a run where SIGKILL would, as far as its checkpoints tell."""


class Keeps(AtomicCheckpointIO):
    """Keeps what the folder holds whenever ``last.ckpt`` is written, and ends the run at one."""

    def __init__(self, stop: int | None) -> None:
        self.stop = stop
        self.kept: dict[int, Path] = {}

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        super().save_checkpoint(checkpoint, path, storage_options)
        folder, update = Path(path).parent, checkpoint["global_step"]
        if Path(path).name == "last.ckpt":
            self.kept[update] = folder.with_name(f"{folder.name} at {update}")
            shutil.copytree(folder, self.kept[update], dirs_exist_ok=True)  # the later of two
            if update == self.stop:
                raise Kill


SMALL = {
    "generator": partial(MLPGenerator, hidden=[8, 8], normalization=torch.nn.BatchNorm1d),
    "discriminator": partial(MLPDiscriminator, hidden=[8]),
}
CLASSES = partial(small_ring, labels=True)
ARRAY = partial(ArrayData, "points.npy")  # 90 rows to train on
FOLDER = partial(  # 90 images to train on
    ImageFolder, "photos", image_size=8, cache=False, num_workers=2, horizontal_flip=True
)
DIGITS = partial(MNIST, "digits")  # 60 images to train on


@dataclass
class Run:
    """A run with all that has a state: BatchNorm, clipping, a schedule, an average, a best."""

    n_critic: int
    data: Callable[..., pl.LightningDataModule]
    validate_every: int
    save_every: int
    trainer: dict[str, Any] = field(default_factory=dict)
    model: Callable[..., Any] = field(default=partial(WGAN, **SMALL))
    end: dict[str, Any] = field(default_factory=lambda: {"max_steps": 11})
    callbacks: Callable[[], list[pl.Callback]] = list

    def __call__(self, folder: str, *, begin: str | None = None, stop: int | None = None):
        """Trains in a folder; returns the last update, rows, scores and what has been kept."""
        data = self.data(batch_size=8, num_eval_samples=32)
        model = self.model(
            data_shape=data.data_shape,
            n_critic=self.n_critic,
            scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=20),
        )
        keeps, logger, evaluation = Keeps(stop), Rows(), Evaluation()
        where = str(Path(folder).resolve())
        saver = Checkpoint("val/sliced_w", every_n_updates=self.save_every, dirpath=where)
        trainer = pl.Trainer(
            **{"max_epochs": -1, **self.end, **self.trainer},
            accelerator="cpu",
            logger=logger,
            log_every_n_steps=2,
            check_val_every_n_epoch=None,
            val_check_interval=self.validate_every,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[*self.callbacks(), evaluation, GeneratorEMA(), saver],
            plugins=[keeps],
        )
        with suppress(Kill):
            trainer.fit(model, data, ckpt_path=begin, weights_only=True)
        logged = [
            (step, {name: value for name, value in row.items() if name not in MEASURED})
            for step, row in logger.rows
        ]
        return trainer.global_step, logged, evaluation.scores, keeps.kept


def penalized(**arguments):
    """A lazy penalty, one that keeps averages, and a discriminator that keeps vectors."""
    return DRAGAN(
        generator=SMALL["generator"],
        discriminator=partial(SpectralNorm, network=SMALL["discriminator"]),
        penalty=partial(DRAGANPenalty, every=4),
        regularizers=[LeCam(start=5, every=2)],
        **arguments,
    )


def optimistic(scheduler, **arguments):
    """Optimizers that remember more than moments, and scalars that follow schedules."""
    return WGAN(
        **SMALL,
        optimizer_g=partial(PastExtraAdam, lr=1e-3),
        optimizer_d=partial(OptimisticAdam, lr=1e-3),
        augment=InstanceNoise(),
        **arguments,
    )


def adaptive(augment, **arguments):
    """An augmentation that changes its probability, between two checkpoints too."""
    augment = augment(p=0.3, interval=3, ramp_images=200)
    return GAN(**SMALL, augment=augment, **arguments)


def moving():
    scalars = {"optimizer_d.lr": 1e-3, "augment.sd": 0.1, "ema.decay": 0.5}
    schedules = [Schedule(name, value, 0.0, 9) for name, value in scalars.items()]
    return [Lookahead(4), *schedules]


slow = partial(pytest.param, marks=pytest.mark.slow)
CLASSIFIED = {"num_classes": 8, **SMALL}
BY_EPOCHS = {"max_steps": -1, "max_epochs": 2}
RUNS = {
    "as it is by default": Run(1, small_ring, 4, 3),
    "many critic updates": Run(5, small_ring, 3, 6),
    "epochs of 5 batches": Run(2, ARRAY, 6, 2),
    "validation where epochs end": Run(2, ARRAY, 5, 5),
    "two epochs": Run(2, ARRAY, 4, 1, end=BY_EPOCHS),
    "decoded ahead by workers": Run(2, FOLDER, 6, 4),
    "epochs of one batch": Run(5, DIGITS, 4, 3),
    "loaders made again": Run(2, ARRAY, 4, 3, {"reload_dataloaders_every_n_epochs": 1}),
    "double precision": Run(2, small_ring, 4, 3, {"precision": "64-true"}),
    "half precision": Run(2, small_ring, 6, 4, {"precision": "bf16-mixed"}),
    "CGAN": Run(2, CLASSES, 7, 5, model=partial(CGAN, **CLASSIFIED)),
    "ACGAN": Run(2, CLASSES, 7, 5, model=partial(ACGAN, **CLASSIFIED)),
    "regularizers with a state": Run(3, small_ring, 4, 3, model=penalized),
    "optimism and schedules": Run(2, small_ring, 4, 3, model=optimistic, callbacks=moving),
    "ADA": Run(2, DIGITS, 4, 3, model=partial(adaptive, ADA)),
    "APA": Run(2, small_ring, 4, 3, model=partial(adaptive, APA)),
    "CVAEGAN": Run(2, DIGITS, 7, 5, model=partial(CVAEGAN, **SMALL_CVAE)),
}


QUICK = {"as it is by default", "epochs of 5 batches", "two epochs"}
QUICK |= {"double precision", "half precision"}


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in RUNS])
def test_from_every_checkpoint_to_the_next_it_is_the_run_that_was_not_stopped(name, monkeypatch):
    """So it is from any to any. From the first one it goes on to the end, past all others."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    make_data()
    run = RUNS[name]
    last, logged, scores, whole = run("whole")
    cadences = run.save_every, run.validate_every
    assert whole.keys() == {last}.union(*(range(n, last, n) for n in cadences))
    updates = sorted(whole)
    for update, later in pairwise(updates):
        stop = last if update == updates[0] else later
        folder = f"from {update}"
        shutil.copytree(whole[update], folder)
        reached, rows_again, scores_again, written = run(
            folder, begin=f"{folder}/last.ckpt", stop=None if stop == last else stop
        )
        assert reached == stop
        assert rows_again == [(step, row) for step, row in logged if update < step <= stop]
        assert written.keys() == {at for at in updates if update < at <= stop}
        for at, path in written.items():
            assert sorted(os.listdir(path)) == sorted(os.listdir(whole[at]))
            for file in os.listdir(path):
                states = [content(folder / file) for folder in (path, whole[at])]
                assert_same(*states, f"from {update}, {file} at {at}: ")
        assert stop != last or scores_again == scores


def make_data():
    np.save("points.npy", np.random.default_rng(0).normal(size=(100, 2)))
    fill("photos", 100)
    make_digits("digits")


# From the command line


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


def test_from_the_command_line_rows_record_and_files_are_the_same_too(written, tmp_path):
    """It goes on between two rows of the log."""
    main(command(2, ["GaussianRing"], 4, 3))
    whole = tmp_path / "runs" / "run" / "version_0"
    expected = {update: content(path) for update, path in written.items()}
    assert expected.keys() == {3, 4, 6, 8, 9, 11}
    folder = tmp_path / "moved" / "version_0"
    shutil.copytree(whole, folder)
    torch.save(expected[3], folder / "checkpoints" / "last.ckpt")
    written.clear()
    main(["fit", "--ckpt_path", str(folder / "checkpoints" / "last.ckpt")])
    assert rows(folder) == rows(whole)
    assert written.keys() == {4, 6, 8, 9, 11}
    for update, path in written.items():
        assert_same(content(path), expected[update], f"at {update}: ")
    best = [content(f / "checkpoints" / "best.ckpt") for f in (folder, whole)]
    assert_same(*best)
    record = json.loads((folder / "run.json").read_text())
    assert record["resumed_at"] == [3]
    assert record["status"] == "finished"


@pytest.mark.parametrize(
    "precision", [slow("32-true"), "64-true", slow("bf16-mixed"), slow("16-mixed")]
)
def test_evaluate_repeats_the_scores_of_the_run(precision, tmp_path):
    main(command(2, ["GaussianRing"], 11, 11, "--trainer.precision", precision))
    run = tmp_path / "runs" / "run" / "version_0"
    last = str(run / "checkpoints" / "last.ckpt")
    main(["evaluate", "--ckpt_path", last])
    scores = json.loads((run / "scores.json").read_text())["scores"]
    assert scores == json.loads((run / "run.json").read_text())["scores"]


PHOTOS = [
    *("ImageFolder", "--data.path", "photos", "--data.image_size", "8", "--data.cache", "false"),
    *("--data.num_workers", "2", "--data.horizontal_flip", "true"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "processes"), [(["GaussianRing"], 1), (["GaussianRing"], 2), (PHOTOS, 1)]
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(data, processes, tmp_path):
    fill("photos", 100)
    run = command(2, data, 20, 15, "--trainer.max_steps", "150")
    run += ["--pictures.enabled", "true", "--pictures.every_n_updates", "0"]
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
    assert sorted(os.listdir(kept)) == ["best.ckpt", "last.ckpt"]


@contextmanager
def no_file_beyond(size):
    """No file may become larger in here, as if the disk was full."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_rows_that_cannot_be_written_are_told_with_their_file(capsys):
    run = command(1, ["GaussianRing"], 10_000, 10_000, "--trainer.max_steps", "400")
    with no_file_beyond(16_000), pytest.raises(SystemExit) as done:
        main([*run, "--trainer.log_every_n_steps", "1"])
    assert done.value.code == 1
    printed = capsys.readouterr().err
    (line,) = (text for text in printed.splitlines() if "error" in text)
    assert "metrics.csv could not be written: [Errno 27] File too large" in line
    assert "Traceback" not in printed


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_one_before(tmp_path, capsys):
    run = command(1, ["GaussianRing"], 1000, 10, "--trainer.max_steps", "20")
    main(run)
    folder = tmp_path / "runs" / "run" / "version_0" / "checkpoints"
    before = (folder / "last.ckpt").read_bytes()
    going_on = ["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "40"]
    capsys.readouterr()
    with no_file_beyond(len(before) // 2), pytest.raises(SystemExit) as done:
        main(going_on)
    assert done.value.code == 1
    printed = capsys.readouterr()
    line = printed.err.splitlines()[-1]
    assert "Traceback" not in printed.err
    assert "last.ckpt could not be written, the checkpoint before it is kept: " in line
    assert "File too large" in line
    assert "resume with: lightning-gans fit --ckpt_path" in printed.out
    assert (folder / "last.ckpt").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["best.ckpt", "last.ckpt"]
    main(going_on)
    assert content(folder / "last.ckpt")["global_step"] == 40
