"""Of several processes, one tells what went wrong, and none goes on waiting."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made import fill

pytestmark = pytest.mark.slow

SCRIPT = Path(sys.executable).with_name("lightning-gans")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
BAD = """
import os
from datamodules.files import UnreadableImageError
from lightning_gans import WGAN

if os.environ.get("BAD_IMPORT") and os.environ.get("RANK") == os.environ["BAD_IMPORT"]:
    raise ImportError("not on this machine")

class Bad(WGAN):
    def generator_loss(self, samples):
        bad = str(self.global_rank) in os.environ.get("BAD_RANKS", "")
        if bad and self.trainer.global_step == 5:
            if os.environ["BAD_KIND"] == "image":
                raise UnreadableImageError("photos/cat.png cannot be read as an image")
            raise RuntimeError("a bug")
        return super().generator_loss(samples)

    def setup(self, stage):
        super().setup(stage)
        if str(self.global_rank) in os.environ.get("BAD_SETUP", ""):
            raise ValueError("width: it must be above 0")
"""
RUN = [
    *("fit", "--name", "run", "--model", "bad.Bad", "--data", "GaussianRing"),
    *("--data.num_eval_samples", "32", "--data.batch_size", "8", "--trainer.max_steps", "40"),
    *("--trainer.devices", "2", "--trainer.accelerator", "cpu"),
    *("--pictures.enabled", "false", "--checkpoint.every_n_updates", "2"),
]


def ended(launcher, arguments, environment, monkeypatch):
    """Runs two processes to their end; returns the exit code and what they printed."""
    Path("bad.py").write_text(BAD)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    done = subprocess.run(
        [*launcher, SCRIPT, *arguments], capture_output=True, text=True, timeout=240
    )
    assert time.monotonic() - begun < 100
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if "lightning-gans: error" in line]
    return done, lines


@pytest.mark.parametrize(
    ("ranks", "launcher"),
    [("1", []), ("01", []), ("1", TORCHRUN)],
    ids=["one of Lightning's", "both of Lightning's", "one of torchrun's"],
)
def test_what_stops_a_run_is_told_once(ranks, launcher, monkeypatch, tmp_path):
    environment = {"BAD_RANKS": ranks, "BAD_KIND": "image"}
    done, lines = ended(launcher, RUN, environment, monkeypatch)
    (line,) = lines
    who = "process 1: " if ranks == "1" else ""
    assert line == f"lightning-gans: error: {who}photos/cat.png cannot be read as an image"
    if not launcher:  # torchrun's own process has a traceback
        assert "Traceback" not in done.stderr
        assert done.returncode == 1
        assert "resume with: lightning-gans fit --ckpt_path" in done.stdout
        assert not (tmp_path / "runs" / "run" / "version_0" / "lock").exists()


def test_a_bug_has_one_traceback(monkeypatch):
    environment = {"BAD_RANKS": "1", "BAD_KIND": "bug"}
    done, lines = ended([], RUN, environment, monkeypatch)
    assert lines == []
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "RuntimeError: a bug" in done.stderr


def test_what_is_refused_before_training_is_told_once_and_leaves_nothing(monkeypatch, tmp_path):
    _, (line,) = ended([], RUN, {"BAD_SETUP": "1"}, monkeypatch)
    assert line == "lightning-gans: error: process 1: width: it must be above 0"
    assert not (tmp_path / "runs" / "run").exists()


def test_what_all_processes_find_in_the_flags_is_told_once(monkeypatch):
    _, (line,) = ended(TORCHRUN, [*RUN, "--model.n_critic", "0"], {}, monkeypatch)
    assert line == "lightning-gans: error: n_critic must be at least 1, got 0."


def test_what_another_process_alone_finds_in_the_flags_is_told(monkeypatch):
    _, (line,) = ended(TORCHRUN, [*RUN, "--import", "bad"], {"BAD_IMPORT": "1"}, monkeypatch)
    assert re.fullmatch(
        r"lightning-gans: error: process 1: import: 'bad' cannot be imported: .*", line
    )


def test_a_broken_image_is_named_whichever_process_meets_it(monkeypatch, tmp_path):
    fill("photos", 100)
    for path in sorted(Path("photos").rglob("*.png"))[::9]:
        content = bytearray(path.read_bytes())
        content[60:64] = b"\0\0\0\0"  # the header and the end are whole
        path.write_bytes(content)
    arguments = [
        *("fit", "--name", "run", "--model", "WGAN", "--data", "ImageFolder"),
        *("--data.path", "photos", "--data.image_size", "8", "--data.cache", "false"),
        *("--data.batch_size", "2", "--data.num_workers", "1", "--trainer.max_steps", "40"),
        *("--trainer.devices", "2", "--trainer.accelerator", "cpu"),
        *("--trainer.val_check_interval", "1000", "--pictures.enabled", "false"),
    ]
    _, (line,) = ended([], arguments, {}, monkeypatch)
    assert re.search(r"photos/\S+\.png cannot be read as an image", line)
