"""Where the scores of a checkpoint are kept, and what they leave alone."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_files import records_of

from lightning_gans.cli.locks import RunLock
from lightning_gans.cli.main import main
from lightning_gans.cli.scores import keep
from lightning_gans.errors import RunError
from lightning_gans.files import as_json
from lightning_gans.finding import folder_of

RUN = Path("runs/ring/version_0")
BEST, LAST = (f"{RUN}/checkpoints/{name}.ckpt" for name in ("best", "last"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run, whose best checkpoint is the one after 2 of its 4 updates."""
    root = tmp_path_factory.mktemp("scores")
    run = ["fit", "--name", "ring", "--model", "GAN", "--data", "GaussianRing"]
    run += ["--data.batch_size", "4", "--data.num_eval_samples", "20", "--trainer.max_steps", "4"]
    run += ["--trainer.val_check_interval", "2", "--pictures.enabled", "false"]
    run += ["--trainer.default_root_dir", str(root), "--checkpoint.mode", "max"]
    main(run)
    return root / "ring" / "version_0"


@pytest.fixture(autouse=True)
def _run(trained):
    """Every test has a copy of the run, at the same place in a working directory of its own."""
    shutil.copytree(trained, RUN)


def rows():
    with (RUN / "validation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def content(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def record(**scores):
    return {
        **dict.fromkeys(("time", "updates", "data", "samples"), 1),
        "split": "validation",
        "checkpoint": "a/b.ckpt",
        "scores": scores,
    }


def refused(capsys, *arguments, code=2):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments])
    assert stopped.value.code == code
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    return line.removeprefix("lightning-gans: error: "), printed.out


def test_scores_go_to_the_run_and_each_scoring_has_a_row(capsys):
    before = content(RUN)
    trained = json.loads((RUN / "run.json").read_text())
    main(["validate", "--ckpt_path", LAST])
    printed = capsys.readouterr().out
    assert f"these scores: {RUN}/scores.json\n" in printed
    assert f"a row for each scoring of the run: {RUN}/validation.csv\n" in printed
    found = json.loads((RUN / "scores.json").read_text())
    assert found["scores"] == trained["scores"]
    assert found["floors"] == trained["floors"]
    assert (found["checkpoint"], found["updates"], found["samples"]) == (LAST, 4, 20)
    main(["test", "--ckpt_path", str(RUN)])
    printed = capsys.readouterr().out
    assert f"these scores (in place of the earlier ones): {RUN}/scores.json\n" in printed
    found = json.loads((RUN / "scores.json").read_text())
    assert (found["checkpoint"], found["updates"], found["split"]) == (BEST, 2, "test")
    main(["validate", "--ckpt_path", LAST])
    first, second, third = rows()
    about = ("checkpoint", "updates", "split", "data", "samples")
    assert [first[name] for name in about] == [
        *("last.ckpt", "4", "validation", "GaussianRing", "20")
    ]
    assert [second[name] for name in about] == ["best.ckpt", "2", "test", "GaussianRing", "20"]
    assert {k: v for k, v in third.items() if k != "time"} == {
        k: v for k, v in first.items() if k != "time"
    }
    for name, value in trained["scores"].items():
        assert float(first[f"val/{name}"]) == value
        assert float(second[f"test/{name}"]) == found["scores"][name]
        assert first[f"test/{name}"] == second[f"val/{name}"] == ""
    after = content(RUN)
    assert {path: after[path] for path in before} == before  # metrics.csv among them
    assert after.keys() - before.keys() == {RUN / "scores.json", RUN / "validation.csv"}


def test_numbers_that_are_not_finite_are_null_in_json():
    record = {"scores": {"psnr": math.inf, "l1": 0.5}, "rows": (math.nan, 1, "inf"), "n": None}
    text = as_json(record).decode()
    assert "Infinity" not in text
    assert json.loads(text, parse_constant=pytest.fail) == {
        "scores": {"psnr": None, "l1": 0.5},
        "rows": [None, 1, "inf"],
        "n": None,
    }


