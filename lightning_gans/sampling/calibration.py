"""What a trained discriminator would have to say for its outputs to be log density ratios."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from scipy.optimize import isotonic_regression
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["Calibration", "calibrate", "check_calibration", "isotonic_fit", "logistic_fit"]

Calibration = Literal["isotonic", "logistic"]
"""Regressions of the sides that samples are from on the discriminator's log ratios."""
ROUNDS = 100
"""Of Newton's method, which needs about ten."""


def check_calibration(calibration: str | None) -> None:
    """Refuses a calibration that there is not.

    Raises:
        ValueError: if there is none of this name.
    """
    known = get_args(Calibration)
    if calibration is not None and calibration not in known:
        raise ValueError(
            f"calibration must be {' or '.join(known)}, or None, got {calibration!r}."
        )


def calibrate(
    calibration: Calibration | None, real: Tensor, fake: Tensor
) -> Callable[[Tensor], Tensor]:
    """Returns what maps log ratios to better ones.

    Args:
        calibration: the regression; none if it is None.
        real: log ratios at real samples, float64, shape (N,).
        fake: log ratios at generated samples, float64, shape (M,).
    """
    if calibration is None:
        return lambda d: d
    if calibration == "isotonic":
        return isotonic_fit(real, fake)
    slope, shift = logistic_fit(real, fake)
    return lambda d: slope * d + shift


def isotonic_fit(real: Tensor, fake: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns the rising function of d that tells real from fake samples best, as a log ratio.

    The regression pools neighbours into blocks. Half a sample of either side is added to each, so
    that no ratio is 0 or infinite. That draws small blocks towards 0, and those that then fall are
    pooled once more. Between the middles of two blocks the function is straight.

    Args:
        real: d at real samples, float64, shape (N,).
        fake: d at generated samples, float64, shape (M,).
    """
    values, places = torch.unique(torch.cat([real, fake]), return_inverse=True)
    counts = [
        torch.bincount(part, minlength=len(values)).double()
        for part in places.split([len(real), len(fake)])
    ]
    of_real, of_fake = (c / c.sum() for c in counts)
    weights = of_real + of_fake
    found = isotonic_regression((of_real / weights).cpu().numpy(), weights=weights.cpu().numpy())
    sizes = torch.from_numpy(found.blocks).diff().to(values.device)
    block = torch.arange(len(sizes), device=values.device).repeat_interleave(sizes)

    def summed(x: Tensor) -> Tensor:
        return torch.zeros(len(sizes), dtype=x.dtype, device=x.device).index_add(0, block, x)

    shares = [(summed(c) + 0.5) / (c.sum() + 1) for c in counts]
    sums = summed(weights)
    drawn = (shares[0] / shares[1]).log().cpu().numpy()
    ratios = torch.from_numpy(isotonic_regression(drawn, weights=sums.cpu().numpy()).x).to(sums)
    middles = summed(values * weights) / sums

    def calibrated(d: Tensor) -> Tensor:
        if len(middles) == 1:
            return ratios.expand_as(d)
        right = torch.searchsorted(middles, d).clamp(1, len(middles) - 1)
        low, high = middles[right - 1], middles[right]
        return torch.lerp(ratios[right - 1], ratios[right], ((d - low) / (high - low)).clamp(0, 1))

    return calibrated


def logistic_fit(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Returns a and b such that a d + b tells real from fake samples best, as a log ratio.

    It maximizes the likelihood of a logistic regression in which both sides weigh the same. The
    targets are those of Platt, a little off 0 and 1, so that a and b are finite if d separates
    both.

    References:
        Probabilistic Outputs for Support Vector Machines (Platt, 1999), section 2.2, on the
        targets, which was not compared with the paper.

    Args:
        real: d at real samples, float64, shape (N,).
        fake: d at generated samples, float64, shape (M,).
    """
    d = torch.cat([real, fake])
    sides = torch.cat([torch.ones_like(real), torch.zeros_like(fake)]).bool()
    target = torch.where(sides, (len(real) + 1) / (len(real) + 2), 1 / (len(fake) + 2))
    weight = torch.where(sides, 1 / len(real), 1 / len(fake)).to(d)
    design = torch.stack([d, torch.ones_like(d)], 1)
    found = torch.tensor([1.0, 0.0], dtype=d.dtype, device=d.device)

    def loss(at: Tensor) -> Tensor:
        logits = design @ at
        return (weight * (softplus(logits) - target * logits)).sum()

    for _ in range(ROUNDS):
        share = (design @ found).sigmoid()
        gradient = design.T @ (weight * (share - target))
        curvature = (design.T * (weight * share * (1 - share))) @ design
        curvature += 1e-12 * torch.eye(2, dtype=d.dtype, device=d.device)
        step = torch.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and step.abs().max() > 1e-12:
            step = step / 2
        found = found - step
        if step.abs().max() < 1e-9:
            break
    return float(found[0]), float(found[1])
