"""Times training against a bare PyTorch loop: both in one process, taking turns.

    python benchmarks/speed.py run --data_dir data     # all workloads, or those that are named
    python benchmarks/speed.py table
    python benchmarks/speed.py profile tiny            # a trace for chrome://tracing

Each workload is trained by ``lightning-gans fit`` with its rows of logs and a live progress bar.
Whenever it has made some updates, a loop that does the same with nothing around it (`Bare`) makes
as many, with copies of the networks. ``run`` writes ``results/speed.json``: the time of an update
of each, the ratio of each pair of turns, the rate of arithmetic beside that of a matrix product,
and the peak memory of each alone in a process.
"""

import argparse
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
import yaml
from duel import Duel
from memory import peak_memory
from trained import recorded, told, write_results

from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.cli.training import GANCLI


@dataclass(frozen=True)
class Workload:
    """What is trained, and for how long.

    Attributes:
        what: for the table.
        model: its configuration, as a file has it, without optimizers.
        data: the configuration of its data.
        product: (rows, inputs, outputs) of the layer with the most arithmetic, as a matrix
            product that tells the machine's rate.
        updates: of one turn.
        warm_up: updates before the first one.
    """

    what: str
    model: dict[str, Any]
    data: dict[str, Any]
    product: tuple[int, int, int]
    updates: int
    warm_up: int

    @property
    def images(self) -> int:
        """Real samples of a round."""
        n_critic: int = self.model["init_args"]["n_critic"]
        batch: int = self.data["init_args"]["batch_size"]
        return n_critic * batch


def part(name: str, **arguments: Any) -> dict[str, Any]:
    """Returns a class with its arguments in the form of a configuration."""
    return {"class_path": name, "init_args": arguments}


def alike(hidden: list[int], **arguments: Any) -> dict[str, Any]:
    """Returns a WGAN-GP of two perceptrons with the same hidden layers."""
    networks = {
        player: part(f"MLP{player.title()}", hidden=hidden)
        for player in ("generator", "discriminator")
    }
    return part("WGANGP", penalty=part("GradientPenalty", weight=0.1), **networks, **arguments)


SLOPE = part("torch.nn.LeakyReLU", negative_slope=0.2)
DIGITS = part("MNIST", batch_size=64)
RING = part("GaussianRing", batch_size=256)
WORKLOADS = {
    "mlp_mnist": Workload(
        "(a) WGAN-GP, the perceptrons of `gan_mnist`, MNIST, 5 x 64",
        part(
            "WGANGP",
            n_critic=5,
            generator=part(
                "MLPGenerator",
                hidden=[128, 256, 512, 1024],
                activation=SLOPE,
                normalization="torch.nn.BatchNorm1d",
                output="torch.nn.Tanh",
            ),
            discriminator=part("MLPDiscriminator", hidden=[512, 256], activation=SLOPE),
        ),
        DIGITS,
        (64, 1024, 784),
        50,
        20,
    ),
    "toy": Workload(
        "(b) WGAN-GP, perceptrons 3 x 512, ring, 5 x 256",
        alike([512] * 3, n_critic=5),
        RING,
        (256, 512, 512),
        20,
        10,
    ),
    "tiny": Workload(
        "(c) WGAN-GP, perceptrons 2 x 128, ring, 1 x 256",
        alike([128] * 2, n_critic=1),
        RING,
        (256, 128, 128),
        200,
        100,
    ),
    "conv_mnist": Workload(
        "(d) WDCGAN-GP, MNIST, 5 x 64",
        part("WDCGANGP", n_critic=5),
        DIGITS,
        (64 * 49, 64 * 16, 128),
        5,
        2,
    ),
}
"""Their letters are those of docs/performance.md."""


FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""What the time of matrix products depends on, as /proc/cpuinfo names it."""


def config(workload: Workload, data_dir: str, compiled: bool) -> dict[str, Any]:
    """Returns the configuration of a workload."""
    data = {**workload.data, "init_args": {**workload.data["init_args"]}}
    if data["class_path"] == "MNIST":
        data["init_args"]["data_dir"] = data_dir
    model = {**workload.model, "init_args": {**workload.model["init_args"], "compile": compiled}}
    return {"model": model, "data": data}


def fit(workload: Workload, given: argparse.Namespace, updates: int, *callbacks: Any) -> GANCLI:
    """Trains a workload by the command line, for some updates."""
    settings = config(workload, given.data_dir, given.compile)
    settings["trainer"] = {
        "max_steps": updates,
        "precision": given.precision,
        "accelerator": given.accelerator,
        "devices": 1,
        "limit_val_batches": 0,
        # At least one row of logs in every turn.
        "log_every_n_steps": min(50, workload.updates),
        "callbacks": list(callbacks),
    }
    settings["pictures"] = {"every_n_updates": 0}
    with tempfile.TemporaryDirectory() as folder:
        settings["trainer"]["default_root_dir"] = folder
        path = Path(folder) / "workload.yaml"
        path.write_text(yaml.safe_dump(settings))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            return GANCLI(["fit", "--config", str(path)])


def product_rate(workload: Workload, device: torch.device) -> float:
    """Returns the operations a second of the largest layer's product in single precision."""
    rows, inputs, outputs = workload.product
    left = torch.randn(rows, inputs, device=device)
    right = torch.randn(inputs, outputs, device=device)
    seconds = []
    for _ in range(100):
        start = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * rows * inputs * outputs / median(seconds)


