"""Measures what the tutorials that this collection grew out of say of GANs.

    python benchmarks/claims.py run --data_dir data   # trains what is missing: hours on a CPU
    python benchmarks/claims.py table                 # the verdicts on what has been trained

``run`` takes names of experiments, ``--jobs`` and ``--max-hours``. It leaves the training to
``lightning-gans compare``, one thread for each run, and a second start resumes what was stopped.
``table`` puts the runs it finds into ``results/claims.json``, beside those that are there from
before, and writes the numbers and verdicts into docs/claims.md.

How a verdict is found was written down before anything was trained. A claim is a list of
statements, each a quantity of every seed and a bound. A statement holds if the whole 95 % interval
of the mean over the seeds, by Student's t, lies on its side of the bound, and fails if the whole
interval lies on the other; otherwise it is open. A claim holds if all its statements do, and does
not hold if they all fail. Where some hold and some do not, the claim holds only for those; if
none holds, and some are open, this has not decided it.

Scores are read at the last evaluation within a budget: the same number of generator updates for
all methods, and the same number of CPU seconds of training.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import yaml
from scipy.stats import spearmanr
from trained import RESULTS, ROOT, filled, write_results

from lightning_gans.comparison.reading import Run, read_run
from lightning_gans.comparison.statistics import Estimate, estimate

RUNS = ROOT / "runs" / "claims"
PAGE = ROOT / "docs" / "claims.md"
APART = RUNS / "disjoint.json"


# What is trained


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
    files = []
    folder = RUNS / name / "configs"
    folder.mkdir(parents=True, exist_ok=True)
    for cell, (base, settings) in EXPERIMENTS[name].cells.items():
        config = yaml.safe_load((ROOT / "configs" / f"{base}.yaml").read_text())
        for key, value in {**EXPERIMENTS[name].common, **settings}.items():
            *above, last = key.split(".")
            place = config
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value
        path = folder / f"{cell}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        files.append(path)
    return files


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
    seeds = ",".join(map(str, EXPERIMENTS[name].seeds))
    command = [sys.executable, "-m", "lightning_gans", "compare", *map(str, written(name))]
    command += ["--seeds", seeds, "--name", name, "--jobs", str(jobs)]
    command += ["--set", f"trainer.default_root_dir={RUNS}", "--set", "trainer.accelerator=cpu"]
    if name != "ring":
        command += ["--set", f"data.init_args.data_dir={data_dir}"]
    if max_hours is not None:
        command += ["--max-hours", str(max_hours)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)


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


# What is made of it


class Runs:
    """The runs of one experiment.

    Args:
        name: of the experiment.
        kept: as `collect` returns them.
    """

    def __init__(self, name: str, kept: Sequence[Mapping[str, Any]]) -> None:
        self.experiment = EXPERIMENTS[name]
        self.kept = {(run["cell"], run["seed"]): run for run in kept}

    @property
    def missing(self) -> list[str]:
        """The runs that are not there."""
        return [
            f"{cell} {seed}"
            for cell in self.experiment.cells
            for seed in self.experiment.seeds
            if (cell, seed) not in self.kept
        ]

    def rows(self, cell: str, seed: int) -> Rows:
        """Returns the evaluations of a run."""
        rows: Rows = self.kept[cell, seed]["evaluations"]
        return rows

    def read(self, cell: str, seed: int, score: str, budget: str, share: float = 1.0) -> float:
        """Returns a score at the last evaluation within a share of a budget.

        A run that failed has the worst score that any run of the experiment has there.
        """
        if self.kept[cell, seed]["status"] == "failed":
            return max(
                self.read(*other, score, budget, share)
                for other, run in self.kept.items()
                if run["status"] != "failed"
            )
        key, limit = BUDGETS[budget](self.experiment)
        rows = self.rows(cell, seed)
        within = [row for row in rows if row[key] <= share * limit]
        return (within or rows)[-1 if within else 0][score]

    def floor(self, score: str) -> float:
        """Returns what real samples score."""
        return fmean(run["floors"][score] for run in self.kept.values() if run["floors"])


BUDGETS: dict[str, Callable[[Experiment], tuple[str, float]]] = {
    "updates": lambda experiment: ("update", experiment.updates),
    "CPU seconds": lambda experiment: ("cpu_seconds", experiment.seconds),
}


@dataclass(frozen=True)
class Statement:
    """A quantity of every seed, and the side of a bound on which a claim wants its mean.

    Attributes:
        text: what it says.
        experiment: whose runs it is of.
        value: the quantity of a seed.
        above: whether it is to be above the bound, not below.
        bound: fixed, or as the runs have it.
    """

    text: str
    experiment: str
    value: Callable[[Runs, int], float]
    above: bool
    bound: float | Callable[[Runs], float] = 0.0

    def judge(self, runs: Runs) -> tuple[Estimate, float, str]:
        """Returns the mean over the seeds, the bound, and "holds", "fails" or "open"."""
        found = estimate([self.value(runs, seed) for seed in runs.experiment.seeds])
        bound = self.bound(runs) if callable(self.bound) else self.bound
        low, high = found.interval or (-math.inf, math.inf)
        if low > bound or high < bound:
            return found, bound, "holds" if (low > bound) == self.above else "fails"
        return found, bound, "open"


@dataclass(frozen=True)
class Claim:
    """What a tutorial says, and the statements that it is taken for.

    Attributes:
        title: of the claim.
        statements: all of which have to hold.
    """

    title: str
    statements: Sequence[Statement]


def verdict(found: Iterable[str]) -> str:
    """Returns the verdict on a claim by those on its statements."""
    known = list(found)
    if all(word == "holds" for word in known):
        return "holds"
    if all(word == "fails" for word in known):
        return "does not hold"
    if "holds" in known:
        return "holds only in part"
    return "not decided by this" if "open" in known else "does not hold"


def _difference(first: str, second: str, score: str, budget: str) -> Callable[[Runs, int], float]:
    """Returns the second cell's score minus the first one's."""
    return lambda runs, seed: (
        runs.read(second, seed, score, budget) - runs.read(first, seed, score, budget)
    )


TENTHS = [tenth / 10 for tenth in range(1, 11)]


def _speed(first: str, second: str, score: str, budget: str) -> Callable[[Runs, int], float]:
    """Returns how much lower the logarithm of the second's score is, on average over time."""
    return lambda runs, seed: fmean(
        math.log(runs.read(second, seed, score, budget, share))
        - math.log(runs.read(first, seed, score, budget, share))
        for share in TENTHS
    )


