"""What the tests of runs that are stopped share: a run with every kind of state, and its files."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from lightning_gans.cli.main import main
from lightning_gans.core.timing import MEASURED

NETWORK = "{class_path: %s, init_args: {hidden: [8, 8], normalization: torch.nn.BatchNorm1d}}"


CLIPPED = ("--model", "WGAN", "--model.generator", NETWORK % "MLPGenerator")


def command(n_critic, data, validate_every, save_every, *more, model=CLIPPED):
    """A run with all that has a state: BatchNorm, clipping, a schedule, an average, a best.

    It draws nothing, which would take longer than all the rest.
    """
    return [
        *("fit", "--name", "run", *model, "--model.n_critic", str(n_critic)),
        *("--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR"),
        *("--model.scheduler.T_max", "20", "--trainer.callbacks+=GeneratorEMA"),
        *("--data", *data, "--data.batch_size", "8", "--data.num_eval_samples", "32"),
        *("--trainer.max_steps", "11", "--trainer.log_every_n_steps", "2"),
        *("--trainer.val_check_interval", str(validate_every)),
        *("--checkpoint.every_n_updates", str(save_every), "--pictures.enabled", "false"),
        *more,
    ]


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in found]


def content(path):
    """Returns what a checkpoint holds but for the time that training has taken."""
    state = torch.load(path, weights_only=True)
    assert min(state["lightning_gans"].pop("seconds")) > 0
    return state


def assert_same(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert a == b, where


def start(arguments, stdout=subprocess.PIPE, **environment):
    console_script = Path(sys.executable).parent / "lightning-gans"
    return subprocess.Popen(
        [console_script, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
        # A shell lets what it runs in the background ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(arguments, processes=1):
    """Runs a command to its end: in this process, which has imported all it needs, if it can."""
    if processes == 1:
        main(arguments)
        return
    process = start(arguments)
    assert process.wait(timeout=400) == 0, process.stderr.read()


def wait_for_row(folder, step, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "metrics.csv").exists() and int(rows(folder)[-1]["step"]) >= step:
            return
        time.sleep(0.01)
    raise AssertionError(process.stderr.read())
