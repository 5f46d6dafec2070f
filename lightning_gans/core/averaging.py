"""The arithmetic of averaged networks."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils import parametrize

__all__ = ["Average"]

ITERATIONS = 50
"""Of the power method on averaged weights, which brings their spectral norm near 1."""


class Average:
    """An average of a network, which follows it.

    Trained weights and the statistics of normalization layers are averaged, each in its own
    precision. Frozen weights and every other buffer, such as a mask, a counter or a vector of
    spectral norm, are copied.

    Args:
        average: a copy of the network.
        network: that it follows.

    Attributes:
        network: the average.
        source: the network that it follows.
    """

    def __init__(self, average: nn.Module, network: nn.Module) -> None:
        self.network = average
        self.source = network
        norms = [part for part in network.modules() if isinstance(part, _NormBase)]
        statistics = {id(s) for norm in norms for s in (norm.running_mean, norm.running_var)}
        self._is_statistic = [id(buffer) in statistics for buffer in network.buffers()]

    @torch.no_grad()
    def move(self, weight: float) -> None:
        """Moves the average towards the network.

        Args:
            weight: share of the way, from 0 to 1.
        """
        groups: dict[object, tuple[list[Tensor], list[Tensor]]] = {}
        for own, value, averaged in self._pairs():
            if averaged:
                averages, values = groups.setdefault((own.dtype, own.device), ([], []))
                averages.append(own)
                values.append(value)
            else:
                own.copy_(value)
        for averages, values in groups.values():
            torch._foreach_lerp_(averages, values, weight)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor, bool]]:
        """Yields tensors of the average and of the network, and whether they are averaged.

        They are looked up in every update, since a network may put a new tensor in the place of a
        buffer.
        """
        average, source = self.network, self.source
        for own, weight in zip(average.parameters(), source.parameters(), strict=True):
            yield own, weight, weight.requires_grad and weight.is_floating_point()
        buffers = zip(average.buffers(), source.buffers(), self._is_statistic, strict=True)
        for copied, value, statistic in buffers:
            yield copied, value, statistic and value.is_floating_point()

    @torch.no_grad()
    def settle(self) -> None:
        """Makes the average ready to be evaluated.

        The vectors of spectral norm are those of the network, whose weights are others: some steps
        of the power method fit them to the averaged weights. The result depends on the network and
        the average alone, however often it is evaluated.
        """
        for own, value, averaged in self._pairs():
            if not averaged:
                own.copy_(value)
        for part in self.network.modules():
            if not parametrize.is_parametrized(part):
                continue
            parametrizations: nn.ModuleDict = part.parametrizations  # type: ignore[assignment]
            parametrizations.train()
            for name in [*parametrizations] * ITERATIONS:
                getattr(part, name)
            parametrizations.eval()
