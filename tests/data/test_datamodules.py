import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, fitted
from torch.testing import assert_close

from datamodules import (
    ArrayData,
    GaussianGrid,
    GaussianRing,
    OneZeroPattern,
    PacGANGrid,
    PacGANRing,
    Stream,
    SwissRoll,
    UniformNoise,
    UnpairedSources,
)
from datamodules.stream import share_of
from lightning_gans import WGAN

MANY = 200_000


def draw(data, n=MANY):
    return data.sample(n, torch.Generator().manual_seed(0))


def test_the_ring_has_distinct_equally_spaced_modes():
    """A circle divided with both ends included would have seven."""
    ring = GaussianRing()
    assert_close(ring.modes.norm(dim=1), torch.full((8,), 2 / 1.414))
    angles = torch.atan2(ring.modes[:, 1], ring.modes[:, 0]).remainder(2 * math.pi).sort().values
    assert_close(angles.diff(), torch.full((7,), math.pi / 4))
    assert ring.sd == pytest.approx(0.02 / 1.414)


@pytest.mark.parametrize(
    ("data", "number", "reach", "sd"),
    [
        (PacGANRing(), 8, 1.0, 0.01),
        (PacGANGrid(), 25, 4.0, 0.05),
        (GaussianGrid(), 25, 4 / 2.828, 0.05 / 2.828),
        (GaussianRing(3, radius=5.0, sd=0.5, scale=1.0), 3, 5.0, 0.5),
        (GaussianGrid(4, spacing=1.0, scale=1.0), 16, 1.5, 0.05),
    ],
)
def test_published_and_other_settings(data, number, reach, sd):
    assert data.modes.shape == (number, 2)
    assert len(data.modes.unique(dim=0)) == number
    assert float(data.modes.abs().max()) == pytest.approx(reach)
    assert data.sd == pytest.approx(sd)
    low, high = data.value_range
    assert (low, high) == (-high, pytest.approx(reach + 4 * sd))
    inside = ((draw(data) > low) & (draw(data) < high)).all(1).double().mean()
    assert inside > 0.9999


@pytest.mark.parametrize("data", [GaussianRing(5, sd=0.3), GaussianGrid(3, sd=0.2)])
def test_mixtures_draw_every_mode_equally_with_their_spread(data):
    samples = draw(data)
    nearest = torch.cdist(samples, data.modes).argmin(1)
    shares = torch.bincount(nearest) / len(samples)
    assert_close(shares, torch.full_like(shares, 1 / len(data.modes)), rtol=0, atol=5e-3)
    spread = samples - data.modes[nearest]
    assert_close(spread.std(0), torch.full((2,), data.sd), rtol=0.02, atol=0)


@pytest.mark.parametrize("data", [GaussianRing(5, sd=0.3), GaussianGrid(3, sd=0.2)])
def test_the_density_is_one_and_that_of_the_samples(data):
    low, high = 2 * data.value_range[0], 2 * data.value_range[1]
    ticks = torch.linspace(low, high, 600, dtype=torch.float64)
    cell = (ticks[1] - ticks[0]).square()
    density = data.log_density(torch.cartesian_prod(ticks, ticks)).exp()
    assert_close(density.sum() * cell, torch.tensor(1.0, dtype=torch.float64), rtol=1e-5, atol=0)
    # The mean of log p over samples is the integral of p log p.
    expected = (density * density.log().nan_to_num(neginf=0)).sum() * cell
    found = data.log_density(draw(data).double()).mean()
    assert_close(found, expected, rtol=0, atol=0.01)


def test_the_swiss_roll_follows_its_curve():
    samples = 7.5 * draw(SwissRoll(sd=0.0))
    t = samples.norm(dim=1)
    assert 1.5 * math.pi <= t.min() < t.max() <= 4.5 * math.pi + 1e-4
    assert_close(samples, torch.stack([t * t.cos(), t * t.sin()], 1), rtol=0, atol=2e-3)
    noisy = SwissRoll()
    assert noisy.sd == pytest.approx(0.25 / 7.5)
    noise = draw(noisy) - draw(SwissRoll(sd=0.0))
    assert_close(noise.std(), torch.tensor(noisy.sd), rtol=0.02, atol=0)


def test_the_pattern_is_uniform_near_ones_and_zeros():
    data = OneZeroPattern()
    samples = draw(data)
    low, high = torch.tensor([0.9, 0.0, 0.9, 0.0]), torch.tensor([1.1, 0.1, 1.1, 0.1])
    assert (samples >= low).all()
    assert (samples < high).all()
    assert_close(samples.mean(0), (low + high) / 2, rtol=0, atol=1e-3)
    assert_close(samples.var(0), (high - low).square() / 12, rtol=0.02, atol=0)
    volume = 0.2 * 0.1 * 0.2 * 0.1
    assert_close(data.log_density(samples[:5]), torch.full((5,), -math.log(volume)))
    assert data.log_density(torch.zeros(1, 4)).item() == -math.inf
    assert OneZeroPattern([0, 1, 1]).pattern.tolist() == [0, 1, 1]


