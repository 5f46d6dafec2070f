"""Scores of conditional samples."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import ComparingMetric, RecordMetric, Score, range_of, to_unit
from lightning_gans.metrics.features import FeatureMetric
from lightning_gans.metrics.frechet import frechet_distance
from lightning_gans.metrics.judges import judge_for

__all__ = [
    "ClassDiversity",
    "ClassFrechet",
    "LabelFidelity",
    "LabelMetric",
    "judge_reader",
    "mode_reader",
    "reader_for",
]

Reader = Callable[[Tensor], Tensor]
"""Reads the class of each sample, shape (N, ...), as int64, shape (N,); -1 if it has none."""


def mode_reader(modes: Tensor) -> Reader:
    """Returns what reads a point as the mode that is nearest to it.

    Args:
        modes: centres, shape (K, d).
    """

    def read(samples: Tensor) -> Tensor:
        nearest = torch.cdist(samples, modes.to(samples)).argmin(1)
        return torch.where(samples.isfinite().all(1), nearest, -1)

    return read


def judge_reader(judge: nn.Module, value_range: tuple[float, float]) -> Reader:
    """Returns what reads an image as a judge does.

    Args:
        judge: maps images in [0, 1] to features and logits; in evaluation mode.
        value_range: of the images.
    """

    def read(images: Tensor) -> Tensor:
        _, logits = judge.to(images.device)(to_unit(images, value_range))
        return torch.where(logits.isfinite().all(1), logits.argmax(1), -1)

    return read


def reader_for(data: Any) -> Reader | None:
    """Returns what reads the classes of some data's samples, if anything can.

    Args:
        data: the data module. Samples that it can ``undo``, to those of its ``original``, are read
            as these.
    """
    undo = getattr(data, "undo", None)
    if undo is not None:
        read = reader_for(data.original)
        return None if read is None else lambda samples: read(undo(samples))
    if getattr(data, "content", None) in ("digits", "objects"):  # what the classes of judges are
        judge = judge_for(data)
        return None if judge is None else judge_reader(judge[0], range_of(data))
    return mode_reader(data.modes) if hasattr(data, "modes") else None


class LabelMetric(ComparingMetric):
    """Base of the metrics that need the classes beside the samples."""

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        labels = record.get("labels")
        if labels is None:
            raise ValueError(f"metrics: {type(self).__name__} needs data with labels.")
        self.update(record["real" if real else "fake"], labels, real=real)

    @abstractmethod
    @override
    def update(self, samples: Tensor, labels: Tensor, *, real: bool) -> None:
        """Adds samples.

        Args:
            samples: shape (N, ...).
            labels: the classes of real samples, and those requested of generated ones,
                int64, shape (N,).
            real: whether they are real or generated.
        """


class LabelFidelity(LabelMetric):
    """How many generated samples are of the class that was requested.

    Scores: ``label_fidelity``, the share of generated samples that are read as their label. The
    label of a translation is that of its source.

    Args:
        read: reads the classes; never the classifier that the model itself was trained with.
    """

    right: Tensor
    total: Tensor

    about = (Score("label_fidelity", "share of the requested class", best="high", shown=True),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        known = getattr(model, "num_classes", None) is not None or hasattr(model, "translate")
        read = reader_for(data) if known else None
        return [] if read is None else [cls(read)]

    def __init__(self, read: Reader) -> None:
        super().__init__()
        self.read = read
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("labels") is None and "source" in record:
            self.update(record["real" if real else "fake"], None, real=real)
        else:
            super().observe(record, real=real)

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, labels: Tensor | None, *, real: bool) -> None:
        if not real and labels is not None:
            self.right += (self.read(samples) == labels).sum()
            self.total += len(samples)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores; none of translations whose classes are not known."""
        return {"label_fidelity": self.right.double() / self.total} if self.total else {}


