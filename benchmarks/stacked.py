"""Trains GANs on stacked digits, to see which of them lose modes.

    python benchmarks/stacked.py run --data_dir data --jobs 2   # about four hours of one core
    python benchmarks/stacked.py table                          # writes docs/objectives.md

``run`` trains what is missing with ``lightning-gans compare``, one thread for each run, and
resumes what was stopped. ``table`` puts the runs it finds into ``results/stacked.json``, beside
those that are there from before, and writes the table from it.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compared import compare, recorded, write_configs
from trained import RESULTS, ROOT, filled, spread, write_results

from lightning_gans.comparison.reading import read_run

PAGE = ROOT / "docs" / "objectives.md"
RUNS = ROOT / "runs" / "stacked"
NAME = "stacked"
SEEDS = range(3)
CONFIGS = {
    "dcgan_stacked": "non-saturating",
    "pacgan_stacked": "non-saturating, packs of 2",
    "r3gan_stacked": "relativistic, R1 + R2, no BatchNorm",
}
SHOWN = {"modes_1000": 0, "kl_1000": 3}


def collect() -> list[dict[str, Any]]:
    """Returns what is kept of the runs that have ended."""
    found = []
    for folder in sorted((RUNS / NAME).glob("*/version_*")):
        run = read_run(folder)
        scored = run.scored("validation") if run.status == "finished" else None
        if scored is not None:
            found.append(
                {
                    "cell": run.name,
                    "seed": run.seed,
                    "updates": run.updates,
                    "scores": {key: scored.scores[key] for key in SHOWN},
                    "floors": {key: run.record["floors"][key] for key in SHOWN},
                    "seconds": run.record["wall_time_s"],
                    "commit": run.record["commit"],
                    "machine": run.record["machine"],
                }
            )
    return found


def lines(kept: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the table in Markdown, or how many runs it waits for."""
    runs = {(run["cell"], run["seed"]): run for run in kept}
    wanted = {(config, seed) for config in CONFIGS for seed in SEEDS}
    missing = len(wanted - runs.keys())
    if missing:
        yield f"Not measured yet: {missing} of {len(wanted)} runs are missing."
        return
    yield "| config | loss | updates | " + " | ".join(f"`{key}`" for key in SHOWN) + " |"
    yield "|---|---|---|" + "---|" * len(SHOWN)
    for config, loss in CONFIGS.items():
        found = [runs[config, seed] for seed in SEEDS]
        values = [spread([run["scores"][key] for run in found], d) for key, d in SHOWN.items()]
        yield f"| `{config}` | {loss} | {found[0]['updates']:,} | {' | '.join(values)} |"
    floors = kept[0]["floors"]
    values = [f"{floors[key]:.{digits}f}" for key, digits in SHOWN.items()]
    yield f"| real digits | - | - | {' | '.join(values)} |"


def known() -> list[dict[str, Any]]:
    """Returns the runs in ``results/stacked.json``."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())[NAME] if path.exists() else []


def page() -> str:
    """Returns docs/objectives.md with the results that are there."""
    return filled(PAGE.read_text(), {"stacked digits": [*lines(known())]})


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--max-hours", type=float, help="of all runs")
    given = parser.parse_args()
    if given.action == "run":
        files = write_configs(RUNS / NAME / "configs", {name: (name, {}) for name in CONFIGS})
        data = {"data.init_args.data_dir": given.data_dir}
        done = recorded(NAME, NAME)
        compare(files, SEEDS, RUNS, NAME, given.jobs, data, given.max_hours, done)
        return
    runs = {(run["cell"], run["seed"]): run for run in (*known(), *collect())}
    write_results(NAME, {NAME: [*runs.values()]})
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
