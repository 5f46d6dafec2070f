import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.testing import assert_close

from datamodules import GaussianRing
from lightning_gans.metrics import (
    HistogramDivergence,
    ModeCoverage,
    PatternError,
    SlicedWasserstein,
    Wasserstein,
    better,
    cross_entropy,
    histogram_probabilities,
    js_divergence,
    kl_divergence,
    meaning,
    nearest_modes,
    sliced_wasserstein_distance,
    wasserstein_distance,
)
from lightning_gans.metrics.names import SCORES

LOG2 = torch.tensor(math.log(2), dtype=torch.float64)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def scored(metric, real, fake):
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


# Divergences


def test_kl_of_two_coins():
    p, q = double(0.5, 0.5), double(0.25, 0.75)
    assert_close(kl_divergence(p, q), double(0.5 * math.log(2) + 0.5 * math.log(2 / 3))[0])
    assert_close(kl_divergence(p, p), double(0.0)[0])
    assert kl_divergence(p, double(1.0, 0.0)) == math.inf
    assert_close(kl_divergence(double(1.0, 0.0), p), LOG2)


def test_cross_entropy_is_entropy_plus_kl():
    p, q = double(0.2, 0.3, 0.5), double(0.6, 0.3, 0.1)
    entropy = -(p * p.log()).sum()
    assert_close(cross_entropy(p, q), entropy + kl_divergence(p, q))
    assert_close(cross_entropy(p, p), entropy)


def test_js_is_symmetric_bounded_and_log_two_without_overlap():
    p, q = double(0.2, 0.8, 0.0, 0.0), double(0.0, 0.0, 0.9, 0.1)
    assert_close(js_divergence(p, q), LOG2)
    assert_close(js_divergence(p, p), double(0.0)[0])
    r = double(0.25, 0.25, 0.25, 0.25)
    assert_close(js_divergence(p, r), js_divergence(r, p))
    assert 0 < js_divergence(p, r) < LOG2


@pytest.mark.parametrize("t", [1.0, 1.5, 4.0, 100.0])
def test_of_disjoint_uniforms_js_is_log_two_and_w1_is_their_distance(t):
    """U(0, 1) and U(t, t + 1): JS says nothing about t, the Wasserstein distance is t."""
    x = (torch.arange(1000, dtype=torch.float64).unsqueeze(1) + 0.5) / 1000
    low, high = double(0.0), double(t + 1)
    bins = round(10 * (t + 1))  # cells end where the uniforms do
    p, q = (histogram_probabilities(s, low, high, bins=bins, pseudo_count=0.0) for s in (x, x + t))
    assert_close(js_divergence(p, q), LOG2)
    assert_close(wasserstein_distance(x, x + t), double(t)[0])


def test_histogram_counts_cells_and_spreads_the_pseudo_count():
    samples = double(0.1, 0.1, 0.3, 0.9).unsqueeze(1).repeat(1, 2)
    samples[2, 1] = 0.8
    found = histogram_probabilities(samples, double(0, 0), double(1, 1), bins=2)
    expected = (double(2, 1, 0, 1).reshape(2, 2) + 0.25) / 5
    assert_close(found, expected)
    assert_close(found.sum(), double(1.0)[0])


def test_samples_outside_the_box_count_in_the_nearest_cell():
    samples = double(-5.0, 0.0, 1.0, 7.0).unsqueeze(1)
    found = histogram_probabilities(samples, double(0.0), double(1.0), bins=4, pseudo_count=0.0)
    assert_close(found, double(0.5, 0.0, 0.0, 0.5))


@pytest.mark.parametrize("far", [1e30, -1e30, math.inf, -math.inf])
def test_the_nearest_cell_is_found_however_far_a_sample_is(far):
    cells = histogram_probabilities(
        torch.tensor([[far, 0.5]]), torch.zeros(2), torch.ones(2), bins=2, pseudo_count=0
    )
    expected = torch.zeros(2, 2, dtype=torch.float64)
    expected[int(far > 0), 1] = 1
    assert torch.equal(cells, expected)


