"""What ways to refine samples have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from torch import Tensor

from lightning_gans.core.latent import LatentModule

__all__ = ["Draw", "Drawn", "Refiner"]


class Drawn(NamedTuple):
    """Latents that were chosen among others.

    Attributes:
        latent: shape (N, Z).
        accepted: of those that were proposed, how many were accepted.
        proposed: latents, or entries of latents; 0 if none can be rejected.
    """

    latent: Tensor
    accepted: int
    proposed: int


Draw = Callable[[int], Drawn]
"""Draws so many latents, with the default generators of PyTorch."""


class Refiner(ABC):
    """Base of the ways to draw latents whose samples are better than those of the prior's.

    A refiner has settings only, and can refine the samples of any number of models.

    Attributes:
        reads_discriminator: whether it asks the discriminator. It needs the generator that the
            discriminator learnt against then, not an average of it.
    """

    reads_discriminator: ClassVar[bool] = True

    @property
    def needs_real(self) -> bool:
        """Whether it needs real samples."""
        return False

    @abstractmethod
    def check(self, model: LatentModule) -> None:
        """Refuses a model whose samples cannot be refined.

        Args:
            model: that is to be sampled from.

        Raises:
            ValueError: if it cannot.
        """

    @abstractmethod
    def prepare(self, model: LatentModule, real: Tensor | None) -> Draw:
        """Returns what draws refined latents of a model.

        Args:
            model: that passes `check`.
            real: real samples, shape (N, ...), if it ``needs_real``; none that the samples will be
                compared with, and better none that the discriminator was trained on.

        Raises:
            ValueError: if they do not fit.
        """

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"
