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
    numbers, or if it keeps something of each batch, as a running mean is kept. That is tried on
    copies in double precision: with weights that are disturbed, so that no gate that starts closed
    hides what is behind it, and with weights and inputs for which no layer is saturated. A network
    that cannot be copied or tried counts as one that may not.

    Args:
        network: what is asked about.
        read: calls a network as the model does, with samples of shape (N, ...).
        shape: of one sample.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        apart = 0.1 * torch.randn(2, 2, *shape, dtype=torch.float64)
        near = torch.randn(shape, dtype=torch.float64) + 0.1 * apart
        try:
            return _joins(network, read, apart * 10, _disturb) and _joins(
                network, read, near, _draw_anew
            )
        except Exception:  # of whatever kind: it is the network's own
            return False


def _joins(
    network: nn.Module,
    read: Callable[[nn.Module, Tensor], Tensor],
    samples: Tensor,
    change: Callable[[Tensor], None],
) -> bool:
    """Tells whether a changed copy reads two batches, shape (2, N, ...), together as apart."""
    twin = copy.deepcopy(network).cpu().double()
    twin.train()
    for parameter in twin.parameters():
        change(parameter)
    kept = {name: buffer.clone() for name, buffer in twin.named_buffers()}
    apart = torch.cat([read(twin, batch) for batch in samples])
    together = read(twin, samples.flatten(0, 1))
    buffers = dict(twin.named_buffers())
    if kept.keys() != buffers.keys():
        return False
    if not all(torch.equal(kept[name], value) for name, value in buffers.items()):
        return False
    if not apart.isfinite().all() or apart.std() == 0:
        return False
    return bool((together - apart).abs().max() <= 1e-9 * apart.abs().max())


def _disturb(parameter: Tensor) -> None:
    parameter.add_(0.1 * torch.randn_like(parameter))


def _draw_anew(parameter: Tensor) -> None:
    """Draws weights that keep the size of what they are applied to."""
    inputs = parameter[0].numel() if parameter.ndim > 1 else 100
    parameter.copy_(torch.randn_like(parameter) / inputs**0.5)


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
