"""Trains models of codes, of few labels, of translation and of many modes, and tabulates scores.

    python benchmarks/tasks.py run --data_dir data --jobs 2   # about sixteen hours of one core
    python benchmarks/tasks.py table                          # writes docs/benchmarks.md

``run`` takes names of tables. It trains what the results lack, one thread each, and resumes what
was stopped. Scores are those of the last update on the validation data, by ``evaluate``.
``table`` puts the runs it finds into ``results/tasks.json``, beside those that are there from
before, writes the tables from it, and draws samples for the gallery: see ``gallery.py``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from images import draw
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

PAGE = ROOT / "docs" / "benchmarks.md"
SEEDS = range(3)
Runs = Mapping[str, Mapping[str, Any]]
"""The records of runs, by their names."""


@dataclass(frozen=True)
class Task:
    """What is told of in one table.

    Attributes:
        cases: a config and further flags for each row, by what the row is called.
        columns: scores with their decimals.
        data: key of the ``data_dir``; "" if the data is made.
    """

    cases: Mapping[str, tuple[str, tuple[str, ...]]]
    columns: Mapping[str, int]
    data: str = "--data.data_dir"


def _alone(*configs: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f"`{config}`": (config, ()) for config in configs}


PIXELS = {"paired_l1": 3, "paired_psnr": 2, "label_fidelity": 3, "fd_digits": 2}
WAYS = {
    **{f"{score}_{side}": 3 for score in ("paired_l1", "label_fidelity") for side in "ab"},
    "cycle_l1": 3,
}
NUMBERS = {"modes_1000": 0, "kl_1000": 3}
TASKS = {
    "codes": Task(
        _alone("infogan_mnist_small"), {"code_mi": 2, "code_matched": 3, "fd_digits": 2}
    ),
    "encoders": Task(
        {
            **_alone("bigan_mnist_tuned"),
            "the same without its reconstruction term": (
                "bigan_mnist_tuned",
                ("--model.reconstruction_weight", "0"),
            ),
            **_alone("aae_mnist_tuned", "vae_gan_mnist_tuned"),
        },
        {
            **{"reconstruction_fidelity": 3, "reconstruction_mse": 4, "fd_digits": 2},
            **{"code_sliced_w": 3, "neighbour_accuracy": 3, "neighbour_accuracy_untrained": 3},
            "neighbour_accuracy_pixels": 3,
        },
    ),
    "few labels": Task(
        {
            **_alone("sgan_mnist_small"),
            "`sgan_mnist_small`, the labels alone": (
                "sgan_mnist_small",
                ("--model.unlabelled_weight", "0", "--trainer.max_steps", "1000"),
            ),
            **_alone("semi_supervised_aae_mnist_small"),
            "`semi_supervised_aae_mnist_small`, the labels alone": (
                "semi_supervised_aae_mnist_small",
                ("--model.unlabelled_weight", "0", "--trainer.max_steps", "1000"),
            ),
        },
        {"accuracy": 3, "reconstruction_fidelity": 3},
        "--data.source.data_dir",
    ),
    "pairs": Task(
        {
            **_alone("pix2pix_mnist"),
            "the same without a discriminator": (
                "pix2pix_mnist",
                ("--model.adversarial_weight", "0"),
            ),
        },
        PIXELS,
    ),
    "no pairs": Task(_alone("cyclegan_inverted_mnist", "cyclegan_edges_mnist"), WAYS),
    "no pairs of points": Task(
        {
            **_alone("cyclegan_mixture"),
            "the same without its identity loss": (
                "cyclegan_mixture",
                ("--model.identity_weight", "0"),
            ),
        },
        {"modes": 1, **WAYS},
        "",
    ),
    "stacked digits": Task(
        _alone("dcgan_stacked", "pacgan_stacked", "r3gan_stacked"),
        NUMBERS,
    ),
    "all stacked digits": Task(
        {
            **_alone("r3gan_stacked_tuned"),
            "the same with networks of all channels at once": (
                "r3gan_stacked_tuned",
                (
                    *("--model.generator", "InfoGANGenerator", "--model.generator.width", "24"),
                    *("--model.generator.hidden", "null"),
                    *("--model.generator.output", "torch.nn.Tanh"),
                    *("--model.discriminator", "DCGANDiscriminator"),
                    *("--model.discriminator.width", "24", "--model.discriminator.hidden", "256"),
                    *("--model.discriminator.normalization", "null"),
                ),
            ),
        },
        NUMBERS,
    ),
}


def name_of(task: str, row: int, seed: int) -> str:
    """Returns the name of a run."""
    return f"task_{task.replace(' ', '_')}_{row}_seed{seed}"


def runs_of(task: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields the name, the config and further flags of each run of a table."""
    for row, (config, flags) in enumerate(TASKS[task].cases.values()):
        for seed in SEEDS:
            yield name_of(task, row, seed), config, (*flags, "--seed_everything", str(seed))


