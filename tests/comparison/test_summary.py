"""The numbers of a comparison: what has a share in them, and what has not."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from made_runs import made_run

from lightning_gans.comparison.cells import cells_of
from lightning_gans.comparison.reading import FolderError, read_run
from lightning_gans.comparison.summary import as_csv, best_first, summarized
from lightning_gans.errors import InputError

LR = "model.init_args.optimizer_g.init_args.lr"
DIVERGED = "stopped: DivergenceError: loss_g is nan."


def run(cell, seed, value, name="sliced_w", **record):
    """Returns a run of a cell whose last score has a value."""
    scores = {} if value is None else {name: [9.0, 9.0, value]}
    folder = Path("runs") / f"{cell}" / f"{seed}"
    changes = {LR: cell}
    steps = () if value is None else (100, 200, 300)
    return read_run(made_run(folder, seed, scores=scores, changes=changes, steps=steps, **record))


def summary_of(*runs, split="validation"):
    return summarized(cells_of(runs), split)


def test_means_are_of_finished_runs():
    found = summary_of(
        *(run(1.0, seed, value) for seed, value in enumerate((1.0, 2.0, 3.0))),
        run(1.0, 3, 100.0, status=DIVERGED),
        run(1.0, 4, 100.0, status="running"),
        run(1.0, 5, 100.0, status="stopped: SIGINT"),
    )
    numbers = found["cells"][0]["scores"]["sliced_w"]
    assert (numbers["seeds"], numbers["values"]) == ([0, 1, 2], [1.0, 2.0, 3.0])
    assert (numbers["mean"], numbers["failed"]) == (2.0, 1)
    assert numbers["interval"] == pytest.approx((-0.4841377, 4.4841377))
    assert [one["status"] for one in found["cells"][0]["runs"]] == [
        *("finished", "finished", "finished", "failed", "stopped", "stopped")
    ]
    assert found["samples"] == 10000


def test_a_score_that_is_not_finite_is_a_failure_and_no_number():
    found = summary_of(run(1.0, 0, float("nan")), run(1.0, 1, float("inf")), run(1.0, 2, 4.0))
    numbers = found["cells"][0]["scores"]["sliced_w"]
    assert (numbers["values"], numbers["failed"], numbers["interval"]) == ([4.0], 2, None)
    assert found["cells"][0]["runs"][0]["scores"] == {"sliced_w": None}
    assert "NaN" not in json.dumps(found)


def test_differences_are_of_equal_seeds():
    found = summary_of(
        *(run(1.0, seed, value) for seed, value in enumerate((1.0, 5.0, 9.0))),
        *(run(2.0, seed, value) for seed, value in ((0, 0.0), (1, 4.5), (2, 8.5), (3, 7.0))),
    )
    numbers = found["cells"][1]["differences"]["sliced_w"]
    assert (numbers["seeds"], numbers["values"]) == ([0, 1, 2], [-1.0, -0.5, -0.5])
    assert numbers["mean"] == pytest.approx(-2 / 3)
    assert numbers["improvement"] == pytest.approx((3 + 2 + 1 + 1) / 12)
    assert "differences" not in found["cells"][0]


def test_equal_cells_differ_by_zero():
    runs = [run(cell, seed, value) for cell in (1.0, 2.0) for seed, value in enumerate((3, 1, 2))]
    numbers = summary_of(*runs)["cells"][1]["differences"]["sliced_w"]
    assert (numbers["mean"], numbers["interval"]) == (0.0, (0.0, 0.0))
    assert numbers["improvement"] == 0.5


def test_a_failed_run_is_worse_than_every_other():
    found = summary_of(
        *(run(1.0, 0, 5.0), run(1.0, 1, 6.0)),
        *(run(2.0, 0, 1.0), run(2.0, 1, None, status=DIVERGED)),
        run(3.0, 0, None, status=DIVERGED),
    )
    second, third = (cell["differences"]["sliced_w"] for cell in found["cells"][1:])
    assert (second["values"], second["improvement"]) == ([-4.0], 0.5)
    assert (third["values"], third["improvement"]) == ([], 0.0)


@pytest.mark.parametrize(
    ("name", "better", "order", "improvement"),
    [
        ("sliced_w", "low", [0, 1], 0.0),
        ("modes", "high", [1, 0], 1.0),
        ("digit_ones", "same", [1, 0], 0.875),
    ],
)
def test_the_best_is_where_the_score_is_best(name, better, order, improvement):
    floors = {"digit_ones": 4.0}
    found = summary_of(
        *(run(1.0, seed, value, name, floors=floors) for seed, value in enumerate((1.0, 2.0))),
        *(run(2.0, seed, value, name, floors=floors) for seed, value in enumerate((3.0, 6.0))),
    )
    assert found["scores"][name]["better"] == better
    assert best_first(found["cells"][0], found["scores"]) == order
    assert found["cells"][1]["differences"][name]["improvement"] == improvement


def test_five_seeds_have_an_interquartile_mean():
    five = summary_of(*(run(1.0, seed, float(seed**2)) for seed in range(5)))
    numbers = five["cells"][0]["scores"]["sliced_w"]
    assert numbers["interquartile_mean"] == pytest.approx((1 + 4 + 9) / 3)
    low, high = numbers["interquartile_interval"]
    assert 0 <= low < 14 / 3 < high <= 16


def test_the_score_that_decides_about_checkpoints_comes_first():
    scores = {"w1": [1.0] * 3, "sliced_w": [1.0] * 3, "w2": [1.0] * 3}
    found = summary_of(read_run(made_run(Path("a"), scores=scores, floors={"w2": 0.5})))
    assert list(found["scores"]) == ["sliced_w", "w1", "w2"]
    assert [facts["real_data"] for facts in found["scores"].values()] == [None, None, 0.5]
    assert found["scores"]["w2"]["meaning"] == "exact W2, of 2,048 at most"


def test_runs_without_any_score_are_refused():
    with pytest.raises(InputError, match=r"no run has scores of the validation split. Use runs"):
        summary_of(run(1.0, 0, None))
    with pytest.raises(InputError, match="no run has scores of the test split"):
        summary_of(run(2.0, 0, 1.0), split="test")


def test_tests_of_different_numbers_of_samples_are_refused():
    head = "updates,split,samples,test/w1\n"
    for name, samples in (("a", 100), ("b", 200)):
        folder = made_run(Path(name), {"a": 0, "b": 1}[name])
        (folder / "validation.csv").write_text(f"{head}300,test,{samples},0.5\n")
    with pytest.raises(InputError, match="a was scored on 100 samples and b on 200: their scores"):
        summary_of(*(read_run(Path(name)) for name in "ab"), split="test")


def test_a_damaged_file_is_named():
    folder = made_run(Path("a"))
    (folder / "metrics.csv").write_text("step\nx\n")
    with pytest.raises(FolderError, match=r"a/metrics.csv is damaged: line 2"):
        summary_of(read_run(folder))


def test_the_table_has_a_row_for_each_run():
    found = summary_of(run(1.0, 0, 1.5), run(1.0, 1, None, status=DIVERGED), run(2.0, 0, 2.5))
    rows = list(csv.DictReader(StringIO(as_csv(found).decode(), newline="")))
    assert [row["cell"] for row in rows] == [
        *["gan_ring, optimizer_g.lr 1"] * 2,
        "gan_ring, optimizer_g.lr 2",
    ]
    assert [(row["seed"], row["status"], row["val/sliced_w"]) for row in rows] == [
        *(("0", "finished", "1.5"), ("1", "failed", ""), ("0", "finished", "2.5"))
    ]
    assert (rows[0]["updates"], rows[0]["images"], rows[0]["seconds"]) == ("300", "76800", "30.0")
    assert rows[1]["message"] == "DivergenceError: loss_g is nan."
    assert rows[0]["identity"] == rows[1]["identity"] != rows[2]["identity"]
