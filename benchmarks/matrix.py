"""Measures losses with penalties on the same networks and data: which modes each finds.

    python benchmarks/matrix.py run      # trains what is missing: hours on a CPU
    python benchmarks/matrix.py table    # the table and the picture of what has been trained

``run`` takes the data, ``ring`` or ``grid``, and ``--jobs``. It leaves the training to
``lightning-gans compare``, one thread for each run, and a second start resumes what was stopped.
``table`` puts the runs it finds into ``results/matrix.json``, beside those that are there from
before, writes the tables into docs/measured.md and draws docs/images/matrix.png.

All cells have the networks, optimizers and batches of ``r3gan_ring_tuned``, on the grid those of
``r3gan_grid_tuned``, one discriminator update a round, the same seeds and the same updates.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import yaml
from compared import Cell, compare, recorded_cells, write_configs
from matplotlib.figure import Figure
from trained import ROOT, filled, parser_of, recorded, write_results

from lightning_gans.comparison.reading import read_run

RUNS = ROOT / "runs" / "matrix"
PAGE = ROOT / "docs" / "measured.md"
PICTURE = ROOT / "docs" / "images" / "matrix.png"

LOSSES: dict[str, Any] = {
    "non_saturating": "NonSaturating",
    "minimax": "Minimax",
    "least_squares": "LeastSquares",
    "hinge": "Hinge",
    "wasserstein": "Wasserstein",
    "relativistic_paired": "RelativisticPaired",
    "relativistic_average": "RelativisticAverage",
    "kl": {"class_path": "FDivergence", "init_args": {"kind": "kl"}},
}
"""As a config has them, by the names that cells begin with."""
TITLES = {
    "none": "none",
    "r1": "R1",
    "r1_r2": "R1 + R2",
    "gp": "gradient penalty",
    "spectral": "spectral norm",
    "packs": "packs of 2",
}
"""Of the columns, by the names that cells end with."""
SCALE = 100.0
"""Of the logits under spectral norm: they can change by 1 within one sd of the ring's modes."""
SHOWN = {"modes": 1, "high_quality": 3, "reverse_kl": 3}
"""Scores of the tables, with their decimals."""


@dataclass(frozen=True)
class Data:
    """What all cells of one table have in common.

    Attributes:
        config: whose networks, optimizers, batches and data they have.
        title: of the data.
        modes: that it has.
        columns: what is combined with each loss.
        seeds: of each cell.
        updates: of each run.
    """

    config: str
    title: str
    modes: int
    columns: Sequence[str]
    seeds: range
    updates: int


DATA = {
    "ring": Data(
        "r3gan_ring_tuned",
        "8 modes on a ring of radius 1, sd 0.01",
        8,
        [*TITLES],
        range(3),
        7_500,
    ),
    "grid": Data(
        "r3gan_grid_tuned",
        "25 modes on a grid from -1 to 1, sd 0.0125",
        25,
        ["none", "r1_r2", "gp"],
        range(2),
        20_000,
    ),
}


def _penalty(name: str, weight: float) -> dict[str, Any]:
    return {"class_path": name, "init_args": {"weight": weight}}


def cells(data: Data) -> dict[str, Cell]:
    """Returns the cells of a table by name: a config each, and what is set in it."""
    config = yaml.safe_load((ROOT / "configs" / f"{data.config}.yaml").read_text())
    given = dict(config["model"]["init_args"])
    gamma = given.pop("gamma")
    length = data.updates
    given["scheduler"] = {**given["scheduler"], "init_args": {"T_max": length}}
    penalties = {
        "r1": [_penalty("R1", gamma)],
        "r1_r2": [_penalty("R1", gamma), _penalty("R2", gamma)],
        "gp": [_penalty("GradientPenalty", 0.1)],
    }
    size = config["data"]["init_args"]["batch_size"]
    found: dict[str, Cell] = {}
    for name, loss in LOSSES.items():
        for column in data.columns:
            model = {**given, "loss": loss, "regularizers": penalties.get(column, [])}
            if column == "spectral":
                wrapped = {"network": given["discriminator"], "scale": SCALE}
                model["discriminator"] = {"class_path": "SpectralNorm", "init_args": wrapped}
            packed = column == "packs"
            settings = {
                "model": {"class_path": "PacGAN" if packed else "GAN", "init_args": model},
                # As many packs as there are samples in the other columns, as the authors have it.
                "data.init_args.batch_size": 2 * size if packed else size,
                "trainer.max_steps": length,
                "trainer.val_check_interval": length,
                "pictures.every_n_updates": length,
            }
            found[f"{name}-{column}"] = (data.config, settings)
    return found


def train(name: str, jobs: int, max_hours: float | None) -> None:
    """Trains what is missing of a table, or resumes it."""
    files = write_configs(RUNS / name / "configs", cells(DATA[name]))
    compare(
        files, DATA[name].seeds, RUNS, name, jobs, {}, max_hours, recorded_cells("matrix", name)
    )


def collect(name: str) -> list[dict[str, Any]]:
    """Returns what is kept of the runs of a table that have ended."""
    found = []
    for folder in sorted((RUNS / name).glob("*/version_*")):
        run = read_run(folder)
        if run.status not in ("finished", "failed"):
            continue
        if run.status == "failed" and "DivergenceError" not in run.message:
            raise SystemExit(f"{folder} failed: {run.message}. Remove it and run this again.")
        scored = run.scored("validation") if run.status == "finished" else None
        found.append(
            {
                "cell": run.name,
                "seed": run.seed,
                "status": run.status,
                "message": run.message,
                "updates": run.updates,
                "scores": {k: v for k, v in scored.scores.items() if k in SHOWN} if scored else {},
                "floors": {k: v for k, v in run.record.get("floors", {}).items() if k in SHOWN},
                "seconds": run.record["wall_time_s"],
                "commit": run.record["commit"],
                "machine": run.record["machine"],
            }
        )
    return found