class ClassDiversity(LabelMetric):
    """How far generated samples of a class are apart, against real ones of the class.

    Scores: ``class_diversity``, the mean distance of two generated samples of a class (over all
    entries, Euclidean) divided by that of two real ones, averaged over the classes that have two
    samples of both kinds and not all real ones alike: near 0 where a class has collapsed, 1 for
    real data. Without such a class there is no score.

    Args:
        max_samples: of each class and kind that are compared, the first ones, at least 2. All are
            kept until then.

    Raises:
        ValueError: if ``max_samples`` is below 2.
    """

    real: list[Tensor]
    real_labels: list[Tensor]
    fake: list[Tensor]
    fake_labels: list[Tensor]

    about = (Score("class_diversity", "distance within a class", best="same"),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [] if getattr(model, "num_classes", None) is None else [cls()]

    def __init__(self, max_samples: int = 1000) -> None:
        super().__init__()
        if max_samples < 2:
            raise ValueError(f"max_samples must be at least 2, got {max_samples}.")
        self.max_samples = max_samples
        for name in ("real", "real_labels", "fake", "fake_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @override
    def update(self, samples: Tensor, labels: Tensor, *, real: bool) -> None:
        kept, kept_labels = (
            (self.real, self.real_labels) if real else (self.fake, self.fake_labels)
        )
        kept.append(samples.detach().flatten(1))
        kept_labels.append(labels)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        real, real_labels, fake, fake_labels = (
            dim_zero_cat(state)
            for state in (self.real, self.real_labels, self.fake, self.fake_labels)
        )
        ratios = []
        for label in torch.unique(real_labels):
            ours, theirs = (
                samples[labels == label][: self.max_samples].float()
                for samples, labels in ((fake, fake_labels), (real, real_labels))
            )
            if min(len(ours), len(theirs)) >= 2 and _mean_distance(theirs) > 0:
                ratios.append(_mean_distance(ours) / _mean_distance(theirs))
        return {"class_diversity": torch.stack(ratios).mean()} if ratios else {}


class ClassFrechet(FeatureMetric, LabelMetric):
    """The Frechet distance of generated samples of a class to real ones of the class.

    Scores: ``class_fd_<name>``, the mean over the classes of the squared Frechet distance of the
    features, see `frechet_distance`. It sees what the distance of all samples does not: classes
    that take each other's place. The distance falls with the number of samples, so that it is
    above that of all samples even for real data. Classes with fewer than two samples of either
    kind are left out, and without any class there is no score.

    References:
        Class-Distinct and Class-Mutual Image Generation with GANs (Kaneko et al., 2019), where it
        is the intra-class FID on Inception's features, https://arxiv.org/abs/1811.11163

    Args:
        feature: see `FeatureMetric`.
        name: of the features, at the end of the score's name.
        value_range: of the images.
    """

    real: list[Tensor]
    real_labels: list[Tensor]
    fake: list[Tensor]
    fake_labels: list[Tensor]

    in_training = False
    about: tuple[Score, ...] = (Score("class_fd", "Frechet, within a class"),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        found = None if getattr(model, "num_classes", None) is None else judge_for(data)
        return [] if found is None else [cls(*found, range_of(data))]

    def __init__(
        self, feature: nn.Module, name: str, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__(feature, name, value_range)
        for state in ("real", "real_labels", "fake", "fake_labels"):
            self.add_state(state, [], dist_reduce_fx="cat")

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, labels: Tensor, *, real: bool) -> None:
        if labels.shape != (len(samples),):
            raise ValueError(
                f"ClassFrechet: {len(samples)} samples need labels of shape ({len(samples)},), "
                f"got {tuple(labels.shape)}."
            )
        kept, kept_labels = (
            (self.real, self.real_labels) if real else (self.fake, self.fake_labels)
        )
        kept.append(self.features(samples))
        kept_labels.append(labels)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores.

        Raises:
            ValueError: if there are no real or no generated images.
        """
        if not (len(self.real) and len(self.fake)):
            raise ValueError("ClassFrechet: it needs real and generated images, and got none.")
        real, real_labels, fake, fake_labels = (
            dim_zero_cat(state)
            for state in (self.real, self.real_labels, self.fake, self.fake_labels)
        )
        distances = []
        for label in torch.unique(real_labels):
            ours, theirs = fake[fake_labels == label].double(), real[real_labels == label].double()
            if min(len(ours), len(theirs)) >= 2:
                distances.append(
                    frechet_distance(theirs.mean(0), theirs.T.cov(), ours.mean(0), ours.T.cov())
                )
        return {self.scores[0]: torch.stack(distances).mean()} if distances else {}


def _mean_distance(samples: Tensor) -> Tensor:
    """Returns the mean Euclidean distance of two different samples, shape (N, d)."""
    return torch.nn.functional.pdist(samples).double().mean()
