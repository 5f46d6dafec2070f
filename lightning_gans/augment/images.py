"""Augmentations of images that are drawn for each of them."""

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.augment.base import Augmentation, RandomAugmentation, check_images

__all__ = ["DiffAugment", "FlipAndShift"]


class DiffAugment(RandomAugmentation):
    """Changes the colors of each image, moves it and cuts a square out, by random amounts.

    The gradient of the generator runs through all of it.

    References:
        Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al., 2020),
        https://arxiv.org/abs/2006.10738, with the amounts of its authors' code. That code is for
        images in [-1, 1]; here the changes of brightness and the filling scale with the range of
        the data. The probability ``p`` is not in the paper. The sections of the paper were not
        checked.

    Args:
        policy: what is done, in this order, separated by commas: ``color`` (brightness, saturation
            and contrast, of which the saturation of grey images cannot change), ``translation``
            (up to an eighth of each side), ``cutout`` (half of each side). What leaves the image
            or is cut out is filled with the middle of the range.
        p: probability that an image is changed at all, from 0 to 1.

    Attributes:
        p: see `RandomAugmentation`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, policy: str = "color,translation,cutout", p: float = 1.0) -> None:
        super().__init__(p)
        self.policy = [name.strip() for name in policy.split(",")]
        unknown = [name for name in self.policy if name not in CHANGES]
        if unknown:
            raise ValueError(
                f"DiffAugment: policy has {unknown[0]!r}, not one of {', '.join(CHANGES)}. "
                f"Use {','.join(CHANGES)}, or some of them."
            )

    @override
    def changed(self, x: Tensor) -> Tensor:
        changed = x
        for name in self.policy:
            changed = CHANGES[name](changed, *self.value_range)
        return torch.where(_uniform(x) < self.p.to(x.dtype), changed, x)

    @override
    def extra_repr(self) -> str:
        return f"policy={','.join(self.policy)}, p={self.p.item():g}"


class FlipAndShift(Augmentation):
    """Mirrors each image with probability 1/2 and moves it by some pixels, with a mirrored border.

    References:
        Consistency Regularization for Generative Adversarial Networks (Zhang et al., 2020),
        https://arxiv.org/abs/1910.12027, for which it is written. Public code moves images by up
        to an eighth of their sides, as here.

    Args:
        shift: the farthest move as a share of each side, from 0 to below 1.

    Raises:
        ValueError: if ``shift`` is out of range.
    """

    def __init__(self, shift: float = 0.125) -> None:
        super().__init__()
        if not 0 <= shift < 1:
            raise ValueError(f"shift must be at least 0 and below 1, got {shift}. Use 0.125.")
        self.shift = shift

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns augmented images, the shape of ``x``: (N, C, H, W).

        Raises:
            ValueError: if the samples are no images.
        """
        check_images(self, x)
        number, _, height, width = x.shape
        rows, columns = (self._moved(number, side, x.device) for side in (height, width))
        mirrored = torch.rand(number, 1, device=x.device) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
        return _picked(x, rows, columns)

    def _moved(self, number: int, side: int, device: torch.device) -> Tensor:
        """Returns which row or column of each image goes where, shape (N, side)."""
        most = int(side * self.shift)
        moves = torch.randint(-most, most + 1, (number, 1), device=device)
        places = (torch.arange(side, device=device) + moves).abs()
        return side - 1 - (side - 1 - places).abs()

    @override
    def extra_repr(self) -> str:
        return f"shift={self.shift}"


def _uniform(x: Tensor) -> Tensor:
    """Returns a random number from 0 to 1 for each image, shape (N, 1, 1, 1)."""
    return torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)


def _picked(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns images whose pixels come from some rows, shape (N, H), and columns, (N, W)."""
    each = torch.arange(len(x), device=x.device)[:, None, None]
    # Indices around a slice come first in what they make.
    return x[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _both(rows: Tensor, columns: Tensor) -> Tensor:
    """Returns which pixels are in some rows, shape (N, H), and some columns, shape (N, W)."""
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _colored(x: Tensor, low: float, high: float) -> Tensor:
    """Returns images of another brightness, saturation and contrast, in this order."""
    x = x + (_uniform(x) - 0.5) * ((high - low) / 2)
    x = torch.lerp(x.mean(1, keepdim=True), x, 2 * _uniform(x))
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, _uniform(x) + 0.5)


def _translated(x: Tensor, low: float, high: float) -> Tensor:
    """Returns images moved by whole pixels, up to an eighth of each side."""
    places, inside = [], []
    for side in x.shape[2:]:
        most = int(side / 8 + 0.5)
        moves = torch.randint(-most, most + 1, (len(x), 1), device=x.device)
        place = torch.arange(side, device=x.device) - moves
        places.append(place.clamp(0, side - 1))
        inside.append((place >= 0) & (place < side))
    return torch.where(_both(*inside), _picked(x, *places), (low + high) / 2)


def _cut_out(x: Tensor, low: float, high: float) -> Tensor:
    """Returns images without a rectangle of half their sides, which may reach over the border."""
    cut = []
    for side in x.shape[2:]:
        length = int(side / 2 + 0.5)
        centers = torch.randint(side + 1 - length % 2, (len(x), 1), device=x.device)
        place = torch.arange(side, device=x.device) - centers + length // 2
        cut.append((place >= 0) & (place < length))
    return torch.where(_both(*cut), (low + high) / 2, x)


CHANGES = {"color": _colored, "translation": _translated, "cutout": _cut_out}
"""What `DiffAugment` does, by the names of its policy."""
