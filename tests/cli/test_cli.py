"""The command line: precedence, checkpoints that bring their configuration, and bad input."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
import yaml
from lightning.pytorch.cli import LightningArgumentParser

from lightning_gans.cli import preparing
from lightning_gans.cli.locks import RunLock
from lightning_gans.cli.main import main
from lightning_gans.cli.training import GANCLI

QUICK = [
    *("--data.batch_size", "8", "--data.num_eval_samples", "32", "--trainer.max_steps", "3"),
    *("--trainer.val_check_interval", "3", "--pictures.enabled", "false"),
]
RUN = ["fit", "--name", "run", "--model", "WGANGP", "--data", "GaussianRing", *QUICK]
LAST = "runs/run/version_0/checkpoints/last.ckpt"
CONSOLE_SCRIPT = Path(sys.executable).parent / "lightning-gans"


def config(version=0, name="run"):
    return yaml.safe_load(Path(f"runs/{name}/version_{version}/config.yaml").read_text())


def state(version=0):
    path = f"runs/run/version_{version}/checkpoints/last.ckpt"
    return torch.load(path, weights_only=True)


def refused(capsys, *arguments, code=2):
    """Runs a command that must fail, and returns its one line of explanation."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == code
    printed = capsys.readouterr()
    assert "run folder" not in printed.out  # there is none
    lines = printed.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("lightning-gans: error: ")
    return lines[0].removeprefix("lightning-gans: error: ")


# What holds


def test_a_run_on_an_array_is_scored_and_resumed_without_naming_the_file(capsys):
    np.save("my points (1).npy", np.random.default_rng(0).normal(size=(40, 2)).astype("float32"))
    run = ["fit", "--model", "GAN", "--data", "ArrayData", "--data.path", "my points (1).npy"]
    main([*run, "--name", "array", "--trainer.max_steps", "2", "--data.batch_size", "8"])
    main(["evaluate", "--ckpt_path", "array"])
    main(["fit", "--ckpt_path", "array", "--trainer.max_steps", "3"])
    assert "changed from the checkpoint: trainer.max_steps: 2 -> 3" in capsys.readouterr().out


def test_a_model_and_data_are_all_that_is_needed():
    main(RUN)
    found = config()["model"]["init_args"]
    assert found["n_critic"] == 5
    assert found["optimizer_g"]["class_path"] == "lightning_gans.optimizers.GANAdam"
    assert found["optimizer_g"]["init_args"]["lr"] == 1e-4
    hyper_parameters = state()["hyper_parameters"]
    assert tuple(hyper_parameters["data_shape"]) == (2,)


def test_files_win_over_defaults_and_flags_over_files():
    Path("mine.yaml").write_text(
        "model: {class_path: WGANGP, init_args: {n_critic: 3, gradient_clip_norm: 0.5}}\n"
        "data: GaussianRing\ntrainer: {log_every_n_steps: 7}\n"
    )
    main(["fit", "--config", "mine.yaml", "--model.n_critic", "2", *QUICK])
    found = config(name="mine")
    assert found["model"]["init_args"]["n_critic"] == 2
    assert found["model"]["init_args"]["gradient_clip_norm"] == 0.5
    assert found["trainer"]["log_every_n_steps"] == 7
    assert found["checkpoint"]["monitor"] == "val/sliced_w"  # configs/default.yaml


def test_flags_win_over_files_that_follow_them():
    Path("mine.yaml").write_text(
        "model: {class_path: WGANGP, init_args: {n_critic: 3, gradient_clip_norm: 0.5}}\n"
        "data: {class_path: GaussianRing, init_args: {sd: 0.03}}\n"
    )
    flags = ["--data.num_modes", "5", "--model.n_critic", "2"]
    main(["fit", *flags, "--config=mine.yaml", *QUICK])
    found = config(name="mine")
    assert found["model"]["init_args"]["n_critic"] == 2
    assert found["model"]["init_args"]["gradient_clip_norm"] == 0.5
    assert found["data"]["init_args"]["num_modes"] == 5
    assert found["data"]["init_args"]["sd"] == 0.03


def test_another_class_has_its_own_defaults_and_keeps_what_was_chosen():
    Path("mine.yaml").write_text(
        "model: {class_path: WDCGANGP, init_args: {n_critic: 2, generator: "
        "{class_path: DCGANGenerator, init_args: {output: torch.nn.Identity}}}}\n"
        "data: GaussianRing\n"
    )
    discriminator = ["--model.discriminator", "MLPDiscriminator"]
    networks = ["--model.generator", "MLPGenerator", *discriminator]
    main(["fit", "--config", "mine.yaml", "--model", "WDCGANGP", *networks, *QUICK])
    main(
        ["fit", "--name", "flags", "--model", "WDCGANGP", "--data=GaussianRing", *networks, *QUICK]
    )
    for name, output in (("mine", {"class_path": "torch.nn.Identity"}), ("flags", None)):
        generator = config(name=name)["model"]["init_args"]["generator"]["init_args"]
        assert generator["normalization"] is None  # BatchNorm2d in DCGAN's generator
        assert generator["output"] == output  # Tanh in DCGAN's generator
    main([*RUN, "--model.optimizer_d", "torch.optim.Adam"])
    optimizer = config()["model"]["init_args"]["optimizer_d"]["init_args"]
    assert optimizer["lr"] == 1e-4  # WGANGP gives it to GANAdam
    assert optimizer["eps"] == 1e-8
    assert tuple(optimizer["betas"]) == (0.9, 0.999)
    main(["fit", "--config", "mine.yaml", "--model", "WGAN", *networks, *QUICK])
    assert config(name="mine", version=1)["model"]["init_args"]["n_critic"] == 2


