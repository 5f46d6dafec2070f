"""The records of the game: batches, what an update sees, and who plays.

Shapes: N is the batch, Z the size of a latent, and ``...`` the shape of one sample, which is
(C, H, W) for images with C channels, H rows and W columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from typing_extensions import Self

from lightning_gans.regularizers import Regularizer, View

__all__ = [
    "Batch",
    "Domains",
    "Pair",
    "PartlyLabelled",
    "Player",
    "Reconstructs",
    "Record",
    "Samples",
    "Translated",
    "Translates",
    "read_batch",
]


KEYS = {"discriminator": "d", "generator": "g"}
"""Short names of players in the logs."""


@dataclass(frozen=True)
class Record:
    """Base of the records: named tensors with a row for each sample.

    A field is a tensor, another record, a dict or a tuple of such, or None.
    """

    def __len__(self) -> int:
        """The number of rows, that of its first tensor."""
        for value in vars(self).values():  # most begin with one: this is read in every update
            if isinstance(value, Tensor):
                return value.shape[0]
        return next((len(tensor) for tensor in self.tensors()), 0)

    def tensors(self) -> Iterator[Tensor]:
        """Yields all tensors of the record."""
        return _tensors(vars(self))

    def rows(self, part: slice) -> Self:
        """Returns a record of some of the rows."""
        return replace(self, **_rows(vars(self), part))

    def even(self) -> Self:
        """Returns a record of as many rows as its shortest tensor has."""
        lengths = set(map(len, self.tensors()))
        return self if len(lengths) < 2 else self.rows(slice(0, min(lengths)))

    def split(self, size: int) -> Iterator[Self]:
        """Yields consecutive parts of ``size`` rows."""
        number = len(self)
        if number <= size:
            yield self
            return
        for start in range(0, number, size):
            yield self.rows(slice(start, start + size))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Record):
        yield from value.tensors()
    elif isinstance(value, dict | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _rows(value: Any, part: slice) -> Any:
    if isinstance(value, Tensor):
        return value[part]
    if isinstance(value, Record):
        return value.rows(part)
    if isinstance(value, dict):
        return {name: _rows(inner, part) for name, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_rows(inner, part) for inner in value)
    return value


@dataclass(frozen=True)
class Batch(Record):
    """Samples of one source.

    Attributes:
        real: data in the data's own range, shape (N, ...).
        labels: classes of the samples, int64, shape (N,), or None.
    """

    real: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Domains(Record):
    """Samples of two sources that do not belong together, row by row.

    Attributes:
        a: samples of the one, shape (N, ...).
        b: samples of the other, shape (N, ...).
    """

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Pair(Record):
    """Pairs of samples: each row of the target belongs to that row of the source.

    Attributes:
        source: given, shape (N, ...).
        target: wanted, shape (N, ...).
        labels: classes of the pairs, int64, shape (N,), or None; for evaluations.
    """

    source: Tensor
    target: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class PartlyLabelled(Record):
    """Few samples with labels beside others without, as many rows of each.

    Attributes:
        labelled: samples, shape (N, ...).
        labels: their classes, int64, shape (N,).
        unlabelled: other samples, shape (N, ...), whose classes nobody knows.
        further: still others of this kind, shape (N, ...), or None: for a player that is to see
            other ones than the player before.
    """

    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor
    further: Tensor | None = None

    def with_labels(self) -> Batch:
        """Returns the labelled samples and their classes."""
        return Batch(self.labelled, self.labels)

    def without_labels(self) -> Batch:
        """Returns the unlabelled samples."""
        return Batch(self.unlabelled)


@dataclass(frozen=True)
class Samples(Record):
    """What an update sees. A variant may add fields.

    Attributes:
        real: data in the data's own range, shape (N, ...).
        fake: generated samples, the same shape; it has a graph in its generator's turn only.
        latent: the generator's input for ``fake``, shape (N, Z), if it reads any.
        labels: classes of the real samples, int64, shape (N,), or None; of the fakes too if they
            are generated by class, unless the model says that it draws those.
    """

    real: Tensor
    fake: Tensor
    latent: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Translated(Samples):
    """Samples whose fakes are translations of others.

    Attributes:
        source: what the fakes were made from, shape (N, ...).
        truth: what they should be, row by row, shape (N, ...), or None if nobody knows.
        back: the sources, translated there and back, shape (N, ...), or None.
    """

    source: Tensor
    truth: Tensor | None = None
    back: Tensor | None = None


@dataclass(frozen=True)
class Player:
    """One side of the game.

    Attributes:
        name: such as "discriminator".
        networks: what its optimizer updates; everything else is frozen during its turn.
        loss: maps what it sees to named terms, scalars, whose sum it minimizes. A bound method.
        optimizer: makes the optimizer from the parameters.
        draw: maps rows of the batch to what the player sees; the batch itself if it is None.
        factor: rows that ``draw`` returns for each row of the batch: 1 / m for packs of m samples.
        updates: how many times in a row it plays in each round.
        draws_at_once: whether ``draw`` is known to treat rows alone, so that it may be called once
            for all of its updates.
        views: maps what it sees to what its discriminators are shown, for the regularizers.
        regularizers: added to its loss.
    """

    name: str
    networks: Sequence[nn.Module]
    loss: Callable[[Any], dict[str, Tensor]]
    optimizer: OptimizerCallable
    draw: Callable[[Any], Record] | None = None
    factor: Fraction | int = 1
    updates: int = 1
    draws_at_once: bool = False
    views: Callable[[Any], Sequence[View]] | None = None
    regularizers: Sequence[Regularizer] = ()

    @property
    def key(self) -> str:
        """Ends the player's log keys: ``loss_d``, ``grad_norm_g``, ``loss_classifier``."""
        return KEYS.get(self.name, self.name)

    @property
    def loss_name(self) -> str:
        """The name of its loss, such as ``GAN.generator_loss``."""
        method = getattr(self.loss, "__func__", None)
        owner = type(getattr(self.loss, "__self__", None)).__name__
        return f"the loss of the {self.name}" if method is None else f"{owner}.{method.__name__}"

    def trained(self) -> list[nn.Parameter]:
        """Returns the parameters its optimizer updates, each once.

        Raises:
            ValueError: if there are none.
        """
        parameters = dict.fromkeys(p for network in self.networks for p in network.parameters())
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            raise ValueError(f"{self.name}: it has no parameters to train.")
        return trained


