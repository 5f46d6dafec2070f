"""What is refused before the first update: networks, classes and data that do not fit together.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from lightning_gans.core.priors import Prior
from lightning_gans.networks import JoinLabels, output_range

__all__ = [
    "check_batch",
    "check_classes",
    "check_discriminator",
    "check_generator",
    "check_labels",
    "check_makes",
    "check_optimizer",
    "check_outputs",
    "check_precision",
    "check_range",
    "check_scheduler",
    "check_sharing",
    "check_weights",
    "made",
]

HALF = (torch.float16, torch.bfloat16)
LARGEST = 1e9
"""Absolute value of data."""
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


def made(name: str, network: Callable[..., nn.Module], *sizes: Any, **arguments: int) -> nn.Module:
    """Returns a network that may still have to be made.

    Args:
        name: of the argument.
        network: the network, or what makes it.
        sizes: for what makes it.
        arguments: for what makes it, such as the ``num_classes`` of a network that reads them.

    Raises:
        ValueError: if it cannot be made, is no module, or was told of other classes or outputs.
    """
    if isinstance(network, nn.Module):
        _check_own_classes(name, network, arguments.get("num_classes"))
        return network
    settings = getattr(network, "keywords", {})
    for key, usual in (("num_classes", None), ("num_outputs", 1)):
        own, needed = settings.get(key, usual), arguments.get(key, usual)
        if own not in (needed, usual):
            raise ValueError(_disagree(name, key, own, needed))
    try:
        module = network(*sizes, **arguments)
    except TypeError as error:
        given = (*map(str, sizes), *(f"{key}={value}" for key, value in arguments.items()))
        raise ValueError(
            f"{name}: it could not be made from ({', '.join(given)}): {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{name}: what was made from {sizes} is no module: {module!r}.")
    _check_own_classes(name, module, arguments.get("num_classes"))
    return module


def _check_own_classes(name: str, network: nn.Module, num_classes: int | None) -> None:
    """Refuses one of this package's networks if it was made for other classes, or for none."""
    labels = getattr(network, "labels", ...)
    if isinstance(labels, JoinLabels | None):
        own = None if labels is None else labels.num_classes
        if own != num_classes:
            raise ValueError(_disagree(name, "num_classes", own, num_classes))


def _disagree(name: str, key: str, own: object, needed: object) -> str:
    remedy = f"leave {key} out" if needed is None else "make it with that"
    return (
        f"{name}: it has {key} {own}, but needs {key} {needed} in this model: {remedy}, or let "
        "the model make it."
    )


def check_makes(name: str, make: object) -> None:
    """Refuses an argument that should make an optimizer and cannot be called.

    Args:
        name: of the argument.
        make: its value.
    """
    if not callable(make):
        raise ValueError(f"{name} must make an optimizer from parameters, got {make}.")


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


def check_scheduler(scheduler: object, max_steps: int) -> None:
    """Refuses a schedule that training would outlast, or that waits for a score.

    Args:
        scheduler: of a learning rate.
        max_steps: the trainer's; -1 is without limit.
    """
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ValueError("scheduler: ReduceLROnPlateau waits for a score; give a fixed one.")
    if isinstance(scheduler, OneCycleLR) and max_steps > scheduler.total_steps:
        raise ValueError(
            f"scheduler: OneCycleLR ends after {scheduler.total_steps:,} updates (total_steps), "
            f"but training after {max_steps:,} (max_steps). Use total_steps {max_steps}."
        )


def check_sharing(players: Mapping[str, Sequence[nn.Module]]) -> None:
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
            (N, K).

    Raises:
        ValueError: if they have another shape.
    """
    if len(shape) == 1 and outputs.shape == (*shape, 1):
        outputs = outputs.squeeze(1)
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
    """Refuses a generator of images that cannot make what the data is scaled to.

    Args:
        generator: the network.
        fake: some of its samples.
        value_range: of the data, if it is known.
    """
    limits = output_range(generator)
    if fake.ndim != 4 or limits is None or value_range is None or limits == value_range:
        return
    # What a network does after its last layer shows in its values alone.
    least, greatest = fake.min().item(), fake.max().item()
    as_it_seems = limits[0] <= least and greatest <= limits[1]
    beyond = least < value_range[0] or greatest > value_range[1]
    too_narrow = value_range[0] < limits[0] or limits[1] < value_range[1]
    if as_it_seems and (beyond or too_narrow):
        raise ValueError(
            f"generator: its last layer makes values in {limits}, but the images of the data are "
            f"scaled to value_range {value_range}: change the one or the other."
        )


def check_batch(
    real: Tensor, slices: int, sample_shape: tuple[int, ...], discriminator: nn.Module
) -> None:
    """Refuses a first batch that no round can be played on.

    Args:
        real: its samples.
        slices: updates of a round that share it.
        sample_shape: of one generated sample.
        discriminator: what is to read it.
    """
    if not real.is_floating_point():
        raise ValueError(f"data: samples must be floating-point numbers, got {real.dtype}.")
    read = {parameter.dtype for parameter in discriminator.parameters()}
    if real.dtype == torch.float64 and read == {torch.float32}:
        raise ValueError(
            "data: samples are torch.float64, but the networks read torch.float32: convert them "
            "with .float(), or give the trainer precision 64-true."
        )
    if tuple(real.shape[1:]) != sample_shape:
        raise ValueError(
            f"data: samples have shape {tuple(real.shape[1:])}, but the generator makes samples "
            f"of shape {sample_shape}."
        )
    if len(real) % slices != 0:
        raise ValueError(
            f"data: a batch of {len(real)} samples cannot be split into {slices} equal slices, "
            f"one for each update of a round (n_critic): its size must be a multiple of {slices}."
        )
    if not real.isfinite().all():
        bad = int((~real.isfinite()).sum())
        raise ValueError(
            f"data: {bad} of the first batch's {real.numel()} values are NaN or infinite."
        )
    if real.numel() and real.abs().max() > LARGEST:
        raise ValueError(
            f"data: a value of the first batch is as large as {real.abs().max().item():.3g}, "
            f"whose square may overflow. Scale the data to values below {LARGEST:.0e}."
        )


def check_labels(real: Tensor, labels: Tensor | None, num_classes: int) -> None:
    """Refuses labels that a GAN with classes cannot learn from.

    Args:
        real: samples of a batch.
        labels: what came along with them.
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
