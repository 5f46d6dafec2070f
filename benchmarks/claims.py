"""Measures what the tutorials that this collection grew out of say of GANs.

    python benchmarks/claims.py run --data_dir data   # trains what is missing: hours on a CPU
    python benchmarks/claims.py table                 # the verdicts on what has been trained

``run`` takes names of experiments, ``--jobs`` and ``--max-hours``. It leaves the training to
``lightning-gans compare``, one thread for each run, and a second start resumes what was stopped.
``table`` puts the runs it finds into ``results/claims.json``, beside those that are there from
before, and writes the numbers and verdicts into docs/claims.md. The experiments are in
claims_runs.py, the rules of the verdicts in claims_rules.py.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from claims_rules import CLAIMS, WEIGHTS, Claim, Runs, verdict
from claims_runs import EXPERIMENTS, LAYERS, collect, train
from trained import ROOT, filled, parser_of, recorded, write_results

PAGE = ROOT / "docs" / "claims.md"


def judged(number: int, found: Mapping[str, Runs]) -> str:
    """Returns the verdict on a claim, or how many runs it waits for."""
    statements = CLAIMS[number].statements
    experiments = {s.experiment for s in statements}
    missing = sum(len(found[name].missing) for name in experiments)
    if missing:
        known = (EXPERIMENTS[name] for name in experiments)
        needed = sum(len(experiment.cells) * len(experiment.seeds) for experiment in known)
        return f"not measured yet: {missing} of {needed} runs are missing"
    return verdict(s.judge(found[s.experiment])[-1] for s in statements)


def table(claim: Claim, found: Mapping[str, Runs]) -> list[str]:
    """Returns the statements of a claim with what was found, in Markdown."""
    lines = ["| statement | mean | 95 % interval | seeds | |", "|---|---|---|---|---|"]
    for statement in claim.statements:
        mean, bound, word = statement.judge(found[statement.experiment])
        low, high = mean.interval or (math.nan, math.nan)
        text = statement.text + (f" ({bound:.3f})" if callable(statement.bound) else "")
        interval = f"{low:.3g} to {high:.3g}"
        lines.append(f"| {text} | {mean.mean:.3g} | {interval} | {len(mean.values)} | {word} |")
    return lines


def layers(runs: Runs) -> list[str]:
    """Returns what became of each layer of the critics of `CLIPPING`, in Markdown."""
    kinds = [
        sorted(key for key in runs.rows("penalty", 0)[-1] if key.startswith(kind))
        for kind in LAYERS
    ]
    numbers = [f"layer {number}" for number in range(1, len(kinds[0]) + 1)]
    lines = [
        " | ".join(
            ["| critic", *(f"at the bounds, {n}" for n in numbers)]
            + [f"gradient, {n}" for n in numbers]
        )
        + " |",
        "|---|" + "---|" * 2 * len(numbers),
    ]
    for cell in runs.experiment.cells:
        values = [
            [
                fmean(runs.read(cell, s, key, "updates") for s in runs.experiment.seeds)
                for key in kind
            ]
            for kind in kinds
        ]
        shares = ["-"] * len(numbers) if cell == "penalty" else [f"{v:.0%}" for v in values[0]]
        name = "penalty" if cell == "penalty" else f"c = {cell.removeprefix('c-')}"
        lines.append(" | ".join([f"| {name}", *shares, *(f"{v:.2g}" for v in values[1])]) + " |")
    return lines


def parts(kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, list[str]]]:
    """Yields the name and the lines of each part of the page that is made from results."""
    found = {name: Runs(name, kept.get(name, [])) for name in EXPERIMENTS}
    rows = [
        f"| [{n}](#claim-{n}) | {claim.title} | {judged(n, found)} |"
        for n, claim in CLAIMS.items()
    ]
    yield "verdicts", ["| | claim | verdict |", "|---|---|---|", *rows]
    for number, claim in CLAIMS.items():
        word = judged(number, found)
        lines = [f"Verdict: **{word}**."]
        if not word.startswith("not measured"):
            more = [*layers(found["clipping"]), ""] if claim is WEIGHTS else []
            lines = [*table(claim, found), "", *more, *lines]
        yield f"claim {number}", lines
    runs = [run for name in EXPERIMENTS for run in kept.get(name, [])]
    commits = dict.fromkeys(f"`{run['commit'][:7]}`" for run in runs)
    yield "commits", [f"Commits: {', '.join(commits)}." if commits else "No run has ended yet."]


def page() -> str:
    """Returns docs/claims.md with the results that are there."""
    return filled(PAGE.read_text(), dict(parts(recorded("claims"))))


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__, jobs=2)
    parser.add_argument("experiments", nargs="*", help="all if none is given")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--max-hours", type=float, help="of each experiment")
    given = parser.parse_args()
    names = given.experiments or list(EXPERIMENTS)
    if given.action == "run":
        for name in names:
            train(name, given.data_dir, given.jobs, given.max_hours)
        return
    before = recorded("claims")
    kept = {
        name: {(r["cell"], r["seed"]): r for r in before.get(name, [])} for name in EXPERIMENTS
    }
    for name in names:
        kept[name].update({(r["cell"], r["seed"]): r for r in collect(name)})
    write_results("claims", {name: [*runs.values()] for name, runs in kept.items()})
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
