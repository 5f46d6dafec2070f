"""What is refused of a game and of its trainer before the first update.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
)
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from lightning_gans.augment import AdaptiveAugmentation, Augmentation
from lightning_gans.core.building import check_updates
from lightning_gans.core.lightning_compat import shares_statistics
from lightning_gans.core.players import Player
from lightning_gans.core.turns import Judged
from lightning_gans.losses import AdversarialLoss
from lightning_gans.networks import has_batch_statistics
from lightning_gans.regularizers import WeightRegularizer

__all__ = [
    "check_adapts",
    "check_called",
    "check_hooks",
    "check_losses",
    "check_name_is_free",
    "check_players",
    "check_precision",
    "check_schedulers",
    "check_strategy",
    "check_terms",
    "make_optimizer",
    "warn_of_batch_statistics",
    "warn_of_emulated_bf16",
    "warn_of_loaders",
    "warn_of_unowned",
    "warn_of_unused",
]

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


def check_precision(precision: str) -> None:
    """Refuses precisions in which the weights themselves are rounded: small steps are lost there.

    Args:
        precision: the trainer's.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision: {precision} is not supported, since it keeps the weights in half "
            f"precision, where most steps of an optimizer round to none. Use one of "
            f"{', '.join(PRECISIONS)}."
        )


def check_strategy(strategy: Strategy) -> None:
    """Refuses strategies that split a model: a game calls its networks one by one.

    Args:
        strategy: the trainer's.
    """
    if isinstance(strategy, FSDPStrategy | ModelParallelStrategy | DeepSpeedStrategy):
        raise ValueError(
            f"trainer.strategy: {type(strategy).__name__} splits the weights of a model over "
            "processes and gathers them when the whole model is called. Here players call "
            "networks one by one. Use ddp."
        )


UNCALLED = {
    "optimizer_step": "the method after_turn, which is called after each update of a player",
    "optimizer_zero_grad": "the method after_turn, which is called after each update of a player",
    "configure_gradient_clipping": "the argument gradient_clip_norm",
    "lr_scheduler_step": "the argument scheduler, whose schedule takes a step after each round",
}
"""Methods of a LightningModule that the loop of a game never calls, and what to use instead."""


def check_hooks(model: LightningModule) -> None:
    """Refuses a model that overrides what the loop of a game never calls, or leaves the loop.

    Args:
        model: of the game.
    """
    for name, remedy in UNCALLED.items():
        if getattr(type(model), name) is not getattr(LightningModule, name):
            raise ValueError(
                f"{type(model).__name__}.{name} would never be called: the loop of a game steps "
                f"the optimizers itself. Use {remedy}."
            )
    if model.automatic_optimization:
        raise ValueError(
            f"{type(model).__name__}: automatic_optimization is True, but the loop of a game "
            "steps the optimizers itself. Leave it False."
        )


def check_called(model: nn.Module, **done: bool) -> None:
    """Refuses a model whose own methods have left out those of the base.

    Args:
        model: of the game.
        done: whether each of some methods of the base has been called, by its name.
    """
    for name, called in done.items():
        if not called:
            raise ValueError(
                f"{type(model).__name__}.{name} must call super().{name}, which prepares the game."
            )


def check_players(players: Sequence[Player]) -> list[Player]:
    """Returns the players of a game, if they can play it.

    Args:
        players: in the order of their turns.

    Raises:
        ValueError: if there are none, two have one name, one has no networks or too many updates,
            networks of two share parameters, or a regularizer cannot be computed.
    """
    if not players:
        raise ValueError("configure_players: there must be at least one player.")
    for name, number in Counter(player.name for player in players).items():
        if number > 1:
            raise ValueError(f"configure_players: {number} players are called {name!r}.")
    for player in players:
        if not player.networks:
            raise ValueError(f"{player.name}: the player must have at least one network.")
        check_updates(f"{player.name}: updates", player.updates)
        if not player.factor > 0:
            raise ValueError(f"{player.name}: factor must be above 0, got {player.factor}.")
        _check_regularizers(player)
    _check_sharing({player.name: player.networks for player in players})
    return list(players)


def _check_regularizers(player: Player) -> None:
    names = [regularizer.name for regularizer in player.regularizers]
    if len(set(names)) < len(names):
        raise ValueError(
            f"{player.name}: each regularizer may be used once, got {names}. Leave the others out."
        )
    looking = [r.name for r in player.regularizers if not isinstance(r, WeightRegularizer)]
    if looking and player.views is None:
        raise ValueError(
            f"{player.name}: {', '.join(looking)} needs views of a discriminator, but the player "
            "has none. Give the player views."
        )
    reading = [r.name for r in player.regularizers if r.reads_gradient]
    if reading and any(map(has_batch_statistics, player.networks)):
        raise ValueError(
            f"{player.name}: it has BatchNorm layers, which make each output depend on the whole "
            f"batch, but {', '.join(reading)} reads the gradient of each sample alone. Give it no "
            "normalization, or one of each sample alone, such as torch.nn.InstanceNorm2d."
        )


