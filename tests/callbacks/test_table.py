"""The table of scores, as it is printed."""

import lightning.pytorch as pl
import pytest

from lightning_gans.callbacks import Evaluation
from lightning_gans.metrics import meaning

SCORES = {"modes": 8.0, "high_quality": 0.97, "w1": 0.0627465, "fd_digits": 1234.5, "mine": 2e-7}
FLOORS = {"modes": 8.0, "w1": 0.15}
TABLE = """
  score          generated     real data   better   meaning
 ───────────────────────────────────────────────────────────────────────────────
  modes              8         8           ↑        among high-quality samples
  high_quality       0.97      -           ↑        share within 3 sd of a mode
  w1                 0.06275   0.15        ↓        exact W1, of 2,048 at most
  fd_digits       1234         -           ↓        Frechet, digits' judge
  mine           2e-07         -           ↓
"""
COMPARED = """
  score       mean      real data   better   a      b       meaning
 ──────────────────────────────────────────────────────────────────────────────
  w1              0.5   0.15        ↓        0.25    0.75   exact W1, of 2,048
                                                            at most
  fd_digits      12.5   -           ↓        5      20      Frechet, digits'
                                                            judge
  mine_b      2e-07     -           ↓        -       -
"""
ASCII = "| w1           |     0.06275 | 0.15      | lower  | exact W1, of 2,048 at most  |"
SLICES = (slice(7), slice(8, 15))
"""Of a line, the first two columns at 22 characters."""


def printed(columns, capsys, monkeypatch, scores=SCORES, comparisons=("",)):
    """Returns the lines of the table of some scores."""
    monkeypatch.setenv("COLUMNS", str(columns))
    evaluation = Evaluation()
    evaluation.scores, evaluation.floors, evaluation.num_samples = scores, FLOORS, 2500
    evaluation.updates, evaluation.split = 1000, "test"
    evaluation._active = {name: [] for name in comparisons}
    evaluation.print_table(pl.Trainer(accelerator="cpu", logger=False, barebones=True))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_digits_are_aligned_and_arrows_say_what_is_better(encoding, capsys, monkeypatch):
    monkeypatch.setattr("rich.console.Console.encoding", encoding)
    shown = printed(100, capsys, monkeypatch)
    assert shown[0].strip() == "Scores of 2,500 generated samples at update 1,000 (test split)"
    if encoding == "utf-8":
        assert shown[1:] == TABLE.strip("\n").splitlines()
    else:
        assert all(line.isascii() for line in shown)
        assert ASCII in shown


@pytest.mark.parametrize("columns", [80, 70, 46, 40])
def test_a_mean_has_what_it_is_the_mean_of_in_its_row(columns, capsys, monkeypatch):
    monkeypatch.setattr("rich.console.Console.encoding", "utf-8")
    scores = {"w1_a": 0.25, "w1_b": 0.75, "w1": 0.5, "fd_digits_a": 5.0, "fd_digits_b": 20.0}
    scores |= {"fd_digits": 12.5, "mine_b": 2e-7}
    shown = printed(columns, capsys, monkeypatch, scores, ("a", "b"))
    assert max(map(len, shown)) <= columns
    if columns == 80:
        assert shown[1:] == COMPARED.strip("\n").splitlines()
    assert ("meaning" in shown[1], "0.75" in " ".join(shown)) == (columns == 80, columns > 40)
    assert all(f"{row} " in " ".join(shown) for row in ("w1", "fd_digits", "mine_b"))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (78, ["score", "generated", "real data", "better", "meaning"]),
        (60, ["score", "generated", "real data", "better"]),
        (41, ["score", "generated", "real data", "better"]),
        (40, ["score", "generated", "real data"]),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns_and_whole_numbers(
    columns, headings, encoding, capsys, monkeypatch
):
    monkeypatch.setattr("rich.console.Console.encoding", encoding)
    shown = printed(columns, capsys, monkeypatch)
    assert max(map(len, shown)) <= columns
    text = " ".join(" ".join(shown).replace("|", " ").split())
    assert " ".join(headings) in text
    assert ("meaning" in text) == ("meaning" in headings)
    for name, value in {"high_quality": "0.97", "w1": "0.06275", "mine": "2e-07"}.items():
        assert f"{name} {value}" in text


@pytest.mark.parametrize("columns", [72, 76, 79, 80, 81, 90, 100])
def test_meanings_are_broken_and_not_cut_off(columns, capsys, monkeypatch):
    names = ("reconstruction_fidelity", "code_sliced_w", "neighbour_accuracy", "paired_l1")
    shown = printed(columns, capsys, monkeypatch, dict.fromkeys(names, 0.5))
    assert max(map(len, shown)) <= columns
    words = " ".join(" ".join(shown).split())
    if "meaning" not in words:
        assert columns < 80
        return
    for name in names:  # the first line of each row ends with the first words of its meaning
        (index,) = (i for i, line in enumerate(shown) if line.split()[0] == name)
        text = shown[index].split("\u2191")[-1].split("\u2193")[-1].split(" = ")[-1]
        following = shown[index + 1 :]
        ends = [i for i, line in enumerate(following) if not line.startswith("     ")]
        rest = following[: ends[0]] if ends else following
        assert " ".join(" ".join([text, *rest]).split()) == meaning(name)


def test_the_narrowest_terminal_breaks_names_and_numbers_and_drops_nothing(capsys, monkeypatch):
    shown = printed(22, capsys, monkeypatch)
    assert max(map(len, shown)) <= 22
    names, numbers = ("".join(line[part].strip() for line in shown) for part in SLICES)
    assert "".join(SCORES) in names
    assert "80.970.062751234" in numbers