def test_null_is_null_as_a_flag_too():
    networks = ["--model", "WDCGANGP", "--model.discriminator", "MLPDiscriminator"]
    flags = ["--model.generator", "MLPGenerator", "--model.generator.normalization"]
    run = ["fit", "--name", "run", *networks, "--data", "GaussianRing", *QUICK]
    main([*run, *flags, "torch.nn.LayerNorm", "--model.gradient_clip_norm", "null"])
    main([*run, *flags, "torch.nn.LayerNorm", *flags[2:], "null"])
    found = [config(version=number)["model"]["init_args"] for number in (0, 1)]
    layer_norm = found[0]["generator"]["init_args"]["normalization"]
    assert layer_norm["class_path"] == "torch.nn.LayerNorm"
    assert found[1]["generator"]["init_args"]["normalization"] is None
    assert found[0]["gradient_clip_norm"] is None


def test_a_configuration_that_comes_along_is_found_by_its_name():
    main(["fit", "--config", "gan_ring", *QUICK])
    assert config(name="gan_ring")["model"]["class_path"] == "lightning_gans.GAN"


def test_parts_are_chosen_by_flags_alone():
    main(
        [
            *RUN,
            *("--model.generator.hidden", "[5]", "--model.regularizers+=R1"),
            *("--model.prior", "UniformPrior", "--model.prior.dim", "3"),
            *("--trainer.callbacks+=GeneratorEMA", "--model.optimizer_d.lr", "0.01"),
        ]
    )
    weights = state()["state_dict"]
    assert weights["generator.layers.0.weight"].shape == (5, 3)
    assert state()["callbacks"].keys() >= {"GeneratorEMA", "Checkpoint"}
    groups = [optimizer["param_groups"][0]["lr"] for optimizer in state()["optimizer_states"]]
    assert groups == [0.01, 1e-4]


MY_GAN = """
from lightning_gans import GAN
from lightning_gans.losses import wasserstein_generator_loss

class MyGAN(GAN):
    def generator_loss(self, samples):
        return {"mine": wasserstein_generator_loss(self.discriminate(samples.fake))}
"""


@pytest.mark.slow
def test_a_model_of_ones_own_is_found_in_the_working_folder(tmp_path):
    """With the console script, which does not look there by itself."""
    Path("my_gan.py").write_text(MY_GAN)
    run = ["fit", "--model", "my_gan.MyGAN", "--data", "GaussianRing", "--name", "run", *QUICK]
    subprocess.run([CONSOLE_SCRIPT, *run], check=True, capture_output=True)
    assert state()["lightning_gans"]["class_path"] == "my_gan.MyGAN"
    again = [CONSOLE_SCRIPT, "validate", "--ckpt_path", LAST, "--import", "my_gan"]
    subprocess.run(again, check=True, capture_output=True)


def test_the_script_in_the_checkout_is_the_same_command():
    script = Path(__file__).parents[2] / "cli.py"
    subprocess.run([sys.executable, script, *RUN], check=True, capture_output=True)
    assert os.path.exists(LAST)


@pytest.mark.slow
def test_two_processes_need_no_further_flag():
    """Nor do they hang, disagree on the folder, or keep quiet on statistics not shared."""
    batch = {"class_path": "GaussianRing", "init_args": {"batch_size": 8}}
    Path("batch.yaml").write_text(yaml.safe_dump({"data": batch}))
    flag = RUN.index("--data.batch_size")
    run = [*RUN[:flag], *RUN[flag + 2 :], "--config", "batch.yaml"]
    run += ["--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    run += [
        "--model.generator.normalization",
        "torch.nn.BatchNorm1d",
        "--pictures.enabled",
        "true",
    ]
    done = subprocess.run(
        [CONSOLE_SCRIPT, *run], check=True, capture_output=True, timeout=300, text=True
    )
    assert done.stderr.count("sync_batchnorm=True shares them") == 1
    assert done.stdout.count("Scores of 32 generated samples") == 1
    assert "an update of the discriminator sees 2 x 8 = 16 real samples" in done.stdout
    assert "as they are. Use --data.batch_size 4 to keep 8 in all." in done.stdout
    record = json.loads(Path("runs/run/version_0/run.json").read_text())
    assert record["samples_per_update"] == 16
    assert os.listdir("runs/run") == ["version_0"]
    assert state()["lightning_gans"]["images_seen"] == 3 * 5 * 8 * 2
    assert os.path.exists("runs/run/version_0/figures/training.gif")


