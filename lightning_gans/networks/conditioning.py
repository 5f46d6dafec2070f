"""How a network reads the class of a sample."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from typing_extensions import override

from lightning_gans.networks.features import chain_with_features
from lightning_gans.networks.shapes import check_sizes

__all__ = ["ClassShares", "Conditional", "JoinLabels"]


class JoinLabels(nn.Module):
    """Appends the classes to a network's input, as further entries or as further channels.

    References:
        Conditional Generative Adversarial Nets (Mirza and Osindero, 2014), sections 3.2 and 4.1,
        https://arxiv.org/abs/1411.1784

    Args:
        num_classes: K, at least 1.
        embedding_dim: entries of a learned vector for each class, at least 1; one-hot vectors if
            it is None.

    Attributes:
        size: entries or channels that are appended.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> JoinLabels(3)(torch.zeros(2, 1), torch.tensor([0, 2]))
        tensor([[0., 1., 0., 0.],
                [0., 0., 0., 1.]])
    """

    treats_samples_alone = True

    vectors: Tensor

    def __init__(self, num_classes: int, embedding_dim: int | None = None) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, embedding_dim=embedding_dim)
        self.num_classes = num_classes
        self.size = embedding_dim or num_classes
        if embedding_dim is None:
            self.register_buffer("vectors", torch.eye(num_classes), persistent=False)
        else:
            self.vectors = nn.Parameter(torch.randn(num_classes, embedding_dim))

    @override
    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the input with the classes behind its own entries or channels.

        Args:
            x: shape (N, d) or (N, C, H, W).
            labels: classes, int64, shape (N,); or for what lies between classes the weights of
                each, shape (N, K).

        Raises:
            ValueError: if there are no labels.
        """
        labels = _given(labels, self.num_classes)
        if labels.is_floating_point():
            code = labels.to(self.vectors) @ self.vectors
        else:
            code = embedding(labels, self.vectors)
        planes = code.to(x.dtype).reshape(*code.shape, *(1,) * (x.ndim - 2))
        return torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1)


class ClassShares(nn.Module):
    """Turns classes into shares of all classes, from which layers take weighted means.

    Args:
        num_classes: K, at least 1.

    Raises:
        ValueError: if it is out of range.

    Example:
        >>> ClassShares(3)(torch.tensor([0, 2]))
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """

    treats_samples_alone = True

    one_hot: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes)
        self.num_classes = num_classes
        self.register_buffer("one_hot", torch.eye(num_classes), persistent=False)

    @override
    def forward(self, labels: Tensor | None) -> Tensor:
        """Returns the shares of all classes in each sample, shape (N, K).

        Args:
            labels: classes, int64, shape (N,); or for what lies between classes the shares
                themselves.

        Raises:
            ValueError: if there are no labels.
        """
        labels = _given(labels, self.num_classes)
        if labels.is_floating_point():
            return labels.to(self.one_hot)
        return embedding(labels, self.one_hot)


def _given(labels: Tensor | None, num_classes: int) -> Tensor:
    if labels is None:
        raise ValueError(
            f"labels: a network of {num_classes} classes needs the class of each sample."
        )
    return labels


class Conditional(nn.Module):
    """Base of the networks of layers that read the class of each sample if they have classes.

    Args:
        num_classes: classes that a network reads; none if it is None.
        embedding_dim: see `JoinLabels`.

    Attributes:
        label_size: entries or channels that the classes add to the input.
        layers: what reads the input, which a subclass makes.

    Raises:
        ValueError: if there is an ``embedding_dim`` without classes.
    """

    layers: nn.Sequential

    def __init__(self, num_classes: int | None, embedding_dim: int | None) -> None:
        super().__init__()
        if num_classes is None and embedding_dim is not None:
            raise ValueError(
                f"embedding_dim: {type(self).__name__} reads no classes, got {embedding_dim}. "
                "Leave it out, or give num_classes."
            )
        self.labels = None if num_classes is None else JoinLabels(num_classes, embedding_dim)
        self.label_size = 0 if self.labels is None else self.labels.size

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples, or samples to outputs.

        Args:
            x: latents, shape (N, Z), or samples, shape (N, ...).
            labels: see `JoinLabels`, if the network has classes.

        Returns:
            Samples, shape (N, ...); or outputs, shape (N,) or (N, outputs).
        """
        return self.layers(self.joined(x, labels))

    def joined(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns what the layers read: the input, with its classes if there are any."""
        return x if self.labels is None else self.labels(x, labels)

    def with_features(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        return chain_with_features(self.layers, self.joined(x, labels))