def _check_sharing(players: Mapping[str, Sequence[nn.Module]]) -> None:
    """Refuses parameters that different networks of two players share.

    In the turn of each of the two, the gradient of such a parameter would run through the other's
    network as well, and what the other has drawn would no longer fit. A network that two players
    own as a whole is the same to both.

    Args:
        players: the networks of each, by its name.
    """
    for (one, networks), (other, others) in combinations(players.items(), 2):
        for first, second in product(networks, others):
            whole = first in second.modules() or second in first.modules()
            trained = {id(p): n for n, p in second.named_parameters() if p.requires_grad}
            shared = [(n, trained[id(p)]) for n, p in first.named_parameters() if id(p) in trained]
            if shared and not whole:
                raise ValueError(
                    f"{one} and {other}: they share the parameter that is {shared[0][0]!r} in a "
                    f"{type(first).__name__} of the {one} and {shared[0][1]!r} in a "
                    f"{type(second).__name__} of the {other}, and would train against each other "
                    "in it. Give each network its own, such as an embedding of its own."
                )


def make_optimizer(
    player: str, make: Callable[[list[Parameter]], object], parameters: list[Parameter]
) -> Optimizer:
    """Returns the optimizer of a player, or refuses one that makes no steps in the loop of a game.

    Args:
        player: whose optimizer it is.
        make: makes it from the parameters.
        parameters: that it updates.
    """
    try:
        optimizer = make(parameters)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{player}: its optimizer cannot be made: {error}.") from error
    if not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"{player}: its optimizer must be a torch.optim.Optimizer, got a "
            f"{type(optimizer).__name__}."
        )
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            f"{player}: LBFGS computes a loss several times a step, but the loss of a game is "
            "computed once. Use an optimizer of the first order, such as Adam."
        )
    if isinstance(optimizer, SparseAdam):
        raise ValueError(
            f"{player}: SparseAdam needs sparse gradients, which networks of layers do not have. "
            "Use Adam."
        )
    return optimizer


def check_schedulers(schedulers: Sequence[object], max_steps: int) -> None:
    """Refuses a schedule that training would outlast, that waits for a score, or that is none.

    Warns of one that begins again before training ends.

    Args:
        schedulers: of learning rates.
        max_steps: the trainer's; -1 is without limit.
    """
    for scheduler in schedulers:
        if isinstance(scheduler, dict):
            raise ValueError(
                "scheduler: it must make a scheduler, but made a dict. A schedule takes one step "
                "after each round, so an interval or a frequency has no effect. Return the "
                "scheduler itself."
            )
        if not isinstance(scheduler, LRScheduler):
            raise ValueError(
                "scheduler: it must make a torch.optim.lr_scheduler.LRScheduler from an "
                f"optimizer, but made a {type(scheduler).__name__}."
            )
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError(
                "scheduler: ReduceLROnPlateau is not supported, since it waits for a score. Use "
                "one that depends on the number of updates, such as CosineAnnealingLR."
            )
        if isinstance(scheduler, OneCycleLR) and max_steps > scheduler.total_steps:
            raise ValueError(
                f"scheduler: OneCycleLR ends after {scheduler.total_steps:,} updates "
                f"(total_steps), but training after {max_steps:,} (max_steps). Use total_steps "
                f"{max_steps}."
            )
    period = getattr(schedulers[0], "T_max", None) if schedulers else None
    if period is not None and max_steps > period:
        rank_zero_warn(
            f"The learning rate of {type(schedulers[0]).__name__} rises again after update "
            f"{period:,} (T_max), and training lasts until {max_steps:,}."
        )


def check_terms(
    player: Player, terms: Mapping[str, Any], noted: Mapping[str, Any], names: dict[str, str]
) -> None:
    """Refuses terms that are no scalars, or are logged under the name of another value.

    Args:
        player: whose loss has the terms.
        terms: of its loss, by name.
        noted: other values that it logs.
        names: all names so far and the players that have them; those of this player are added.
    """
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim > 0:
            found = f"shape {tuple(term.shape)}" if isinstance(term, Tensor) else repr(term)
            raise ValueError(
                f"{player.name}: each term of its loss must be a scalar tensor, but {name!r} is "
                f"{found}. Take its mean."
            )
    if not terms:
        raise ValueError(f"{player.name}: its loss has no terms.")
    for name in (f"loss_{player.key}", *terms, *noted):
        if name in names:
            raise ValueError(
                f"{player.name}: the log would hold two values under the name {name!r}, the other "
                f"one of the {names[name]}. Use another name."
            )
        names[name] = player.name


def check_name_is_free(argument: str, name: str, taken: Container[str]) -> None:
    """Refuses a second value of one name in an update.

    Args:
        argument: what the name is given to.
        name: of the value.
        taken: names of the update so far.
    """
    if name in taken:
        raise ValueError(f"{argument}: {name!r} is used twice in one update. Use another name.")


