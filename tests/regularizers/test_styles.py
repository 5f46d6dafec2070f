"""Path lengths of generators with styles."""

import pytest
import torch
from torch.testing import assert_close

from lightning_gans.regularizers import PathLength, StyledView, View, path_lengths

exact = {"rtol": 1e-12, "atol": 1e-12}


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def linear(weight):
    """Samples that are linear in their styles: image = weight @ all styles."""
    return lambda styles: (styles.flatten(1) @ weight.T).reshape(-1, 2, 3, 3)


def view_of(synthesize, styles):
    fake = torch.zeros(2 * len(styles), 2, 3, 3, dtype=torch.float64)
    return StyledView(
        lambda x: x.flatten(1).sum(1),
        fake,
        fake,
        styles=lambda n: styles[:n],
        synthesize=synthesize,
    )


def test_the_path_length_of_a_linear_generator_is_the_norm_of_its_transpose():
    """With L styles of W entries: |A^T y| / sqrt(L), whatever the styles."""
    weight, y = noise(18, 4 * 5), noise(3, 2, 3, 3)
    lengths = path_lengths(linear(weight), noise(3, 4, 5), noise=y)
    expected = torch.stack([(weight.T @ one.flatten()).norm() / 4**0.5 for one in y])
    assert_close(lengths, expected, **exact)
    assert (lengths - expected * 4**0.5).abs().min() > 0.1  # not the sum over the layers


def test_the_noise_has_a_variance_of_1_over_the_number_of_pixels():
    """The mean square of |A^T y| is |A|^2 / 9: there are 9 pixels, and not 18 entries."""
    weight = noise(18, 20)
    lengths = path_lengths(linear(weight), torch.zeros(20_000, 4, 5, dtype=torch.float64))
    assert lengths.square().mean().item() == pytest.approx(
        weight.square().sum().item() / 9 / 4, rel=0.03
    )


def test_the_gradient_of_path_lengths_is_that_of_autograd():
    weight, styles, y = (
        noise(18, 20).requires_grad_(),
        noise(3, 4, 5).requires_grad_(),
        noise(3, 18),
    )

    def synthesize(points):
        return linear(weight)(points.tanh())

    def by_autograd():
        samples = synthesize(styles)
        (gradient,) = torch.autograd.grad(
            (samples * y.reshape(3, 2, 3, 3)).sum(), styles, create_graph=True
        )
        return gradient.square().sum(2).mean(1).sqrt()

    found = path_lengths(synthesize, styles, noise=y.reshape(3, 2, 3, 3))
    assert_close(found, by_autograd(), **exact)
    gradients = [
        torch.autograd.grad((lengths - 0.3).square().mean(), [weight, styles])
        for lengths in (found, by_autograd())
    ]
    assert_close(*gradients, **exact)
    assert gradients[0][1].abs().max() > 1e-3  # it reaches what makes the styles


def test_path_lengths_have_a_finite_gradient_where_they_are_zero():
    weight = torch.zeros(18, 20, dtype=torch.float64, requires_grad=True)
    path_lengths(linear(weight), noise(3, 4, 5)).sum().backward()
    assert weight.grad.isfinite().all()


def test_the_penalty_is_the_distance_from_the_average_before_the_update():
    """On half of the samples. The average follows the mean over processes, by the decay."""
    weight, styles = noise(18, 20), noise(3, 4, 5)
    penalty, view = PathLength(0.7, decay=0.1).double(), view_of(linear(weight), styles)
    expected = torch.zeros((), dtype=torch.float64)
    for seed in range(3):
        torch.manual_seed(seed)
        lengths = path_lengths(linear(weight), styles)
        torch.manual_seed(seed)
        assert_close(penalty(view), 0.7 * (lengths - expected).square().mean(), **exact)
        penalty.after_turn([view], lambda found: found + 1)
        expected = 0.9 * expected + 0.1 * (lengths.mean() + 1)
        assert_close(penalty.average, expected, **exact)
        penalty.after_turn([view], lambda found: found + 1)  # an update that did not compute it
        assert_close(penalty.average, expected, **exact)
    assert penalty.state_dict().keys() == {"average"}


def test_what_is_tried_before_training_leaves_the_average():
    penalty = PathLength().double().eval()
    view = view_of(linear(noise(18, 20)), noise(3, 4, 5))
    with torch.no_grad():
        assert penalty(view) > 0
    penalty.train().after_turn([view], lambda found: found)
    assert penalty.average == 0


def test_a_view_without_styles_is_refused():
    x = torch.zeros(4, 2)
    with pytest.raises(
        ValueError, match=r"PathLength needs a generator with styles, .* Use it in regularizers_g"
    ):
        PathLength()(View(lambda x: x.sum(1), x, x))


@pytest.mark.parametrize("decay", [0.0, -0.1, 1.1, float("nan")])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"PathLength: decay must be above 0 and at most 1, got"):
        PathLength(decay=decay)
