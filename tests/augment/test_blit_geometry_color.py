"""The augmentations of ADA."""

from functools import partial
from itertools import product
from math import cos, pi, sin

import numpy as np
import pytest
import torch
from conftest import MadeImages, fitted
from scipy import ndimage
from torch.testing import assert_close

from lightning_gans import GAN
from lightning_gans.augment import BlitGeometryColor
from lightning_gans.augment.warping import SYM6, blitted, warped
from lightning_gans.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gans.regularizers import R1

PARTS = {"blit": 0.0, "geometry": 0.0, "color": 0.0, "cutout": 0.0}


def only(part, p=1.0, value_range=(-1.0, 1.0)):
    augment = BlitGeometryColor(p, **{**PARTS, part: 1.0})
    augment.value_range = value_range
    return augment


def doubles(*rows):
    return torch.tensor([rows], dtype=torch.float64)


def four_sd(chance, number):
    """How far a share of so many coins may be from its chance."""
    return 4 * (chance * (1 - chance) / number) ** 0.5


# At 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 3, 6, 9), (2, 3, 1, 1)])
def test_without_a_probability_nothing_changes_to_the_bit(shape, dtype):
    images = torch.randn(shape).to(dtype)
    images[0] = -0.0
    found = BlitGeometryColor(0.0, cutout=1.0)(images)
    assert found.dtype == dtype
    assert torch.equal(found, images)
    assert torch.equal(found.signbit(), images.signbit())


def test_an_image_that_no_step_changes_stays_as_it_is_beside_others():
    images = torch.rand(500, 3, 8, 8)
    same = (BlitGeometryColor(0.1)(images) == images).flatten(1).all(1)
    assert 100 < same.sum() < 400


# Blit


def ways(image, most):
    """Every image that blit makes of one, with the share of p = 1 and p = 0 steps that make it."""
    _, height, width = image.shape
    quarters = range(4) if height == width else (0, 2)
    padded_by = [most[1], most[1], most[0], most[0]]
    for mirrored, turned in product((False, True), quarters):
        flipped = image.flip(2) if mirrored else image
        base = torch.rot90(flipped, -turned, (1, 2))
        padded = torch.nn.functional.pad(base[None], padded_by, mode="reflect")[0]
        moves = product(range(2 * most[0] + 1), range(2 * most[1] + 1))
        for row, column in moves:
            cut = padded[:, row : row + height, column : column + width]
            yield (mirrored, turned, row - most[0], column - most[1]), cut


@pytest.mark.parametrize("shape", [(8, 8), (8, 17), (9, 16)])
def test_blit_moves_pixels_as_they_are(shape):
    """Against turning, padding and cutting, image by image."""
    images = torch.randn(300, 2, *shape)
    found = only("blit")(images)
    most = [int(side / 8 + 0.5) for side in shape]
    made = []
    for image, result in zip(images, found, strict=True):
        made += [way for way, cut in ways(image, most) if torch.equal(result, cut)]
    assert len(made) == 300  # one way each
    for index, kinds in enumerate((2, 4 if shape[0] == shape[1] else 2, 3)):
        assert len({way[index] for way in made}) == kinds


def test_each_step_of_blit_is_taken_with_its_probability():
    """Half of all mirrorings, and a quarter of all turns, do nothing."""
    image, p, number = torch.randn(1, 8, 8), 0.4, 20_000
    found = only("blit", p)(image.expand(number, 1, 8, 8))
    counts = {
        way: (found == cut).flatten(1).all(1).sum().item() / number
        for way, cut in ways(image, [1, 1])
    }
    assert sum(counts.values()) == pytest.approx(1, abs=1e-12)
    share = lambda test: sum(value for way, value in counts.items() if test(way))  # noqa: E731
    # U(-1/8, 1/8) of 8 pixels rounds to -1, 0 and 1 with 1/4, 1/2 and 1/4.
    for chance, test in (
        (p / 2, lambda way: way[0]),
        *((p / 4, lambda way, turned=turned: way[1] == turned) for turned in (1, 2, 3)),
        (p * (1 - 1 / 4), lambda way: way[2:] != (0, 0)),
        (p / 16, lambda way: way[2:] == (-1, 1)),
    ):
        assert share(test) == pytest.approx(chance, abs=four_sd(chance, number))


def test_a_quarter_turn_is_exact():
    images = torch.randn(2, 3, 32, 32)
    turn = doubles([0, -1, 0], [1, 0, 0], [0, 0, 1]).float()
    assert torch.equal(blitted(images, turn.expand(2, 3, 3)), torch.rot90(images, 1, (2, 3)))


# Geometry


