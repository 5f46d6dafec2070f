"""Draws the pictures of docs/claims.md from the results.

    python benchmarks/claims_figures.py

A picture is drawn once all of its runs are in ``results/claims.json``.
"""

from collections.abc import Iterable

import matplotlib as mpl
import matplotlib.pyplot as plt
from claims_rules import BUDGETS, CURVE, FOLLOWED, NAMES, Runs
from claims_runs import BOUNDS, DISTANCES, EXPERIMENTS, METHODS, NETWORKS, RATES
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from trained import ROOT, recorded

FOLDER = ROOT / "docs" / "images"
COLORS = {
    **{"minimax": "#d62728", "gan": "#ff7f0e", "minimax-1": "#e377c2", "gan-1": "#bcbd22"},
    **{"wgan": "#1f77b4", "wgan_gp": "#2ca02c"},
}
STYLE = {
    **{"font.size": 9, "axes.spines.top": False, "axes.spines.right": False},
    **{"axes.grid": True, "grid.alpha": 0.3, "legend.frameon": False, "figure.dpi": 110},
}


def _floor(axes: Axes, value: float) -> None:
    axes.axhline(value, color="black", linewidth=0.8, linestyle="--", label="real data")


def distance(runs: Runs) -> Figure:
    """Shows what the trained discriminators say of the distance between two squares."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for critic in ("minimax", "wgan_gp"):
        for axes, key in ((left, "gradient"), (right, "estimate")):
            for seed in runs.experiment.seeds:
                values = [runs.rows(f"{critic}-{t:g}", seed)[0][key] for t in DISTANCES]
                label = NAMES[critic] if seed == 0 else None
                axes.plot(DISTANCES, values, "o-", color=COLORS[critic], lw=1, label=label)
    left.set(ylabel="gradient by the distance", xlabel="distance", yscale="log")
    left.axhline(1, color="black", linewidth=0.8, linestyle="--", label="of W1")
    right.set(ylabel="estimate of the discriminator", xlabel="distance")
    right.plot([0, 4], [0, 4], color="black", linewidth=0.8, linestyle="--", label="W1")
    left.legend()
    right.legend()
    return figure


def digits(runs: Runs) -> Figure:
    """Shows the digits over CPU seconds of training."""
    figure, both = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained")
    for axes, score in zip(both, ("fd_digits", "digit_tv"), strict=True):
        for method in runs.experiment.cells:
            for seed in runs.experiment.seeds:
                rows = runs.rows(method, seed)
                over = [row["cpu_seconds"] for row in rows]
                values = [row[score] for row in rows]
                label = NAMES[method] if seed == 0 else None
                axes.plot(over, values, color=COLORS[method], linewidth=1, label=label)
        _floor(axes, runs.floor(score))
        axes.axvline(runs.experiment.seconds, color="grey", linewidth=0.8)
        axes.set(xlabel="CPU seconds of training", ylabel=score, yscale="log")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def losses(digits: Runs, ring: Runs) -> Figure:
    """Shows how well each loss follows the samples."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    shown = FOLLOWED[::-1]
    pairs = zip(shown, CURVE.statements[::-1], strict=True)
    for place, ((method, experiment, *_), statement) in enumerate(pairs):
        runs = digits if experiment == "digits" else ring
        values = [statement.value(runs, seed) for seed in runs.experiment.seeds]
        axes.plot(values, [place] * len(values), "o", color=COLORS[method], alpha=0.7)
    names = [f"{NAMES[method]} {where}" for method, *_, where in shown]
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0.5, color="black", linewidth=0.8, linestyle="--")
    axes.set(
        xlim=(-1, 1), xlabel="rank correlation of the loss's estimate with the score over time"
    )
    return figure


def clipping(runs: Runs) -> Figure:
    """Shows how many weights lie on their bounds, and the critic's gradient."""
    figure, both = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axes, score, label in zip(
        both,
        ("clipped", "lipschitz"),
        ("share of parameters on their bounds", "largest gradient of the critic by its input"),
        strict=True,
    ):
        for seed in runs.experiment.seeds:
            values = [runs.read(f"c-{b:g}", seed, score, "updates") for b in BOUNDS]
            axes.plot(BOUNDS, values, "o-", color=COLORS["wgan"], linewidth=1)
            if score == "lipschitz":
                penalty = runs.read("penalty", seed, score, "updates")
                name = "with the penalty" if seed == 0 else None
                axes.axhline(penalty, color=COLORS["wgan_gp"], linewidth=1, label=name)
        axes.set(xscale="log", xlabel="bound c", ylabel=label)
    both[0].set_ylim(0, 1)
    both[1].set_yscale("log")
    both[1].legend()
    return figure


def ring(runs: Runs) -> Figure:
    """Shows W1 of every cell of the three methods."""
    figure, both = plt.subplots(
        1, 2, figsize=(8, 3.4), layout="constrained", sharey=True, squeeze=True
    )
    marks = dict(zip(NETWORKS, ("o", "^"), strict=True))
    for axes, budget in zip(both, BUDGETS, strict=True):
        for column, method in enumerate(METHODS):
            for index, rate in enumerate(RATES):
                for offset, (network, mark) in zip((-0.06, 0.06), marks.items(), strict=True):
                    cell = f"{method}-{network}-{rate:g}"
                    values = [runs.read(cell, s, "w1", budget) for s in runs.experiment.seeds]
                    place = column + (index - 1) * 0.25 + offset
                    label = network if column == index == 0 else None
                    axes.plot(
                        [place] * len(values),
                        values,
                        mark,
                        color=COLORS[method],
                        alpha=0.7,
                        markersize=4,
                        label=label,
                    )
        _floor(axes, runs.floor("w1"))
        names = [NAMES[method] for method in METHODS]
        axes.set_xticks(range(len(names)), names)
        axes.set(title=f"within the {budget}", yscale="log")
    both[0].set_ylabel("w1; rates 1e-4, 5e-4, 2.5e-3 from the left")
    both[0].legend()
    return figure


PICTURES = {
    "distance": (distance, ("disjoint",)),
    "digits": (digits, ("digits",)),
    "losses": (losses, ("digits", "ring")),
    "clipping": (clipping, ("clipping",)),
    "ring": (ring, ("ring",)),
}


def main(names: Iterable[str] = PICTURES) -> None:
    """Draws what can be drawn."""
    kept = recorded("claims")
    runs = {name: Runs(name, kept.get(name, [])) for name in EXPERIMENTS}
    with mpl.rc_context(STYLE):
        for name in names:
            draw, needed = PICTURES[name]
            if any(runs[experiment].missing for experiment in needed):
                print(f"{name}: some runs are missing")
                continue
            figure = draw(*(runs[experiment] for experiment in needed))
            figure.savefig(FOLDER / f"claims_{name}.png")
            plt.close(figure)


if __name__ == "__main__":
    mpl.use("agg")
    main()
