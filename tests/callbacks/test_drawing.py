"""Pictures show the data's range, whatever values they are given."""

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gans.callbacks import drawing
from lightning_gans.callbacks.drawing import to_bytes
from lightning_gans.callbacks.pictures import draw
from lightning_gans.core.showing import Grid


@pytest.mark.parametrize(
    ("value", "value_range", "byte"),
    [
        (-1.0, (-1.0, 1.0), 0),
        (0.0, (0.0, 1.0), 0),
        (1.0, (-1.0, 1.0), 255),
        (1.0, (0.0, 1.0), 255),
        (0.0, (-1.0, 1.0), 128),
        (0.5, (0.0, 1.0), 128),
        (-3.0, (-1.0, 1.0), 0),
        (7.0, (0.0, 1.0), 255),
    ],
)
def test_a_constant_generator_is_drawn_by_the_range_of_the_data(value, value_range, byte):
    """A picture scaled by its own least and greatest value would show all of these alike."""
    images = torch.full((4, 1, 5, 5), value)
    assert to_bytes(images, value_range).unique().tolist() == [byte]
    grid = drawing.image_grid(images, value_range, columns=2)
    assert grid.dtype == np.uint8
    assert grid.shape == (2 * 7 + 2, 2 * 7 + 2, 3)
    assert (grid[2:7, 2:7] == byte).all()
    assert (grid[:2] == 255).all()


def test_images_are_in_rows_from_left_to_right():
    images = torch.arange(6.0).div(5).view(6, 1, 1, 1).expand(6, 3, 2, 2)
    grid = drawing.image_grid(images, (0.0, 1.0), columns=3)
    assert [int(grid[2 + 4 * r, 2 + 4 * c, 0]) for r in range(2) for c in range(3)] == [
        *(0, 51, 102),
        *(153, 204, 255),
    ]