def test_the_filter_is_that_of_the_wavelet():
    """Orthogonal to itself moved by pairs of taps, and with six vanishing moments."""
    taps = np.array(SYM6)
    assert taps.sum() == pytest.approx(2**0.5, abs=1e-12)
    for move in range(6):
        product_ = (taps[2 * move :] * taps[: 12 - 2 * move]).sum()
        assert product_ == pytest.approx(float(move == 0), abs=1e-11)
    for power in range(6):
        moment = ((-1.0) ** np.arange(12) * np.arange(12.0) ** power * taps).sum()
        assert moment == pytest.approx(0, abs=1e-8)


def test_up_and_down_again_is_the_identity():
    images = torch.randn(3, 2, 7, 12, dtype=torch.float64)
    same = torch.eye(3, dtype=torch.float64).expand(3, 3, 3)
    assert_close(warped(images, same), images, rtol=0, atol=1e-11)


def smooth(rows, columns):
    """Two soft blots, by places from the middle of an image of 32 x 24 pixels."""
    one = np.exp(-((rows - 2) ** 2 + (columns + 1) ** 2) / 30)
    return one + 0.5 * np.exp(-((rows + 6) ** 2 + (columns - 5) ** 2) / 25)


MAPS = {
    "turn": doubles([cos(0.7), -sin(0.7), 1.3], [sin(0.7), cos(0.7), -0.4], [0, 0, 1]),
    "half turn": doubles([-1, 0, 0], [0, -1, 0], [0, 0, 1]),
    "half a pixel": doubles([1, 0, 0.5], [0, 1, 0], [0, 0, 1]),
    "stretch": doubles([0.8, 0, 0], [0, 1.25, 0], [0, 0, 1]),
    "far away": doubles([1, 0, 40.25], [0, 1, -70.5], [0, 0, 1]),
}


@pytest.mark.parametrize("name", MAPS)
def test_smooth_images_are_warped_as_by_splines(name):
    """With mirror images beyond the border, without end."""
    inverse = MAPS[name]
    rows, columns = np.arange(32) - 15.5, np.arange(24) - 11.5
    image = smooth(rows[:, None], columns[None])
    (a, b, c), (d, e, f), _ = inverse[0].tolist()
    source_columns = a * columns[None] + b * rows[:, None] + c + 11.5
    source_rows = d * columns[None] + e * rows[:, None] + f + 15.5
    places = [source_rows, source_columns]
    expected = ndimage.map_coordinates(image, places, order=5, mode="mirror")
    found = warped(torch.from_numpy(image)[None, None], inverse)[0, 0].numpy()
    assert np.abs(found - expected).max() < 0.01
    assert np.abs(expected - image).max() > 0.05


def test_fine_patterns_do_not_become_coarse_ones():
    """A checkerboard that shrinks to two thirds turns grey; to read pixels would keep it."""
    board = (torch.arange(48)[:, None] + torch.arange(48)) % 2 * 2.0 - 1
    shrunk = warped(board[None, None], doubles([1.5, 0, 0], [0, 1.5, 0], [0, 0, 1]).float())
    assert shrunk.abs().max() < 0.1


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_geometry_is_the_map_of_the_numbers_that_are_drawn(p):
    """The maps in their order, each with its own coin, and a turn with that of either."""
    number, side = 40, 16
    images = torch.randn(number, 2, side, side, dtype=torch.float64)
    torch.manual_seed(3)
    found = only("geometry", p)(images)
    torch.manual_seed(3)
    normal = lambda k=1: torch.randn(number, k, dtype=torch.float64)  # noqa: E731
    uniform = lambda k=1: torch.rand(number, k, dtype=torch.float64)  # noqa: E731
    either = 1 - (1 - p) ** 0.5
    steps = []
    for make, chance in (
        (lambda: 0.2 * normal(), p),
        (lambda: pi * (2 * uniform() - 1), either),
        (lambda: 0.2 * normal(), p),
        (lambda: pi * (2 * uniform() - 1), either),
        (lambda: normal(2) / 8 * side, p),
    ):
        values = make()
        fires = torch.rand(number, dtype=torch.float64) < chance
        steps.append((values * fires[:, None], fires))
    for index, (image, result) in enumerate(zip(images, found, strict=True)):
        if not any(fires[index] for _, fires in steps):
            assert torch.equal(image, result)
            continue
        size, before, stretch, after, move = (value[index].numpy() for value, _ in steps)
        forward = np.eye(3)
        for angle, scale in (
            (0, (2 ** size[0], 2 ** size[0])),
            (before[0], (1, 1)),
            (0, (2 ** stretch[0], 2 ** -stretch[0])),
            (after[0], (1, 1)),
        ):
            # An angle counts against the rows, which run down.
            turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
            forward[:2, :2] = turn @ np.diag(scale) @ forward[:2, :2]
        forward[:2, 2] = move
        inverse = torch.from_numpy(np.linalg.inv(forward))[None]
        assert_close(warped(image[None], inverse)[0], result, rtol=0, atol=1e-9)


