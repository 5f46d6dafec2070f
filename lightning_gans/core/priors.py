"""Latent priors: what the generator's input is drawn from."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.randomness import EVALUATION, reseed

__all__ = [
    "ConstantPrior",
    "NormalPrior",
    "Prior",
    "UniformPrior",
    "latents_at",
    "latents_between",
    "spherical_interpolation",
]

BLOCK = 1000
"""Latents of an evaluation that are drawn at a time."""


class Prior(ABC):
    """A distribution over latents of a fixed size.

    Args:
        dim: Z, the number of entries of one latent, at least 1.

    Raises:
        ValueError: if ``dim`` is below 1.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"{type(self).__name__}: dim must be at least 1, got {dim}.")
        self.dim = dim

    @abstractmethod
    def sample(
        self,
        n: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws latents, shape (n, Z).

        Args:
            n: how many.
            device: where to draw them.
            dtype: their floating-point type.
            generator: source of randomness, the device's default one if it is not given.
        """

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class NormalPrior(Prior):
    """The standard normal distribution N(0, I)."""

    treats_samples_alone = True

    @override
    def sample(
        self,
        n: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return torch.randn(n, self.dim, device=device, dtype=dtype, generator=generator)


class UniformPrior(Prior):
    """Independent entries, each uniform on [low, high).

    Args:
        dim: Z, the number of entries of one latent.
        low: lower bound.
        high: upper bound, above ``low``.

    Raises:
        ValueError: if the bounds are not in order.
    """

    treats_samples_alone = True

    def __init__(self, dim: int, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__(dim)
        if not low < high:
            raise ValueError(f"UniformPrior: low must be below high, got {low} and {high}.")
        self.low = low
        self.high = high

    @override
    def sample(
        self,
        n: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        unit = torch.rand(n, self.dim, device=device, dtype=dtype, generator=generator)
        return self.low + (self.high - self.low) * unit


class ConstantPrior(Prior):
    """The same latent every time, for generators that produce a single pattern.

    Args:
        dim: Z, the number of entries of one latent.
        value: every entry of it.
    """

    treats_samples_alone = True

    def __init__(self, dim: int, value: float = 0.5) -> None:
        super().__init__(dim)
        self.value = value

    @override
    def sample(
        self,
        n: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return torch.full((n, self.dim), self.value, device=device, dtype=dtype)


def latents_at(
    draw: Callable[[int], Tensor], device: torch.device, seed: int, start: int, n: int
) -> Tensor:
    """Draws the latents that go with some samples of an evaluation set, shape (n, Z).

    Each depends on the seed and on the place of its sample only, whatever batches there are.

    Args:
        draw: draws so many latents.
        device: that they are drawn on.
        seed: of the run.
        start: place of the first sample in the set.
        n: how many.
    """
    drawn = []
    for block in range(start // BLOCK, -(-(start + n) // BLOCK)):
        reseed(device, seed, EVALUATION, block, 0)
        drawn.append(draw(BLOCK))
    return torch.cat(drawn)[start % BLOCK :][:n]


def spherical_interpolation(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Returns latents on the arcs from start to end, whose norms stay likely under a normal prior.

    Between vectors of (almost) equal directions the path is the straight line.

    References:
        Sampling Generative Networks (White, 2016), section 2, https://arxiv.org/abs/1609.04468

    Args:
        start: shape (N, Z).
        end: shape (N, Z).
        weight: place on the path, 0 for start and 1 for end, shape (N, 1).
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1)[:, None].clamp(-1, 1)
    angle = cosine.acos()
    straight = angle.sin() < 1e-6
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    arc = (((1 - weight) * angle).sin() * start + (weight * angle).sin() * end) / sine
    return torch.where(straight, torch.lerp(start, end, weight), arc)


def latents_between(
    start: Tensor,
    end: Tensor,
    steps: int,
    interpolation: Callable[[Tensor, Tensor, Tensor], Tensor] = spherical_interpolation,
) -> Tensor:
    """Returns latents on the ways from start to end, way after way, shape (N * steps, Z).

    Args:
        start: shape (N, Z).
        end: shape (N, Z).
        steps: latents of a way, both its ends included.
        interpolation: `spherical_interpolation`, or ``torch.lerp`` for straight ways.
    """
    weights = torch.linspace(0, 1, steps).repeat(len(start))[:, None].to(start)
    starts, ends = (latent.repeat_interleave(steps, 0) for latent in (start, end))
    return interpolation(starts, ends, weights)