def test_a_sample_that_is_no_number_leaves_no_divergence():
    real, fake = torch.randn(2, 40, 2)
    fake[3, 1] = math.nan
    assert all(value.isnan() for value in scored(HistogramDivergence(), real, fake).values())


def test_histogram_divergence_takes_the_box_of_the_real_samples():
    """All generated samples fall in the first of 50 x 50 cells, which no real one is in."""
    real = torch.rand(4000, 2, dtype=torch.float64)
    scores = scored(HistogramDivergence(), real, torch.full((4000, 2), -9.0))
    assert_close(scores["js"], LOG2, rtol=0, atol=5e-3)
    low, high = real.amin(0), real.amax(0)
    margin = 0.1 * (high - low)
    p = histogram_probabilities(real, low - margin, high + margin)
    share = (1 / 2500) / 4001  # of each cell without a generated sample
    assert_close(scores["cross_entropy"], double(-math.log(share))[0], rtol=1e-3, atol=0)
    assert_close(scores["kl"], scores["cross_entropy"] + torch.special.xlogy(p, p).sum())


def test_an_axis_on_which_real_samples_agree_is_as_wide_as_the_other():
    real = torch.stack([torch.linspace(0, 4, 500), torch.ones(500)], 1)
    fake = real + torch.tensor([0.0, 1.9])  # within 2 of the line, but in other cells
    scores = scored(HistogramDivergence(), real, real)
    assert_close(scores["kl"], double(0.0)[0], rtol=0, atol=1e-12)
    apart = scored(HistogramDivergence(), real, fake)
    assert_close(apart["js"], LOG2, rtol=0, atol=5e-2)
    near = scored(HistogramDivergence(), real, real + torch.tensor([0.0, 0.03]))
    assert near["js"] < 1e-6
    point = torch.ones(20, 2)
    assert scored(HistogramDivergence(), point, point)["js"] < 1e-12
    assert scored(HistogramDivergence(), point, point + 0.4)["js"] > 0.6


def test_identical_sets_have_no_divergence():
    samples = torch.randn(500, 2)
    scores = scored(HistogramDivergence(), samples, samples)
    assert_close(scores["kl"], double(0.0)[0], rtol=0, atol=1e-12)
    assert_close(scores["js"], double(0.0)[0], rtol=0, atol=1e-12)


# Transport


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_moving_a_set_costs_the_length_of_the_move(p, d):
    x = torch.randn(60, d, dtype=torch.float64)
    shift = torch.randn(d, dtype=torch.float64)
    assert_close(wasserstein_distance(x, x + shift, p=p), shift.norm())


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_wasserstein_is_the_best_assignment(p):
    x, y = torch.randn(2, 50, 3, dtype=torch.float64)
    costs = torch.cdist(x, y).pow(p)
    best = costs[linear_sum_assignment(costs.numpy())].mean().pow(1 / p)
    assert_close(wasserstein_distance(x, y, p=p), best)


def test_wasserstein_of_sets_of_different_size():
    x, y = double(0.0).unsqueeze(1), double(-1.0, 3.0).unsqueeze(1)
    assert_close(wasserstein_distance(x, y), double(2.0)[0])
    assert_close(wasserstein_distance(x, y, p=2), double(math.sqrt(5))[0])


