"""What sizes and shapes a network can have, make or read."""

__all__ = ["check_sizes", "image_shape"]


def image_shape(data_shape: tuple[int, ...], multiple: int = 1) -> tuple[int, int, int]:
    """Returns the channels, the height and the width of one image.

    Args:
        data_shape: of one sample.
        multiple: what both sides must be multiples of.

    Raises:
        ValueError: if the data is no image, or a side is no such multiple.
    """
    if len(data_shape) != 3:
        raise ValueError(f"data_shape: these networks need images, (C, H, W), got {data_shape}.")
    channels, height, width = data_shape
    if height % multiple or width % multiple:
        raise ValueError(
            f"data_shape: these networks need images whose sides are multiples of {multiple}, got "
            f"{height} x {width} pixels."
        )
    return channels, height, width


def check_sizes(**sizes: int | None) -> None:
    """Refuses numbers of units, channels or classes below 1; None stands for there being none.

    Raises:
        ValueError: if one of them is below 1.
    """
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}.")
