"""What the commands print on narrow terminals, dull ones, and in encodings of few characters."""

import io
import sys
from contextlib import suppress

import pytest
import yaml

from lightning_gans.cli.main import main


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
