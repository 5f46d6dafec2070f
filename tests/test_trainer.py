"""What a run from Python shows, and what it tells loggers, callbacks and callers."""

import csv
import warnings
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from conftest import SMALL, Rows, fitted, quiet_trainer, same, small_ring, snapshot
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import GAN, Trainer
from lightning_gans.callbacks import Evaluation, Progress
from lightning_gans.metrics import Wasserstein


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


class Stopping(EarlyStopping):
    """Stops at the first value that it finds."""

    def __init__(self, monitor):
        super().__init__(monitor, stopping_threshold=1e9)


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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"gradient_clip_val": 0.5},
            "gradient_clip_val: .* got 0.5. Use .* gradient_clip_norm of",
        ),
        ({"accumulate_grad_batches": 4}, "accumulate_grad_batches: .* got 4. Use a larger batch"),
        ({"callbacks": StochasticWeightAveraging(0.1)}, "StochasticW.* one loss .* GeneratorSWA"),
        (
            {"callbacks": [EMAWeightAveraging()]},
            "EMAWeightAveraging is .* one loss .* GeneratorEMA",
        ),
        (
            {"callbacks": [LearningRateFinder()]},
            "LearningRateFinder .* optimizer_g and optimizer_d",
        ),
        (
            {"callbacks": [GradientAccumulationScheduler({1: 2})]},
            "Accum.* Use a larger batch_size",
        ),
    ],
)
def test_what_is_made_for_one_loss_is_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        Trainer(accelerator="cpu", logger=False, **arguments)
    Trainer(accelerator="cpu", logger=False, gradient_clip_val=0, accumulate_grad_batches=1)


@pytest.mark.parametrize(
    ("arguments", "updates"),
    [
        ({"max_steps": 7}, 7),
        ({"max_epochs": 2, "limit_train_batches": 3}, 6),
        ({"overfit_batches": 2, "max_epochs": 2}, 4),
        ({"fast_dev_run": 2}, 2),
        ({"max_steps": 2, "profiler": "simple"}, 2),
        ({"max_steps": 2, "profiler": "advanced"}, 2),
        ({"max_steps": 2, "detect_anomaly": True, "deterministic": True}, 2),
        ({"max_steps": 2, "callbacks": [ModelSummary(2)]}, 2),
        ({"max_steps": 9, "callbacks": [Stopping("val/w1")], "val_check_interval": 4}, 4),
        ({"max_steps": 9, "callbacks": [Stopping("train/loss_d")], "val_check_interval": 4}, 4),
    ],
)
def test_features_of_lightnings_trainer_work(arguments, updates):
    model = GAN(**SMALL)
    before = snapshot(model.generator)
    callbacks = [Evaluation(), *arguments.pop("callbacks", [])]
    trainer = pl.Trainer(
        **{"max_epochs": -1, **arguments},
        accelerator="cpu",
        callbacks=callbacks,
        logger=False,
        log_every_n_steps=2,
        check_val_every_n_epoch=None if "val_check_interval" in arguments else 1,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    trainer.fit(model, small_ring())
    assert trainer.global_step == updates
    assert not same(before, snapshot(model.generator))


def test_logged_values_are_there_for_checkpoints_and_early_stopping():
    saver = ModelCheckpoint("kept", "{step}", monitor="train/loss_g", every_n_train_steps=2)
    stopper = EarlyStopping("train/loss_d", stopping_threshold=1e9, check_on_train_epoch_end=True)
    trainer = quiet_trainer(
        40,
        callbacks=[saver, stopper],
        enable_checkpointing=True,
        log_every_n_steps=1,
        limit_train_batches=6,
    )
    model = GAN(**SMALL)
    trainer.fit(model, small_ring())
    assert trainer.global_step == 6  # every loss is below the threshold
    assert saver.best_model_score is not None
    assert trainer.callback_metrics["train/loss_g"].item() == model.last_logged["train/loss_g"]


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_an_evaluation_from_python_returns_its_scores(stage):
    evaluation, model, data = Evaluation(), GAN(**SMALL), small_ring()
    trainer = Trainer(accelerator="cpu", logger=False, callbacks=[evaluation], max_steps=1)
    (scores,) = getattr(trainer, stage)(model, data, verbose=False)
    name = "val" if stage == "validate" else "test"
    assert scores == pytest.approx({f"{name}/{k}": v for k, v in evaluation.scores.items()})
    assert evaluation.scores["w1"] > 0


def test_a_loader_alone_is_told_to_have_no_scores_unless_metrics_are_given():
    points = DataLoader(TensorDataset(torch.randn(16, 2)), batch_size=8)

    def validate(*metrics):
        evaluation = Evaluation(list(metrics) or None)
        Trainer(accelerator="cpu", logger=False, callbacks=[evaluation]).validate(
            GAN(**SMALL), points, verbose=False
        )
        return evaluation.scores

    with pytest.warns(UserWarning, match="no metric fits a data loader alone, so nothing is sco"):
        assert validate() == {}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Evaluation")
        assert validate(Wasserstein())["w1"] > 0
        trainer = Trainer(accelerator="cpu", logger=False, callbacks=[Evaluation()])
        trainer.predict(GAN(**SMALL), points)


class Told(Rows):
    def __init__(self):
        super().__init__()
        self.told = []

    def log_hyperparams(self, settings):
        self.told.append(settings)


def test_settings_reach_the_loggers_of_a_run_from_python():
    logger = Told()
    model = GAN(**SMALL, n_critic=3, optimizer_g=partial(SGD, lr=0.5), augment=nn.Identity())
    fitted(model, logger=logger, max_steps=1)
    (settings,) = logger.told
    assert settings["data_shape"] == [2]
    assert settings["n_critic"] == 3
    assert settings["generator"]["init_args"] == {"hidden": [8]}
    assert settings["optimizer_g"] == {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.5}}
    assert "optimizer_d" not in settings


