"""TensorBoard and W&B for real: what is logged is read back from their own files."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_files import records_of

from lightning_gans.cli.main import main
from lightning_gans.loggers import WandB, go_offline_without_key

RUN = [
    *("fit", "--name", "run", "--model", "WGANGP", "--data", "GaussianRing"),
    *("--data.batch_size", "8", "--data.num_eval_samples", "32", "--trainer.max_steps", "6"),
    *("--trainer.log_every_n_steps", "2", "--trainer.val_check_interval", "3"),
    *("--pictures.every_n_updates", "3"),
]
WEIGHTS = ["--trainer.callbacks+=WeightHistograms", "--trainer.callbacks.every_n_updates", "3"]
NO_PICTURES = ["--pictures.enabled", "false"]
ROOT = Path(__file__).parents[1]
FOLDER = Path("runs/run/version_0")
PICTURES = {
    "media/samples": {0: "samples/0000000", 3: "samples/0000003", 6: "samples/0000006"},
    "media/level_sets": {n: f"figures/level_sets_{n:07d}" for n in (0, 3, 6)},
    "media/curves": {6: "figures/curves"},
    "media/optimum": {6: "figures/optimum"},
    **{
        f"media/weights_{network}": {6: f"figures/weights_{network}"}
        for network in ("discriminator", "generator")
    },
}


def csv_values():
    """Returns {key: {step: value}} of metrics.csv."""
    values = {}
    with (FOLDER / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("step"))
            for key, value in row.items():
                if value:
                    values.setdefault(key, {})[step] = float(value)
    return values


def test_tensorboard_holds_the_same_rows_and_pictures():
    main([*RUN, *WEIGHTS, "--trainer.logger", "TensorBoard"])
    events = EventAccumulator(
        str(FOLDER / "tensorboard"), size_guidance={"images": 0, "histograms": 0}
    )
    events.Reload()
    tags = events.Tags()
    expected = csv_values()
    assert {"train/loss_d", "train/gradient_penalty", "val/w1"} <= expected.keys()
    for key, values in expected.items():
        found = {event.step: event.value for event in events.Scalars(key)}
        assert found == pytest.approx(values, rel=1e-5)
    kept = torch.load(FOLDER / "checkpoints" / "last.ckpt")["state_dict"]
    layers = {name for name, value in kept.items() if value.ndim > 1}
    assert set(tags["histograms"]) == {f"weights/{name}" for name in layers}
    for name in layers:
        found = {
            event.step: event.histogram_value for event in events.Histograms(f"weights/{name}")
        }
        assert list(found) == [3, 6]
        assert found[6].num == kept[name].numel()
        assert found[6].max == pytest.approx(kept[name].max().item())
    assert set(tags["images"]) == set(PICTURES)
    for key, files in PICTURES.items():
        found = {event.step: event.encoded_image_string for event in events.Images(key)}
        assert found.keys() == files.keys()
        for step, name in files.items():
            Path("shown.png").write_bytes(found[step])
            with Image.open("shown.png") as shown, Image.open(FOLDER / f"{name}.png") as drawn:
                assert (np.asarray(shown) == np.asarray(drawn)).all()


def test_wandb_goes_offline_without_a_key_and_holds_everything(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    main([*RUN, *WEIGHTS, "--trainer.logger", "WandB", "--trainer.logger.project", "rings"])
    wandb.finish()
    wandb.teardown()  # until its own process has written everything
    (run,) = (FOLDER / "wandb").glob("offline-run-*")
    (path,) = run.glob("*.wandb")
    found, config, project = {}, {}, None
    for record in records_of(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            project = record.run.project
        if kind in ("config", "run"):
            updates = record.config if kind == "config" else record.run.config
            config.update((item.key, json.loads(item.value_json)) for item in updates.update)
        if kind == "history":
            row = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
            }
            step = row.get("trainer/global_step")
            for key, value in row.items():
                found.setdefault(key, {})[step] = value
    assert project == "rings"
    full = yaml.safe_load((FOLDER / "config.yaml").read_text())
    assert {key: config[key] for key in full} == full
    for key, values in csv_values().items():
        assert found[key] == pytest.approx(values, rel=1e-5)
    for name, value in torch.load(FOLDER / "checkpoints" / "last.ckpt")["state_dict"].items():
        if value.ndim > 1:
            histogram = found[f"weights/{name}/values"]
            assert list(histogram) == [3, 6]
            assert sum(histogram[6]) == value.numel()
    pictures = sorted((run / "files" / "media" / "images" / "media").glob("*.png"))
    drawn = [FOLDER / f"{name}.png" for files in PICTURES.values() for name in files.values()]
    assert len(pictures) == len(drawn)
    shown = {np.asarray(Image.open(picture)).tobytes() for picture in pictures}
    assert shown == {np.asarray(Image.open(picture)).tobytes() for picture in drawn}


def test_alarms_are_alerts_of_the_wandb_run():
    alarms = ["--trainer.callbacks+=Alarms", "--trainer.callbacks.diversity", "1e6"]
    main([*RUN, *alarms, *NO_PICTURES, "--trainer.logger", "WandB"])
    wandb.finish()
    wandb.teardown()
    (path,) = (FOLDER / "wandb").glob("offline-run-*/*.wandb")
    alerts = [r.alert for r in records_of(path) if r.WhichOneof("record_type") == "alert"]
    (text,) = [alert.text for alert in alerts if alert.title == "diversity out of bounds"]
    assert text.endswith("below 1e+06.")


def test_a_wandb_run_is_named_grouped_summed_up_and_continued(capsys):
    about = ["--trainer.logger.group", "rings", "--trainer.logger.tags", "[a,b]"]
    about += ["--trainer.logger.job_type", "train", "--trainer.logger.offline", "true"]
    main([*RUN, *NO_PICTURES, "--trainer.logger", "WandB", *about])
    wandb.finish()
    main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "9"])
    wandb.finish()
    wandb.teardown()
    printed = capsys.readouterr().out
    assert printed.count("to upload it to W&B: wandb sync ") == 2
    assert printed.count(f"{FOLDER}/wandb/offline-run-*\n") == 2
    paths = sorted(FOLDER.glob("wandb/offline-run-*/*.wandb"), key=os.path.getmtime)
    assert len(paths) == 2
    identity = (FOLDER / "wandb" / "id").read_text()
    steps = []
    for path in paths:
        records = list(records_of(path))
        (run,) = (r.run for r in records if r.WhichOneof("record_type") == "run")
        assert (run.run_id, run.display_name) == (identity, "run/version_0")
        assert (run.run_group, list(run.tags), run.job_type) == ("rings", ["a", "b"], "train")
        metrics = {r.metric.name: r.metric for r in records if r.metric.name}
        assert metrics["val/w1"].summary.min
        assert metrics["val/high_quality"].summary.max
        assert metrics["val/w1"].step_metric == "trainer/global_step"
        artifacts = [r.artifact for r in records if r.WhichOneof("record_type") == "artifact"]
        assert {a.type for a in artifacts} == {"model"}
        kept = {json.loads(a.metadata)["original_filename"]: list(a.aliases) for a in artifacts}
        assert kept["last.ckpt"] == ["latest"]
        assert path != paths[0] or "best" in kept["best.ckpt"]
        history = [r.history for r in records if r.WhichOneof("record_type") == "history"]
        steps.append(
            {
                json.loads(item.value_json)
                for row in history
                for item in row.item
                if "/".join(item.nested_key) == "trainer/global_step"
            }
        )
    assert max(steps[0]) == 6
    assert min(steps[1]) > 6
    assert max(steps[1]) == 9


def test_the_sweep_asks_for_what_the_command_line_knows(capsys):
    sweep = yaml.safe_load((ROOT / "docs" / "sweep.yaml").read_text())
    assert sweep["program"] == "lightning-gans"
    assert sweep["metric"]["name"] == "val/w1"
    for choose in (min, max):
        flags = [f"--{k}={choose(spec['values'])}" for k, spec in sweep["parameters"].items()]
        fixed = [p for p in sweep["command"] if not p.startswith("${")]
        with pytest.raises(SystemExit) as done:
            main([*fixed, *flags, "--print_config"])
        assert done.value.code == 0
        found = yaml.safe_load(capsys.readouterr().out)
        for key, spec in sweep["parameters"].items():
            value = found
            for part in key.split("."):
                value = value.get("init_args", value)[part] if part not in value else value[part]
            assert value == choose(spec["values"])
        assert found["trainer"]["logger"]["class_path"].endswith("WandB")
        assert found["checkpoint"]["monitor"] == sweep["metric"]["name"]


def test_offline_is_a_matter_of_one_logger(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    modes = [
        WandB(save_dir=str(tmp_path), offline=offline)._wandb_init.get("mode")
        for offline in (True, False)
    ]
    assert modes == ["offline", None]
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert WandB(save_dir=str(tmp_path))._wandb_init["mode"] == "offline"
    assert "WANDB_MODE" not in os.environ


LOGIN = "machine {} login user password key"


@pytest.mark.parametrize(
    ("environment", "netrc", "mode"),
    [
        ({}, None, "offline"),
        ({}, "machine example.org login a password b", "offline"),
        ({}, LOGIN.format("api.wandb.ai"), None),
        ({"WANDB_BASE_URL": "https://wb.example.com/"}, LOGIN.format("wb.example.com"), None),
        ({"WANDB_BASE_URL": "http://localhost:8080"}, LOGIN.format("localhost:8080"), None),
        ({"WANDB_BASE_URL": "https://other.com"}, LOGIN.format("api.wandb.ai"), "offline"),
        ({"WANDB_CONFIG_DIR": "wb"}, LOGIN.format("own.example.com"), None),
        ({"WANDB_CONFIG_DIR": "wb"}, LOGIN.format("api.wandb.ai"), "offline"),
        ({"WANDB_API_KEY": "key"}, None, None),
        ({"WANDB_MODE": "disabled"}, None, "disabled"),
        ({}, "not a netrc", "offline"),
    ],
)
def test_offline_is_chosen_only_where_nobody_has_logged_in(
    environment, netrc, mode, monkeypatch, tmp_path
):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "wb").mkdir()
    (tmp_path / "wb" / "settings").write_text("[default]\nbase_url = https://own.example.com\n")
    if "WANDB_CONFIG_DIR" in environment:
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wb"))
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    go_offline_without_key()
    assert os.environ.get("WANDB_MODE") == mode
    monkeypatch.delenv("WANDB_MODE", raising=False)
