"""Trains a logistic GAN on the 25 Gaussians and scores its samples before and after refining.

    python benchmarks/refine.py run      # three seeds, twenty minutes on a CPU
    python benchmarks/refine.py table    # writes the table in docs/measured.md

``run`` keeps what it finds already trained or scored. ``table`` writes ``results/refine.json``
and, from it, the table with a row for each way of sampling.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trained import (
    ROOT,
    RUNS,
    command_line,
    filled,
    finished,
    recorded,
    spread,
    told,
    trained_run,
    write_results,
)

PAGE = ROOT / "docs" / "measured.md"
NAME = "refine_r1"
SEEDS = range(3)
UPDATES = 8000
RATE = {"lr": "1e-3", "beta1": "0", "beta2": "0.9", "fused": "true"}
NETWORKS = ("MLPGenerator", "MLPDiscriminator")
WAYS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{way: ("--refine", way) for way in ("truncate", "drs", "mh", "ddls")},
}
"""Flags of ``evaluate``, by the way of sampling."""
COLUMNS = {"modes": 1, "high_quality": 3, "reverse_kl": 4, "w1": 3}


def flags(seed: int) -> list[str]:
    """Returns the flags of a new run."""
    found = ["--model", "GAN", "--model.prior", "NormalPrior", "--model.prior.dim", "16"]
    for player, network in zip(("generator", "discriminator"), NETWORKS, strict=True):
        found += [f"--model.{player}", network, f"--model.{player}.hidden", "[128,128,128]"]
        key = f"--model.optimizer_{player[0]}"
        found += [key, "GANAdam"]
        found += [part for name, value in RATE.items() for part in (f"{key}.{name}", value)]
    # It keeps the discriminator smooth, and the modes.
    found += ["--model.regularizers+=R1", "--model.regularizers.weight", "0.02"]
    found += ["--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR"]
    found += ["--model.scheduler.T_max", str(UPDATES)]
    found += ["--data", "GaussianGrid", "--data.batch_size", "256"]
    found += ["--trainer.max_steps", str(UPDATES), "--trainer.val_check_interval", str(UPDATES)]
    found += ["--pictures.enabled", "false"]
    return [*found, "--seed_everything", str(seed)]


def score(run: Path, way: str) -> None:
    """Scores the last checkpoint of a run with one way of sampling, if that has not been done."""
    out = run / f"refine_{way}.json"
    if not out.is_file():
        checkpoint = str(run / "checkpoints" / "last.ckpt")
        command_line("evaluate", "--ckpt_path", checkpoint, *WAYS[way], "--out", str(out))


def collect(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores that are there, by the way of sampling, in the order of the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for way in WAYS:
        for seed in SEEDS:
            run = finished(root, f"{NAME}_seed{seed}")
            path = None if run is None else run / f"refine_{way}.json"
            if path is not None and path.is_file():
                record = {"seed": seed, **json.loads(path.read_text())}
                del record["checkpoint"]
                found.setdefault(way, []).append(record)
    return found


def rows(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yields the lines of the table in Markdown."""
    yield "| `--refine` | accepted | modes | on modes | reverse KL | W1 |"
    yield "|---|---|---|---|---|---|"
    for way, records in found.items():
        rates = [record.get("refined", {}).get("acceptance") for record in records]
        accepted = "-" if None in rates else spread(rates, 3)
        cells = [spread([r["scores"][c] for r in records], d) for c, d in COLUMNS.items()]
        name = "none" if way == "none" else f"`{way}`"
        yield f"| {name} | {accepted} | {' | '.join(cells)} |"
    floors = found["none"][0]["floors"]
    cells = [f"{floors[c]:.{d}f}" for c, d in COLUMNS.items()]
    yield f"| real data | - | {' | '.join(cells)} |"


def written() -> str:
    """Returns the page with the table of the results."""
    return filled(PAGE.read_text(), {"refined samples": rows(recorded("refine"))})


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_args()
    if given.action == "run":
        for seed in told(SEEDS, "seed"):
            run = trained_run(f"{NAME}_seed{seed}", given.root, flags(seed))
            for way in WAYS:
                score(run, way)
        return
    write_results("refine", {**recorded("refine"), **collect(given.root)})
    PAGE.write_text(written())


if __name__ == "__main__":
    main()
