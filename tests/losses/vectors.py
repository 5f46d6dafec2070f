"""Outputs, densities and points that the losses are tried on, and what holds for every loss."""

import pytest
import torch

from lightning_gans.losses import AdversarialLoss

REAL = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
FAKE = torch.tensor([0.5, -1.5, 0.25], dtype=torch.float64)
FAR = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
"""Outputs of real samples, one of them on the other side of a hinge."""

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
"""Densities of the data and of the generator on three points."""

BOTH = REAL, FAKE


def close(value: float):
    """Compares with a number that was printed to ten digits."""
    return pytest.approx(value, rel=0, abs=1e-9)


def exact(value: float):
    """Compares with a closed formula."""
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def values(loss: AdversarialLoss, real=REAL, fake=FAKE) -> tuple[float, float]:
    """Returns the losses of both players."""
    return loss.discriminator(real, fake).item(), loss.generator(fake, real).item()


def slopes(loss: AdversarialLoss, real=REAL, fake=FAKE) -> list[torch.Tensor]:
    """Returns the gradients of the discriminator's loss at both outputs and the generator's."""
    real, fake = (x.clone().requires_grad_() for x in (real, fake))
    at_both = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    return [*at_both, *torch.autograd.grad(loss.generator(fake, real.detach()), fake)]
