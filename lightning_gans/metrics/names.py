"""What is known of a score by its name: what it is, and which way it is better."""

from typing import Literal

from lightning_gans.metrics.base import Score
from lightning_gans.metrics.fitting import KINDS

__all__ = ["SCORES", "better", "meaning"]

SCORES = {score.name: score for kind in KINDS for score in kind.about}
"""What the metrics of this package say of their scores, by name."""


def better(name: str) -> Literal["low", "high", "same"]:
    """Returns where a score is best: low, high, or where real data has it."""
    return _score(name).best


def meaning(name: str) -> str:
    """Returns a few words on a score, none if it is not one of this package."""
    return _score(name).meaning


def _score(name: str) -> Score:
    """Returns a score whose name may end in those of its features and comparison, as ``_x_a``."""
    parts = name.split("_")
    beginnings = ("_".join(parts[:number]) for number in range(len(parts), 0, -1))
    return next((SCORES[part] for part in beginnings if part in SCORES), Score(name, ""))
