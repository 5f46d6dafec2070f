"""The networks of BigGAN: every block reads the class, and a part of the latent of its own."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.attention import attend
from lightning_gans.networks.conditioning import ClassShares
from lightning_gans.networks.endings import range_of
from lightning_gans.networks.normalized import normalize_spectrally
from lightning_gans.networks.projection import (
    ProjectionDiscriminator,
    ReadsCondition,
    batch_norm,
)
from lightning_gans.networks.resnet import (
    SumOverPixels,
    critic_layers,
    generator_layers,
    table_for,
)
from lightning_gans.networks.shapes import check_sizes

__all__ = ["BigGANDiscriminator", "BigGANGenerator", "MappedBatchNorm2d"]


class MappedBatchNorm2d(ReadsCondition):
    """BatchNorm of images whose gains and biases are linear in a vector of each sample.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        section 3 and appendix B, https://arxiv.org/abs/1809.11096. As in the authors' code the
        maps have no bias, and the gain is 1 plus its map; the paper was not compared.

    Args:
        num_features: channels of the images, at least 1.
        condition_dim: entries of the vector, at least 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> norm = MappedBatchNorm2d(4, condition_dim=3)
        >>> norm(torch.randn(2, 4, 8, 8), torch.randn(2, 3)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        check_sizes(num_features=num_features, condition_dim=condition_dim)
        self.normalization = nn.BatchNorm2d(num_features, affine=False)
        self.gain = nn.Linear(condition_dim, num_features, bias=False)
        self.bias = nn.Linear(condition_dim, num_features, bias=False)

    @override
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Returns the images, normalized over the batch, then scaled and shifted.

        Args:
            x: shape (N, C, H, W).
            condition: the vectors, shape (N, D).
        """
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return self.normalization(x) * gain[:, :, None, None] + bias[:, :, None, None]


def _widened(published: int, width: int | None) -> int:
    """Returns the width of a network: one and a half times that of residual ones if None."""
    return published * 3 // 2 if width is None else width


def _initialize(network: nn.Module) -> None:
    """Draws orthogonal weights."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(part.weight)
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


class BigGANGenerator(nn.Module):
    """Creates BigGAN's generator: all classes share an embedding, and latents are split up.

    The first layer reads the first chunk of a latent. The BatchNorms of each block read one of the
    others, beside the vector of the class: see `MappedBatchNorm2d`. All layers but the embedding
    have spectral norm.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        section 3 and appendix B, https://arxiv.org/abs/1809.11096. The sizes are those of the
        authors' code: of its networks for 128 pixels, and with ``width`` 256, ``attention`` 0, no
        ``embedding_dim`` and no ``hierarchical`` latents of those for CIFAR-10. The default ones
        for 32 pixels are those of PyTorch-StudioGAN. For other images they are the blocks of
        `ResNetGenerator`, as wide as these (chosen). Initial weights are orthogonal, which the
        code for CIFAR-10 has small normal ones for.

    Args:
        latent_dim: Z, the number of entries of one latent. If they are ``hierarchical``, a
            multiple of the number of chunks, which is 1 more than that of the blocks: 4 for 32
            pixels, 6 for 128. Published are 80 and 120.
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: channels before the last layer, at least 1; if it is not given, 384, or 96 from 48
            pixels on. The channels at the attention must be a multiple of 8.
        attention: side of the images that `SelfAttention` reads, in pixels, or 0 for none; half
            that of whole images if it is not given, as published.
        embedding_dim: entries of the vector of a class that all blocks share, at least 1. If it is
            None, each BatchNorm has gains and biases of the classes: see `ConditionalBatchNorm2d`.
        hierarchical: whether each block reads a chunk of the latent; or else the first layer reads
            all of it.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.
        num_classes: classes of a conditional generator; none if it is not given.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if there is no such network for the images, a size is out of range, or latents
            do not divide into chunks.

    Example:
        >>> generator = BigGANGenerator(80, (3, 32, 32), width=8, num_classes=10)
        >>> generator(torch.zeros(2, 80), torch.tensor([3, 7])).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int | None = None,
        attention: int | None = None,
        embedding_dim: int | None = 128,
        hierarchical: bool = True,
        output: Callable[[], nn.Module] | None = nn.Tanh,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes(latent_dim=latent_dim, embedding_dim=embedding_dim)
        if hierarchical and num_classes is not None and embedding_dim is None:
            raise ValueError(
                "embedding_dim: blocks that read chunks of latents need a vector of the class, "
                "got None. Use 128 as published, or hierarchical False."
            )
        table = table_for(data_shape)
        chunks = len(table.channels_g) if hierarchical else 1
        self.hierarchical = hierarchical
        self.chunk_dim = _chunk_dim(latent_dim, chunks)
        self.labels = None if num_classes is None else ClassShares(num_classes)
        self.embedding = None
        condition_dim = self.chunk_dim if hierarchical else 0
        if num_classes is not None and embedding_dim is not None:
            self.embedding = nn.Embedding(num_classes, embedding_dim)
            condition_dim += embedding_dim
        layers, places = generator_layers(
            self.chunk_dim,
            data_shape,
            _widened(table.width_g, width),
            output,
            partial(MappedBatchNorm2d, condition_dim=condition_dim)
            if condition_dim
            else partial(batch_norm, num_classes=num_classes),
        )
        if attention != 0:
            attend(layers, places, attention, data_shape[1])
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)
        _initialize(self)
        normalize_spectrally(self.layers)

    @override
    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples, shape (N, C, H, W).

        Args:
            latent: shape (N, Z).
            labels: see `ClassShares`, if the network has classes.
        """
        x, *chunks = torch.split(latent, self.chunk_dim, 1) if self.hierarchical else [latent]
        code = [] if self.labels is None else [self._code(self.labels(labels))]
        for layer in self.layers:
            if not isinstance(layer, ReadsCondition):
                x = layer(x)
                continue
            condition = [*code, *chunks[:1]]
            del chunks[:1]
            x = layer(x, torch.cat(condition, 1) if condition else None)
        return x

    def _code(self, shares: Tensor) -> Tensor:
        """Returns the vectors of the classes, or the shares if blocks have tables of them."""
        return shares if self.embedding is None else shares @ self.embedding.weight


def _chunk_dim(latent_dim: int, chunks: int) -> int:
    """Returns the entries of one of some equal chunks of a latent.

    Raises:
        ValueError: if it cannot be split up.
    """
    if latent_dim % chunks:
        below = latent_dim - latent_dim % chunks
        fitting = [str(size) for size in (below, below + chunks) if size]
        raise ValueError(
            f"latent_dim must divide into {chunks} chunks, for the first layer and each of "
            f"{chunks - 1} blocks, got {latent_dim}. Use a prior of {' or '.join(fitting)} "
            "entries, or hierarchical False."
        )
    return latent_dim // chunks


class BigGANDiscriminator(ProjectionDiscriminator):
    """Creates BigGAN's discriminator: wide residual blocks with spectral norm, and attention.

    The inner channels of a block are those that it ends with.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        appendix B, https://arxiv.org/abs/1809.11096. What is said of `BigGANGenerator` holds here;
        the network of the authors' code for CIFAR-10 has ``width`` 256 and ``attention`` 0.

    Args:
        data_shape: (C, H, W) of one image of 28, 32, 48, 64 or 128 pixels.
        width: channels after the first block, at least 1; if it is not given, 192, or 96 from 48
            pixels on. The channels at the attention must be a multiple of 8.
        attention: see `BigGANGenerator`.
        num_classes: classes that an image is read with, see `ProjectionDiscriminator`; none if it
            is not given.
        num_outputs: numbers for each image, at least 1; a single one has shape (N,).

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
        width = _widened(table_for(data_shape).width_d, width)
        layers, features, places = critic_layers(data_shape, width, SumOverPixels(), wide=True)
        if attention != 0:
            attend(layers, places, attention, data_shape[1])
        super().__init__(nn.Sequential(*layers), features, num_classes, num_outputs)
        _initialize(self)
        normalize_spectrally(self)
