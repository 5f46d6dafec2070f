"""Two clouds of points in the plane, of which one is the other turned and shifted."""

from math import cos, radians, sin

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.pairs import seed_of
from datamodules.stream import (
    Batches,
    Draw,
    StreamData,
    generator_for,
    share_of,
)
from datamodules.synthetic import LARGEST, GaussianMixture, GaussianRing
from lightning_gans.randomness import EVALUATION_DATA, TRAINING_DATA

__all__ = ["MixturePairs"]


class MixturePairs(StreamData):
    """Points of Gaussians on a circle, a, and points of the same cloud turned and shifted, b.

    What a point should become is known: itself, turned and shifted. Training sees pairs of both,
    or fresh points of each cloud that do not belong together; evaluation sees pairs either way,
    with the numbers of the modes as labels. A map that is only asked for the right cloud can take
    each mode to a wrong one: with six modes and 30 degrees, two are equally near.

    Attributes:
        sources: the two clouds by key, for metrics that fit them.
        paired_truth: True: evaluation sees pairs.
        content: None: points show nothing.

    Args:
        num_modes: Gaussians in each cloud, at least 1.
        radius: of the circle, above 0.
        sd: standard deviation of each coordinate around its centre, above 0.
        angle: by which b is turned to the left around the origin, in degrees.
        shift: by which b is moved then.
        paired: serve pairs, or else samples of two clouds that do not belong together.
        batch_size: points of each cloud in one discriminator update and process, at least 1.
        num_eval_samples: see `StreamData`.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> cloud = MixturePairs(angle=90, shift=(1.0, 0.0))
        >>> cloud.moved(torch.tensor([[2.0, 0.0]])).round(decimals=4)
        tensor([[1., 2.]])
    """

    data_shape = (2,)
    data_shapes = ((2,), (2,))
    paired_truth = True
    content = None

    def __init__(
        self,
        num_modes: int = 6,
        radius: float = 1.0,
        sd: float = 0.1,
        angle: float = 30.0,
        shift: tuple[float, float] = (0.0, 0.0),
        paired: bool = False,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if not max(abs(angle), *map(abs, shift)) <= LARGEST:
            raise ValueError(
                f"angle and shift must be at most {LARGEST:.0e} from 0, got {angle} and "
                f"{tuple(shift)}."
            )
        sizes = (batch_size, num_eval_samples)
        self._cloud = GaussianRing(num_modes, radius, sd, 1.0, *sizes)
        turn = radians(angle)
        self._turned = torch.tensor([[cos(turn), sin(turn)], [-sin(turn), cos(turn)]])
        self._shift = torch.tensor(shift, dtype=torch.float32)
        self.paired = paired
        moved = GaussianMixture(self.moved(self._cloud.modes), sd, 1.0, *sizes)
        keys = ("source", "target") if paired else ("a", "b")
        self.sources = dict(zip(keys, (self._cloud, moved), strict=True))
        ranges = [cloud.value_range for cloud in self.sources.values()]
        self.value_range = min(low for low, _ in ranges), max(high for _, high in ranges)

    def moved(self, points: Tensor) -> Tensor:
        """Returns what points of a, shape (N, 2), should become."""
        return points @ self._turned.to(points) + self._shift.to(points)

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        def draw(position: int) -> dict[str, Tensor]:
            a = self._cloud.sample(size, generator_for(seed, TRAINING_DATA, position, rank))
            if self.paired:
                return {"source": a, "target": self.moved(a)}
            other = generator_for(seed_of(seed, 1), TRAINING_DATA, position, rank)
            return {"a": a, "b": self.moved(self._cloud.sample(size, other))}

        return draw

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        generator = generator_for(0, EVALUATION_DATA, index)
        points, labels = self._cloud.sample_with_labels(self.num_eval_samples, generator)
        points, labels = points[:most], labels[:most]
        whole = {"source": points, "target": self.moved(points), "labels": labels}
        shares = {key: share_of(part, rank, ranks) for key, part in whole.items()}
        parts = {key: torch.split(part, self.eval_batch_size) for key, (part, _) in shares.items()}
        return Batches(
            lambda index: {key: part[index] for key, part in parts.items()},
            len(parts["source"]),
            first=shares["source"][1],
            size=len(points),
        )
