"""What the claims of the tutorials are taken for, and how a verdict is found.

This was written down before anything was trained. A claim is a list of statements, each a quantity
of every seed and a bound. A statement holds if the whole 95 % interval of the mean over the seeds,
by Student's t, lies on its side of the bound, and fails if the whole interval lies on the other;
otherwise it is open. A claim holds if all its statements do, and does not hold if they all fail.
Where some hold and some do not, the claim holds only for those; if none holds, and some are open,
this has not decided it.

Scores are read at the last evaluation within a budget: the same number of generator updates for
all methods, and the same number of CPU seconds of training.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from claims_runs import BOUNDS, DISTANCES, EXPERIMENTS, METHODS, NETWORKS, Experiment, Rows
from scipy.stats import spearmanr

from lightning_gans.comparison.statistics import Estimate, estimate
from lightning_gans.metrics import better


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
            worst = min if better(score) == "high" else max
            return worst(
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
