"""Images under affine maps: matrices for each image, mirrored borders, and a low-pass filter.

Coordinates are in pixels from the middle of an image, columns to the right and rows down. They
are computed without matrix products, which some settings round to 10 bits.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

__all__ = ["blitted", "composed", "matrix", "warped"]

SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""The low-pass filter of the wavelet sym6, orthogonal to itself moved by pairs of taps."""
REACH = len(SYM6) // 2
"""Pixels to each side that a filtered one depends on."""
DELAY = sum(k * tap for k, tap in enumerate(SYM6)) / sum(SYM6) - (len(SYM6) - 1) / 2
"""Points of the fine grid by which the filter moves an image, since it is not symmetric."""


def matrix(*rows: tuple[Tensor | float, ...], like: Tensor) -> Tensor:
    """Returns a matrix for each image, shape (N, rows, columns).

    Args:
        rows: entries, each for all images or of shape (N,).
        like: shape (N,), of the entries' device and precision.
    """
    filled = [
        [e if isinstance(e, Tensor) else torch.full_like(like, e) for e in row] for row in rows
    ]
    return torch.stack([torch.stack(row, -1) for row in filled], -2)


def composed(left: Tensor, right: Tensor) -> Tensor:
    """Returns the products of two stacks of matrices, both of shape (N, k, k)."""
    return (left[:, :, :, None] * right[:, None]).sum(2)


def mirrored(places: Tensor, side: int) -> Tensor:
    """Returns where a row or column beyond the border is found inside; the border counts once."""
    places = places % _period(side)
    return torch.minimum(places, _period(side) - places)


def blitted(x: Tensor, inverse: Tensor) -> Tensor:
    """Returns images whose pixels are others of the same image, as they are.

    Args:
        x: images, shape (N, C, H, W).
        inverse: maps coordinates of the result to those of ``x``, pixel onto pixel, shape
            (N, 3, 3).
    """
    height, width = x.shape[2:]
    rows, columns = (_centered(side, inverse) for side in (height, width))
    row, column = _mapped(inverse, rows, columns)
    row = mirrored((row + (height - 1) / 2).round().long(), height)
    column = mirrored((column + (width - 1) / 2).round().long(), width)
    return _read(x.permute(0, 2, 3, 1), row, column).permute(0, 3, 1, 2)


def warped(x: Tensor, inverse: Tensor) -> Tensor:
    """Returns images under affine maps, without aliases.

    The image and its mirror images around it are doubled in size with the filter, read with
    bilinear interpolation, and halved again with the same filter.

    Args:
        x: images, shape (N, C, H, W).
        inverse: maps coordinates of the result to those of ``x``, shape (N, 3, 3).
    """
    height, width = x.shape[2:]
    fine = (_doubling(height, x) @ x @ _doubling(width, x).T).permute(0, 2, 3, 1)
    rows, columns = (_centered(_read_by(side), inverse) for side in (height, width))
    row, column = _mapped(inverse, (rows - DELAY) / 2, (columns - DELAY) / 2)
    row, column = 2 * row + DELAY + height - 0.5, 2 * column + DELAY + width - 0.5
    top, left = row.floor(), column.floor()
    down, right = (row - top)[..., None], (column - left)[..., None]
    period = fine.shape[1:3]
    above, below = ((top.long() + step) % period[0] for step in (0, 1))
    before, after = ((left.long() + step) % period[1] for step in (0, 1))
    upper = torch.lerp(_read(fine, above, before), _read(fine, above, after), right)
    lower = torch.lerp(_read(fine, below, before), _read(fine, below, after), right)
    found = torch.lerp(upper, lower, down).permute(0, 3, 1, 2)
    return _halving(height, x) @ found @ _halving(width, x).T


def _period(side: int) -> int:
    """Returns after how many pixels the mirror images of a side repeat."""
    return max(2 * side - 2, 1)


def _centered(number: int, like: Tensor) -> Tensor:
    """Returns numbers in steps of 1 around 0."""
    return torch.arange(number, device=like.device, dtype=like.dtype) - (number - 1) / 2


def _mapped(inverse: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Returns rows and columns of the sources of a grid's points, both of shape (N, H, W)."""
    (a, b, c), (d, e, f) = (inverse[:, k, :, None, None].unbind(1) for k in (0, 1))
    rows = rows[:, None]
    return d * columns + e * rows + f, a * columns + b * rows + c


def _read(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns pixels, shape (N, h, w, C), of images (N, H, W, C) by row and column, (N, h, w)."""
    return images[torch.arange(len(images), device=images.device)[:, None, None], rows, columns]


def _doubling(side: int, like: Tensor) -> Tensor:
    """Returns what doubles a side: twice as many rows, of one period of the mirror images."""
    period = _period(side)
    around = torch.arange(-REACH // 2, period + REACH // 2, device=like.device)
    x = torch.eye(side, device=like.device, dtype=like.dtype)[mirrored(around, side)]
    even, odd = (  # each with every other tap
        _weighted(SYM6[first::2], [x.narrow(0, last - k, period) for k in range(REACH)])
        for first, last in ((1, REACH - 1), (0, REACH))
    )
    return 2**0.5 * torch.stack([even, odd], 1).flatten(0, 1)


def _halving(side: int, like: Tensor) -> Tensor:
    """Returns what makes a side of twice as many rows, and those at the ends, which it reads."""
    x = torch.eye(_read_by(side), device=like.device, dtype=like.dtype)
    even, odd = x[0::2], x[1::2]
    parts = [(even, odd)[k % 2].narrow(0, k // 2, side) for k in range(len(SYM6))]
    return 2**-0.5 * _weighted(SYM6, parts)


def _read_by(side: int) -> int:
    """Returns how many points of the fine grid the filter reads to halve it to a side."""
    return 2 * side + len(SYM6) - 2


def _weighted(taps: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    """Returns the sum of some tensors, each times its tap."""
    return reduce(torch.add, (tap * part for tap, part in zip(taps, parts, strict=True)))
