"""Augmentations."""

from functools import partial
from itertools import product

import pytest
import torch
from conftest import SMALL, MadeImages, fitted
from torch import nn
from torch.testing import assert_close

from lightning_gans import GAN
from lightning_gans.augment import DiffAugment, FlipAndShift, InstanceNoise
from lightning_gans.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gans.regularizers import BalancedConsistency, Consistency, View

# FlipAndShift


def test_every_image_is_mirrored_and_moved_with_a_mirrored_border():
    """Against padding and cutting, image by image."""
    images = torch.randn(200, 3, 8, 16)
    padded = torch.nn.functional.pad(images, (2, 2, 1, 1), mode="reflect")
    found = FlipAndShift()(images)
    made = set()
    for index, image in enumerate(found):
        for row in range(3):
            for column in range(5):
                cut = padded[index, :, row : row + 8, column : column + 16]
                for mirrored in (False, True):
                    if torch.equal(image, cut.flip(2) if mirrored else cut):
                        made.add((index, row, column, mirrored))
    assert len(made) == len({index for index, *_ in made}) == 200  # one way each
    assert len({way[1:] for way in made}) == 3 * 5 * 2  # and all ways are taken
    assert 70 < sum(way[3] for way in made) < 130


def test_the_gradient_of_each_pixel_is_how_often_it_is_read():
    images = torch.randn(4, 1, 8, 8, requires_grad=True)
    FlipAndShift()(images).sum().backward()
    assert images.grad.sum() == images.numel()
    assert images.grad[:, :, 2:-2, 2:-2].eq(1).all()


def test_no_shift_only_mirrors():
    images = torch.arange(2 * 4.0).reshape(1, 1, 2, 4).expand(50, 1, 2, 4)
    ways = {tuple(image.flatten().tolist()) for image in FlipAndShift(shift=0)(images)}
    assert ways == {(0, 1, 2, 3, 4, 5, 6, 7), (3, 2, 1, 0, 7, 6, 5, 4)}


@pytest.mark.parametrize("shift", [-0.1, 1.0, float("nan")])
def test_a_shift_out_of_range_is_refused(shift):
    with pytest.raises(ValueError, match=f"shift must be at least 0 and below 1, got {shift}"):
        FlipAndShift(shift)


# DiffAugment


def diff(policy, value_range=(-1.0, 1.0), p=1.0):
    augment = DiffAugment(policy, p)
    augment.value_range = value_range
    return augment


