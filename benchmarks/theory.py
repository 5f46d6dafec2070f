"""Draws the pictures of docs/theory.md that need no training.

    python benchmarks/theory.py

The numbers are those of the package's own losses and distances, on densities in one dimension.
"""

from math import log, pi

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal
from trained import ROOT

from lightning_gans.losses.functional import (
    minimax_discriminator_loss,
    minimax_generator_loss,
    optimal_logits,
)
from lightning_gans.metrics import js_divergence, wasserstein_distance

PICTURES = ROOT / "docs" / "images" / "theory"
REAL, FAKE, BEST = "#555555", "#d62728", "#1f77b4"
NUMBER = 10_001
"""Points of an integral."""


def value_of_the_game(p: Normal, q: Normal) -> tuple[float, float]:
    """Returns the value of the best discriminator by its loss, and -2 log 2 + 2 JS.

    Args:
        p: density of the data.
        q: density of the generator.
    """
    shares = (torch.arange(NUMBER, dtype=torch.float64) + 0.5) / NUMBER
    logits = [
        optimal_logits(p.log_prob(x), q.log_prob(x)) for x in (p.icdf(shares), q.icdf(shares))
    ]
    x = torch.linspace(-12, 12, NUMBER, dtype=torch.float64)
    cells = [density.log_prob(x).exp() for density in (p, q)]
    js = js_divergence(*(cell / cell.sum() for cell in cells))
    return -float(minimax_discriminator_loss(*logits)), -2 * log(2) + 2 * float(js)


def bump(x: Tensor) -> Tensor:
    """Returns a density on [-1/2, 1/2] that goes to 0 smoothly, 1 + cos(2 pi x)."""
    return torch.where(x.abs() < 0.5, 1 + (2 * pi * x).cos(), torch.zeros_like(x))


def distances(t: float) -> dict[str, float]:
    """Returns JS and W1 of two bumps a distance t apart, and the gradients by t.

    That of JS is half of what the generator of the minimax game gets from the best discriminator.
    """
    x = torch.linspace(-1, t + 1, NUMBER, dtype=torch.float64)
    cells = [density / density.sum() for density in (bump(x), bump(x - t))]
    way = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    points = quantiles()
    moved = points + way

    def log_density(x: Tensor) -> Tensor:
        return bump(x).clamp(min=1e-300).log()

    logits = optimal_logits(log_density(moved), log_density(moved - t))
    (minimax,) = torch.autograd.grad(minimax_generator_loss(logits), way)
    w1 = wasserstein_distance(points[:, None], (points + way)[:, None])
    (gradient,) = torch.autograd.grad(w1, way)
    return {
        "js": float(js_divergence(*cells)),
        "js_gradient": float(minimax) / 2,
        "w1": w1.item(),
        "w1_gradient": float(gradient),
    }


def quantiles() -> Tensor:
    """Returns points of equal weight that stand for a bump."""
    x = np.linspace(-0.5, 0.5, NUMBER)
    below = x + 0.5 + np.sin(2 * pi * x) / (2 * pi)
    shares = (np.arange(20 * NUMBER) + 0.5) / (20 * NUMBER)  # the gradient is steep at the ends
    return torch.from_numpy(np.interp(shares, below, x))


def draw_best_discriminator() -> Figure:
    """Returns two densities with p / (p + q), and the value of the game over their distance."""
    figure = Figure(figsize=(9.2, 3.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    p, q = Normal(torch.tensor(-1.0).double(), 0.7), Normal(torch.tensor(1.0).double(), 1.0)
    x = torch.linspace(-4, 5, 400).double()
    for density, colour, name in ((p, REAL, "p, real"), (q, FAKE, "q, generated")):
        height = density.log_prob(x).exp()
        left.fill_between(x, height, color=colour, alpha=0.3, linewidth=0)
        left.plot(x, height, color=colour, linewidth=1, label=name)
    best = optimal_logits(p.log_prob(x), q.log_prob(x)).sigmoid()
    left.plot(x, best, color=BEST, label="D = p / (p + q)")
    left.set(xlabel="x", title="the best discriminator", ylim=(0, 1.05))
    ways = np.linspace(0, 6, 25)
    p = Normal(torch.tensor(0.0).double(), 1.0)
    found = np.array([value_of_the_game(p, Normal(p.mean + way, 1.0)) for way in ways])
    right.plot(ways, found[:, 1], color=BEST, label="-2 log 2 + 2 JS(p, q)")
    right.plot(ways, found[:, 0], ".", color=FAKE, label="mean log D + mean log(1 - D)")
    right.axhline(0, color=REAL, linestyle="--", linewidth=1)
    right.set(xlabel="distance of two normal distributions", title="the value of the game there")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_distances() -> Figure:
    """Returns JS and W1 over the distance of two bumps, and their gradients."""
    figure = Figure(figsize=(9.2, 3.2), dpi=100, layout="constrained")
    ways = np.linspace(0, 2.5, 101) + 1e-6  # at 0 itself, W1 has no gradient
    rows = [distances(float(way)) for way in ways]
    panels = {
        "distances": ("js", "w1"),
        "gradients with respect to t": ("js_gradient", "w1_gradient"),
    }
    for axes, (title, keys) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for key, colour, name in zip(keys, (BEST, FAKE), ("Jensen-Shannon", "W1"), strict=True):
            axes.plot(ways, [row[key] for row in rows], color=colour, label=name)
        if "js" in keys:
            axes.axhline(log(2), color=REAL, linestyle="--", linewidth=1, zorder=0)
            axes.text(0.03, log(2) + 0.04, "log 2", color=REAL, fontsize=9)
            axes.legend(frameon=False, fontsize=9, loc="upper left")
        axes.axvspan(1, ways[-1], color="#eeeeee", zorder=0)
        axes.set(xlabel="t, distance of two bumps of width 1", title=title, xlim=(0, ways[-1]))
        axes.spines[["top", "right"]].set_visible(False)
    axes.text(1.75, 0.45, "no overlap", ha="center", color=REAL)
    return figure


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, draw in (
        ("best_discriminator", draw_best_discriminator),
        ("distances", draw_distances),
    ):
        draw().savefig(PICTURES / f"{name}.png")
