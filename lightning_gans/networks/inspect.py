"""What differs between a network in training and in evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import lcm

from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = [
    "compares_samples",
    "evaluation_mode",
    "group_size_of",
    "has_batch_statistics",
    "share_buffers",
]


def has_batch_statistics(module: nn.Module) -> bool:
    """Tells whether a sample's output in training depends on the other samples of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def compares_samples(module: nn.Module) -> bool:
    """Tells whether a layer declares ``compares_samples``: it reads batches, in evaluation too."""
    return any(getattr(part, "compares_samples", False) for part in module.modules())


def group_size_of(module: nn.Module) -> int:
    """Returns what a batch has to be a multiple of, unless it is smaller.

    That is the least common multiple of ``group_size`` in the layers that compare samples.
    """
    layers = [p for p in module.modules() if getattr(p, "compares_samples", False)]
    return lcm(*(getattr(layer, "group_size", 1) for layer in layers))


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


def share_buffers(network: nn.Module) -> None:
    """Gives all processes the buffers of the first, which are those that checkpoints hold.

    After an update each process has the statistics of its own batch; what is evaluated has to be
    one network, and the same again after a run was resumed.
    """
    if distributed.is_available() and distributed.is_initialized():
        for buffer in network.buffers():
            distributed.broadcast(buffer, 0)
