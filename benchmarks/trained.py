"""Runs of configurations for the tables: made once, found again, and recorded."""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "benchmarks"
RESULTS = ROOT / "benchmarks" / "results"
KEPT = (
    *("seed", "updates", "wall_time_s", "scores", "floors"),
    *("precision", "commit", "versions", "machine"),
)
"""What the results keep of the record of a run."""
SCORED = "scored.json"
"""Name of the file with the scores of the last update, in the folder of a run."""
Case = TypeVar("Case")


def parser_of(doc: str, *, jobs: int = 1) -> argparse.ArgumentParser:
    """Returns the parser of an experiment that is run and tabulated.

    Args:
        doc: of its module; the first line describes it.
        jobs: how many runs are made at a time if nothing else is said.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--jobs", type=int, default=jobs, help="runs at a time")
    return parser


def told(cases: Iterable[Case], what: str = "") -> Iterator[Case]:
    """Yields cases, and tells how many are finished as each of them is."""
    known = [*cases]
    for number, case in enumerate(known, 1):
        start = time.monotonic()
        yield case
        _tell(number, len(known), f"{what} {case}".strip(), start)


def _tell(number: int, total: int, case: str, start: float) -> None:
    minutes = (time.monotonic() - start) / 60
    text = f"{number} of {total} finished: {case}, after {minutes:.1f} min"
    print(text, file=sys.stderr, flush=True)


def finished(root: Path, name: str) -> Path | None:
    """Returns the newest finished run of a name."""
    records = sorted((root / name).glob("version_*/run.json"), key=os.path.getmtime)
    done = [path for path in records if json.loads(path.read_text())["status"] == "finished"]
    return done[-1].parent if done else None


def begun(root: Path, name: str) -> Path | None:
    """Returns the last checkpoint of the newest run of a name, if it was stopped on its way."""
    found = sorted((root / name).glob("version_*/checkpoints/last.ckpt"), key=os.path.getmtime)
    return found[-1] if found else None


def train(config: str, seed: int, root: Path, threads: int, flags: Iterable[str]) -> None:
    """Trains one configuration with one seed on the CPU, or what has been left to do of that."""
    name = f"{config}_seed{seed}"
    if finished(root, name) is not None:
        return
    checkpoint = begun(root, name)
    if checkpoint is not None:
        start = ["--ckpt_path", str(checkpoint)]
    else:
        path = ROOT / "configs" / f"{config}.yaml"
        start = ["--config", str(path), "--seed_everything", str(seed), "--name", name]
        start += ["--trainer.default_root_dir", str(root), "--trainer.accelerator", "cpu", *flags]
    command = [sys.executable, str(ROOT / "cli.py"), "fit", *start]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    print("training", name, flush=True)
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        print(f"{name} failed:\n{result.stderr}", file=sys.stderr, flush=True)


def command_line(*arguments: str) -> None:
    """Runs the command line with one thread, and shows its errors."""
    subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def trained_run(name: str, root: Path, flags: Iterable[str]) -> Path:
    """Returns the folder of a run, trained with one thread on the CPU if it is not finished.

    Args:
        name: of the run.
        root: folder of all runs.
        flags: of a new run; one that was stopped resumes with its own.
    """
    if finished(root, name) is None:
        checkpoint = begun(root, name)
        new = ["--name", name, "--trainer.default_root_dir", str(root), *flags]
        new += ["--trainer.accelerator", "cpu"]
        command_line("fit", *(new if checkpoint is None else ["--ckpt_path", str(checkpoint)]))
    run = finished(root, name)
    assert run is not None
    return run


def scored_run(
    name: str,
    root: Path,
    flags: Iterable[str],
    options: Iterable[str] = (),
    further: Callable[[Path], Mapping[str, Any]] = lambda run: {},
) -> str:
    """Trains a run and scores its last update, as far as that is left to do; returns its name.

    Args:
        name: of the run.
        root: folder of all runs.
        flags: of a new run.
        options: of ``evaluate``.
        further: what else is kept of the finished run.
    """
    run = trained_run(name, root, flags)
    out = run / SCORED
    if not out.is_file():
        scores = run / "evaluated.json"
        checkpoint = str(run / "checkpoints" / "last.ckpt")
        command_line("evaluate", "--ckpt_path", checkpoint, *options, "--out", str(scores))
        record = json.loads(scores.read_text())
        del record["checkpoint"]
        trained = json.loads((run / "run.json").read_text())
        kept = {key: trained[key] for key in ("updates", "wall_time_s", "commit", "machine")}
        out.write_text(json.dumps({**record, **kept, **further(run)}))
    return name


def scored(root: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns what `scored_run` kept, by name, of the runs that are there."""
    found = {}
    for name in names:
        run = finished(root, name)
        if run is not None and (path := run / SCORED).is_file():
            found[name] = {**json.loads(path.read_text()), "cpu_seconds": cpu_seconds(run)}
    return found


def recorded(results: str) -> dict[str, Any]:
    """Returns what is in ``results/<results>.json``: nothing if there is no such file."""
    path = RESULTS / f"{results}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def in_parallel(jobs: int, calls: Iterable[Callable[[], str]]) -> None:
    """Makes calls, some at a time, and tells what each of them has finished."""
    with ThreadPoolExecutor(jobs) as pool:
        for run in as_completed([pool.submit(call) for call in calls]):
            print("finished", run.result(), flush=True)


def train_all(plan: Iterable[tuple[str, int, Iterable[str]]], root: Path, jobs: int) -> None:
    """Trains configurations with seeds and flags, some at a time, sharing the cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    start = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        runs = {
            pool.submit(train, config, seed, root, threads, flags): f"{config}_seed{seed}"
            for config, seed, flags in plan
        }
        for number, run in enumerate(as_completed(runs), 1):
            run.result()
            _tell(number, len(runs), runs[run], start)


def record(run: Path) -> dict[str, Any]:
    """Returns what the results keep of a run."""
    whole = json.loads((run / "run.json").read_text())
    return {**{key: whole[key] for key in KEPT}, "cpu_seconds": cpu_seconds(run)}


def cpu_seconds(run: Path) -> float:
    """Returns the seconds of the CPU that a run has trained for, without its evaluations."""
    with (run / "metrics.csv").open(newline="") as file:
        return max(float(row["train/cpu_seconds"] or 0) for row in csv.DictReader(file))


def minutes(record: Mapping[str, Any]) -> float:
    """Returns how long a run has trained: on the CPU, or if no one knows that, by the clock."""
    known = "cpu_seconds" if "cpu_seconds" in record else "wall_time_s"
    return float(record[known]) / 60


def write_results(name: str, found: Mapping[str, Any]) -> None:
    """Writes ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def spread(values: list[float], digits: int) -> str:
    """Returns the mean of some values and, if they differ, their range."""
    low, high = (f"{v:.{digits}f}" for v in (min(values), max(values)))
    middle = f"{mean(values):.{digits}f}"
    return middle if low == high else f"{middle} ({low} to {high})"


def filled(page: str, parts: Mapping[str, Iterable[str]]) -> str:
    """Returns a page with each part between the two comments with its name.

    Raises:
        ValueError: if the page has no such comments.
    """
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        if end not in rest:
            raise ValueError(f"The page has no place for {name}.")
        after = rest.partition(end)[2]
        page = f"{before}{begin}" + "\n".join(lines) + f"\n{end}{after}"
    return page
