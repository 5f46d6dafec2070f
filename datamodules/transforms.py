"""Pure functions that turn images into images of another kind.

Each maps uint8 images, shape (N, C, H, W), to uint8 images, and what becomes of an image depends
on that image alone.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, max_pool2d, pad

__all__ = [
    *("TRANSFORMS", "blur", "colour", "edges", "invert", "mirror", "right_half", "rotate"),
    *("thumbnail", "undoing"),
]

BLOCK = 4
"""Pixels of each side of what becomes one pixel of a thumbnail."""
LIGHT, HEAVY = 0.05, 0.25
"""Mean brightness of images that become red, and of those that become blue."""


def invert(images: Tensor) -> Tensor:
    """Returns the negatives: what is black becomes white."""
    return 255 - images


def edges(images: Tensor) -> Tensor:
    """Returns the outlines: by how much the brightest of 3 x 3 pixels is above a pixel."""
    return (max_pool2d(images.float(), 3, 1, 1) - images).to(torch.uint8)


def rotate(images: Tensor) -> Tensor:
    """Returns the images turned by a quarter to the left, shape (N, C, W, H)."""
    return images.rot90(1, (-2, -1))


def mirror(images: Tensor) -> Tensor:
    """Returns the images with left and right exchanged."""
    return images.flip(-1)


def colour(images: Tensor) -> Tensor:
    """Returns grey images in a colour that tells how bright they are as a whole.

    The hue goes from red for a mean brightness of a twentieth, over yellow, green and cyan, to
    blue for a quarter. The brightest channel has the greys of the image.

    Args:
        images: shape (N, 1, H, W).

    Returns:
        Shape (N, 3, H, W).
    """
    return (images * colour_shares(images)[:, :, None, None]).round().to(torch.uint8)


def colour_shares(images: Tensor) -> Tensor:
    """Returns the shares of red, green and blue in what `colour` makes of grey images, (N, 3)."""
    brightness = images.flatten(1).float().mean(1) / 255
    hue = 4 * ((brightness - LIGHT) / (HEAVY - LIGHT)).clamp(0, 1)
    return torch.stack([2 - hue, 2 - (hue - 2).abs(), hue - 2], 1).clamp(0, 1)


def right_half(images: Tensor) -> Tensor:
    """Returns the images with the right half black."""
    hidden = images.clone()
    hidden[..., images.shape[-1] // 2 :] = 0
    return hidden


def thumbnail(images: Tensor) -> Tensor:
    """Returns the images in squares of 4 x 4 pixels of one value, their mean.

    Sides that are no multiple of 4 end with smaller ones.
    """
    small = avg_pool2d(images.float(), BLOCK, ceil_mode=True).round()
    large = interpolate(small, scale_factor=BLOCK)
    return large[..., : images.shape[-2], : images.shape[-1]].to(torch.uint8)


def blur(images: Tensor) -> Tensor:
    """Returns the images blurred by a binomial filter of 5 x 5 pixels, standard deviation 1."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    wide = pad(images.flatten(0, 1).unsqueeze(1).float(), (2, 2, 2, 2), "reflect")
    found = conv2d(conv2d(wide, line.view(1, 1, 1, 5)), line.view(1, 1, 5, 1))
    return found.round().clamp(0, 255).to(torch.uint8).view_as(images)


TRANSFORMS: Mapping[str, Callable[[Tensor], Tensor]] = {
    function.__name__: function
    for function in (invert, edges, rotate, mirror, colour, right_half, thumbnail, blur)
}
"""The functions by name."""


def undoing(name: str, value_range: tuple[float, float]) -> Callable[[Tensor], Tensor] | None:
    """Returns what maps transformed images back to the images, None if nothing can.

    Args:
        name: of the transform, one of `TRANSFORMS`.
        value_range: of the transformed images, shape (N, C, H, W), which are no bytes any more.
    """
    total = sum(value_range)
    known: dict[str, Callable[[Tensor], Tensor]] = {
        "invert": lambda images: total - images,
        "rotate": lambda images: images.rot90(-1, (-2, -1)),
        "mirror": mirror,
        "colour": lambda images: images.amax(1, keepdim=True),
    }
    return known.get(name)
