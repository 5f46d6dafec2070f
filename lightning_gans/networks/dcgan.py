"""The networks of DCGAN for images of any size that halves often enough."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import nn

from lightning_gans.networks.conditioning import Conditional
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes, image_shape, nearest_side

__all__ = ["DCGANCritic", "DCGANDiscriminator", "DCGANGenerator"]


def _halvings(data_shape: tuple[int, ...]) -> int:
    """Returns how often both sides of an image can be halved and keep at least 4 pixels.

    Raises:
        ValueError: if that is less than twice, or the data is no image.
    """
    _, height, width = image_shape(data_shape)
    times = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, times = height // 2, width // 2, times + 1
    if times < 2:
        raise ValueError(
            "data_shape: DCGAN needs images whose sides are multiples of 4, at least 16 pixels, "
            f"got {data_shape[1]} x {data_shape[2]}. Use {nearest_side(data_shape[1], 4, 16)} x "
            f"{nearest_side(data_shape[2], 4, 16)}."
        )
    return times


def _initialize(module: nn.Module) -> None:
    """Draws weights from N(0, 0.02) and the scales of BatchNorm layers from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def activated(
    channels: int, normalization: Callable[[int], nn.Module] | None, activation: nn.Module
) -> list[nn.Module]:
    """Returns an activation, after a layer of normalization if there is one."""
    return [activation] if normalization is None else [normalization(channels), activation]


def dense(
    inputs: int,
    outputs: int,
    normalization: Callable[[int], nn.Module] | None,
    activation: nn.Module,
) -> list[nn.Module]:
    """Returns a fully connected layer; it is normalized as an image of one pixel."""
    return [
        nn.Linear(inputs, outputs, bias=normalization is None),
        nn.Unflatten(1, (outputs, 1, 1)),
        *activated(outputs, normalization, activation),
        nn.Flatten(),
    ]


class DCGANGenerator(Conditional):
    """Creates DCGAN's generator: transposed convolutions that double an image's sides.

    The first layer makes a small image with many channels; each of the following doubles its
    sides and halves its channels. 28 pixels are reached from 7, 32, 64 and 128 from 4.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
        Networks (Radford et al., 2016), section 3 and figure 1, https://arxiv.org/abs/1511.06434.
        The kernels have 4 x 4 pixels, which cover every output pixel equally often, in place of
        the 5 x 5 of the figure. The paper's network for 64 pixels has ``width`` 128.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image; both sides must halve at least twice.
        width: channels before the last layer, at least 1.
        normalization: called with the number of channels, after every layer but the last.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        hidden: units of a fully connected layer before the small image, as in InfoGAN's network
            for MNIST (Chen et al., 2016, table 1, https://arxiv.org/abs/1606.03657), which has
            1024; at least 1, or None for no such layer.
        num_classes: classes of a conditional generator; none if it is not given.
        embedding_dim: see `JoinLabels`.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made, or a size is out of range.

    Example:
        >>> import torch
        >>> generator = DCGANGenerator(100, (3, 64, 48), width=8)
        >>> generator(torch.zeros(2, 100)).shape
        torch.Size([2, 3, 64, 48])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 64,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        hidden: int | None = None,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        check_sizes(width=width, hidden=hidden)
        inputs = latent_dim + self.label_size
        times = _halvings(data_shape)
        sides = [side // 2**times for side in data_shape[1:]]
        channels = [width * 2**power for power in reversed(range(times))]
        bias = normalization is None
        layers: list[nn.Module] = []
        if hidden is not None:
            layers += dense(inputs, hidden, normalization, nn.ReLU())
        layers += [
            nn.Linear(hidden or inputs, channels[0] * sides[0] * sides[1], bias=bias),
            nn.Unflatten(1, (channels[0], *sides)),
            *activated(channels[0], normalization, nn.ReLU()),
        ]
        for inputs, outputs in pairwise(channels):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias))
            layers += activated(outputs, normalization, nn.ReLU())
        layers.append(nn.ConvTranspose2d(width, data_shape[0], 4, 2, 1))
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)


class DCGANDiscriminator(Conditional):
    """Creates DCGAN's discriminator: strided convolutions that halve an image's sides.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
        Networks (Radford et al., 2016), section 3, https://arxiv.org/abs/1511.06434. The first
        layer is not normalized, as there; the kernels have 4 x 4 pixels in place of 5 x 5.

    Args:
        data_shape: (C, H, W) of one image; both sides must halve at least twice.
        width: channels after the first layer, at least 1; every further layer doubles them.
        normalization: called with the number of channels, after every layer but the first and the
            last. With a penalty on the gradient of each sample it must not use the statistics of
            the batch: give None.
        output: after the last layer; logits if it is not given.
        hidden: units of a fully connected layer before the logit, as in `DCGANGenerator`.
        num_classes: classes that an image is read with, as further channels; none if it is not
            given.
        embedding_dim: see `JoinLabels`.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if the image cannot be halved often enough, or a size is out of range.

    Example:
        >>> import torch
        >>> discriminator = DCGANDiscriminator((3, 64, 48), width=8)
        >>> discriminator(torch.zeros(2, 3, 64, 48)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int = 64,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        output: Callable[[], nn.Module] | None = None,
        hidden: int | None = None,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        check_sizes(width=width, hidden=hidden, num_outputs=num_outputs)
        read = data_shape[0] + self.label_size
        times = _halvings(data_shape)
        channels = [width * 2**power for power in range(times)]
        layers: list[nn.Module] = [nn.Conv2d(read, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs in pairwise(channels):
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=normalization is None))
            layers += activated(outputs, normalization, nn.LeakyReLU(0.2))
        layers.append(nn.Flatten())
        features = channels[-1] * (data_shape[1] >> times) * (data_shape[2] >> times)
        if hidden is not None:
            layers += dense(features, hidden, normalization, nn.LeakyReLU(0.2))
        layers.append(nn.Linear(hidden or features, num_outputs))
        self.layers = nn.Sequential(*layers, *ending(output, num_outputs))
        self.apply(_initialize)


class DCGANCritic(DCGANDiscriminator):
    """`DCGANDiscriminator` without normalization, as a penalty on each sample's gradient demands.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), section 4,
        https://arxiv.org/abs/1704.00028

    Args:
        data_shape: see `DCGANDiscriminator`.
        normalization: one of each sample alone, such as ``torch.nn.InstanceNorm2d``, if any.
        **kwargs: as for `DCGANDiscriminator`.
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        normalization: Callable[[int], nn.Module] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, normalization=normalization, **kwargs)
