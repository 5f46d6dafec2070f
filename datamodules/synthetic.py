"""Data drawn from known distributions, fresh for every batch."""

from abc import abstractmethod
from collections.abc import Sequence
from math import log, pi

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.stream import Batch, VectorData, generator_for
from lightning_gans.randomness import EVALUATION_DATA, TRAINING_DATA

LARGEST = 1e6
"""Of lengths: the squares of larger ones would leave single precision in training."""

__all__ = [
    "GaussianGrid",
    "GaussianMixture",
    "GaussianRing",
    "OneZeroPattern",
    "PacGANGrid",
    "PacGANRing",
    "SwissRoll",
    "SyntheticData",
    "UniformNoise",
]


def check_above_0(name: str, value: float) -> None:
    """Refuses a length that is not above 0, or that is beyond all use.

    Raises:
        ValueError: if it is.
    """
    if not 0 < value <= LARGEST:
        limit = f" and at most {LARGEST:.0e}" if value > LARGEST else ""
        raise ValueError(f"{name} must be above 0{limit}, got {value}.")


class SyntheticData(VectorData):
    """Base of the data that is drawn rather than read.

    A subclass implements `sample`, and `log_density` where it is known, and sets ``data_shape``
    and ``value_range``.
    """

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws n samples, shape (n, *data_shape).

        Args:
            n: how many.
            generator: source of randomness, PyTorch's default one if it is not given.
        """

    @override
    def training_batch(self, seed: int, position: int, size: int, rank: int, ranks: int) -> Batch:
        return self.sample(size, generator_for(seed, TRAINING_DATA, position, rank))

    @override
    def evaluation_set(self, index: int) -> Tensor:
        return self.sample(self.num_eval_samples, generator_for(0, EVALUATION_DATA, index))


class GaussianMixture(SyntheticData):
    """Equal round Gaussians in the plane.

    Attributes:
        modes: their centres, shape (K, 2).
        sd: standard deviation of each coordinate around its centre.
        num_classes: K if samples come with the number of their mode, or else None.

    Args:
        modes: centres before scaling, shape (K, 2).
        sd: standard deviation before scaling, above 0.
        scale: centres and standard deviation are divided by it, above 0.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.
        labels: whether every sample comes with the number of its mode.

    Raises:
        ValueError: if an argument is out of range.
    """

    data_shape = (2,)

    def __init__(
        self,
        modes: Tensor,
        sd: float,
        scale: float,
        batch_size: int,
        num_eval_samples: int,
        labels: bool = False,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        for name, value in (("sd", sd), ("scale", scale)):
            check_above_0(name, value)
        self.modes = modes / scale
        self.sd = sd / scale
        reach = float(self.modes.abs().max()) + 4 * self.sd
        self.value_range = (-reach, reach)
        self.num_classes = len(modes) if labels else None

    def sample_with_labels(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draws n samples, shape (n, 2), and the numbers of their modes, int64, shape (n,).

        Args:
            n: how many.
            generator: source of randomness, PyTorch's default one if it is not given.
        """
        labels = torch.randint(len(self.modes), (n,), generator=generator)
        return self.modes[labels] + self.sd * torch.randn(n, 2, generator=generator), labels

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.sample_with_labels(n, generator)[0]

    @override
    def training_batch(self, seed: int, position: int, size: int, rank: int, ranks: int) -> Batch:
        generator = generator_for(seed, TRAINING_DATA, position, rank)
        draw = self.sample if self.num_classes is None else self.sample_with_labels
        return draw(size, generator)

    @override
    def evaluation_labels(self, index: int) -> Tensor | None:
        if self.num_classes is None:
            return None
        generator = generator_for(0, EVALUATION_DATA, index)
        return self.sample_with_labels(self.num_eval_samples, generator)[1]

    def log_density(self, x: Tensor) -> Tensor:
        """Returns the logarithm of the density at points x, shape (N, 2), as shape (N,)."""
        squares = (x.unsqueeze(1) - self.modes.to(x)).square().sum(2)
        log_kernels = -squares / (2 * self.sd**2) - log(2 * pi * self.sd**2)
        return log_kernels.logsumexp(1) - log(len(self.modes))


