"""Times training against a bare PyTorch loop: one process, one after the other, again and again.

    python benchmarks/speed.py run --data_dir data     # all workloads, or those that are named
    python benchmarks/speed.py table
    python benchmarks/speed.py profile tiny            # a trace for chrome://tracing

Each workload is trained by ``lightning-gans fit``, with its rows of logs and a live progress bar,
and by a loop that does the same with nothing around it: the same networks, batches, optimizers,
penalty and number of critic updates, fakes without a graph in the critic's turns, a frozen critic
in the generator's, data in memory. ``run`` writes ``results/speed.json``: the time of an update,
the ratio of the two, and the rate of arithmetic beside that of a matrix product.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from trained import RESULTS, write_results

from datamodules import GaussianRing
from lightning_gans.provenance import code_version, machine, versions

Batches = Callable[[int], Tensor]
"""Gives so many real samples, scaled and on the device."""


@dataclass(frozen=True)
class Workload:
    """What is trained, and for how long.

    Attributes:
        what: for the table.
        model: its configuration, as a file has it, without optimizers.
        data: the configuration of its data.
        widest: (inputs, outputs) of the layer whose matrix product tells the machine's rate.
        updates: that are timed.
        warm_up: updates before them.
    """

    what: str
    model: dict[str, Any]
    data: dict[str, Any]
    widest: tuple[int, int]
    updates: int
    warm_up: int

    @property
    def n_critic(self) -> int:
        """Critic updates of a round."""
        return int(self.model["init_args"]["n_critic"])

    @property
    def batch(self) -> int:
        """Real samples of a critic update."""
        return int(self.data["init_args"]["batch_size"])


def part(name: str, **arguments: Any) -> dict[str, Any]:
    """Returns a class with its arguments in the form of a configuration."""
    return {"class_path": name, "init_args": arguments}


def alike(hidden: list[int], **arguments: Any) -> dict[str, Any]:
    """Returns a WGAN-GP of two perceptrons with the same hidden layers."""
    networks = {
        player: part(f"MLP{player.title()}", hidden=hidden)
        for player in ("generator", "discriminator")
    }
    return part("WGANGP", penalty_weight=0.1, **networks, **arguments)


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
        (1024, 784),
        150,
        20,
    ),
    "toy": Workload(
        "(b) WGAN-GP, perceptrons 3 x 512, ring, 5 x 256",
        alike([512] * 3, n_critic=5),
        RING,
        (512, 512),
        60,
        10,
    ),
    "tiny": Workload(
        "(c) WGAN-GP, perceptrons 2 x 128, ring, 1 x 256",
        alike([128] * 2, n_critic=1),
        RING,
        (128, 128),
        1000,
        100,
    ),
    "conv_mnist": Workload(
        "(d) WDCGAN-GP, 64 channels, MNIST, 5 x 64",
        part("WDCGANGP", n_critic=5),
        DIGITS,
        (128 * 16, 128),
        8,
        2,
    ),
}
ADAM = {"lr": 1e-4, "beta1": 0.0, "beta2": 0.9, "fused": True}


def config(workload: Workload, data_dir: str) -> dict[str, Any]:
    """Returns the configuration of a workload."""
    model = {**workload.model, "init_args": {**workload.model["init_args"]}}
    for player in "gd":
        model["init_args"][f"optimizer_{player}"] = part("GANAdam", **ADAM)
    data = {**workload.data, "init_args": {**workload.data["init_args"]}}
    if data["class_path"] == "MNIST":
        data["init_args"]["data_dir"] = data_dir
    return {"model": model, "data": data}


def fitted(workload: Workload, data_dir: str, precision: str, updates: int) -> Any:
    """Trains a workload by the command line, and returns what that leaves."""
    from lightning_gans.gancli import GANCLI

    settings = config(workload, data_dir)
    settings["trainer"] = {
        "max_steps": updates,
        "precision": precision,
        "accelerator": "cpu",
        "limit_val_batches": 0,
        "callbacks": [part("clock.Clock", warm_up=workload.warm_up)],
    }
    settings["pictures"] = {"every_n_updates": 0}
    with tempfile.TemporaryDirectory() as folder:
        settings["trainer"]["default_root_dir"] = folder
        path = Path(folder) / "workload.yaml"
        path.write_text(yaml.safe_dump(settings))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            return GANCLI(["fit", "--config", str(path)])


def ours(workload: Workload, data_dir: str, precision: str) -> float:
    """Returns the seconds that ``lightning-gans fit`` takes for the timed updates."""
    from clock import Clock

    fitted(workload, data_dir, precision, workload.warm_up + workload.updates)
    return Clock.seconds[-1]


def batches(data: Any) -> Batches:
    """Returns what draws real samples from memory, as directly as can be."""
    if isinstance(data, GaussianRing):
        modes, sd = data.modes, data.sd

        def points(n: int) -> Tensor:
            return torch.randn(n, 2).mul_(sd).add_(modes[torch.randint(len(modes), (n,))])

        return points
    images = data.training.images

    def digits(n: int) -> Tensor:
        rows = torch.randint(len(images), (n,))
        return images[rows].float().mul_(2 / 255).sub_(1)

    return digits


class _Operations(TorchDispatchMode):
    """Counts operations. PyTorch's own FlopCounterMode does not allow torch.autograd.grad."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class Bare:
    """The loop with nothing around it."""

    def __init__(self, workload: Workload, data_dir: str, precision: str) -> None:
        made = fitted(workload, data_dir, "32-true", 1)
        self.generator, self.critic = made.model.generator, made.model.discriminator
        self.draw = batches(made.datamodule)
        self.n_critic, self.batch = workload.n_critic, workload.batch
        self.weight = workload.model["init_args"].get("penalty_weight", 10.0)
        self.dim = made.model.prior.dim
        self.half = precision == "bf16-mixed"
        self.statistics = any(
            isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in self.generator.modules()
        )
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.0, 0.9), fused=True)
            for network in (self.generator, self.critic)
        ]

    def autocast(self) -> torch.autocast:
        """Returns the context of the forward passes."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.half)

    def update(self) -> None:
        """Plays one round."""
        n, rounds = self.batch, self.n_critic
        real = self.draw(n * rounds)
        latent = torch.randn(n * rounds, self.dim)
        with torch.no_grad(), self.autocast():
            if self.statistics:
                fake = torch.cat([self.generator(z) for z in latent.split(n)])
            else:
                fake = self.generator(latent)
        for x, y in zip(real.split(n), fake.float().split(n), strict=True):
            with self.autocast():
                outputs = self.critic(torch.cat([x, y])).float()
                points = torch.lerp(y, x, torch.rand((n,) + (1,) * (x.ndim - 1)))
                points.requires_grad_()
                (slope,) = torch.autograd.grad(
                    self.critic(points).float().sum(), points, create_graph=True
                )
            norm = torch.linalg.vector_norm(slope.float().flatten(1), dim=1)
            loss = outputs[n:].mean() - outputs[:n].mean()
            loss = loss + self.weight * (norm - 1).square().mean()
            self.optimizers[1].zero_grad()
            loss.backward()
            self.optimizers[1].step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(False)
        with self.autocast():
            loss = -self.critic(self.generator(torch.randn(n, self.dim))).float().mean()
        self.optimizers[0].zero_grad()
        loss.backward()
        self.optimizers[0].step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(True)

    def operations(self) -> int:
        """Returns the floating-point operations of one round, a multiplication and an addition 2.

        Those of matrix products and convolutions; the rest is small beside them.
        """
        with _Operations() as counted:
            self.update()
        return counted.total


def bare(workload: Workload, data_dir: str, precision: str) -> float:
    """Returns the seconds that the bare loop takes for the timed updates."""
    loop = Bare(workload, data_dir, precision)
    for _ in range(workload.warm_up):
        loop.update()
    start = time.perf_counter()
    for _ in range(workload.updates):
        loop.update()
    return time.perf_counter() - start


SIDES = {"ours": ours, "bare": bare}


def product_rate(workload: Workload) -> float:
    """Returns the operations a second of a matrix product of the batch and the widest layer."""
    rows = workload.batch if workload.model["class_path"] == "WGANGP" else 64 * 49
    left, right = torch.randn(rows, workload.widest[0]), torch.randn(*workload.widest)
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * rows * workload.widest[0] * workload.widest[1] / median(seconds)


def measured(name: str, data_dir: str, precision: str, rounds: int) -> dict[str, Any]:
    """Returns what is found for one workload."""
    workload = WORKLOADS[name]
    for side in SIDES.values():
        side(workload, data_dir, precision)  # what is only slow once
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    ratios = []
    for _ in range(rounds):
        for side, run in SIDES.items():
            times[side].append(run(workload, data_dir, precision) / workload.updates)
        ratios.append(times["ours"][-1] / times["bare"][-1])
        print(f"{name}: {ratios[-1]:.3f}", file=sys.stderr, flush=True)
    update = {side: median(values) for side, values in times.items()}
    operations = Bare(workload, data_dir, precision).operations()
    rate = product_rate(workload)
    return {
        "what": workload.what,
        "precision": precision,
        "alternations": rounds,
        "updates_per_s": {side: 1 / seconds for side, seconds in update.items()},
        "images_per_s": workload.n_critic * workload.batch / update["ours"],
        "ratio": median(ratios),
        "ratios": ratios,
        "operations": operations,
        "share_of_product_rate": {
            side: operations / seconds / rate for side, seconds in update.items()
        },
    }


def table(found: dict[str, Any]) -> list[str]:
    """Returns the table of what was measured, in Markdown."""
    lines = [
        "| workload | precision | updates/s | images/s | time against bare | lowest to highest | "
        "of the product rate, bare |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in found["workloads"].values():
        shares = run["share_of_product_rate"]
        lines.append(
            f"| {run['what']} | {run['precision']} | {run['updates_per_s']['ours']:.2f} | "
            f"{run['images_per_s']:,.0f} | {run['ratio']:.3f} | "
            f"{min(run['ratios']):.3f} to {max(run['ratios']):.3f} | "
            f"{shares['ours']:.0%}, {shares['bare']:.0%} |"
        )
    return lines


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table", "profile"))
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), help="all if none")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--rounds", type=int, default=7, help="alternations")
    parser.add_argument("--side", choices=SIDES, default="ours")
    parser.add_argument("--out", default="trace.json", help="of a profile")
    given = parser.parse_args()
    # The progress bar as on a terminal, and what the workers print nowhere.
    os.environ["TTY_COMPATIBLE"] = "1"
    path = RESULTS / "speed.json"
    found = json.loads(path.read_text()) if path.exists() else {"workloads": {}}
    if given.action == "table":
        print("\n".join(table(found)))
    elif given.action == "run":
        for name in given.workloads:
            key = f"{name} {given.precision}"
            found["workloads"][key] = measured(name, given.data_dir, given.precision, given.rounds)
            found.update(
                machine=machine(torch.device("cpu")), versions=versions(), commit=code_version()
            )
            write_results("speed", found)
    else:
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities) as profiler:
            SIDES[given.side](WORKLOADS[given.workloads[0]], given.data_dir, given.precision)
        profiler.export_chrome_trace(given.out)
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


if __name__ == "__main__":
    main()