def test_noise_is_uniform_with_independent_entries_and_a_known_density():
    data = UniformNoise(3, low=-1.0, high=2.0)
    assert (data.data_shape, data.value_range) == ((3,), (-1.0, 2.0))
    samples = draw(data).double()
    assert samples.aminmax() == (pytest.approx(-1, abs=1e-3), pytest.approx(2, abs=1e-3))
    assert_close(samples.mean(0), torch.full((3,), 0.5).double(), rtol=0, atol=0.01)
    assert_close(samples.T.cov(), 0.75 * torch.eye(3).double(), rtol=0, atol=0.01)
    x = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 1.9, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, -1.1]])
    inside = -3 * math.log(3)
    assert_close(data.log_density(x), torch.tensor([inside, inside, -math.inf, -math.inf]))


@pytest.mark.parametrize("data", [GaussianRing(), SwissRoll(), OneZeroPattern(), UniformNoise()])
def test_a_batch_depends_on_seed_position_and_rank_only(data):
    batch = data.training_batch(3, 5, 16, 1, 2)
    assert torch.equal(batch, data.training_batch(3, 5, 16, 1, 2))
    for other in ((4, 5, 16, 1, 2), (3, 6, 16, 1, 2), (3, 5, 16, 0, 2)):
        assert not torch.equal(batch, data.training_batch(*other))


@pytest.mark.parametrize("data", [GaussianRing(), SwissRoll(), OneZeroPattern(), UniformNoise()])
def test_evaluation_sets_are_fixed_and_different(data):
    sets = [data.evaluation_set(index) for index in range(3)]
    assert all(len(samples) == 10_000 for samples in sets)
    assert torch.equal(sets[0], data.evaluation_set(0))
    assert not torch.equal(sets[0], sets[1])
    assert not torch.equal(sets[0], sets[2])


def test_data_is_printed_by_its_shape_and_its_sizes():
    ring = GaussianRing(batch_size=1024, num_eval_samples=20)
    told = "samples of shape (2,), 1,024 in a batch, at most 20 in an evaluation"
    assert f"{ring}" == f"GaussianRing: {told}"
    both = UnpairedSources(ring, GaussianRing(batch_size=1024))
    assert (
        str(both)
        == "UnpairedSources: samples of shape (2,), 1,024 in a batch, at most 20 in an evaluation"
    )


def test_nobody_multiplies_by_n_critic():
    data = GaussianRing(batch_size=4, num_eval_samples=8)
    sizes = []
    data.training_batch = lambda seed, position, size, rank, ranks: (
        sizes.append(size) or data.sample(size)
    )
    fitted(WGAN(**SMALL, n_critic=3), data, 2)
    assert sizes == [12, 12]
    assert len(next(iter(GaussianRing(batch_size=4).train_dataloader()))) == 4


def test_a_stream_goes_on_where_it_was_and_never_ends():
    stream = Stream(lambda position: torch.tensor(position), 3)
    assert len(stream) == 3
    assert [int(batch) for batch in stream] == [0, 1, 2]
    assert [int(batch) for batch in stream] == [3, 4, 5]
    iterator = iter(stream)
    next(iterator)
    state = stream.state_dict()
    assert state == {"position": 7}
    other = Stream(lambda position: torch.tensor(position), 3)
    other.load_state_dict(state)
    assert [int(batch) for batch in other] == [7, 8]


# A user's own array


def saved(array, path="data.npy"):
    np.save(path, array)
    return path


