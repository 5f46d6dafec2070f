"""What sizes and shapes a network can have, make or read."""

from numbers import Integral

__all__ = ["check_sizes", "doubling_sides", "image_shape", "nearest_side"]

LEAST = 4
"""Side of the smallest images that double, in pixels; it may be up to 7."""


def nearest_side(side: int, multiple: int, least: int = 1) -> int:
    """Returns the side of an image, in pixels, that is nearest to one and fits a network.

    Args:
        side: in pixels.
        multiple: what it must be a multiple of.
        least: what it must be at least, such a multiple itself.
    """
    return max(least, multiple * round(side / multiple))


def image_shape(data_shape: tuple[int, ...], multiple: int = 1) -> tuple[int, int, int]:
    """Returns the channels, the height and the width of one image.

    Args:
        data_shape: of one sample.
        multiple: what both sides must be multiples of.

    Raises:
        ValueError: if the data is no image, or a side is no such multiple.
    """
    if len(data_shape) != 3:
        raise ValueError(
            f"data_shape: these networks need images, (C, H, W), got {data_shape}. Use images, or "
            "networks for any shape, such as MLPGenerator and MLPDiscriminator."
        )
    channels, height, width = data_shape
    if height % multiple or width % multiple:
        raise ValueError(
            f"data_shape: these networks need images whose sides are multiples of {multiple}, got "
            f"{height} x {width} pixels. Use {nearest_side(height, multiple, multiple)} x "
            f"{nearest_side(width, multiple, multiple)}."
        )
    return channels, height, width


def doubling_sides(data_shape: tuple[int, ...]) -> list[int]:
    """Returns the sides of the images that double until one has its size, in pixels.

    Args:
        data_shape: of one square image, whose side is 4, 5, 6 or 7 pixels, or these times a power
            of 2.

    Raises:
        ValueError: if the data is no such image.
    """
    _, height, width = image_shape(data_shape)
    sides = _sides(height) if height == width else []
    if not sides:
        near = (height + width) / 2
        possible = [s for s in range(LEAST, 2 * max(height, width) + 2 * LEAST) if _sides(s)]
        nearest = min(possible, key=lambda side: abs(side - near))
        raise ValueError(
            "data_shape: these networks need square images whose side is 4, 5, 6 or 7 pixels, "
            f"or these times a power of 2, got {height} x {width}. Use {nearest} x {nearest}."
        )
    return sides


def _sides(side: int) -> list[int]:
    """Returns the sides that double until one is this, from the smallest on; or none."""
    number = (side // LEAST).bit_length()
    smallest = side >> max(0, number - 1)
    sides = [smallest << index for index in range(number)]
    return sides if sides[-1:] == [side] else []


def check_sizes(**sizes: int | None) -> None:
    """Refuses numbers of units, channels or classes below 1; None stands for there being none.

    Raises:
        ValueError: if one of them is below 1 or no whole number.
    """
    for name, size in sizes.items():
        if size is None:
            continue
        if not isinstance(size, int | Integral):
            raise ValueError(f"{name} must be a whole number, got {size}.")
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}.")
