"""Gradients of several processes: only those of the player whose turn it is are sent."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, distributed, nn

__all__ = ["GradientReduction"]

LARGE = 16_384
"""Entries of a gradient that is sent as it is. Smaller ones are sent as one tensor."""


class GradientReduction:
    """Replaces the gradients of some parameters by their means over all processes.

    DistributedDataParallel sends the gradients of the whole model in every backward pass, with
    zeros for all networks that do not take part, and looks for them in the graph. A player's
    networks are known, so their gradients are sent when a backward pass is over: large ones as
    they are, small ones as one tensor.

    Which parameters a loss reaches is agreed on in the first update of its kind. From then on a
    process in which one has no gradient sends zeros.

    Args:
        name: of the player, for messages.
        parameters: that its optimizer updates.
    """

    def __init__(self, name: str, parameters: Sequence[nn.Parameter]) -> None:
        self.name = name
        self.parameters = list(parameters)
        self._reached: dict[Hashable, list[bool]] = {}

    @torch.no_grad()
    def __call__(self, kind: Hashable) -> None:
        """Sends gradients and waits for those of the other processes.

        Args:
            kind: of the update: those with other regularizers may reach other parameters.

        Raises:
            RuntimeError: if the loss reaches a parameter that no process reached before.
        """
        if kind not in self._reached:
            self._reached[kind] = self._agree()
        for parameter, reached in zip(self.parameters, self._reached[kind], strict=True):
            if parameter.grad is None and reached:
                parameter.grad = torch.zeros_like(parameter)
            elif parameter.grad is not None and not reached:
                raise RuntimeError(
                    f"{self.name}: its loss reaches a parameter of shape {tuple(parameter.shape)} "
                    "that it did not reach in an earlier update. Several processes need a loss "
                    "that always reaches the same parameters."
                )
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        # First, so that half precision has room.
        torch._foreach_mul_(gradients, 1 / distributed.get_world_size())
        large = [g for g in gradients if g.numel() >= LARGE and g.is_contiguous()]
        waiting = [distributed.all_reduce(g, async_op=True) for g in large]
        groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for gradient in gradients:
            if gradient.numel() < LARGE or not gradient.is_contiguous():
                groups.setdefault((gradient.dtype, gradient.device), []).append(gradient)
        for small in groups.values():
            flat = torch.cat([gradient.flatten() for gradient in small])
            distributed.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in small])
            for gradient, part in zip(small, parts, strict=True):
                gradient.copy_(part.view_as(gradient))
        for work in waiting:
            work.wait()

    def _agree(self) -> list[bool]:
        """Returns which parameters have a gradient in any of the processes."""
        reached = [float(parameter.grad is not None) for parameter in self.parameters]
        flags = torch.tensor(reached, device=self.parameters[0].device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return [flag > 0 for flag in flags.tolist()]