def play(name: str, given: argparse.Namespace, *, bare: bool) -> None:
    """Trains a workload alone in this process, and prints its peak memory in MiB.

    On a GPU it is that of the tensors on it.
    """
    workload = WORKLOADS[name]
    updates = workload.warm_up + workload.updates
    half = given.precision == "bf16-mixed"
    instead = [part("duel.Instead", updates=updates, half=half)] if bare else []
    fit(workload, given, updates, *instead)
    gpu = given.accelerator == "gpu"
    print((torch.cuda.max_memory_allocated() if gpu else peak_memory()) / 2**20)


def memory(name: str, given: argparse.Namespace) -> dict[str, float]:
    """Returns the peak memory of the run and of the bare loop, each in a process of its own."""
    found = {}
    for side in ("ours", "bare"):
        arguments = [__file__, f"play-{side}", name, "--data_dir", given.data_dir]
        arguments += ["--precision", given.precision, "--accelerator", given.accelerator]
        arguments += ["--compile"] if given.compile else []
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        found[side] = float(done.stdout.splitlines()[-1])
    return found


def measured(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Returns what is found for one workload."""
    workload = WORKLOADS[name]
    half = given.precision == "bf16-mixed"
    halves = {"bare": False, "bare bf16": True} if half else {"bare": False}
    duel = part("duel.Duel", warm_up=workload.warm_up, updates=workload.updates, halves=halves)
    updates = workload.warm_up + given.rounds * workload.updates
    trainer = fit(workload, given, updates, duel).trainer
    (played,) = (callback for callback in trainer.callbacks if isinstance(callback, Duel))
    seconds = {
        side: [turn / workload.updates for turn in turns] for side, turns in played.seconds.items()
    }
    middle = {side: median(turns) for side, turns in seconds.items()}
    ratios = {
        side: [ours / theirs for ours, theirs in zip(seconds["ours"], seconds[side], strict=True)]
        for side in halves
    }
    rate = product_rate(workload, trainer.strategy.root_device)
    found = {
        "what": workload.what,
        "precision": given.precision,
        "compile": given.compile,
        "turns": given.rounds,
        "updates_of_a_turn": workload.updates,
        "seconds_per_update": seconds,
        "updates_per_s": {side: 1 / value for side, value in middle.items()},
        "images_per_s": workload.images / middle["ours"],
        "ratios": ratios,
        "ratio": {side: median(values) for side, values in ratios.items()},
        "operations": played.operations,
        "product_rate": rate,
        "share_of_product_rate": {
            side: played.operations / value / rate for side, value in middle.items()
        },
        "memory_mib": memory(name, given),
        "threads": torch.get_num_threads(),
    }
    ratio = ", ".join(f"{value:.3f} of {side}" for side, value in found["ratio"].items())
    print(f"{name}, {given.precision}: {ratio}", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, Any]) -> list[str]:
    """Returns the table of what was measured, in Markdown."""
    lines = [
        "| workload | precision | updates/s | images/s | "
        "time relative to the bare loop (quartiles) | "
        "time relative to the bare loop in 32-true | "
        "share of the matrix-product rate: training, bare loop | "
        "peak memory, relative to the bare loop |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in found["workloads"].values():
        bare = "bare bf16" if "bare bf16" in run["ratio"] else "bare"
        same = run["ratios"][bare]
        low, middle, high = quantiles(same, n=4)
        shares, mib = run["share_of_product_rate"], run["memory_mib"]
        what = f"{run['what']}, compiled" if run["compile"] else run["what"]
        device = run["machine"]["device"]
        what = what if device == "cpu" else f"{what}, {device}"
        lines.append(
            f"| {what} | {run['precision']} | {run['updates_per_s']['ours']:.3g} | "
            f"{run['images_per_s']:,.0f} | {middle:.3f} ({low:.3f} to {high:.3f}) | "
            f"{run['ratio']['bare']:.3f} | {shares['ours']:.0%}, {shares[bare]:.0%} | "
            f"{mib['ours']:,.0f} MiB, {mib['ours'] / mib['bare']:.2f} |"
        )
    return lines


def features() -> list[str]:
    """Returns which of `FEATURES` the processor has."""
    try:
        known = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return []
    return [name for name in FEATURES if name in known]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table", "profile", "play-ours", "play-bare"))
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), help="all if none")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the losses")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each side")
    parser.add_argument("--out", default="trace.json", help="of a profile")
    given = parser.parse_intermixed_args()
    os.environ["TTY_COMPATIBLE"] = "1"  # the progress bar as on a terminal
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    found = recorded("speed") or {"workloads": {}}
    if given.action == "table":
        print("\n".join(table(found)))
    elif given.action == "run":
        about = {"versions": versions(), "commit": code_version()}  # before results are written
        for name in told(given.workloads):
            run = {**measured(name, given), **about}
            device = torch.device("cuda" if given.accelerator == "gpu" else "cpu")
            run.update(machine=machine(device), features=features())
            key = f"{name} {given.precision} {given.accelerator}"
            found["workloads"][f"{key} compiled" if given.compile else key] = run
            write_results("speed", found)
    elif given.action == "profile":
        workload = WORKLOADS[given.workloads[0]]
        with torch.profiler.profile() as profiler:
            fit(workload, given, workload.warm_up + workload.updates)
        profiler.export_chrome_trace(given.out)
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))
    else:
        play(given.workloads[0], given, bare=given.action == "play-bare")


if __name__ == "__main__":
    main()
