"""Scores of samples that are translated from others."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of, shape_of
from lightning_gans.metrics.labels import Reader, reader_for

__all__ = ["ClassAgreement", "CycleError", "PairedError"]

KERNEL = 11
"""Pixels of each side of the windows that the structural similarity compares."""


class PairedError(RecordMetric):
    """How far translations are from what they should be, where that is known.

    Scores: ``paired_l1``, the mean absolute difference of an entry; of images also
    ``paired_psnr``, the peak signal-to-noise ratio over all of them in decibels, and
    ``paired_ssim``, their mean structural similarity; and with ``identity_`` in the place of
    ``paired_`` the same if the sources are left as they are. A source of one channel is compared
    with each channel of its truth. There are no scores if nothing is known.

    There is no floor: a correct translation has no error.

    Args:
        data_shape: of one translation.
        value_range: of the data.
    """

    has_floor = False
    about: tuple[Score, ...] = (
        Score("paired_l1", "of one entry, to the truth", shown=True),
        Score("identity_l1", "if nothing were done", best="same"),
        Score("paired_psnr", "to the truth, in dB", best="high"),
        Score("identity_psnr", "if nothing were done", best="same"),
        Score("paired_ssim", "likeness to the truth", best="high"),
        Score("identity_ssim", "if nothing were done", best="same"),
    )

    sums: Tensor
    number: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        if not (hasattr(model, "translate") and shape_of(data)):
            return []
        return [cls(shape_of(data), range_of(data))]

    def __init__(
        self, data_shape: tuple[int, ...], value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self._shows_images = len(data_shape) == 3
        self._has_windows = self._shows_images and min(data_shape[1:]) >= KERNEL
        self.about = self.about[: 2 * (1 + self._shows_images + self._has_windows)]
        self.add_state("sums", torch.zeros(2, 3).double(), dist_reduce_fx="sum")
        self.add_state("number", torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if "source" not in record:
            raise ValueError("metrics: PairedError needs a model that translates.")
        if not real:
            self.update(record["truth"], record["fake"], record["source"])

    @override
    @torch.no_grad()
    def update(self, truth: Tensor | None, made: Tensor, source: Tensor) -> None:
        """Adds samples.

        Args:
            truth: what translations should be, shape (N, ...), or None if nobody knows.
            made: translations, the same shape.
            source: what they were made from. If its shape is another one, even with the channels
                of the truth, there are no scores of it.

        Raises:
            ValueError: if truth and translations have different shapes.
        """
        if truth is None:
            return
        if truth.shape != made.shape:
            raise ValueError(
                f"PairedError: translations have shape {tuple(made.shape)}, but the truth has "
                f"shape {tuple(truth.shape)}."
            )
        same = source.ndim == truth.ndim and source.shape[2:] == truth.shape[2:]
        if same and source.shape[1] in (1, truth.shape[1]):
            source = source.expand_as(truth)
        else:
            source = torch.full_like(truth, float("nan"))
        for row, guess in enumerate((made, source)):
            apart = (guess.double() - truth.double()).flatten(1)
            found = [apart.abs().mean(1).sum(), apart.square().mean(1).sum()]
            likeness = apart.new_zeros(())
            if self._has_windows:
                likeness = self._likeness(guess, truth).double().sum()
            self.sums[row] += torch.stack([*found, likeness])
        self.number += len(truth)

    def _likeness(self, guess: Tensor, truth: Tensor) -> Tensor:
        """Returns the structural similarity of each image, shape (N,)."""
        low, high = self.value_range
        values = structural_similarity_index_measure(
            guess.float(), truth.float(), reduction="none", data_range=float(high - low)
        )
        assert isinstance(values, Tensor)
        return values

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        if self.number == 0:
            return {}
        low, high = self.value_range
        l1, squares, likeness = (self.sums / self.number).unbind(1)
        psnr = 10 * torch.log10((high - low) ** 2 / squares)
        values = [score for pair in (l1, psnr, likeness) for score in pair]
        known = dict(zip(self.scores, values, strict=False))
        # The second score of each pair is that of the sources, which may be no translations.
        foreign = [name for name in [*known][1::2] if known[name].isnan()]
        return {name: value for name, value in known.items() if name not in foreign}


class ClassAgreement(RecordMetric):
    """How many generated samples are of the same class as the samples that they belong to.

    Score: ``class_agreement``, the share of translations that are read as their sources are, or of
    generated pairs whose two samples are read alike. It needs data whose samples can be turned
    back to be read. It is 1 for right ones, but also if all are of one class.

    Args:
        read: reads the classes of generated samples.
        read_source: reads those of the samples that they belong to.
    """

    has_floor = False
    about = (Score("class_agreement", "of the class of their source", best="high", shown=True),)

    alike: Tensor
    number: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        if not (hasattr(model, "makes_pairs") and getattr(data, "undo", None)):
            return []
        read, read_source = reader_for(data), reader_for(data.original)
        return [] if read is None or read_source is None else [cls(read, read_source)]

    def __init__(self, read: Reader, read_source: Reader) -> None:
        super().__init__()
        self.read = read
        self.read_source = read_source
        for name in ("alike", "number"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if "source" not in record:
            raise ValueError("metrics: ClassAgreement needs a model of two kinds of samples.")
        if not real:
            self.update(record["source"], record["fake"])

    @override
    @torch.no_grad()
    def update(self, source: Tensor, made: Tensor) -> None:
        """Adds samples.

        Args:
            source: what generated samples belong to, shape (N, ...).
            made: the generated samples, shape (N, ...).
        """
        found = self.read(made)
        self.alike += (found.eq(self.read_source(source)) & found.ge(0)).sum()  # -1 is no class
        self.number += len(made)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named score."""
        return {"class_agreement": self.alike.double() / self.number}


class CycleError(RecordMetric):
    """How far samples are from themselves, translated there and back.

    Score: ``cycle_l1``, the mean absolute difference of an entry. It says nothing about what lies
    between: a model that translates everything wrongly, and back, has none. It is that of the
    samples that were the sources: ``cycle_l1_b`` that of a, by way of b.
    """

    has_floor = False
    about = (Score("cycle_l1", "there and back, of one entry"),)

    total: Tensor
    number: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls()] if len(getattr(model, "translators", ())) > 1 else []

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0).double(), dist_reduce_fx="sum")
        self.add_state("number", torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("back") is None:
            raise ValueError("metrics: CycleError needs a model that translates there and back.")
        if not real:
            self.update(record["source"], record["back"])

    @override
    @torch.no_grad()
    def update(self, source: Tensor, back: Tensor) -> None:
        """Adds samples.

        Args:
            source: shape (N, ...).
            back: the same, translated there and back.
        """
        self.total += (back.double() - source.double()).flatten(1).abs().mean(1).sum()
        self.number += len(source)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named score."""
        return {"cycle_l1": self.total / self.number}
