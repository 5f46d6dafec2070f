"""Latent priors: what the generator's input is drawn from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import isfinite, log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from typing_extensions import override

from lightning_gans.described import Described
from lightning_gans.networks.independence import declares_it
from lightning_gans.randomness import EVALUATION, reseed

__all__ = [
    "CodePrior",
    "Codes",
    "ConstantPrior",
    "NormalPrior",
    "Prior",
    "UniformPrior",
    "draws_alone",
    "latents_at",
    "latents_between",
    "spherical_interpolation",
]

BLOCK = 1000
"""Latents of an evaluation that are drawn at a time."""


class Prior(Described, ABC):
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

    def between(self, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
        """Returns latents on ways that suit the distribution: see `spherical_interpolation`."""
        return spherical_interpolation(start, end, weight)

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        arguments = ", ".join(f"{name}={value}" for name, value in shown.items())
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
        ValueError: if the bounds are not in order, or too far apart for single precision.
    """

    treats_samples_alone = True

    def __init__(self, dim: int, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__(dim)
        if not low < high:
            raise ValueError(f"UniformPrior: low must be below high, got {low} and {high}.")
        if not max(-low, high, high - low) <= torch.finfo(torch.float32).max:
            raise ValueError(
                "UniformPrior: low, high and their difference must be finite in single precision, "
                f"got {low} and {high}. Use -1 and 1."
            )
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

    @override
    def between(self, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
        """Returns latents on arcs of normal latents, which are mapped to uniform ones and back.

        Arcs of the latents themselves would leave the bounds.
        """
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2

        def normal(latent: Tensor) -> Tensor:
            # Odd, so that opposite latents stay opposite; at the bounds it would be infinite.
            latent = latent.to(torch.promote_types(latent.dtype, torch.float32))
            unit = ((latent - middle) / half).clamp(-1 + 2e-6, 1 - 2e-6)
            return 2**0.5 * torch.special.erfinv(unit)

        weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
        arc = spherical_interpolation(normal(start), normal(end), weight)
        return (middle + half * torch.special.erf(arc / 2**0.5)).to(start.dtype)


class ConstantPrior(Prior):
    """The same latent every time, for generators that produce a single pattern.

    Args:
        dim: Z, the number of entries of one latent.
        value: every entry of it.

    Raises:
        ValueError: if it is not finite.
    """

    treats_samples_alone = True

    def __init__(self, dim: int, value: float = 0.5) -> None:
        super().__init__(dim)
        if not isfinite(value):
            raise ValueError(f"ConstantPrior: value must be finite, got {value}. Use 0.5.")
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


class Codes(NamedTuple):
    """The parts of latents.

    Attributes:
        noise: shape (N, Z'), where Z' are the entries of the noise.
        categories: the value of each categorical code, int64, shape (N,) each.
        continuous: the continuous codes, shape (N, C).
    """

    noise: Tensor
    categories: tuple[Tensor, ...]
    continuous: Tensor


class CodePrior(Prior):
    """Noise, then categorical codes as one-hot vectors, then continuous codes, all independent.

    Every value of a categorical code is equally likely. Continuous codes are uniform on [-1, 1).

    References:
        InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        Adversarial Nets (Chen et al., 2016), section 7, https://arxiv.org/abs/1606.03657. Its code
        for MNIST has 62 entries of noise, uniform on [-1, 1), a code of ten values and two
        continuous ones.

    Args:
        noise: distribution of the noise, which has at least one entry.
        categories: how many values each categorical code has, at least 2 each.
        continuous: C, how many continuous codes there are, at least 0.

    Raises:
        ValueError: if a size is out of range, or there are no codes at all.

    Example:
        >>> prior = CodePrior(NormalPrior(1), [3], 1)
        >>> prior.join(torch.zeros(2, 1), [torch.tensor([0, 2])], torch.tensor([[0.5], [-0.5]]))
        tensor([[ 0.0000,  1.0000,  0.0000,  0.0000,  0.5000],
                [ 0.0000,  0.0000,  0.0000,  1.0000, -0.5000]])
    """

    treats_samples_alone = True

    def __init__(self, noise: Prior, categories: Sequence[int] = (), continuous: int = 0) -> None:
        for number in categories:
            if number < 2:
                raise ValueError(f"categories: a code needs at least 2 values, got {number}.")
        if continuous < 0:
            raise ValueError(f"continuous must be at least 0, got {continuous}.")
        if not categories and continuous == 0:
            raise ValueError(
                f"CodePrior: it has no codes. Give it categories or continuous, or use {noise}."
            )
        super().__init__(noise.dim + sum(categories) + continuous)
        self.noise = noise
        self.categories = tuple(categories)
        self.continuous = continuous

    @override
    def sample(
        self,
        n: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        noise = self.noise.sample(n, device=device, dtype=dtype, generator=generator)
        categories = [
            torch.randint(number, (n,), device=device, generator=generator)
            for number in self.categories
        ]
        unit = torch.rand(n, self.continuous, device=device, dtype=dtype, generator=generator)
        return self.join(noise, categories, 2 * unit - 1)

    def join(self, noise: Tensor, categories: Sequence[Tensor], continuous: Tensor) -> Tensor:
        """Returns the latents of some parts, shape (N, Z): see `Codes`."""
        vectors = [
            one_hot(values, number).to(noise)
            for values, number in zip(categories, self.categories, strict=True)
        ]
        return torch.cat([noise, *vectors, continuous], 1)

    def split(self, latent: Tensor) -> Codes:
        """Returns the parts of latents.

        Args:
            latent: shape (N, Z). Between two values of a categorical code, the one with the larger
                share counts.

        Raises:
            ValueError: if latents have another size.
        """
        if latent.shape[1] != self.dim:
            raise ValueError(
                f"latent: it must have the {self.dim} entries that {self} draws, got "
                f"{latent.shape[1]}."
            )
        sizes = [self.noise.dim, *self.categories, self.continuous]
        noise, *vectors, continuous = torch.split(latent, sizes, 1)
        return Codes(noise, tuple(vector.argmax(1) for vector in vectors), continuous)

    @property
    def sizes(self) -> dict[str, int]:
        """Entries of the codes by name: ``category``, ``category_2``, ... and ``continuous``."""
        ends = ["", *(f"_{number}" for number in range(2, len(self.categories) + 1))]
        found = {f"category{end}": n for end, n in zip(ends, self.categories, strict=False)}
        return {**found, "continuous": self.continuous} if self.continuous else found

    @property
    def entropies(self) -> dict[str, float]:
        """Entropies of the codes in nats, by the same names."""
        return {
            name: size * log(2) if name == "continuous" else log(size)
            for name, size in self.sizes.items()
        }

    @override
    def between(self, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
        """Returns latents on ways that suit the noise, and that are straight for the codes.

        Between two values of a categorical code a latent has a share of each, as with classes.
        Generators have not been trained with such latents.
        """
        dim = self.noise.dim
        noise = self.noise.between(start[:, :dim], end[:, :dim], weight)
        return torch.cat([noise, torch.lerp(start[:, dim:], end[:, dim:], weight)], 1)


def draws_alone(prior: Prior) -> bool:
    """Tells whether it is known that no latent depends on how many are drawn along with it.

    It is known of priors whose class says so, ``treats_samples_alone = True``, if it is also known
    of the priors that they are made of.
    """
    parts = (part for part in vars(prior).values() if isinstance(part, Prior))
    return declares_it(prior) and all(map(draws_alone, parts))


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