def test_load_rebuilds_what_the_command_line_made(tmp_path):
    from conftest import fitted

    from lightning_gans import load
    from lightning_gans.callbacks import Checkpoint

    main(
        [
            *RUN,
            *("--model.generator.hidden", "[5]", "--model.regularizers+=R1"),
            *("--model.prior", "UniformPrior", "--model.prior.dim", "3"),
        ]
    )
    model = load(LAST)
    assert type(model).__name__ == "WGANGP"
    assert (model.prior.dim, model.prior.low) == (3, -1.0)
    assert [penalty.name for penalty in model.regularizers] == ["gradient_penalty", "r1"]
    assert model.generator.layers[0].weight.shape == (5, 3)
    # What it was made from is not lost when it is trained and saved again.
    saver = Checkpoint(dirpath=str(tmp_path))
    fitted(model, enable_checkpointing=True, callbacks=[saver])
    again = load("last.ckpt")
    assert [penalty.name for penalty in again.regularizers] == ["gradient_penalty", "r1"]
    latent = torch.rand(4, 3)
    assert torch.equal(again.sample(latent), model.sample(latent))


# Checkpoints


def printed_scores(capsys):
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if "Scores of" in line)
    return [line for line in lines[start:] if line.startswith("  ")]


def test_validate_prints_the_scores_of_the_run_even_after_it_moved(capsys):
    main([*RUN, "--trainer.callbacks+=GeneratorEMA", "--seed_everything", "3"])
    of_the_run = printed_scores(capsys)
    main(["validate", "--ckpt_path", LAST])
    assert printed_scores(capsys) == of_the_run
    os.rename("runs", "moved")
    main(["validate", "--ckpt_path", "moved/run/version_0/checkpoints/last.ckpt"])
    assert printed_scores(capsys) == of_the_run
    assert len(of_the_run) > 10
    main(["validate", "--ckpt_path", LAST.replace("runs", "moved"), "--seed_everything", "4"])
    assert printed_scores(capsys) != of_the_run


def test_evaluation_writes_no_run_folder():
    main(RUN)
    for command in ("validate", "test"):
        main([command, "--name", "run", "--ckpt_path", "last"])
    assert os.listdir("runs/run") == ["version_0"]
    assert sorted(os.listdir()) == ["runs"]


def test_predict_generates_an_array():
    main(RUN)
    main(["predict", "--name", "run", "--ckpt_path", "best"])
    array = np.load("runs/run/version_0/samples/best.npy")
    assert array.shape == (32, 2)
    assert np.isfinite(array).all()
    Path("kept").mkdir()
    shutil.copy("runs/run/version_0/checkpoints/best.ckpt", "kept/mine.ckpt")
    main(["predict", "--ckpt_path", "kept/mine.ckpt"])
    assert (np.load("kept/samples/mine.npy") == array).all()
    assert sorted(os.listdir()) == ["kept", "runs"]


def test_going_on_takes_the_configuration_of_the_checkpoint(capsys):
    main([*RUN, "--model.n_critic", "2", "--data.radius", "1.5"])
    capsys.readouterr()
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "5"])
    printed = capsys.readouterr().out
    assert "changed from the checkpoint: trainer.max_steps: 3 -> 5" in printed
    assert printed.count("changed from the checkpoint") == 1
    assert os.listdir("runs/run") == ["version_0"]
    assert state()["global_step"] == 5
    assert config()["model"]["init_args"]["n_critic"] == 2
    assert config()["trainer"]["max_steps"] == 5
    # What it was before is kept.
    folder = Path("runs/run/version_0")
    before = yaml.safe_load((folder / "config_1.yaml").read_text())
    assert before["trainer"]["max_steps"] == 3
    # It takes the place of none, if one before it was deleted.
    (folder / "config_1.yaml").rename(folder / "config_7.yaml")
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "6"])
    kept = {p.name: yaml.safe_load(p.read_text()) for p in folder.glob("config*.yaml")}
    updates = {name: content["trainer"]["max_steps"] for name, content in kept.items()}
    assert updates == {"config_7.yaml": 3, "config_8.yaml": 5, "config.yaml": 6}


