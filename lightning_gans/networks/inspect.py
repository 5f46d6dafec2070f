"""What differs between a network in training and in evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_gans.networks.conditioning import JoinLabels

__all__ = [
    "evaluation_mode",
    "has_batch_statistics",
    "output_range",
    "share_buffers",
]


def has_batch_statistics(module: nn.Module) -> bool:
    """Tells whether a sample's output in training depends on the other samples of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def output_range(network: nn.Module) -> tuple[float, float] | None:
    """Returns the least and the greatest value that a network's last layer allows.

    None if it allows all, or cannot be told: only chains of layers say which one is the last, and
    what a network does after it cannot be seen.
    """
    if isinstance(network, nn.Tanh):
        return (-1.0, 1.0)
    if isinstance(network, nn.Sigmoid):
        return (0.0, 1.0)
    if type(network) is nn.Hardtanh:
        return (float(network.min_val), float(network.max_val))
    parts = [part for part in network.children() if not isinstance(part, JoinLabels)]
    if isinstance(network, nn.Sequential):
        shaping = (nn.Unflatten, nn.Flatten, nn.Identity)
        chain = [part for part in parts if not isinstance(part, shaping)]
        return output_range(chain[-1]) if chain else None
    return output_range(parts[0]) if len(parts) == 1 else None


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