class GaussianRing(GaussianMixture):
    """Gaussians on a circle; by default the eight of the WGAN-GP authors' toy.

    The angles are 2 pi i / K. Scripts that divide the circle with both ends included make two
    centres coincide and have K - 1 modes only.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), ``gan_toy.py`` of its
        | code: radius 2, standard deviation 0.02, both divided by 1.414,
        | https://github.com/igul222/improved_wgan_training

    Args:
        num_modes: K, at least 1.
        radius: of the circle before scaling, above 0.
        sd: standard deviation of each coordinate before scaling, above 0.
        scale: both are divided by it, above 0.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.
        labels: see `GaussianMixture`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        num_modes: int = 8,
        radius: float = 2.0,
        sd: float = 0.02,
        scale: float = 1.414,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
        labels: bool = False,
    ) -> None:
        if num_modes < 1:
            raise ValueError(f"num_modes must be at least 1, got {num_modes}.")
        check_above_0("radius", radius)
        angles = 2 * pi * torch.arange(num_modes, dtype=torch.float64) / num_modes
        modes = radius * torch.stack([angles.cos(), angles.sin()], 1).float()
        super().__init__(modes, sd, scale, batch_size, num_eval_samples, labels)


class PacGANRing(GaussianRing):
    """The ring of the PacGAN paper: radius 1, standard deviation 0.01.

    The paper draws its 100,000 training points once; here every batch is fresh.

    References:
        PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        section 4.1, https://arxiv.org/abs/1712.04086

    Args:
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.
    """

    def __init__(self, batch_size: int = 256, num_eval_samples: int = 10_000) -> None:
        super().__init__(8, 1.0, 0.01, 1.0, batch_size, num_eval_samples)


class GaussianGrid(GaussianMixture):
    """Gaussians on a square grid around the origin; by default the 25 of the WGAN-GP toy.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), ``gan_toy.py`` of its
        | code: spacing 2, standard deviation 0.05, both divided by 2.828. It draws 100,000 points
        | once; here every batch is fresh. https://github.com/igul222/improved_wgan_training

    Args:
        side: modes along each side, at least 1.
        spacing: distance of neighbours before scaling, above 0.
        sd: standard deviation of each coordinate before scaling, above 0.
        scale: both are divided by it, above 0.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.
        labels: see `GaussianMixture`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        side: int = 5,
        spacing: float = 2.0,
        sd: float = 0.05,
        scale: float = 2.828,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
        labels: bool = False,
    ) -> None:
        if side < 1:
            raise ValueError(f"side must be at least 1, got {side}.")
        check_above_0("spacing", spacing)
        ticks = spacing * (torch.arange(side) - (side - 1) / 2)
        super().__init__(
            torch.cartesian_prod(ticks, ticks), sd, scale, batch_size, num_eval_samples, labels
        )


class PacGANGrid(GaussianGrid):
    """The grid of the PacGAN paper: 25 modes from -4 to 4, standard deviation 0.05.

    The paper draws its 100,000 training points once; here every batch is fresh.

    References:
        PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        section 4.1, https://arxiv.org/abs/1712.04086

    Args:
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.
    """

    def __init__(self, batch_size: int = 256, num_eval_samples: int = 10_000) -> None:
        super().__init__(5, 2.0, 0.05, 1.0, batch_size, num_eval_samples)


