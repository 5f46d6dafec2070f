"""The networks of Salimans and others for few labels, with noise and weight norm."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.shapes import check_sizes

__all__ = ["GaussianNoise", "SGANDiscriminator", "SGANGenerator"]


class GaussianNoise(nn.Module):
    """Adds normal noise to what it reads in training, and nothing in evaluation.

    Args:
        sd: standard deviation of the noise, at least 0.

    Raises:
        ValueError: if ``sd`` is below 0.
    """

    def __init__(self, sd: float = 0.5) -> None:
        super().__init__()
        if not 0 <= sd < float("inf"):
            raise ValueError(f"sd must be finite and at least 0, got {sd}.")
        self.sd = sd

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.sd * torch.randn_like(x) if self.training and self.sd > 0 else x

    @override
    def extra_repr(self) -> str:
        return f"sd={self.sd}"


class UnitRows(nn.Module):
    """A parametrization of weights whose rows have norm 1."""

    @override
    def forward(self, weight: Tensor) -> Tensor:
        return weight / torch.linalg.vector_norm(weight, dim=1, keepdim=True)


class SGANDiscriminator(nn.Module):
    """Creates the noisy perceptron that tells the classes of MNIST from few labels.

    Before each linear layer comes normal noise, and each has weight norm: a row of weights is a
    scale times a direction. The scales are 1, but for those of the last layer, which are trained:
    so the features, which are the last hidden layer without noise, cannot grow beyond bounds.

    References:
        Improved Techniques for Training GANs (Salimans et al., 2016), section 5.1,
        https://arxiv.org/abs/1606.03498, with the sizes, the noise and the initial directions of
        its code. There, scales and biases begin such that 500 images give each unit mean 0 and
        variance 1; here they begin with 1 and 0.

    Args:
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer, at least one layer.
        input_noise: standard deviation of the noise on samples, at least 0.
        noise: of the noise on each hidden layer.
        num_outputs: numbers for each sample, at least 1.

    Raises:
        ValueError: if a layer has no units, or an argument is out of range.

    Example:
        >>> network = SGANDiscriminator((1, 28, 28), num_outputs=10)
        >>> network(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        noise: float = 0.5,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(num_outputs=num_outputs)
        _check_hidden(hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for index, (inputs, outputs) in enumerate(pairwise([prod(data_shape), *hidden])):
            layer = _drawn(nn.Linear(inputs, outputs))
            parametrize.register_parametrization(layer, "weight", UnitRows())
            layers += [GaussianNoise(noise if index else input_noise), layer, nn.ReLU()]
        self.features = nn.Sequential(*layers)
        last = [GaussianNoise(noise), _scaled(_drawn(nn.Linear(hidden[-1], num_outputs)))]
        self.head = nn.Sequential(*last, *ending(None, num_outputs))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x)[0]

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps samples, shape (N, ...), to outputs, (N, D), and features, (N, F)."""
        features = self.features(x)
        return self.head(features), features


class SGANGenerator(nn.Module):
    """Creates the perceptron of softplus units that goes with `SGANDiscriminator`.

    BatchNorm without a gain comes after each hidden layer, and the last layer has weight norm.

    References:
        Improved Techniques for Training GANs (Salimans et al., 2016), section 5.1,
        https://arxiv.org/abs/1606.03498, with the layers of its code. Initial weights are
        PyTorch's, the rows of the last layer with norm 1.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer, at least one layer.
        output: after the last layer; the output is unbounded if it is None.

    Attributes:
        output_range: the least and the greatest value that it makes, if it is known.

    Raises:
        ValueError: if a layer has no units.

    Example:
        >>> SGANGenerator(100, (1, 28, 28))(torch.rand(5, 100)).shape
        torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (500, 500),
        output: Callable[[], nn.Module] | None = nn.Sigmoid,
    ) -> None:
        super().__init__()
        _check_hidden(hidden)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([latent_dim, *hidden]):
            norm = nn.BatchNorm1d(outputs)
            norm.register_parameter("weight", None)  # no gain
            layers += [nn.Linear(inputs, outputs, bias=False), norm, nn.Softplus()]
        layers.append(_scaled(nn.Linear(hidden[-1], prod(data_shape))))
        layers += ending(output)
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, data_shape))

    @override
    def forward(self, latent: Tensor) -> Tensor:
        samples: Tensor = self.layers(latent)
        return samples


def _check_hidden(hidden: Sequence[int]) -> None:
    if not hidden or any(size < 1 for size in hidden):
        raise ValueError(
            f"hidden: it needs a layer, and every layer at least 1 unit, got {list(hidden)}."
        )


def _drawn(layer: nn.Linear) -> nn.Linear:
    """Gives a layer weights that are drawn from a normal distribution, and no bias at first."""
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.bias)
    return layer


def _scaled(layer: nn.Linear) -> nn.Linear:
    """Gives a layer weight norm, with the scale 1 for every row at first."""
    weight_norm(layer)
    nn.init.ones_(layer.parametrizations.weight.original0)  # type: ignore[union-attr, arg-type]
    return layer
