from math import inf, nan, sqrt

import pytest
import torch
from torch.testing import assert_close

from lightning_gans.core.priors import (
    CodePrior,
    ConstantPrior,
    NormalPrior,
    UniformPrior,
    draws_alone,
    latents_between,
    spherical_interpolation,
)

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


CODED = CodePrior(UniformPrior(2), [3, 2], 1)


def test_codes():
    """Every value of a categorical code is equally likely, and all parts are independent."""
    z = CODED.sample(MANY, dtype=torch.float64)
    assert z.shape == (MANY, CODED.dim) == (MANY, 8)
    one_hot = z[:, 2:7]
    assert torch.equal(one_hot.unique(), torch.tensor([0.0, 1.0], dtype=torch.float64))
    for code, number in ((one_hot[:, :3], 3), (one_hot[:, 3:], 2)):
        assert torch.equal(code.sum(1), torch.ones(MANY, dtype=torch.float64))
        share = torch.full((number,), 1 / number, dtype=torch.float64)
        assert_close(code.mean(0), share, rtol=0, atol=0.01)
    numbers = z[:, 7]
    assert -1 <= numbers.min() < -0.99
    assert 0.99 < numbers.max() < 1
    assert_close(numbers.var().item(), 1 / 3, rtol=0, atol=0.01)
    # One value of each categorical code is told by the others.
    free = z[:, [0, 1, 2, 3, 5, 7]].T.corrcoef()
    free[2, 3] = free[3, 2] = 0
    assert_close(free, torch.eye(6, dtype=torch.float64), rtol=0, atol=0.02)


def test_parts_are_joined_and_split():
    codes = CODED.split(CODED.sample(50))
    assert [part.dtype for part in codes.categories] == [torch.int64] * 2
    assert codes.noise.shape == (50, 2)
    assert codes.continuous.shape == (50, 1)
    again = CODED.split(CODED.join(*codes))
    assert torch.equal(again.noise, codes.noise)
    assert torch.equal(again.continuous, codes.continuous)
    assert all(map(torch.equal, again.categories, codes.categories))
    joined = CODED.join(
        torch.tensor([[0.1, 0.2]]), [torch.tensor([2]), torch.tensor([0])], torch.tensor([[-0.5]])
    )
    assert_close(joined, torch.tensor([[0.1, 0.2, 0, 0, 1, 1, 0, -0.5]]))


def test_codes_have_names_sizes_and_entropies():
    assert CODED.sizes == {"category": 3, "category_2": 2, "continuous": 1}
    assert CodePrior(NormalPrior(1), [4]).sizes == {"category": 4}
    assert CodePrior(NormalPrior(1), [], 3).sizes == {"continuous": 3}
    # A density of 1/2 on [-1, 1].
    assert CODED.entropies == pytest.approx(
        {"category": 1.0986122887, "category_2": 0.6931471806, "continuous": 0.6931471806}
    )


def test_between_two_latents_codes_are_straight_and_the_noise_keeps_to_its_arc():
    prior = CodePrior(NormalPrior(2), [3], 1)
    start = prior.join(torch.tensor([[3.0, 0.0]]), [torch.tensor([0])], torch.tensor([[-1.0]]))
    end = prior.join(torch.tensor([[0.0, 3.0]]), [torch.tensor([2])], torch.tensor([[0.0]]))
    way = latents_between(start, end, 3, prior.between)
    assert_close(way[[0, 2]], torch.cat([start, end]))
    middle = torch.tensor([3 / 2**0.5, 3 / 2**0.5, 0.5, 0, 0.5, -0.5])
    assert_close(way[1], middle)
    whole = latents_between(start, end, 3)[1]  # an arc of the whole latent leads elsewhere
    assert not torch.allclose(whole, middle, atol=0.1)
    same = latents_between(start, start, 3, prior.between)
    assert_close(same, start.expand(3, -1))


def test_a_normal_prior_keeps_to_arcs():
    start, end, weight = torch.randn(2, 3), torch.randn(2, 3), torch.rand(2, 1)
    expected = spherical_interpolation(start, end, weight)
    assert torch.equal(NormalPrior(3).between(start, end, weight), expected)