@runtime_checkable
class Reconstructs(Protocol):
    """A model that finds the latents of samples; it is scored and shown by its reconstructions."""

    def encode(self, x: Tensor) -> Tensor:
        """Returns the latents of samples, shape (N, Z)."""

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the samples that the latents of samples generate, shape (N, ...)."""


@runtime_checkable
class Translates(Protocol):
    """A model that turns samples of one kind into samples of another.

    Attributes:
        translators: names of its networks that do so, by direction: ``a_to_b`` or ``b_to_a``.
    """

    translators: Mapping[str, str]

    def translate(self, x: Tensor, direction: str = "a_to_b") -> Tensor:
        """Returns what becomes of samples, shape (N, ...)."""


KINDS: tuple[type[Record], ...] = (Domains, Pair, PartlyLabelled)
"""Records of the batches that are dicts, each with the fields as keys; those that may be None need
not be there."""


def read_batch(batch: Any) -> Record:
    """Returns the record of a batch as data loaders give it.

    Args:
        batch: samples; or a list or tuple of samples and perhaps labels, int64, shape (N,); or a
            dict with the fields of one of `KINDS`: ``a`` and ``b``; ``source`` and ``target``;
            ``labelled``, ``labels`` and ``unlabelled``.

    Raises:
        ValueError: if it is anything else.
    """
    parts = [batch] if isinstance(batch, Tensor) else batch
    if isinstance(parts, list | tuple) and all(isinstance(part, Tensor) for part in parts):
        if len(parts) == 2 and (parts[1].dtype != torch.int64 or parts[1].ndim != 1):
            raise ValueError(
                f"data: the second tensor of a batch has dtype {parts[1].dtype} and shape "
                f"{tuple(parts[1].shape)}, but labels are torch.int64 of shape (N,). For two "
                "sources of samples, use a dict with the keys a and b, or source and target."
            )
        if len(parts) in (1, 2):
            return Batch(*parts)
    if isinstance(parts, dict) and all(isinstance(part, Tensor) for part in parts.values()):
        for kind in KINDS:
            known = {field.name: field.default is None for field in fields(kind)}
            needed = {name for name, optional in known.items() if not optional}
            if needed <= parts.keys() <= known.keys():
                return kind(**parts)
    given = f" with the keys {', '.join(map(str, batch))}" if isinstance(batch, dict) else ""
    given = f" of {len(batch)}" if isinstance(batch, list | tuple) else given
    raise ValueError(
        "data: a batch must be a tensor of samples, samples and labels, or a dict with the keys a "
        "and b, source and target, or labelled, labels and unlabelled; got a "
        f"{type(batch).__name__}{given}."
    )
