"""An autoencoder in the place of a discriminator, and its decoder as a generator."""

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.conditioning import Conditional
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["Autoencoder", "AutoencoderGenerator"]


class AutoencoderGenerator(Conditional):
    """Creates a decoder that doubles the sides of a small image twice, without normalization.

    A linear layer makes 2 ``width`` channels of H/4 x W/4 pixels. Each doubling repeats pixels,
    and two convolutions follow.

    References:
        BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
        section 3.6 and figure 1, https://arxiv.org/abs/1703.10717, for images of 28 pixels; the
        paper's have 32 and more, and more layers of one width.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        width: channels before the last layer, at least 1.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator; none if it is not given.
        embedding_dim: see `JoinLabels`.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made, or a size is out of range.

    Example:
        >>> import torch
        >>> AutoencoderGenerator(64, (1, 28, 28))(torch.zeros(2, 64)).shape
        torch.Size([2, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 16,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        check_sizes(width=width)
        channels, height, rows = image_shape(data_shape, 4)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim + self.label_size, 2 * width * (height // 4) * (rows // 4)),
            nn.Unflatten(1, (2 * width, height // 4, rows // 4)),
        ]
        for inputs in (2 * width, width):
            layers += [
                nn.UpsamplingNearest2d(scale_factor=2),
                nn.Conv2d(inputs, 2 * width, 3, padding=1),
                nn.ELU(),
                nn.Conv2d(2 * width, width, 3, padding=1),
                nn.ELU(),
            ]
        layers += [nn.Conv2d(width, channels, 3, padding=1), *ending(output)]
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)


class Autoencoder(nn.Module):
    """Creates a convolutional autoencoder, as EBGAN and BEGAN have for a discriminator.

    Two convolutions halve the sides of an image, a linear layer makes the code, and the decoder is
    an `AutoencoderGenerator` without a last activation.

    References:
        BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
        section 3.6 and figure 1, https://arxiv.org/abs/1703.10717, with fewer layers.

    Args:
        data_shape: (C, H, W) of one image, H and W multiples of 4.
        code_dim: entries of the code, at least 1.
        width: channels after the first layer, at least 1.

    Raises:
        ValueError: if the image cannot be read, or a size is out of range.

    Example:
        >>> import torch
        >>> rebuilt, code = Autoencoder((1, 28, 28))(torch.zeros(2, 1, 28, 28))
        >>> rebuilt.shape, code.shape
        (torch.Size([2, 1, 28, 28]), torch.Size([2, 32]))
    """

    treats_samples_alone = True

    def __init__(self, data_shape: tuple[int, ...], code_dim: int = 32, width: int = 16) -> None:
        super().__init__()
        check_sizes(code_dim=code_dim, width=width)
        channels, height, rows = image_shape(data_shape, 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.ELU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (rows // 4), code_dim),
        )
        self.decoder = AutoencoderGenerator(code_dim, data_shape, width, output=None)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns reconstructions, the shape of ``x``, and codes, shape (N, code_dim).

        Args:
            x: shape (N, C, H, W).
        """
        code = self.encoder(x)
        return self.decoder(code), code