def check_adapts(
    augment: nn.Module | None,
    player: Player,
    judged: Judged,
    losses: Mapping[str, AdversarialLoss],
) -> None:
    """Refuses an augmentation that adapts to outputs which do not tell what it reads.

    Args:
        augment: the augmentation, if there is one.
        player: whose loss was tried.
        judged: outputs of discriminators in it.
        losses: by the name of the discriminator.
    """
    if not isinstance(augment, AdaptiveAugmentation) or player.name != "discriminator":
        return
    for name, (real, _) in judged.items():
        if real is not None:
            losses[name].verdict(real)
    if player.views is None or not judged or any(real is None for real, _ in judged.values()):
        raise ValueError(
            f"augment: {type(augment).__name__} follows the outputs of real samples, which this "
            f"{player.name}'s loss does not tell. Use adversarial_d in it, and give the player "
            "views."
        )


def check_followed(augment: nn.Module | None, players: Sequence[Player]) -> None:
    """Refuses an augmentation with a state that no player's updates would change.

    Args:
        augment: the augmentation, if there is one.
        players: of the game.
    """
    names = [player.name for player in players]
    changes = isinstance(augment, Augmentation) and (
        type(augment).after_turn is not Augmentation.after_turn or augment.replaces_real
    )
    if changes and "discriminator" not in names:
        raise ValueError(
            f"augment: {type(augment).__name__} follows the player called discriminator, but the "
            f"players are {', '.join(names)}. Give that name to the player whose discriminator it "
            "is to follow."
        )


def check_losses(losses: Mapping[str, AdversarialLoss]) -> None:
    """Refuses a loss with a state that two discriminators share.

    Args:
        losses: by the name of the discriminator.
    """
    for (one, loss), (other, same) in combinations(losses.items(), 2):
        if loss is same and type(loss).after_turn is not AdversarialLoss.after_turn:
            raise ValueError(
                f"loss: the discriminators {one!r} and {other!r} share a {type(loss).__name__}, "
                "which has a state. Give each a loss of its own."
            )


def warn_of_batch_statistics(model: nn.Module, trainer: Trainer) -> None:
    """Warns of BatchNorm whose statistics the processes do not share.

    Args:
        model: with all its networks.
        trainer: of the model.
    """
    several = trainer.world_size > 1 and not shares_statistics(trainer)
    if several and has_batch_statistics(model):
        rank_zero_warn(
            "A network has BatchNorm layers, whose statistics each process computes on its own "
            "share of the batch. On GPUs, sync_batchnorm=True shares them."
        )


def warn_of_emulated_bf16(trainer: Trainer, processor: Path = Path("/proc/cpuinfo")) -> None:
    """Warns of bf16 on a CPU that has no instructions for it, where it is slower than fp32.

    Args:
        trainer: of the model.
        processor: where Linux tells what the CPU can do.
    """
    if trainer.precision != "bf16-mixed" or trainer.strategy.root_device.type != "cpu":
        return
    try:
        words = set(processor.read_text().split())
    except OSError:
        return
    if not words & {"avx512_bf16", "amx_bf16", "bf16"}:
        rank_zero_warn(
            "precision: this CPU has no bf16 instructions, so bf16-mixed takes several times as "
            "long as single precision. Use --trainer.precision 32-true."
        )


def warn_of_loaders(loaders: object) -> None:
    """Warns of several loaders, whose positions no checkpoint holds.

    Args:
        loaders: that training reads from.
    """
    if isinstance(loaders, dict | list | tuple):
        rank_zero_warn(
            "The positions of several loaders are not saved, so a resumed run reads other "
            "batches. Use datamodules.UnpairedSources for two data modules of this package."
        )


def warn_of_unowned(
    model: nn.Module, players: Sequence[Player], left_out: Sequence[str] = ()
) -> None:
    """Warns of parts of a model that require gradients, but that no player trains.

    Args:
        model: with all its networks.
        players: of the game.
        left_out: names of parts that are not trained on purpose.
    """
    networks = [network for player in players for network in player.networks]
    trained = {id(weight) for network in networks for weight in network.parameters()}
    for name in dict.fromkeys(
        name.partition(".")[0]
        for name, weight in model.named_parameters()
        if weight.requires_grad and id(weight) not in trained
    ):
        if name not in left_out:
            rank_zero_warn(
                f"No player trains the weights of {name}. Add it to the networks of a player in "
                "configure_players, or use requires_grad_(False) on it."
            )


def warn_of_unused(model: nn.Module, player: Player) -> None:
    """Warns of networks of a player that its first loss has given no gradient.

    Args:
        model: with all its networks.
        player: who has just computed the gradients of its loss.
    """
    names = {part: name for name, part in model.named_modules()}
    for network in player.networks:
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        if weights and all(weight.grad is None for weight in weights):
            rank_zero_warn(
                f"{player.name}: in its first update the loss does not depend on "
                f"{names.get(network, 'a network')} ({type(network).__name__}), which the player "
                "is to train. Use the network in the loss, or leave it out of the networks."
            )
