"""Networks that make or read each channel of an image with one network, as for stacked digits."""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_gans.networks.endings import ending
from lightning_gans.networks.features import chain_with_features
from lightning_gans.networks.normalized import DiscriminatorWrapper
from lightning_gans.networks.shapes import check_sizes, image_shape
from lightning_gans.networks.sources import DiscriminatorSource

__all__ = ["ChannelwiseDiscriminator", "ChannelwiseGenerator"]


class ChannelwiseGenerator(nn.Module):
    """Makes each channel of an image with one network, from a part of what a dense layer makes.

    It is for images whose channels are of one kind, such as stacked digits. The network learns
    from all channels. The dense layer maps a latent to one for each channel, and any channel can
    come to depend on all of the latent. It begins with orthogonal rows: if there are as many
    entries as the channels have together, the latents of the channels are independent at first.
    BatchNorm layers of the network use the statistics of all channels.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image.
        network: makes the network from the entries of the latent of a channel, and (1, H, W).
        channel_dim: entries of the latent of a channel, at least 1.

    Attributes:
        output_range: that of the network, if it has one.

    Raises:
        ValueError: if the image cannot be made, or a size is out of range.

    Example:
        >>> import torch
        >>> generator = ChannelwiseGenerator(96, (3, 28, 28))
        >>> generator(torch.zeros(2, 96)).shape
        torch.Size([2, 3, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        network: Callable[[int, tuple[int, ...]], nn.Module] = DCGANGenerator,
        channel_dim: int = 32,
    ) -> None:
        super().__init__()
        check_sizes(channel_dim=channel_dim)
        self.channels, height, width = image_shape(data_shape)
        self.dense = nn.Linear(latent_dim, self.channels * channel_dim)
        nn.init.orthogonal_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.network = network(channel_dim, (1, height, width))
        self.output_range = getattr(self.network, "output_range", None)

    @override
    def forward(self, latent: Tensor) -> Tensor:
        """Maps latents, shape (N, Z), to images, shape (N, C, H, W)."""
        number = len(latent)
        latents = self.dense(latent).reshape(number * self.channels, -1)
        images: Tensor = self.network(latents)
        return images.reshape(number, self.channels, *images.shape[2:])


class ChannelwiseDiscriminator(DiscriminatorWrapper):
    """Reads each channel of an image with one network; dense layers then join the channels.

    It is the discriminator for a `ChannelwiseGenerator`. BatchNorm layers of the network use the
    statistics of all channels.

    Args:
        data_shape: (C, H, W) of one image, or of a pack of images joined along channels.
        network: maps one channel, (1, H, W), to ``channel_features`` numbers, or is made for that
            from (1, H, W).
        channel_features: numbers that the network makes of one channel, at least 2.
        hidden: units of the dense layer that joins the channels, at least 1.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

    Raises:
        ValueError: if the image cannot be read, or a size is out of range.

    Example:
        >>> import torch
        >>> discriminator = ChannelwiseDiscriminator((3, 28, 28))
        >>> discriminator(torch.zeros(2, 3, 28, 28)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        network: DiscriminatorSource = DCGANDiscriminator,
        channel_features: int = 128,
        hidden: int = 256,
        num_outputs: int = 1,
    ) -> None:
        check_sizes(hidden=hidden, num_outputs=num_outputs)
        if channel_features < 2:
            raise ValueError(
                f"channel_features must be at least 2, got {channel_features}. Use 128."
            )
        channels, height, width = image_shape(data_shape)
        super().__init__((1, height, width), network, None, channel_features)
        self.joined = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Linear(channels * channel_features, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, num_outputs),
            *ending(None, num_outputs),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to outputs, shape (N,) or (N, ``num_outputs``)."""
        return cast("Tensor", self.joined(self._read(x)))

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the outputs, and what the last layer reads, shape (N, ``hidden``)."""
        return chain_with_features(self.joined, self._read(x))

    def _read(self, x: Tensor) -> Tensor:
        """Returns the numbers of all channels of each image, shape (N, C x channel_features)."""
        channels = x.reshape(-1, 1, *x.shape[2:])
        return cast("Tensor", self.network(channels)).reshape(len(x), -1)