@pytest.mark.parametrize(("value_range", "width"), [((-1.0, 1.0), 1.0), ((0.0, 1.0), 0.5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_colors_change_as_in_the_authors_code(value_range, width, channels):
    images = torch.rand(50, channels, 4, 6, dtype=torch.float64)
    torch.manual_seed(1)
    found = diff("color", value_range)(images)
    torch.manual_seed(1)
    u, v, w = (torch.rand(50, dtype=torch.float64) for _ in range(3))
    for image, result, *drawn in zip(images, found, u, v, w, strict=True):
        bright = image + width * (drawn[0] - 0.5)
        grey = sum(bright) / channels
        saturated = grey + 2 * drawn[1] * (bright - grey)
        mean = saturated.mean()
        assert_close(result, mean + (drawn[2] + 0.5) * (saturated - mean), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("value_range", "width"), [((-1.0, 1.0), 1.0), ((0.0, 1.0), 0.5)])
def test_brightness_is_uniform_and_constant_images_stay_constant(value_range, width):
    images = torch.full((20_000, 3, 2, 2), 0.3, dtype=torch.float64)
    moved = (diff("color", value_range)(images) - 0.3).flatten(1)
    assert_close(moved, moved[:, :1].expand_as(moved), rtol=0, atol=1e-12)
    assert moved.mean().item() == pytest.approx(0, abs=0.01 * width)
    assert moved.std().item() == pytest.approx(width / 12**0.5, rel=0.02)


@pytest.mark.parametrize(("value_range", "fill"), [((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5)])
def test_images_move_by_up_to_an_eighth_and_the_rest_is_grey(value_range, fill):
    images = torch.randn(400, 2, 8, 16)
    padded = nn.functional.pad(images, (2, 2, 1, 1), value=fill)
    found = diff("translation", value_range)(images)
    made = set()
    for index, image in enumerate(found):
        for row, column in product(range(3), range(5)):
            if torch.equal(image, padded[index, :, row : row + 8, column : column + 16]):
                made.add((index, row, column))
    assert len(made) == len({index for index, *_ in made}) == 400  # one way each
    assert len({way[1:] for way in made}) == 3 * 5  # and all ways are taken


@pytest.mark.parametrize(
    ("side", "length", "centers"),
    # 28: as with 32; 6: an odd square, whose center is on a pixel.
    [(28, 14, range(29)), (6, 3, range(6))],
)
@pytest.mark.parametrize(("value_range", "fill"), [((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5)])
def test_a_square_of_half_the_side_is_cut_out(side, length, centers, value_range, fill):
    found = diff("cutout", value_range)(torch.full((2000, 1, side, side), 7.0))
    assert set(found.unique().tolist()) == {fill, 7.0}
    cut = found[:, 0] == fill
    rows, columns = cut.any(2), cut.any(1)
    assert torch.equal(cut, rows[:, :, None] & columns[:, None, :])
    places = torch.arange(side)
    expected = {
        tuple(((places >= c - length // 2) & (places < c - length // 2 + length)).tolist())
        for c in centers
    }
    for part in (rows, columns):
        assert {tuple(row.tolist()) for row in part} == expected


def test_the_share_that_is_cut_out_is_that_of_the_authors_code():
    cut = diff("cutout")(torch.ones(4000, 1, 32, 32)) == 0
    assert cut.double().mean().item() == pytest.approx(0.1864669421, abs=0.005)


def test_the_parts_of_a_policy_are_done_in_its_order():
    images = torch.rand(20, 1, 8, 8)
    cut_last, cut_first = (diff(way)(images).eq(0) for way in ("color,cutout", "cutout, color"))
    assert cut_last.flatten(1).sum(1).min() >= 4  # a quarter of the square at the least
    assert cut_first.sum() == 0


def test_the_gradient_runs_through_colors_moves_and_cuts():
    images = torch.randn(64, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    for policy in ("translation", "cutout"):
        augment = diff(policy)
        images.grad = None
        found = augment(images)
        found.sum().backward()
        assert set(images.grad.unique().tolist()) == {0.0, 1.0}
        assert (found != 0).sum() == images.grad.sum()

    def colored(x):
        torch.manual_seed(3)
        return diff("color")(x)

    few = images.detach()[:2, :, :2, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(colored, few)


def test_it_changes_a_share_of_the_images_and_none_where_p_is_0():
    images = torch.rand(3000, 1, 4, 4)
    augment = DiffAugment(p=0.0)
    assert torch.equal(augment(images), images)
    augment.p.fill_(0.3)
    changed = (augment(images) != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)
    augment.p.fill_(1.0)
    assert (augment(images) != images).flatten(1).any(1).all()


def test_noise_has_the_deviation_that_it_is_set_to():
    points = torch.zeros(20_000, 2)
    noise = InstanceNoise(0.5)
    assert noise(points).std().item() == pytest.approx(0.5, rel=0.02)
    noise.sd.fill_(0.0)
    assert torch.equal(noise(points), points)


def test_settings_that_schedules_move_are_no_part_of_a_checkpoint():
    assert not DiffAugment().state_dict()
    assert not InstanceNoise().state_dict()
    assert repr(DiffAugment("color", 0.5)) == "DiffAugment(policy=color, p=0.5)"
    assert repr(InstanceNoise(0.1)) == "InstanceNoise(sd=0.1)"


# In a model


def images_model(**arguments):
    return GAN(
        data_shape=(1, 16, 16),
        generator=partial(DCGANGenerator, width=4, output=nn.Sigmoid),
        discriminator=partial(DCGANDiscriminator, width=4, normalization=None),
        **arguments,
    )


def test_augmentations_are_told_the_range_of_the_data():
    consistent = Consistency(augment=DiffAugment())
    model = images_model(augment=DiffAugment(), regularizers=[consistent])
    assert model.augment.value_range == (-1.0, 1.0)
    fitted(model, MadeImages(value_range=(0.0, 1.0)), max_steps=1)
    assert model.augment.value_range == consistent.augment.value_range == (0.0, 1.0)


def test_consistency_compares_with_what_it_makes():
    real, fake = torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8)
    critic = lambda x: x.square().flatten(1).sum(1)  # noqa: E731
    view = View(critic, real, fake)
    assert BalancedConsistency(10, DiffAugment(p=0.0))(view) == 0
    torch.manual_seed(0)
    found = BalancedConsistency(10, DiffAugment())(view)
    torch.manual_seed(0)
    augment = DiffAugment()
    expected = sum((critic(x) - critic(augment(x))).square().mean() for x in (real, fake))
    assert found.item() == pytest.approx(10 * expected.item())


def test_the_generator_learns_through_the_augmentation():
    """Without a gradient through it there would be none at all."""
    model = images_model(augment=DiffAugment())
    before = [p.detach().clone() for p in model.generator.parameters()]
    fitted(model, MadeImages(value_range=(0.0, 1.0)), max_steps=1)
    assert all(
        not torch.equal(a, b) for a, b in zip(before, model.generator.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "colour"}, "DiffAugment: policy has 'colour', not one of color, tra"),
        ({"policy": ""}, "DiffAugment: policy has '', not one of color"),
        ({"p": 1.1}, "DiffAugment: p must be from 0 to 1, got 1.1. Use 1 to"),
        ({"p": -0.1}, "DiffAugment: p must be from 0 to 1, got -0.1"),
        ({"p": float("nan")}, "DiffAugment: p must be from 0 to 1, got nan"),
    ],
)
def test_a_policy_or_probability_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiffAugment(**arguments)


@pytest.mark.parametrize("augment", [DiffAugment(), FlipAndShift()])
def test_points_are_refused_before_training(augment):
    name = type(augment).__name__
    with pytest.raises(ValueError, match=f"augment: {name} is for images, but a sample has shape"):
        fitted(GAN(**SMALL, augment=augment))