def _farthest(values: list[float]) -> float:
    return max(values) - median(values)


def _follows(cell: str, score: str) -> Callable[[Runs, int], float]:
    """Returns the rank correlation over time between a score and the loss's estimate."""

    def value(runs: Runs, seed: int) -> float:
        rows = [row for row in runs.rows(cell, seed) if "estimate" in row]
        estimates, scores = ([row[key] for row in rows] for key in ("estimate", score))
        return float(spearmanr(estimates, scores).statistic)

    return value


def _spread(
    method: str, budget: str, of: Callable[[list[float]], float]
) -> Callable[[Runs, int], float]:
    """Returns how far apart the logarithms of W1 are in the cells of a method."""
    return lambda runs, seed: of(
        [
            math.log(runs.read(cell, seed, "w1", budget))
            for cell in runs.experiment.cells
            if cell.startswith(f"{method}-")
        ]
    )


def _more(
    method: str, budget: str, of: Callable[[list[float]], float]
) -> Callable[[Runs, int], float]:
    """Returns how much more a method's scores are spread than those of the GAN."""
    return lambda runs, seed: (
        _spread(method, budget, of)(runs, seed) - _spread("gan", budget, of)(runs, seed)
    )


NAMES = {
    "minimax": "minimax GAN",
    "gan": "non-saturating GAN",
    "minimax-1": "minimax GAN with n_critic 1",
    "gan-1": "non-saturating GAN with n_critic 1",
    "wgan": "WGAN",
    "wgan_gp": "WGAN-GP",
}
DISTANCE = Claim(
    "Between disjoint supports the minimax gradient vanishes, and that of W1 stays 1",
    [
        Statement(
            "gradient of the minimax loss of the generator by the distance, the largest of five "
            "distances: below 0.01",
            "disjoint",
            lambda runs, seed: max(
                runs.rows(f"minimax-{t:g}", seed)[0]["gradient"] for t in DISTANCES
            ),
            above=False,
            bound=0.01,
        ),
        Statement(
            "the same of WGAN-GP, its largest deviation from 1: below 0.1",
            "disjoint",
            lambda runs, seed: max(
                abs(runs.rows(f"wgan_gp-{t:g}", seed)[0]["gradient"] - 1) for t in DISTANCES
            ),
            above=False,
            bound=0.1,
        ),
        Statement(
            "the estimate of W1 by WGAN-GP, its largest deviation in units of the distance: "
            "below 0.1",
            "disjoint",
            lambda runs, seed: max(
                abs(runs.rows(f"wgan_gp-{t:g}", seed)[0]["estimate"] / t - 1) for t in DISTANCES
            ),
            above=False,
            bound=0.1,
        ),
    ],
)
DIVERSITY = Claim(
    "WGAN restores the diversity that the minimax GAN loses, at worse images",
    [
        statement
        for gan in ("minimax", "gan", "minimax-1", "gan-1")
        for budget in BUDGETS
        for statement in (
            Statement(
                f"`digit_tv`, WGAN minus {NAMES[gan]}, at equal {budget}: below 0",
                "digits",
                _difference(gan, "wgan", "digit_tv", budget),
                above=False,
            ),
            Statement(
                f"`fd_digits`, WGAN minus {NAMES[gan]}, at equal {budget}: above 0",
                "digits",
                _difference(gan, "wgan", "fd_digits", budget),
                above=True,
            ),
        )
    ]
    + [
        Statement(
            f"`digit_ones`, {NAMES[gan]}, within the {budget}: above that of real digits",
            "digits",
            lambda runs, seed, gan=gan, budget=budget: runs.read(gan, seed, "digit_ones", budget),
            above=True,
            bound=lambda runs: runs.floor("digit_ones"),
        )
        for gan in ("minimax", "gan", "minimax-1", "gan-1")
        for budget in BUDGETS
    ],
)
SPEED = Claim(
    "WGAN-GP converges faster than clipping, and gives clear, varied digits by epoch 100",
    [
        *(
            Statement(
                f"mean logarithm of `fd_digits` over ten tenths of the {budget}, WGAN-GP minus "
                "WGAN: below 0",
                "digits",
                _speed("wgan", "wgan_gp", "fd_digits", budget),
                above=False,
            )
            for budget in BUDGETS
        ),
        Statement(
            "`digit_confidence` of WGAN-GP at epoch 100: above 0.9 of that of real digits",
            "digits",
            lambda runs, seed: runs.read("wgan_gp", seed, "digit_confidence", "updates"),
            above=True,
            bound=lambda runs: 0.9 * runs.floor("digit_confidence"),
        ),
        Statement(
            "`digit_tv` of WGAN-GP at epoch 100: below 0.1",
            "digits",
            lambda runs, seed: runs.read("wgan_gp", seed, "digit_tv", "updates"),
            above=False,
            bound=0.1,
        ),
    ],
)


