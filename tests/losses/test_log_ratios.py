"""Which losses make the outputs tell a density ratio, and how."""

import inspect

import pytest
import torch
from losses.vectors import P, Q, exact
from torch.testing import assert_close

from lightning_gans import losses
from lightning_gans.losses import AdversarialLoss, FDivergence, Minimax, NonSaturating

TELLING = [
    NonSaturating(),
    Minimax(),
    *map(FDivergence, ("kl", "reverse_kl", "hellinger", "jensen_shannon", "gan")),
]
OTHERS = [
    cls()
    for name in losses.__all__
    if inspect.isclass(cls := getattr(losses, name))
    and issubclass(cls, AdversarialLoss)
    and not inspect.isabstract(cls)
    and cls not in (NonSaturating, Minimax, FDivergence)
]


def name_of(loss):
    return f"{type(loss).__name__}-{getattr(loss, 'kind', '')}"


@pytest.mark.parametrize("loss", TELLING, ids=name_of)
def test_the_best_outputs_tell_the_log_ratio_of_the_densities(loss):
    """Found by minimizing the loss of ten real and ten generated samples on three points."""
    outputs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [outputs], max_iter=100, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    rows = torch.arange(3)
    real, fake = (rows.repeat_interleave((10 * density).round().long()) for density in (P, Q))

    def closure():
        optimizer.zero_grad()
        value = loss.discriminator(outputs[real], outputs[fake])
        value.backward()
        return value

    optimizer.step(closure)
    assert_close(loss.log_ratio(outputs.detach()), (P / Q).log(), rtol=0, atol=1e-6)


def test_two_kinds_are_off_by_a_shift_and_a_factor():
    logits = torch.tensor([0.3, -2.0], dtype=torch.float64)
    assert FDivergence("kl").log_ratio(logits).tolist() == exact([-0.7, -3.0])
    assert FDivergence("hellinger").log_ratio(logits).tolist() == exact([0.6, -4.0])
    assert NonSaturating().log_ratio(logits).tolist() == [0.3, -2.0]


def test_the_other_losses_tell_none():
    names = {type(loss).__name__ for loss in OTHERS}
    assert {"Wasserstein", "LeastSquares", "Hinge", "RelativisticPaired", "MMD"} <= names
    assert len(names) == 10
    for loss in OTHERS:
        with pytest.raises(ValueError, match=f"loss: {type(loss).__name__} does not make the out"):
            loss.log_ratio(torch.zeros(1))
    with pytest.raises(ValueError, match=r"with real_target 0\.9 the outputs are no log density"):
        NonSaturating(real_target=0.9).log_ratio(torch.zeros(1))
    for kind in ("pearson", "total_variation"):
        with pytest.raises(ValueError, match=f"with kind {kind} the outputs are no log density"):
            FDivergence(kind).log_ratio(torch.zeros(1))
