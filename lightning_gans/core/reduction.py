"""Gradients of several processes: only those of the player whose turn it is are sent."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, distributed, nn

__all__ = ["GradientReduction"]


class GradientReduction:
    """Replaces the gradients of some parameters by their means over all processes.

    DistributedDataParallel sends the gradients of the whole model in every backward pass, with
    zeros for all networks that do not take part, and looks for them in the graph. A player's
    networks are known, so their gradients are sent as one tensor when a backward pass is over.

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
        groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for parameter, reached in zip(self.parameters, self._reached[kind], strict=True):
            if parameter.grad is None and reached:
                parameter.grad = torch.zeros_like(parameter)
            elif parameter.grad is not None and not reached:
                raise RuntimeError(
                    f"{self.name}: its loss reaches a parameter of shape {tuple(parameter.shape)} "
                    "that it did not reach in an earlier update. Several processes need a loss "
                    "that always reaches the same parameters."
                )
            if parameter.grad is not None:
                grad = parameter.grad
                groups.setdefault((grad.dtype, grad.device), []).append(grad)
        for gradients in groups.values():
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            flat.div_(distributed.get_world_size())  # first, so that half precision has room
            distributed.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def _agree(self) -> list[bool]:
        """Returns which parameters have a gradient in any of the processes."""
        reached = [float(parameter.grad is not None) for parameter in self.parameters]
        flags = torch.tensor(reached, device=self.parameters[0].device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return [flag > 0 for flag in flags.tolist()]
