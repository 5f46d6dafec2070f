"""Self-attention over the pixels of images, and the networks of SAGAN."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from typing_extensions import override

from lightning_gans.networks.endings import range_of
from lightning_gans.networks.normalized import normalize_spectrally
from lightning_gans.networks.projection import (
    ProjectionDiscriminator,
    SharesGenerator,
    batch_norm,
)
from lightning_gans.networks.resnet import (
    Places,
    SumOverPixels,
    critic_layers,
    generator_layers,
    initialize,
)

__all__ = ["SAGANDiscriminator", "SAGANGenerator", "SelfAttention", "attend"]


class SelfAttention(nn.Module):
    """Adds to each pixel what it finds at others, times a factor that is 0 at first.

    References:
        Self-Attention Generative Adversarial Networks (Zhang et al., 2018), section 3,
        https://arxiv.org/abs/1805.08318. As in the authors' code, keys and values are the
        maxima of 2 x 2 pixels, values have half the channels, and nothing divides the products
        of queries and keys; its equations may say otherwise, which was not checked.

    Args:
        channels: of the images, a multiple of 8.

    Attributes:
        scale: the factor, shape ().

    Raises:
        ValueError: if the channels do not divide.

    Example:
        >>> attention = SelfAttention(16)
        >>> x = torch.randn(2, 16, 8, 8)
        >>> torch.equal(attention(x), x)
        True
    """

    treats_samples_alone = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 8 or channels % 8:
            raise ValueError(
                f"SelfAttention: channels must be a multiple of 8, got {channels}. Use "
                f"{max(8, 8 * round(channels / 8))}, or a width that makes them one."
            )
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.output = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns images of the same shape, (N, C, H, W)."""
        queries = self.query(x).flatten(2)
        keys, values = (max_pool2d(read(x), 2).flatten(2) for read in (self.key, self.value))
        weights = (queries.mT @ keys).softmax(2)
        found = (values @ weights.mT).unflatten(2, x.shape[2:])
        return x + self.scale * self.output(found)


def attend(
    layers: list[nn.Module], places: Places, attention: int | None, image_side: int
) -> None:
    """Inserts self-attention among the layers of a network.

    Args:
        layers: of the network.
        places: where it may be.
        attention: side of the images that it reads; half that of whole images if it is None.
        image_side: of whole images.

    Raises:
        ValueError: if there are no such images in the network, or their channels do not divide.
    """
    side = image_side // 2 if attention is None else attention
    if side not in places:
        raise ValueError(
            f"attention must be the side of images inside the network, got {side}. Use one of "
            f"{', '.join(map(str, sorted(places)))}."
        )
    index, channels = places[side]
    layers.insert(index, SelfAttention(channels))


class SAGANGenerator(SharesGenerator):
    """Creates SAGAN's generator: residual blocks with spectral norm, and self-attention.

    References:
        Self-Attention Generative Adversarial Networks (Zhang et al., 2018), section 4,
        https://arxiv.org/abs/1805.08318. The blocks are those of `ResNetGenerator`, with its
        initial weights; those of the authors were not checked. Their code has the attention at 32
        pixels for images of 128.

    Args:
        latent_dim: Z, the number of entries of one latent; 128 as published.
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: see `ResNetGenerator`; the channels at the attention must be a multiple of 8.
        attention: side of the images that it reads, in pixels; half that of whole images if it is
            not given, as in public code for 32 and 128 pixels.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator, see `ResNetGenerator`; none if it is not
            given.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if there is no such network for the images, or a size is out of range.
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int | None = None,
        attention: int | None = None,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(num_classes)
        normalization = partial(batch_norm, num_classes=num_classes)
        layers, places = generator_layers(latent_dim, data_shape, width, output, normalization)
        attend(layers, places, attention, data_shape[1])
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        initialize(self)
        normalize_spectrally(self)


class SAGANDiscriminator(ProjectionDiscriminator):
    """Creates SAGAN's discriminator: residual blocks with spectral norm, and self-attention.

    References:
        Self-Attention Generative Adversarial Networks (Zhang et al., 2018), section 4,
        https://arxiv.org/abs/1805.08318. The blocks are those of `ResNetDiscriminator`, except
        that their inner channels are those that they end with. What is said of `SAGANGenerator`
        holds here.

    Args:
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: see `ResNetDiscriminator`; the channels at the attention must be a multiple of 8.
        attention: see `SAGANGenerator`.
        num_classes: see `ResNetDiscriminator`.
        num_outputs: see `ResNetDiscriminator`.

    Raises:
        ValueError: if there is no such network for the images, or a size is out of range.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int | None = None,
        attention: int | None = None,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        layers, features, places = critic_layers(data_shape, width, SumOverPixels(), wide=True)
        attend(layers, places, attention, data_shape[1])
        super().__init__(nn.Sequential(*layers), features, num_classes, num_outputs)
        initialize(self)
        normalize_spectrally(self)
