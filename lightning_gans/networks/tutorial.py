"""The convolutional networks of two web tutorials: with max pooling, and with global pooling."""

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.features import chain_with_features
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = [
    "GlobalPoolDiscriminator",
    "GlobalPoolGenerator",
    "MaxPoolDiscriminator",
    "MaxPoolGenerator",
]


class MaxPoolGenerator(nn.Module):
    """Creates a generator that starts from an image of twice the size and cuts it down.

    A linear layer makes one channel of 2H x 2W pixels; three 3 x 3 convolutions follow, the last
    of which has stride 2. Weights are drawn as PyTorch does.

    References:
        The DCGAN of the tutorial "GAN in practice 4: advanced GANs"; there for MNIST.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made.

    Example:
        >>> import torch
        >>> MaxPoolGenerator(100, (1, 28, 28))(torch.zeros(2, 100)).shape
        torch.Size([2, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape(data_shape, 4)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, 4 * height * width),
            nn.Unflatten(1, (1, 2 * height, 2 * width)),
            nn.BatchNorm2d(1),
            nn.ReLU(),
        ]
        for inputs, outputs in ((1, 64), (64, 32)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        layers.append(nn.Conv2d(32, channels, 3, stride=2, padding=1))
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)

    @override
    def forward(self, latent: Tensor) -> Tensor:
        """Maps latents, shape (N, Z), to images, shape (N, C, H, W)."""
        return self.layers(latent)


class MaxPoolDiscriminator(nn.Module):
    """Creates a discriminator of two convolutions with max-pooling and two linear layers.

    It has no normalization, so that a penalty on the gradient of each sample can be put on it.
    Weights are drawn as PyTorch does.

    References:
        The DCGAN of the tutorial "GAN in practice 4: advanced GANs"; there for MNIST.

    Args:
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        output: after the last layer; logits if it is not given.
        num_outputs: numbers for each image, at least 1.

    Raises:
        ValueError: if the image cannot be read, or there are no outputs.

    Example:
        >>> import torch
        >>> MaxPoolDiscriminator((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        output: Callable[[], nn.Module] | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(num_outputs=num_outputs)
        channels, height, width = image_shape(data_shape, 4)
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, 32), (32, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.MaxPool2d(2),
            ]
        layers += [
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, num_outputs),
        ]
        self.layers = nn.Sequential(*layers, *ending(output, num_outputs))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to logits, (N,), or several outputs, (N, outputs)."""
        return self.layers(x)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        return chain_with_features(self.layers, x)


def _initialize(module: nn.Module) -> None:
    """Draws weights from Glorot's uniform distribution, with zero biases."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class _GlobalMaximum(nn.Module):
    """The greatest value of each channel; unlike AdaptiveMaxPool2d it is deterministic on GPUs."""

    treats_samples_alone = True

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


def _same_padding(side: int) -> tuple[int, int]:
    """Returns the zeros before and after a side for a 5 x 5 convolution of stride 2, as in Keras.

    Keras makes ceil(side / 2) pixels. An even side lacks 3 zeros for that, an odd one 4, and of 3
    the larger half comes after it; PyTorch's own padding is the same on both ends.

    Args:
        side: in pixels.
    """
    return 1 + side % 2, 2


class GlobalPoolGenerator(nn.Module):
    """Creates a generator of two transposed convolutions, without normalization.

    A linear layer makes 128 channels of H/4 x W/4 pixels, without an activation; two 4 x 4
    transposed convolutions double the sides, and a 7 x 7 convolution makes the image. Weights are
    Glorot's, biases zero.

    References:
        The Keras code of the tutorial "The potential of WGAN"; there for MNIST in [0, 1].

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        output: after the last layer; for data in [-1, 1] ``torch.nn.Tanh``.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made.

    Example:
        >>> import torch
        >>> GlobalPoolGenerator(128, (1, 28, 28))(torch.zeros(2, 128)).shape
        torch.Size([2, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        output: Callable[[], nn.Module] | None = nn.Sigmoid,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape(data_shape, 4)
        height, width = height // 4, width // 4
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, 128 * height * width),
            nn.Unflatten(1, (128, height, width)),
            nn.ConvTranspose2d(128, 128, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 128, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, channels, 7, padding=3),
        ]
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)

    @override
    def forward(self, latent: Tensor) -> Tensor:
        """Maps latents, shape (N, Z), to images, shape (N, C, H, W)."""
        return self.layers(latent)


class GlobalPoolDiscriminator(nn.Module):
    """Creates a discriminator of two strided convolutions and a maximum over all pixels.

    The 5 x 5 convolutions have 64 and 128 channels and pad as Keras does: an even side with one
    zero before it and two after. The greatest value of each channel goes into one linear layer.
    There is no normalization. Weights are Glorot's, biases zero.

    References:
        The Keras code of the tutorial "The potential of WGAN"; there for MNIST in [0, 1].

    Args:
        data_shape: (C, H, W) of one image of any size.
        output: after the last layer; logits if it is not given.

    Raises:
        ValueError: if the data is no image.

    Example:
        >>> import torch
        >>> GlobalPoolDiscriminator((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        output: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape(data_shape)
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, 64), (64, 128)):
            layers += [
                nn.ZeroPad2d((*_same_padding(width), *_same_padding(height))),
                nn.Conv2d(inputs, outputs, 5, 2),
                nn.LeakyReLU(0.2),
            ]
            height, width = (height + 1) // 2, (width + 1) // 2
        layers += [_GlobalMaximum(), nn.Linear(128, 1)]
        self.layers = nn.Sequential(*layers, *ending(output, 1))
        self.apply(_initialize)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to logits, shape (N,)."""
        return self.layers(x)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        return chain_with_features(self.layers, x)
