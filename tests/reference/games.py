"""Games: structures, losses and regularizers, in the library and in formulas."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from datamodules import GaussianRing, MixturePairs, SwissRoll, UnpairedSources
from lightning_gans import (
    BEGAN,
    DCGAN,
    DRAGAN,
    EBGAN,
    FGAN,
    GAN,
    LSGAN,
    MMDGAN,
    R3GAN,
    RSGAN,
    SAGAN,
    SNGAN,
    WDCGAN,
    WDCGANGP,
    WGAN,
    WGANGP,
    WGANLP,
    AdversarialModule,
    BigGAN,
    CramerGAN,
    CycleGAN,
    FisherGAN,
    HingeGAN,
    MinimaxGAN,
    Pix2Pix,
    RaGAN,
    RaLSGAN,
    WGANDiv,
    losses,
)
from lightning_gans.callbacks import Lookahead, Schedule
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import MMD, Cramer, LeastSquares, NonSaturating
from lightning_gans.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    GradientNormalization,
    MinibatchDiscrimination,
    MinibatchStdDev,
    ResNetCritic,
    ResNetGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
    SNCNNDiscriminator,
    SNCNNGenerator,
    SpectralNorm,
)
from lightning_gans.optimizers import OptimisticAdam, PastExtraAdam
from lightning_gans.regularizers import GradientPenalty
from reference import BATCH, OPTIMIZER, SEED, data
from reference.losses import ADAPTIVE, CRITICS, LOSSES
from reference.networks import (
    grouped,
    of_images,
    of_styled_images,
    steep,
    two_comparing,
    wrapped,
)
from reference.players import PAST, drawing_by_batch, with_more_fakes
from reference.regularizers import OF_GENERATORS, REGULARIZERS, Look, Memory, Paths, regularizer
from reference.structures import OTHERS, STRUCTURES, Structure, structure_of


@dataclass(frozen=True)
class Game:
    """A structure, a loss and regularizers, in the library and in formulas.

    Attributes:
        structure: of the players.
        loss: one of `LOSSES`.
        regularizers: weights of `REGULARIZERS`, and how often they are computed.
        clip: bound of the discriminator's parameters.
        arguments: of the variant; the loss and the regularizers if it does not have them itself.
        corrected: rounds after each of which Lookahead corrects the weights by half; 0 for none.
        falling: rounds in which the learning rates fall from 1e-2 to 0; 0 if they do not.
        fading: real images in all processes in which they do; 0 if they do not.
    """

    structure: Structure
    loss: str = "NonSaturating"
    regularizers: tuple[tuple[str, float, int], ...] = ()
    clip: float | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    corrected: int = 0
    falling: int = 0
    fading: int = 0

    @property
    def callbacks(self) -> list[Callback]:
        """New ones for a training."""
        lookahead = [Lookahead(self.corrected, 0.5)] if self.corrected else []
        falls = [
            Schedule("optimizer_*.lr", 1e-2, 0.0, **{f"until_{unit}": until})
            for unit, until in (("update", self.falling), ("images", self.fading))
            if until
        ]
        return [*lookahead, *falls]

    def d(self, real, fake, of=""):
        return LOSSES[self.loss][0](real, fake, *self._whose(of))

    def g(self, fake, real, of=""):
        return LOSSES[self.loss][1](fake, real, *self._whose(of))

    def e(self, real, fake):
        """The encoder's loss: the generator's in the mirrored game."""
        if self.loss in ADAPTIVE:
            return ADAPTIVE[self.loss].e(real)
        if self.loss == "LeastSquares":  # whose targets are 1 and 0
            return (real**2).mean() / 2
        return LOSSES[self.loss][1](-real, -fake)

    def _whose(self, of: str) -> tuple[str, ...]:
        """The name of the discriminator, for a loss with a number for each."""
        return (of,) if self.loss in ADAPTIVE else ()

    @property
    def numbers(self) -> dict[str, Tensor]:
        """Those of the loss, by their names in the model."""
        if self.loss not in ADAPTIVE:
            return {}
        loss, several = ADAPTIVE[self.loss], self.structure.has_two_kinds
        found = {}
        for index, of in enumerate(sorted(loss.numbers)):
            prefix = f"losses.{index}" if several else "class_loss" if of == "category" else "loss"
            for name, value in loss.state(of).items():
                found[f"{prefix}.{name}"] = torch.tensor(value, dtype=torch.float64)
        return found

    @property
    def num_classes(self) -> int:
        return self.structure.num_classes

    def regularized(self, network, critic, real, fake):
        """What the regularizers add in this update; those that are not due count nothing."""
        due = [(n, w * e) for n, w, e in self.of_discriminator if self.clock[0] % e == 0]
        if due and self.loss in CRITICS:
            outputs = [critic(x, [*range(len(x))]) for x in (real, fake)]
            features, value = critic, CRITICS[self.loss]
            critic = lambda x, index: value(features(x, index), *outputs)  # noqa: E731
        look = Look(critic, real, fake, network, self.memory, self.paths)
        if self.remembers:
            means = [look.outputs(points).mean().detach() for points in (real, fake)]
            self.memory.seen.append(torch.stack(means))
        return sum(weight * REGULARIZERS[name](look) for name, weight in due)

    @property
    def of_discriminator(self) -> list[tuple[str, float, int]]:
        return [part for part in self.regularizers if part[0] not in OF_GENERATORS]

    def regularized_g(self, network, real, fake, styles=None):
        """The same for the generator, which plays once a round."""
        remembered = self.memory, self.paths
        look = Look(lambda x, index: network(x), real, fake, network, *remembered, styles)
        parts = [part for part in self.regularizers if part[0] in OF_GENERATORS]
        due = [(n, w * e) for n, w, e in parts if self.rounds[0] % e == 0]
        return sum(weight * REGULARIZERS[name](look) for name, weight in due)

    def networks(self) -> dict[str, nn.Module]:
        torch.manual_seed(SEED)
        return self.structure.made(self.num_classes)

    @property
    def most_updates(self) -> int:
        """n_critic at most."""
        return 3

    def data(self):
        sizes = {"batch_size": BATCH, "num_eval_samples": 16}
        if self.structure.variant is Pix2Pix:
            return MixturePairs(paired=True, **sizes)
        if self.structure.has_two_kinds:
            return UnpairedSources(GaussianRing(**sizes), SwissRoll(**sizes))
        own = self.structure.data
        return data(self.num_classes) if own is None else own()

    def model(self, n_critic: int) -> AdversarialModule:
        networks = self.networks()
        if self.structure.makes_its_own:
            torch.manual_seed(SEED)
            networks = {}
        others = {} if "classifier" not in networks else {"optimizer_c": OPTIMIZER}
        classes = {"num_classes": self.num_classes} if self.num_classes else {}
        return self.structure.variant(
            data_shape=(2,),
            n_critic=n_critic,
            optimizer_g=self.structure.optimizer,
            optimizer_d=self.structure.optimizer,
            **classes,
            **others,
            **networks,
            **self.structure.arguments,
            **deepcopy(self.arguments),  # regularizers may have a state
        )

    clock: list[int] = field(default_factory=lambda: [0], compare=False)
    """The number of the discriminator's update."""
    rounds: list[int] = field(default_factory=lambda: [0], compare=False)
    """The number of the round."""
    memory: Memory = field(default_factory=lambda: Memory(torch.zeros(2)), compare=False)
    paths: Paths = field(default_factory=lambda: Paths(torch.zeros(())), compare=False)

    @property
    def remembers(self) -> bool:
        return any(name == "LeCam" for name, _, _ in self.regularizers)

    def forget(self) -> None:
        self.memory.averages, self.memory.updates = torch.zeros(2, dtype=torch.float64), 0
        self.paths.average = torch.zeros((), dtype=torch.float64)

    def state(self) -> dict[str, Tensor]:
        """What the checkpoint has beside the weights of the networks."""
        if self.structure.variant is CycleGAN:
            found = {}
            for index, past in enumerate(PAST.values()):
                found[f"history.{index}.samples"] = torch.stack(past.samples)
                found[f"history.{index}.number"] = torch.tensor(len(past.samples))
            return found
        if any(name == "PathLength" for name, _, _ in self.regularizers):
            return {"regularizers_g.0.average": self.paths.average}
        if not self.remembers:
            return {}
        averages, updates = self.memory.averages, torch.tensor(self.memory.updates)
        return {"regularizers.0.averages": averages, "regularizers.0.updates": updates}