def lines(task: str, runs: Runs) -> Iterator[str]:
    """Yields how many runs are missing, and a table in Markdown of the rows that are whole."""
    wanted = [name for name, *_ in runs_of(task)]
    missing = sum(name not in runs for name in wanted)
    if missing:
        yield f"Not measured yet: {missing} of {len(wanted)} runs."
    whole = {
        case: [runs[name] for name in names]
        for row, case in enumerate(TASKS[task].cases)
        if runs.keys() >= {*(names := [name_of(task, row, seed) for seed in SEEDS])}
    }
    if not whole:
        return
    if not whole:
        return
    if missing:
        yield ""
    columns = TASKS[task].columns
    yield "| config | updates | minutes | " + " | ".join(columns) + " |"
    yield "|---|---|---|" + "---|" * len(columns)
    floors: dict[str, float] = {}
    for case, records in whole.items():
        floors = {**records[0]["floors"], **floors}
        taken = spread([minutes(record) for record in records], 1)
        cells = [
            spread([record["scores"][score] for record in records], digits)
            if score in records[0]["scores"]
            else "-"
            for score, digits in columns.items()
        ]
        yield f"| {case} | {records[0]['updates']:,} | {taken} | {' | '.join(cells)} |"
    if not floors.keys() & columns.keys():
        return
    known = [f"{floors[s]:.{d}f}" if s in floors else "-" for s, d in columns.items()]
    yield f"| real data | - | - | {' | '.join(known)} |"


def unchanged() -> Iterator[tuple[str, Task, list[str]]]:
    """Yields configs that are trained as they stand, their tables and the names of their runs."""
    for task, content in TASKS.items():
        for row, (config, flags) in enumerate(content.cases.values()):
            if not flags:
                yield config, content, [name_of(task, row, seed) for seed in SEEDS]


def of_configs() -> dict[str, list[dict[str, Any]]]:
    """Returns the runs of configs that were trained as they stand, by config, if all are there."""
    runs = recorded("tasks")
    return {c: [runs[n] for n in names] for c, _, names in unchanged() if runs.keys() >= {*names}}


def draw_samples() -> None:
    """Draws the last samples of seed 0 of images, of each config whose run is there."""
    for config, task, (name, *_) in unchanged():
        run = finished(RUNS, name)
        if task.data and run is not None:
            target = ROOT / "docs" / "images" / "gallery" / f"{config}.png"
            draw(run, target, whole=task in (TASKS["pairs"], TASKS["no pairs"]))


def written() -> str:
    """Returns the page with the tables of the results."""
    runs = recorded("tasks")
    return filled(PAGE.read_text(), {task: [*lines(task, runs)] for task in TASKS})


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("tasks", nargs="*", help="names of tables; all if none is given")
    parser.add_argument("--data_dir", type=Path, default=Path("data"), help="folder above MNIST")
    given = parser.parse_intermixed_args()
    if given.action == "table":
        names = [name for task in TASKS for name, *_ in runs_of(task)]
        write_results("tasks", {**recorded("tasks"), **scored(RUNS, names)})
        PAGE.write_text(written())
        draw_samples()
        return
    known = recorded("tasks")
    calls = []
    for task in given.tasks or TASKS:
        key = TASKS[task].data
        data = (key, str(given.data_dir)) if key else ()
        for name, config, flags in runs_of(task):
            if name not in known:
                new = ("--config", config, *flags, *data)
                calls.append(partial(scored_run, name, RUNS, new))
    in_parallel(given.jobs, calls)


if __name__ == "__main__":
    main()