def test_a_flag_wins_over_the_checkpoint_where_it_can(capsys):
    main(RUN)
    main(
        [
            *("fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "5"),
            *("--model.n_critic", "2", "--model.penalty.weight", "0.5", "--data.batch_size", "4"),
        ]
    )
    printed = capsys.readouterr().out
    for change in ("n_critic: 5 -> 2", "weight: 10.0 -> 0.5", "batch_size: 8 -> 4"):
        assert change in printed
    assert state()["lightning_gans"]["images_seen"] == 3 * 5 * 8 + 2 * 2 * 4


@pytest.mark.parametrize(
    ("flag", "value", "change"),
    [
        ("--model", "GAN", "model: lightning_gans.WGANGP -> lightning_gans.GAN"),
        ("--model.generator.hidden", "[4]", "model.generator.hidden: "),
        (
            "--model.optimizer_d.lr",
            "0.5",
            "model.optimizer_d.lr: 0.0001 -> 0.5",
        ),
        ("--model.scheduler", "torch.optim.lr_scheduler.ConstantLR", "model.scheduler: "),
        ("--seed_everything", "9", "seed_everything: 0 -> 9"),
        ("--data", "SwissRoll", "data: datamodules.GaussianRing -> datamodules.Swiss"),
    ],
)
def test_and_is_refused_where_it_could_not_take_effect(flag, value, change, capsys):
    main(RUN)
    capsys.readouterr()
    message = refused(capsys, "fit", "--name", "run", "--ckpt_path", "last", flag, value)
    assert message.startswith(change)
    assert "the checkpoint holds the state of this" in message


def test_settings_that_are_newer_than_a_checkpoint_do_not_keep_it_from_going_on(capsys):
    main(RUN)
    saved = torch.load(LAST, weights_only=True)
    for player, name in (("discriminator", "num_outputs"), ("optimizer_d", "weight_decay")):
        settings = saved["config"]["model"]["init_args"][player]["init_args"]
        del settings[name]
    torch.save(saved, LAST)
    capsys.readouterr()
    going_on = ["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "5"]
    message = refused(capsys, *going_on, "--model.optimizer_d.weight_decay", "0.5")
    assert "model.optimizer_d.weight_decay: None -> 0.5: the checkpoint holds" in message
    main(going_on)
    assert capsys.readouterr().out.count("changed from the checkpoint") == 1  # max_steps
    assert state()["global_step"] == 5


@pytest.mark.parametrize("weights", [None, [1.0], {3: 1.0}])
def test_weights_that_are_none_are_refused_in_one_line(weights, capsys):
    main(RUN)
    saved = torch.load(LAST, weights_only=True)
    saved["state_dict"] = weights
    torch.save(saved, LAST)
    capsys.readouterr()
    going_on = ["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "5"]
    message = refused(capsys, *going_on)
    assert message.startswith(("ckpt_path: ", "The checkpoint's networks are not the model's"))


def test_a_refused_resume_leaves_the_record_of_the_run_as_it_was(capsys):
    main(RUN)
    capsys.readouterr()
    folder = Path("runs/run/version_0")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refused(
        capsys,
        *("fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "6"),
        *("--checkpoint.monitor", "val/foo"),
    )
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_stopped_run_that_is_asked_for_less_is_not_finished(capsys):
    main(RUN)
    path = Path("runs/run/version_0/run.json")
    stopped = path.read_bytes().replace(b'"finished"', b'"stopped"')
    path.write_bytes(stopped)
    with pytest.raises(SystemExit) as end:
        main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "2"])
    assert end.value.code == 0
    assert "has 3 generator updates, and trainer.max_steps is 2" in capsys.readouterr().out
    assert path.read_bytes() == stopped


def test_a_finished_run_has_nothing_left_to_train(capsys):
    main(RUN)
    folder = Path("runs/run/version_0")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as end:
        main(["fit", "--name", "run", "--ckpt_path", "last"])
    assert end.value.code == 0
    assert "nothing left to train: the checkpoint has 3 generator" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    whole = (folder / "run.json").read_bytes()
    killed = whole.replace(b'"finished"', b'"running"')  # while it drew its last pictures
    (folder / "run.json").write_bytes(killed)
    lock = RunLock(folder)
    lock.acquire()
    with pytest.raises(SystemExit):
        main(["fit", "--name", "run", "--ckpt_path", "last"])
    assert (folder / "run.json").read_bytes() == killed
    lock.release()
    with pytest.raises(SystemExit):
        main(["fit", "--name", "run", "--ckpt_path", "last"])
    assert (folder / "run.json").read_bytes() == whole
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "4"])
    record = json.loads((folder / "run.json").read_text())
    assert record["updates"] == 4
    assert record["resumed_at"] == [3]
    assert record["scores"]["modes"] >= 0
    assert record["seed"] == 0


@pytest.mark.parametrize(
    ("flag", "value"), [("--name", "other"), ("--trainer.default_root_dir", "elsewhere")]
)
def test_a_run_that_goes_on_cannot_move(flag, value, capsys):
    main(RUN)
    capsys.readouterr()
    message = refused(capsys, "fit", "--ckpt_path", LAST, flag, value, "--trainer.max_steps", "6")
    assert message.startswith(f"{flag.removeprefix('--')}: the run continues in its own folder")
    main(["fit", "--ckpt_path", LAST, "--name", "run", "--trainer.max_steps", "4"])
    assert state()["global_step"] == 4


def test_a_run_folder_of_another_name_is_gone_on_from_in_a_new_one():
    main(RUN)
    Path("runs/run/version_0").rename("kept")
    main(["fit", "--ckpt_path", "kept/checkpoints/last.ckpt", "--trainer.max_steps", "4"])
    assert state()["global_step"] == 4


@pytest.mark.parametrize(
    "data", [["--data", "SwissRoll"], ["--data", "roll.yaml"], ["--config", "both.yaml"]]
)
def test_other_data_to_score_on_brings_its_own_settings(data):
    Path("roll.yaml").write_text("class_path: SwissRoll\n")
    Path("both.yaml").write_text("data: SwissRoll\n")
    main(RUN)
    command = ["validate", "--ckpt_path", LAST, *data]
    cli = GANCLI([*command, "--data.num_eval_samples", "32"])
    assert cli.datamodule.scale == 7.5
    assert cli.datamodule.sd == 0.25 / 7.5


def test_half_precision_rounds_no_sample():
    main([*RUN, "--trainer.precision", "bf16-mixed"])
    cli = GANCLI(["predict", "--ckpt_path", LAST])
    samples = np.load("runs/run/version_0/samples/last.npy")
    assert samples.dtype == np.float32
    rounded = torch.from_numpy(samples).bfloat16().float().numpy()
    assert (rounded != samples).mean() > 0.9
    assert cli.trainer.precision == "bf16-mixed"


