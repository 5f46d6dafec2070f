"""The U-Net of pix2pix: an encoder and a decoder, joined at each size of the image."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.patch import draw_weights, needs_bias
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["UNetTranslator"]

WIDEST = 8
"""Times the width: what channels double up to."""
PLAIN = 5
"""Levels without dropout: the outermost four, and the innermost."""


class UNetTranslator(nn.Module):
    """Creates the U-Net of pix2pix, which maps images to images of the same size.

    Convolutions of 4 x 4 pixels halve the sides until the image is a single pixel, and transposed
    ones double them again; what has been read at a size is joined to what is written at it. A side
    that is odd is halved and doubled with kernels of 3 pixels, which give it back: 28 pixels are
    read at 14, 7, 4, 2 and 1.

    References:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017),
        section 6.1.1, https://arxiv.org/abs/1611.07004. With 256 pixels and three channels it has
        the 54,413,955 parameters of its authors' code. Kernels for odd sides are chosen. Dropout
        is the noise of the paper, which keeps it in evaluation; here evaluation mode is without,
        so that two evaluations of a translator agree.

    Args:
        source_shape: (C, H, W) of an image that is read.
        data_shape: (C, H, W) of an image that is made; height and width are the same.
        width: channels of the outermost level, at least 1; they double from level to level up to 8
            times as many.
        widths: channels of all levels from the outside to the inside, in place of ``width``: as
            many levels as there are numbers.
        normalization: called with the number of channels, at all levels but the outermost and the
            innermost; none if it is None. With one image in a batch the paper's BatchNorm is
            ``torch.nn.InstanceNorm2d`` with ``affine``.
        dropout: probability at the levels with 8 times the width next to the innermost; there are
            none of them below 33 pixels.
        skips: whether the two halves are joined. Without it is the encoder and decoder that the
            paper compares with.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        stride: images fit whose sides differ by multiples of it from those of ``data_shape``.
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the sides cannot be halved that often, or a size is out of range.

    Example:
        >>> import torch
        >>> translator = UNetTranslator((3, 64, 48), (1, 64, 48), widths=[8, 16, 16])
        >>> translator(torch.zeros(2, 3, 64, 48)).shape
        torch.Size([2, 1, 64, 48])
    """

    treats_samples_alone = True

    def __init__(
        self,
        source_shape: tuple[int, ...],
        data_shape: tuple[int, ...],
        width: int = 64,
        widths: Sequence[int] | None = None,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        dropout: float = 0.5,
        skips: bool = True,
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        super().__init__()
        check_sizes(width=width, **{f"widths[{i}]": size for i, size in enumerate(widths or ())})
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}. Use 0.5.")
        self.sides = _sides(source_shape, data_shape, None if widths is None else len(widths))
        depth = len(self.sides) - 1
        channels = list(widths or [width * min(2**level, WIDEST) for level in range(depth)])
        self.stride = 2**depth
        self.skips = skips
        both = 2 if skips else 1
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, (outer, inner) in enumerate(pairwise([source_shape[0], *channels])):
            height, breadth = self.sides[level]
            kernel = (4 - height % 2, 4 - breadth % 2)
            innermost = level == depth - 1
            norm_down = None if level == 0 or innermost else normalization
            norm_up = None if level == 0 else normalization
            # Biases under no normalization are as in the authors' code: where the network has one
            # with biases of its own, the convolutions that read have none anywhere.
            down: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(0.2)]
            down.append(nn.Conv2d(outer, inner, kernel, 2, 1, bias=needs_bias(normalization)))
            down += [] if norm_down is None else [norm_down(inner)]
            read, made = inner * (1 if innermost else both), data_shape[0] if level == 0 else outer
            bias = level == 0 or needs_bias(normalization)
            up: list[nn.Module] = [nn.ReLU()]
            up.append(nn.ConvTranspose2d(read, made, kernel, 2, 1, bias=bias))
            up += [] if norm_up is None else [norm_up(made)]
            drops = PLAIN - 1 <= level < depth - 1
            up += [nn.Dropout(dropout)] if drops and dropout > 0 else []
            self.downs.append(nn.Sequential(*down))
            self.ups.append(nn.Sequential(*up, *(ending(output) if level == 0 else ())))
        last = self.ups[0]
        assert isinstance(last, nn.Sequential)
        self.output_range = range_of(last[-1])
        self.apply(draw_weights)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to images of the same height and width.

        Raises:
            ValueError: if their sides do not fit the stride.
        """
        (height, width), own = x.shape[2:], self.sides[0]
        if (height - own[0]) % self.stride or (width - own[1]) % self.stride:
            raise ValueError(
                f"UNetTranslator: images of {height} x {width} pixels do not fit a network for "
                f"{own[0]} x {own[1]}. Use sides that differ from these by multiples of "
                f"{self.stride}."
            )
        read = []
        for down in self.downs:
            x = down(x)
            read.append(x)
        for level in reversed(range(len(read))):
            joins = self.skips and level < len(read) - 1
            x = self.ups[level](torch.cat([read[level], x], 1) if joins else x)
        return x


def _sides(
    source_shape: tuple[int, ...], data_shape: tuple[int, ...], depth: int | None
) -> list[tuple[int, int]]:
    """Returns height and width at each level, from the image itself to the innermost.

    Raises:
        ValueError: if the two shapes have other sides, or these cannot be halved that often.
    """
    (_, *read), (_, *made) = image_shape(source_shape), image_shape(data_shape)
    if read != made:
        raise ValueError(
            f"data_shape: a translator keeps the sides of an image, but it is to read "
            f"{read[0]} x {read[1]} and to make {made[0]} x {made[1]} pixels. Use one size."
        )
    found = [(read[0], read[1])]
    while min(found[-1]) > 1 and len(found) - 1 != depth:
        height, width = found[-1]
        found.append(((height + 1) // 2, (width + 1) // 2))
    if len(found) == 1 or (depth is not None and len(found) - 1 < depth):
        raise ValueError(
            f"data_shape: images of {read[0]} x {read[1]} pixels can be halved "
            f"{len(found) - 1} times, but the U-Net has {depth or 1} levels (widths). Use sides "
            f"of at least {2 ** ((depth or 1) - 1) + 1} pixels."
        )
    return found