def test_an_order_below_one_is_refused():
    with pytest.raises(ValueError, match=r"p must be at least 1, got 0.5"):
        wasserstein_distance(torch.zeros(2, 1), torch.zeros(2, 1), p=0.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
@pytest.mark.parametrize("d", [1, 2])
def test_one_sample_that_is_nowhere_leaves_no_distance(bad, d):
    real, fake = torch.randn(2, 40, d, dtype=torch.float64)
    fake[3, -1] = bad
    for metric in (Wasserstein(1), Wasserstein(2), SlicedWasserstein()):
        (score,) = scored(metric, real, fake).values()
        assert not score < 1e50, metric.scores  # neither 0 nor another good distance


def test_sliced_wasserstein_on_the_line_is_the_distance_itself():
    x, y = torch.randn(2, 80, 1, dtype=torch.float64)
    assert_close(sliced_wasserstein_distance(x, y), wasserstein_distance(x, y, p=2))


def test_sliced_wasserstein_of_a_move_in_the_plane():
    x = torch.randn(100, 2, dtype=torch.float64)
    moved = sliced_wasserstein_distance(x, x + double(3.0, 4.0), num_projections=5000)
    assert_close(moved, double(5 / math.sqrt(2))[0], rtol=0.02, atol=0)
    again = sliced_wasserstein_distance(x, x + double(3.0, 4.0), num_projections=5000)
    assert torch.equal(moved, again)


def test_metrics_keep_the_first_samples_only():
    real, fake = torch.randn(2, 30, 2, dtype=torch.float64)
    metric = Wasserstein(1, max_samples=10)
    for start in range(0, 30, 7):
        metric.update(real[start : start + 7], real=True)
        metric.update(fake[start : start + 7], real=False)
    assert_close(metric.compute()["w1"], wasserstein_distance(real[:10], fake[:10]))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Wasserstein(1), {"w1"}),
        (lambda: Wasserstein(2), {"w2"}),
        (SlicedWasserstein, {"sliced_w"}),
        (HistogramDivergence, {"kl", "js", "cross_entropy"}),
        (
            lambda: ModeCoverage(torch.eye(2), 0.1),
            {"modes", "modes_pacgan", "high_quality", "reverse_kl"},
        ),
        (lambda: PatternError(torch.zeros(2)), {"pattern_error"}),
    ],
)
def test_parts_score_like_the_whole_and_names_are_told(make, names):
    real, fake = torch.randn(2, 40, 2)
    whole, parts = make(), make()
    expected = scored(whole, real, fake)
    for half in (slice(0, 13), slice(13, 40)):
        parts.update(fake[half], real=False)
        parts.update(real[half], real=True)
    assert set(parts.scores) == names == set(expected)
    found = parts.compute()
    assert all(torch.equal(found[name], expected[name]) for name in names)
    parts.reset()
    again = scored(parts, real, fake)
    assert all(torch.equal(again[name], expected[name]) for name in names)


def test_each_score_says_which_way_it_is_better():
    ways = {way: {n for n in SCORES if better(n) == way} for way in ("low", "high", "same")}
    assert ways == {
        "low": {
            *("reverse_kl", "pattern_error", "fd_digits", "digit_tv", "w1", "w2", "sliced_w"),
            *("critic_gap", "kl", "js", "cross_entropy", "reconstruction_mse", "fid", "kid"),
            *("class_fd", "memorised", "sliced_w_patches", "fd_objects", "kl_1000", "paired_l1"),
            *("cycle_l1", "code_sliced_w"),
        },
        "high": {
            *("accuracy", "modes", "modes_pacgan", "high_quality", "digit_entropy"),
            *("label_fidelity", "neighbour_accuracy"),
            *("reconstruction_fidelity", "is", "precision", "recall", "density", "coverage"),
            *("code_mi", "code_matched", "code_slant", "code_width", "code_ink", "modes_1000"),
            *("paired_psnr", "paired_ssim", "class_agreement"),
        },
        "same": {
            *("digit_ones", "digit_confidence", "class_diversity", "mean_sample_mse"),
            *("identity_l1", "identity_psnr", "identity_ssim"),
            *("neighbour_accuracy_untrained", "neighbour_accuracy_pixels"),
        },
    }
    assert all(map(meaning, SCORES))
    assert [better(name) for name in ("modes_a", "is_digits_a", "nothing")] == [
        *("high", "high", "low"),
    ]
    assert (meaning("w1_a"), meaning("nothing")) == ("exact W1, of 2,048 at most", "")