def _at_the_end(cell: str, score: str) -> Callable[[Runs, int], float]:
    return lambda runs, seed: runs.read(cell, seed, score, "updates")


WEIGHTS = Claim(
    "With clipping most critic weights end at the bound; too small a bound makes gradients "
    "vanish, too large a one explode; the penalty does neither",
    [
        *(
            Statement(
                f"share of the critic's parameters on their bounds, c = {bound:g}: above 0.5",
                "clipping",
                _at_the_end(f"c-{bound:g}", "clipped"),
                above=True,
                bound=0.5,
            )
            for bound in BOUNDS
        ),
        Statement(
            "largest gradient of the critic by its input, c = 0.001: below 0.1",
            "clipping",
            _at_the_end("c-0.001", "lipschitz"),
            above=False,
            bound=0.1,
        ),
        Statement(
            "the same, c = 0.5: above 10",
            "clipping",
            _at_the_end("c-0.5", "lipschitz"),
            above=True,
            bound=10.0,
        ),
        Statement(
            "the same, with the penalty: above 0.1",
            "clipping",
            _at_the_end("penalty", "lipschitz"),
            above=True,
            bound=0.1,
        ),
        Statement(
            "the same, with the penalty: below 10",
            "clipping",
            _at_the_end("penalty", "lipschitz"),
            above=False,
            bound=10.0,
        ),
    ],
)
FOLLOWED = [
    (method, *place)
    for method in ("wgan", "wgan_gp", "minimax", "minimax-1", "gan", "gan-1")
    for place in (
        ("digits", method, "fd_digits", "on MNIST"),
        *(
            ("ring", f"{method}-{network}-0.0005", "w1", f"on the ring, {network}")
            for network in NETWORKS
            if method in METHODS
        ),
    )
]
"""Methods, and the experiment, cell and score on which their loss is tried, in words at last."""
CURVE = Claim(
    "The critic's loss is a convergence curve, the minimax discriminator's is not",
    [
        Statement(
            f"rank correlation of the loss's estimate with `{score}`, {NAMES[method]} {where}: "
            + ("above 0.5" if method in ("wgan", "wgan_gp") else "below 0.5"),
            experiment,
            _follows(cell, score),
            above=method in ("wgan", "wgan_gp"),
            bound=0.5,
        )
        for method, experiment, cell, score, where in FOLLOWED
    ],
)
SENSITIVITY = Claim(
    "WGAN and WGAN-GP are less sensitive to the learning rate and the networks",
    [
        Statement(
            f"{text} of log `w1` over three rates and two networks, {NAMES[method]} minus "
            f"non-saturating GAN, at equal {budget}: below 0",
            "ring",
            _more(method, budget, of),
            above=False,
        )
        for method in ("wgan", "wgan_gp")
        for text, of in (("standard deviation", stdev), ("largest minus median", _farthest))
        for budget in BUDGETS
    ],
)
CLAIMS = {
    0: DISTANCE,
    1: DIVERSITY,
    2: SPEED,
    3: WEIGHTS,
    4: CURVE,
    5: SENSITIVITY,
}


# The page


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
    path = RESULTS / "claims.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    return filled(PAGE.read_text(), dict(parts(kept)))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("experiments", nargs="*", help="all if none is given")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--max-hours", type=float, help="of each experiment")
    given = parser.parse_args()
    names = given.experiments or list(EXPERIMENTS)
    if given.action == "run":
        for name in names:
            train(name, given.data_dir, given.jobs, given.max_hours)
        return
    path = RESULTS / "claims.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    kept = {
        name: {(r["cell"], r["seed"]): r for r in before.get(name, [])} for name in EXPERIMENTS
    }
    for name in names:
        kept[name].update({(r["cell"], r["seed"]): r for r in collect(name)})
    write_results("claims", {name: [*runs.values()] for name, runs in kept.items()})
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
