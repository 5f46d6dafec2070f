"""What differs between a network in training and in evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["evaluation_mode", "has_batch_statistics", "output_range"]


def has_batch_statistics(module: nn.Module) -> bool:
    """Tells whether a sample's output in training depends on the other samples of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def output_range(network: nn.Module) -> tuple[float, float] | None:
    """Returns the least and the greatest value that a network's last layer allows, if it tells."""
    layers = [part for part in network.modules() if not any(part.children())]
    shaping = (nn.Unflatten, nn.Flatten, nn.Identity)
    for layer in reversed([layer for layer in layers if not isinstance(layer, shaping)]):
        if isinstance(layer, nn.Tanh | nn.Hardtanh):
            return (-1.0, 1.0)
        return (0.0, 1.0) if isinstance(layer, nn.Sigmoid) else None
    return None


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Puts a module in evaluation mode, and each of its parts back in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
