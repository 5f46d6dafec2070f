import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lightning_gans.regularizers import (
    R1,
    R2,
    GradientPenalty,
    View,
    gradient_penalty,
    input_gradient,
)

SHAPES = [(2,), (1, 4, 4), (3, 5)]


def linear_critic(weight):
    return lambda x: x.flatten(1) @ weight


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_a_linear_critic_is_penalised_by_the_square_of_its_norm_minus_one(shape, batch):
    real, fake = torch.randn(2, batch, *shape, dtype=torch.float64)
    weight = torch.randn(real[0].numel(), dtype=torch.float64)
    assert_close(gradient_penalty(linear_critic(weight), real, fake), (weight.norm() - 1).square())


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_critic_of_slope_one_is_not_penalised_at_any_batch_size(batch):
    """A norm over the batch in place of the sample's would grow with its size."""
    real, fake = torch.randn(2, batch, 5, dtype=torch.float64)
    weight = torch.randn(5, dtype=torch.float64)
    penalty = gradient_penalty(linear_critic(weight / weight.norm()), real, fake)
    assert_close(penalty, torch.tensor(0.0, dtype=torch.float64), rtol=0, atol=1e-28)


def test_value_and_gradient_are_finite_where_the_critic_is_flat():
    weight = torch.zeros(3, requires_grad=True)
    real, fake = torch.randn(2, 4, 3)
    penalty = gradient_penalty(linear_critic(weight), real, fake)
    penalty.backward()
    assert_close(penalty, torch.tensor(1.0))
    assert weight.grad.isfinite().all()


def test_points_lie_between_real_and_fake_by_epsilon():
    """With f(x) = |x|^2 / 2 the gradient is the point itself."""
    real, fake = torch.randn(2, 6, 3, dtype=torch.float64)
    epsilon = torch.rand(6, 1, dtype=torch.float64)
    points = epsilon * real + (1 - epsilon) * fake
    penalty = gradient_penalty(lambda x: x.square().sum(1) / 2, real, fake, epsilon=epsilon)
    assert_close(penalty, (points.norm(dim=1) - 1).square().mean())


def test_each_sample_draws_one_epsilon_of_its_own():
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return x.flatten(1).sum(1)

    gradient_penalty(critic, torch.ones(500, 2, 3), torch.zeros(500, 2, 3))
    epsilon = seen[0][:, 0, 0]
    assert torch.equal(seen[0], epsilon.view(-1, 1, 1).expand(500, 2, 3))
    assert len(epsilon.unique()) > 490
    assert epsilon.min() >= 0
    assert epsilon.max() < 1
    assert abs(epsilon.mean() - 0.5) < 0.05


def test_the_gradient_with_respect_to_the_critic_is_right():
    torch.manual_seed(1)
    real, fake = torch.randn(2, 5, 2, dtype=torch.float64)
    epsilon = torch.rand(5, 1, dtype=torch.float64)

    def penalty(first, second):
        def critic(x):
            return torch.tanh(x @ first) @ second

        return gradient_penalty(critic, real, fake, epsilon=epsilon)

    first = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    second = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, (first, second))


@pytest.mark.parametrize(("kind", "side"), [(R1, 0), (R2, 1)])
def test_r1_is_half_the_squared_norm_at_real_samples_and_r2_at_fake_ones(kind, side):
    samples = torch.randn(2, 6, 3, dtype=torch.float64)
    value = kind(10.0)(View(lambda x: x.square().sum(1) / 2, *samples))
    assert_close(value, 10 * samples[side].square().sum(1).mean() / 2)


@pytest.mark.parametrize("shape", [(6,), (6, 1, 3, 2)])
def test_outputs_of_patches_are_summed_before_they_are_differentiated(shape):
    x = torch.randn(6, 4, dtype=torch.float64)
    weight = torch.randn(4, *shape[1:], dtype=torch.float64)
    gradient = input_gradient(lambda y: torch.tensordot(y, weight, 1), x)
    assert_close(gradient, weight.reshape(4, -1).sum(1).expand(6, 4))


def test_weights_multiply():
    real, fake = torch.randn(2, 6, 3, dtype=torch.float64)
    weight = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)
    assert_close(
        GradientPenalty(0.5)(View(linear_critic(weight), real, fake)),
        torch.tensor(8.0, dtype=torch.float64),
    )


def test_input_gradient_works_where_gradients_are_off_and_leaves_its_input_alone():
    x = torch.randn(3, 2)
    with torch.no_grad():
        gradient = input_gradient(lambda y: y.square().sum(1), x)
    assert_close(gradient.detach(), 2 * x)
    assert not x.requires_grad


def test_a_weight_is_exact_in_double_precision_and_may_be_changed_in_place():
    penalty = R1(0.1).float().half().double()
    view = View(lambda x: 2 * x[:, 0], torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1))
    assert penalty(view).item() == 0.1 * 2
    penalty.weight.fill_(0.7)
    assert penalty(view).item() == 0.7 * 2
    assert not penalty.state_dict()


def test_fp16_autocast_is_left_and_bf16_is_not():
    critic = nn.Linear(3, 1)
    seen = []

    def watched(x):
        out = critic(x)
        seen.append(out.dtype)
        return out.squeeze(1)

    real, fake = torch.randn(2, 4, 3)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype=dtype):
            assert GradientPenalty()(View(watched, real, fake)).dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]
