"""Measures networks for images: what an update takes, and what minutes on a GPU bring.

    python benchmarks/networks.py run --data_dir data --photos photos  # time and memory
    python benchmarks/networks.py train --photos photos                # minutes on a GPU
    python benchmarks/networks.py table                                # writes two pages of docs

``--photos`` is CIFAR-10 as photos, a folder for each class. ``run`` trains each configuration for
some updates in a process of its own: on the CPU with one thread, on a GPU, with ``--accelerator
gpu``, in several ways. ``train`` trains configurations in bf16 on a GPU for ``--minutes``, side by
side. ``results/networks.json`` keeps what was found.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from claims_runs import evaluations
from compared import config_of, write_configs
from images import draw
from timed import Timed
from trained import ROOT, filled, finished, recorded, told, write_results

from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.cli.training import GANCLI
from lightning_gans.comparison.reading import read_run

PERFORMANCE = ROOT / "docs" / "performance.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
SCORES = {"fd_objects": 2, "label_fidelity": 3, "class_diversity": 3, "sliced_w_patches": 3}
WARM_UP = 48
"""Updates before the first turn on a GPU; a multiple of the 16 between two regularized ones."""
UPDATES = {"cpu": 16, "gpu": 32}
"""Of one turn, and before the first one on a CPU; likewise."""


@dataclass(frozen=True)
class Way:
    """How a configuration is trained.

    Attributes:
        settings: of the trainer and the model, by key.
        environment: of the process.
        callbacks: names of what else the trainer has.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    callbacks: tuple[str, ...] = ()


HALF = {"trainer.precision": "bf16-mixed"}
COMPILED = {**HALF, "model.init_args.compile": True}
WAYS = {
    "eager, `32-true`": Way(),
    "eager, `bf16-mixed`": Way(HALF),
    "eager, `bf16-mixed`, channels last": Way(HALF, callbacks=("timed.ChannelsLast",)),
    "compiled, `bf16-mixed`": Way(COMPILED),
    "compiled, `bf16-mixed`, CUDA graphs": Way(COMPILED, {"TORCHINDUCTOR_CUDAGRAPHS": "1"}),
}
EAGER = next(iter(WAYS))
LARGE = ("sngan_cifar10", "stylegan2_cifar10")
"""Configurations for a GPU."""
SMALL = (
    *("dcgan_mnist", "sngan_mnist", "biggan_mnist", "stylegan2_mnist_tiny"),
    *("dcgan_cifar10", "sngan_cifar10_small", "r3gan_cifar10_tiny"),
)
"""Configurations for a CPU."""


def photos_of(folder: Path) -> dict[str, Any]:
    """Returns the settings of a folder of photos, by key."""
    return {
        "data.class_path": "ImageFolder",
        "data.init_args.path": str(folder.absolute()),
        "data.init_args.image_size": 32,
    }


