"""What is refused of data: kinds, classes, rows and values that a model cannot learn from.

Each function raises a ValueError that names the argument, what it is and what it should be.
"""

from collections.abc import Sequence

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from lightning_gans.core.players import Batch, Domains, Pair, PartlyLabelled, Record

__all__ = [
    "check_classes",
    "check_kind",
    "check_labels",
    "check_packs",
    "check_rows",
    "check_samples",
    "check_sides",
    "check_values",
]

LARGEST = 1e9
"""Absolute value of data."""
SLACK = 0.25
"""Share of a generator's range that images may lie beyond it, as after noise or a sharp resize."""
KINDS: dict[type[Record], tuple[str, str]] = {
    Batch: ("samples, with or without labels", "data such as MNIST or ImageFolder"),
    Domains: (
        "a and b, whose rows do not belong together",
        "data of unpaired samples, such as UnpairedSources or MixturePairs",
    ),
    Pair: (
        "pairs, source and target",
        "data of pairs, such as TransformedMNIST with paired: true",
    ),
    PartlyLabelled: (
        "labelled and unlabelled samples side by side",
        "FewLabels around data with labels",
    ),
}
"""What batches of a kind are, and where they come from."""


def check_kind(record: Record, kinds: Sequence[type[Record]], model: nn.Module) -> None:
    """Refuses batches of another kind than a model reads.

    Args:
        record: the batch.
        kinds: that the model reads.
        model: whose name the message has.
    """
    if isinstance(record, tuple(kinds)):
        return
    given = KINDS.get(type(record), (type(record).__name__, ""))[0]
    wanted, remedy = zip(*(KINDS[kind] for kind in kinds), strict=True)
    raise ValueError(
        f"data: {type(model).__name__} reads batches of {', or '.join(wanted)}, but this data "
        f"gives {given}. Use {', or '.join(remedy)}."
    )


def check_classes(num_classes: int | None, data: object, name: str = "num_classes") -> None:
    """Refuses a model and data with different numbers of classes.

    Args:
        num_classes: the model's.
        data: the data module, whose own ``num_classes`` counts if it has them.
        name: of the argument that the model has its classes from.
    """
    known = getattr(data, "num_classes", None)
    if num_classes is not None and known is not None and known != num_classes:
        raise ValueError(
            f"{name}: the model has {num_classes} classes, but the data, {type(data).__name__}, "
            f"has {known}. Use {name} {known}."
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
                "data: samples are torch.float64, but the networks read torch.float32. Use "
                ".float() on the data, or the precision 64-true."
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
        raise ValueError(
            f"data: samples must be floating-point numbers, got {real.dtype}.{_remedy(real)}"
        )
    if tuple(real.shape) == shape:
        raise ValueError(
            f"data: a batch is a single sample, of shape {shape}. Use "
            "torch.utils.data.DataLoader(dataset, batch_size=64)."
        )
    if tuple(real.shape[1:]) != shape:
        raise ValueError(
            f"data: samples have shape {tuple(real.shape[1:])}, but the generator makes samples "
            f"of shape {shape}."
        )


def check_sides(record: Record, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuses samples of two kinds of other shapes than a model was made for.

    Args:
        record: with the samples of the one and of the other kind first.
        shapes: of one sample of each kind.
    """
    for (name, samples), shape in zip(vars(record).items(), shapes, strict=False):
        if not samples.is_floating_point():
            raise ValueError(
                f"data: samples must be floating-point numbers, but {name} is {samples.dtype}."
                f"{_remedy(samples)}"
            )
        if tuple(samples.shape[1:]) != shape:
            raise ValueError(
                f"data: samples of {name} have shape {tuple(samples.shape[1:])}, but the model "
                f"was made for shape {shape} (data_shapes)."
            )


def _remedy(samples: Tensor) -> str:
    """Returns how to make floating-point numbers of samples, if they are bytes."""
    if samples.dtype != torch.uint8:
        return ""
    return " Scale bytes to the range of the generator: for [-1, 1] it is x.float() / 127.5 - 1."


def check_values(name: str, images: Tensor, network: nn.Module, *, is_declared: bool) -> None:
    """Refuses images on another scale than that of a generator.

    Warns of images that seem to be scaled to [0, 1] for a generator that makes negative values.

    Args:
        name: of the network.
        images: of a batch; other samples are not looked at.
        network: the generator; its ``output_range`` counts, if it has one.
        is_declared: whether the data module says what the range of its images is.
    """
    limits = getattr(network, "output_range", None)
    if images.ndim != 4 or limits is None or not images.numel():
        return
    low, high = limits
    least, greatest = (value.item() for value in images.aminmax())
    slack = SLACK * (high - low)
    if least < low - slack or greatest > high + slack:
        raise ValueError(
            f"data: images have values from {least:.4g} to {greatest:.4g}, but the output_range "
            f"of the {name} is [{low:g}, {high:g}]. Scale the images to it."
        )
    if low < 0 <= least and not is_declared:
        rank_zero_warn(
            f"No value of the first batch is below 0, but the output_range of the {name} is "
            f"[{low:g}, {high:g}]. If the images are scaled to [0, 1], use 2 * x - 1 on them."
        )


def check_packs(number: int, pack_size: int, group_size: int, least: int) -> None:
    """Refuses samples that cannot be split into packs and groups, or are too few.

    Args:
        number: samples of an update.
        pack_size: samples that a discriminator judges at a time.
        group_size: packs that it compares with each other, all of them if there are fewer.
        least: samples that the loss needs, or packs of them.
    """
    packs, left = divmod(number, pack_size)
    if packs < least:
        raise ValueError(
            "loss: it compares the samples of one update with each other, so it needs at least "
            f"{least * pack_size}, got {number}. Use a larger batch_size."
        )
    for kind, size, bad in (
        ("packs", pack_size, left),
        ("groups", pack_size * group_size, packs > group_size and packs % group_size),
    ):
        if bad:
            raise ValueError(
                f"data: {number} samples of an update cannot be split into {kind} of {size} "
                f"({kind.rstrip('s')}_size). Use a batch_size that is a multiple of {size}."
            )


def check_labels(real: Tensor, labels: Tensor | None, num_classes: int) -> None:
    """Refuses labels that a GAN with classes cannot learn from.

    Args:
        real: samples of a batch.
        labels: of the batch.
        num_classes: the model's.
    """
    if labels is None:
        raise ValueError(
            f"data: its batches have no labels, but the model has num_classes {num_classes}. Use "
            "data with labels (--data.labels true for synthetic data, a subfolder for each class "
            "of a folder of images), or a GAN without classes."
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
