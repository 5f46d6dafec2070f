"""The discriminator of pix2pix, which judges patches of an image."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.features import chain_with_features
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["PatchDiscriminator", "draw_weights", "needs_bias"]

WIDEST = 8
"""Times the width: what channels double up to."""


def draw_weights(module: nn.Module) -> None:
    """Draws weights from N(0, 0.02) and the scales of BatchNorm layers from N(1, 0.02).

    Args:
        module: a layer.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def needs_bias(normalization: Callable[[int], nn.Module] | None) -> bool:
    """Returns whether convolutions have biases: not if the normalization after them has its own.

    Args:
        normalization: makes it from the number of channels; None if there is none.
    """
    return normalization is None or not getattr(normalization(1), "affine", False)


class PatchDiscriminator(nn.Module):
    """Creates the discriminator of pix2pix: a logit for each patch, of convolutions only.

    ``strided`` convolutions halve the sides, and two more do not, all of 4 x 4 pixels. A logit
    depends on a patch of the image: of 70 x 70 pixels with three strided layers, of 34 with two
    and of 16 with one.

    References:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017),
        section 6.1.2, https://arxiv.org/abs/1611.07004. As in its authors' code it has 2,768,705
        parameters for pairs of three channels each and patches of 70 pixels, and 2,764,737 for
        three channels with instance normalization, as in CycleGAN.

    Args:
        data_shape: (C, H, W) of one image, or of one pair, joined along the channels.
        width: channels after the first layer, at least 1; they double up to 8 times as many.
        strided: layers that halve the sides, at least 1.
        normalization: called with the number of channels, after every layer but the first and the
            last; none if it is None. With a penalty on the gradient of each sample it must not use
            the statistics of the batch.

    Raises:
        ValueError: if the image is too small for a single patch, or a size is out of range.

    Example:
        >>> import torch
        >>> PatchDiscriminator((6, 256, 256), width=8)(torch.zeros(1, 6, 256, 256)).shape
        torch.Size([1, 1, 30, 30])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int = 64,
        strided: int = 3,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        check_sizes(width=width, strided=strided)
        inputs, height, breadth = image_shape(data_shape)
        least = 3 * 2**strided
        if min(height, breadth) < least:
            raise ValueError(
                f"data_shape: a PatchDiscriminator with {strided} strided layers needs images of "
                f"at least {least} x {least} pixels, got {height} x {breadth}. Use larger images, "
                "or fewer layers (strided)."
            )
        channels = [width * min(2**power, WIDEST) for power in range(strided + 1)]
        bias = needs_bias(normalization)
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for index, (read, made) in enumerate(pairwise(channels)):
            stride = 2 if index < strided - 1 else 1
            layers.append(nn.Conv2d(read, made, 4, stride, 1, bias=bias))
            layers += [] if normalization is None else [normalization(made)]
            layers.append(nn.LeakyReLU(0.2))
        layers.append(nn.Conv2d(channels[-1], 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(draw_weights)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to logits of patches, shape (N, 1, h, w)."""
        logits: Tensor = self.layers(x)
        return logits

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits and what the last layer reads, shape (N, F)."""
        return chain_with_features(self.layers, x)
