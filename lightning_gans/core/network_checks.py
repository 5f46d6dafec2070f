"""What is refused of networks when they are tried: shapes and ranges that do not fit together.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gans.core.priors import Prior
from lightning_gans.losses import AdversarialLoss

__all__ = [
    "check_augment",
    "check_discriminator",
    "check_generator",
    "check_label",
    "check_labels_of_latents",
    "check_logits",
    "check_outputs",
    "check_range",
    "check_translator",
    "in_single",
]

HALF = (torch.float16, torch.bfloat16)


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


def check_translator(
    name: str, translate: Callable[[Tensor], Tensor], x: Tensor, shape: tuple[int, ...]
) -> Tensor:
    """Refuses a translator that cannot read samples or makes others than wanted; returns some.

    Args:
        name: of the network.
        translate: the network.
        x: some samples that it has to read.
        shape: of one sample that it has to make.
    """
    try:
        made = translate(x)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name}: it cannot read samples of shape {tuple(x.shape[1:])}: {error}"
        ) from error
    if tuple(made.shape[1:]) != shape:
        raise ValueError(
            f"{name}: it makes samples of shape {tuple(made.shape[1:])}, but those of the data "
            f"have shape {shape}."
        )
    return made


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


def check_label(label: int, num_classes: int | None) -> None:
    """Refuses a class that a model does not generate.

    Args:
        label: the class.
        num_classes: the model's, None if it has none.
    """
    if num_classes is None:
        raise ValueError(f"labels: the model has no classes, got {label}. Leave labels out.")
    if not 0 <= label < num_classes:
        raise ValueError(f"labels must be from 0 to {num_classes - 1}, got {label}.")


def check_labels_of_latents(labels: Tensor, n: int, num_classes: int | None) -> None:
    """Refuses classes, or weights of them, that do not fit some latents.

    Args:
        labels: int64, shape (N,), or weights, shape (N, K).
        n: N.
        num_classes: K; None if the model has none, which reads none.
    """
    if num_classes is None:
        return
    if labels.shape not in ((n,), (n, num_classes)):
        raise ValueError(
            f"labels must be one class, or a tensor of shape ({n},) or ({n}, {num_classes}), got "
            f"{tuple(labels.shape)}."
        )
    if labels.ndim == 1 and labels.dtype != torch.int64:
        raise ValueError(f"labels of shape ({n},) must be torch.int64, got {labels.dtype}.")
    if labels.ndim == 2 and not labels.is_floating_point():
        raise ValueError(
            f"labels of shape ({n}, {num_classes}) are weights and must be floating-point, got "
            f"{labels.dtype}."
        )
    # Values are not known while a graph is recorded, as by torch.export.
    if labels.ndim == 1 and n > 0 and not torch.compiler.is_compiling():
        for label in torch.stack(labels.aminmax()).tolist():
            check_label(label, num_classes)


def _with(labels: Tensor | None) -> str:
    return "" if labels is None else ", with labels as second argument"


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
    return in_single(outputs)


def in_single(x: Tensor) -> Tensor:
    """Returns a tensor of half precision in single precision, and any other as it is."""
    return x.float() if x.dtype in HALF else x


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
    if fake.ndim != 4 or limits is None or value_range is None:
        return
    if tuple(limits) != tuple(value_range):
        raise ValueError(
            f"generator: its last layer makes values in {limits}, but the images of the data are "
            f"scaled to value_range {value_range}. Use value_range {list(limits)} for the data, "
            "or another output of the generator."
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
