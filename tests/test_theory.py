"""The numbers in the pictures of docs/theory.md, in closed form."""

from math import log
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal

ROOT = Path(__file__).parents[1]


@pytest.fixture
def theory(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import theory

    return theory


@pytest.mark.parametrize("way", [0.0, 1.0, 6.0])
def test_the_best_discriminator_is_worth_twice_js_less_two_log_two(way, theory):
    p, q = (Normal(torch.tensor(mean).double(), 1.0) for mean in (0.0, way))
    by_its_loss, by_js = theory.value_of_the_game(p, q)
    assert by_its_loss == pytest.approx(by_js, abs=2e-4)
    if way == 0:
        assert by_js == pytest.approx(-2 * log(2), abs=1e-9)
    assert -2 * log(2) - 1e-9 <= by_js < 0


@pytest.mark.parametrize("t", [1.0, 1.7, 20.0])
def test_without_overlap_js_is_flat_at_log_two_and_w1_rises_with_slope_one(t, theory):
    found = theory.distances(t)
    assert found == pytest.approx(
        {"js": log(2), "js_gradient": 0.0, "w1": t, "w1_gradient": 1.0}, abs=1e-9
    )


@pytest.mark.parametrize("t", [0.2, 0.5, 0.9])
def test_with_overlap_half_of_what_the_generator_gets_is_the_slope_of_js(t, theory):
    found = theory.distances(t)
    low, high = (theory.distances(t + sign * 1e-3)["js"] for sign in (-1, 1))
    assert found["js_gradient"] == pytest.approx((high - low) / 2e-3, abs=3e-4)
    assert found["js_gradient"] > 0.03
    assert (found["w1"], found["w1_gradient"]) == pytest.approx((t, 1.0), abs=1e-9)
