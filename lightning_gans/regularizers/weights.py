"""Regularizers of the weights of networks."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm
from typing_extensions import override

from lightning_gans.regularizers.base import WeightRegularizer

__all__ = ["Orthogonal", "orthogonal_penalty"]


def orthogonal_penalty(weight: Tensor) -> Tensor:
    """Returns the sum of the squared products of different rows of a matrix.

    Args:
        weight: shape (outputs, inputs).
    """
    products = weight @ weight.T
    return (products - torch.diag(products.diagonal())).square().sum()


class Orthogonal(WeightRegularizer):
    """Pulls the filters of each layer apart: no two are to read the same direction.

    It is the sum over all linear and convolutional layers of `orthogonal_penalty`, where one that
    several networks share counts once. A filter is the weights of one output; its length is left
    free. Filters of different groups read different channels, and are not compared. Biases are
    left out, and so are tables with a row for each class: embeddings, and those of
    `ConditionalBatchNorm2d`. Of layers with spectral norm it reads the weights that are trained,
    before they are divided.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        equation 3, https://arxiv.org/abs/1809.11096. The paper regularizes the generator alone:
        ``regularizers_g``. Its authors' code adds half the gradient of the equation, so a
        strength of 1e-4 there is a weight of 5e-5 here. It leaves out the embedding that classes
        share, but no tables of classes, nor the vectors that a discriminator projects on.

    Args:
        weight: the paper's beta.
        every: see `Regularizer`.
    """

    name = "orthogonal"

    def __init__(self, weight: float = 1e-4, every: int = 1) -> None:
        super().__init__(weight, every)

    @override
    def penalize(self, networks: Sequence[nn.Module]) -> Tensor:  # type: ignore[override]
        layers = {id(part): part for network in networks for part in network.modules()}
        penalties = [orthogonal_penalty(weight) for weight in _filters(layers.values())]
        if not penalties:
            names = ", ".join(type(network).__name__ for network in networks)
            raise ValueError(
                f"regularizers: Orthogonal found no linear or convolutional layer in {names}. "
                "Leave it out."
            )
        return torch.stack(penalties).sum()


def _filters(layers: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Yields the weights of each layer that has any, a row for each of its filters."""
    for part in layers:
        if isinstance(part, _ConvNd):  # whose groups read different channels
            for weight in _trained(part).chunk(part.groups):
                transposed = isinstance(part, _ConvTransposeNd)
                yield (weight.transpose(0, 1) if transposed else weight).flatten(1)
        elif isinstance(part, nn.Linear):
            yield _trained(part)
        elif not isinstance(part, nn.Embedding | nn.LayerNorm):
            other = getattr(part, "weight", None)
            if isinstance(other, nn.Parameter) and other.ndim > 1:
                raise ValueError(
                    f"regularizers: Orthogonal cannot read the weights of {type(part).__name__}. "
                    "Use it with layers of torch.nn, or leave it out."
                )


def _trained(layer: nn.Linear | _ConvNd) -> Tensor:
    """Returns the weights of a layer, before spectral norm if it has it."""
    if parametrize.is_parametrized(layer, "weight"):
        parametrizations: nn.ModuleDict = layer.parametrizations  # type: ignore[assignment]
        given = parametrizations["weight"]
        if isinstance(given[0], _SpectralNorm):  # type: ignore[index]
            return given.original  # type: ignore[return-value]
    return layer.weight
