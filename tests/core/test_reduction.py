"""Which gradients of a player are sent. What comes of it is compared in test_distributed.py."""

import pytest
import torch
from torch import distributed, nn

from lightning_gans.core.reduction import LARGE, GradientReduction


@pytest.fixture
def _group(tmp_path):
    store = f"file://{tmp_path}/store"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.fixture
def sent(monkeypatch, _group):
    """The sizes of what is sent, which comes back doubled, as from two equal processes."""
    sizes = []

    class Done:
        def wait(self):
            pass

    def doubled(tensor, op=None, async_op=False):
        sizes.append(tensor.numel())
        if op is None:
            tensor.mul_(2)
        return Done()

    monkeypatch.setattr(distributed, "all_reduce", doubled)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    return sizes


def parameters():
    shapes = ((LARGE,), (3, 5), (7,))
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def test_large_gradients_are_sent_as_they_are_and_small_ones_together(sent):
    own = parameters()
    reduce = GradientReduction("generator", own)
    for parameter in own:
        parameter.grad = torch.randn_like(parameter)
    expected = [parameter.grad.clone() for parameter in own]
    reduce(())
    assert sent == [3, LARGE, 15 + 7]  # the first time with what is reached
    for parameter, gradient in zip(own, expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
    reduce(())
    assert sent[3:] == [LARGE, 22]


def test_what_no_process_reaches_has_no_gradient_and_what_another_reaches_gets_zeros(sent):
    own = parameters()
    reduce = GradientReduction("generator", own)
    for parameter in own[:2]:
        parameter.grad = torch.ones_like(parameter)
    reduce("kind")
    assert own[2].grad is None
    own[1].grad = None
    reduce("kind")
    assert torch.equal(own[1].grad, torch.zeros(3, 5))
    assert own[2].grad is None
    own[2].grad = torch.ones(7)
    with pytest.raises(
        RuntimeError, match=r"generator: its loss reaches a parameter of shape \(7"
    ):
        reduce("kind")
    reduce("another kind")
    assert torch.equal(own[2].grad, torch.ones(7))