def test_blit_and_geometry_are_one_map():
    """What blit moves out of the image is no mirror image when geometry moves it back."""
    number = 300
    image = torch.randn(1, 1, 16, 16, dtype=torch.float64).expand(number, 1, 16, 16)
    augment = BlitGeometryColor(1.0, color=0.0)
    torch.manual_seed(0)
    found = augment(image)
    torch.manual_seed(0)
    blit = only("blit")(image)
    geometry = only("geometry")(blit)
    differs = (found - geometry).flatten(1).abs().amax(1) > 1e-6
    assert differs.sum() > number / 2  # its borders were mirrored once more
    middle = (found - geometry)[:, :, 6:10, 6:10].flatten(1).abs().amax(1) < 1e-9
    assert middle.any()  # and where they are far away, all is the same


def test_the_share_of_warped_images_is_that_of_five_coins():
    p, number = 0.2, 4000
    images = torch.randn(number, 1, 8, 8)
    changed = (only("geometry", p)(images) != images).flatten(1).any(1).float().mean().item()
    chance = 1 - (1 - p) ** 4  # the two turns together are one coin
    assert changed == pytest.approx(chance, abs=four_sd(chance, number))


# Color


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_colors_are_those_of_the_matrices(channels, value_range):
    """The paper's matrices of homogeneous colors, of the numbers that are drawn."""
    number = 30
    images = torch.rand(number, channels, 4, 6, dtype=torch.float64)
    p = 0.7
    torch.manual_seed(1)
    found = only("color", p, value_range)(images)
    torch.manual_seed(1)
    drawn = []
    for kind in ("normal", "normal", "whole", "uniform", "normal"):
        make = torch.randn if kind == "normal" else torch.rand
        value = make(number, 1, dtype=torch.float64)[:, 0]
        drawn.append(value * (torch.rand(number, dtype=torch.float64) < p))
        if kind != "normal":
            drawn[-1] = torch.where(drawn[-1] == 0, 0.5 if kind == "uniform" else 0, drawn[-1])
    axis = np.ones(3) / 3**0.5
    along = np.outer(axis, axis)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    low, high = value_range
    for index, (image, result) in enumerate(zip(images, found, strict=True)):
        bright, contrast, flip, hue, saturation = (value[index].item() for value in drawn)
        angle = pi * (2 * hue - 1)
        matrix = np.eye(4)
        matrix[:3, 3] = 0.2 * bright
        for linear in (
            2 ** (0.5 * contrast) * np.eye(3),
            np.eye(3) - 2 * along * (flip >= 0.5),
            cos(angle) * np.eye(3) + sin(angle) * cross + (1 - cos(angle)) * along,
            along + 2**saturation * (np.eye(3) - along),
        ):
            step = np.eye(4)
            step[:3, :3] = linear
            matrix = step @ matrix
        scaled = (image.numpy().reshape(channels, -1) - low) / (high - low) * 2 - 1
        pixels = np.ones((4, scaled.shape[1]))
        pixels[:3] = scaled
        colored = (matrix @ pixels)[:3]
        expected = (colored if channels == 3 else colored.mean(0)[None]) / 2 + 0.5
        expected = torch.from_numpy(expected * (high - low) + low).reshape(image.shape)
        assert_close(result, expected, rtol=0, atol=1e-12)


