"""What differs between a network in training and in evaluation."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_gans.networks.labels import JoinLabels

__all__ = [
    "evaluation_mode",
    "has_batch_statistics",
    "output_range",
    "share_buffers",
    "treats_samples_alone",
]


def has_batch_statistics(module: nn.Module) -> bool:
    """Tells whether a sample's output in training depends on the other samples of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def treats_samples_alone(
    network: nn.Module, read: Callable[[nn.Module, Tensor], Tensor], shape: tuple[int, ...]
) -> bool:
    """Tells whether, in training, samples may be read together or apart with the same result.

    They may not if an output depends on other samples of the batch, if the network draws random
    numbers, or if it keeps something of each batch, as a running mean is kept. It is tried on a
    copy in double precision with other weights, so that no gate that starts closed hides what is
    behind it; a network that cannot be copied or tried counts as one that may not.

    Args:
        network: what is asked about.
        read: calls a network as the model does, with samples of shape (N, ...).
        shape: of one sample.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            twin = copy.deepcopy(network).cpu().double().train()
            for parameter in twin.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            kept = {name: buffer.clone() for name, buffer in twin.named_buffers()}
            first, second = torch.randn(2, 2, *shape, dtype=torch.float64)
            apart = torch.cat([read(twin, first), read(twin, second)])
            together = read(twin, torch.cat([first, second]))
        except (RuntimeError, TypeError, ValueError):
            return False
        changed = any(not torch.equal(kept[name], value) for name, value in twin.named_buffers())
        if changed or not apart.isfinite().all() or apart.std() == 0:
            return False
        return bool((together - apart).abs().max() <= 1e-9 * apart.abs().max())


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
