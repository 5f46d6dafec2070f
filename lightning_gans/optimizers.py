"""Optimizers with plain scalar arguments, which a config file can write and read back."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from typing_extensions import override

__all__ = ["GANAdam"]


class GANAdam(torch.optim.Adam):
    """Adam with the two moments as separate arguments and the defaults usual for GANs.

    References:
        | Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), algorithm 1,
        | https://arxiv.org/abs/1412.6980
        | Unsupervised Representation Learning with DCGANs (Radford et al., 2016), section 4, for
        | the defaults 2e-4 and 0.5, https://arxiv.org/abs/1511.06434

    Args:
        params: the parameters to update, or groups of them.
        lr: learning rate.
        beta1: decay rate of the first moment, in [0, 1).
        beta2: decay rate of the second moment, in [0, 1).
        eps: added to the denominator.
        weight_decay: weight of the L2 penalty on the parameters.
        fused: update all parameters in one kernel, which saves time with small networks; on the
            CPU if it is not given. Not for fp16, where it hides the unscaled gradients.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=(float(beta1), float(beta2)),  # PyTorch refuses 0 beside 0.9
            eps=eps,
            weight_decay=weight_decay,
            fused=fused or None,
        )
        for group in self.param_groups if fused is None else ():
            on_cpu = all(p.device.type == "cpu" and p.is_floating_point() for p in group["params"])
            if on_cpu and group["fused"] is None:
                group["fused"] = True

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads a state, perhaps that of another device, whose ``fused`` does not count."""
        saved, own = state_dict["param_groups"], self.param_groups
        if len(saved) == len(own):  # or else PyTorch refuses the state
            groups = [{**a, "fused": b["fused"]} for a, b in zip(saved, own, strict=True)]
            state_dict = {**state_dict, "param_groups": groups}
        super().load_state_dict(state_dict)