def test_older_rows_keep_their_columns():
    (RUN / "validation.csv").write_text('checkpoint,note,val/old\n"a,b.ckpt",mine,0.5\n\nc,d')
    main(["validate", "--ckpt_path", LAST])
    first, second, third = rows()
    assert [*first][:3] == ["checkpoint", "note", "val/old"]
    assert [first[name] for name in ("checkpoint", "note", "val/old")] == [
        "a,b.ckpt",
        "mine",
        "0.5",
    ]
    assert [second[name] for name in ("checkpoint", "note", "val/old")] == ["c", "d", ""]
    assert {first["val/w1"], first["time"], second["val/w1"], third["note"]} == {""}
    assert third["checkpoint"] == "last.ckpt"
    assert float(third["val/w1"]) > 0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("validation.csv", "a,b\n1,2,3\n", "it has values without a column of their own."),
        ("validation.csv", "a,a\n1,2\n", "it has values without a column of their own."),
        ("validation.csv", b"a,b\n\xff,2\n", "validation.csv is damaged: 'utf-8' codec can't"),
        ("validation.csv", Path("other"), "validation.csv is a link, where nothing is written."),
        ("scores.json", Path("nowhere"), "scores.json is a link, where nothing is written."),
        ("scores.json", None, "cannot take the scores: scores.json is a folder. Use lightning-"),
        ("validation.csv", None, "cannot take the scores: validation.csv is a folder. Use"),
        ("tensorboard", Path("other"), "tensorboard is a link, where nothing is written."),
        ("wandb", Path("other"), "wandb is a link, where nothing is written."),
    ],
)
def test_a_folder_that_cannot_take_them_is_refused_before_anything_is_scored(
    name, text, message, capsys
):
    Path("other").mkdir()
    if text is None:
        (RUN / name).mkdir()
    elif isinstance(text, Path):
        (RUN / name).symlink_to(text.absolute())
    else:
        (RUN / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = content(".")
    loggers = {"tensorboard": "TensorBoard", "wandb": "WandB"}
    flags = ["--trainer.logger", loggers[name]] if name in loggers else []
    line, printed = refused(capsys, "validate", "--ckpt_path", LAST, *flags)
    assert message in line
    assert "scores of" not in printed
    assert content(".") == before


def test_a_file_that_is_asked_for_leaves_the_run_alone():
    (RUN / "scores.json").mkdir()
    before = content(".")
    main(["evaluate", "--ckpt_path", LAST, "--out", "elsewhere.json"])
    assert content(".").keys() - before.keys() == {Path("elsewhere.json")}
    assert json.loads(Path("elsewhere.json").read_text())["updates"] == 4


def test_what_could_be_written_is_there_if_the_rest_could_not():
    (RUN / "validation.csv").mkdir()
    with pytest.raises(RunError, match=r"the scores above could not be kept in .*validation\.csv"):
        keep(record(w1=0.25), RUN)
    assert json.loads((RUN / "scores.json").read_text())["scores"] == {"w1": 0.25}


def test_an_interruption_leaves_the_files_as_they_were(monkeypatch):
    keep(record(w1=0.25), RUN)
    before = content(RUN)

    def interrupt(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        keep(record(w1=0.5), RUN)
    assert content(RUN) == before


def test_scorings_at_the_same_moment_all_have_their_row():
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keep(record(**{f"score_{n}": n}), RUN), range(40)))
    assert sorted(float(row[f"val/score_{n}"] or -1) for row in rows() for n in range(40)) == [
        *[-1] * 40 * 39,
        *range(40),
    ]


def test_a_run_that_is_being_trained_can_be_scored():
    lock = RunLock(RUN)
    lock.acquire()
    try:
        main(["validate", "--ckpt_path", LAST])
        lock.check()
    finally:
        lock.release()
    assert len(rows()) == 1


