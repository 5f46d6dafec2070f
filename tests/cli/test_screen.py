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
