"""Measures how speed scales: with the batch, with time, with processes, with photos to decode.

    python benchmarks/scaling.py run --data_dir data --photos photos   # all, or those named
    python benchmarks/scaling.py table

``batch`` fits time per update = a + b x batch to a WGAN-GP and to the bare loop of `Bare`.
``long`` trains the smallest workload for 10,000 updates and watches time and memory.
``processes`` trains (a) and (d) of speed.py in one process and in two, beside the least that two
could take. ``threads`` trains all four with one thread and with one a core, on idle cores and
beside a program that keeps one busy. ``photos`` tells for how long DCGAN's training waits for the
JPEGs of a folder that two workers decode, and what decoding costs by itself. ``tutorial`` times
the network pair of `configs/lsgan_mnist.yaml`. ``results/scaling.json`` keeps what was found.
"""

import argparse
import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import yaml
from duel import Duel
from memory import resident_memory
from PIL import Image
from speed import WORKLOADS, config, fit, part
from torch import distributed
from trained import ROOT, recorded, told, write_results

from datamodules import ImageFolder
from lightning_gans import DCGAN
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.cli.threads import available_cores
from lightning_gans.core.reduction import GradientReduction

BATCHES = {"tiny": (64, 128, 256, 512, 1024), "toy": (64, 128, 256)}
"""Batch sizes of a critic update, for two of the workloads of speed.py."""
TURNS = 7
PLAIN = argparse.Namespace(precision="32-true", accelerator="cpu", compile=False)
"""How all of this is run."""


def line(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """Returns the straight line through times, fitted to their relative errors."""
    x, y = np.array(sizes, float), np.array(seconds)
    design = np.stack([1 / y, x / y], axis=1)
    (a, b), *_ = np.linalg.lstsq(design, np.ones(len(x)), rcond=None)
    return {"a": a, "b": b, "largest_residual": float(np.abs((a + b * x) / y - 1).max())}


def batch(given: argparse.Namespace) -> dict[str, Any]:
    """Returns the time of an update at several batch sizes, and the lines through them."""
    found = {}
    for name, sizes in BATCHES.items():
        seconds: dict[str, list[float]] = {"ours": [], "bare": []}
        for size in told(sizes, f"{name}, batch size"):
            data = part("GaussianRing", batch_size=size)
            workload = replace(WORKLOADS[name], data=data, updates=20, warm_up=10)
            duel = part("duel.Duel", warm_up=10, updates=20, halves={"bare": False})
            made = fit(workload, given, 10 + TURNS * 20, duel)
            (played,) = (c for c in made.trainer.callbacks if isinstance(c, Duel))
            for side, turns in played.seconds.items():
                seconds[side].append(median(turns) / 20)
        lines = {side: line(list(sizes), times) for side, times in seconds.items()}
        found[name] = {"sizes": sizes, "seconds": seconds, "lines": lines}
    return found


class Watch(pl.Callback):
    """Notes time and memory after every thousand updates."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.mib: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Reads the clock."""
        if trainer.global_step % 1000 == 0:
            self.seconds.append(time.perf_counter() - self._start)
            self.mib.append(resident_memory() / 2**20)
            self._start = time.perf_counter()


def long(given: argparse.Namespace) -> dict[str, Any]:
    """Returns time and memory of every thousand of 10,000 updates of the smallest workload."""
    trainer = fit(WORKLOADS["tiny"], given, 10_000, part("scaling.Watch")).trainer
    (watch,) = (c for c in trainer.callbacks if type(c).__name__ == "Watch")
    return {"seconds": watch.seconds, "mib": watch.mib}


KEEPS_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}
"""Lets glibc keep freed memory, in place of giving it back and asking for it again."""


