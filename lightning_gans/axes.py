"""Axes of values that what is to be seen fills."""

from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

__all__ = ["set_limits", "spans_magnitudes"]

SPAN = 10.0
"""The greatest value of a distance in units of the least from which on its axis is logarithmic."""


def spans_magnitudes(values: NDArray[np.float64]) -> bool:
    """Tells whether values are shown better on a logarithmic axis; infinite ones do not count."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(known.min() > 0 and known.max() > SPAN * known.min())


def set_limits(axes: Any, shown: NDArray[np.float64], *, is_log: bool) -> None:
    """Cuts the axis of values to those that are to be seen, with a margin.

    Args:
        axes: of matplotlib.
        shown: values, of which those that are not finite do not count.
        is_log: whether the axis is logarithmic.
    """
    shown = shown[np.isfinite(shown)]
    if is_log:
        axes.set_yscale("log")
        span = shown.max() / shown.min() if len(shown) else 1.0
        subs = (1, 2, 5) if span < 15 else (1, 3) if span < 150 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if len(shown):
        low, high = np.log10([shown.min(), shown.max()]) if is_log else (shown.min(), shown.max())
        margin = 0.06 * (high - low) or 0.1 * max(abs(high), 1.0)
        limits = np.array([low - margin, high + margin])
        axes.set_ylim(*(10**limits if is_log else limits))
