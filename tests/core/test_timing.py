"""The time that training takes, without what else a run does, over all its parts."""

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, Rows, quiet_trainer, small_ring

from lightning_gans import GAN
from lightning_gans.callbacks import AtomicCheckpointIO, Checkpoint, Evaluation, Pictures
from lightning_gans.core import timing
from lightning_gans.core.timing import Stopwatch


class Clock:
    """Time that passes only where a test says so, a quarter of it on the CPU."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(timing, "process_time", lambda: clock.now / 4)
    return clock


def test_a_stopwatch_adds_up_the_time_in_which_it_runs(clock):
    watch = Stopwatch()
    clock.now = 8
    assert watch.read() == (0, 0)
    watch.start()
    clock.now = 12
    watch.start()
    assert watch.read() == (4, 1)
    with watch.paused():
        clock.now = 100
        assert watch.read() == (4, 1)
    clock.now = 104
    assert (watch.stop(), watch.stop()) == (True, False)
    with watch.paused():
        clock.now = 200
    clock.now = 300
    assert watch.read() == (8, 2)


def test_it_continues_from_a_state(clock):
    watch = Stopwatch()
    watch.load((20.0, 5.0))
    watch.start()
    clock.now = 4
    assert watch.read() == (24, 6)


@pytest.mark.parametrize(
    "damaged", [None, 3.0, (1.0,), (1.0, "2"), (float("nan"), 1.0), (-1.0, 1.0), (1.0, True)]
)
def test_a_damaged_state_is_refused(damaged):
    with pytest.raises(ValueError, match="it does not say how long training took"):
        Stopwatch().load(damaged)


class Slow(GAN):
    """Takes 1 second for a batch of training, and much longer for anything else."""

    def training_step(self, batch, batch_idx):
        self.clock.now += 1
        super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.clock.now += 1e3
        return super().validation_step(batch, batch_idx)

    def pictures(self, *arguments):
        self.clock.now += 1e4
        return {}


class SlowSaving(AtomicCheckpointIO):
    def __init__(self, clock):
        self.clock = clock

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        self.clock.now += 1e6
        super().save_checkpoint(checkpoint, path, storage_options)


class SlowStart(pl.Callback):
    def __init__(self, clock):
        self.clock = clock

    def on_train_start(self, trainer, module):
        self.clock.now += 1e8


def test_only_training_counts_and_a_resumed_run_adds_to_what_was_before(clock, tmp_path):
    def run(steps, start=None, limit_val_batches=None):
        model, rows = Slow(**SMALL), Rows()
        model.clock = clock
        saver = Checkpoint(every_n_updates=3, dirpath=str(tmp_path))
        trainer = quiet_trainer(
            steps,
            logger=rows,
            log_every_n_steps=2,
            limit_val_batches=limit_val_batches,
            val_check_interval=5,
            check_val_every_n_epoch=None,
            limit_train_batches=6,  # in an epoch
            enable_checkpointing=True,
            callbacks=[Evaluation(), Pictures(2), saver, SlowStart(clock)],
            plugins=[SlowSaving(clock)],
            default_root_dir=str(tmp_path),
        )
        trainer.fit(model, small_ring(), ckpt_path=start)
        return [
            tuple(row[f"train/{name}"] for name in ("seconds", "cpu_seconds", "updates_per_s"))
            for _, row in rows.rows
            if "train/seconds" in row
        ]

    def saved():
        state = torch.load(tmp_path / "last.ckpt", weights_only=True)
        return state["lightning_gans"]["seconds"]

    assert run(9) == [(n, n / 4, 1) for n in (2, 4, 6, 8)]
    assert saved() == (9, 2.25)
    # Without a validation the last checkpoint follows the pictures that sum the run up.
    again = run(14, str(tmp_path / "last.ckpt"), limit_val_batches=0)
    assert again == [(n, n / 4, 1) for n in (10, 12, 14)]
    assert saved() == (14, 3.5)
