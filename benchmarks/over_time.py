"""Compares SNGAN and the tuned WGAN-GP on digits after equal CPU minutes of training.

    python benchmarks/over_time.py run --data_dir data --jobs 2   # over two hours of one core
    python benchmarks/over_time.py table                          # writes docs/benchmarks.md

``run`` trains what is missing in single precision, one thread each, and resumes what was stopped.
The run of SNGAN is that of ``images.py``. WGAN-GP is stopped long before its end, with the rates
that its config has by then. ``table`` puts the runs it finds into ``results/over_time.json``,
beside those that are there from before, and writes the table from it.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from claims_runs import evaluations, within
from trained import (
    KEPT,
    ROOT,
    RUNS,
    filled,
    finished,
    in_parallel,
    parser_of,
    recorded,
    trained_run,
    write_results,
)

from lightning_gans.comparison.reading import read_run

PAGE = ROOT / "docs" / "benchmarks.md"
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "sngan_mnist": ("sngan_mnist_seed0", ()),
    "wdcgan_gp_mnist_tuned": (
        "wdcgan_gp_mnist_tuned_begun_seed0",
        ("--trainer.max_steps", "12000", "--trainer.val_check_interval", "1000"),
    ),
}
"""Names of the runs and what is not as in the config, by config."""
MINUTES = (10, 20, 30, 45, 60)


def flags(config: str, data_dir: str) -> list[str]:
    """Returns the flags of a new run."""
    found = ["--config", config, "--data.data_dir", data_dir, "--seed_everything", "0"]
    return [*found, "--trainer.precision", "32-true", *CASES[config][1]]


def collect() -> dict[str, Any]:
    """Returns what is kept of the runs that are finished, by config."""
    found = {}
    for config, (name, _) in CASES.items():
        folder = finished(RUNS, name)
        if folder is not None:
            run = read_run(folder)
            rows = [
                {key: row[key] for key in ("update", "cpu_seconds", "fd_digits")}
                for row in evaluations(run)
            ]
            kept = {key: run.record[key] for key in KEPT}
            found[config] = {**kept, "evaluations": rows}
    return found


def at(rows: list[dict[str, float]], minutes: float) -> str:
    """Returns the score of the last evaluation within some CPU minutes, with its update."""
    row = within(rows, minutes)
    return "-" if row is None else f"{row['fd_digits']:.2f} ({row['update']:,.0f})"


def lines(runs: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of the table in Markdown."""
    missing = CASES.keys() - runs.keys()
    if missing:
        yield f"Not measured yet: {len(missing)} of {len(CASES)} runs are missing."
        return
    yield "| config | " + " | ".join(f"{minutes} min" for minutes in MINUTES) + " |"
    yield "|---|" + "---|" * len(MINUTES)
    for config in CASES:
        cells = [at(runs[config]["evaluations"], minutes) for minutes in MINUTES]
        yield f"| `{config}` | {' | '.join(cells)} |"


def written() -> str:
    """Returns the page with the table of the results."""
    return filled(PAGE.read_text(), {"over time": lines(recorded("over_time"))})


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    given = parser.parse_args()
    if given.action == "table":
        write_results("over_time", {**recorded("over_time"), **collect()})
        PAGE.write_text(written())
        return
    in_parallel(
        given.jobs,
        [
            partial(trained_run, name, RUNS, flags(config, given.data_dir))
            for config, (name, _) in CASES.items()
        ],
    )


if __name__ == "__main__":
    main()
