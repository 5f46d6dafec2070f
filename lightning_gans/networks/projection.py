"""Networks that read classes in every layer or at their end, in place of at their input."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.conditioning import ClassShares
from lightning_gans.networks.shapes import check_sizes

__all__ = [
    "ConditionalBatchNorm2d",
    "ProjectionDiscriminator",
    "ReadsCondition",
    "SharesGenerator",
    "batch_norm",
    "in_turn",
]


class ReadsCondition(nn.Module):
    """Base of the layers that are called with a condition of each sample beside their input.

    That is a vector, such as the shares of the classes.
    """


class ConditionalBatchNorm2d(ReadsCondition):
    """BatchNorm of images with a gain and a bias of each class.

    References:
        | cGANs with Projection Discriminator (Miyato and Koyama, 2018), section 5,
        | https://arxiv.org/abs/1802.05637, which has it in the generator.
        | A Learned Representation for Artistic Style (Dumoulin et al., 2017),
        | https://arxiv.org/abs/1610.07629, where it is from.

    Args:
        num_features: channels of the images, at least 1.
        num_classes: K, at least 1.

    Attributes:
        gain: shape (K, channels), 1 at first.
        bias: the same shape, 0 at first.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import torch
        >>> norm = ConditionalBatchNorm2d(4, num_classes=3)
        >>> norm(torch.randn(2, 4, 8, 8), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        check_sizes(num_features=num_features, num_classes=num_classes)
        self.normalization = nn.BatchNorm2d(num_features, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes, num_features))
        self.bias = nn.Parameter(torch.zeros(num_classes, num_features))

    @override
    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        """Returns the images, normalized over the batch, then scaled and shifted by class.

        Args:
            x: shape (N, C, H, W).
            shares: of the classes, shape (N, K): the gain and the bias of a sample are the mean
                of those of the classes, weighted by them.
        """
        gain, bias = (shares @ table for table in (self.gain, self.bias))
        return self.normalization(x) * gain[:, :, None, None] + bias[:, :, None, None]


def batch_norm(channels: int, num_classes: int | None) -> nn.Module:
    """Returns a BatchNorm of images, with a gain and a bias of each class if there are any."""
    if num_classes is None:
        return nn.BatchNorm2d(channels)
    return ConditionalBatchNorm2d(channels, num_classes)


def in_turn(layers: Iterable[nn.Module], x: Tensor, condition: Tensor | None) -> Tensor:
    """Returns what layers make of an input, one after the other.

    Args:
        layers: those that are `ReadsCondition` are called with the condition too.
        x: the input of the first.
        condition: such as the shares of the classes, shape (N, K), if the network reads any.
    """
    for layer in layers:
        x = layer(x, condition) if isinstance(layer, ReadsCondition) else layer(x)
    return x


class SharesGenerator(nn.Module):
    """Base of the generators whose layers read the class of each sample.

    Args:
        num_classes: classes that it reads; none if it is None.

    Attributes:
        layers: from latents to samples, which a subclass makes.
    """

    layers: nn.Sequential

    def __init__(self, num_classes: int | None) -> None:
        super().__init__()
        self.labels = None if num_classes is None else ClassShares(num_classes)

    @override
    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples, shape (N, ...).

        Args:
            latent: shape (N, Z).
            labels: see `ClassShares`, if the network has classes.
        """
        return in_turn(self.layers, latent, None if self.labels is None else self.labels(labels))


class ProjectionDiscriminator(nn.Module):
    """Base of the discriminators that read the class, if any, as a direction of their features.

    An output is linear in the features h, plus the product of h with a vector of the class.

    References:
        cGANs with Projection Discriminator (Miyato and Koyama, 2018), equation 4 and figure 1d,
        https://arxiv.org/abs/1802.05637

    Args:
        layers: from samples to features, shape (N, F).
        num_features: F.
        num_classes: classes that a sample is read with; none if it is None.
        num_outputs: numbers for each sample, at least 1; a single one has shape (N,). Each has
            vectors of the classes of its own.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        layers: nn.Sequential,
        num_features: int,
        num_classes: int | None,
        num_outputs: int,
    ) -> None:
        super().__init__()
        check_sizes(num_outputs=num_outputs)
        self.layers = layers
        self.head = nn.Linear(num_features, num_outputs)
        self.ending = nn.Flatten(0) if num_outputs == 1 else nn.Identity()
        self.labels = None if num_classes is None else ClassShares(num_classes)
        if num_classes is not None:
            self.vectors = nn.Embedding(num_classes, num_outputs * num_features)

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps samples to outputs, shape (N,) or (N, outputs).

        Args:
            x: shape (N, C, H, W).
            labels: see `ClassShares`, if the network has classes.
        """
        return self.with_features(x, labels)[0]

    def with_features(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        features = self.layers(x)
        outputs = self.head(features)
        if self.labels is not None:
            vectors = self.labels(labels) @ self.vectors.weight
            products = vectors.unflatten(1, (outputs.shape[1], -1)) * features[:, None]
            outputs = outputs + products.sum(2)
        return self.ending(outputs), features
