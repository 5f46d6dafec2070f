"""What the commands print on narrow terminals, dull ones, and in encodings of few characters."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import SMALL

from datamodules import GaussianRing, SwissRoll, UnpairedSources
from lightning_gans import GAN
from lightning_gans.cli.main import main
from lightning_gans.cli.messages import print_header

CONSOLE_SCRIPT = Path(sys.executable).parent / "lightning-gans"


@pytest.fixture
def printed_in(monkeypatch):
    """Returns what a command prints to a file of an encoding."""

    def run(encoding, *command):
        file = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", file)
        with suppress(SystemExit):
            main(list(command))
        file.flush()
        return file.buffer.getvalue().decode(encoding)

    return run


@pytest.mark.parametrize(
    ("encoding", "name"), [("ascii", r"\xfcb \u2193"), ("cp1252", r"üb \u2193")]
)
def test_what_an_encoding_lacks_is_escaped(encoding, name, printed_in):
    command = ("--model", "GAN", "--data", "GaussianRing", "--name", "üb ↓", "--print_config")
    assert yaml.safe_load(printed_in(encoding, "fit", *command))["name"] == name


def test_a_closed_output_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    main(["list"])


HELPS = [
    *(["--help"], ["fit", "--help"], ["validate", "--help"], ["prepare", "--help"]),
    *(["sample", "--help"], ["interpolate", "--help"], ["evaluate", "--help"]),
    *(["export", "--help"], ["list", "--help"], ["completion", "--help"]),
    *(["fork", "--help"], ["diff", "--help"], ["compare", "--help"]),
    *(["fit", "--model.help", "CVAEGAN"], ["fit", "--data.help", "ImageFolder"], ["list"]),
]


@pytest.mark.parametrize("columns", [40, 60])
@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_helps_and_lists_break_between_words(command, columns, capsys, monkeypatch):
    """A line is longer than the terminal only if it is one word, such as a flag."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with suppress(SystemExit):
        main(command)
    printed = capsys.readouterr().out
    assert printed.isascii()
    long = [line for line in printed.splitlines() if len(line) > columns]
    assert [line for line in long if len(line.split()) > 1] == []


def test_a_list_in_a_file_has_a_line_for_each_name(printed_in, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = printed_in("ascii", "list").splitlines()
    (ring,) = (line for line in lines if line.startswith("  cgan_ring "))
    assert ring.split(maxsplit=1)[1] == (
        "CGAN on the ring of eight Gaussians, conditional on the number of the mode"
    )


def header(capsys, processes, *, nodes=1, batch_is_given=False, checkpoint=None, data=None):
    """Returns what a run of several processes says of its batches."""
    trainer = SimpleNamespace(
        world_size=processes,
        num_nodes=nodes,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    data = data or GaussianRing(batch_size=64)
    print_header(trainer, GAN(**SMALL), data, 0, checkpoint, [], batch_is_given=batch_is_given)
    return capsys.readouterr().out.splitlines()[1:]


@pytest.mark.parametrize(
    ("processes", "nodes", "product", "advice"),
    [
        (4, 1, "4 x 64 = 256", " Use --data.batch_size 16 to keep 64 in all."),
        (3, 1, "3 x 64 = 192", " Use --trainer.devices 1 to keep 64."),
        (6, 2, "6 x 64 = 384", " Use --trainer.devices 1 --trainer.num_nodes 1 to keep 64."),
    ],
)
def test_several_processes_hear_how_to_keep_the_batch(processes, nodes, product, advice, capsys):
    text = f"an update of the discriminator sees {product} real samples; the learning rates are "
    text += "left as they are."
    assert header(capsys, processes, nodes=nodes) == [text + advice]
    assert header(capsys, processes, batch_is_given=True) == [text]
    resumed = header(capsys, processes, checkpoint="last.ckpt")
    assert resumed == [text, "resuming from last.ckpt"]


def test_a_batch_size_that_is_no_setting_is_kept_by_one_process(capsys):
    data = UnpairedSources(GaussianRing(batch_size=64), SwissRoll(batch_size=64))
    (line,) = header(capsys, 2, data=data)
    assert line.endswith(" Use --trainer.devices 1 to keep 64.")
    assert header(capsys, 1) == []


def test_the_header_breaks_between_words_on_a_terminal(capsys, terminal):
    shown = terminal(40)
    header(capsys, 2)
    lines = [line.rstrip() for line in shown().splitlines()]
    assert lines == [
        "GAN on GaussianRing, 42 (generator) + 33",
        "(discriminator) parameters, 2 x cpu with",
        "1 thread, seed 0",
        "an update of the discriminator sees 2 x",
        "64 = 128 real samples; the learning",
        "rates are left as they are. Use",
        "--data.batch_size 32 to keep 64 in all.",
    ]


@pytest.mark.parametrize(
    "command", [["--help"], ["list"], ["fit", "--help"], ["fit", "--config", "none"]], ids=" ".join
)
def test_the_module_is_the_same_command(command):
    module = [sys.executable, "-m", "lightning_gans"]
    both = [
        subprocess.run([*start, *command], capture_output=True, text=True)
        for start in ([CONSOLE_SCRIPT], module)
    ]
    ends = [(done.returncode, done.stdout, done.stderr) for done in both]
    assert ends[0] == ends[1]


def on_terminal(columns, environment, *command):
    """Runs a command on a pseudo-terminal; returns its exit code and all that it wrote."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lightning_gans", *command],
        stdin=writing,
        stdout=writing,
        stderr=writing,
        env={**variables, "TERM": "xterm", **environment},
    )
    os.close(writing)
    written = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(reading, 4096):
            written += part
    os.close(reading)
    return process.wait(), written.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "environment"),
    [
        (40, {}),
        (40, {"NO_COLOR": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        (60, {"TERM": "dumb"}),
    ],
    ids=["narrow", "C", "dumb"],
)
def test_training_on_a_real_terminal(columns, environment):
    """No row is longer than the terminal but those with a path, which are to be copied."""
    code, written = on_terminal(
        columns,
        environment,
        *("fit", "--config", "gan_ring", "--trainer.max_steps", "60"),
        *("--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1"),
        *("--pictures.enabled", "false"),
    )
    assert code == 0, written
    codes = re.findall(r"\x1b\[[\d;?]*[a-zA-Z]", written)
    rows = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written))
    rows = [row for row in rows if "runs/gan_ring" not in row]
    text = " ".join(rows)
    assert max(map(len, rows)) <= columns
    assert "\u2026" not in text
    assert re.search(r"cross_entropy *\|? *\d+\.\d+", text)
    if columns == 60:
        assert codes == []
        assert "update 60 of 60 (100%)" in text
    else:
        assert re.search(r"GAN .*60/60 (updates [\d:]+ )?left 0:00:00", text)
    if "NO_COLOR" in environment:
        assert not any(re.search(r"[3-4]\d(;|m)|9\d(;|m)", found) for found in codes)
        assert text.isascii()