def test_a_checkpoint_outside_of_any_run_is_only_printed_unless_a_file_is_asked_for(capsys):
    shutil.copy(LAST, "kept.ckpt")
    before = content(".")
    main(["validate", "--ckpt_path", "kept.ckpt"])
    printed = capsys.readouterr().out
    assert "w1" in printed
    assert (
        "in no run folder, so the scores are only printed. Use lightning-gans evaluate" in printed
    )
    assert content(".") == before
    main(["evaluate", "--ckpt_path", "kept.ckpt"])
    assert content(".").keys() - before.keys() == {Path("scores.json")}
    assert json.loads(Path("scores.json").read_text())["updates"] == 4


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "GAN", "--data", "GaussianRing", "--data.num_eval_samples", "20"],
        ["--ckpt_path", LAST, "--trainer.fast_dev_run", "1"],
    ],
)
def test_an_untrained_model_and_a_trial_leave_nothing(flags):
    before = content(".")
    main(["validate", *flags])
    assert content(".") == before


def test_the_folder_is_found_from_anywhere(monkeypatch):
    assert folder_of(Path(LAST)) == RUN
    assert folder_of(Path("kept.ckpt")) is None
    Path("link").symlink_to(RUN.absolute())
    assert folder_of(Path("link/checkpoints/last.ckpt")) == Path("link")
    for place, path in ((RUN, "checkpoints/last.ckpt"), ("checkpoints", "last.ckpt")):
        monkeypatch.chdir(place)
        found = folder_of(Path(path))
        assert (found / "config.yaml").samefile(Path(found, "run.json").parent / "config.yaml")
    Path("../config.yaml").unlink()
    assert folder_of(Path("last.ckpt")) is None


def test_tensorboard_has_them_at_the_updates_of_the_checkpoint():
    main(["validate", "--ckpt_path", BEST, "--trainer.logger", "TensorBoard"])
    events = EventAccumulator(str(RUN / "tensorboard" / "scores"))
    events.Reload()
    (row,) = rows()
    (event,) = events.Scalars("val/w1")
    assert event.step == 2
    assert event.value == pytest.approx(float(row["val/w1"]), rel=1e-5)


def test_wandb_has_them_as_a_run_of_their_own(capsys):
    (RUN / "wandb").mkdir()
    (RUN / "wandb" / "id").write_text("training")
    main(["test", "--ckpt_path", BEST, "--trainer.logger", "WandB"])
    assert f"to upload it to W&B: wandb sync {RUN}/wandb/offline" in capsys.readouterr().out
    wandb.finish()
    wandb.teardown()
    (path,) = (RUN / "wandb").glob("offline-run-*/*.wandb")
    records = list(records_of(path))
    (run,) = (r.run for r in records if r.WhichOneof("record_type") == "run")
    assert run.run_id != "training" == (RUN / "wandb" / "id").read_text()
    assert (run.display_name, run.job_type) == ("ring/version_0/best", "test")
    updates = [r.config for r in records if r.WhichOneof("record_type") == "config"]
    config = {item.key: json.loads(item.value_json) for u in updates for item in u.update}
    assert config["checkpoint"] == BEST
    assert config["data"]["init_args"]["num_eval_samples"] == 20
    history = [r.history for r in records if r.WhichOneof("record_type") == "history"]
    (values,) = (
        {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in h.item}
        for h in history
    )
    assert values["trainer/global_step"] == 2
    assert values["test/w1"] == float(rows()[0]["test/w1"])


@pytest.mark.slow
def test_of_several_processes_one_writes():
    script = Path(sys.executable).with_name("lightning-gans")
    two = ["--trainer.devices", "2", "--trainer.accelerator", "cpu"]
    subprocess.run([script, "validate", "--ckpt_path", LAST, *two], check=True)
    (row,) = rows()
    assert row["samples"] == "20"