def updates_per_s(
    config: Path | str, *flags: str, environment: dict[str, str] | None = None
) -> float:
    """Returns the updates a second that a run of the command line logs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "cli.py"), "fit", "--config", str(config)]
        command += ["--trainer.default_root_dir", folder, "--trainer.accelerator", "cpu"]
        command += ["--trainer.limit_val_batches", "0", "--pictures.enabled", "false"]
        variables = {**os.environ, **(environment or {})}
        subprocess.run([*command, *flags], check=True, capture_output=True, env=variables)
        (log,) = Path(folder).rglob("metrics.csv")
        with log.open() as file:
            rates = [float(row["train/updates_per_s"]) for row in csv.DictReader(file)]
    return median(rates[1:])


def reduce_alone(rank: int, players: list[tuple[int, list[torch.Size]]], folder: str) -> None:
    """Sends the gradients of rounds between two processes, and writes the seconds of each.

    Args:
        rank: of the process.
        players: updates of each in a round, and the shapes of its parameters.
        folder: where the processes find each other, and the first one writes.
    """
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    reductions = []
    for updates, shapes in players:
        parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        reductions.append((updates, GradientReduction("player", parameters)))
    seconds = []
    for _ in range(40):
        start = time.perf_counter()
        for updates, reduction in reductions:
            for _ in range(updates):
                reduction(())
        seconds.append(time.perf_counter() - start)
    distributed.destroy_process_group()
    if rank == 0:
        Path(folder, "seconds.json").write_text(json.dumps(seconds))


def processes(given: argparse.Namespace) -> dict[str, Any]:
    """Returns what a round takes in two processes, beside what it takes at least.

    That is the time of a round in two processes that know nothing of each other, and the time in
    which each player's own gradients are sent.
    """
    found = {}
    for name, updates in {"mlp_mnist": 100, "conv_mnist": 10}.items():
        workload = WORKLOADS[name]
        model: Any = fit(workload, given, 1).model
        players = [
            (each, [p.shape for p in network.parameters()])
            for each, network in ((model.n_critic, model.discriminator), (1, model.generator))
        ]
        sizes = [sum(shape.numel() for shape in shapes) for _, shapes in players]
        flags = ["--trainer.max_steps", str(updates)]
        flags += ["--trainer.log_every_n_steps", str(updates // 10)]
        seconds: dict[str, list[float]] = {
            key: [] for key in ("alone", "independent", "gradients", "together")
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "workload.yaml"
            path.write_text(yaml.safe_dump(config(workload, given.data_dir, compiled=False)))
            run = partial(updates_per_s, path, *flags, environment={"OMP_NUM_THREADS": "1"})
            for turn in told(range(2), f"{name}, turn"):
                seconds["alone"].append(1 / run())
                with ThreadPoolExecutor(2) as pool:
                    both = [pool.submit(run) for _ in range(2)]
                    seconds["independent"].append(1 / mean(one.result() for one in both))
                own = Path(folder) / str(turn)
                own.mkdir()
                torch.multiprocessing.spawn(reduce_alone, (players, str(own)), nprocs=2)
                seconds["gradients"].append(median(json.loads((own / "seconds.json").read_text())))
                seconds["together"].append(1 / run("--trainer.devices", "2"))
        sent = sum(each * size for size, (each, _) in zip(sizes, players, strict=True))
        parts = {key: median(values) for key, values in seconds.items()}
        found[name] = {
            "seconds": seconds,
            "share_of_limit": parts["together"] / (parts["independent"] + parts["gradients"]),
            "bytes_a_round": 4 * sent,
            "bytes_a_round_of_all_gradients": 4 * sum(sizes) * (model.n_critic + 1),
        }
    return found


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keeps one core busy with another program."""
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        program.kill()
        program.wait()


def threads(given: argparse.Namespace) -> dict[str, Any]:
    """Returns the updates a second of each workload with one thread and with one a core."""
    cores = available_cores()
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for name, updates in {"mlp_mnist": 60, "toy": 30, "tiny": 300, "conv_mnist": 10}.items():
        found[name] = {"idle": {1: [], cores: []}, "busy": {1: [], cores: []}}
        flags = ["--trainer.max_steps", str(updates)]
        flags += ["--trainer.log_every_n_steps", str(updates // 5)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "workload.yaml"
            settings = config(WORKLOADS[name], given.data_dir, compiled=False)
            path.write_text(yaml.safe_dump(settings))
            for _ in told(range(2), f"{name}, turn"):
                for place, rates in found[name].items():
                    for number in rates:
                        around = busy_core() if place == "busy" else contextlib.nullcontext()
                        with around:
                            rate = updates_per_s(path, *flags, "--threads", str(number))
                        rates[number].append(rate)
    return found


class Waiting(pl.Callback):
    """Adds up the time from the end of one update to the beginning of the next."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.waiting = 0.0
        self.start = self.end = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends a time of waiting."""
        if trainer.global_step > self.warm_up:
            self.waiting += time.perf_counter() - self.end

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Begins one."""
        self.end = time.perf_counter()
        if trainer.global_step == self.warm_up:
            self.start = self.end


def rate(draw: Callable[[int], Any], images: int) -> float:
    """Returns images a second of something that gives batches of 64."""
    start = time.perf_counter()
    for position in range(images // 64):
        draw(position)
    return images // 64 * 64 / (time.perf_counter() - start)


def photos(given: argparse.Namespace) -> dict[str, Any]:
    """Returns the share of DCGAN's training that waits for JPEGs, and the rates of decoding."""
    if given.photos is None:
        raise SystemExit("photos needs --photos, a folder of images")
    data = ImageFolder(given.photos, 64, batch_size=64, cache=False, num_workers=2)
    waiting = Waiting(warm_up=3)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=23,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[waiting],
    )
    trainer.fit(DCGAN(data_shape=(3, 64, 64)), data)
    training = waiting.end - waiting.start
    paths = sorted(Path(given.photos).rglob("*.jpg"))
    if len(paths) < 1280:
        raise SystemExit(f"photos: 1,280 JPEGs are needed, {given.photos} has {len(paths)}")

    def decode(position: int) -> None:
        for path in paths[64 * position : 64 * (position + 1)]:
            with Image.open(path) as image:
                image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)

    draw = data.training_batches(0, 64, 0, 1)
    rates = [(rate(draw, 1280), rate(decode, 1280)) for _ in range(5)]
    return {
        "share_of_waiting": waiting.waiting / training,
        "seconds_per_update": training / 20,
        "images_per_s_of_one_worker": median(ours for ours, _ in rates),
        "images_per_s_of_pillow_alone": median(theirs for _, theirs in rates),
    }