class SwissRoll(SyntheticData):
    """A spiral in the plane; by default that of the WGAN-GP authors' toy.

    A point is (t cos t, t sin t), t uniform on [1.5 pi, 4.5 pi], plus normal noise, all scaled:
    scikit-learn's swiss roll without its second coordinate.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), ``gan_toy.py`` of its
        | code: noise 0.25, divided by 7.5, https://github.com/igul222/improved_wgan_training

    Args:
        sd: standard deviation of the noise in each coordinate before scaling, at least 0.
        scale: everything is divided by it, above 0.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.

    Raises:
        ValueError: if an argument is out of range.
    """

    data_shape = (2,)

    def __init__(
        self,
        sd: float = 0.25,
        scale: float = 7.5,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if not 0 <= sd <= LARGEST:
            limit = f" and at most {LARGEST:.0e}" if sd > LARGEST else ""
            raise ValueError(f"sd must be at least 0{limit}, got {sd}.")
        check_above_0("scale", scale)
        self.sd = sd / scale
        self.scale = scale
        reach = 4.5 * pi / scale + 4 * self.sd
        self.value_range = (-reach, reach)

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        t = 1.5 * pi * (1 + 2 * torch.rand(n, generator=generator))
        curve = torch.stack([t * t.cos(), t * t.sin()], 1) / self.scale
        return curve + self.sd * torch.randn(n, 2, generator=generator)


class OneZeroPattern(SyntheticData):
    """Vectors that follow a pattern of ones and zeros, each entry uniform near its value.

    By default the 1-0-1-0 pattern: entries 1 and 3 uniform on [0.9, 1.1), 2 and 4 on [0, 0.1).

    Args:
        pattern: 1 or 0 for each entry, at least one entry.
        ones: lower and upper bound of the entries that stand for 1.
        zeros: lower and upper bound of the entries that stand for 0.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.

    Attributes:
        pattern: the pattern, shape (d,).

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        pattern: Sequence[int] = (1, 0, 1, 0),
        ones: tuple[float, float] = (0.9, 1.1),
        zeros: tuple[float, float] = (0.0, 0.1),
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if not pattern or any(entry not in (0, 1) for entry in pattern):
            raise ValueError(f"pattern must be made of ones and zeros, got {list(pattern)}.")
        for name, (low, high) in (("ones", ones), ("zeros", zeros)):
            if not low < high:
                raise ValueError(
                    f"{name}: the lower bound must be below the upper, got {low, high}."
                )
        bounds = torch.tensor([ones if entry else zeros for entry in pattern])
        self.low, self.high = bounds.unbind(1)
        self.pattern = torch.tensor(pattern, dtype=torch.float32)
        self.data_shape = (len(pattern),)
        self.value_range = (float(self.low.min()), float(self.high.max()))

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        unit = torch.rand(n, len(self.pattern), generator=generator)
        return self.low + (self.high - self.low) * unit

    def log_density(self, x: Tensor) -> Tensor:
        """Returns the logarithm of the density at points x, shape (N, d), as shape (N,)."""
        low, high = self.low.to(x), self.high.to(x)
        inside = ((x >= low) & (x < high)).all(1)
        outside = torch.full_like(x[:, 0], -torch.inf)
        return torch.where(inside, -(high - low).log().sum(), outside)


class UniformNoise(SyntheticData):
    """Vectors without any pattern: entries that are uniform and independent.

    A discriminator can be tried alone on them beside real samples, before there is a generator.

    Args:
        size: d, the entries of a vector, at least 1.
        low: lower bound of each entry.
        high: upper bound.
        batch_size: see `StreamData`.
        num_eval_samples: see `StreamData`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        size: int = 4,
        low: float = 0.0,
        high: float = 1.0,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}.")
        if not -LARGEST <= low < high <= LARGEST:
            raise ValueError(
                f"low must be below high, both at most {LARGEST:.0e} from 0, got {low, high}."
            )
        self.data_shape = (size,)
        self.value_range = (low, high)

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        low, high = self.value_range
        return low + (high - low) * torch.rand(n, *self.data_shape, generator=generator)

    def log_density(self, x: Tensor) -> Tensor:
        """Returns the logarithm of the density at points x, shape (N, d), as shape (N,)."""
        low, high = self.value_range
        inside = ((x >= low) & (x < high)).all(1)
        return torch.where(inside, -x.shape[1] * log(high - low), -torch.inf)