def data_of(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of the data of a configuration, by key."""
    if "mnist" in name:
        return {"data.init_args.data_dir": str(given.data_dir.absolute())}
    return photos_of(given.photos)


def play(name: str, way: Way, given: argparse.Namespace) -> None:
    """Trains a configuration in this process, and prints what was found as JSON."""
    updates = UPDATES[given.accelerator]
    warm_up = updates if given.accelerator == "cpu" else WARM_UP
    settings = {
        **data_of(name, given),
        **way.settings,
        "trainer.accelerator": given.accelerator,
        "trainer.devices": 1,
        "trainer.max_steps": warm_up + given.turns * updates,
        "trainer.limit_val_batches": 0,
        "pictures": {"every_n_updates": 0},
    }
    config = config_of(name, settings)
    callbacks = config["trainer"].setdefault("callbacks", [])
    timer = {"class_path": "timed.Timed", "init_args": {"warm_up": warm_up, "updates": updates}}
    callbacks += [*way.callbacks, timer]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        path = Path(folder) / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        flags = ["--config", str(path), "--trainer.default_root_dir", folder]
        trainer = GANCLI(["fit", *flags]).trainer
    (timed,) = (callback for callback in trainer.callbacks if isinstance(callback, Timed))
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    model: Any = trainer.lightning_module
    parameters = [
        sum(weight.numel() for weight in network.parameters())
        for network in (model.generator, model.discriminator)
    ]
    found = {
        "seconds_per_update": [seconds / updates for seconds in timed.seconds],
        "cpu_seconds_per_update": [seconds / updates for seconds in timed.cpu_seconds],
        "images_per_update": data.batch_size * model.n_critic,
        "parameters": parameters,
        "memory_mib": timed.memory / 2**20,
        "machine": machine(trainer.strategy.root_device),
    }
    print(json.dumps(found))


def measured(name: str, way: str, given: argparse.Namespace) -> dict[str, Any]:
    """Returns what a process of its own finds for a configuration and a way, or how it failed."""
    arguments = [__file__, "play", name, "--way", way, "--turns", str(given.turns)]
    arguments += ["--photos", str(given.photos), "--data_dir", str(given.data_dir)]
    arguments += ["--accelerator", given.accelerator]
    environment = {**os.environ, **WAYS[way].environment}
    if given.accelerator == "cpu":
        environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0:
        print("\n".join(said[-40:]), file=sys.stderr, flush=True)
        return {"failed": said[-1]}
    warned = [line for line in said if "cannot be compiled" in line]
    return {**json.loads(done.stdout.splitlines()[-1]), "not_compiled": warned}


def train(name: str, given: argparse.Namespace) -> None:
    """Trains a configuration in bf16 for some minutes, in a process of its own."""
    minutes, seconds = divmod(round(60 * given.minutes), 60)
    settings = {
        **photos_of(given.photos),
        **HALF,
        "trainer.accelerator": "gpu",
        "trainer.devices": 1,
        "trainer.max_time": f"00:00:{minutes:02}:{seconds:02}",
        "trainer.val_check_interval": 1500,
        "trainer.default_root_dir": str(given.root),
        "pictures": {"every_n_updates": 1500},
    }
    (path,) = write_configs(given.root / "configs", {name: (name, settings)})
    command = [sys.executable, str(ROOT / "cli.py"), "fit", "--config", str(path)]
    with path.with_suffix(".log").open("w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)


def collect(root: Path) -> dict[str, dict[str, Any]]:
    """Returns what is kept of the trainings that are there, by configuration."""
    found = {}
    for name in LARGE:
        folder = finished(root, name)
        if folder is None:
            continue
        run = read_run(folder)
        keys = ("seed", "updates", "floors", "precision", "commit", "versions", "machine")
        kept = {key: run.record[key] for key in keys}
        seconds = max(row.get("train/seconds", 0.0) for row in run.rows)
        found[name] = {**kept, "seconds": seconds, "evaluations": evaluations(run)}
        draw(folder, ROOT / "docs" / "images" / "gpu" / f"{name}.png")
    return found


def ways(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yields the lines of the table of the ways, in Markdown."""
    yield "| config | way | ms per update | images/s | peak memory |"
    yield "|---|---|---|---|---|"
    for name, runs in found.items():
        for way, run in runs.items():
            if "failed" in run:
                yield f"| `{name}` | {way} | - | - | - |"
                continue
            seconds = median(run["seconds_per_update"])
            rate = run["images_per_update"] / seconds
            memory = f"{run['memory_mib']:,.0f} MiB"
            yield f"| `{name}` | {way} | {1000 * seconds:.1f} | {rate:,.0f} | {memory} |"


def sizes(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yields the lines of the table of what an update takes on a CPU, in Markdown."""
    if not found:
        yield "Not measured yet."
        return
    yield "| config | parameters: generator, discriminator | batch x n_critic | CPU s per update |"
    yield "|---|---|---|---|"
    for name, runs in found.items():
        run = runs[EAGER]
        counts = ", ".join(f"{count:,}" for count in run["parameters"])
        turns = run["cpu_seconds_per_update"]
        seconds = f"{median(turns):.3f} ({min(turns):.3f} to {max(turns):.3f})"
        yield f"| `{name}` | {counts} | {run['images_per_update']} | {seconds} |"


def trainings(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yields the lines of the table of the trainings, in Markdown."""
    yield "| config | updates | minutes | " + " | ".join(SCORES) + " |"
    yield "|---|---|---|" + "---|" * len(SCORES)
    for name, run in found.items():
        last = run["evaluations"][-1]
        for row, values in (
            (f"`{name}` | {last['update']:,.0f} | {run['seconds'] / 60:.1f}", last),
            ("real photos | - | -", run["floors"]),
        ):
            cells = [f"{values[s]:.{d}f}" if s in values else "-" for s, d in SCORES.items()]
            yield f"| {row} | {' | '.join(cells)} |"


def written() -> dict[Path, str]:
    """Returns the pages with the tables of the results."""
    found = recorded("networks")
    speeds = {"gpu": ways(found["gpu"]), "networks": sizes(found["cpu"])}
    return {
        PERFORMANCE: filled(PERFORMANCE.read_text(), speeds),
        BENCHMARKS: filled(BENCHMARKS.read_text(), {"gpu": trainings(found["trainings"])}),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "train", "table", "play"))
    parser.add_argument("configs", nargs="*", help="all of the accelerator if none is given")
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "gpu"), help="to run on")
    parser.add_argument("--data_dir", type=Path, default=Path("data"), help="folder above MNIST")
    parser.add_argument("--photos", type=Path, default=Path("photos"), help="CIFAR-10, by class")
    parser.add_argument("--way", choices=WAYS, help="of one process")
    parser.add_argument("--turns", type=int, default=5, help="of each way")
    parser.add_argument("--minutes", type=float, default=5.0, help="of a training")
    parser.add_argument("--root", type=Path, default=ROOT / "runs" / "gpu", help="of trainings")
    given = parser.parse_intermixed_args()
    configs = given.configs or (SMALL if given.accelerator == "cpu" else LARGE)
    found = recorded("networks") or {"gpu": {}, "cpu": {}, "trainings": {}}
    if given.action == "play":
        play(configs[0], WAYS[given.way], given)
    elif given.action == "run":
        about = {"versions": versions(), "commit": code_version()}  # before results are written
        ways_of = [EAGER] if given.accelerator == "cpu" else [*WAYS]
        for name, way in told((name, way) for name in configs for way in ways_of):
            run = {**measured(name, way, given), **about}
            found[given.accelerator].setdefault(name, {})[way] = run
            write_results("networks", found)
    elif given.action == "train":
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: train(name, given), given.configs or LARGE))
    else:
        found["trainings"].update(collect(given.root))
        write_results("networks", found)
        for page, text in written().items():
            page.write_text(text)


if __name__ == "__main__":
    main()
