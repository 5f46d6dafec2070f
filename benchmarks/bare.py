"""The WGAN-GP's loop in bare PyTorch, written as tightly as it goes."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from datamodules import GaussianRing
from lightning_gans import WGANGP

__all__ = ["Bare"]

Draw = Callable[[int], Tensor]
"""Gives so many real samples, scaled and on the device."""


def draws(data: Any, device: torch.device) -> Draw:
    """Returns what draws real samples from memory, as directly as can be."""
    if isinstance(data, GaussianRing):
        modes, sd = data.modes.to(device), data.sd

        def points(n: int) -> Tensor:
            rows = torch.randint(len(modes), (n,), device=device)
            return torch.randn(n, 2, device=device).mul_(sd).add_(modes[rows])

        return points
    images = data.training.images.to(device)

    def digits(n: int) -> Tensor:
        rows = torch.randint(len(images), (n,), device=device)
        return images[rows].float().mul_(2 / 255).sub_(1)

    return digits


class _Operations(TorchDispatchMode):
    """Counts operations. PyTorch's own FlopCounterMode does not allow torch.autograd.grad."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class Bare:
    """Plays rounds with copies of a model's networks, and nothing around them.

    It does what the model does: fakes without a graph in the critic's turns, one generator pass
    for all of a round's critic updates where the generator has no batch statistics, a critic pass
    over real and fake together, a frozen critic in the generator's turn, fused optimizers.

    Args:
        gan: whose networks, settings and device it takes.
        data: what the model is trained on.
        batch: real samples of a critic update.
        half: run the networks in bf16, the norm of the penalty in single precision.

    Attributes:
        backward: computes the gradients of a loss, which something around the loop may do instead.
        optimizers: of the generator and of the critic; likewise.
    """

    def __init__(self, gan: WGANGP, data: Any, batch: int, half: bool) -> None:
        self.generator = copy.deepcopy(gan.generator)
        self.critic = copy.deepcopy(gan.discriminator)
        self.device = gan.device
        self.draw = draws(data, gan.device)
        self.n_critic, self.batch = gan.n_critic, batch
        self.weight = float(gan.regularizers[0].weight)  # type: ignore[arg-type]
        self.dim = gan.prior.dim
        self.half = half
        self.statistics = any(
            isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in self.generator.modules()
        )
        self.backward: Callable[[Tensor], None] = Tensor.backward
        self.optimizers: Any = [
            torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.0, 0.9), fused=True)
            for network in (self.generator, self.critic)
        ]

    def autocast(self) -> torch.autocast:
        """Returns the context of the forward passes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def update(self) -> None:
        """Plays one round."""
        n, rounds = self.batch, self.n_critic
        real = self.draw(n * rounds)
        latent = torch.randn(n * rounds, self.dim, device=self.device)
        with torch.no_grad(), self.autocast():
            if self.statistics:
                fake = torch.cat([self.generator(z) for z in latent.split(n)])
            else:
                fake = self.generator(latent)
        for x, y in zip(real.split(n), fake.float().split(n), strict=True):
            with self.autocast():
                outputs = self.critic(torch.cat([x, y])).float()
                share = torch.rand((n,) + (1,) * (x.ndim - 1), device=self.device)
                points = torch.lerp(y, x, share).requires_grad_()
                (slope,) = torch.autograd.grad(
                    self.critic(points).float().sum(), points, create_graph=True
                )
            norm = torch.linalg.vector_norm(slope.float().flatten(1), dim=1)
            loss = outputs[n:].mean() - outputs[:n].mean()
            loss = loss + self.weight * (norm - 1).square().mean()
            self.optimizers[1].zero_grad()
            self.backward(loss)
            self.optimizers[1].step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(False)
        with self.autocast():
            latent = torch.randn(n, self.dim, device=self.device)
            loss = -self.critic(self.generator(latent)).float().mean()
        self.optimizers[0].zero_grad()
        self.backward(loss)
        self.optimizers[0].step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(True)

    def operations(self) -> int:
        """Returns the floating-point operations of one round, a multiplication and an addition 2.

        Those of matrix products and convolutions; the rest is small beside them.
        """
        with _Operations() as counted:
            self.update()
        return counted.total
