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
    """Returns a score whose name may end in that of its comparison, such as ``_a``."""
    unknown = Score(name, "", "high" if name.startswith("is_") else "low")
    return SCORES.get(name) or SCORES.get(name.rpartition("_")[0], unknown)
