"""Layers that let a discriminator compare the samples of a batch, and a wrapper with one."""

from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.features import outputs_with_features
from lightning_gans.networks.inspect import evaluation_mode
from lightning_gans.networks.mlp import MLPDiscriminator
from lightning_gans.networks.normalized import DiscriminatorWrapper
from lightning_gans.networks.shapes import check_sizes
from lightning_gans.networks.sources import DiscriminatorSource

__all__ = [
    "MinibatchDiscrimination",
    "MinibatchFeatures",
    "MinibatchStdDev",
]

EPS = 1e-8
"""Added to variances, whose root has no gradient at 0."""


class MinibatchLayer(nn.Module):
    """Base of the layers that append to each sample's features what its batch tells of them.

    They do not treat samples alone, so real and generated samples are never read in one batch.

    Args:
        num_features: of the input, at least 1.
        added: features that are appended.

    Attributes:
        compares_samples: declares that the output of a sample depends on the others.
        out_features: of the output.
    """

    compares_samples = True

    def __init__(self, num_features: int, added: int) -> None:
        super().__init__()
        check_sizes(num_features=num_features)
        self.num_features = num_features
        self.out_features = num_features + added

    def _check(self, x: Tensor, ndim: tuple[int, ...], remedy: str) -> None:
        if x.ndim not in ndim or x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: it reads {self.num_features} features of each sample "
                f"(num_features), but its input has shape {tuple(x.shape)}. {remedy}"
            )


