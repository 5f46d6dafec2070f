"""How large the weights of a checkpoint are, without building its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["EDGES", "Weights", "weights_of"]

LOWEST, HIGHEST, BINS = -8, 4, 96
EDGES = [LOWEST + (HIGHEST - LOWEST) * index / BINS for index in range(BINS + 1)]
"""Of the bins, as powers of 10: eight to a factor of 10. The outer ones hold all beyond."""


@dataclass(frozen=True)
class Weights:
    """The weights of a network: matrices and kernels, without biases and scales.

    Attributes:
        shares: of all weights in each bin of their absolute values.
        zeros: share of those that are exactly 0, which are in no bin.
        layers: names of the tensors from the input on.
        sizes: root mean square of each.
    """

    shares: list[float]
    zeros: float
    layers: list[str]
    sizes: list[float]


def weights_of(checkpoint: Path) -> dict[str, Weights]:
    """Returns the weights in a checkpoint by network; nothing in it is executed.

    Args:
        checkpoint: the file.

    Raises:
        ValueError: if it is not a whole checkpoint of this package.
    """
    import torch

    from lightning_gans.core.checkpointing import read_checkpoint

    state = read_checkpoint(checkpoint).get("state_dict")
    networks: dict[str, dict[str, Any]] = {}
    for name, tensor in (state if isinstance(state, dict) else {}).items():
        network, _, layer = str(name).partition(".")
        is_real = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
        if layer and is_real and tensor.ndim >= 2 and tensor.numel():
            networks.setdefault(network, {})[layer] = tensor.double()
    return {network: _measured(tensors) for network, tensors in networks.items()}


def _measured(tensors: dict[str, Any]) -> Weights:
    import torch

    values = torch.cat([tensor.flatten() for tensor in tensors.values()]).abs()
    known = values[values > 0].log10().clamp(LOWEST, HIGHEST - 1e-6)
    counts = torch.histc(known, BINS, LOWEST, HIGHEST)
    return Weights(
        (counts / len(values)).tolist(),
        (values == 0).double().mean().item(),
        list(tensors),
        [tensor.square().mean().sqrt().item() for tensor in tensors.values()],
    )
