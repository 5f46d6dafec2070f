"""Trains a GAN on 500 digits, with augmentations and without, and on all digits.

    python benchmarks/few_images.py run --data_dir data --jobs 2   # over three hours of one core
    python benchmarks/few_images.py table                          # writes docs/measured.md

The model is that of ``sngan_mnist``, and every run has as many updates. ``run`` trains what the
results lack, one thread each, and resumes what was stopped. Scores are those of the last update
on the 10,000 test digits, by ``evaluate --neighbours``. The logits are those of images as they
are, which nothing has augmented. ``table`` puts the runs it finds into
``results/few_images.json``, beside those that are there from before, and writes the table from it.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from claims_runs import evaluations
from torch import Tensor
from trained import (
    ROOT,
    RUNS,
    filled,
    finished,
    in_parallel,
    minutes,
    parser_of,
    recorded,
    scored,
    scored_run,
    spread,
    write_results,
)

from datamodules import MNIST
from lightning_gans import load
from lightning_gans.comparison.reading import read_run

PAGE = ROOT / "docs" / "measured.md"
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


def mean_logits(run: Path, case: str, data_dir: str) -> dict[str, dict[str, float]]:
    """Returns the means of the discriminator's logits: training, held-out, generated images."""
    model = load(run / "checkpoints" / "last.ckpt", averaged=False)
    data = MNIST(data_dir, subset=SUBSET if FEW[0] in CASES[case] else None)
    data.setup()
    held_out, rows = data.held_out[0]
    trained_on = torch.arange(len(data.training))[: len(rows)]
    own = torch.Generator().manual_seed(0)  # several runs can be scored at the same time
    shown: dict[str, Iterator[Tensor]] = {
        "training": (data.normalize(data.training.read(r)) for r in trained_on.split(500)),
        "held_out": (data.normalize(held_out.read(r)) for r in rows.split(500)),
        "generated": (model.sample(model.prior.sample(500, generator=own)) for _ in range(20)),
    }
    with torch.no_grad():
        means = {
            kind: float(torch.cat([model.discriminator(part) for part in parts]).mean())
            for kind, parts in shown.items()
        }
    return {"logits": means}


def course(run: Path) -> dict[str, Any]:
    """Returns the scores of validations, and the last probability that adapts, if there is one."""
    read = read_run(run)
    scores = {f"{row['update']:.0f}": row["fd_digits"] for row in evaluations(read)}
    p = [row["train/augment.p"] for row in read.rows if "train/augment.p" in row]
    return {"course": scores, **({"augment.p": p[-1]} if p else {})}


def gaps(record: dict[str, Any]) -> tuple[float, float]:
    """Returns how far training images are above held-out ones, and its share of the whole gap."""
    logits = record["logits"]
    gap = logits["training"] - logits["held_out"]
    return gap, gap / (logits["training"] - logits["generated"])


def lines(runs: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of the table in Markdown, or how many runs it waits for."""
    names = [name_of(case, seed) for case in CASES for seed in SEEDS]
    missing = sum(name not in runs for name in names)
    if missing:
        yield f"Not measured yet: {missing} of {len(names)} runs are missing."
        return
    shown = ["fd_digits", "precision", "recall", "coverage", "copies"]
    yield "| trained on | minutes | logit gap | share | " + " | ".join(shown) + " |"
    yield "|---|---|---|---|" + "---|" * len(shown)
    floors: dict[str, float] = {}
    for case, title in NAMES.items():
        records = [runs[name_of(case, seed)] for seed in SEEDS]
        floors = records[0]["floors"]
        gap, share = zip(*map(gaps, records), strict=True)
        taken = spread([minutes(record) for record in records], 1)
        cells = [spread([r["scores"][c] for r in records], d) for c, d in COLUMNS.items()]
        numbers = [taken, spread([*gap], 2), spread([*share], 3), *cells]
        yield f"| {title} | {' | '.join(numbers)} |"
    cells = [f"{floors[c]:.{d}f}" for c, d in COLUMNS.items()]
    yield f"| real data | - | - | - | {' | '.join(cells)} |"


def written() -> str:
    """Returns the page with the table of the results."""
    return filled(PAGE.read_text(), {"few images": lines(recorded("few_images"))})


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    given = parser.parse_args()
    known = recorded("few_images")
    cases = {name_of(case, seed): (case, seed) for seed in SEEDS for case in CASES}
    if given.action == "table":
        for name, record in scored(RUNS, cases).items():
            run = finished(RUNS, name)
            assert run is not None
            known[name] = {**record, **course(run)}
        write_results("few_images", known)
        PAGE.write_text(written())
        return
    calls = []
    for name, (case, seed) in cases.items():
        if name not in known:
            new = flags(case, seed, given.data_dir)
            logits = partial(mean_logits, case=case, data_dir=given.data_dir)
            calls.append(partial(scored_run, name, RUNS, new, ["--neighbours"], logits))
    in_parallel(given.jobs, calls)


if __name__ == "__main__":
    main()
