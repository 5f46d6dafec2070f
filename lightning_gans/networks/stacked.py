"""The small networks of the experiments with stacked digits."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from lightning_gans.networks.conditioning import Conditional
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["StackedDiscriminator", "StackedGenerator"]

SIDE = 28


def _channels(data_shape: tuple[int, ...]) -> int:
    """Returns the channels of an image.

    Raises:
        ValueError: if it has not 28 x 28 pixels.
    """
    channels, height, width = image_shape(data_shape)
    if (height, width) != (SIDE, SIDE):
        raise ValueError(
            f"data_shape: these networks are for 28 x 28 pixels, got {height} x {width}. Use "
            "--data.size 28, or networks for any size, such as DCGANGenerator."
        )
    return channels


def _normalized(
    channels: int, normalization: Callable[[int], nn.Module] | None, activation: nn.Module
) -> list[nn.Module]:
    return [*([] if normalization is None else [normalization(channels)]), activation]


class StackedGenerator(Conditional):
    """Creates the generator of the experiments with stacked digits: 4, 7, 14, 28 pixels.

    A fully connected layer makes 64 channels of 4 x 4 pixels, three transposed convolutions with
    kernels of 3 x 3 pixels make 32, 16 and 8 channels, and a convolution the image. With latents
    of 256 entries and three channels it has 287,875 parameters.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017), appendix D,
        | https://arxiv.org/abs/1611.02163, as in the code of PacGAN (Lin et al., 2018),
        | https://arxiv.org/abs/1712.04086. TensorFlow pads the other side of an image where only
        | one is padded: its network is this one in a mirror. The appendix was not compared with
        | the paper; weights begin as PyTorch's do.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, 28, 28).
        normalization: called with the number of channels, after every layer but the last.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator; none if it is not given.
        embedding_dim: see `JoinLabels`.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image has another size.

    Example:
        >>> import torch
        >>> StackedGenerator(256, (3, 28, 28))(torch.zeros(2, 256)).shape
        torch.Size([2, 3, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        channels = _channels(data_shape)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim + self.label_size, 64 * 4 * 4),
            nn.Unflatten(1, (64, 4, 4)),
            *_normalized(64, normalization, nn.ReLU()),
        ]
        # 4 pixels become 7, and are doubled from then on.
        for (inputs, outputs), further in zip(pairwise((64, 32, 16, 8)), (0, 1, 1), strict=True):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, further))
            layers += _normalized(outputs, normalization, nn.ReLU())
        layers += [nn.Conv2d(8, channels, 3, 1, 1), *ending(output)]
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)


class StackedDiscriminator(Conditional):
    """Creates the discriminator of the experiments with stacked digits, far smaller.

    Three convolutions with kernels of 3 x 3 pixels halve the sides, and a fully connected layer
    makes the logit. With channels 2, 4, 8 it has a quarter of the generator's channels, and with
    4, 8, 16 half of them: 585 and 1,889 parameters for images of three channels.

    References:
        See `StackedGenerator`.

    Args:
        data_shape: (C, 28, 28) of an image, or of a pack of images joined along channels.
        channels: after each convolution, three of at least 1.
        normalization: called with the number of channels, after each convolution. With a penalty
            on the gradient of each sample it must not use the statistics of the batch: give None.
        num_classes: classes that an image is read with, as further channels; none if it is not
            given.
        embedding_dim: see `JoinLabels`.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if the image has another size, or a number is out of range.

    Example:
        >>> import torch
        >>> StackedDiscriminator((3, 28, 28))(torch.zeros(2, 3, 28, 28)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        channels: Sequence[int] = (4, 8, 16),
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        if len(channels) != 3:
            raise ValueError(f"channels must be three numbers, got {list(channels)}.")
        check_sizes(channels=min(channels), num_outputs=num_outputs)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((_channels(data_shape) + self.label_size, *channels)):
            layers.append(nn.Conv2d(inputs, outputs, 3, 2, 1))
            layers += _normalized(outputs, normalization, nn.LeakyReLU(0.3))
        layers += [nn.Flatten(), nn.Linear(channels[-1] * 4 * 4, num_outputs)]
        self.layers = nn.Sequential(*layers, *ending(None, num_outputs))
