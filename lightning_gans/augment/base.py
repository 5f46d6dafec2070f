"""What augmentations have in common."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.described import Described

__all__ = ["Augmentation", "RandomAugmentation", "check_images", "check_probability"]


class Augmentation(Described, nn.Module):
    """Base of augmentations, which may adapt to how training goes; plain modules do as well.

    Attributes:
        value_range: least and greatest value of the data, which the model tells before training
            if it knows it.
        processes: number of processes that train the model, which it tells before training.
    """

    value_range: tuple[float, float] = (-1.0, 1.0)
    processes: int = 1

    @property
    def replaces_real(self) -> bool:
        """Whether discriminators read other samples in place of some real ones, by `mixed`."""
        return type(self).mixed is not Augmentation.mixed

    def mixed(self, real: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """Returns the real samples that a discriminator's update reads, before `forward`.

        Args:
            real: samples, shape (N, ...).
            make: generates as many others of the same kind, without a graph.
        """
        return real

    def after_turn(self, views: Sequence[Any], mean: Callable[[Tensor], Tensor]) -> None:
        """Updates the state of the augmentation; called after each update of a discriminator.

        Args:
            views: what the discriminators were shown, and their outputs, without graphs; see
                `lightning_gans.regularizers.View`.
            mean: takes the mean of a tensor over all processes.
        """

    def log(self) -> dict[str, Tensor]:
        """Returns values of the state whose means over updates are logged, by name."""
        return {}


class RandomAugmentation(Augmentation):
    """Base of augmentations of images that change each with a probability.

    Args:
        p: the probability, from 0 to 1.

    Attributes:
        p: the probability, a scalar that schedules may change in place, kept like the weight of a
            `Regularizer`.

    Raises:
        ValueError: if the probability is out of range.
    """

    p: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        check_probability(self, p=p)
        self.p = torch.tensor(float(p), dtype=torch.float64)

    @abstractmethod
    def changed(self, x: Tensor) -> Tensor:
        """Returns images, shape (N, C, H, W), of which each is changed with probability ``p``."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns augmented images, the shape of ``x``: (N, C, H, W).

        Raises:
            ValueError: if the samples are no images.
        """
        check_images(self, x)
        return self.changed(x)


def check_probability(augment: nn.Module, **values: float) -> None:
    """Refuses what is no probability.

    Args:
        augment: whose arguments they are.
        **values: of the arguments, by name.

    Raises:
        ValueError: if one is not from 0 to 1.
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(
                f"{type(augment).__name__}: {name} must be from 0 to 1, got {value}. Use 1 to "
                "change every image."
            )


def check_images(augment: nn.Module, x: Tensor) -> None:
    """Refuses samples that are no images.

    Args:
        augment: what is to read them.
        x: the samples.

    Raises:
        ValueError: if their shape is not (N, C, H, W).
    """
    if x.ndim != 4:
        raise ValueError(
            f"augment: {type(augment).__name__} is for images, but a sample has shape "
            f"{tuple(x.shape[1:])}. Use another augmentation, such as InstanceNoise."
        )
