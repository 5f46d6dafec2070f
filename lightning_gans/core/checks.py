"""What is refused before the first update: networks, classes and data that do not fit together.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from lightning_gans.core.lightning_compat import shares_statistics
from lightning_gans.core.players import Player, Record
from lightning_gans.core.priors import Prior
from lightning_gans.losses import AdversarialLoss
from lightning_gans.networks import JoinLabels, has_batch_statistics
from lightning_gans.regularizers import WeightRegularizer

__all__ = [
    "build",
    "build_part",
    "check_augment",
    "check_classes",
    "check_discriminator",
    "check_generator",
    "check_labels",
    "check_logits",
    "check_losses",
    "check_makes",
    "check_name_is_free",
    "check_optimizer",
    "check_outputs",
    "check_packs",
    "check_players",
    "check_precision",
    "check_range",
    "check_rows",
    "check_samples",
    "check_schedulers",
    "check_sources",
    "check_terms",
    "check_updates",
    "check_weights",
    "warn_of_batch_statistics",
    "warn_of_loaders",
]

Part = TypeVar("Part", bound=nn.Module)

HALF = (torch.float16, torch.bfloat16)
LARGEST = 1e9
"""Absolute value of data."""
MOST_UPDATES = 10_000
"""Of a player in a round, whose samples come in one batch."""
USUAL = {"num_classes": None, "num_outputs": 1}
"""What networks are made with if nothing is said; a config file says it all the same."""
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


def build_part(name: str, source: Callable[[], Part], kind: Any) -> Part:
    """Returns a loss or a regularizer that may still have to be made.

    Args:
        name: of the argument.
        source: the part, or what makes it, such as its class.
        kind: the class that it has to be of.

    Raises:
        ValueError: if it is not.
    """
    part: Any = source if isinstance(source, kind) or not callable(source) else source()
    if not isinstance(part, kind):
        raise ValueError(f"{name} must be a {kind.__name__} or make one, got {part!r}.")
    return cast("Part", part)


def build(
    name: str, network: Callable[..., nn.Module], *sizes: Any, **arguments: int
) -> nn.Module:
    """Returns a network that may still have to be made.

    Args:
        name: of the argument.
        network: the network, or what makes it.
        sizes: for what makes it.
        arguments: for what makes it: the ``num_classes`` of a network that reads them, and
            ``num_outputs``, where they are not the usual ones.

    Raises:
        ValueError: if it cannot be made, is no module, was told of other classes or outputs than
            it is made with, or is one of this package's networks with other classes. What else
            does not fit shows when it is tried before training.
    """
    if not isinstance(network, nn.Module):
        settings = getattr(network, "keywords", {})  # of a partial, which the call overrides
        for key, needed in arguments.items():
            own = settings.get(key, needed)
            _check_agrees(name, key, needed if own == USUAL[key] else own, needed)
        try:
            network = network(*sizes, **arguments)
        except TypeError as error:
            given = (*map(str, sizes), *(f"{key}={value}" for key, value in arguments.items()))
            raise ValueError(
                f"{name}: it could not be made from ({', '.join(given)}): {error}"
            ) from error
        if not isinstance(network, nn.Module):
            raise ValueError(f"{name}: what was made from {sizes} is no module: {network!r}.")
    labels = getattr(network, "labels", ...)
    if isinstance(labels, JoinLabels | None):
        classes = getattr(labels, "num_classes", None)
        _check_agrees(name, "num_classes", classes, arguments.get("num_classes"))
    return network


def _check_agrees(name: str, key: str, own: int | None, needed: int | None) -> None:
    if own != needed:
        remedy = f"leave {key} out" if needed is None else "make it with that"
        raise ValueError(
            f"{name}: it has {key} {own}, but needs {key} {needed} in this model: {remedy}, or "
            "let the model make it."
        )


def check_makes(**makes: object) -> None:
    """Refuses arguments that should make an optimizer and cannot be called.

    Raises:
        ValueError: if one is.
    """
    for name, make in makes.items():
        if not callable(make):
            raise ValueError(f"{name} must make an optimizer from parameters, got {make}.")


def check_updates(name: str, updates: int) -> None:
    """Refuses a number of updates in a round that is below 1 or very large.

    Args:
        name: of the argument, or of the player.
        updates: the number.
    """
    if not 1 <= updates <= MOST_UPDATES:
        limits = "at least 1" if updates < 1 else f"at most {MOST_UPDATES:,}"
        raise ValueError(f"{name} must be {limits}, got {updates}.")


def check_sources(
    data_shape: tuple[int, ...] | None, prior: Prior | None, *networks: object
) -> None:
    """Refuses networks that have yet to be made for data of an unknown shape.

    Args:
        data_shape: shape of one sample, if it is known.
        prior: distribution of the latents, if it is given.
        networks: or what makes them.
    """
    if data_shape is None and (
        prior is None or not all(isinstance(network, nn.Module) for network in networks)
    ):
        raise ValueError(
            "data_shape must be given, unless generator and discriminator are modules and a prior "
            "says what the generator reads."
        )


def check_optimizer(player: str, optimizer: object) -> None:
    """Refuses what makes no steps in the loop of a game.

    Args:
        player: whose optimizer it is.
        optimizer: made for its parameters.
    """
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


def check_schedulers(schedulers: Sequence[object], max_steps: int) -> None:
    """Refuses a schedule that training would outlast, or that waits for a score.

    Warns of one that begins again before training ends.

    Args:
        schedulers: of learning rates.
        max_steps: the trainer's; -1 is without limit.
    """
    for scheduler in schedulers:
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
        raise ValueError(f"regularizers: each name is allowed once, got {names}.")
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
            "normalisation, or one of each sample alone, such as torch.nn.InstanceNorm2d."
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


def check_weights(**weights: float) -> None:
    """Refuses factors of the terms of a loss that are below 0 or not finite.

    Raises:
        ValueError: if one is.
    """
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{name} must be at least 0, got {weight}.")


def check_classes(num_classes: int | None, data: object) -> None:
    """Refuses a model and data with different numbers of classes.

    Args:
        num_classes: the model's.
        data: the data module, whose own ``num_classes`` counts if it has them.
    """
    known = getattr(data, "num_classes", None)
    if num_classes is not None and known is not None and known != num_classes:
        raise ValueError(
            f"num_classes: the model has {num_classes} classes, but the data, "
            f"{type(data).__name__}, has {known}: give the model num_classes {known}."
        )


def check_generator(
    generate: Callable[[Tensor, Tensor | None], Tensor],
    latent: Tensor,
    labels: Tensor | None,
    prior: Prior,
    data_shape: tuple[int, ...] | None,
) -> Tensor:
    """Refuses a generator that reads no latents or makes samples of another shape; returns some.

    Args:
        generate: the model's.
        latent: some latents.
        labels: their classes, if the model has any.
        prior: what latents are drawn from.
        data_shape: of one sample, if it is known.
    """
    try:
        fake = generate(latent, labels)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"generator: it cannot read latents of shape (N, {prior.dim}), which {prior} draws"
            f"{_with(labels)}: {error}"
        ) from error
    shape = tuple(fake.shape[1:])
    if data_shape is not None and shape != data_shape:
        raise ValueError(
            f"generator: it makes samples of shape {shape}, but those of the data have shape "
            f"{data_shape}."
        )
    return fake


def check_discriminator(
    read: Callable[..., Any],
    fake: Tensor,
    labels: Tensor | None = None,
    name: str = "discriminator",
) -> None:
    """Refuses a network that cannot read what the generator makes.

    Args:
        read: calls it as the model does.
        fake: some generated samples.
        labels: their classes, if it reads any.
        name: of the network.
    """
    try:
        read(fake, *(() if labels is None else (labels,)))
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name}: it cannot read samples of shape {tuple(fake.shape[1:])}, which the "
            f"generator makes{_with(labels)}: {error}"
        ) from error


def check_outputs(name: str, outputs: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns what a network says of samples, in single precision or better.

    Losses and their means need more than half precision. Two shapes that merely broadcast, such
    as (N, 1) and (N,), would make a loss of all N x N pairs.

    Args:
        name: of the network.
        outputs: of the network.
        shape: what they have to have: (N,) or (N, 1), where each is also given as the other, or
            (N, K). One of shape (N,) may also be (N, 1, h, w), a number for each patch.

    Raises:
        ValueError: if they have another shape.
    """
    if len(shape) == 1 and outputs.shape == (*shape, 1):
        outputs = outputs.squeeze(1)
    if len(shape) == 1 and outputs.ndim == 4:
        shape = (*shape, 1, *outputs.shape[2:])  # a logit for each patch
    if shape[1:] == (1,) and outputs.shape == shape[:1]:
        outputs = outputs.unsqueeze(1)
    if outputs.shape != shape:
        wanted = f"{shape}" if len(shape) > 1 else f"{shape} or {(*shape, 1)}"
        raise ValueError(
            f"{name}: its output for {shape[0]} samples has shape {tuple(outputs.shape)}, but "
            f"must have shape {wanted}."
        )
    return outputs.float() if outputs.dtype in HALF else outputs