class Table:
    """The runs of one table.

    Args:
        name: of the data.
        runs: as `collect` returns them.
    """

    def __init__(self, name: str, runs: Sequence[Mapping[str, Any]]) -> None:
        self.data = DATA[name]
        self.runs = {(run["cell"], run["seed"]): run for run in runs}

    def missing(self) -> int:
        """Returns how many runs are not there."""
        wanted = {(cell, seed) for cell in cells(self.data) for seed in self.data.seeds}
        return len(wanted - self.runs.keys())

    def scores(self, loss: str, column: str) -> tuple[dict[str, float], int]:
        """Returns the mean scores of a cell, and how many of its runs diverged.

        A run that diverged finds no mode.
        """
        runs = [self.runs[f"{loss}-{column}", seed] for seed in self.data.seeds]
        diverged = [run for run in runs if run["status"] == "failed"]
        worst = {"modes": 0.0, "high_quality": 0.0, "reverse_kl": math.log(self.data.modes)}
        means = {key: fmean(run["scores"].get(key, worst[key]) for run in runs) for key in SHOWN}
        return means, len(diverged)

    def floors(self) -> dict[str, float]:
        """Returns what real samples score."""
        known = [run["floors"] for run in self.runs.values() if run["floors"]]
        return {key: fmean(floors[key] for floors in known) for key in SHOWN}

    def lines(self) -> list[str]:
        """Returns the table in Markdown."""
        columns = self.data.columns
        lines = [
            "| loss | " + " | ".join(TITLES[column] for column in columns) + " |",
            "|---|" + "---|" * len(columns),
        ]
        for loss in LOSSES:
            words = [self._words(*self.scores(loss, column)) for column in columns]
            lines.append(f"| `{loss}` | " + " | ".join(words) + " |")
        floors = self._words(self.floors(), 0)
        return [*lines, "", f"Real samples: {floors}."]

    def _words(self, scores: Mapping[str, float], diverged: int) -> str:
        text = " / ".join(f"{scores[key]:.{digits}f}" for key, digits in SHOWN.items())
        return f"{text} ({diverged} diverged)" if diverged else text


def parts(kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, list[str]]]:
    """Yields the name and the lines of each part of the page that is made from results."""
    for name, data in DATA.items():
        table = Table(name, kept.get(name, []))
        missing, number = table.missing(), len(cells(data)) * len(data.seeds)
        waiting = [f"Not measured yet: {missing} of {number} runs are missing."]
        yield f"matrix of the {name}", waiting if missing else table.lines()


def drawn(tables: Sequence[Table]) -> Figure:
    """Shows the share of samples on modes as colors, with the modes and the reverse KL."""
    widths = [len(table.data.columns) for table in tables]
    figure, axes = plt.subplots(
        1, len(tables), figsize=(2.2 + 1.15 * sum(widths), 4.6), width_ratios=widths, sharey=True
    )
    for place, table in zip(axes, tables, strict=True):
        found = [[table.scores(loss, column) for column in table.data.columns] for loss in LOSSES]
        shares = [[scores["high_quality"] for scores, _ in row] for row in found]
        image = place.imshow(shares, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for y, row in enumerate(found):
            for x, (scores, diverged) in enumerate(row):
                text = f"{scores['modes']:.1f} modes\n{scores['high_quality']:.1%}"
                text += f"\nKL {scores['reverse_kl']:.2f}"
                text = "diverged" if diverged == len(table.data.seeds) else text
                color = "white" if scores["high_quality"] < 0.6 else "black"
                place.text(x, y, text, ha="center", va="center", color=color, fontsize=6.5)
        columns = [TITLES[column].replace(" ", "\n", 1) for column in table.data.columns]
        place.set_xticks(range(len(columns)), columns, fontsize=8)
        place.set_yticks(range(len(LOSSES)), LOSSES, fontsize=8)
        place.set_title(table.data.title, fontsize=9)
        place.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="share of samples on modes", fraction=0.025, pad=0.02)
    return figure


def page() -> str:
    """Returns docs/measured.md with the results that are there."""
    return filled(PAGE.read_text(), dict(parts(recorded("matrix"))))


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__, jobs=2)
    parser.add_argument("data", nargs="*", choices=(*DATA, []), help="all if none is given")
    parser.add_argument("--max-hours", type=float, help="of each table")
    given = parser.parse_intermixed_args()
    names = given.data or list(DATA)
    if given.action == "run":
        for name in names:
            train(name, given.jobs, given.max_hours)
        return
    kept = {
        name: {(r["cell"], r["seed"]): r for r in recorded("matrix").get(name, [])}
        for name in DATA
    }
    for name in names:
        kept[name].update({(r["cell"], r["seed"]): r for r in collect(name)})
    runs = {name: [*found.values()] for name, found in kept.items()}
    write_results("matrix", runs)
    PAGE.write_text(page())
    tables = [Table(name, runs[name]) for name in DATA]
    if not any(table.missing() for table in tables):
        mpl.use("agg")
        drawn(tables).savefig(PICTURE, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
