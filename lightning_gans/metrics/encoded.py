"""Scores of codes: how well they match the prior, and what they tell of the samples' classes."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of, shape_of
from lightning_gans.metrics.manifold import nearest_neighbours
from lightning_gans.metrics.neighbours import Pixels
from lightning_gans.metrics.transport import sliced_wasserstein_distance
from lightning_gans.progress import Work

__all__ = ["CodeMatch", "CodeNeighbours", "LabelledImages"]

Encode = Callable[[Tensor], Tensor]
"""Maps samples, shape (N, ...), to codes, shape (N, Z)."""
BLOCK = 1000
"""Images that are encoded at a time."""


class LabelledImages(Protocol):
    """Images with classes that can be read in any order."""

    labels: Tensor

    def __len__(self) -> int: ...

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows, uint8, shape (N, C, H, W)."""
        ...


class CodeMatch(RecordMetric):
    """How far the codes of real samples are from draws of the prior.

    Scores: ``code_sliced_w``, the sliced Wasserstein-2 distance of the codes to as many latents.
    Its floor is the distance of as many further latents to these. Above it, what the generator
    makes of the prior is not what it has learnt to make of codes.

    Args:
        draw: draws that many latents from the prior, shape (n, Z), the same at every call.
        num_projections: number of random directions, the same at every call.
        max_samples: codes that are compared, the first ones, at least 2.

    Raises:
        ValueError: if ``max_samples`` is below 2.
    """

    codes: list[Tensor]

    has_floor = False
    about: tuple[Score, ...] = (Score("code_sliced_w", "codes to the prior, sliced W2"),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        if not (hasattr(model, "encode") and hasattr(model, "prior")):
            return []
        prior = model.prior
        return [cls(lambda n: prior.sample(n, generator=torch.Generator().manual_seed(0)))]

    def __init__(
        self, draw: Callable[[int], Tensor], num_projections: int = 200, max_samples: int = 4000
    ) -> None:
        super().__init__()
        if max_samples < 2:
            raise ValueError(f"max_samples must be at least 2, got {max_samples}.")
        self.draw = draw
        self.num_projections = num_projections
        self.max_samples = max_samples
        self.add_state("codes", [], dist_reduce_fx="cat")
        self._floor: float | None = None

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("code") is None:
            raise ValueError(
                "metrics: CodeMatch needs a model with an encoder, such as BiGAN or AAE."
            )
        if not real:
            self.update(record["code"])

    @override
    def update(self, codes: Tensor) -> None:
        """Adds codes.

        Args:
            codes: of real samples, shape (N, Z).
        """
        self.codes.append(codes.detach())

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores.

        Raises:
            ValueError: if there are fewer than 2 codes.
        """
        codes = dim_zero_cat(self.codes) if len(self.codes) else torch.empty(0, 1)
        if len(codes) < 2:
            raise ValueError(f"CodeMatch: needs at least 2 codes, got {len(codes)}.")
        codes = codes[: self.max_samples].double()
        latents, further = self.draw(2 * len(codes)).to(codes).chunk(2)
        found, floor = (
            sliced_wasserstein_distance(part, latents, num_projections=self.num_projections)
            for part in (codes, further)
        )
        self._floor = float(floor)
        return {self.scores[0]: found}

    @override
    def known_floors(self) -> dict[str, float]:
        return {} if self._floor is None else {self.scores[0]: self._floor}


class CodeNeighbours(RecordMetric):
    """How often a held-out image is of the class of the training image with the nearest code.

    Scores: ``neighbour_accuracy``, that share; ``neighbour_accuracy_untrained``, the same with the
    encoder's initial weights, whose codes tell much already; and ``neighbour_accuracy_pixels``,
    the same of the images themselves, averaged down to 32 x 32 pixels if they are larger. The
    distances are Euclidean.

    References:
        Adversarial Feature Learning (Donahue et al., 2017), section 4.2, where it is the score of
        codes of MNIST, https://arxiv.org/abs/1605.09782, not compared with the paper.

    Args:
        images: to look for neighbours in.
        encode: returns the codes of samples.
        untrained: the same with the encoder's initial weights, if these are known.
        value_range: of the samples.
        num_images: training images that are looked at, evenly from first to last, at least 1.
        max_samples: held-out images that are classified, the first ones, at least 1.

    Raises:
        ValueError: if a number is below 1.
    """

    samples: list[Tensor]
    labels: list[Tensor]

    has_floor = False
    in_training = False
    about: tuple[Score, ...] = (
        Score("neighbour_accuracy", "class of the nearest code", best="high"),
        Score("neighbour_accuracy_untrained", "encoder without training", best="same"),
        Score("neighbour_accuracy_pixels", "class of the nearest image", best="same"),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        images: Any = getattr(data, "training", None)
        known = getattr(images, "labels", None) is not None and hasattr(images, "read")
        if not (hasattr(model, "encode") and known and len(shape_of(data)) == 3):
            return []
        fresh = getattr(model, "untrained", lambda: None)()
        untrained = None if fresh is None else fresh.encode
        return [cls(images, lambda x: model.evaluated.encode(x), untrained, range_of(data))]

    def __init__(
        self,
        images: LabelledImages,
        encode: Encode,
        untrained: Encode | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        num_images: int = 20_000,
        max_samples: int = 2000,
    ) -> None:
        super().__init__()
        for name, value in (("num_images", num_images), ("max_samples", max_samples)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.images = images
        self.value_range = value_range
        self.num_images = min(num_images, len(images))
        self.max_samples = max_samples
        self._encoders: list[Encode] = [encode, Pixels()]
        if untrained is None:
            self.about = (self.about[0], self.about[2])
        else:
            self._encoders.insert(1, untrained)
        for name in ("samples", "labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("labels") is None:
            raise ValueError("metrics: CodeNeighbours needs data with labels.")
        if real:
            self.update(record["real"], record["labels"])

    @override
    def update(self, samples: Tensor, labels: Tensor) -> None:
        """Adds held-out images, as long as there are fewer than ``max_samples``.

        Args:
            samples: in the value range, shape (N, C, H, W).
            labels: their classes, int64, shape (N,).
        """
        if sum(map(len, self.labels)) < self.max_samples:
            self.samples.append(samples.detach())
            self.labels.append(labels)

    @override
    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores, NaN where a code is not finite.

        Raises:
            ValueError: if there are no images.
        """
        if not len(self.samples):
            raise ValueError("CodeNeighbours: needs at least 1 image, and got none.")
        samples, labels = (
            dim_zero_cat(part)[: self.max_samples] for part in (self.samples, self.labels)
        )
        rows = torch.linspace(0, len(self.images) - 1, self.num_images).round().long()
        near = self._codes(rows)
        classes = self.images.labels[rows].to(labels.device)
        scores = {}
        for name, encode, codes in zip(self.scores, self._encoders, near, strict=True):
            own = torch.cat([encode(part) for part in torch.split(samples, BLOCK)])
            if own.isfinite().all() and codes.isfinite().all():
                _, places = nearest_neighbours(own, codes, 1)
                scores[name] = (classes[places[:, 0]] == labels).double().mean()
            else:
                scores[name] = own.new_tensor(torch.nan)
        return scores

    def _codes(self, rows: Tensor) -> list[Tensor]:
        """Returns the codes of training images by each of the encoders."""
        low, high = self.value_range
        found: list[list[Tensor]] = []
        with Work("encoding training images", len(rows), "images") as work:
            for part in torch.split(rows, BLOCK):
                images = self.images.read(part).to(self.device).float()
                images = images.mul_((high - low) / 255).add_(low)
                found.append([encode(images) for encode in self._encoders])
                work.done += len(part)
        return [torch.cat(codes) for codes in zip(*found, strict=True)]
