"""What continuous codes tell of slant, width and ink: against NumPy, by hand, and at the floor."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from lightning_gans.core.latent import Coded
from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.metrics import CodeStyles, better, fitting_metrics, written_styles

DIGITS = SimpleNamespace(content="digits", value_range=(0.0, 1.0), data_shape=(1, 28, 28))


def scored(samples, continuous, value=None, values=1):
    """The scores of images in [0, 1]."""
    metric = CodeStyles(values, continuous.shape[1], (0.0, 1.0))
    asked = () if value is None else (value,)
    record = Coded(samples, samples, asked=asked, continuous=continuous)
    metric.observe(vars(record), real=False)
    return {name: score.item() for name, score in metric.compute().items()}


def filled(level):
    """Images of one level each, which have neither a slant nor another width."""
    return level.reshape(-1, 1, 1, 1).expand(-1, 1, 6, 6)


def test_slant_width_and_ink_are_those_of_a_weighted_line():
    images = torch.rand(20, 1, 9, 7, dtype=torch.float64) ** 4
    found = written_styles(images)
    row, column = np.mgrid[:9, :7].reshape(2, -1).astype(float)
    for image, styles in zip(images.numpy(), found, strict=True):
        ink = image.ravel()
        slope, offset = np.polyfit(row, column, 1, w=np.sqrt(ink))
        width = np.sqrt(np.average((column - slope * row - offset) ** 2, weights=ink))
        assert_close(styles, torch.tensor([-slope, width, ink.mean()]), rtol=0, atol=1e-12)


def test_a_stroke_that_leans_to_the_right_has_a_positive_slant_and_no_width():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]] = 1  # its upper end is on the right
    assert_close(written_styles(image)[0], torch.tensor([1.0, 0.0, 0.2], dtype=torch.float64))


def test_an_image_without_ink_and_one_without_height_have_finite_styles():
    images = torch.zeros(2, 1, 4, 4)
    images[1, 0, 2] = 1
    width = math.sqrt(1.25)
    expected = torch.tensor([[0.0, 0.0, 0.0], [0.0, width, 0.25]], dtype=torch.float64)
    assert_close(written_styles(images), expected)


def test_scores_are_correlations_within_each_value_of_the_categorical_code():
    generator = torch.Generator().manual_seed(0)
    code, value = torch.rand(300, 2, generator=generator), torch.arange(300) % 3
    samples = torch.rand(300, 1, 5, 5, generator=generator)
    samples[:, :, :, 2:] *= code[:, :1, None, None]
    styles = written_styles(samples).numpy()
    expected = np.mean(
        [np.abs(np.corrcoef(code[value == k].T, styles[value == k].T)[:2, 2:]) for k in range(3)],
        axis=0,
    ).max(0)
    found = scored(samples, code, value, 3)
    assert [*found] == ["code_slant", "code_width", "code_ink"]
    assert [*found.values()] == pytest.approx(expected.tolist(), abs=1e-10)


def test_a_code_may_mean_the_opposite_in_another_class():
    code, value = torch.linspace(-1, 1, 200)[:, None], torch.arange(200) % 2
    samples = filled(0.5 + 0.4 * code * (1 - 2 * value[:, None]))
    useless = torch.ones(200, 1)  # a code that never changes tells nothing
    found = scored(samples, torch.cat([useless, code], 1), value, 2)
    assert found["code_ink"] == pytest.approx(1, abs=1e-6)
    assert max(found["code_slant"], found["code_width"]) < 1e-3
    assert scored(samples, code)["code_ink"] < 0.02


def test_independent_codes_are_at_the_floor():
    generator = torch.Generator().manual_seed(0)
    samples = torch.rand(10_000, 1, 4, 4, generator=generator)
    value = torch.arange(10_000) % 10
    found = [
        score
        for _ in range(20)
        for score in scored(
            samples, torch.rand(10_000, 1, generator=generator), value, 10
        ).values()
    ]
    assert sum(found) / len(found) == pytest.approx(math.sqrt(20 / (math.pi * 10_000)), rel=0.1)


def test_batches_add_up():
    code, value, samples = torch.rand(90, 2), torch.randint(4, (90,)), torch.rand(90, 1, 4, 4)
    whole, parts = CodeStyles(4, 2, (0.0, 1.0)), CodeStyles(4, 2, (0.0, 1.0))
    whole.update(samples, code, value)
    for part in torch.arange(90).split(40):
        parts.update(samples[part], code[part], value[part])
    found = parts.compute()
    for name, score in whole.compute().items():
        assert_close(found[name], score, rtol=0, atol=1e-12)


def test_a_value_with_a_single_digit_is_left_out():
    code = torch.tensor([[0.0], [1.0], [0.3]])
    found = scored(filled(code), code, torch.tensor([0, 0, 1]), 2)
    assert found["code_ink"] == pytest.approx(1)


def test_a_model_without_continuous_codes_is_refused():
    with pytest.raises(ValueError, match="needs a model whose latents have continuous codes"):
        CodeStyles(1, 1).observe({"fake": torch.zeros(2, 1, 4, 4)}, real=False)


def test_it_fits_digits_of_models_with_continuous_codes():
    def fits(data, model):
        return [m for m in fitting_metrics(data, model) if isinstance(m, CodeStyles)]

    both = SimpleNamespace(prior=CodePrior(NormalPrior(2), [10, 3], 2))
    (metric,) = fits(DIGITS, both)
    assert (len(metric.sums), metric.codes, metric.value_range) == (10, 2, (0.0, 1.0))
    (metric,) = fits(DIGITS, SimpleNamespace(prior=CodePrior(NormalPrior(2), [], 1)))
    assert (len(metric.sums), metric.codes) == (1, 1)
    classes = SimpleNamespace(prior=CodePrior(NormalPrior(2), [10]))
    pairs = SimpleNamespace(prior=both.prior, comparisons=("a", "b"))
    assert not any(fits(DIGITS, model) for model in (classes, pairs, None))
    for other in ({"content": None}, {"data_shape": (3, 28, 28)}):
        assert not fits(SimpleNamespace(**{**vars(DIGITS), **other}), both)
    assert {better(f"code_{style}") for style in ("slant", "width", "ink")} == {"high"}