@pytest.mark.parametrize("kind", [CSVLogger, TensorBoardLogger])
def test_loggers_of_lightning_write_rows_and_settings(kind):
    logger = kind("logs", name="")
    fitted(GAN(**SMALL, n_critic=3), logger=logger, max_steps=4, log_every_n_steps=2)
    folder = Path("logs/version_0")
    settings = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert settings["n_critic"] == 3
    if kind is CSVLogger:
        steps = [row["step"] for row in csv.DictReader((folder / "metrics.csv").open())]
    else:
        read = EventAccumulator(str(folder)).Reload()
        steps = [str(event.step) for event in read.Scalars("train/loss_g")]
    assert steps == ["2", "4"]


def test_settings_of_a_data_module_do_not_clash_with_those_of_the_model():
    class Own(pl.LightningDataModule):
        def __init__(self, num_classes=10):
            super().__init__()
            self.save_hyperparameters()

        def train_dataloader(self):
            return DataLoader(torch.randn(16, 2), batch_size=8)

    logger = Told()
    fitted(GAN(**SMALL), Own(), logger=logger, max_steps=1)
    assert [settings["num_classes"] for settings in logger.told] == [None, 10]


def test_a_monitor_of_learning_rates_tells_them_by_player_with_every_row():
    rows = Rows()
    scheduler = partial(LambdaLR, lr_lambda=lambda step: 1 / (1 + step))
    model = GAN(**SMALL, scheduler=scheduler, optimizer_d=partial(SGD, lr=1.0))
    fitted(model, max_steps=6, logger=rows, log_every_n_steps=2, callbacks=[LearningRateMonitor()])
    rates = [(step, row) for step, row in rows.rows if "lr_d" in row]
    assert rates == [
        (step, pytest.approx({"lr_d": 1 / (1 + step), "lr_g": 2e-4 / (1 + step)}))
        for step in (1, 3, 5)  # updates made before
    ]
