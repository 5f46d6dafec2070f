"""Run folders: what is in them, and that no run touches another's."""

import csv
import errno
import json
import multiprocessing
import os
import re
import shlex
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.cli.main import main
from lightning_gans.cli.runs import RunLogger
from lightning_gans.files import replacing
from lightning_gans.finding import RUNS, checkpoint_in, find_checkpoint, run_of

RUN = [
    *("fit", "--name", "run", "--model", "WGANGP", "--data", "GaussianRing"),
    *("--data.batch_size", "8", "--data.num_eval_samples", "32", "--trainer.max_steps", "4"),
    *("--trainer.log_every_n_steps", "2", "--trainer.val_check_interval", "4"),
    *("--pictures.enabled", "false"),
]
DRAWN = [*RUN[:-1], "true", "--pictures.every_n_updates", "4"]


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_a_run_folder_holds_what_the_contract_says(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lightning-gans", *DRAWN])
    main(DRAWN)
    assert set(tree("runs")) == {
        f"run/version_0/{name}"
        for name in (
            *("config.yaml", "metrics.csv", "run.json"),
            *("checkpoints/best.ckpt", "checkpoints/last.ckpt"),
            *("samples/0000000.png", "samples/0000004.png"),
            *("figures/level_sets_0000000.png", "figures/level_sets_0000004.png"),
            *("figures/curves.png", "figures/real_and_generated.png", "figures/training.gif"),
            "figures/optimum.png",
        )
    }
    record = json.loads(Path("runs/run/version_0/run.json").read_text())
    assert record["status"] == "finished"
    assert record["seed"] == 0
    assert record["updates"] == 4
    assert record["images_seen"] == 4 * 5 * 8
    assert record["wall_time_s"] > 0
    assert record["model"] == "WGANGP"
    assert record["data"] == "GaussianRing"
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["machine"]["cores"] == os.cpu_count()
    floors = record["floors"].keys() | {"critic_gap"}  # real data has no critic
    assert record["scores"].keys() == floors >= {"modes", "w1"}
    assert record["samples"] == 32
    assert record["best"]["val/sliced_w"]["best_update"] == 4
    assert re.fullmatch(r"[0-9a-f]{40}( with changes)?", record["commit"])
    assert record["command"] == shlex.join(["lightning-gans", *DRAWN])


def test_the_rows_have_the_step_first_and_the_contracts_keys():
    main(RUN)
    with open("runs/run/version_0/metrics.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[0] == "step"
    assert set(header[1:]) == {
        *(f"train/{name}" for name in ("loss_d", "loss_g", "adversarial_d", "gradient_penalty")),
        "train/adversarial_g",
        *(f"train/{name}" for name in ("wasserstein", "d_real", "d_fake", "grad_norm_d")),
        *(f"train/{name}" for name in ("grad_norm_g", "updates_per_s", "images_seen")),
        *("train/seconds", "train/cpu_seconds"),
        *(f"val/{name}" for name in ("modes", "modes_pacgan", "high_quality", "reverse_kl")),
        *(f"val/{name}" for name in ("w1", "w2", "sliced_w", "kl", "js", "cross_entropy")),
        "val/critic_gap",
    }
    assert [row[0] for row in rows] == ["2", "4", "4"]


def test_the_configuration_is_whole_and_makes_the_same_run_again():
    main(RUN)
    first = Path("runs/run/version_0")
    config = yaml.safe_load((first / "config.yaml").read_text())
    assert config["model"]["init_args"]["generator"]["init_args"]["hidden"] == [128, 128, 128]
    assert config["model"]["init_args"]["optimizer_d"]["init_args"]["beta2"] == 0.9
    assert config["data"]["init_args"]["radius"] == 2.0
    main(["fit", "--config", str(first / "config.yaml")])
    states = [
        torch.load(f"runs/run/version_{n}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for n in (0, 1)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    again = yaml.safe_load(Path("runs/run/version_1/config.yaml").read_text())
    assert again == config


def test_a_second_run_leaves_the_first_alone():
    main(RUN)
    before = tree("runs")
    main([*RUN, "--seed_everything", "1"])
    after = tree("runs")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[1] for name in after} == {"version_0", "version_1"}


def test_the_root_can_be_moved():
    main([*RUN, "--trainer.default_root_dir", "elsewhere"])
    assert os.path.exists("elsewhere/run/version_0/run.json")
    assert not os.path.exists("runs")


def test_the_name_is_that_of_the_configuration_or_of_the_classes():
    Path("mine.yaml").write_text("model: GAN\ndata: SwissRoll\n")
    quick = ["--trainer.max_steps", "1", "--data.num_eval_samples", "32"]
    main(["fit", "--config", "mine.yaml", *quick])
    main(["fit", "--model", "GAN", "--data", "SwissRoll", *quick])
    assert sorted(os.listdir("runs")) == ["gan_swissroll", "mine"]


def test_a_trial_run_leaves_nothing():
    main([*RUN, "--trainer.fast_dev_run", "true"])
    assert not os.path.exists("runs")


def claim(queue):
    logger = RunLogger("runs", "run")
    queue.put(logger.version)


def test_runs_that_start_together_get_folders_of_their_own():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=claim, args=(queue,)) for _ in range(8)]
    for process in processes:
        process.start()
    assert sorted(queue.get(timeout=60) for _ in processes) == list(range(8))
    for process in processes:
        process.join()


def test_new_columns_do_not_lose_old_rows():
    logger = RunLogger("runs", "run")
    logger.log_metrics({"a": 1.5}, 1)
    logger.log_metrics({"b": torch.tensor(2.5)}, 2)
    logger.log_metrics({"a": 3.0, "b": 4.0}, 3)
    path = Path(logger.log_dir) / "metrics.csv"
    assert path.read_text().split() == ["step,a,b", "1,1.5,", "2,,2.5", "3,3.0,4.0"]


@pytest.mark.parametrize("torn", ["", "9", "9,0.", "4"])
def test_a_run_that_goes_on_cuts_what_came_after_its_checkpoint(torn):
    logger = RunLogger("runs", "run")
    for step in (1, 2, 3):
        logger.log_metrics({"a": step / 2, "b": 0.0}, step)
    path = Path(logger.log_dir) / "metrics.csv"
    with path.open("a") as file:
        file.write(torn)
    again = RunLogger("runs", "run", 0)
    again.cut_after(2)
    again.log_metrics({"b": 1.0, "c": 7.0}, 3)
    assert path.read_text().split() == ["step,a,b,c", "1,0.5,0.0,", "2,1.0,0.0,", "3,,1.0,7.0"]


def test_the_newest_run_with_a_checkpoint_is_found():
    for version in (0, 2, 10, 11):
        Path(f"runs/run/version_{version}/checkpoints").mkdir(parents=True)
    for version in (0, 2, 10):
        Path(f"runs/run/version_{version}/checkpoints/last.ckpt").touch()
    assert find_checkpoint(Path("runs"), "run", "last").parts[-3] == "version_10"
    with pytest.raises(FileNotFoundError, match=r"No run in runs/run has a checkpoint best\.ckpt"):
        find_checkpoint(Path("runs"), "run", "best")


def test_a_checkpoint_is_found_by_a_path_or_by_the_name_of_a_run():
    for run in ("runs/ring", "runs/digits", "elsewhere/ring", "lightning_logs"):
        Path(f"{run}/version_0/checkpoints").mkdir(parents=True)
        Path(f"{run}/version_0/checkpoints/last.ckpt").touch()
    for path, folder in (
        ("ring", "runs/ring"),
        ("runs/ring", "runs/ring"),
        ("elsewhere/ring", "elsewhere/ring"),
        ("elsewhere/ring/version_0", "elsewhere/ring"),
        ("lightning_logs", "lightning_logs"),
    ):
        found = checkpoint_in(Path(path))
        assert found == Path(folder, "version_0", "checkpoints", "last.ckpt")
    Path("digits").touch()
    assert checkpoint_in(Path("digits")) == Path("digits")  # a file is what it is
    for path, end in (
        ("rng", "rng: did you mean ring?"),
        ("runs/rng", "runs/rng: did you mean runs/ring?"),
        ("elsewhere/digts", "elsewhere/digts."),
        ("nothing", "nothing."),
    ):
        with pytest.raises(FileNotFoundError) as refused:
            checkpoint_in(Path(path))
        assert str(refused.value) == f"There is no checkpoint and no run folder at {end}"


def test_names_are_looked_up_where_runs_are_kept_by_default():
    settings = yaml.safe_load((configs_folder() / "default.yaml").read_text())
    assert settings["trainer"]["default_root_dir"] == str(RUNS)


def test_only_the_last_checkpoint_of_a_run_goes_on_in_its_folder():
    folder = Path("runs/run/version_0/checkpoints")
    folder.mkdir(parents=True)
    assert run_of(folder / "last.ckpt") is None
    (folder.parent / "config.yaml").touch()
    assert run_of(folder / "last.ckpt") == folder.parent.resolve()
    assert run_of(folder / "best.ckpt") is None
    assert run_of(Path("last.ckpt")) is None


def test_going_on_from_the_best_state_is_a_new_run():
    main(RUN)
    before = tree("runs")
    main(
        [
            "fit",
            "--ckpt_path",
            "runs/run/version_0/checkpoints/best.ckpt",
            "--trainer.max_steps",
            "6",
        ]
    )
    after = tree("runs")
    assert {name: after[name] for name in before} == before
    assert "run/version_1/checkpoints/last.ckpt" in after


@pytest.mark.parametrize(
    ("end", "longer"),
    [
        ("--trainer.max_steps 6", "--trainer.max_steps 12"),
        (
            "--trainer.max_steps 1000000 --trainer.max_time 00:00:00:01",
            "--trainer.max_time 00:00:00:02",
        ),
        ("--trainer.max_steps 100000 --trainer.max_epochs 1", "--trainer.max_epochs 2"),
    ],
)
def test_the_command_that_a_finished_run_prints_trains_longer(end, longer, capsys):
    main([*RUN, *end.split(), "--trainer.val_check_interval", "1000000"])
    run = Path("runs/run/version_0")
    before = json.loads((run / "run.json").read_text())["updates"]
    said = capsys.readouterr().out
    (command,) = re.findall(r"^to train longer: lightning-gans (.*)$", said, re.MULTILINE)
    assert command == f"fit --ckpt_path {run}/checkpoints/last.ckpt {longer}"
    with suppress(SystemExit):
        main(command.split()[:-2])
    said = capsys.readouterr().out
    assert "nothing left to train: " in said
    assert longer.split()[0].lstrip("-") in said
    main(command.split())
    assert json.loads((run / "run.json").read_text())["updates"] > before


def test_a_run_whose_learning_rate_has_come_to_its_end_is_not_to_be_trained_longer(capsys):
    cosine = ["--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR"]
    main([*RUN, *cosine, "--model.scheduler.T_max", "4"])
    assert "to train longer" not in capsys.readouterr().out
    main([*RUN, *cosine, "--model.scheduler.T_max", "5"])
    assert "to train longer" in capsys.readouterr().out


def test_a_kill_while_a_config_is_replaced_leaves_a_run(monkeypatch):
    main(RUN)
    path = Path("runs/run/version_0/config.yaml")
    before = path.read_text()

    @contextmanager
    def killed(target):
        if target.resolve() == path.resolve():
            raise KeyboardInterrupt
        with replacing(target) as file:
            yield file

    resumed = ["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "6"]
    with monkeypatch.context() as patch:
        patch.setattr("lightning_gans.cli.runs.replacing", killed)
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            main(resumed)
    assert path.read_text() == before
    main(resumed)
    assert json.loads(path.with_name("run.json").read_text())["updates"] == 6
    assert yaml.safe_load(path.read_text())["trainer"]["max_steps"] == 6


def break_loss(monkeypatch, loss, call):
    """Makes the given call of a loss NaN; returns the samples of all calls.

    The first call is that of the check before training.
    """
    from lightning_gans import WGANGP

    usual = getattr(WGANGP, loss)
    seen = []

    def broken(self, samples):
        seen.append(samples)
        factor = float("nan") if len(seen) == call else 1
        return {name: factor * term for name, term in usual(self, samples).items()}

    monkeypatch.setattr(WGANGP, loss, broken)
    return seen


def test_a_failed_run_says_so(monkeypatch):
    break_loss(monkeypatch, "generator_loss", 4)
    with pytest.raises(SystemExit) as stopped:
        main([*RUN, "--checkpoint.every_n_updates", "1"])
    assert stopped.value.code == 1
    record = json.loads(Path("runs/run/version_0/run.json").read_text())
    assert record["status"].startswith(
        "stopped: DivergenceError: loss_g is not finite at update 3"
    )
    assert record["updates"] == 2
    last = torch.load("runs/run/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 2
    seen = torch.load("runs/run/version_0/diverged.pt", weights_only=True)
    assert seen.keys() == {"real", "fake", "latent"}
    assert seen["real"].shape == seen["fake"].shape
    assert all(part.isfinite().all() for part in seen.values())


def test_a_run_that_fails_in_its_first_round_keeps_what_it_saw(monkeypatch, capsys):
    updates = break_loss(monkeypatch, "discriminator_loss", 2)
    with pytest.raises(SystemExit) as stopped:
        main(RUN)
    assert stopped.value.code == 1
    record = json.loads(Path("runs/run/version_0/run.json").read_text())
    assert record["status"].startswith(
        "stopped: DivergenceError: loss_d is not finite at update 1"
    )
    assert record["updates"] == 0
    seen = torch.load("runs/run/version_0/diverged.pt", weights_only=True)
    assert torch.equal(seen["real"], updates[1].real)
    assert "resume with" not in capsys.readouterr().out


def test_a_full_disk_does_not_hide_that_a_run_diverged(monkeypatch, capsys):
    from lightning_gans.cli import runs

    break_loss(monkeypatch, "generator_loss", 2)
    replacing = runs.replacing

    def full(path):
        if path.name == "diverged.pt":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replacing(path)

    monkeypatch.setattr(runs, "replacing", full)
    with pytest.raises(SystemExit) as stopped:
        main(RUN)
    assert stopped.value.code == 1
    assert "loss_g is not finite at update 1" in capsys.readouterr().err


def test_another_run_may_write_into_the_same_new_folder_of_checkpoints(monkeypatch):
    from lightning_gans.callbacks import checkpoint

    usual = checkpoint.os.access

    def meanwhile(path, mode):
        if Path(path).name == "both":
            Path(path, "other.ckpt").touch()
        return usual(path, mode)

    monkeypatch.setattr(checkpoint.os, "access", meanwhile)
    main([*RUN, "--checkpoint.dirpath", "both"])
    assert {path.name for path in Path("both").iterdir()} >= {"last.ckpt", "other.ckpt"}


@pytest.mark.parametrize(
    ("end", "number"), [(KeyboardInterrupt, signal.SIGINT), (SIGTERMException, signal.SIGTERM)]
)
def test_a_run_that_was_stopped_before_its_first_update_leaves_no_folder(
    end, number, monkeypatch, capsys
):
    from lightning_gans import WGANGP

    main(RUN)

    def interrupted(self, samples):
        raise end

    monkeypatch.setattr(WGANGP, "discriminator_loss", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(RUN)
    assert stopped.value.code == 128 + number
    assert "stopped before the first update" in capsys.readouterr().out
    assert os.listdir("runs/run") == ["version_0"]


def test_auto_resumes_the_newest_run_that_has_begun():
    main(RUN)
    Path("runs/run/version_1").mkdir()  # as a kill may leave it
    main([*RUN, "--ckpt_path", "auto", "--trainer.max_steps", "6"])
    assert json.loads(Path("runs/run/version_0/run.json").read_text())["updates"] == 6


def test_auto_takes_no_checkpoint_of_the_working_directory():
    main([*RUN, "--checkpoint.dirpath", "checkpoints"])
    assert Path("checkpoints/last.ckpt").is_file()
    main([*RUN, "--name", "other", "--ckpt_path", "auto"])
    record = json.loads(Path("runs/other/version_0/run.json").read_text())
    assert "parent" not in record


def test_a_setting_may_be_set_to_nothing_by_a_tilde():
    main([*RUN, "--trainer.max_time=~", "--threads=~", "--model.scheduler", "~"])
    config = yaml.safe_load(Path("runs/run/version_0/config.yaml").read_text())
    assert config["trainer"]["max_time"] is None
    assert config["model"]["init_args"]["scheduler"] is None


@pytest.mark.parametrize("flag", ["--trainer.default_root_dir=~/all", "home.yaml"])
def test_the_folder_of_a_user_is_found(flag, tmp_path, monkeypatch):
    """Shells leave such a ~ as it is."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("home.yaml").write_text("trainer: {default_root_dir: ~/all}\n")
    main([*RUN, *(["--config", flag] if flag.endswith("yaml") else [flag])])
    run = tmp_path / "home" / "all" / "run"
    assert (run / "version_0" / "run.json").is_file()
    main(["fit", "--ckpt_path=~/all/run", "--trainer.max_steps", "6"])
    assert json.loads((run / "version_0" / "run.json").read_text())["updates"] == 6
    assert not Path("~").exists()


def test_a_folder_with_other_checkpoints_than_these_is_named():
    folder = Path("lightning_logs/version_0/checkpoints")
    folder.mkdir(parents=True)
    (folder / "epoch=0-step=50.ckpt").touch()
    with pytest.raises(FileNotFoundError, match=r"no best.ckpt and .* such as .*step=50\.ckpt"):
        checkpoint_in(folder.parent)
    (folder / "latest.ckpt").symlink_to("gone.ckpt")
    with pytest.raises(FileNotFoundError, match=r"Use a file, such as .*step=50\.ckpt"):
        checkpoint_in(folder.parent)


def test_an_evaluation_that_is_interrupted_says_so_by_its_exit_code(monkeypatch):
    from lightning_gans import WGANGP

    main(RUN)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(WGANGP, "validation_step", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--ckpt_path", "runs/run"])
    assert stopped.value.code == 128 + signal.SIGINT