def test_checkpoints_made_without_the_command_line_need_the_model_named(capsys, tmp_path):
    from conftest import fitted

    from lightning_gans import GAN
    from lightning_gans.callbacks import Checkpoint

    saver = Checkpoint(dirpath=str(tmp_path))
    fitted(GAN(data_shape=(2,)), enable_checkpointing=True, callbacks=[saver])
    assert "model" in refused(capsys, "validate", "--ckpt_path", "last.ckpt")
    main(
        [
            *("validate", "--ckpt_path", "last.ckpt", "--model", "GAN", "--data", "GaussianRing"),
            *("--data.num_eval_samples", "32"),
        ]
    )


# Bad input: one line, exit code 2, and no folder left behind


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.n_critic", "0"], "n_critic must be at least 1, got 0."),
        (["--model.n_critic", "x"], "model.n_critic must be a whole number, got x."),
        (["--model.n_critics", "2"], "WGANGP has no setting n_critics: did you mean n_critic?"),
        (["--model.n_critic"], "argument --model.n_critic: expected one argument"),
        (
            ["--trainer.logger.project", "x"],
            "trainer.logger is not chosen. Use --trainer.logger CLASS in front of",
        ),
        (["--trainer.max_step", "2"], "--trainer.max_step: did you mean --trainer.max_steps?"),
        (
            ["--config", "nothing.yaml"],
            "there is no file and no configuration nothing.yaml; light",
        ),
        (["--config", "empty.yaml"], "config: empty.yaml has no settings, such as model:"),
        (["--name", ".."], "name: it must be the name of a folder, got '..'."),
        (["--ckpt_path", "folder"], "ckpt_path: There is no folder of a run with a checkpoint at"),
        (
            ["--model.generator", "{class_path: os.getcwd, init_args: {width: 1}}"],
            "os.getcwd has no setting width.",
        ),
        (
            ["--model", "HingeGAN", "--model.loss.margin", "2"],
            "model.loss: lightning_gans.losses.Hinge has no setting margin.",
        ),
        (
            ["--model.discriminator.normalization", "torch.nn.GroupNorm"],
            "the following arguments are required: num_channels",
        ),
        (["--model.optimizer_g.lr", "nan"], "optimizer_g.lr must be a finite number, got nan."),
        (
            ["--progress.every_n_seconds", "inf"],
            "every_n_seconds must be a finite number, got inf",
        ),
        (["--config", "gan_rng"], "no configuration gan_rng: did you mean gan_ring?"),
        (["--config", "unknown.yaml"], "there is no section modle: did you mean model?"),
        (["--config", "broken.yaml"], "config: broken.yaml is not valid YAML: while parsing"),
        (
            ["--config", "twice.yaml"],
            "config: twice.yaml is not valid YAML: trainer is there twice",
        ),
        (
            ["--ckpt_path", "nothing.ckpt"],
            "ckpt_path: There is no checkpoint and no run folder at nothing.ckpt.",
        ),
        (["--ckpt_path", "test.ckpt"], "no checkpoint and no run folder at test.ckpt."),
        (["--ckpt_path", "last"], "ckpt_path: There is no run run in runs; there are none."),
        (["--ckpt_path", "broken.yaml"], "broken.yaml holds more than plain data and tensors"),
        (["--model", "WGANPG"], "there is no class WGANPG: did you mean WGANGP?"),
        (["--model", "torch.nn.Nothing"], "has no attribute 'Nothing'"),
        (["--model.generator", "MLPGenertor"], "MLPGenertor: did you mean MLPGenerator?"),
        (["--model", "Adam"], "model: there is no class Adam; there are AAE, ACGAN, BEGAN,"),
        (
            ["--model.optimizer_g.lrr", "1"],
            "GANAdam has no setting lrr: did you mean lr?",
        ),
        (
            ["--model", "WGAN", "--model.clip_value", "0"],
            "clip_value must be finite and above 0, got 0.0.",
        ),
        (
            ["--model.penalty.weight", "-1"],
            "GradientPenalty: weight must be finite and at least 0, got -1.0.",
        ),
        (
            ["--model.augment", "DiffAugment", "--model.augment.p", "2"],
            "DiffAugment: p must be from 0 to 1, got 2.0. Use 1 to change every image.",
        ),
        (["--data.sd", "-1"], "sd must be above 0, got -1.0."),
        (["--data", "ArrayData", "--data.path", "nan.npy"], "path: 1 rows of nan.npy hold NaN"),
        (["--model.generator", "torch.nn.Flatten"], "generator: "),
        (["--model.discriminator", "torch.nn.Flatten"], "discriminator: "),
        (["--model.prior", "NormalPrior"], "the following arguments are required: dim"),
        (["--checkpoint.monitor", "val/fid"], "monitor: val/fid is not among the scores"),
        (["--trainer.accelerator", "abacus"], "accelerator='abacus'"),
        (["--model.n_critic", "1" + 20 * "0"], "n_critic must be at most 10,000, got 1000"),
        (["--data.sd", "1e30"], "sd must be above 0 and at most 1e+06, got 1e+30."),
        (["--data.radius", "1e30"], "radius must be above 0 and at most 1e+06, got 1e+30."),
        (["--trainer.strategy", "ddp_spawn"], "trainer.strategy: ddp_spawn copies this"),
        (
            ["--trainer.strategy", "ddp_notebook"],
            "process, whose threads and open files cannot be",
        ),
        (["--model.optimizer_d", "torch.optim.LBFGS"], "discriminator: LBFGS computes a loss sev"),
        (["--model.optimizer_g", "torch.optim.SparseAdam"], "generator: SparseAdam needs sparse"),
        (["--model.optimizer_d", "null"], "optimizer_d must make an optimizer from parameters"),
        (
            ["--trainer.val_check_interval", "nan"],
            "val_check_interval must be a number of updates",
        ),
        (["--trainer.limit_train_batches", "0"], "limit_train_batches must be above 0, got 0."),
        (["--name", "\udcff"], r"'\udcff' is not valid UTF-8. Use another name."),
        (["--ckpt_path", "a\udcff"], r"'a\udcff' is not valid UTF-8"),
        (["--name", "a\0b"], r"'a\x00b' holds a NUL character."),
        (["--name", LONG], "name: it may be at most 200 bytes long, got 5,000."),
        (["--ckpt_path", LONG], "ckpt_path: [Errno 36] File name too long"),
        (["--config", LONG], "config: it cannot be read: File name too long: xxx"),
        (
            ["--trainer.default_root_dir", LONG],
            "trainer.default_root_dir: the run's folder cannot",
        ),
        (["--checkpoint.dirpath", LONG], "dirpath: checkpoints cannot be written to"),
        (
            ["--checkpoint.dirpath", "/proc/nothing"],
            "dirpath: checkpoints cannot be written to /proc",
        ),
        (["--checkpoint.dirpath", "nan.npy/x"], "dirpath: checkpoints cannot be written to"),
        (["--data", "ArrayData", "--data.path", ""], "path must name a .npy file, got ''."),
        (["--data", "ArrayData", "--data.path", LONG], "path: x"),
        (
            ["--data", "ArrayData", "--data.path", "huge.npy"],
            "path: a value of huge.npy is as larg",
        ),
        (["--data", "ImageFolder", "--data.path", ""], "path must name a folder, got ''."),
        (["--data", "ImageFolder", "--data.path", LONG], "path: x"),
        (
            [
                *("--model.scheduler", "torch.optim.lr_scheduler.OneCycleLR"),
                *("--model.scheduler.max_lr", "0.1", "--model.scheduler.total_steps", "1"),
            ],
            "scheduler: OneCycleLR ends after 1 updates (total_steps), but training after",
        ),
        (["--trainer.precision", "bf16-true"], "precision: bf16-true is not supported"),
        (["--trainer.precision", "16-true"], "precision: 16-true is not supported"),
    ],
)
def test_bad_input_is_explained_in_one_line(arguments, message, capsys):
    Path("unknown.yaml").write_text("modle: GAN\n")
    Path("broken.yaml").write_text("model: [\n")
    Path("twice.yaml").write_text("trainer: {max_steps: 7}\ntrainer: {devices: 1}\n")
    Path("empty.yaml").touch()
    Path("folder").mkdir()
    np.save("nan.npy", np.array([[0.0, np.nan]] + [[0.0, 0.0]] * 30))
    np.save("huge.npy", np.full((40, 2), 1e30))
    before = sorted(os.listdir())
    run = [flag for flag in RUN if not (flag.startswith("--data.") and "--data" in arguments)]
    if "--data" in arguments:
        run = ["fit", "--name", "run", "--model", "WGANGP"]
    assert message in refused(capsys, *run, *arguments)
    assert sorted(os.listdir()) == before


