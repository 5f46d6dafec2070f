"""What is read of a run folder, whoever has made it."""

import json
import os
from pathlib import Path

import pytest
import yaml
from made_runs import made_run

from lightning_gans.comparison.reading import FolderError, read_run
from lightning_gans.holders import LOCK


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_run_is_read_as_it_is():
    folder = made_run(Path("runs/gan_ring/version_3"), 7, floors={"sliced_w": 0.1})
    run = read_run(folder)
    assert (run.folder, run.name, run.seed, run.updates) == (folder, "gan_ring", 7, 300)
    assert (run.status, run.message, run.parent) == ("finished", "", None)
    assert run.config == yaml.safe_load((folder / "config.yaml").read_text())
    assert run.rows[0] == {"step": 100.0, "train/images_seen": 25600.0, "train/seconds": 100 / 17}
    assert run.rows[-1] == {"step": 300.0, "val/sliced_w": 8.0}
    found = run.scored("validation")
    assert found.scores == {"sliced_w": 8.0}
    assert (found.updates, found.samples, found.floors) == (300, 10000, {"sliced_w": 0.1})


@pytest.mark.parametrize(
    ("told", "status", "message"),
    [
        ("finished", "finished", ""),
        ("running", "stopped", "killed, or its machine stopped"),
        ("stopped: SIGUSR1", "stopped", "SIGUSR1"),
        ("stopped: KeyboardInterrupt", "stopped", "KeyboardInterrupt"),
        ("stopped: DivergenceError: loss_g is nan.", "failed", "DivergenceError: loss_g is nan."),
        ("stopped: OSError: a\nb\x1b[2J", "failed", "OSError: a b\\x1b[2J"),
    ],
)
def test_the_status_tells_failures_from_stops(told, status, message):
    run = read_run(made_run(Path("run"), status=told))
    assert (run.status, run.message) == (status, message)


def test_a_run_whose_process_lives_is_running():
    folder = made_run(Path("run"), status="running")
    from lightning_gans.cli.locks import RunLock

    lock = RunLock(folder)
    lock.acquire()
    try:
        assert read_run(folder).status == "running"
    finally:
        lock.release()
    assert not (folder / LOCK).exists()
    assert read_run(folder).status == "stopped"


def test_a_run_of_compare_has_the_name_of_its_config_and_its_log(tmp_path):
    home = tmp_path / "runs" / "gan_ring-0123456789ab-seed_4"
    run = read_run(made_run(home / "version_0", 4, name=home.name))
    assert run.name == "gan_ring"
    lines = [f"line {number}" for number in range(50)]
    (home / "log.txt").write_text("\n".join(lines) + "\n10 %\r20 %\r\nError: \x1b[31mred\n")
    assert run.last_words() == [*lines[12:], "20 %", "Error: \\x1b[31mred"]
    other = read_run(made_run(tmp_path / "runs" / "gan_ring" / "version_0"))
    (tmp_path / "runs" / "gan_ring" / "log.txt").write_text("of somebody else")
    assert other.last_words() == []


def test_scores_of_the_test_split_are_those_of_the_last_test():
    folder = made_run(Path("run"))
    (folder / "validation.csv").write_text(
        "time,checkpoint,updates,split,data,samples,test/w1,val/w1\n"
        "t,best.ckpt,200,test,GaussianRing,5000,0.25,\n"
        "t,last.ckpt,300,test,GaussianRing,5000,0.5,\n"
        "t,last.ckpt,300,validation,GaussianRing,10000,,0.75\n"
    )
    (folder / "scores.json").write_text(json.dumps({"split": "test", "floors": {"w1": 0.125}}))
    found = read_run(folder).scored("test")
    assert (found.scores, found.updates, found.samples) == ({"w1": 0.5}, 300, 5000)
    assert found.floors == {"w1": 0.125}
    assert read_run(folder).scored("validation").scores == {"sliced_w": 1.0}
    assert read_run(made_run(Path("other"))).scored("test") is None


def test_rows_may_lack_and_scores_may_not_be_finite():
    run = read_run(made_run(Path("failed"), scores={}, steps=(), status="stopped: OSError: full"))
    assert (run.rows, run.scored("validation"), run.updates) == ([], None, 0)
    run = read_run(made_run(Path("nan"), scores={"w1": [1.0, 2.0, float("nan")]}))
    assert str(run.scored("validation").scores["w1"]) == "nan"


def test_the_digest_changes_with_every_file_that_counts():
    folder = made_run(Path("run"))
    digests = {read_run(folder).digest}
    with (folder / "metrics.csv").open("a") as file:
        file.write("400,1,2,3\n")
    digests.add(read_run(folder).digest)
    rewrite(folder / "run.json", updates=400)
    digests.add(read_run(folder).digest)
    (folder / "validation.csv").write_text("time\n")
    digests.add(read_run(folder).digest)
    (folder / "scores.json").write_text("{}")
    digests.add(read_run(folder).digest)
    assert len(digests) == 5
    assert read_run(folder).digest in digests


def test_the_last_picture_is_the_one_of_the_most_updates():
    folder = made_run(Path("run"))
    (folder / "samples").mkdir()
    for name in ("0000100.png", "0010000.png", "0002000.png", "zzz.png"):
        (folder / "samples" / name).write_bytes(b"")
    assert read_run(folder).last_picture() == folder / "samples" / "0010000.png"


def damaged(name):
    folder = made_run(Path("run"))
    if name == "no folder":
        return Path("nowhere")
    if name in ("config.yaml", "run.json"):
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("name", ["no folder", "config.yaml", "run.json"])
def test_what_is_no_run_is_refused(name):
    with pytest.raises(FolderError, match=r"is not the folder of a run: it has no .* Use folders"):
        read_run(damaged(name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", '{"seed": "1"}'),
        ("run.json", '{"seed": 1, "updates": "many"}'),
        ("run.json", '{"seed": 1, "floors": []}'),
        ("run.json", '{"seed": 1, "parent": "a run"}'),
        ("run.json", "[" * 100_000),
        ("run.json", "\x80"),
        ("config.yaml", "a: [1"),
        ("config.yaml", "- 1"),
        ("config.yaml", "1: 2"),
        ("config.yaml", "when: 2001-01-01"),
        ("config.yaml", "trainer: [1]"),
        ("config.yaml", "!!python/object/apply:os.system [id]"),
        ("config.yaml", "a: " + "[" * 100 + "]" * 100),
        ("config.yaml", "a: '" + "x" * 10_000_000 + "'"),
    ],
)
def test_damaged_and_hostile_files_are_named(name, content):
    folder = made_run(Path("run"))
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(FolderError, match=rf"^run/{name} is damaged: .+") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["step\nx\n", "step,a\n1,2,3\n", "\xff\xfe", "time\n1\n"])
def test_damaged_rows_are_named(content):
    folder = made_run(Path("run"))
    (folder / "metrics.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(FolderError, match=r"^run/metrics.csv is damaged: "):
        _ = read_run(folder).rows


def read_everything(folder):
    run = read_run(folder)
    return run.rows, run.last_picture()


@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "samples/1.png"])
def test_links_to_files_of_the_reader_are_not_followed(name, tmp_path):
    folder = made_run(Path("run"))
    secret = tmp_path / "secret"
    secret.write_text("step\n1\n")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.symlink(secret, path)
    with pytest.raises(FolderError, match=r"is a link that leads out of the run. Remove it."):
        read_everything(folder)
