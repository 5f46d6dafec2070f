"""The page: what it says, that nothing in a run can get out of its place, and that it is kept."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_run, many_runs
from page_checks import checked
from PIL import Image

from lightning_gans.comparison.page import draw
from lightning_gans.comparison.reading import read_run
from lightning_gans.errors import InputError, RunError

LR = "model.init_args.optimizer_g.init_args.lr"
DIVERGED = "stopped: DivergenceError: loss_g is not finite at update 201."
HOSTILE = "</svg></style><script>alert(1)</script>\"'&amp;<img src=x onerror=alert(1)>\x00\x1b[2J"
ABOUT = {"title": "Which one?", "command": "lightning-gans compare gan_ring --seeds 0,1"}


def picture(folder, size=(240, 240), name="0000300.png"):
    path = folder / "samples" / name
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    Image.fromarray(pixels // 64 * 64).save(path)


def runs():
    """Returns runs of three cells: of three seeds, of two and a failed one, of a stopped one."""
    floors = {"sliced_w": 0.5}
    for seed in range(3):
        picture(made_run(Path(f"gan/{seed}"), seed, floors=floors))
    for seed in range(3):
        scores = {"sliced_w": [2.0, 1.5, 0.75 + seed]}
        status = DIVERGED if seed == 2 else "finished"
        made_run(Path(f"other/{seed}"), seed, scores=scores, changes={LR: 0.1}, status=status)
    made_run(Path("third/0"), 0, changes={LR: 0.5}, status="stopped: SIGINT", commit="f" * 40)
    return [read_run(path) for path in sorted(Path().glob("*/[0-9]"))]


def test_the_page_says_what_the_runs_do():
    draw(runs(), Path("out/compare.html"), **ABOUT)
    page = checked(Path("out/compare.html").read_text())
    told = page.text
    for words in (
        "Which one?",
        "7 in 3 cells: 5 finished, 1 stopped, 1 failed",
        "validation split, 10,000 samples",
        "1 run has failed. A failed run counts as worse than all others.",
        "1 run has not finished yet. Means are of finished runs only.",
        "The runs used 2 commits of the code",
        "gan_ring, optimizer_g.lr 0.00023 of 32.00[\u22120.48, 4.48]",
        "Differences from gan_ring, optimizer_g.lr 0.0002",
        "gan_ring, optimizer_g.lr 0.1, seed 2",
        "DivergenceError: loss_g is not finite at update 201.",
        "lightning-gans compare gan_ring --seeds 0,1",
        "median: seed 1, sliced_w 2, finished",
    ):
        assert words in told, words


def test_a_run_that_failed_before_its_first_update_is_of_no_other_commit():
    made_run(Path("gan/0"), 0)
    failed = made_run(Path("gan/1"), 1, scores={"w1": []}, steps=(), status=DIVERGED, commit=None)
    draw([read_run(path) for path in (Path("gan/0"), failed)], Path("compare.html"), **ABOUT)
    told = checked(Path("compare.html").read_text()).text
    assert "commits of the code" not in told
    assert "\u2020" not in told


def test_the_numbers_are_beside_the_page():
    draw(runs(), Path("compare.html"), **ABOUT)
    found = json.loads(Path("compare.json").read_text())
    assert (found["title"], found["split"], found["samples"]) == (
        "Which one?",
        "validation",
        10000,
    )
    first = found["cells"][0]
    assert first["scores"]["sliced_w"]["values"] == [1.0, 2.0, 3.0]
    assert first["settings"] == {LR: 0.0002}
    lines = Path("compare.csv").read_text().splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("cell,identity,seed,status,")
    assert lines[0].endswith(",val/sliced_w")


def test_the_same_runs_make_the_same_bytes():
    made = runs()
    pages = []
    for name in ("a", "b"):
        draw(made, Path(name, "compare.html"), **ABOUT)
        pages.append(Path(name, "compare.html").read_bytes())
    draw(made, Path("b", "compare.html"), **ABOUT)  # of what was kept
    assert pages == [Path("b", "compare.html").read_bytes()] * 2


def test_only_what_has_changed_is_drawn_again(monkeypatch):
    made = runs()
    draw(made, Path("compare.html"), **ABOUT)
    before = Path("compare.html").read_text()
    from lightning_gans.comparison import charts

    drawn = []
    curves = charts.curves
    monkeypatch.setattr(
        charts, "curves", lambda *a, **k: drawn.append(k["name"]) or curves(*a, **k)
    )
    draw(made, Path("compare.html"), **{**ABOUT, "title": "Another"})
    assert drawn == []
    assert Path("compare.html").read_text() == before.replace("Which one?", "Another")
    with Path("gan/0/metrics.csv").open("a") as file:
        file.write("400,,,7.5\n")
    draw([read_run(run.folder) for run in made], Path("compare.html"), **ABOUT)
    assert drawn == ["s0-updates", "s0-images", "s0-seconds"]
    assert Path("compare.html").read_text() != before


def test_a_page_that_is_up_to_date_needs_neither_torch_nor_matplotlib():
    runs()
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from lightning_gans.comparison.page import draw\n"
        "from lightning_gans.comparison.reading import read_run\n"
        "made = [read_run(path) for path in sorted(Path().glob('*/[0-9]'))]\n"
        f"draw(made, Path('compare.html'), **{ABOUT!r})\n"
        "assert not {'torch', 'lightning', 'matplotlib', 'PIL'} & set(sys.modules)\n"
    )
    draw(
        [read_run(path) for path in sorted(Path().glob("*/[0-9]"))], Path("compare.html"), **ABOUT
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_hostile_words_are_text():
    folder = made_run(
        Path("runs/hostile/version_0"),
        name=HOSTILE,
        scores={"w1": [1.0, 2.0, 3.0], HOSTILE.replace(",", ";"): [1.0, 2.0, 3.0]},
        changes={"data.class_path": HOSTILE, LR: HOSTILE},
        status=f"stopped: Error: {HOSTILE}",
        data=HOSTILE,
        commit=HOSTILE,
        versions={"torch": HOSTILE},
        machine={"device": HOSTILE},
        parent={"folder": HOSTILE, "updates": HOSTILE},
    )
    other = made_run(
        Path("runs/other/version_0"),
        scores={"w1": [1.0, 2.0, 3.0]},
        changes={"data.class_path": HOSTILE},
    )
    home = Path(f"runs/x-{'0' * 12}-seed_0")
    log = made_run(
        home / "version_0", 1, changes={"data.class_path": HOSTILE}, status="stopped: E: x"
    )
    (home / "log.txt").write_text(HOSTILE)
    made = [read_run(path) for path in (folder, other, log)]
    draw(made, Path("compare.html"), title=HOSTILE, command=HOSTILE)
    html = Path("compare.html").read_text()
    page = checked(html)
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "\x00" not in html
    assert "\x1b" not in html
    assert "\\x00\\x1b[2J" in page.text
    assert not [attributes for attributes in page.all("img") if "onerror" in attributes]


def test_scores_of_the_test_split_are_in_the_tables_and_not_in_the_curves():
    folder = made_run(Path("run"), floors={"sliced_w": 0.25})
    (folder / "validation.csv").write_text(
        "updates,split,samples,test/sliced_w\n300,test,64,7.5\n"
    )
    about = {"split": "test", "samples": 64, "floors": {"sliced_w": 0.125}}
    (folder / "scores.json").write_text(json.dumps(about))
    draw([read_run(folder)], Path("compare.html"), **ABOUT, split="test")
    found = json.loads(Path("compare.json").read_text())
    assert found["cells"][0]["scores"]["sliced_w"]["values"] == [7.5]
    page = checked(Path("compare.html").read_text())
    assert "test split, 64 samples" in page.text
    assert "real data0.12gan_ring1 of 17.50" in page.text
    assert "sliced W2; real data: 0.25" in page.text
    charts = [attributes["aria-label"] for attributes in page.all("svg")]
    assert charts[0] == "sliced_w over generator updates: gan_ring ends at 1 in 1 finished runs."


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n broken"])
def test_a_picture_that_is_none_is_left_out(content):
    folder = made_run(Path("run"))
    picture(folder)
    (folder / "samples" / "0000300.png").write_bytes(content)
    draw([read_run(folder)], Path("compare.html"), **ABOUT)
    page = checked(Path("compare.html").read_text())
    assert page.all("img") == []
    assert "Samples" not in page.text
    picture(made_run(Path("other"), 1))
    draw([read_run(Path(name)) for name in ("run", "other")], Path("compare.html"), **ABOUT)
    page = checked(Path("compare.html").read_text())
    assert len(page.all("img")) == 1
    assert "There is no picture of samples." in page.text


def test_pictures_are_the_bytes_of_the_run_unless_they_are_large():
    from base64 import b64decode

    for number, size in enumerate(((64, 64), (400, 400))):
        folder = made_run(Path(str(number)), number)
        picture(folder, size)
    draw([read_run(Path(str(number))) for number in range(2)], Path("compare.html"), **ABOUT)
    median, worst = checked(Path("compare.html").read_text()).all("img")
    kind, _, data = median["src"].partition(";base64,")
    assert (kind, b64decode(data)) == (
        "data:image/png",
        Path("0/samples/0000300.png").read_bytes(),
    )
    assert (median["width"], median["class"]) == ("320", "pixels")
    assert worst["src"].startswith("data:image/webp;base64,")
    assert (worst["width"], worst.get("class")) == ("400", None)


def test_one_run_alone_has_a_page():
    draw([read_run(made_run(Path("run")))], Path("compare.html"), **ABOUT)
    page = checked(Path("compare.html").read_text())
    assert "Differences from" not in page.text
    assert "What differs" not in page.text


def test_a_damaged_cache_is_as_good_as_none():
    made = [read_run(made_run(Path("run")))]
    draw(made, Path("compare.html"), **ABOUT)
    page, kept = Path("compare.html").read_bytes(), Path("compare.cache.json").read_bytes()
    for content in (b"", b"[]", b"{", b"[" * 100_000):
        Path("compare.cache.json").write_bytes(content)
        draw(made, Path("compare.html"), **ABOUT)
        assert Path("compare.html").read_bytes() == page
        assert Path("compare.cache.json").read_bytes() == kept


def test_runs_that_cannot_be_compared_leave_no_page():
    folder = made_run(Path("run"))
    with pytest.raises(InputError, match=r"there are no runs to draw. Use folders such as"):
        draw([], Path("compare.html"), **ABOUT)
    with pytest.raises(InputError, match=r"out: the page must be a .html file, got compare.json"):
        draw([read_run(folder)], Path("compare.json"), **ABOUT)
    empty = read_run(made_run(Path("empty"), scores={}, steps=()))
    with pytest.raises(InputError, match="no run has scores of the validation split"):
        draw([empty], Path("compare.html"), **ABOUT)
    (folder / "metrics.csv").write_text("step\nx\n")
    with pytest.raises(InputError, match=r"run/metrics.csv is damaged"):
        draw([read_run(folder)], Path("compare.html"), **ABOUT)
    assert not list(Path().glob("compare*"))


@pytest.mark.parametrize("name", ["compare.csv", "compare.json", "compare.cache.json"])
def test_files_that_are_no_page_s_are_kept(name):
    made = [read_run(made_run(Path("run")))]
    Path(name).write_text("mine")
    with pytest.raises(InputError, match=rf"out: {name} is there already, without a page"):
        draw(made, Path("compare.html"), **ABOUT)
    assert [path.name for path in Path().glob("compare*")] == [name]
    assert Path(name).read_text() == "mine"
    Path(name).unlink()
    draw(made, Path("compare.html"), **ABOUT)
    draw(made, Path("compare.html"), **ABOUT)  # those of a page that is there are its own


def test_a_full_disk_leaves_the_page_that_was_there(monkeypatch):
    made = runs()
    draw(made[:3], Path("compare.html"), **ABOUT)
    before = {path.name: path.read_bytes() for path in Path().glob("compare*")}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"compare.html could not be written: .*No space left"):
        draw(made, Path("compare.html"), **ABOUT)
    assert {path.name: path.read_bytes() for path in Path().glob("compare*")} == before


@pytest.mark.slow
def test_fifty_long_runs_are_drawn_in_seconds_and_again_at_once(tmp_path):
    folders = many_runs(tmp_path)
    for folder in folders:
        picture(folder, (260, 260))
    begun = time.process_time()
    draw([read_run(folder) for folder in folders], Path("compare.html"), **ABOUT)
    assert time.process_time() - begun < 20
    assert Path("compare.html").stat().st_size < 6_000_000
    checked(Path("compare.html").read_text())
    begun = time.process_time()
    draw([read_run(folder) for folder in folders], Path("compare.html"), **ABOUT)
    assert time.process_time() - begun < 2
