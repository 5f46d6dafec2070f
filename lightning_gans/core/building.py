"""What a model is made of: parts that may still have to be made, and what they are made from.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeVar, cast

from torch import nn

from lightning_gans.core.priors import Prior
from lightning_gans.losses import AdversarialLoss
from lightning_gans.networks.conditioning import ClassShares, JoinLabels
from lightning_gans.regularizers import Regularizer

__all__ = [
    "build",
    "build_part",
    "check_energies",
    "check_judges",
    "check_makes",
    "check_makes_two",
    "check_moves",
    "check_regularizers",
    "check_shapes",
    "check_sources",
    "check_updates",
    "check_weights",
]

Part = TypeVar("Part", bound=nn.Module)

MOST_UPDATES = 10_000
"""Of a player in a round, whose samples come in one batch."""
USUAL = {"num_classes": None, "num_outputs": 1}
"""What networks are made with if nothing is said; a config file says it all the same."""


def build_part(name: str, source: Callable[[], Part], kind: Any) -> Part:
    """Returns a loss or a regularizer that may still have to be made.

    Args:
        name: of the argument.
        source: the part, or what makes it, such as its class.
        kind: the class that it has to be of.

    Raises:
        ValueError: if it is not.
    """
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    try:
        part: Any = source if isinstance(source, kind) or not callable(source) else source()
    except TypeError as error:
        raise ValueError(
            f"{name} must be {article} {kind.__name__}, or make one without arguments: {error}."
        ) from error
    if not isinstance(part, kind):
        raise ValueError(f"{name} must be {article} {kind.__name__} or make one, got {part!r}.")
    return cast("Part", part)


def check_regularizers(**regularizers: object) -> None:
    """Refuses what are no lists of regularizers.

    Args:
        regularizers: by the name of the argument.

    Raises:
        ValueError: if one is no list, or holds something else.
    """
    for name, given in regularizers.items():
        if not isinstance(given, Sequence | nn.ModuleList):
            raise ValueError(f"{name} must be a list, got {given!r}. Use [R1()].")
        for part in given:
            if not isinstance(part, Regularizer):
                raise ValueError(f"{name} must hold regularizers such as R1(), got {part!r}.")


def check_shapes(**shapes: object) -> None:
    """Refuses what are no shapes of a sample; None stands for there being none.

    Args:
        shapes: by the name of the argument.

    Raises:
        ValueError: if one is none.
    """
    for name, shape in shapes.items():
        if shape is not None and not (
            isinstance(shape, Sequence)
            and all(isinstance(size, Integral) and int(size) >= 1 for size in shape)
        ):
            raise ValueError(
                f"{name} must be whole numbers of at least 1, got {shape!r}. Use (2,) for points "
                "or (1, 28, 28) for images."
            )


def check_moves(regularizers: Sequence[Regularizer]) -> None:
    """Refuses regularizers of a generator that would not move it.

    Args:
        regularizers: of the generator.

    Raises:
        ValueError: if one of them differentiates at samples without a graph, or reads real samples
            only.
    """
    for regularizer in regularizers:
        if regularizer.reads_gradient or not regularizer.moves_samples:
            raise ValueError(
                f"regularizers_g: {type(regularizer).__name__} has no gradient by the generated "
                "samples, so it would not move the generator. Use it in regularizers, or here one "
                "such as FeatureMatching or Orthogonal."
            )


def check_judges(regularizers: Sequence[Regularizer]) -> None:
    """Refuses regularizers of a discriminator that are for generators.

    Args:
        regularizers: of the discriminator.

    Raises:
        ValueError: if there is one.
    """
    for regularizer in regularizers:
        if regularizer.is_of_generators:
            raise ValueError(
                f"regularizers: {type(regularizer).__name__} is a term of generators, and does "
                "not help a discriminator. Use it in regularizers_g."
            )


def check_energies(loss: AdversarialLoss, reads_energies: bool, model: object) -> None:
    """Refuses a loss of energies where there are none, and others where there are.

    Args:
        loss: the loss.
        reads_energies: whether the outputs of the model's discriminator are energies.
        model: the model.

    Raises:
        ValueError: if they do not fit.
    """
    if loss.reads_energies == reads_energies:
        return
    name = type(loss).__name__
    if reads_energies:
        raise ValueError(
            f"loss: the discriminator of {type(model).__name__} gives energies, which are low for "
            f"real samples, but {name} wants high outputs for them. Use EnergyMargin or "
            "BoundaryEquilibrium."
        )
    raise ValueError(
        f"loss: {name} reads energies, which are low for real samples, but the discriminator of "
        f"{type(model).__name__} gives none. Use EBGAN or BEGAN, or another loss."
    )


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
                f"{name}: it could not be made from ({', '.join(given)}): "
                f"{str(error).removesuffix('.')}. Use a class or a function that takes these "
                "arguments."
            ) from error
        if not isinstance(network, nn.Module):
            raise ValueError(f"{name} must make a torch.nn.Module from {sizes}, got {network!r}.")
    labels = getattr(network, "labels", ...)
    if isinstance(labels, JoinLabels | ClassShares | None):
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
            raise ValueError(
                f"{name} must make an optimizer from parameters, got "
                f"{make if make is None else f'a {type(make).__name__}'}. Use a class such as "
                "torch.optim.Adam, or functools.partial(torch.optim.Adam, lr=1e-4)."
            )


def check_makes_two(model: str, **sources: object) -> None:
    """Refuses a network where a model makes two of a kind, each with weights of its own.

    Args:
        model: its name.
        sources: what makes the networks, by argument.

    Raises:
        ValueError: if one is a network.
    """
    for name, source in sources.items():
        if isinstance(source, nn.Module):
            raise ValueError(
                f"{name}: a {model} makes two of them, got a {type(source).__name__}. Use its "
                "class, or a function that returns one."
            )


def check_sources(
    data_shape: tuple[int, ...] | None, prior: Prior | None, *networks: object
) -> None:
    """Refuses a shape or a prior that is none, and networks that no shape tells how to make.

    Args:
        data_shape: shape of one sample, if it is known.
        prior: distribution of the latents, if it is given.
        networks: or what makes them.
    """
    check_shapes(data_shape=data_shape)
    if not isinstance(prior, Prior | None):
        raise ValueError(f"prior must be a Prior, such as NormalPrior(64), got {prior!r}.")
    if data_shape is None and (
        prior is None or not all(isinstance(network, nn.Module) for network in networks)
    ):
        raise ValueError(
            "data_shape must be given, unless generator and discriminator are modules and a prior "
            "says what the generator reads. Use (2,) for points or (1, 28, 28) for images. The "
            "command line takes it from the attribute data_shape of the data module."
        )


def check_updates(name: str, updates: int) -> None:
    """Refuses a number of updates in a round that is below 1, very large or no whole number.

    Args:
        name: of the argument, or of the player.
        updates: the number.
    """
    if not isinstance(updates, int | Integral):
        raise ValueError(f"{name} must be a whole number, got {updates}.")
    if not 1 <= updates <= MOST_UPDATES:
        limits = "at least 1" if updates < 1 else f"at most {MOST_UPDATES:,}"
        raise ValueError(f"{name} must be {limits}, got {updates}.")


def check_weights(**weights: float) -> None:
    """Refuses factors of the terms of a loss that are below 0 or not finite.

    Raises:
        ValueError: if one is.
    """
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{name} must be finite and at least 0, got {weight}.")
