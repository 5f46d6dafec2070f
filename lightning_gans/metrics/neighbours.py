"""Whether generated images are copies of training images."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import Self, override

from lightning_gans.metrics.base import Score, range_of, to_unit
from lightning_gans.metrics.features import FeatureMetric
from lightning_gans.metrics.judges import judge_for
from lightning_gans.metrics.manifold import nearest_neighbours
from lightning_gans.progress import Work

__all__ = ["Pixels", "TrainingImages", "TrainingNeighbours"]

BLOCK = 1000
"""Training images that are read at a time."""
PIXELS = 32
"""Height and width, at most, of the images whose pixels are compared."""


class TrainingImages(Protocol):
    """Images that can be read in any order."""

    def __len__(self) -> int: ...

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of some rows, uint8, shape (N, C, H, W)."""
        ...


class Pixels(nn.Module):
    """Gives the pixels of images, which are averaged down if they are large."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Returns the pixels, shape (N, F).

        Args:
            images: shape (N, C, H, W).
        """
        height, width = (min(PIXELS, side) for side in images.shape[2:])
        return nn.functional.adaptive_avg_pool2d(images, (height, width)).flatten(1)


class TrainingNeighbours(FeatureMetric):
    """How many generated images are nearer to a training image than real images usually are.

    Scores: ``memorised_<name>``, the share of generated images whose nearest training image is at
    most as far as the 1st percentile of the distances that held-out real images have to theirs.
    A model that returns training images gets 1, and one that samples the data's distribution 0.01.
    That is also the floor: the share of the held-out images themselves, more only if more of them
    than that are copies of training images.

    Attributes:
        images: as given.
        shown: what a picture shows of the last computation, None if the score is NaN. Of the first
            1,000 generated images of the first process these are the ones at even ranks of the
            distance to the nearest training image, from the least on: images in [0, 1], shape
            (R, C, H, W), and the nearest training images of each, shape (R, K, C, H, W).

    Args:
        images: all that the model was trained on.
        feature: see `FeatureMetric`; distances are Euclidean, of its features.
        name: of the features, at the end of the score's name.
        value_range: of the images.
    """

    real: list[Tensor]
    fake: list[Tensor]

    has_floor = False
    in_training = False
    about: tuple[Score, ...] = (Score("memorised", "near copies of training"),)
    least = 100
    """Held-out images of which a percentile can be told."""
    shown_of, rows, columns = 1000, 8, 7
    """Generated images that the picture chooses from, its rows, and the neighbours in a row."""

    @classmethod
    def of(cls, data: Any) -> Self:
        """Returns the metric for some data: on the features of its judge, or else on pixels.

        Args:
            data: the data module, with its images in ``training``.

        Raises:
            ValueError: if it has no training images that can be read.
        """
        images: Any = getattr(data, "training", None)
        if not hasattr(images, "read"):
            raise ValueError(
                f"neighbours: {type(data).__name__} has no training images to look through. Use "
                "data of images, such as MNIST or ImageFolder."
            )
        feature, name = judge_for(data) or (Pixels(), "pixels")
        return cls(images, feature, name, range_of(data))

    def __init__(
        self,
        images: TrainingImages,
        feature: nn.Module,
        name: str,
        value_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(feature, name, value_range)
        self.images = images
        for state in ("real", "fake"):
            self.add_state(state, [], dist_reduce_fx="cat")
        self.shown: tuple[Tensor, Tensor] | None = None
        self._floor: float | None = None
        self._first: list[Tensor] = []  # no state: a picture has the images of one process

    @override
    def reset(self) -> None:
        super().reset()
        self._first = []

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, C, H, W).
            real: whether they are held-out real images or generated ones.

        Raises:
            ValueError: if they are no images, or the network makes no features of them.
        """
        (self.real if real else self.fake).append(self.features(samples))
        rest = self.shown_of - sum(map(len, self._first))
        if not real and rest > 0:
            unit = to_unit(samples[:rest], self.value_range)
            self._first.append(unit.mul(255).round().to("cpu", torch.uint8))

    @override
    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores, NaN if a feature is not finite.

        Raises:
            ValueError: if there are fewer than 100 held-out images, or no generated ones.
        """
        real, fake = (
            dim_zero_cat(part) if len(part) else torch.empty(0, 1)
            for part in (self.real, self.fake)
        )
        if len(real) < self.least or len(fake) == 0:
            raise ValueError(
                f"neighbours: a percentile of held-out images needs at least {self.least} of them "
                f"and a generated one, got {len(real)} and {len(fake)}. Use more, as with "
                "--data.num_eval_samples."
            )
        self.shown = None
        if not (real.isfinite().all() and fake.isfinite().all()):
            return {self.scores[0]: real.new_tensor(torch.nan)}
        number = min(self.columns, len(self.images))
        both = torch.cat([real, fake])
        distances, places = nearest_neighbours(both, self._training_features(), number)
        held_out, generated = distances[: len(real), 0], distances[len(real) :, 0]
        border = held_out.quantile(0.01)
        self._floor = float((held_out <= border).double().mean())
        self.shown = self._chosen(generated.cpu(), places[len(real) :].cpu())
        return {self.scores[0]: (generated <= border).double().mean()}

    def _training_features(self) -> Iterator[Tensor]:
        with Work("comparing with training images", len(self.images), "images") as work:
            for rows in torch.split(torch.arange(len(self.images)), BLOCK):
                unit = self.images.read(rows).to(self.device).float().div(255)
                yield self.features_of_unit(unit)
                work.done += len(rows)

    @override
    def known_floors(self) -> dict[str, float]:
        return {} if self._floor is None else {self.scores[0]: self._floor}

    def _chosen(self, distances: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what is `shown`.

        Args:
            distances: of generated images to the nearest training image, shape (N,).
            places: of their nearest training images, shape (N, K).
        """
        first = torch.cat(self._first)
        order = distances[: len(first)].argsort(stable=True)
        ranks = torch.linspace(0, len(order) - 1, min(self.rows, len(order))).round().long()
        chosen = order[ranks]
        near = self.images.read(places[chosen].flatten())
        shape = (len(chosen), -1, *near.shape[1:])
        return first[chosen].float() / 255, near.reshape(shape).float() / 255
