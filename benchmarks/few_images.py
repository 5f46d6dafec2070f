"""Trains a GAN on 500 digits, with augmentations and without, and on all digits.

    python benchmarks/few_images.py run --data_dir data --jobs 2   # about two hours of one core
    python benchmarks/few_images.py table                          # writes docs/objectives.md

The model is that of ``sngan_mnist``, and every run has as many updates. ``run`` keeps what it
finds already trained or scored, and resumes what was stopped. Scores are those of the last update
on the 10,000 test digits, by ``evaluate --neighbours``. The logits are those of images as they
are, which nothing has augmented. ``table`` writes ``results/few_images.json`` and, from it, the
table.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trained import (
    RESULTS,
    ROOT,
    RUNS,
    command_line,
    filled,
    finished,
    spread,
    trained_run,
    write_results,
)

from datamodules import MNIST
from lightning_gans import load

PAGE = ROOT / "docs" / "objectives.md"
SEEDS = range(3)
UPDATES = 5000
SUBSET = 500
FEW = ("--data.subset", str(SUBSET))
CASES: dict[str, tuple[str, ...]] = {
    "few": FEW,
    "few_augmented": (*FEW, "--model.augment", "DiffAugment"),
    "few_ada": (*FEW, "--model.augment", "ADA"),
    "few_apa": (*FEW, "--model.augment", "APA"),
    "all": (),
}
NAMES = {
    "few": f"{SUBSET} digits",
    "few_augmented": f"{SUBSET} digits, `DiffAugment`",
    "few_ada": f"{SUBSET} digits, `ADA`",
    "few_apa": f"{SUBSET} digits, `APA`",
    "all": "60,000 digits",
}
COLUMNS = {
    **{"fd_digits": 2, "precision_digits": 3, "recall_digits": 3, "coverage_digits": 3},
    "memorised_digits": 3,
}


def name_of(case: str, seed: int) -> str:
    """Returns the name of a run."""
    return f"few_images_{case}_seed{seed}"


def flags(case: str, seed: int, data_dir: str) -> list[str]:
    """Returns the flags of a new run."""
    found = ["--config", "sngan_mnist", "--data.data_dir", data_dir, *CASES[case]]
    found += ["--trainer.max_steps", str(UPDATES), "--trainer.val_check_interval", "1000"]
    return [*found, "--seed_everything", str(seed)]


def mean_logits(run: Path, case: str, data_dir: str) -> dict[str, float]:
    """Returns the mean of the discriminator's logits: training, held-out, generated images."""
    model = load(run / "checkpoints" / "last.ckpt", averaged=False)
    data = MNIST(data_dir, subset=SUBSET if FEW[0] in CASES[case] else None)
    data.setup()
    held_out, rows = data.held_out[0]
    trained_on = torch.arange(len(data.training))[: len(rows)]
    torch.manual_seed(0)
    shown: dict[str, Iterator[Tensor]] = {
        "training": (data.normalize(data.training.read(r)) for r in trained_on.split(500)),
        "held_out": (data.normalize(held_out.read(r)) for r in rows.split(500)),
        "generated": (model.sample(500) for _ in range(20)),
    }
    with torch.no_grad():
        return {
            kind: float(torch.cat([model.discriminator(part) for part in parts]).mean())
            for kind, parts in shown.items()
        }


def run_one(case: str, seed: int, data_dir: str, root: Path) -> str:
    """Trains and scores, as far as that is left to do; returns the name of the run."""
    run = trained_run(name_of(case, seed), root, flags(case, seed, data_dir))
    out = run / "few_images.json"
    if not out.is_file():
        scores = run / "few_images_scores.json"
        checkpoint = str(run / "checkpoints" / "last.ckpt")
        command_line("evaluate", "--ckpt_path", checkpoint, "--neighbours", "--out", str(scores))
        record = json.loads(scores.read_text())
        del record["checkpoint"]
        record["logits"] = mean_logits(run, case, data_dir)
        out.write_text(json.dumps(record))
    return name_of(case, seed)


def collect(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores that are there, by case, in the order of the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in CASES:
        for seed in SEEDS:
            run = finished(root, name_of(case, seed))
            path = None if run is None else run / "few_images.json"
            if path is not None and path.is_file():
                found.setdefault(case, []).append({"seed": seed, **json.loads(path.read_text())})
    return found


def gaps(record: dict[str, Any]) -> tuple[float, float]:
    """Returns how far training images are above held-out ones, and its share of the whole gap."""
    logits = record["logits"]
    gap = logits["training"] - logits["held_out"]
    return gap, gap / (logits["training"] - logits["generated"])


def rows(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yields the lines of the table in Markdown."""
    yield "| trained on | logit gap | share | fd_digits | precision | recall | coverage | copies |"
    yield "|---|---|---|---|---|---|---|---|"
    for case, records in found.items():
        gap, share = zip(*map(gaps, records), strict=True)
        cells = [spread([r["scores"][c] for r in records], d) for c, d in COLUMNS.items()]
        numbers = [spread([*gap], 2), spread([*share], 3), *cells]
        yield f"| {NAMES[case]} | {' | '.join(numbers)} |"
    floors = found["all"][0]["floors"]
    cells = [f"{floors[c]:.{d}f}" for c, d in COLUMNS.items()]
    yield f"| real data | - | - | {' | '.join(cells)} |"


def written() -> str:
    """Returns the page with the table of the results."""
    found = json.loads((RESULTS / "few_images.json").read_text())
    return filled(PAGE.read_text(), {"few images": rows(found)})


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_args()
    if given.action == "run":
        with ThreadPoolExecutor(given.jobs) as pool:
            runs = [
                pool.submit(run_one, case, seed, given.data_dir, given.root)
                for seed in SEEDS
                for case in CASES
            ]
            for run in as_completed(runs):
                print("finished", run.result(), flush=True)
        return
    write_results("few_images", collect(given.root))
    PAGE.write_text(written())


if __name__ == "__main__":
    main()
