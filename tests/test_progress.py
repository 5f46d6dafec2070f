"""The look of progress, and that it shows up when work takes long."""

import gzip
import hashlib
import re
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import lightning.pytorch as pl
import pytest
import torchvision
from conftest import SMALL, fitted, quiet_trainer, small_ring, until
from lightning.pytorch.utilities import rank_zero_only
from made import fill, make_digits
from rich.live import Live

from datamodules import MNIST, GaussianRing, ImageFolder
from datamodules.files import ImageFiles
from lightning_gans import GAN, Trainer
from lightning_gans.callbacks import Progress
from lightning_gans.cli.screen import say
from lightning_gans.progress import Bar, Work


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
    shown = terminal(columns)
    bar = Bar()
    bar.add_task("WDCGANGP", total=9000, completed=4500, unit="updates")
    bar.console.print(bar)
    assert shown().rstrip() == expected


def test_a_bar_of_ascii_is_ascii(terminal):
    shown = terminal(80, "ascii")
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


def test_long_work_shows_its_bar_on_a_terminal_while_it_lasts(terminal):
    shown = terminal(80)
    with Work("reading images", 50, "images") as work:
        until(lambda: " 0/50 images 0:00:00 left" in shown())
        work.done += 20
        until(lambda: "20/50 images 0:00:00 left" in shown())
    assert "/100" not in shown()
    assert shown().endswith("\r\x1b[2K\x1b[?25h\r")  # the bar is gone, the cursor is there


def test_work_that_counts_nothing_shows_that_it_goes_on(terminal):
    shown = terminal(40)
    with Work("writing the graph"):
        until(lambda: f"writing the graph{' ' * 16}0:00:00" in shown())


def test_work_within_other_work_has_a_row_of_its_own_in_its_bar(terminal):
    terminal(80)
    outer = Bar()
    outer.add_task("GAN", total=9, unit="updates")
    with Work("validation", 4, "batches", within=outer) as work:
        work.done = 3
        until(lambda: len(outer.tasks) == 2 and outer.tasks[1].completed == 3)
        assert (outer.tasks[1].description, outer.tasks[1].total) == ("validation", 4)
    assert [task.description for task in outer.tasks] == ["GAN"]


@pytest.mark.parametrize(
    ("work", "done", "expected"),
    [
        (
            ("validation", 2000, "batches"),
            500,
            r"validation: 500 of 2,000 batches \(25%\), \d:\d\d left",
        ),
        (("validation", 2000, "batches"), 0, r"validation: 0 of 2,000 batches \(0%\)"),
        (("predicting", None, "batches"), 1500, "predicting: 1,500 batches"),
        (("writing the graph",), 0, "writing the graph: 0:00"),
    ],
)
def test_without_a_terminal_long_work_prints_a_line_now_and_then(work, done, expected, capsys):
    printed = ""

    def has_line():
        nonlocal printed
        printed += capsys.readouterr().out
        whole = printed.rpartition("\n")[0].splitlines()
        return any(re.fullmatch(expected, line) for line in whole)

    with Work(*work, every_n_seconds=0.01) as running:
        running.done = done  # perhaps after the first line
        until(has_line)


def test_the_first_reading_of_a_folder_shows_how_far_it_is(terminal, monkeypatch):
    shown = terminal(80)
    fill("photos")
    decode = ImageFiles.decode

    def held_up(files, row):
        until(lambda: "reading images" in shown())
        return decode(files, row)

    monkeypatch.setattr(ImageFiles, "decode", held_up)
    data = ImageFolder("photos", image_size=8)
    data.setup()
    assert "0/40 images" in shown()
    assert len(data.training) == 36


def test_a_download_shows_its_bytes_in_place_of_bars_of_others(terminal, monkeypatch, capfd):
    """torchvision downloads from a server here, which waits for the bar."""
    shown = terminal(80)
    make_digits("served", training=3000)
    served = {}
    for path in Path("served/MNIST/raw").iterdir():
        served[f"/{path.name}.gz"] = gzip.compress(path.read_bytes(), 0)
    total = sum(map(len, served.values())) / 1e6

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(served[self.path])))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            until(lambda: "downloading MNIST" in shown())
            self.wfile.write(served[self.path])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        source = torchvision.datasets.MNIST
        sums = [(name[1:], hashlib.md5(file).hexdigest()) for name, file in served.items()]
        monkeypatch.setattr(source, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(source, "resources", sums)
        MNIST("data").prepare_data()
        server.shutdown()
    counts = re.findall(r"(\d)/(\d) MB", shown())
    assert max(counts) == (str(int(total)), str(int(total))) == ("2", "2")
    assert capfd.readouterr().err == ""
    data = MNIST("data")
    data.setup()
    assert len(data.training) == 3000


class HeldUp(pl.Callback):
    """Waits after each batch, and after the last of them, until progress shows up."""

    def __init__(self, shown, text):
        self.wait = lambda: until(lambda: re.search(rf"{text} *[0-3]/3 +left", shown()))
        self.wait_for_scores = lambda: until(lambda: "computing scores" in shown())

    def on_validation_batch_end(self, *_):
        self.wait()

    def on_test_batch_end(self, *_):
        self.wait()

    def on_predict_batch_end(self, *_):
        self.wait()

    def on_validation_epoch_end(self, *_):
        self.wait_for_scores()

    def on_test_epoch_end(self, *_):
        self.wait_for_scores()


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        *(("fit", "validation"), ("validate", "validation")),
        *(("test", "test"), ("predict", "prediction")),
    ],
)
def test_long_scoring_shows_its_batches_and_the_computation(stage, text, terminal, monkeypatch):
    monkeypatch.setattr("lightning_gans.callbacks.progress.DRAWINGS_PER_S", 1000)
    monkeypatch.setattr(GaussianRing, "eval_batch_size", 24)
    shown = terminal(40)
    trainer = quiet_trainer(
        max_steps=1,
        enable_progress_bar=True,
        callbacks=[Progress(), HeldUp(shown, text)],
        limit_val_batches=1.0,
        num_sanity_val_steps=0,
        val_check_interval=1,
        check_val_every_n_epoch=None,
    )
    getattr(trainer, stage)(GAN(**SMALL), small_ring())
    assert trainer.state.finished


@pytest.mark.parametrize("enabled", [False, True])
def test_scoring_prints_lines_without_a_terminal_unless_progress_is_off(enabled, capsys):
    class Slow(pl.Callback):
        def on_validation_epoch_end(self, *_):
            time.sleep(0.1)

    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=enabled,
        callbacks=[Progress(every_n_seconds=0.01), Slow()],
    )
    trainer.validate(GAN(**SMALL), small_ring(), verbose=False)
    assert ("computing scores: 0:00\n" in capsys.readouterr().out) == enabled


def test_short_work_shows_nothing(terminal, capsys):
    with Work("reading images", 50, "images"):
        pass
    assert capsys.readouterr().out == ""
    shown = terminal(80, patience=1.5)
    with Work("reading images", 50, "images"):
        pass
    assert shown() == ""


def test_only_the_first_process_shows_work(terminal, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    shown = terminal(80)
    with Work("reading images", 50, "images"):
        time.sleep(0.05)
    assert shown() == ""