def test_too_few_samples_are_refused():
    metric = SlicedWasserstein()
    metric.update(torch.zeros(5, 2), real=True)
    with pytest.raises(ValueError, match="needs at least 2 generated samples, got 0"):
        metric.compute()


# Modes


def test_samples_count_for_their_nearest_mode_within_three_sd():
    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    samples = torch.tensor([[0.29, 0.0], [0.31, 0.0], [1.0, 0.29], [1.0, -0.31], [0.9, 0.0]])
    assert nearest_modes(samples, modes, 0.1).tolist() == [0, -1, 1, -1, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_not_finite_are_near_no_mode(bad):
    samples = torch.tensor([[0.0, 1.0], [bad, 0.0], [0.0, bad]])
    assert nearest_modes(samples, torch.eye(2), sd=0.1).tolist() == [1, -1, -1]


def test_real_samples_reach_the_ceiling_and_no_more():
    """In the plane 1 - exp(-9 / 2) of a Gaussian lies within three standard deviations."""
    ring = GaussianRing()
    scores = scored(
        ModeCoverage(ring.modes, ring.sd),
        torch.empty(0, 2),
        ring.sample(200_000, torch.Generator().manual_seed(0)),
    )
    assert scores["modes"] == scores["modes_pacgan"] == 8
    assert abs(scores["high_quality"] - (1 - math.exp(-4.5))) < 1e-3
    assert 0 <= scores["reverse_kl"] < 2e-4


def samples_at(modes, counts):
    return torch.cat([mode.expand(count, 2) for mode, count in zip(modes, counts, strict=True)])


@pytest.mark.parametrize(
    ("counts", "covered"),
    [
        ([100, 100, 100, 100], 4),
        ([380, 20, 0, 0], 2),  # 20 of 400 is 20 % of the fair share of 100: just covered
        ([381, 19, 0, 0], 1),
        ([1, 0, 0, 0], 1),
        ([0, 0, 0, 0], 0),
    ],
)
def test_a_mode_is_covered_from_a_fifth_of_its_fair_share(counts, covered):
    modes = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    samples = torch.cat([samples_at(modes, counts), torch.full((7, 2), 4.5)])
    scores = scored(ModeCoverage(modes, 0.1), torch.empty(0, 2), samples)
    assert scores["modes"] == covered
    assert_close(scores["high_quality"], double(sum(counts) / (sum(counts) + 7))[0])


def test_reverse_kl_is_that_of_the_shares_to_the_uniform_distribution():
    modes = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    for counts, expected in (
        ([30, 10], math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)),
        ([5, 0], math.log(2)),
        ([0, 0], math.log(2)),
        ([4, 4], 0.0),
    ):
        samples = torch.cat([samples_at(modes, counts), torch.full((3, 2), 4.5)])
        scores = scored(ModeCoverage(modes, 0.1), torch.empty(0, 2), samples)
        assert_close(scores["reverse_kl"], double(expected)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("place", "found"), [(2499, 2), (2500, 1)])
def test_pacgan_counts_any_stray_sample_of_the_first_2500(place, found):
    modes = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    samples = torch.zeros(5000, 2)
    samples[place] = modes[1]
    metric = ModeCoverage(modes, 0.1)
    for part in samples.split(999):
        metric.update(part, real=False)
    scores = metric.compute()
    assert scores["modes_pacgan"] == found
    assert scores["modes"] == 1


def test_pattern_error_is_the_largest_deviation():
    metric = PatternError(torch.tensor([1.0, 0.0]))
    metric.update(torch.tensor([[0.9, 0.0], [1.0, -0.3]]), real=False)
    metric.update(torch.tensor([[1.2, 0.1]]), real=False)
    metric.update(torch.tensor([[9.0, 9.0]]), real=True)
    assert_close(metric.compute()["pattern_error"], torch.tensor(0.3))


def test_transport_solves_the_sizes_that_are_used():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2048, 2)))
    assert_close(wasserstein_distance(x, x.flip(0), p=2), double(0.0)[0], rtol=0, atol=1e-9)