def game(structure: str, loss: str, *regularizers: tuple[str, float, int]) -> Game:
    """Returns a game whose loss and regularizers are given to the structure."""
    one_feature = {"num_outputs": 1} if loss in CRITICS else {}
    arguments: dict[str, Any] = {"loss": partial(getattr(losses, loss), **one_feature)}
    for settings in regularizers:
        argument = "regularizers_g" if settings[0] in OF_GENERATORS else "regularizers"
        arguments.setdefault(argument, []).append(regularizer(*settings))
    return Game(STRUCTURES[structure], loss, regularizers, arguments=arguments)


def penalized(variant: type[GAN], loss: str, penalty: tuple[str, float, int]) -> Game:
    """Returns the game of a variant that has a penalty of its own."""
    return Game(
        structure_of(variant), loss, (penalty,), arguments={"penalty": regularizer(*penalty)}
    )


def on(made: Callable[[int], dict[str, nn.Module]], played: Game) -> Game:
    """Returns a game with other networks."""
    return replace(played, structure=replace(played.structure, made=made))


def optimizing(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    return partial(kind, lr=1e-2, beta1=0.5, beta2=0.9)


PENALTY = ("GradientPenalty", 0.7, 1)
NOISY = LeastSquares(real_target=-1.0, fake_target=1.0, generator_target=-1.0, label_noise=0.05)
GAMES = {
    "GAN": Game(STRUCTURES["GAN"]),
    "MinimaxGAN": Game(structure_of(MinimaxGAN), "Minimax"),
    "LSGAN": Game(structure_of(LSGAN), "noisy squares", arguments={"loss": NOISY}),
    "WGAN": Game(structure_of(WGAN), "Wasserstein", clip=0.2, arguments={"clip_value": 0.2}),
    "WGANGP": penalized(WGANGP, "Wasserstein", PENALTY),
    "WGANLP": on(steep, penalized(WGANLP, "Wasserstein", ("OneSidedPenalty", 0.7, 1))),
    "WGANDiv": penalized(WGANDiv, "Wasserstein", ("WGANDivPenalty", 0.7, 1)),
    "DRAGAN": penalized(DRAGAN, "NonSaturating", ("DRAGANPenalty", 0.7, 1)),
    "HingeGAN": Game(structure_of(HingeGAN), "Hinge"),
    "SNGAN": Game(Structure(SNGAN, with_more_fakes), "Hinge", arguments={"generator_batch": 2}),
    "SAGAN": Game(structure_of(SAGAN), "Hinge"),
    "BigGAN": Game(structure_of(BigGAN), "Hinge", arguments={"prior": NormalPrior(2)}),
    "RSGAN": Game(structure_of(RSGAN), "RelativisticPaired"),
    "RaGAN": Game(structure_of(RaGAN), "RelativisticAverage"),
    "RaLSGAN": Game(structure_of(RaLSGAN), "average squares"),
    "R3GAN": Game(
        structure_of(R3GAN),
        "RelativisticPaired",
        (("R1", 0.3, 1), ("R2", 0.3, 1)),
        arguments={"gamma": 0.3},
    ),
    "FGAN": Game(structure_of(FGAN), "FDivergence"),
    "MMDGAN": Game(
        structure_of(MMDGAN, "features"),
        "MMD",
        (PENALTY,),
        arguments={"loss": MMD(num_outputs=3), "penalty": GradientPenalty(0.7)},
    ),
    "CramerGAN": Game(
        structure_of(CramerGAN, "features"),
        "Cramer",
        (PENALTY,),
        arguments={"loss": Cramer(num_outputs=3), "penalty": GradientPenalty(0.7)},
    ),
    "FisherGAN": Game(
        structure_of(FisherGAN), "strict Fisher", arguments={"loss": partial(losses.Fisher, 0.3)}
    ),
    "EBGAN": Game(
        structure_of(EBGAN, "squared errors"),
        "EnergyMargin",
        arguments={"pulling_away_weight": 0.7},
    ),
    "BEGAN": Game(
        structure_of(BEGAN, "errors"),
        "quick equilibrium",
        arguments={
            "loss": partial(losses.BoundaryEquilibrium, k_rate=0.5),
            "prior": NormalPrior(2),
        },
    ),
    "PacGAN": Game(STRUCTURES["PacGAN"]),
    "PacGAN with a penalty": game("PacGAN", "Wasserstein", PENALTY),
    "R3GAN x PacGAN": game("PacGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "InfoGAN": Game(STRUCTURES["InfoGAN"]),
    "InfoGAN with a posterior": Game(OTHERS["posterior"]),
    "InfoGAN with a penalty": game("InfoGAN", "Wasserstein", PENALTY),
    "R3GAN x InfoGAN": game("InfoGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "UnrolledGAN": game("UnrolledGAN", "Minimax"),
    "UnrolledGAN with a penalty": game("UnrolledGAN", "NonSaturating", ("R1", 0.7, 1)),
    "TopKGAN": Game(OTHERS["the best"]),
    "TopKGAN with a penalty": replace(
        game("GAN", "NonSaturating", ("R1", 0.7, 1)), structure=OTHERS["the best"]
    ),
    "SGAN": Game(OTHERS["few labels"]),
    "SGAN with a penalty": replace(
        game("GAN", "NonSaturating", ("R1", 0.7, 1)), structure=OTHERS["few labels"]
    ),
    "GAN with minibatch deviations": on(
        two_comparing(partial(MinibatchStdDev, 8, 3)), Game(STRUCTURES["GAN"])
    ),
    "GAN with minibatch discrimination": on(
        two_comparing(partial(MinibatchDiscrimination, 8, 4, 3)), Game(STRUCTURES["GAN"])
    ),
    "CGAN": Game(STRUCTURES["CGAN"]),
    "ACGAN": Game(STRUCTURES["ACGAN"]),
    "CVAEGAN": Game(STRUCTURES["CVAEGAN"]),
    "BiGAN": game("BiGAN", "NonSaturating"),
    "BiGAN with a penalty": game("BiGAN", "Wasserstein", PENALTY),
    "AAE": game("AAE", "NonSaturating"),
    "AAE with a penalty": game("AAE", "Wasserstein", PENALTY),
    "SemiSupervisedAAE": game("SemiSupervisedAAE", "NonSaturating"),
    "SemiSupervisedAAE with a penalty": game("SemiSupervisedAAE", "Wasserstein", PENALTY),
    "VAEGAN": game("VAEGAN", "Minimax"),
    "VAEGAN with a penalty": game("VAEGAN", "Wasserstein", PENALTY),
    "GAN with smooth labels": Game(
        STRUCTURES["GAN"], "smooth", arguments={"loss": NonSaturating(0.8)}
    ),
    "GAN with R1 and R2": game("GAN", "NonSaturating", ("R1", 3.0, 1), ("R2", 2.0, 1)),
    "GAN with a lazy R1": game("GAN", "Hinge", ("R1", 3.0, 2)),
    "R3GAN x ACGAN": game("ACGAN", "RelativisticPaired", ("R1", 0.5, 1), ("R2", 0.5, 1)),
    "CVAEGAN with a penalty": game("CVAEGAN", "Wasserstein", PENALTY),
    "GAN with optimism": Game(replace(STRUCTURES["GAN"], optimizer=optimizing(OptimisticAdam))),
    "GAN with extrapolation": Game(
        replace(STRUCTURES["GAN"], optimizer=optimizing(PastExtraAdam))
    ),
    "GAN with lookahead and a schedule": Game(STRUCTURES["GAN"], corrected=2, falling=8),
    "GAN with a schedule in images": Game(STRUCTURES["GAN"], fading=250),
    "CycleGAN": game("CycleGAN", "LeastSquares"),
    "CycleGAN with a penalty": game("CycleGAN", "Wasserstein", PENALTY),
    "Pix2Pix": game("Pix2Pix", "NonSaturating"),
    "Pix2Pix with a penalty": game("Pix2Pix", "Wasserstein", PENALTY),
    "CoGAN": game("CoGAN", "NonSaturating"),
    "CoGAN with a penalty": game("CoGAN", "Wasserstein", PENALTY),
}
"""One row each: what the variants are by default, and how they go together."""
STYLES = {"gamma": 0.3, "mixing": 0.6}
GAMES["StyleGAN2"] = Game(
    OTHERS["styles"],
    "NonSaturating",
    (("R1", 0.3, 16),),
    None,
    {**STYLES, "path_length_weight": 0},
)
GAMES["R3GAN with its networks"] = on(grouped, GAMES["R3GAN"])
OF_IMAGES = {
    "SNGAN": (SNCNNGenerator, SNCNNDiscriminator),
    "SAGAN": (SAGANGenerator, SAGANDiscriminator),
    "BigGAN": (BigGANGenerator, BigGANDiscriminator),
    "WGANGP": (ResNetGenerator, ResNetCritic),
}
"""Networks with BatchNorm, with spectral norm, with attention, with projections of classes."""
SGD = partial(torch.optim.SGD, lr=1e-3)
"""Adam would scale rounding errors up: biases before a BatchNorm have no gradient."""
for named, networks in OF_IMAGES.items():
    variant = GAMES[named].structure.variant
    with_classes = Structure(variant, drawing_by_batch, of_images(*networks), 3, optimizer=SGD)
    arguments = {k: v for k, v in GAMES[named].arguments.items() if k != "generator_batch"}
    GAMES[f"{named} with its networks"] = replace(
        GAMES[named], structure=with_classes, arguments=arguments
    )
styled = replace(GAMES["StyleGAN2"].structure, made=of_styled_images, optimizer=SGD)
GAMES["StyleGAN2 with its networks"] = Game(
    styled, "NonSaturating", arguments={**GAMES["StyleGAN2"].arguments, "gamma": 0}
)
"""Without R1, which the formulas have for samples that are judged alone."""
GAMES["WGANGP with classes"] = replace(GAMES["WGANGP"], structure=structure_of(WGANGP, "CGAN"))
for convolutional, same in ((DCGAN, "GAN"), (WDCGAN, "WGAN"), (WDCGANGP, "WGANGP")):
    GAMES[convolutional.__name__] = replace(GAMES[same], structure=structure_of(convolutional))
LAZY = {f"a lazy {name}": game("GAN", "NonSaturating", (name, 0.7, 3)) for name in REGULARIZERS}
"""Each regularizer in every third update, which with two updates a round is every other round."""
LAZY["a lazy PathLength"] = replace(
    GAMES["StyleGAN2"],
    regularizers=(("R1", 0.3, 16), ("PathLength", 0.7, 3)),
    arguments={
        **GAMES["StyleGAN2"].arguments,
        "regularizers_g": [regularizer("PathLength", 0.7, 3)],
    },
)
LAZY["a lazy OneSidedPenalty"] = on(steep, LAZY["a lazy OneSidedPenalty"])
WRAPPERS = {"spectral norm": SpectralNorm, "gradient normalization": GradientNormalization}
for wrapper, kind in WRAPPERS.items():
    LAZY[f"a lazy R1 on {wrapper}"] = on(wrapped(kind), LAZY["a lazy R1"])
GAMES |= LAZY


CURES = (
    "PacGAN with a penalty",
    "GAN with minibatch deviations",
    "GAN with minibatch discrimination",
    "UnrolledGAN with a penalty",
    "TopKGAN with a penalty",
)
"""Games against lost modes, which are also compiled and resumed."""

CASES = [
    (name, n)
    for name, game in GAMES.items()
    for n in ((2,) if name in LAZY else (1, 3))
    if n <= game.most_updates
]
"""Games, and how often their discriminators play."""