def colours(picture):
    return {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


RED, GREY = (214, 39, 40), (154, 154, 154)


def test_points_show_both_kinds_where_they_are():
    real, fake = torch.full((50, 2), -0.5), torch.full((50, 2), 0.5)
    picture = drawing.points(fake, real, (-1.0, 1.0), title="t")
    height = len(picture)
    rows = {}
    for colour in (RED, GREY):
        found = np.where((picture == colour).all(2))[0]
        rows[colour] = np.median(found[found > height * 0.25])  # below the legend
    assert rows[RED] < height / 2 < rows[GREY]
    assert {RED, GREY} <= colours(picture)


def test_a_point_keeps_its_place_whatever_the_others():
    """The axes follow the range, not the points."""
    single = drawing.points(torch.tensor([[0.2, 0.1]]), torch.empty(0, 2), (-1.0, 1.0))
    spots = np.where((single == RED).all(2))
    far = torch.tensor([[0.2, 0.1], [50.0, 50.0]])
    again = np.where((drawing.points(far, torch.empty(0, 2), (-1.0, 1.0)) == RED).all(2))
    assert all((a == b).all() for a, b in zip(spots, again, strict=True))


def test_ways_are_lines_of_their_own_colours_with_a_circle_where_they_begin():
    ends, heights = torch.tensor([-0.5, 0.5]), torch.tensor([[0.5], [-0.5]])
    places = torch.stack([ends.expand(2, 2), heights.expand(2, 2)], 2)
    picture = drawing.ways(places, (-1.0, 1.0))
    means = []
    for colour in ((31, 119, 180), (255, 127, 14)):  # the first two of matplotlib's
        rows, columns = np.where((picture == colour).all(2))
        assert rows.max() - rows.min() > 6  # the circle is higher than the line
        at_start, at_end = columns < columns.min() + 10, columns > columns.max() - 10
        assert np.ptp(rows[at_start]) > 2 * np.ptp(rows[at_end])
        assert (np.diff(np.unique(columns)) == 1).mean() > 0.95  # from one end to the other
        means.append(rows.mean())
    assert means[0] < len(picture) / 2 < means[1]


def test_level_sets_are_those_of_the_function():
    """The score x is dark on the left and bright on the right."""
    empty = torch.empty(0, 2)
    picture = drawing.level_sets(lambda x: x[:, 0], empty, empty, (-1.0, 1.0)).astype(int)
    middle = picture[picture.shape[0] // 2].sum(1)
    left, right = middle[int(0.15 * len(middle))], middle[int(0.6 * len(middle))]
    assert left < right
    picture = drawing.level_sets(lambda x: x[:, 1], empty, empty, (-1.0, 1.0)).astype(int)
    middle = picture[:, int(0.4 * picture.shape[1])].sum(1)
    assert middle[int(0.15 * len(middle))] > middle[int(0.8 * len(middle))]


def test_a_flat_function_has_a_picture_too():
    empty = torch.empty(0, 2)
    assert drawing.level_sets(lambda x: 0 * x[:, 0], empty, empty, (-1.0, 1.0)).any()


def test_functions_side_by_side_have_the_same_colours_and_grey_where_there_is_nothing():
    empty = torch.empty(0, 2)

    def hole(x):
        return (0 * x[:, 0] + 0.5).masked_fill(x[:, 0] < 0, torch.nan)

    parts = [(score, empty, empty, "") for score in (lambda x: 0 * x[:, 0] + 0.5, hole)]
    picture = drawing.beside(parts, (-1.0, 1.0), (0.0, 1.0))
    height, width, _ = picture.shape
    whole, left, right = (picture[height // 2, int(x * width)] for x in (0.3, 0.55, 0.8))
    assert (left == 0xE6).all()
    assert (whole == right).all()
    assert (whole != left).any()


def test_profiles_are_uint8_and_not_empty():
    vectors = torch.rand(10, 4)
    picture = drawing.profiles(vectors, vectors, (0.0, 1.0))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert len(colours(picture)) > 5


def test_pictures_of_different_height_stand_side_by_side():
    left, right = np.zeros((10, 4, 3), np.uint8), np.full((4, 6, 3), 7, np.uint8)
    both = drawing.side_by_side(left, right)
    assert both.shape == (10, 10, 3)
    assert (both[:4, 4:] == 7).all()
    assert (both[4:, 4:] == 255).all()


def test_a_title_stands_above_a_grid_and_changes_no_image():
    images = torch.rand(6, 1, 8, 8)
    plain, titled = (drawing.image_grid(images, (0, 1), title=title) for title in ("", "real"))
    assert (titled[-len(plain) :] == plain).all()
    strip = titled[: len(titled) - len(plain)]
    assert 0 < (strip < 128).mean() < 0.5
    wide = drawing.image_grid(images, (0, 1), title="a title that is wider than its images")
    assert wide.shape[1] > plain.shape[1]
    assert (wide[-len(plain) :, : plain.shape[1]] == plain).all()
    assert (wide[:, -2:] == 255).all()
    noted = draw(Grid(images, 8, "real"), (0.0, 1.0), title="update 3")
    assert np.array_equal(noted, titled)


def test_files_hold_what_was_drawn(tmp_path):
    frames = []
    for index in range(3):
        picture = np.full((8, 8, 3), 80 * index, np.uint8)
        drawing.save_picture(picture, tmp_path / "deep" / f"{index}.png")
        frames.append(drawing.read_png(tmp_path / "deep" / f"{index}.png"))
        assert (frames[-1] == picture).all()
    drawing.save_gif(frames, tmp_path / "all.gif", seconds=1.2)
    with Image.open(tmp_path / "all.gif") as animation:
        assert animation.n_frames == 3
        for index in range(3):
            animation.seek(index)
            shown = np.asarray(animation.convert("RGB"))
            assert abs(int(shown[4, 4, 0]) - 80 * index) <= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.gif", "deep"]


def test_a_title_is_no_formula():
    """It may have the path of a checkpoint, with any characters."""
    shown, plain = (
        drawing.points(torch.zeros(3, 2), torch.ones(3, 2), (-1.0, 2.0), title=title)
        for title in ("a $x_$", "")
    )
    assert shown.shape == plain.shape
    assert (shown != plain).any()
