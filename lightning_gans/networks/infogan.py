"""The networks of InfoGAN for images of digits, and a posterior apart from the discriminator."""

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.dcgan import activated, dense
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.features import outputs_with_features
from lightning_gans.networks.mlp import MLPDiscriminator
from lightning_gans.networks.normalized import DiscriminatorWrapper
from lightning_gans.networks.shapes import check_sizes, image_shape
from lightning_gans.networks.sources import DiscriminatorSource

__all__ = ["InfoGANDiscriminator", "InfoGANGenerator", "SeparatePosterior"]


class InfoGANGenerator(nn.Module):
    """Creates InfoGAN's generator: dense layers, then two transposed convolutions.

    It differs from a `DCGANGenerator` with a ``hidden`` layer in that every entry of the small
    image is normalized alone.

    References:
        InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        Adversarial Nets (Chen et al., 2016), table 1, https://arxiv.org/abs/1606.03657, which was
        not compared with the paper: sizes and normalization are those of the authors' code.
        Weights are drawn as PyTorch does it. Drawn from N(0, 0.02), as in DCGAN, a network of a
        quarter of the width still made grey images after 2,450 updates.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image; both sides must be multiples of 4.
        width: channels before the last layer, at least 1; the authors' network for digits has 64.
        hidden: units of a dense layer before the small image, at least 1, or None for no such
            layer; the authors have 1024.
        normalization: called with the number of channels, after every layer but the last.
        output: after the last layer, such as ``torch.nn.Sigmoid`` for data in [0, 1].

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the image cannot be made, or a size is out of range.

    Example:
        >>> generator = InfoGANGenerator(74, (1, 28, 28), width=8, hidden=None)
        >>> generator(torch.zeros(2, 74)).shape
        torch.Size([2, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 64,
        hidden: int | None = 1024,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        output: Callable[[], nn.Module] | None = nn.Sigmoid,
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden)
        channels, height, rows = image_shape(data_shape, 4)
        small = 2 * width, height // 4, rows // 4
        units = small[0] * small[1] * small[2]
        layers: list[nn.Module] = []
        if hidden is not None:
            layers += dense(latent_dim, hidden, normalization, nn.ReLU())
        self.layers = nn.Sequential(
            *layers,
            *dense(hidden or latent_dim, units, normalization, nn.ReLU()),
            nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=normalization is None),
            *activated(width, normalization, nn.ReLU()),
            nn.ConvTranspose2d(width, channels, 4, 2, 1),
            *ending(output),
        )
        self.output_range = range_of(self.layers[-1])

    @override
    def forward(self, latent: Tensor) -> Tensor:
        """Maps latents, shape (N, Z), to images, shape (N, C, H, W)."""
        images: Tensor = self.layers(latent)
        return images


class InfoGANDiscriminator(nn.Module):
    """Creates InfoGAN's discriminator and posterior: a trunk, and a head for each of the two.

    The logit is linear in what the trunk makes of an image. The codes are read by a hidden layer
    more.

    References:
        As `InfoGANGenerator`.

    Args:
        data_shape: (C, H, W) of one image; both sides must be multiples of 4.
        width: channels after the first layer, at least 1; the second has twice as many. The
            authors' network for digits has 64.
        hidden: units of the trunk's last layer, at least 1; the authors have 1024.
        code_hidden: units of the hidden layer of the codes' head, at least 1; the authors have
            128.
        normalization: called with the number of channels, after every layer but the first and the
            last ones.
        negative_slope: of the leaky activations.
        num_logits: outputs before the codes, at least 1: as many as the loss reads.
        num_outputs: D, numbers for each image, those of the codes included.

    Raises:
        ValueError: if the image cannot be read, or a size is out of range.

    Example:
        >>> discriminator = InfoGANDiscriminator((1, 28, 28), width=8, hidden=16, num_outputs=13)
        >>> discriminator(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 13])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        width: int = 64,
        hidden: int = 1024,
        code_hidden: int = 128,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        negative_slope: float = 0.1,
        num_logits: int = 1,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden, code_hidden=code_hidden, num_logits=num_logits)
        number = _number_of_codes(self, num_logits, num_outputs)
        channels, height, rows = image_shape(data_shape, 4)
        leaky = partial(nn.LeakyReLU, negative_slope)
        units = 2 * width * (height // 4) * (rows // 4)
        self.trunk = nn.Sequential(
            *(nn.Conv2d(channels, width, 4, 2, 1), leaky()),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=normalization is None),
            *activated(2 * width, normalization, leaky()),
            nn.Flatten(),
            *dense(units, hidden, normalization, leaky()),
        )
        self.logit = nn.Linear(hidden, num_logits)
        self.codes = nn.Sequential(
            *dense(hidden, code_hidden, normalization, leaky()),
            nn.Linear(code_hidden, number),
        )
        self.joined = _Joined()

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to outputs, shape (N, D), the logits first."""
        return self.with_features(x)[0]

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the outputs, and what the trunk makes of the images, shape (N, ``hidden``)."""
        features = self.trunk(x)
        return self.joined(self.logit(features), self.codes(features)), features


class SeparatePosterior(DiscriminatorWrapper):
    """Joins a discriminator and a posterior of its own, which reads the codes of samples.

    Nothing is shared between the two. The posterior is trained with the discriminator, by the
    discriminator's optimizer.

    Args:
        data_shape: shape of one sample, without the batch; not needed if both are modules.
        network: a discriminator that reads no codes, or what makes one from ``data_shape``.
        posterior: a module from samples (N, ...) to outputs (N, D), or what makes one from
            ``data_shape`` and, as ``num_outputs``, D.
        num_logits: outputs of the discriminator, at least 1: as many as the loss reads.
        num_outputs: those of both, ``num_logits`` + D.

    Raises:
        ValueError: if ``num_outputs`` leaves none for the posterior.

    Example:
        >>> joined = SeparatePosterior((2,), num_outputs=13)
        >>> joined(torch.zeros(5, 2)).shape
        torch.Size([5, 13])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...] | None = None,
        network: DiscriminatorSource = MLPDiscriminator,
        posterior: DiscriminatorSource = MLPDiscriminator,
        num_logits: int = 1,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(data_shape, network, None, num_logits)
        number = _number_of_codes(self, num_logits, num_outputs)
        self.posterior = DiscriminatorWrapper(data_shape, posterior, None, number).network
        self.joined = _Joined()

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps samples, shape (N, ...), to outputs, shape (N, ``num_outputs``), logits first."""
        return cast("Tensor", self.joined(self.network(x), self.posterior(x)))

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the outputs of both, and the discriminator's features."""
        logits, features = outputs_with_features(self.network, x)
        return self.joined(logits, self.posterior(x)), features


class _Joined(nn.Module):
    """Joins logits and what is said of codes; single numbers may have the shape (N,)."""

    treats_samples_alone = True

    @override
    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        return torch.cat([outputs.reshape(len(outputs), -1) for outputs in (logits, codes)], 1)


def _number_of_codes(network: nn.Module, num_logits: int, num_outputs: int) -> int:
    """Returns how many outputs are about codes, or refuses a network without such.

    Raises:
        ValueError: if it has none.
    """
    if num_outputs <= num_logits:
        raise ValueError(
            f"discriminator: {type(network).__name__} reads codes, so that num_outputs must be "
            f"above num_logits ({num_logits}), got {num_outputs}. Use it in InfoGAN, or take "
            "another discriminator."
        )
    return num_outputs - num_logits
