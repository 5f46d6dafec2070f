"""A run that begins from a checkpoint of another: exact, apart, and with other settings."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from interrupted import assert_same, command, content, rows
from wandb_files import records_of

from lightning_gans.callbacks import AtomicCheckpointIO
from lightning_gans.cli.main import main

RUN = Path("runs/run/version_0")
LAST, BEST = (str(RUN / "checkpoints" / f"{name}.ckpt") for name in ("last", "best"))
FORK = Path("runs/run_fork/version_0")


SMALL = [
    *("fit", "--name", "run", "--model", "WGANGP", "--model.n_critic", "1"),
    *("--data", "GaussianRing", "--data.batch_size", "8", "--data.num_eval_samples", "32"),
    *("--trainer.max_steps", "2", "--trainer.limit_val_batches", "0"),
    *("--trainer.log_every_n_steps", "1", "--checkpoint.monitor", "null"),
    *("--pictures.enabled", "false"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    main([*SMALL, "--trainer.default_root_dir", str(root)])
    return root / "run"


@pytest.fixture(autouse=True)
def _run(trained):
    """Every test has a copy of a run of 2 updates, at the same place."""
    shutil.copytree(trained, "runs/run")


def tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fork(*more, steps=4, path=LAST):
    main(["fork", "--ckpt_path", str(path), "--trainer.max_steps", str(steps), *more])


def record(folder=FORK):
    return json.loads((folder / "run.json").read_text())


def last(folder):
    return content(folder / "checkpoints" / "last.ckpt")


def test_without_changes_it_ends_like_the_other_run_trained_as_far(monkeypatch):
    """With a state of every kind: batch norm, clipping, a schedule, an average."""
    kept, save = {}, AtomicCheckpointIO.save_checkpoint

    def keep(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        if path.endswith("last.ckpt"):
            kept[checkpoint["global_step"]] = Path(path).read_bytes()

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", keep)
    shutil.rmtree("runs")
    main(command(2, ["GaussianRing"], 4, 3))
    expected, expected_rows = last(RUN), rows(RUN)
    for path, update in ((LAST, 6), (BEST, 4), ("copy.ckpt", 3)):
        Path(path).write_bytes(kept[update])
        before = tree(RUN)
        fork("--name", f"from_{update}", steps=11, path=path)
        assert tree(RUN) == before
        folder = Path("runs", f"from_{update}", "version_0")
        assert rows(folder) == [row for row in expected_rows if int(row["step"]) > update]
        states = [last(folder), copy.deepcopy(expected)]
        for state in states:
            del state["config"]["name"]
            del state["callbacks"]["Checkpoint"]  # a fork has a best state of its own
        assert_same(*states)
        assert record(folder)["parent"] == {
            "folder": None if path == "copy.ckpt" else str(RUN.resolve()),
            "checkpoint": str(Path(path).resolve()),
            "updates": update,
        }
        assert record(folder)["resumed_at"] == []
        main(["diff", "run", str(folder)])  # would end with exit code 1


# Names and places


def test_it_has_a_name_of_its_own_and_is_resumed_by_it():
    os.rename("runs", "elsewhere")
    run = Path("elsewhere/run/version_0")
    fork(path=run)
    fork(path="run_fork", steps=6)
    fork("--name", "mine", path="elsewhere/run")
    assert sorted(os.listdir("runs")) == ["mine", "run_fork"]
    assert sorted(os.listdir("runs/run_fork")) == ["version_0", "version_1"]
    again = FORK.with_name("version_1")
    assert record(again)["parent"]["folder"] == str(FORK.resolve())
    main(["fit", "--name", "mine", "--ckpt_path", "last", "--trainer.max_steps", "6"])
    mine = Path("runs/mine/version_0")
    assert record(mine)["parent"]["folder"] == str(run.resolve())
    assert record(mine)["resumed_at"] == [4]
    assert [row["step"] for row in rows(mine)] == ["3", "4", "5", "6"]
    assert rows(mine)[2:] == rows(again)


def test_callbacks_that_delete_their_files_delete_none_of_the_other_run():
    cls = "lightning.pytorch.callbacks.ModelCheckpoint"
    saving = [f"--trainer.callbacks+={cls}", "--trainer.callbacks.every_n_train_steps", "1"]
    shutil.rmtree("runs")
    main([*SMALL, *saving])
    before = tree(RUN)
    assert any(path.name.startswith("epoch=") for path in before)
    with pytest.warns(UserWarning, match="names files outside of the run"):
        fork(*saving)
    assert tree(RUN) == before


def test_what_it_is_forked_from_is_told_to_wandb_as_another_run(monkeypatch):
    import wandb

    shutil.rmtree("runs")
    main([*SMALL, "--trainer.logger", "WandB"])
    wandb.finish()
    identity = (RUN / "wandb" / "id").read_text()
    fork()
    wandb.finish()
    wandb.teardown()
    (path,) = FORK.glob("wandb/offline-run-*/*.wandb")
    config, runs = {}, []
    for entry in records_of(path):
        kind = entry.WhichOneof("record_type")
        if kind == "run":
            runs.append((entry.run.run_id, entry.run.display_name))
        if kind in ("config", "run"):
            updates = entry.config if kind == "config" else entry.run.config
            config.update((item.key, json.loads(item.value_json)) for item in updates.update)
    assert runs == [((FORK / "wandb" / "id").read_text(), "run_fork/version_0")]
    assert runs[0][0] != identity
    assert config["parent"] == record()["parent"]
    assert (config["parent"]["wandb"], config["parent"]["updates"]) == (identity, 2)


# What may change


def test_learning_rates_may_change():
    fork("--model.optimizer_d.lr", "0", "--model.optimizer_g.lr", "1e-3")
    before, after = last(RUN), last(FORK)
    for name, weight in before["state_dict"].items():
        is_kept = name.startswith("discriminator")
        assert torch.equal(weight, after["state_dict"][name]) == is_kept, name
    groups = [state["param_groups"][0] for state in after["optimizer_states"]]
    assert [group["lr"] for group in groups] == [0, 1e-3]
    assert after["optimizer_states"][0]["state"][0]["step"] == 4  # the moments are kept
    main(["fit", "--name", "run_fork", "--ckpt_path", "last", "--trainer.max_steps", "5"])
    assert last(FORK)["optimizer_states"][0]["param_groups"][0]["lr"] == 0


def test_the_seed_may_change_and_holds_for_the_rest_of_the_run():
    fork("--name", "same")
    fork("--seed_everything", "7")
    fork("--seed_everything", "7", "--name", "stopped", steps=3)
    main(["fit", "--name", "stopped", "--ckpt_path", "last", "--trainer.max_steps", "4"])
    same, stopped = (Path("runs", name, "version_0") for name in ("same", "stopped"))
    seeds = [record(folder)["seed"] for folder in (same, FORK, stopped)]
    assert seeds == [0, 7, 7]
    assert last(FORK)["lightning_gans"]["seed"] == 7
    assert rows(stopped) == rows(FORK)
    assert_same(last(stopped)["state_dict"], last(FORK)["state_dict"])
    for one, other in zip(rows(FORK), rows(same), strict=True):
        assert one["train/d_real"] != other["train/d_real"]  # other data
        assert one["train/d_fake"] != other["train/d_fake"]


def test_weights_of_terms_may_change_and_rows_hold_the_new_ones_only():
    shutil.rmtree("runs")
    main([*SMALL, "--trainer.log_every_n_steps", "3"])  # the next row has begun by then
    for name, weight in (("one", "5"), ("two", "20")):
        changes = ["--model.penalty.weight", weight, "--trainer.log_every_n_steps", "1"]
        fork("--name", name, *changes, "--data.radius", "3")
    fork("--name", "same", steps=3)
    fork("--name", "data", "--data.num_eval_samples", "16", steps=3)
    one, two, same, data = (
        rows(Path("runs", name, "version_0"))[0] for name in ("one", "two", "same", "data")
    )
    assert same == data != one  # the mean over three updates
    assert one["step"] == two["step"] == "3"
    penalties = [float(row["train/gradient_penalty"]) for row in (one, two)]
    assert penalties[1] == 4 * penalties[0] != 0
    assert one["train/wasserstein"] == two["train/wasserstein"]


def test_terms_that_are_no_more_leave_no_column():
    shutil.rmtree("runs")
    main([*SMALL, "--model.regularizers+=R1"])
    assert "train/r1" in rows(RUN)[0]
    fork("--model.regularizers", "[]")
    assert rows(FORK)[0].keys() == rows(RUN)[0].keys() - {"train/r1"}


def test_regularizers_with_a_state_may_come_and_go():
    """The new one begins with a state of its own; one that stays keeps its own."""
    fork("--model.regularizers+=LeCam", "--name", "with")
    state = last(Path("runs/with/version_0"))["state_dict"]
    assert state["regularizers.1.updates"] == 2  # of the four, those of the fork
    whole = str(Path("runs/with/version_0/checkpoints/last.ckpt"))
    fork("--model.penalty.weight", "3", "--name", "kept", path=whole, steps=5)
    assert last(Path("runs/kept/version_0"))["state_dict"]["regularizers.1.updates"] == 3
    fork("--model.regularizers", "[]", "--name", "without", path=whole, steps=5)
    assert last(Path("runs/without/version_0"))["state_dict"].keys() == state.keys() - {
        "regularizers.1.updates",
        "regularizers.1.averages",
    }


def test_batches_and_updates_of_the_critic_may_change():
    fork("--model.n_critic", "3", "--data.batch_size", "4", "--model.loss", "Hinge")
    assert last(FORK)["lightning_gans"]["images_seen"] == 2 * 8 + 2 * 3 * 4
    config = yaml.safe_load((FORK / "config.yaml").read_text())
    assert config["model"]["init_args"]["loss"]["class_path"].endswith("Hinge")


# What may not


def refused(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    assert os.listdir("runs") == ["run"]
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("lightning-gans: error: ")


LR = "model.optimizer_d.lr"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "GAN"], "model: lightning_gans.WGANGP -> lightning_gans.GAN: the"),
        (["--model.generator.hidden", "[4]"], "model.generator.hidden: "),
        (["--model.optimizer_d.beta2", "0.5"], "model.optimizer_d.beta2: 0.9"),
        (["--data", "SwissRoll"], "data: datamodules.GaussianRing -> datamodules.Swi"),
        (["--name", "a/b"], "name: it must be the name of a folder, got 'a/b'."),
        (["--name", "x" * 201], "name: it may be at most 200 bytes long, got 201."),
        (
            ["--checkpoint.dirpath", "runs/../runs/run/version_0/checkpoints"],
            "checkpoint.dirpath: runs/../runs/run/version_0/checkpoints has the checkpoint that ",
        ),
        (
            ["--trainer.max_steps", "2"],
            "trainer.max_steps: the checkpoint has 2 generator updates already, got 2. Use "
            "--trainer.max_steps 4, or any number above 2.",
        ),
    ],
)
def test_what_cannot_change_is_named(flags, message, capsys):
    assert refused(capsys, "fork", "--ckpt_path", LAST, *flags).startswith(message)


def test_learning_rates_that_a_scheduler_sets_are_fixed(capsys):
    shutil.rmtree("runs")
    main([*SMALL, "--model.scheduler", "torch.optim.lr_scheduler.ConstantLR"])
    told = refused(capsys, "fork", "--ckpt_path", LAST, "--model.optimizer_d.lr", "1e-3")
    assert told.startswith(f"{LR}: 0.0001 -> 0.001: the checkpoint holds the state of this")
    assert told.endswith("Leave it out, or start a new run.")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "ckpt_path is missing. Use --ckpt_path with a checkpoint or a run folder."),
        (["--ckpt_path", "rn"], "ckpt_path: There is no checkpoint and no run folder at rn: did"),
        (
            ["--ckpt_path", "best", "--name", "run"],
            "ckpt_path: best is of the run that --name names, but a fork is a new one. Use ",
        ),
        (["runs/run"], "fork reads flags only, not runs/run. Use --ckpt_path runs/run."),
    ],
)
def test_the_checkpoint_has_to_be_named(flags, message, capsys):
    assert refused(capsys, "fork", *flags).startswith(message)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed_everything", "9"], "seed_everything: 0 -> 9: the checkpoint holds the state"),
        (["--model.optimizer_d.lr", "0.5"], f"{LR}: 0.0001 -> 0.5: the checkpoint holds the s"),
        (["--name", "new"], "name: the run continues in its own folder"),
    ],
)
def test_a_resumed_run_that_cannot_change_is_to_be_forked(flags, message, capsys):
    told = refused(capsys, "fit", "--ckpt_path", LAST, *flags)
    assert told.startswith(message)
    assert told.endswith("use lightning-gans fork to begin a new run.")


def test_a_damaged_identity_of_wandb_is_named(capsys):
    (RUN / "wandb").mkdir()
    (RUN / "wandb" / "id").write_text("\x1b[31m")
    assert "is not the identity of a W&B run" in refused(
        capsys, "fork", "--ckpt_path", LAST, "--trainer.max_steps", "4"
    )
