"""Judges: networks that map images in [0, 1] to features (N, F) and logits (N, K)."""

import copy
from typing import Any

from torch import nn

from lightning_gans.metrics.digits import digit_judge

__all__ = ["judge_for"]


def judge_for(data: Any) -> tuple[nn.Module, str] | None:
    """Returns a judge of some data's images and the name of its features, if there is one.

    Args:
        data: the data module, which tells in ``content`` what its images show.
    """
    if getattr(data, "content", None) == "digits":
        return copy.deepcopy(digit_judge()), "digits"
    return None
