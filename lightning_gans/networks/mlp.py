"""Multi-layer perceptrons for data of any shape."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.conditioning import Conditional
from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes

__all__ = ["MLPDiscriminator", "MLPGenerator", "hidden_layers"]


def hidden_layers(
    sizes: Sequence[int],
    activation: Callable[[], nn.Module],
    normalization: Callable[[int], nn.Module] | None,
) -> list[nn.Module]:
    """Returns linear layers between consecutive sizes, each with its activation.

    The first one is not normalized: the usual form, since statistics of the input itself
    (a latent, a data point) carry what the network is to read.

    Args:
        sizes: of the input and of each hidden layer.
        activation: after every layer.
        normalization: called with the number of units, before the activation; none if it is None.

    Raises:
        ValueError: if a layer has no units.
    """
    if any(size < 1 for size in sizes):
        raise ValueError(f"hidden: every layer needs at least 1 unit, got {list(sizes[1:])}.")
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if normalization is not None and index > 0:
            layers.append(normalization(outputs))
        layers.append(activation())
    return layers


class MLPGenerator(Conditional):
    """Creates a perceptron from latents to data of any shape.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer; none makes the generator linear.
        activation: after every hidden layer.
        normalization: called with the number of units, between each hidden layer but the first
            and its activation; none if it is not given.
        output: after the last layer, such as ``torch.nn.Tanh`` for data in [-1, 1]; the output is
            unbounded if it is not given.
        num_classes: classes of a conditional generator; none if it is not given.
        embedding_dim: see `JoinLabels`.

    Attributes:
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if a layer has no units, or there are no classes.

    Example:
        >>> import torch
        >>> generator = MLPGenerator(2, (1, 28, 28), hidden=[64, 64])
        >>> generator(torch.zeros(5, 2)).shape
        torch.Size([5, 1, 28, 28])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (128, 128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        normalization: Callable[[int], nn.Module] | None = None,
        output: Callable[[], nn.Module] | None = None,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        sizes = [latent_dim + self.label_size, *hidden]
        layers = hidden_layers(sizes, activation, normalization)
        layers.append(nn.Linear(sizes[-1], prod(data_shape)))
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, data_shape))


class MLPDiscriminator(Conditional):
    """Creates a perceptron from data of any shape to one or more numbers a sample.

    Args:
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer; none makes the discriminator linear.
        activation: after every hidden layer.
        normalization: called with the number of units, between each hidden layer but the first
            and its activation; none if it is not given.
        output: after the last layer; logits if it is not given. A critic needs logits: a sigmoid
            would bound its estimate of the distance by 1.
        num_classes: classes that a sample is read with; none if it is not given.
        embedding_dim: see `JoinLabels`.
        num_outputs: numbers for each sample, at least 1.

    Raises:
        ValueError: if a layer has no units, or there are no classes or outputs.

    Example:
        >>> import torch
        >>> discriminator = MLPDiscriminator((1, 28, 28), hidden=[64])
        >>> discriminator(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5])
    """

    treats_samples_alone = True

    def __init__(
        self,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (128, 128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        normalization: Callable[[int], nn.Module] | None = None,
        output: Callable[[], nn.Module] | None = None,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(num_classes, embedding_dim)
        check_sizes(num_outputs=num_outputs)
        sizes = [prod(data_shape) + self.label_size, *hidden]
        layers = hidden_layers(sizes, activation, normalization)
        layers.append(nn.Linear(sizes[-1], num_outputs))
        self.layers = nn.Sequential(nn.Flatten(), *layers, *ending(output, num_outputs))

    @override
    def joined(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().joined(x.flatten(1), labels)