def test_hue_and_saturation_leave_grey_images_as_they_are():
    """Brightness, contrast and mirrored brightness are what is left of a grey image."""
    grey = torch.rand(200, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(2)
    alone = only("color")(grey)
    torch.manual_seed(2)
    together = only("color")(grey.expand(-1, 3, -1, -1))
    assert_close(together, alone.expand(-1, 3, -1, -1), rtol=0, atol=1e-12)
    slope = (alone[:, 0, 0, 1] - alone[:, 0, 0, 0]) / (grey[:, 0, 0, 1] - grey[:, 0, 0, 0])
    assert 60 < (slope < 0).sum() < 140  # half are mirrored


def test_each_step_of_color_is_taken_with_its_probability():
    p, number = 0.3, 20_000
    found = only("color", p)(torch.zeros(number, 3, 1, 1, dtype=torch.float64))
    assert (found != 0).any(1).double().mean().item() == pytest.approx(p, abs=0.013)  # brightness
    moved = found[:, 0, 0, 0][found[:, 0, 0, 0] != 0]
    # N(0, 0.2^2) times 1, or 2^N(0, 0.5^2) with probability p.
    sd = 0.2 * (1 - p + p * np.exp(2 * (0.5 * np.log(2)) ** 2)) ** 0.5
    assert moved.std().item() == pytest.approx(sd, rel=0.03)
    colors = torch.rand(number, 3, 1, 1, dtype=torch.float64)
    same = (only("color", p)(colors) - colors).abs().amax(1) < 1e-9
    same = same.double().mean().item()
    chance = (1 - p) ** 4 * (1 - p / 2)  # half of all mirrorings do nothing
    assert same == pytest.approx(chance, abs=four_sd(chance, number))


def test_color_is_for_one_or_three_channels():
    expected = r"colors images of 1 or 3 channels, got 2. Use BlitGeometryColor\(color=0\)"
    with pytest.raises(ValueError, match=expected):
        BlitGeometryColor()(torch.zeros(1, 2, 8, 8))
    assert BlitGeometryColor(color=0)(torch.zeros(1, 2, 8, 8)).shape == (1, 2, 8, 8)


# Cutout


@pytest.mark.parametrize(("value_range", "fill"), [((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5)])
def test_a_square_around_any_point_is_cut_out(value_range, fill):
    number = 4000
    found = only("cutout", 0.5, value_range)(torch.full((number, 3, 16, 32), 7.0))
    assert set(found.unique().tolist()) == {fill, 7.0}
    cut = (found == fill).all(1)
    assert torch.equal(cut, (found == fill).any(1))
    rows, columns = cut.any(2), cut.any(1)
    assert torch.equal(cut, rows[:, :, None] & columns[:, None, :])
    taken = rows.any(1)
    assert taken.double().mean().item() == pytest.approx(0.5, abs=0.032)
    assert rows.sum(1)[taken].aminmax() == (4, 8)  # a half, or what is left of it at a border
    assert columns.sum(1)[taken].aminmax() == (8, 16)
    # Of U(0, 1) +- 1/4 a share of 7/16 is inside on average.
    assert rows[taken].double().mean().item() == pytest.approx(7 / 16, abs=0.01)


# In a model


def test_gradients_run_through_all_of_it():
    torch.manual_seed(0)
    images = torch.rand(3, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def augmented(x):
        torch.manual_seed(1)
        return BlitGeometryColor(0.6, cutout=1.0)(x)

    assert torch.autograd.gradcheck(augmented, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(augmented, images, fast_mode=True)


def test_half_precision_is_that_of_its_pixels_alone():
    images = torch.rand(50, 3, 16, 16).to(torch.bfloat16)
    torch.manual_seed(0)
    single = BlitGeometryColor()(images.float())
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        half = BlitGeometryColor()(images)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, single.to(torch.bfloat16))


def images_model(**arguments):
    return GAN(
        data_shape=(1, 16, 16),
        generator=partial(DCGANGenerator, width=4),
        discriminator=partial(DCGANDiscriminator, width=4, normalization=None),
        regularizers=[R1(0.1)],
        **arguments,
    )


@pytest.mark.slow
def test_compiled_it_is_the_same():
    images = torch.rand(8, 3, 12, 12)
    augment = BlitGeometryColor(cutout=1.0)
    compiled = torch.compile(
        lambda x: augment(x), fullgraph=True, options={"fallback_random": True}
    )
    for p in (0.3, 0.8):
        augment.p.fill_(p)
        torch.manual_seed(0)
        expected = augment(images)
        torch.manual_seed(0)
        assert_close(compiled(images), expected, rtol=1e-5, atol=1e-5)


def test_a_penalty_differentiates_through_it():
    model = images_model(augment=BlitGeometryColor(cutout=0.5))
    fitted(model, MadeImages(), max_steps=2, log_every_n_steps=1)
    assert model.last_logged["train/r1"] > 0


@pytest.mark.parametrize("name", ["p", "blit", "geometry", "color", "cutout"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(name, value):
    message = f"BlitGeometryColor: {name} must be from 0 to 1, got {value}. Use 1 to change every"
    with pytest.raises(ValueError, match=message):
        BlitGeometryColor(**{name: value})


def test_settings_are_shown_and_are_no_part_of_a_checkpoint():
    assert repr(BlitGeometryColor(0.25, color=0.5)) == (
        "BlitGeometryColor(p=0.25, blit=1, geometry=1, color=0.5, cutout=0)"
    )
    assert not BlitGeometryColor().state_dict()
