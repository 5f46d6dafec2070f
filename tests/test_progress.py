"""The look of progress, and that it shows up when work takes long."""

import io

import pytest
from conftest import SMALL, fitted
from rich.console import Console
from rich.live import Live

from lightning_gans import GAN
from lightning_gans.callbacks import Progress
from lightning_gans.cli.screen import say
from lightning_gans.progress import Bar


@pytest.fixture
def terminal(monkeypatch):
    """Returns a function that makes a terminal of some width the one that is printed on."""

    def make(columns, encoding="utf-8", **arguments):
        file = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
        console = Console(file=file, width=columns, force_terminal=True, **arguments)
        monkeypatch.setattr("rich._console", console)
        return lambda: file.buffer.getvalue().decode(encoding)

    return make


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (100, f"WDCGANGP {'━' * 20}{' ' * 20} 4500/9000 updates 0:00:00 left -:--:--"),
        (80, f"WDCGANGP {'━' * 16}{' ' * 16} 4500/9000 updates 0:00:00 left -:--:--"),
        (40, "WDCGANGP          4500/9000 left -:--:--"),
        (28, "WDCG… 4500/9000 left -:--:--"),
    ],
)
def test_a_bar_is_one_whole_row_on_every_terminal(columns, expected, terminal):
    shown = terminal(columns, no_color=True)
    bar = Bar()
    bar.add_task("WDCGANGP", total=9000, completed=4500, unit="updates")
    bar.console.print(bar)
    assert shown().rstrip() == expected


def test_a_bar_of_ascii_is_ascii(terminal):
    shown = terminal(80, "ascii", no_color=True)
    bar = Bar()
    bar.add_task("GAN", total=9000, completed=4500, unit="updates")
    bar.console.print(bar)
    assert "-----   " in shown()


def test_what_is_said_stands_above_a_live_bar(terminal):
    shown = terminal(80)
    with Live(Bar()) as live:
        live.update("the bar", refresh=True)
        say("said")
    before, _, after = shown().partition("said\n")
    assert before.endswith("\r\x1b[2K")  # the bar has been erased
    assert after.startswith("the bar")


def test_a_dumb_terminal_has_lines(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal
    bar = Progress(every_n_seconds=1e-6)
    fitted(GAN(**SMALL), max_steps=2, enable_progress_bar=True, callbacks=[bar])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == [
        "update 1 of 2 (50%)",
        "update 2 of 2 (100%)",
    ]