def _with(labels: Tensor | None) -> str:
    return "" if labels is None else ", with labels as second argument"


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


def check_range(
    generator: nn.Module, fake: Tensor, value_range: tuple[float, float] | None
) -> None:
    """Refuses a generator of images that declares another range than that of the data.

    Args:
        generator: the network; its ``output_range`` counts, if it has one.
        fake: some of its samples.
        value_range: of the data, if it is known.
    """
    limits = getattr(generator, "output_range", None)
    if fake.ndim == 4 and None not in (limits, value_range) and limits != value_range:
        raise ValueError(
            f"generator: its last layer makes values in {limits}, but the images of the data are "
            f"scaled to value_range {value_range}: change the one or the other."
        )


def check_rows(record: Record, slices: int, model: nn.Module) -> None:
    """Refuses a first batch that no round can be played on.

    Args:
        record: the batch.
        slices: updates of a round that share it.
        model: whose networks read it.
    """
    number = len(record)
    read = {parameter.dtype for parameter in model.parameters()}
    for values in record.tensors():
        if len(values) != number:
            raise ValueError(
                f"data: a batch has {number} rows in one tensor and {len(values)} in another."
            )
        if not values.is_floating_point():
            continue
        if values.dtype == torch.float64 and read == {torch.float32}:
            raise ValueError(
                "data: samples are torch.float64, but the networks read torch.float32: convert "
                "them with .float(), or give the trainer precision 64-true."
            )
        if not values.isfinite().all():
            bad = int((~values.isfinite()).sum())
            raise ValueError(
                f"data: {bad} of the first batch's {values.numel()} values are NaN or infinite."
            )
        if values.numel() and values.abs().max() > LARGEST:
            raise ValueError(
                f"data: a value of the first batch is as large as {values.abs().max().item():.3g}"
                f", whose square may overflow. Scale the data to values below {LARGEST:.0e}."
            )
    if number % slices != 0:
        raise ValueError(
            f"data: a batch of {number} samples cannot be split into {slices} equal slices, one "
            f"for each update of a round (n_critic): its size must be a multiple of {slices}."
        )


