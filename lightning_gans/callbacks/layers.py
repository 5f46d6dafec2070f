"""Pictures of the weights of layers over time."""

from collections.abc import Mapping, Sequence
from math import frexp
from typing import Any

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray
from torch import Tensor

from lightning_gans.axes import set_limits
from lightning_gans.callbacks.drawing import Picture, rendered

__all__ = ["BINS", "counts", "distribution", "layers_over_time"]

BINS = 64
NEAR = 0.99
"""Of the largest absolute value: what is beyond counts as equal to it."""
LEAST = 1e-3
"""Share of a bin that has the darkest colour, and all below."""
FIRST, LAST = "#9a9a9a", "#1f77b4"

Values = NDArray[Any]


def distribution(weight: Tensor, grad_norm: float) -> Tensor:
    """Returns what is kept of a weight at an update: shape (1, 3 + BINS), on the CPU.

    The limit of the histogram, a power of 2 above all absolute values, so that the bins of one
    limit are unions of those of another; the share of entries near the largest absolute value;
    the norm of the gradient; and the share of entries in each bin between minus the limit and it.

    Args:
        weight: any shape.
        grad_norm: of its gradient, NaN if it is not known.
    """
    values = weight.detach().flatten().float().cpu()  # a GPU's histogram is not deterministic
    values = values[values.isfinite()]
    largest = float(values.abs().max()) if len(values) else 0.0
    limit = 2.0 ** frexp(largest)[1]
    shares = torch.histc(values, BINS, -limit, limit) / max(1, len(values))
    share = float((values.abs() >= NEAR * largest).float().mean())
    return torch.tensor([[limit, share, grad_norm, *shares.tolist()]])


def counts(weight: Tensor, seen: Tensor) -> tuple[Values, Values]:
    """Returns the last histogram of a weight as numbers in bins, and their edges.

    Args:
        weight: any shape.
        seen: rows of `distribution`.
    """
    limit, shares = float(seen[-1, 0]), seen[-1, 3:]
    numbers = (shares.double() * weight.numel()).round().int().numpy()
    return numbers, np.linspace(-limit, limit, BINS + 1)


def layers_over_time(updates: Sequence[int], weights: Mapping[str, Tensor]) -> Picture:
    """Returns the distribution of each weight over time, at both ends, and its gradient norm.

    Args:
        updates: generator updates at which the weights were looked at, T of them.
        weights: what was seen of each, by name: rows of `distribution`, shape (T, 3 + BINS).
    """
    figure = Figure(figsize=(11, 0.5 + 1.75 * len(weights)), dpi=100, layout="constrained")
    rows = figure.subplots(len(weights), 3, width_ratios=(5, 2, 3), squeeze=False)
    for row, (name, seen) in zip(rows, weights.items(), strict=True):
        _draw_weight(row, name, np.array(updates), seen.double().numpy())
    handles, labels = rows[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    for axes, text in zip(
        rows[-1], ("generator updates", "share", "generator updates"), strict=True
    ):
        axes.set_xlabel(text, fontsize=9)
    return rendered(figure)


def _draw_weight(row: Any, name: str, updates: Values, seen: Values) -> None:
    """Draws a weight on three axes."""
    over_time, ends, gradients = row
    limit = seen[:, 0].max()
    shares = np.stack([_widened(look[3:], limit / look[0]) for look in seen])
    edges = np.linspace(-limit, limit, BINS + 1)
    _draw_over_time(over_time, updates, edges, shares)
    for index, colour in ((0, FIRST), (-1, LAST)):
        label = f"update {updates[index]:,}"
        ends.stairs(shares[index], edges, orientation="horizontal", color=colour, label=label)
    ends.tick_params(labelleft=False)
    furthest = edges[1:][(shares + shares[:, ::-1] > 0).any(0)].max()
    for axes in (over_time, ends):
        axes.set_ylim(-1.05 * furthest, 1.05 * furthest)
    known = np.isfinite(seen[:, 2])
    gradients.plot(updates[known], seen[known, 2], color=LAST, linewidth=1.2)
    set_limits(gradients, seen[seen[:, 2] > 0, 2], is_log=True)
    titles = name, f"{seen[-1, 1]:.0%} at the largest value", "gradient norm"
    for axes, title in zip(row, titles, strict=True):
        axes.set_title(title, loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
    for axes in (over_time, gradients):
        axes.set_xlim(0, updates[-1])
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_over_time(axes: Any, updates: Values, edges: Values, shares: Values) -> None:
    """Draws the histograms as columns of colours, each as wide as half the ways to the others."""
    middles = (updates[1:] + updates[:-1]) / 2
    columns = np.concatenate([updates[:1], middles, updates[-1:] + (len(updates) == 1)])
    axes.pcolormesh(columns, edges, shares.T.clip(LEAST, 1), norm=LogNorm(LEAST, 1), cmap="magma")


def _widened(shares: Values, ratio: float) -> Values:
    """Returns a histogram on the bins of a limit that is larger by a power of 2."""
    together = min(round(ratio), BINS // 2)
    merged = shares.reshape(-1, together).sum(1)
    return np.pad(merged, (BINS - len(merged)) // 2)