def test_a_file_cannot_put_a_run_elsewhere_either(capsys):
    Path("placed.yaml").write_text("name: a/b\nmodel: WGANGP\ndata: GaussianRing\n")
    message = refused(capsys, "fit", "--config", "placed.yaml", *QUICK)
    assert message == "name: it must be the name of a folder, got 'a/b'."
    assert not os.path.exists("runs")


def test_an_unknown_command_and_what_one_lacks_are_explained(capsys):
    assert refused(capsys, "study").startswith("there is no command study; there are fit,")
    assert refused(capsys, "--foo").startswith(
        "a command comes first, not --foo: fit, fork, validate,"
    )
    assert refused(capsys, "validat") == "there is no command validat: did you mean validate?"
    assert "predict needs a checkpoint" in refused(
        capsys, "predict", "--model", "GAN", "--data", "GaussianRing"
    )
    assert "last of which run?" in refused(capsys, "fit", "--ckpt_path", "last")


def test_a_bad_command_line_leaves_no_traceback_and_its_exit_code():
    done = subprocess.run(
        [CONSOLE_SCRIPT, *RUN, "--model.n_critic", "0"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "lightning-gans: error: n_critic must be at least 1, got 0.\n"


def test_the_traceback_is_there_for_those_who_want_it(monkeypatch):
    monkeypatch.setenv("LIGHTNING_GANS_DEBUG", "1")
    with pytest.raises(Exception, match="n_critic must be at least 1, got 0"):
        main([*RUN, "--model.n_critic", "0"])


def test_an_error_in_the_middle_of_training_keeps_its_traceback(monkeypatch):
    """It is no bad input, and whoever wrote the code wants to know where it is."""

    def loss(self, samples):
        if self.trainer.global_step == 1:
            raise ValueError("a mistake in a variant")
        return GANCLI and usual(self, samples)

    from lightning_gans import WGANGP

    usual = WGANGP.generator_loss
    monkeypatch.setattr(WGANGP, "generator_loss", loss)
    with pytest.raises(ValueError, match="a mistake in a variant"):
        main(RUN)


@pytest.mark.parametrize("command", ["fit", "fork"])
def test_full_help_names_every_argument(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help=full"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for argument in ("--model", "--data", "--name", "--checkpoint.monitor", "--ckpt_path"):
        assert argument in printed
    assert "The data (lightning-gans list shows the classes):" in printed


@pytest.mark.parametrize(
    ("command", "description"),
    [
        ("fit", "Trains a model."),
        ("validate", "Scores a model on the validation data."),
        ("test", "Scores a model on the test data."),
        ("predict", "Generates as many samples as the validation data has,"),
    ],
)
def test_only_the_parser_of_the_command_is_built(command, description, monkeypatch, capsys):
    built = []
    add_arguments = GANCLI.add_arguments_to_parser
    monkeypatch.setattr(
        GANCLI,
        "add_arguments_to_parser",
        lambda cli, parser: built.append(parser) or add_arguments(cli, parser),
    )
    with pytest.raises(SystemExit):
        main([command, "--help=full"])
    assert description in capsys.readouterr().out
    assert len(built) == 1


@pytest.mark.parametrize("command", ["fit", "fork"])
def test_full_help_of_a_class_needs_no_checkpoint(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--model.help", "GAN", "--help=full"])
    assert stopped.value.code == 0
    assert "--model.n_critic" in capsys.readouterr().out


def test_help_to_prepare_data_names_the_classes(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["prepare", "--help=full"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "The data (lightning-gans list shows the classes):" in printed
    assert "datamodules.MNIST" in printed


def test_the_configuration_is_dumped_once(monkeypatch):
    """For the run folder, the checkpoints and the arguments that a model is built from again."""
    dumped = []
    dump = LightningArgumentParser.dump

    def counting(parser, *arguments, **options):
        if "--config" in parser._option_string_actions:  # not one of a class
            dumped.append(parser)
        return dump(parser, *arguments, **options)

    monkeypatch.setattr(LightningArgumentParser, "dump", counting)
    main(RUN)
    assert len(dumped) == 1
    saved = state()
    assert saved["config"] == config()
    chosen = {key: config()["model"]["init_args"][key] for key in ("generator", "n_critic")}
    assert chosen.items() <= saved["hyper_parameters"].items()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--trainer.max_steps", "0"), "trainer.max_steps must be above 0, got 0"),
        (("--trainer.max_steps", "-5"), "trainer.max_steps must be above 0, got -5"),
        (("--trainer.val_check_interval", "0"), "trainer.val_check_interval must be above 0"),
        (("--trainer.log_every_n_steps", "0"), "trainer.log_every_n_steps must be above 0"),
        (("--trainer.limit_train_batches", "0"), "trainer.limit_train_batches must be above 0"),
        (("--seed_everything", "-1"), "seed_everything: "),
        (("--trainer.gradient_clip_val", "1"), "trainer.gradient_clip_val: the trainer cannot"),
        (("--trainer.default_root_dir", "file/runs"), "trainer.default_root_dir: the run's fold"),
        (("--name", "../run"), "name: it must be the name of a folder, got '../run'"),
    ],
)
def test_settings_that_cannot_be_are_refused(flags, message, capsys):
    Path("file").write_text("")
    assert refused(capsys, *RUN, *flags).startswith(message)
    assert not Path("runs").exists() or not any(Path("runs").iterdir())


def test_a_refused_run_leaves_nothing_of_wandb_either(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*RUN, "--trainer.logger", "WandB", "--checkpoint.monitor", "val/foo"])
    assert stopped.value.code == 2
    assert "error: monitor: val/foo is not among the scores" in capsys.readouterr().err
    wandb.teardown()
    assert not Path("runs").exists()


def test_what_is_missing_is_named_as_it_is_given(capsys):
    assert refused(capsys, "prepare") == ("data is missing. Use --data, such as --data MNIST.")
    for command in ("validate", "test", "predict"):
        assert refused(capsys, command) == (
            "ckpt_path is missing. Use --ckpt_path with a checkpoint or a run folder."
        )


def test_the_folder_of_a_run_stands_for_a_checkpoint_in_it(capsys):
    main(RUN)
    main(["validate", "--ckpt_path", "runs/run"])
    assert "scores of runs/run/version_0/checkpoints/best.ckpt" in capsys.readouterr().out
    main(["fit", "--ckpt_path", "runs/run/version_0", "--trainer.max_steps", "4"])
    assert "resuming from runs/run/version_0/checkpoints/last.ckpt" in capsys.readouterr().out
    assert state()["global_step"] == 4


def test_scores_of_an_untrained_model_are_called_that(capsys):
    main(["validate", *RUN[1 : RUN.index("--trainer.max_steps")]])
    assert "scores of an untrained model: there is no --ckpt_path" in capsys.readouterr().out


def test_a_loss_that_has_no_names_is_refused_in_one_line(capsys):
    Path("mistaken.py").write_text(
        "from lightning_gans import WGANGP\n"
        "class Mistaken(WGANGP):\n"
        "    def generator_loss(self, samples):\n"
        "        return -self.discriminate(samples.fake).mean()\n"
    )
    run = ["mistaken.Mistaken" if part == "WGANGP" else part for part in RUN]
    with pytest.raises(SystemExit) as stopped:
        main(run)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Mistaken.generator_loss must return a dict of named terms, such as" in line
    assert not Path("runs").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [CONSOLE_SCRIPT, "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == (
        "lightning-gans: error: the output cannot be written: No space left on device.\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_training_outlives_its_output():
    """A full disk is told, and a reader that has seen enough, as of ``fit | head``, is not."""
    steps = ["--trainer.max_steps", "20", "--progress.every_n_seconds", "0.01"]
    for name, told in (
        ("full", "the output cannot be written: No space left on device\n"),
        ("read", ""),
    ):
        with subprocess.Popen(
            [CONSOLE_SCRIPT, *RUN, *steps, "--name", name],
            stdout=os.open("/dev/full", os.O_WRONLY) if name == "full" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as run:
            if run.stdout is not None:
                run.stdout.readline()
                run.stdout.close()
            assert run.stderr.read() == told
        assert run.returncode == 0
        record = json.loads(Path(f"runs/{name}/version_0/run.json").read_text())
        assert (record["status"], record["updates"]) == ("finished", 20)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_scores_that_were_only_printed_and_are_lost_are_an_error():
    main([*RUN, "--checkpoint.dirpath", "elsewhere"])
    command = [CONSOLE_SCRIPT, "validate", "--ckpt_path", "elsewhere/last.ckpt"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "the output cannot be written: No space left on device\n"
        "lightning-gans: error: the scores were only printed, and are lost. Use lightning-gans "
        "evaluate --out FILE to write them.\n"
    )


SAYING = """
import errno, sys
class Failing:
    encoding = "utf-8"
    def __init__(self, number):
        self.number, self.text = number, ""
    def isatty(self):
        return False
    def write(self, text):
        if "two" in text or (self.number == errno.ENOSPC and "three" in text):
            raise OSError(self.number, "that")
        self.text += text
    def flush(self):
        pass
failing = sys.stdout = Failing(getattr(errno, sys.argv[1]))
from lightning_gans.cli.screen import say
for text in ("one", "two", "three", "four"):
    say(text)
sys.stdout = sys.__stdout__
print(failing.text.split())
"""


@pytest.mark.parametrize(
    ("number", "kept", "told"),
    [
        ("ENOSPC", ["one"], "the output cannot be written: that\n"),
        ("EPIPE", ["one"], ""),
        ("EAGAIN", ["one", "three", "four"], ""),  # a reader that is slow reads the next lines
    ],
)
def test_a_stream_that_is_no_file_may_fail_too(number, kept, told):
    command = [sys.executable, "-c", SAYING, number]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{kept}\n", told)


def test_a_console_that_prints_to_errors_keeps_to_them():
    program = (
        "import rich, sys\n"
        "rich.reconfigure(file=sys.stderr)\n"
        "from lightning_gans.cli.screen import say\n"
        "say('one')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "one\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_lines_for_a_closed_stream_are_left_out(closed):
    program = (
        "from lightning_gans.cli.screen import say\n"
        "from lightning_gans.terminal import console\n"
        "for stderr, text in ((False, 'one'), (True, 'two'), (False, 'three')):\n"
        "    console().stderr = stderr\n"
        "    say(text)\n"
    )
    command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(program)} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == (
        ("", "two\n") if closed == ">&-" else ("one\nthree\n", "")
    )


def test_a_reader_that_has_seen_enough_is_no_error():
    listing = subprocess.Popen(
        [CONSOLE_SCRIPT, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    listing.stdout.close()
    assert listing.stderr.read() == b""
    assert listing.wait() == 0


def test_layers_that_learn_their_size_from_the_first_batch_train(capsys):
    Path("lazy.py").write_text(
        "from torch import nn\n"
        "class Judge(nn.Sequential):\n"
        "    def __init__(self, data_shape):\n"
        "        super().__init__(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(1))\n"
    )
    main([*RUN, "--model.discriminator", "lazy.Judge"])
    assert "(generator) parameters, 1 x cpu" in capsys.readouterr().out


def test_folders_for_data_that_did_not_come_are_removed():
    Path("a").mkdir()
    with pytest.raises(OSError, match="no network"), preparing._made(Path("a/b/c")):
        raise OSError("no network")
    assert not Path("a/b").exists()
    assert Path("a").exists()


def test_a_list_that_a_class_gives_its_base_cannot_be_added_to(capsys):
    Path("given.py").write_text(
        "from lightning_gans import GAN\n"
        "class Given(GAN):\n"
        "    def __init__(self, **kwargs):\n"
        "        super().__init__(regularizers=[], **kwargs)\n"
    )
    flags = ["--model", "given.Given", "--model.regularizers+=R2", "--data", "GaussianRing"]
    assert refused(capsys, "fit", *flags) == (
        "model: given.Given has no setting regularizers, which it gives its base itself."
    )
