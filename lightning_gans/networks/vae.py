"""A small convolutional autoencoder whose decoder generates."""

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.conditioning import Conditional
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import image_shape

__all__ = ["VAEEncoder", "VAEGenerator"]


class VAEEncoder(nn.Module):
    """Creates an encoder of three convolutions that tells where an image's latents are.

    References:
        The encoder of the tutorial "GAN in practice 4: advanced GANs"; there for MNIST.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image, H and W multiples of 4.

    Raises:
        ValueError: if the image cannot be read.

    Example:
        >>> import torch
        >>> mean, log_sd = VAEEncoder(100, (1, 28, 28))(torch.zeros(2, 1, 28, 28))
        >>> mean.shape, log_sd.shape
        (torch.Size([2, 100]), torch.Size([2, 100]))
    """

    treats_samples_alone = True

    def __init__(self, latent_dim: int, data_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = image_shape(data_shape, 4)
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((channels, 16, 2), (16, 32, 2), (32, 32, 1)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride, padding=1),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.mean, self.log_sd = (
            nn.Linear(32 * (height // 4) * (width // 4), latent_dim) for _ in range(2)
        )

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and log of the standard deviation of each latent, both of shape (N, Z).

        Args:
            x: shape (N, C, H, W).
        """
        features = self.layers(x)
        return self.mean(features), self.log_sd(features)


class VAEGenerator(Conditional):
    """Creates a decoder of a linear layer and two transposed convolutions.

    The linear layer makes 32 channels of H/4 x W/4 pixels. Nothing but one ReLU, between the two
    convolutions, is not linear before the output.

    References:
        The decoder of the tutorial "GAN in practice 4: advanced GANs"; there for MNIST.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator; none if it is not given.
        embedding_dim: see `JoinLabels`.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made, or there are no classes.

    Example:
        >>> import torch
        >>> VAEGenerator(100, (1, 28, 28))(torch.zeros(2, 100)).shape
        torch.Size([2, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        inputs = latent_dim + self.label_size
        channels, height, width = image_shape(data_shape, 4)
        layers: list[nn.Module] = [
            nn.Linear(inputs, 32 * (height // 4) * (width // 4)),
            nn.Unflatten(1, (32, height // 4, width // 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, channels, 4, 2, 1),
        ]
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