def test_over_one_pass_every_row_is_read_once_whatever_the_processes():
    path = saved(np.arange(400, dtype=np.float64).reshape(200, 2))
    data = ArrayData(path, batch_size=7)
    training = set(data._training[:, 0].tolist())
    assert len(training) == 180
    read = [
        row
        for position in range(180 // (2 * 9))
        for rank in range(2)
        for row in data.training_batch(0, position, 9, rank, 2)[:, 0].tolist()
    ]
    assert sorted(read) == sorted(training)
    assert data.epoch_length(9, 2) == 10
    held_out = [set(data.evaluation_set(index)[:, 0].tolist()) for index in (0, 2)]
    assert [len(rows) for rows in held_out] == [10, 10]
    assert not held_out[0] & held_out[1]
    assert not training & (held_out[0] | held_out[1])
    assert set(data.evaluation_set(1)[:, 0].tolist()) < training


def test_a_batch_larger_than_the_data_reads_several_permutations():
    data = ArrayData(saved(np.arange(40.0).reshape(20, 2)))
    batch = data.training_batch(0, 0, 48, 0, 1)[:, 0]
    counts = torch.bincount(batch.long() // 2, minlength=20)
    assert sorted(counts.tolist()) == [0] * 4 + [3] * 16
    assert data.epoch_length(48, 1) == 1


def test_permutations_differ_from_pass_to_pass_and_seed_to_seed():
    data = ArrayData(saved(np.arange(400.0).reshape(200, 2)))
    first = data.training_batch(0, 0, 180, 0, 1)
    assert not torch.equal(first, data.training_batch(0, 1, 180, 0, 1))
    assert not torch.equal(first, data.training_batch(1, 0, 180, 0, 1))
    assert torch.equal(first, data.training_batch(0, 0, 180, 0, 1))


def test_integers_become_floats_and_the_range_is_the_data_s():
    data = ArrayData(saved(np.arange(-10, 50).reshape(20, 3)))
    assert data.data_shape == (3,)
    assert data.value_range == (-10.0, 49.0)
    assert data.training_batch(0, 0, 4, 0, 1).dtype == torch.float32


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_an_array_in_memory_is_served_like_its_file(kind, capsys):
    array = np.random.default_rng(0).normal(size=(60, 3))
    given, written = ArrayData(kind(array), batch_size=8), ArrayData(saved(array), batch_size=8)
    assert capsys.readouterr().out == "ArrayData casts the float64 array to float32.\n"
    assert given.value_range == written.value_range
    for draw in (lambda d: d.training_batch(0, 3, 8, 0, 1), lambda d: d.evaluation_set(0)):
        assert torch.equal(draw(given), draw(written))
    ArrayData(kind(array.astype(np.float32)))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: np.zeros((30, 2, 2)), r"the array must be a numeric array of shape \(N, d\)"),
        (lambda: torch.full((30, 2), float("inf")), "30 rows of the array hold NaN or infinite"),
        (lambda: "nothing.npy", "there is no file nothing.npy"),
        (lambda: np.ones((30, 2)), "path: all values of the array are 1. Use rows that differ"),
        (lambda: saved(np.zeros(30)), r"of shape \(N, d\), got float64 of shape \(30,\)"),
        (lambda: saved(np.zeros((19, 2))), r"at least 20 rows and a column, got \(19, 2\)"),
        (lambda: saved(np.full((30, 2), "a")), "numeric array"),
        (lambda: saved(np.zeros((30, 2), dtype=complex)), "numeric array"),
        (lambda: saved(np.array([[{}, 1]] * 30)), r"is not a whole \.npy file"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        ArrayData(make())


def test_values_that_are_not_finite_are_named():
    array = np.zeros((40, 2))
    array[[7, 30], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 rows of data.npy .* the first is row 7"):
        ArrayData(saved(array))


def test_a_cut_off_file_and_an_archive_are_refused(tmp_path):
    path = saved(np.zeros((30, 2)))
    content = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"is not a whole \.npy file"):
        ArrayData(path)
    np.savez("many.npz", a=np.zeros((30, 2)))
    with pytest.raises(ValueError, match="got an archive"):
        ArrayData("many.npz")
    Path("cut.npz").write_bytes(Path("many.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"path: cut\.npz is not a whole \.npy file"):
        ArrayData("cut.npz")


@pytest.mark.parametrize("change", [lambda x: x.bfloat16(), lambda x: x.requires_grad_()])
def test_tensors_that_numpy_does_not_take_are_read(change):
    rows = torch.arange(80.0).reshape(40, 2)
    data = ArrayData(change(rows.clone()), num_eval_samples=2)
    assert data.value_range == (0.0, 79.0)


def test_more_processes_than_samples_to_evaluate_on_are_refused():
    rows = torch.arange(5)
    parts = [share_of(rows, rank, 5) for rank in range(5)]
    assert [(part.tolist(), first) for part, first in parts] == [([k], k) for k in range(5)]
    with pytest.raises(ValueError, match="5 samples to evaluate on cannot be shared among 6"):
        share_of(rows, 0, 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianRing(0), "num_modes must be at least 1, got 0"),
        (lambda: GaussianRing(radius=0.0), "radius must be above 0, got 0.0"),
        (lambda: GaussianRing(sd=-1.0), "sd must be above 0, got -1.0"),
        (lambda: GaussianRing(scale=0.0), "scale must be above 0, got 0.0"),
        (lambda: GaussianRing(batch_size=0), "batch_size must be at least 1, got 0"),
        (lambda: GaussianRing(num_eval_samples=1), "num_eval_samples must be at least 2, got 1"),
        (lambda: GaussianGrid(0), "side must be at least 1, got 0"),
        (lambda: GaussianGrid(spacing=0.0), "spacing must be above 0, got 0.0"),
        (lambda: SwissRoll(sd=-0.1), "sd must be at least 0, got -0.1"),
        (lambda: UniformNoise(0), "size must be at least 1, got 0"),
        (lambda: UniformNoise(low=1.0), r"low must be below high, .*, got \(1.0, 1.0\)"),
        (lambda: OneZeroPattern([1, 2]), r"pattern must be made of ones and zeros, got \[1, 2\]"),
        (lambda: OneZeroPattern(ones=(1.0, 1.0)), "ones: the lower bound must be below"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
