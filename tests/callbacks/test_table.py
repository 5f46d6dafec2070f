"""The table of scores, as it is printed."""

import lightning.pytorch as pl
import pytest

from lightning_gans.callbacks import Evaluation

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
ASCII = "| w1           |     0.06275 | 0.15      | lower  | exact W1, of 2,048 at most  |"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_digits_are_aligned_and_arrows_say_what_is_better(encoding, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("rich.console.Console.encoding", encoding)
    evaluation = Evaluation()
    evaluation.scores, evaluation.floors, evaluation.num_samples = SCORES, FLOORS, 2500
    evaluation.print_table(pl.Trainer(accelerator="cpu", logger=False, barebones=True))
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert shown[0].strip() == "Scores of 2,500 generated samples"
    if encoding == "utf-8":
        assert shown[1:] == TABLE.strip("\n").splitlines()
    else:
        assert all(line.isascii() for line in shown)
        assert ASCII in shown