def tutorial(given: argparse.Namespace) -> dict[str, Any]:
    """Returns the milliseconds of a round of the least-squares GAN, batch 32."""
    flags = ["--trainer.max_steps", "100", "--trainer.log_every_n_steps", "20"]
    flags += ["--data.data_dir", given.data_dir]
    lsgan = ROOT / "configs" / "lsgan_mnist.yaml"
    pairs = [
        [updates_per_s(lsgan, *flags, environment=e) for e in ({}, KEEPS_MEMORY)]
        for _ in told(range(2), "tutorial, turn")
    ]
    return {
        "ms_per_update": 1000 / median(usual for usual, _ in pairs),
        "ms_per_update_keeping_memory": 1000 / median(keeping for _, keeping in pairs),
        "its_author_prints_ms": 15,
    }


MEASURES = {
    "batch": batch,
    "long": long,
    "processes": processes,
    "threads": threads,
    "photos": photos,
    "tutorial": tutorial,
}


def table(found: dict[str, Any]) -> list[str]:
    """Returns what was found, in sentences."""
    lines = []
    for name, run in found.get("batch", {}).items():
        for side, fitted in run["lines"].items():
            lines.append(
                f"{name}, {side}: {1000 * fitted['a']:.2f} ms + {1000 * fitted['b']:.4f} ms a "
                f"sample, at most {fitted['largest_residual']:.1%} off"
            )
    if "long" in found:
        seconds, mib = found["long"]["seconds"], found["long"]["mib"]
        lines.append(
            f"10,000 updates: {seconds[0]:.2f} s for the first thousand, {median(seconds):.2f} s "
            f"in the middle, {seconds[-1]:.2f} s for the last; memory {mib[0]:.0f} MiB, "
            f"{mib[len(mib) // 2]:.0f} MiB, {mib[-1]:.0f} MiB"
        )
    for name, run in found.get("processes", {}).items():
        ms = {key: 1000 * median(values) for key, values in run["seconds"].items()}
        lines.append(
            f"{name}: {ms['alone']:.1f} ms a round in one process, {ms['independent']:.1f} ms in "
            f"each of two that know nothing of each other, {ms['gradients']:.1f} ms to send the "
            f"gradients; {ms['together']:.1f} ms in two, {run['share_of_limit']:.2f} of that; "
            f"{run['bytes_a_round'] / 1e6:.1f} MB a round, all gradients would be "
            f"{run['bytes_a_round_of_all_gradients'] / 1e6:.1f} MB"
        )
    for name, places in found.get("threads", {}).items():
        for place, rates in places.items():
            shown = [f"{median(values):.3g} with {number}" for number, values in rates.items()]
            lines.append(f"{name}, {place}: {', '.join(shown)} threads, updates/s")
    if "photos" in found:
        run = found["photos"]
        lines.append(
            f"DCGAN on JPEGs: {run['share_of_waiting']:.2%} of {run['seconds_per_update']:.2f} s "
            f"an update is waiting; a worker makes {run['images_per_s_of_one_worker']:.0f} images "
            f"a second, Pillow alone {run['images_per_s_of_pillow_alone']:.0f}"
        )
    if "tutorial" in found:
        run = found["tutorial"]
        lines.append(
            f"lsgan_mnist: {run['ms_per_update']:.1f} ms a round, "
            f"{run['ms_per_update_keeping_memory']:.1f} ms where freed memory is kept"
        )
    return lines


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("measures", nargs="*", default=list(MEASURES), help="all if none")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--photos", help="folder of images")
    given = parser.parse_intermixed_args(namespace=PLAIN)
    os.environ["TTY_COMPATIBLE"] = "1"  # the progress bar as on a terminal
    found = recorded("scaling")
    if given.action == "run":
        commit = code_version()  # before results are written
        for name in told(given.measures):
            found[name] = MEASURES[name](given)
            found.setdefault("machines", {})[name] = machine(torch.device("cpu"))
            found["versions"] = versions()
            found.setdefault("commits", {})[name] = commit
            write_results("scaling", found)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
