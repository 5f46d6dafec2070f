"""Trains SNGAN by class and DCGAN on photos of CIFAR-10 for equal CPU seconds.

    python benchmarks/photos.py run --photos photos --jobs 2   # four hours of CPU time
    python benchmarks/photos.py table                          # writes docs/benchmarks.md

``run`` trains what the results lack with ``lightning-gans compare``, one thread each, and resumes
what was stopped. ``table`` writes ``results/photos.json`` and, from it, the scores over CPU
minutes of training, and others at the end; SNGAN's last samples go to ``docs/images/gallery``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claims_runs import evaluations, within
from compared import Cell, compare, write_configs
from images import draw
from trained import ROOT, filled, parser_of, recorded, write_results

from lightning_gans.comparison.reading import read_run

PAGE = ROOT / "docs" / "benchmarks.md"
RUNS = ROOT / "runs"
NAME = "photos"
SHOWN = "sngan_cifar10_small"
UPDATES = {SHOWN: 25_000, "dcgan_cifar10": 8_000}
MINUTES = (15, 30, 60, 90)
AT_END = {"label_fidelity": 3, "class_diversity": 3, "sliced_w": 3, "sliced_w_patches": 3}


def cells(photos: str, precision: str) -> dict[str, Cell]:
    """Returns the cells by their names, for a folder of photos and a precision of Lightning."""
    data = {
        "data.class_path": "ImageFolder",
        "data.init_args.path": photos,
        "data.init_args.image_size": 32,
        "trainer.val_check_interval": 500,
        "trainer.precision": precision,
        "pictures.every_n_updates": 500,
    }
    return {
        config: (config, {**data, "trainer.max_steps": updates})
        for config, updates in UPDATES.items()
    }


def collect() -> dict[str, dict[str, Any]]:
    """Returns what is kept of the runs that are finished, by config."""
    found = {}
    for folder in sorted((RUNS / NAME).glob("*/version_*")):
        run = read_run(folder)
        if run.status != "finished":
            continue
        keys = ("seed", "floors", "precision", "commit", "versions", "machine")
        kept = {key: run.record[key] for key in keys}
        found[run.name] = {**kept, "evaluations": evaluations(run)}
        if run.name == SHOWN:  # the gallery has the other one as images.py trains it
            draw(folder, ROOT / "docs" / "images" / "gallery" / f"{run.name}.png")
    return found


def of_configs() -> dict[str, dict[str, Any]]:
    """Returns the record of the last update of the configuration that the gallery shows."""
    run = recorded("photos").get(SHOWN)
    if run is None:
        return {}
    last = run["evaluations"][-1]
    found = {"updates": round(last["update"]), "cpu_seconds": last["cpu_seconds"], "scores": last}
    return {SHOWN: {**run, **found}}


def at(run: dict[str, Any], minutes: float) -> dict[str, float] | None:
    """Returns the last evaluation within some CPU minutes; None if training ended long before."""
    ended = run["evaluations"][-1]["cpu_seconds"] < 0.95 * 60 * minutes
    return None if ended else within(run["evaluations"], minutes)


def table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yields the lines of the tables in Markdown, and how many runs they wait for."""
    missing = UPDATES.keys() - found.keys()
    if missing:
        yield f"Not measured yet: {len(missing)} of {len(UPDATES)} runs are missing."
        yield ""
    if SHOWN not in found:
        return
    yield "| config | " + " | ".join(f"{minutes} min" for minutes in MINUTES) + " | real photos |"
    yield "|---|" + "---|" * (len(MINUTES) + 1)
    for config, run in found.items():
        rows = [at(run, minutes) for minutes in MINUTES]
        cells = ["-" if row is None else f"{row['fd_objects']:.2f}" for row in rows]
        yield f"| `{config}` | {' | '.join(cells)} | {run['floors']['fd_objects']:.2f} |"
    yield ""
    yield "| config | updates | precision | CPU min | " + " | ".join(AT_END) + " |"
    yield "|---|---|---|---|" + "---|" * len(AT_END)
    for config, run in found.items():
        last = run["evaluations"][-1]
        numbers = [f"{last[s]:.{d}f}" if s in last else "-" for s, d in AT_END.items()]
        minutes = last["cpu_seconds"] / 60
        begin = f"| `{config}` | {last['update']:,.0f} | {run['precision']} | {minutes:.0f} |"
        yield f"{begin} {' | '.join(numbers)} |"
    floors = found[SHOWN]["floors"]
    numbers = [f"{floors[score]:.{digits}f}" for score, digits in AT_END.items()]
    yield f"| real photos | - | - | - | {' | '.join(numbers)} |"


def written() -> str:
    """Returns the page with the tables of the results."""
    return filled(PAGE.read_text(), {"photos": table(recorded("photos"))})


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--photos", type=Path, help="CIFAR-10, a folder for each class")
    parser.add_argument("--precision", default="bf16-mixed", help="32-true on a CPU without bf16")
    given = parser.parse_args()
    if given.action == "run":
        if given.photos is None:
            parser.error("run needs --photos, a folder for each class of CIFAR-10")
        every = cells(str(given.photos.absolute()), given.precision)
        found = {name: cell for name, cell in every.items() if name not in recorded("photos")}
        files = write_configs(RUNS / NAME / "configs", found)
        compare(files, [0], RUNS, NAME, given.jobs, {})
        return
    write_results("photos", {**recorded("photos"), **collect()})
    PAGE.write_text(written())


if __name__ == "__main__":
    main()
