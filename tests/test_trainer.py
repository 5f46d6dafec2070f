"""What a run from Python shows."""

import lightning.pytorch as pl
import pytest
from conftest import SMALL, small_ring
from torch.utils.data import DataLoader

from lightning_gans import GAN, Trainer
from lightning_gans.callbacks import Evaluation, Progress


def test_a_run_shows_its_progress_and_scores_and_nothing_else(capfd, recwarn):
    trainer = Trainer(accelerator="cpu", max_steps=6, logger=False, callbacks=[Evaluation()])
    trainer.fit(GAN(**SMALL), small_ring())
    shown = capfd.readouterr()
    assert shown.err == ""
    first, *_, last = [line for line in shown.out.splitlines() if line.strip()]
    assert first.strip() == "Scores of 64 generated samples at update 6 (validation split)"
    assert last.startswith("update 6 of 6 (100%)")
    assert [str(warning.message) for warning in recwarn] == []


def test_a_loader_alone_brings_no_warning(recwarn):
    trainer = Trainer(accelerator="cpu", max_steps=2, logger=False, enable_checkpointing=False)
    trainer.fit(GAN(**SMALL), DataLoader(small_ring().evaluation_set(0), batch_size=8))
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(
    ("arguments", "bars"),
    [
        ({}, [Progress]),
        ({"callbacks": Progress(5.0)}, [Progress]),
        ({"callbacks": [pl.callbacks.TQDMProgressBar()]}, [pl.callbacks.TQDMProgressBar]),
        ({"enable_progress_bar": False}, []),
        ({"enable_progress_bar": False, "callbacks": [Progress()]}, []),
    ],
)
def test_there_is_one_progress_bar_at_most(arguments, bars):
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, **arguments)
    found = [c for c in trainer.callbacks if isinstance(c, pl.callbacks.ProgressBar)]
    assert [type(bar) for bar in found] == bars
