"""Trains the demo in 32-true and in bf16-mixed on several seeds and compares what they come to.

    python benchmarks/precision.py run      # three seeds in both precisions
    python benchmarks/precision.py table    # the table of what has been run

``table`` prints Markdown and writes ``results/precision.json``. Half precision is good enough if
its mean lies within what the seeds of full precision spread over.
"""

from pathlib import Path
from typing import Any

from trained import RUNS, finished, parser_of, record, spread, train_all, write_results

CONFIG = "wgan_gp_ring_tuned"
PRECISIONS = ("32-true", "bf16-mixed")
SEEDS = range(3)
COLUMNS = {"modes": 1, "high_quality": 3, "reverse_kl": 4, "w1": 3, "sliced_w": 3}


def rows(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Returns the table in Markdown."""
    lines = [
        "| precision | seeds | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for precision, records in runs.items():
        cells = [spread([r["scores"][c] for r in records], d) for c, d in COLUMNS.items()]
        lines.append(f"| `{precision}` | {len(records)} | " + " | ".join(cells) + " |")
    floors = next(iter(runs.values()))[0]["floors"]
    cells = [f"{floors[c]:.{d}f}" for c, d in COLUMNS.items()]
    return [*lines, "| real data | - | " + " | ".join(cells) + " |"]


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--root", type=Path, default=RUNS / "precision")
    given = parser.parse_args()
    if given.action == "run":
        for precision in PRECISIONS:
            plan = [(CONFIG, seed, ("--trainer.precision", precision)) for seed in SEEDS]
            train_all(plan, given.root / precision, given.jobs)
        return
    found = {}
    for precision in PRECISIONS:
        runs = [finished(given.root / precision, f"{CONFIG}_seed{seed}") for seed in SEEDS]
        found[precision] = [record(run) for run in runs if run is not None]
    found = {precision: records for precision, records in found.items() if records}
    if not found:
        raise SystemExit(f"there is no finished run in {given.root}: run it first.")
    write_results("precision", found)
    print("\n".join(rows(found)))


if __name__ == "__main__":
    main()
