"""What each score is, and which way it is better."""

from typing import Literal

__all__ = ["better", "meaning"]

MEANINGS = {
    "modes": "with 20 % of a fair share",
    "modes_pacgan": "hit by at most 2,500 samples",
    "high_quality": "share within 3 sd of a mode",
    "reverse_kl": "unevenness over modes, nats",
    "w1": "exact W1, of 2,048 at most",
    "w2": "exact W2, of 2,048 at most",
    "sliced_w": "sliced W2",
    "kl": "KL(real, generated), nats",
    "js": "Jensen-Shannon, at most 0.693",
    "cross_entropy": "of fake for real cells, nats",
    "pattern_error": "largest deviation, any entry",
    "fd_digits": "Frechet, digits' judge",
    "digit_tv": "classes against the data's",
    "digit_entropy": "of the classes, nats",
    "digit_ones": "share of the digit 1",
    "digit_confidence": "of the digit judge",
    "label_fidelity": "share read as asked for",
    "class_diversity": "distance within a class",
    "reconstruction_mse": "of one entry",
    "mean_sample_mse": "if all were the mean",
    "reconstruction_fidelity": "read as their class",
    "fid": "Inception, squared",
    "kid": "Inception, squared",
    "is": "Inception Score",
}
"""A few words on each score, for tables."""

HIGHER_IS_BETTER = frozenset(
    {
        *("modes", "modes_pacgan", "high_quality", "digit_entropy", "is"),
        *("label_fidelity", "reconstruction_fidelity"),
    }
)
LIKE_REAL_DATA = frozenset(
    {"digit_ones", "digit_confidence", "class_diversity", "mean_sample_mse"}
)


def better(name: str) -> Literal["low", "high", "same"]:
    """Returns where a score is best: low, high, or where real data has it."""
    score = _score(name)
    if score in LIKE_REAL_DATA:
        return "same"
    return "high" if score in HIGHER_IS_BETTER or score.startswith("is_") else "low"


def meaning(name: str) -> str:
    """Returns a few words on a score, none if it is not one of this package."""
    return MEANINGS.get(_score(name), "")


def _score(name: str) -> str:
    """Returns the name of a score without that of its comparison, such as ``_a``."""
    whole = name in MEANINGS or name.rpartition("_")[0] not in MEANINGS
    return name if whole else name.rpartition("_")[0]
