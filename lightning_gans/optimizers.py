"""Optimizers with plain scalar arguments, which a config file can write and read back."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["GANAdam", "OptimisticAdam", "PastExtraAdam"]


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


class OptimisticAdam(GANAdam):
    """Adam whose steps count twice, less the step before: it expects each step to repeat itself.

    In the bilinear game, where gradient descent and Adam spiral outwards, it converges.

    References:
        Training GANs with Optimism (Daskalakis et al., 2018), algorithm 1 (its number was not
        checked), https://arxiv.org/abs/1711.00141. The first step is that of Adam; in the authors'
        code, where the step before it is 0, it is doubled. The step before is taken back as it was
        made, while their code computes it again with the present learning rate. Parameters without
        a gradient are skipped; in other public code an update ends at the first of them.

    Args:
        params: the parameters to update, or groups of them.
        lr: learning rate.
        beta1: decay rate of the first moment, in [0, 1).
        beta2: decay rate of the second moment, in [0, 1).
        eps: added to the denominator.
        weight_decay: weight of the L2 penalty on the parameters.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, beta1, beta2, eps, weight_decay, fused=False)

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have a gradient.

        Args:
            closure: computes the loss anew and returns it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._move(group, parameters)
        return loss

    def _move(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        """Moves the parameters of a group, all of which have gradients."""
        steps = self._steps(group, parameters, _gradients(group, parameters))
        before = [self.state[p].get("before", u) for p, u in zip(parameters, steps, strict=True)]
        torch._foreach_add_(parameters, steps, alpha=-2)
        torch._foreach_add_(parameters, before)
        for parameter, step in zip(parameters, steps, strict=True):
            self.state[parameter]["before"] = step

    def _steps(
        self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]
    ) -> list[Tensor]:
        """Returns Adam's steps, which are to be subtracted, and updates both moments."""
        states = [self.state[parameter] for parameter in parameters]
        for state, parameter in zip(states, parameters, strict=True):
            if not state:  # under the names of PyTorch's Adam
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1
        (beta1, beta2), numbers = group["betas"], [state["step"].item() for state in states]
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - beta2**n) ** 0.5 for n in numbers])
        torch._foreach_add_(roots, group["eps"])
        steps = torch._foreach_div(means, roots)
        torch._foreach_mul_(steps, [group["lr"] / (1 - beta1**n) for n in numbers])
        return list(steps)


class PastExtraAdam(OptimisticAdam):
    """Adam that extrapolates with the gradient of the update before: Extra-Adam from the past.

    The weights stand at an extrapolated point. An update steps from the point behind it with the
    gradient found there, and extrapolates from where it arrives with the same gradient again. Both
    change the moments. Players meet each other at their extrapolated points, which are also what
    is evaluated and saved.

    References:
        A Variational Inequality Perspective on Generative Adversarial Networks (Gidel et al.,
        2019), the algorithm Extra-Adam with extrapolation from the past (its number was not
        checked), https://arxiv.org/abs/1802.10551. The variant with two gradients for each update
        is left out, since it needs those of all players at one point.

    Args:
        params: the parameters to update, or groups of them.
        lr: learning rate.
        beta1: decay rate of the first moment, in [0, 1).
        beta2: decay rate of the second moment, in [0, 1).
        eps: added to the denominator.
        weight_decay: weight of the L2 penalty on the parameters.
    """

    @override
    def _move(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = _gradients(group, parameters)
        for parameter in parameters:  # back to the point behind the extrapolated one
            if "ahead" in self.state[parameter]:
                parameter.add_(self.state[parameter]["ahead"])
        for _ in range(2):
            steps = self._steps(group, parameters, gradients)
            torch._foreach_add_(parameters, steps, alpha=-1)
        for parameter, step in zip(parameters, steps, strict=True):
            self.state[parameter]["ahead"] = step


def _gradients(group: dict[str, Any], parameters: list[Tensor]) -> list[Tensor]:
    """Returns the gradients of parameters with that of the L2 penalty."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if group["weight_decay"] == 0:
        return gradients
    return list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
