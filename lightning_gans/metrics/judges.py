"""Judges: networks that map images in [0, 1] to features (N, F) and logits (N, K)."""

from typing import Any

from torch import nn

from lightning_gans.metrics.base import shows_rgb
from lightning_gans.metrics.digits import digit_judge
from lightning_gans.metrics.objects import object_judge

__all__ = ["judge_for"]


def judge_for(data: Any) -> tuple[nn.Module, str] | None:
    """Returns a judge of some data's images and the name of its features, if there is one.

    Args:
        data: the data module. If it tells in ``content`` that its images show digits, they have a
            judge; all other RGB images have that of objects, whatever they show.
    """
    if getattr(data, "content", None) == "digits":
        return digit_judge(), "digits"
    if shows_rgb(data):
        return object_judge(), "objects"
    return None