def test_between_uniform_latents_entries_stay_uniform():
    """Arcs of the latents themselves would leave the bounds by more than half a unit."""
    prior = UniformPrior(100, low=-2.0, high=1.0)
    start, end = (prior.sample(2000, dtype=torch.float64) for _ in range(2))
    half = prior.between(start, end, torch.full((2000, 1), 0.5, dtype=torch.float64))
    assert -2 < half.min() < -1.999
    assert 0.999 < half.max() < 1
    # An arc halves the angle of two latents, so the deviation of an entry is kept.
    assert half.mean() == pytest.approx(-0.5, abs=0.01)
    assert half.std() == pytest.approx(sqrt(0.75), abs=0.01)
    for weight, latent in ((0.0, start), (1.0, end)):
        found = prior.between(start, end, torch.full((2000, 1), weight, dtype=torch.float64))
        assert_close(found, latent, rtol=0, atol=4e-6)
    bounds = torch.tensor([[-2.0], [1.0]])  # whose quantiles are infinite
    middle = prior.between(bounds[:1], bounds[1:], torch.tensor([[0.5]]))
    assert middle.item() == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_ways_between_uniform_latents_are_found_in_every_precision(dtype):
    prior = UniformPrior(2)
    start, end = (
        torch.tensor([[-0.5, 0.25]], dtype=dtype),
        torch.tensor([[0.5, 0.75]], dtype=dtype),
    )
    way = latents_between(start, end, 3, prior.between)
    assert way.dtype == dtype
    assert_close(way[[0, 2]], torch.cat([start, end]))
    # Between the normal latents (-0.6745, 0.3186) and (0.6745, 1.1503), at 95.1 degrees.
    tolerance = 4 * torch.finfo(dtype).eps + 1e-8
    middle = torch.tensor([0.0, 0.7234945691], dtype=torch.float64)
    assert_close(way[1].double(), middle, rtol=0, atol=tolerance)


def test_halfway_between_opposite_corners_is_the_middle():
    corner = torch.tensor([[-1.0, 1.0]])
    middle = UniformPrior(2).between(corner, -corner, torch.tensor([[0.5]]))
    assert_close(middle, torch.zeros(1, 2), rtol=0, atol=1e-3)


class Silent(NormalPrior):
    """A subclass that does not say of itself that it draws latents alone."""

    def sample(self, n, **where):
        return super().sample(n, **where)


def test_codes_are_drawn_alone_if_the_noise_is():
    assert draws_alone(NormalPrior(2))
    assert draws_alone(CODED)
    assert draws_alone(CodePrior(CODED, [2]))
    assert not draws_alone(Silent(2))
    assert not draws_alone(CodePrior(Silent(2), [2]))
    assert not draws_alone(CodePrior(CodePrior(Silent(2), [2]), [2]))


@pytest.mark.parametrize("prior", [NormalPrior(3), UniformPrior(3), CODED])
def test_a_generator_decides_what_is_drawn(prior):
    first, second = (prior.sample(4, generator=torch.Generator().manual_seed(5)) for _ in "ab")
    assert torch.equal(first, second)
    assert prior.sample(4, dtype=torch.float64).dtype == torch.float64


def test_out_of_range_arguments_are_refused():
    with pytest.raises(ValueError, match="NormalPrior: dim must be at least 1, got 0"):
        NormalPrior(0)
    with pytest.raises(ValueError, match=r"low must be below high, got 1.0 and 1.0"):
        UniformPrior(2, 1.0, 1.0)
    for low, high in ((-inf, 0.0), (0.0, inf), (-3e38, 3e38), (1e39, 1e40)):
        with pytest.raises(ValueError, match="difference must be finite in single precision, got"):
            UniformPrior(2, low, high)
    for value in (nan, -inf):
        with pytest.raises(ValueError, match=f"ConstantPrior: value must be finite, got {value}"):
            ConstantPrior(2, value)
    for categories, continuous, message in (
        ([3, 1], 0, r"categories: a code needs at least 2 values, got 1\."),
        ([3], -1, r"continuous must be at least 0, got -1\."),
        ([], 0, r"CodePrior: it has no codes\. Give it .*, or use NormalPrior\(dim=1\)\."),
    ):
        with pytest.raises(ValueError, match=message):
            CodePrior(NormalPrior(1), categories, continuous)
    with pytest.raises(ValueError, match=r"latent: it must have the 8 entries .* draws, got 2\."):
        CODED.split(torch.zeros(1, 2))
    assert repr(UniformPrior(2)) == "UniformPrior(dim=2, low=-1.0, high=1.0)"
