"""What the commands print on narrow terminals, dull ones, and in encodings of few characters."""

import io
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import SMALL

from datamodules import GaussianRing, SwissRoll, UnpairedSources
from lightning_gans import GAN
from lightning_gans.cli.main import main
from lightning_gans.cli.messages import print_header


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
    assert ring[26:] == (
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
