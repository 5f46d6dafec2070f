"""The networks of CoGAN, which make and judge two kinds of images with layers in common."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["CoupledDiscriminator", "CoupledGenerator"]

LEAST = 16
"""Pixels of a side that the discriminator reads, at least."""


def _initialize(module: nn.Module) -> None:
    """Draws weights as Glorot and Bengio (2010) do; biases are 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def _sides(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> tuple[int, int]:
    """Returns height and width of the images of both kinds.

    Raises:
        ValueError: if they differ.
    """
    (_, *one), (_, *other) = image_shape(shape_a), image_shape(shape_b)
    if one != other:
        raise ValueError(
            f"data_shapes: images of {one[0]} x {one[1]} and of {other[0]} x {other[1]} pixels "
            "have no layers in common. Use one size."
        )
    return one[0], one[1]


class CoupledGenerator(nn.Module):
    """Creates CoGAN's generator of pairs: all layers but the last are those of both images.

    Transposed convolutions of 3 x 3 pixels make 7, 13 and 25 pixels of 4, and each kind of images
    has one of 6 x 6 pixels, which makes 28.

    References:
        Coupled Generative Adversarial Networks (Liu and Tuzel, 2016), appendix A,
        https://arxiv.org/abs/1606.07536, in the form of the authors' code: with 100 latents and
        ``width`` 128 it has 7,842,694 parameters. Their images are in [0, 1] and end in a sigmoid.

    Args:
        latent_dim: Z, the number of entries of one latent.
        shape_a: (C, H, W) of an image of the one kind; both sides are 4 more than a multiple of 8.
        shape_b: of the other kind; height and width are the same.
        width: channels before the last layer, at least 1; 128 as published.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the images cannot be made, or a size is out of range.

    Example:
        >>> import torch
        >>> generator = CoupledGenerator(8, (1, 28, 28), (3, 28, 28), width=2)
        >>> generator(torch.zeros(5, 8)).shape
        torch.Size([5, 4, 28, 28])
    """

    def __init__(
        self,
        latent_dim: int,
        shape_a: tuple[int, ...],
        shape_b: tuple[int, ...],
        width: int = 128,
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        sides = _sides(shape_a, shape_b)
        if any(side % 8 != 4 or side < 12 for side in sides):
            near = [max(12, 8 * round((side - 4) / 8) + 4) for side in sides]
            raise ValueError(
                "data_shapes: a CoupledGenerator makes images whose sides are 4 more than a "
                f"multiple of 8, such as 28, got {sides[0]} x {sides[1]}. Use {near[0]} x "
                f"{near[1]}."
            )
        first = ((sides[0] + 4) // 8, (sides[1] + 4) // 8)
        channels = [8 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, channels[0], first),
            *(nn.BatchNorm2d(channels[0], affine=False), nn.PReLU()),
        ]
        for inputs, outputs in pairwise(channels):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1))
            layers += [nn.BatchNorm2d(outputs, affine=False), nn.PReLU()]
        self.shared = nn.Sequential(*layers)
        self.a, self.b = (
            nn.Sequential(nn.ConvTranspose2d(width, shape[0], 6, 1, 1), *ending(output))
            for shape in (shape_a, shape_b)
        )
        self.output_range = range_of(self.a[-1])
        self.apply(_initialize)

    @override
    def forward(self, latent: Tensor) -> Tensor:
        """Maps latents, shape (N, Z), to pairs, joined along the channels."""
        read = self.shared(latent)
        return torch.cat([self.a(read), self.b(read)], 1)


class CoupledDiscriminator(nn.Module):
    """Creates CoGAN's discriminators: all layers but the first are those of both kinds of images.

    References:
        Coupled Generative Adversarial Networks (Liu and Tuzel, 2016), appendix A,
        https://arxiv.org/abs/1606.07536, in the form of the authors' code, whose two outputs and
        cross-entropy of two classes are one logit here.

    Args:
        shape_a: (C, H, W) of an image of the one kind; sides of at least 16 pixels.
        shape_b: of the other kind; height and width are the same.
        width: channels of the first layer, at least 1; 20 as published. The layers after it have
            2.5 and 25 times as many.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Attributes:
        a: maps images of the one kind to logits.
        b: maps those of the other.

    Raises:
        ValueError: if the images are too small, or a size is out of range.

    Example:
        >>> import torch
        >>> discriminator = CoupledDiscriminator((1, 28, 28), (3, 28, 28))
        >>> discriminator.b(torch.zeros(5, 3, 28, 28)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        shape_a: tuple[int, ...],
        shape_b: tuple[int, ...],
        width: int = 20,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(width=width, num_outputs=num_outputs)
        sides = _sides(shape_a, shape_b)
        if min(sides) < LEAST:
            raise ValueError(
                f"data_shapes: a CoupledDiscriminator reads images of at least {LEAST} x {LEAST} "
                f"pixels, got {sides[0]} x {sides[1]}. Use larger images."
            )
        wider, widest = 5 * width // 2, 25 * width
        height, breadth = (((side - 4) // 2 - 4) // 2 for side in sides)
        shared = (
            *(nn.Conv2d(width, wider, 5), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(wider * height * breadth, widest), nn.PReLU()),
            *(nn.Linear(widest, num_outputs), *ending(None, num_outputs)),
        )
        self.a, self.b = (
            nn.Sequential(nn.Conv2d(shape[0], width, 5), nn.MaxPool2d(2), *shared)
            for shape in (shape_a, shape_b)
        )
        self.apply(_initialize)
