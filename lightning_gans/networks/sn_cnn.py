"""The plain convolutional networks of spectral normalization, also called SNDCGAN."""

from collections.abc import Callable
from itertools import pairwise

from torch import nn

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.normalized import normalize_spectrally
from lightning_gans.networks.projection import (
    ProjectionDiscriminator,
    SharesGenerator,
    batch_norm,
)
from lightning_gans.networks.shapes import check_sizes, image_shape, nearest_side

__all__ = ["SNCNNDiscriminator", "SNCNNGenerator"]

LEAST = 16
"""Pixels of a side, at least."""


def _halvings(data_shape: tuple[int, ...]) -> int:
    """Returns how often the sides of an image are halved.

    Raises:
        ValueError: if they cannot be, or the data is no image.
    """
    _, *sides = image_shape(data_shape)
    if min(sides) < LEAST or any(side % 4 for side in sides):
        height, width = (nearest_side(side, 4, LEAST) for side in sides)
        raise ValueError(
            "data_shape: the SN-CNN networks need images whose sides are multiples of 4, at least "
            f"{LEAST} pixels, got {sides[0]} x {sides[1]}. Use {height} x {width}."
        )
    return 2 if any(side % 8 for side in sides) else 3


def _initialize(module: nn.Module) -> None:
    """Draws weights from N(0, 0.02); biases are 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class SNCNNGenerator(SharesGenerator):
    """Creates the plain generator of spectral normalization, with BatchNorm in every layer.

    A linear layer makes an image of an eighth of the sides with 8 x ``width`` channels; transposed
    convolutions double its sides and halve its channels, and one more makes the image.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), the
        standard CNN of its appendix B, https://arxiv.org/abs/1802.05957. The layers are those of
        public code; the paper's table itself was not checked, nor were the initial weights,
        N(0, 0.02). If a side is no multiple of 8, as with 28 pixels, there is one doubling less
        (chosen). The gains and biases of classes, as of Miyato and Koyama
        (https://arxiv.org/abs/1802.05637), are published for other networks.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image; sides are multiples of 4, at least 16 pixels.
        width: channels before the last layer, at least 1; 64 as published.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator, whose BatchNorms have gains and biases of
            each class; none if it is not given.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made, or a size is out of range.

    Example:
        >>> import torch
        >>> generator = SNCNNGenerator(128, (3, 32, 32), width=8)
        >>> generator(torch.zeros(2, 128)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 64,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(num_classes)
        check_sizes(width=width)
        times = _halvings(data_shape)
        sides = [side >> times for side in data_shape[1:]]
        channels = [width << power for power in range(times, -1, -1)]
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, channels[0] * sides[0] * sides[1]),
            nn.Unflatten(1, (channels[0], *sides)),
            *(batch_norm(channels[0], num_classes), nn.ReLU()),
        ]
        for inputs, outputs in pairwise(channels):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))
            layers += [batch_norm(outputs, num_classes), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, data_shape[0], 3, 1, 1), *ending(output)]
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)


class SNCNNDiscriminator(ProjectionDiscriminator):
    """Creates the plain discriminator of spectral normalization, whose layers have norm 1.

    Convolutions with 3 x 3 pixels alternate with those that halve the sides and double the
    channels, up to 8 x ``width``. Spectral norm is PyTorch's: see `SpectralNorm`.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), the
        standard CNN of its appendix B, https://arxiv.org/abs/1802.05957. The layers are those of
        public code, and what is said of `SNCNNGenerator` holds here. The vectors of classes are
        as long as the features of all pixels; the projection discriminator is published for
        networks with a sum over pixels.

    Args:
        data_shape: (C, H, W) of one image; sides are multiples of 4, at least 16 pixels.
        width: channels after the first layer, at least 1; 64 as published.
        num_classes: classes that an image is read with, see `ProjectionDiscriminator`; none if it
            is not given.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if the image cannot be read, or a size is out of range.

    Example:
        >>> import torch
        >>> discriminator = SNCNNDiscriminator((3, 32, 32), width=8)
        >>> discriminator(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int = 64,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        check_sizes(width=width)
        times = _halvings(data_shape)
        channels = [width << power for power in range(times + 1)]
        layers: list[nn.Module] = [nn.Conv2d(data_shape[0], width, 3, 1, 1), nn.LeakyReLU(0.1)]
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.1)]
            layers += [nn.Conv2d(outputs, outputs, 3, 1, 1), nn.LeakyReLU(0.1)]
        features = channels[-1] * (data_shape[1] >> times) * (data_shape[2] >> times)
        chain = nn.Sequential(*layers, nn.Flatten())
        super().__init__(chain, features, num_classes, num_outputs)
        self.apply(_initialize)
        normalize_spectrally(self)
