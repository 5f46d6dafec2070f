"""Intervals, differences and interquartile means, against scipy and the vectors of the design."""

from math import inf, isclose, sqrt

import numpy as np
import pytest
from scipy import stats

from lightning_gans.comparison.statistics import (
    estimate,
    improvement,
    interquartile_interval,
    interquartile_mean,
    paired,
    student_quantile,
)

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("degrees", [*range(1, 31), 99, 100, 999, 1000])
def test_quantiles_of_student_are_those_of_scipy(degrees):
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-12)


@pytest.mark.parametrize(
    ("number", "factor"), [(2, 8.98), (3, 2.48), (5, 1.24), (8, 0.84), (10, 0.72)]
)
def test_an_interval_is_as_many_deviations_wide_as_the_design_says(number, factor):
    assert student_quantile(number - 1) / sqrt(number) == pytest.approx(factor, abs=0.005)


def test_the_mean_of_three_values_has_its_interval():
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.interval == pytest.approx((2 - 2.4841377, 2 + 2.4841377), abs=1e-7)


@pytest.mark.parametrize("number", [3, 4, 5, 9, 30])
def test_intervals_are_those_of_scipy(number):
    values = DRAW.normal(3, 2, number)
    reference = stats.t.interval(0.95, number - 1, values.mean(), stats.sem(values))
    assert estimate(values.tolist()).interval == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("values", [[4.0], [4.0, 6.0]])
def test_one_or_two_values_have_no_interval(values):
    found = estimate(values)
    assert (found.mean, found.interval) == (sum(values) / len(values), None)
    assert found.values == tuple(values)


def test_differences_are_paired_by_seed():
    first = {0: 1.0, 1: 5.0, 2: 9.0, 7: 100.0}
    second = {2: 8.5, 0: 0.0, 1: 4.5, 8: -100.0}
    found = paired(first, second)
    assert found is not None
    assert found.values == (-1.0, -0.5, -0.5)
    t = stats.ttest_rel([0.0, 4.5, 8.5], [1.0, 5.0, 9.0]).confidence_interval(0.95)
    assert found.interval == pytest.approx((t.low, t.high), rel=1e-12)
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_equal_cells_differ_by_nothing():
    values = {seed: value for seed, value in enumerate(DRAW.normal(size=6).tolist())}
    found = paired(values, dict(reversed(values.items())))
    assert found is not None
    assert (found.mean, found.interval) == (0.0, (0.0, 0.0))


def test_improvement_is_the_share_of_pairs_as_mann_and_whitney_count_them():
    first, second = DRAW.integers(0, 5, 7).tolist(), DRAW.integers(0, 5, 4).tolist()
    u = stats.mannwhitneyu(first, second).statistic
    assert improvement(first, second) == pytest.approx(u / (7 * 4), rel=1e-12)
    assert improvement([2.0], [1.0]) == 1.0
    assert improvement([1.0], [1.0]) == 0.5


def test_a_failed_run_is_worse_than_all_and_as_bad_as_another():
    assert improvement([1e300], [inf]) == 0.0
    assert improvement([inf], [inf]) == 0.5
    assert improvement([1.0, inf], [0.5, 2.0, inf]) == pytest.approx((2 + 1 + 0.5) / 6)


@pytest.mark.parametrize("number", [5, 6, 7, 8, 12, 13])
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(number):
    values = DRAW.normal(size=number).tolist()
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), rel=1e-12)


def test_the_interquartile_interval_is_the_bootstrap_of_scipy():
    values = DRAW.normal(size=8)
    found = interquartile_interval(values.tolist())
    reference = stats.bootstrap(
        (values,),
        lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis),
        n_resamples=10_000,
        method="percentile",
    ).confidence_interval
    width = reference.high - reference.low
    assert found == pytest.approx((reference.low, reference.high), abs=0.04 * width)
    assert found == interquartile_interval(values.tolist())
    assert isclose(*interquartile_interval([2.0] * 5))
