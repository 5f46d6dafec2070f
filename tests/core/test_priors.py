import pytest
import torch
from torch.testing import assert_close

from lightning_gans.core.priors import ConstantPrior, NormalPrior, UniformPrior

MANY = 100_000


def test_normal():
    z = NormalPrior(2).sample(MANY, dtype=torch.float64)
    assert z.shape == (MANY, 2)
    assert_close(z.mean(0), torch.zeros(2, dtype=torch.float64), rtol=0, atol=0.02)
    assert_close(z.T.cov(), torch.eye(2, dtype=torch.float64), rtol=0, atol=0.02)


def test_uniform():
    z = UniformPrior(2, low=-2.0, high=1.0).sample(MANY)
    assert z.min() >= -2
    assert z.max() < 1
    assert_close(z.mean(0), torch.full((2,), -0.5), rtol=0, atol=0.02)
    assert_close(z.var(0), torch.full((2,), 0.75), rtol=0, atol=0.02)


def test_constant():
    assert torch.equal(ConstantPrior(3, 0.5).sample(2), torch.full((2, 3), 0.5))


@pytest.mark.parametrize("prior", [NormalPrior(3), UniformPrior(3)])
def test_a_generator_decides_what_is_drawn(prior):
    first, second = (prior.sample(4, generator=torch.Generator().manual_seed(5)) for _ in "ab")
    assert torch.equal(first, second)
    assert prior.sample(4, dtype=torch.float64).dtype == torch.float64


def test_out_of_range_arguments_are_refused():
    with pytest.raises(ValueError, match="NormalPrior: dim must be at least 1, got 0"):
        NormalPrior(0)
    with pytest.raises(ValueError, match=r"low must be below high, got 1.0 and 1.0"):
        UniformPrior(2, 1.0, 1.0)
    assert repr(UniformPrior(2)) == "UniformPrior(dim=2, low=-1.0, high=1.0)"