class MinibatchStdDev(MinibatchLayer):
    """Appends the standard deviation in a group of samples: one more feature, or one more channel.

    The deviation of each entry over the group, of the population, is averaged over all entries.
    All samples of a group have the same value. Of N samples, number i is in group i modulo N / G.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al.,
        2018), section 3, https://arxiv.org/abs/1710.10196, with the groups of its authors' code

    Args:
        num_features: features of a sample, or channels of an image.
        group_size: G, the samples of a group, at least 2; all of the batch if it has fewer. The
            batch must be a multiple of it. 4 in the authors' code.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> MinibatchStdDev(3)(torch.zeros(8, 3)).shape
        torch.Size([8, 4])
        >>> MinibatchStdDev(3)(torch.zeros(8, 3, 4, 4)).shape
        torch.Size([8, 4, 4, 4])
    """

    def __init__(self, num_features: int, group_size: int = 4) -> None:
        super().__init__(num_features, 1)
        if not isinstance(group_size, int | Integral) or group_size < 2:
            raise ValueError(
                f"MinibatchStdDev: group_size must be a whole number of at least 2, got "
                f"{group_size}. Use 4 as in the authors' code."
            )
        self.group_size = group_size

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns the input with the deviation behind its own features or channels.

        Args:
            x: shape (N, F) or (N, C, H, W).

        Raises:
            ValueError: if it has another shape, or N is no multiple of the group.
        """
        self._check(x, (2, 4), "Use as many features as the layer before it has.")
        number = len(x)
        size = min(self.group_size, number)
        if number % size != 0:
            raise ValueError(
                f"MinibatchStdDev: {number} samples cannot be split into groups of {size} "
                f"(group_size). Use a batch_size that is a multiple of {size}."
            )
        groups = x.reshape(size, number // size, -1)
        # In half precision what is added would be 0, and the gradient of the root not finite.
        groups = groups.to(torch.promote_types(x.dtype, torch.float32))
        deviation = (groups.var(0, correction=0) + EPS).sqrt().mean(1).to(x.dtype)
        plane = deviation.repeat(size).reshape(number, *(1,) * (x.ndim - 1))
        return torch.cat([x, plane.expand(-1, -1, *x.shape[2:])], 1)


class MinibatchDiscrimination(MinibatchLayer):
    """Appends, for each of B kernels, how close a sample is to all others of the batch.

    A sample with the features f has the vectors M_b = f T_b, one for each kernel. The b-th number
    is the sum over the other samples of exp(-|M_b - M'_b|), with the sum of absolute differences.

    References:
        Improved Techniques for Training GANs (Salimans et al., 2016), section 3.2,
        https://arxiv.org/abs/1606.03498, not compared with the paper. A sample is not compared
        with itself, as in its authors' code: that would add 1 to every number, which says nothing
        of the sample. Their code also has biases and scales that the first batch sets; here T has
        columns of length 1 or so at first.

    Args:
        num_features: A, the features of a sample.
        num_kernels: B, the numbers that are appended, at least 1; 100 in the authors' code. Memory
            grows with N^2 B C.
        kernel_dim: C, the entries of a vector, at least 1; 5 in their code.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> MinibatchDiscrimination(3, num_kernels=8)(torch.zeros(5, 3)).shape
        torch.Size([5, 11])
    """

    def __init__(self, num_features: int, num_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__(num_features, num_kernels)
        check_sizes(num_kernels=num_kernels, kernel_dim=kernel_dim)
        self.sizes = (num_kernels, kernel_dim)
        self.vectors = nn.Linear(num_features, num_kernels * kernel_dim, bias=False)
        nn.init.normal_(self.vectors.weight, std=num_features**-0.5)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns the input with the closeness behind its own features.

        Args:
            x: shape (N, F).

        Raises:
            ValueError: if it has another shape.
        """
        self._check(x, (2,), "Use torch.nn.Flatten before it, and as many features as that makes.")
        vectors = self.vectors(x).unflatten(1, self.sizes)
        apart = (vectors[:, None] - vectors).abs().sum(3)
        return torch.cat([x, (-apart).exp().sum(1) - 1], 1)


class MinibatchFeatures(DiscriminatorWrapper):
    """Wraps a discriminator and lets its last layer read what a batch tells of the features.

    The layer reads the features of the network, which are what its last layer reads. What it
    appends to them is weighed and added to the outputs, as if that last layer was wider. The
    outputs should be logits, without an activation.

    Args:
        data_shape: shape of one sample, without the batch.
        network: a discriminator that has features, see `outputs_with_features`, or what makes one
            from ``data_shape``.
        layer: makes the layer from the number of features.
        num_classes: classes that a sample is read with; none if it is not given.
        num_outputs: numbers for each sample, at least 1.

    Raises:
        ValueError: if ``layer`` makes something else, or the network has no features.

    Example:
        >>> critic = MinibatchFeatures((2,), layer=MinibatchDiscrimination)
        >>> critic(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        network: DiscriminatorSource = MLPDiscriminator,
        layer: Callable[[int], nn.Module] = MinibatchStdDev,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(data_shape, network, num_classes, num_outputs)
        example = [torch.zeros(2, *data_shape)]
        if num_classes is not None:
            example.append(torch.zeros(2, dtype=torch.int64))
        with evaluation_mode(self.network), torch.no_grad():
            _, features = outputs_with_features(self.network, *example)
        made = layer(features.shape[1])
        if not isinstance(made, MinibatchLayer):
            raise ValueError(
                f"MinibatchFeatures: layer must make a layer that compares samples, got {made!r}. "
                "Use MinibatchStdDev or MinibatchDiscrimination."
            )
        self.layer = made
        added = made.out_features - made.num_features
        self.weights = nn.Linear(added, num_outputs, bias=False)
        bound = made.out_features**-0.5  # that of one layer which reads all of it
        nn.init.uniform_(self.weights.weight, -bound, bound)

    @override
    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Maps samples to outputs, as the network does."""
        return self.with_features(x, *labels)[0]

    def with_features(self, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features, those of the batch included."""
        outputs, features = outputs_with_features(self.network, x, *labels)
        features = self.layer(features)
        told = self.weights(features[:, self.layer.num_features :])
        if outputs.ndim == 1:
            return outputs + told.squeeze(1), features
        return outputs + told.reshape(*told.shape, *(1,) * (outputs.ndim - 2)), features