def check_samples(real: Tensor, shape: tuple[int, ...]) -> None:
    """Refuses samples that are not like those that the generator makes.

    Args:
        real: samples of a batch.
        shape: of one generated sample.
    """
    if not real.is_floating_point():
        raise ValueError(f"data: samples must be floating-point numbers, got {real.dtype}.")
    if tuple(real.shape[1:]) != shape:
        raise ValueError(
            f"data: samples have shape {tuple(real.shape[1:])}, but the generator makes samples "
            f"of shape {shape}."
        )


def check_packs(number: int, slices: int, pack_size: int) -> None:
    """Refuses a batch whose slices cannot be packed.

    Args:
        number: samples of the batch.
        slices: updates of a round that share it.
        pack_size: samples that a discriminator judges at a time.
    """
    if (number // slices) % pack_size != 0:
        raise ValueError(
            f"data: {number // slices} samples of an update cannot be split into packs of "
            f"{pack_size}. Use a batch_size that is a multiple of {pack_size}."
        )


def check_augment(augment: nn.Module | None, x: Tensor) -> None:
    """Refuses an augmentation that changes the shape of samples.

    Args:
        augment: the augmentation, if there is one.
        x: some samples.
    """
    if augment is None:
        return
    shape = tuple(augment(x).shape)
    if shape != tuple(x.shape):
        raise ValueError(
            f"augment: it makes samples of shape {shape} from samples of shape {tuple(x.shape)}. "
            "Use an augmentation that keeps the shape."
        )


def check_logits(loss: AdversarialLoss, real: Tensor | None, fake: Tensor) -> None:
    """Refuses outputs that a loss cannot compare, or real ones that it needs and does not get.

    Shapes that merely broadcast, such as (N, 1) and (N,), would make a loss of all N x N pairs.

    Args:
        loss: that reads them.
        real: outputs of real samples, if there are any.
        fake: outputs of generated samples.
    """
    if real is not None and real.shape != fake.shape:
        raise ValueError(
            f"discriminator: its outputs have shape {tuple(real.shape)} for real samples, but "
            f"{tuple(fake.shape)} for generated ones. Use one shape for both."
        )
    if real is None and loss.needs_real:
        raise ValueError(
            f"loss: {type(loss).__name__} compares generated samples with real ones, which this "
            "player does not see. Use another loss."
        )


def check_name_is_free(argument: str, name: str, taken: Container[str]) -> None:
    """Refuses a second value of one name in an update.

    Args:
        argument: what the name is given to.
        name: of the value.
        taken: names of the update so far.
    """
    if name in taken:
        raise ValueError(f"{argument}: {name!r} is used twice in one update. Use another name.")


def check_labels(real: Tensor, labels: Tensor | None, num_classes: int) -> None:
    """Refuses labels that a GAN with classes cannot learn from.

    Args:
        real: samples of a batch.
        labels: of the batch.
        num_classes: the model's.
    """
    if labels is None:
        raise ValueError(
            f"data: its batches have no labels, but the model has num_classes {num_classes}: "
            "give it data with labels (synthetic data has them with labels true), or take a GAN "
            "without classes."
        )
    if labels.dtype != torch.int64 or labels.shape != real.shape[:1]:
        raise ValueError(
            f"data: labels must be torch.int64 of shape ({len(real)},), one for each sample, got "
            f"{labels.dtype} of shape {tuple(labels.shape)}."
        )
    least, greatest = labels.min().item(), labels.max().item()
    if least < 0 or greatest >= num_classes:
        raise ValueError(
            f"data: its labels go from {least} to {greatest}, but the model has num_classes "
            f"{num_classes}, so they must be from 0 to {num_classes - 1}."
        )
