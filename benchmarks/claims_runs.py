"""What is trained to measure the claims of the tutorials, and what is kept of it."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from compared import compare, recorded_cells, write_configs
from trained import ROOT

from lightning_gans.comparison.reading import Run, read_run

RUNS = ROOT / "runs" / "claims"
APART = RUNS / "disjoint.json"


@dataclass(frozen=True)
class Experiment:
    """Cells that are trained with the same seeds, to be read at the same budgets.

    Attributes:
        cells: what each changes in a config, by name: the config, and its settings by key.
        seeds: of each cell.
        updates: budget of generator updates.
        seconds: budget of CPU seconds of training.
        common: settings of all cells.
    """

    cells: Mapping[str, tuple[str, Mapping[str, Any]]]
    seeds: range
    updates: int
    seconds: float
    common: Mapping[str, Any] = field(default_factory=dict)


QUIET = {"pictures.every_n_updates": 100_000, "trainer.log_every_n_steps": 25}


def _evaluated(updates: int, every: int) -> dict[str, Any]:
    return {
        "trainer.max_steps": updates,
        "trainer.val_check_interval": every,
        "checkpoint.every_n_updates": every,
    }


USUAL = {"class_path": "GANAdam", "init_args": {"lr": 2e-4, "beta1": 0.5, "beta2": 0.999}}
ORIGINAL = {
    "model.init_args.n_critic": 1,
    "model.init_args.optimizer_g": USUAL,
    "model.init_args.optimizer_d": USUAL,
}
"""One discriminator update a round, as in the paper, with the usual optimizer of GANs."""
DIGITS = Experiment(
    cells={
        "minimax": (
            "gan_mnist_small",
            {"model.class_path": "MinimaxGAN", **_evaluated(10_000, 625)},
        ),
        "gan": ("gan_mnist_small", _evaluated(10_000, 625)),
        "minimax-1": (
            "gan_mnist_small",
            {"model.class_path": "MinimaxGAN", **ORIGINAL, **_evaluated(30_000, 625)},
        ),
        "gan-1": ("gan_mnist_small", {**ORIGINAL, **_evaluated(30_000, 625)}),
        "wgan": ("wgan_mnist_small", _evaluated(20_000, 625)),
        "wgan_gp": ("wgan_gp_mnist_small", _evaluated(10_000, 625)),
    },
    seeds=range(3),
    updates=9_375,  # 100 epochs of real images for the critics
    seconds=600,
    common=QUIET,
)
"""The methods of the tutorial "GAN in practice 4" on its one pair of networks."""

RATES = (1e-4, 5e-4, 2.5e-3)
NETWORKS: dict[str, dict[str, Any]] = {
    "wide": {
        "hidden": [128, 128],
        "activation": {
            "class_path": "torch.nn.LeakyReLU",
            "init_args": {"negative_slope": 0.2},
        },
    },
    "deep": {"hidden": [64, 64, 64, 64], "activation": "torch.nn.Tanh"},
}
METHODS: dict[str, tuple[str, dict[str, Any], int]] = {
    "gan": ("gan_ring", {"model.init_args.n_critic": 1}, 24_000),
    "wgan": (
        "wgan_ring",
        {"model.init_args.n_critic": 5, "model.init_args.clip_value": 0.05},
        8_000,
    ),
    "wgan_gp": ("wgan_gp_ring", {"model.init_args.n_critic": 5}, 6_000),
}
"""A config, its settings, and how many updates are as good as the budget of CPU seconds."""


def _sensitive() -> dict[str, tuple[str, dict[str, Any]]]:
    cells = {}
    for method, (config, settings, updates) in METHODS.items():
        for network, layers in NETWORKS.items():
            for rate in RATES:
                adam = {
                    "class_path": "GANAdam",
                    "init_args": {"lr": rate, "beta1": 0.5, "beta2": 0.9},
                }
                cells[f"{method}-{network}-{rate:g}"] = (
                    config,
                    {
                        **settings,
                        "model.init_args.prior": {
                            "class_path": "NormalPrior",
                            "init_args": {"dim": 2},
                        },
                        "model.init_args.generator.init_args": layers,
                        "model.init_args.discriminator.init_args": layers,
                        "model.init_args.optimizer_g": adam,
                        "model.init_args.optimizer_d": adam,
                        **_evaluated(updates, 500),
                    },
                )
    return cells


RING = Experiment(
    cells=_sensitive(),
    seeds=range(5),
    updates=5_000,
    seconds=60,
    common={"data.init_args.batch_size": 128, **QUIET},
)
"""Three methods with the same optimizers, at three rates with two pairs of networks each."""

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5)
CLIPPING = Experiment(
    cells={
        **{
            f"c-{bound:g}": (
                "wgan_mnist_small",
                {"model.init_args.clip_value": bound, **_evaluated(5_000, 500)},
            )
            for bound in BOUNDS
        },
        "penalty": ("wgan_gp_mnist_small", _evaluated(5_000, 500)),
    },
    seeds=range(3),
    updates=5_000,
    seconds=math.inf,
    common={
        "trainer.callbacks": [
            {"class_path": "Alarms"},
            {"class_path": "WeightHistograms", "init_args": {"every_n_updates": 500}},
        ],
        **QUIET,
    },
)
"""The critic of "GAN in practice 4" with bounds for its weights, and with a penalty instead."""

DISTANCES = (0.25, 0.5, 1.0, 2.0, 4.0)
DISJOINT = Experiment(
    cells={f"{critic}-{t:g}": ("", {}) for critic in ("minimax", "wgan_gp") for t in DISTANCES},
    seeds=range(5),
    updates=1_000,
    seconds=math.inf,
)
"""Discriminators between a square of side 0.1 and the same square, a distance t away."""

EXPERIMENTS = {"disjoint": DISJOINT, "digits": DIGITS, "ring": RING, "clipping": CLIPPING}


def written(name: str) -> list[Path]:
    """Writes the config of each cell of an experiment, and returns the files."""
    common = EXPERIMENTS[name].common
    cells = {
        cell: (base, {**common, **settings})
        for cell, (base, settings) in EXPERIMENTS[name].cells.items()
    }
    return write_configs(RUNS / name / "configs", cells)


def tried_apart() -> Iterator[dict[str, Any]]:
    """Yields how each discriminator of `DISJOINT` sees the distance in the end."""
    import lightning.pytorch as pl
    import torch
    from torch import Tensor, nn
    from torch.utils.data import DataLoader

    from lightning_gans import WGANGP, MinimaxGAN, Trainer
    from lightning_gans.cli.environment import code_version, machine
    from lightning_gans.core.priors import UniformPrior
    from lightning_gans.networks import MLPDiscriminator
    from lightning_gans.optimizers import GANAdam
    from lightning_gans.regularizers import GradientPenalty

    class Apart(nn.Module):
        """Moves latents, which are uniform on [-1, 1], to a square of side 0.1."""

        def __init__(self, distance: float) -> None:
            super().__init__()
            self.distance = nn.Parameter(torch.tensor(distance))

        def forward(self, latent: Tensor) -> Tensor:
            return (latent + 1) / 20 + self.distance * torch.tensor([1.0, 0.0])

    class Last(pl.Callback):
        """Keeps what is logged in the last tenth of a run."""

        def __init__(self) -> None:
            self.rows: list[dict[str, float]] = []

        def on_train_batch_end(self, trainer: Any, model: Any, *_: Any) -> None:
            if trainer.global_step > 0.9 * DISJOINT.updates and trainer.global_step % 10 == 0:
                self.rows.append(dict(model.last_logged))

    torch.set_num_threads(1)
    # A penalty of weight w makes the slope 1 + t / 2w at best: this weight makes it 1.02 at most.
    penalty = partial(GradientPenalty, weight=100.0)
    makers = {"minimax": MinimaxGAN, "wgan_gp": partial(WGANGP, penalty=penalty)}
    for distance in DISTANCES:
        for critic, make in makers.items():
            for seed in DISJOINT.seeds:
                pl.seed_everything(seed)
                real = torch.rand(10_000, 2) / 10
                model = make(
                    prior=UniformPrior(2),
                    data_shape=(2,),
                    n_critic=5,
                    generator=Apart(distance),
                    discriminator=MLPDiscriminator(data_shape=(2,), hidden=[64, 64]),
                    optimizer_g=partial(torch.optim.SGD, lr=0.0),
                    optimizer_d=partial(GANAdam, lr=1e-3, beta1=0.5, beta2=0.9),
                )
                last = Last()
                trainer = Trainer(
                    max_steps=DISJOINT.updates,
                    accelerator="cpu",
                    logger=False,
                    log_every_n_steps=10,
                    callbacks=[last],
                    enable_checkpointing=False,
                    enable_progress_bar=False,
                )
                loader = DataLoader(real, batch_size=5 * 64, shuffle=True, drop_last=True)
                trainer.fit(model, loader)
                gradient, loss = (
                    fmean(row[key] for row in last.rows)
                    for key in ("train/grad_norm_g", "train/adversarial_d")
                )
                yield {
                    "cell": f"{critic}-{distance:g}",
                    "seed": seed,
                    "status": "finished",
                    "commit": code_version(),
                    "machine": machine(torch.device("cpu")),
                    "floors": {},
                    "evaluations": [
                        {"update": DISJOINT.updates, "gradient": gradient, "estimate": -loss}
                    ],
                }


def train(name: str, data_dir: str, jobs: int, max_hours: float | None) -> None:
    """Trains what is missing of an experiment, or resumes it."""
    if name == "disjoint":
        RUNS.mkdir(parents=True, exist_ok=True)
        APART.write_text(json.dumps([*tried_apart()]))
        return
    settings = {} if name == "ring" else {"data.init_args.data_dir": data_dir}
    seeds, done = EXPERIMENTS[name].seeds, recorded_cells("claims", name)
    compare(written(name), seeds, RUNS, name, jobs, settings, max_hours, done)


# What has come of it

LAYERS = ("at_largest/discriminator", "grad_norm/discriminator")
"""What is logged of each layer of the critics of `CLIPPING`."""
Rows = list[dict[str, float]]
"""The evaluations of a run, each with its update, the CPU seconds and the estimate by then."""


def evaluations(run: Run) -> Rows:
    """Returns the scores of a run over time.

    With each go the generator updates and CPU seconds of training by then, and the mean of what
    the discriminator's loss said of the distance since the evaluation before: the loss without
    penalties, with its sign changed. It is the critic's estimate of W1 for a WGAN, and rises with
    the Jensen-Shannon distance for a GAN whose discriminator is optimal.
    """
    found: dict[float, dict[str, float]] = {}
    seconds = 0.0
    losses: list[float] = []
    for row in run.rows:
        seconds = row.get("train/cpu_seconds", seconds)
        if "train/adversarial_d" in row:
            losses.append(row["train/adversarial_d"])
        scores = {
            key.removeprefix("val/").removeprefix("alarms/"): value
            for key, value in row.items()
            if key.startswith(("val/", "alarms/", *LAYERS))
        }
        if scores:
            known = found.setdefault(row["step"], {"update": row["step"], "cpu_seconds": seconds})
            known.update(scores)
            if losses:
                known["estimate"] = -fmean(losses)
                losses = []
    return [*found.values()]


def within(rows: Rows, minutes: float) -> dict[str, float] | None:
    """Returns the last of some evaluations that was made within CPU minutes, if there is one."""
    return next((r for r in reversed(rows) if r["cpu_seconds"] <= 60 * minutes), None)


def collect(name: str) -> list[dict[str, Any]]:
    """Returns what is kept of the runs of an experiment that have ended."""
    if name == "disjoint":
        return json.loads(APART.read_text()) if APART.is_file() else []
    found = []
    for folder in sorted((RUNS / name).glob("*/version_*")):
        run = read_run(folder)
        if run.status not in ("finished", "failed"):
            continue
        rows = [
            {key: float(f"{value:.6g}") for key, value in row.items()} for row in evaluations(run)
        ]
        found.append(
            {
                "cell": run.name,
                "seed": run.seed,
                "status": run.status,
                "commit": run.record["commit"],
                "machine": run.record["machine"],
                "floors": run.record.get("floors", {}),
                "evaluations": rows,
            }
        )
    return found
