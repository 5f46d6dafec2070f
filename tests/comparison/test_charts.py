"""Charts: where lines, bands and crosses are, and that they are small and safe."""

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from made_runs import made_run
from PIL import Image
from scipy import stats

from lightning_gans.comparison.charts import Line, curves, distributions, layers
from lightning_gans.comparison.points import points
from lightning_gans.comparison.reading import read_run

X = np.array([100.0, 200.0, 300.0])
SVG = "{http://www.w3.org/2000/svg}"


def chart(*cells, **arguments):
    text = curves(cells, **{"name": "x", "about": "a chart", "x_label": "updates", **arguments})
    return ElementTree.fromstring(text)


def places(element):
    """Returns the points of the first path in a group, which are differences."""
    x = y = 0.0
    found = []
    path = next(element.iter(f"{SVG}path")).get("d")
    for command, numbers in re.findall(r"([Ml])([^Mlz]+)", path):
        dx, dy = map(float, re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", numbers))
        x, y = (dx, dy) if command == "M" else (x + dx, y + dy)
        found.append((x, y))
    return np.array(found)


def groups(root, name):
    return [group for group in root.iter(f"{SVG}g") if group.get("class") == name]


def axis(root):
    """Returns what maps values to pixels, from labels of the axis and the lines beside them."""
    texts = [t.text for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    values = [float(text.replace("\u2212", "-").replace(",", "")) for text in texts]
    lines = [g for g in root.iter(f"{SVG}g") if len(g) == 1 and "line)" in g[0].get("style", "")]
    flat = [ends[0, 1] for ends in map(places, lines) if ends[0, 1] == ends[1, 1]]
    slope, offset = np.polyfit(values, flat[: len(values)], 1)
    return lambda value: slope * value + offset


def line(y, x=X, **arguments):
    return Line(np.asarray(x, float), np.asarray(y, float), **{"averaged": True, **arguments})


def test_a_mean_is_drawn_between_the_least_and_the_greatest_of_few_seeds():
    root = chart(("gan", [line([0, 4, 8]), line([2, 4, 6]), line([4, 4, 10])]))
    at = axis(root)
    band, mean = groups(root, "c0")
    np.testing.assert_allclose(places(mean)[:, 1], [at(2), at(4), at(8)], atol=0.15)
    low, high = np.array([0, 4, 6]), np.array([4, 4, 10])
    shape = places(band)
    heights = [shape[np.isclose(shape[:, 0], x, atol=0.15), 1] for x in places(mean)[:, 0]]
    found = [(min(part), max(part)) for part in heights]
    offset = 230  # it is drawn from below
    np.testing.assert_allclose([b + offset for _, b in found], [at(v) for v in low], atol=0.15)
    np.testing.assert_allclose([a + offset for a, _ in found], [at(v) for v in high], atol=0.15)
    assert [group.find(f"{SVG}title").text for group in (band, mean)] == ["gan", "gan"]


def test_the_band_of_five_seeds_is_an_interval_of_the_mean():
    values = np.random.default_rng(0).normal(5, 1, (5, 3))
    root = chart(("gan", [line(y) for y in values]))
    at = axis(root)
    band, mean = groups(root, "c0")
    shape = places(band)
    for place, x in enumerate(places(mean)[:, 0]):
        mine = values[:, place]
        low, high = stats.t.interval(0.95, 4, mine.mean(), stats.sem(mine))
        heights = shape[np.isclose(shape[:, 0], x, atol=0.15), 1] + 230
        assert (min(heights), max(heights)) == pytest.approx((at(high), at(low)), abs=0.15)


def test_the_mean_ends_where_the_first_seed_does_and_leaves_failed_runs_out():
    failed = line([50, 60], [100, 200], averaged=False, end="seed 2 failed: <loss>")
    longer = line([1, 2, 3, 4], [100, 200, 300, 400])
    root = chart(("gan", [line([3, 2, 1]), longer, failed]))
    _, mean, cross = groups(root, "c0")
    found = places(mean)
    np.testing.assert_allclose(found[:, 1], found[0, 1], atol=0.15)  # the mean is always 2
    assert len(found) == 3
    assert cross.find(f"{SVG}title").text == "gan, seed 2 failed: <loss>"
    use = next(cross.iter(f"{SVG}use"))
    assert float(use.get("y")) == pytest.approx(10, abs=0.2)  # beyond the axis, at its edge


def test_seeds_with_places_of_their_own_are_interpolated():
    root = chart(("gan", [line([0, 10], [0, 100]), line([10, 0], [0, 50])]))
    at = axis(root)
    _, mean = groups(root, "c0")
    assert places(mean)[-1, 1] == pytest.approx(at((5 + 0) / 2), abs=0.15)


def test_a_cell_without_rows_leaves_its_colour_to_nobody():
    root = chart(("none", []), ("gan", [line([1, 2, 3])]))
    assert groups(root, "c0") == []
    assert "var(--c1)" in ElementTree.tostring(groups(root, "c1")[0], encoding="unicode")


def test_lines_have_at_most_400_points_and_keep_their_extremes():
    y = np.random.default_rng(0).normal(size=20_000)
    y[7_777], y[12_345] = 9.0, -9.0
    root = chart(("gan", [line(y, np.arange(20_000))]))
    found = places(groups(root, "c0")[0])
    at = axis(root)
    assert len(found) <= 400
    assert found[:, 1].min() == pytest.approx(at(9), abs=0.15)
    assert found[:, 1].max() == pytest.approx(at(-9), abs=0.15)
    assert (found[0, 1], found[-1, 1]) == pytest.approx((at(y[0]), at(y[-1])), abs=0.15)


def test_the_thin_lines_of_all_seeds_are_one_picture():
    cells = [(f"cell {i}", [line(np.arange(3) + seed + i) for seed in range(3)]) for i in range(3)]
    (image,) = chart(*cells).iter(f"{SVG}image")
    assert image.get("class") == "seeds"
    with Image.open(BytesIO(b64decode(image.get("href").partition(",")[2]))) as picture:
        assert picture.mode == "P"
        pixels = np.asarray(picture.convert("RGBA"))
    assert pixels[..., 3].min() == 0
    assert 50 < pixels[..., 3].max() < 255


def test_distances_over_magnitudes_have_a_logarithmic_axis():
    cells = [("gan", [line([100, 10, 1])])]
    texts = [t.text for t in chart(*cells, is_distance=True, floor=0.0001).iter(f"{SVG}text")]
    assert {"1", "10", "100"} <= set(texts)
    assert "0.001" not in texts  # what real data scores is far below
    texts = [t.text for t in chart(*cells, is_distance=False).iter(f"{SVG}text")]
    assert {"0", "25", "50"} <= set(texts)


def test_what_real_data_scores_is_dashed():
    root = chart(("gan", [line([1, 2, 3])]), floor=0.5)
    (dashed,) = (
        g for g in root.iter(f"{SVG}g") if len(g) and "dasharray" in g[0].get("style", "")
    )
    np.testing.assert_allclose(places(dashed)[:, 1], axis(root)(0.5), atol=0.15)


def test_identifiers_begin_with_the_name_of_the_chart_and_colours_are_those_of_the_page():
    text = curves([("gan", [line([1, 2, 3])])], name="s1", about='<&">', x_label="x", floor=1.0)
    assert set(re.findall(r'id="([^"]+?)-', text)) == {"s1"}
    used = set(re.findall(r"#([\w-]+)", text))
    assert used == set(re.findall(r'id="([^"]+)"', text))
    assert not re.search(r"#[0-9a-f]{6}\b(?!-)", re.sub(r'base64,[^"]*', "", text))
    assert ElementTree.fromstring(text).get("aria-label") == '<&">'
    assert "<style" not in text


def test_charts_are_the_same_whatever_matplotlib_is_set_to():
    cells = [("gan", [line([1, 2, 3]), line([2, 3, 4])])]
    before = curves(cells, name="x", about="x", x_label="x")
    with mpl.rc_context({"lines.linewidth": 7, "font.size": 30, "svg.fonttype": "path"}):
        assert curves(cells, name="x", about="x", x_label="x") == before


def test_a_ridge_has_a_row_for_each_cell():
    edges = np.arange(-3.0, 2.0)
    rows = [
        (0, "<b>", np.array([0, 0.5, 0.5, 0]), 0.25),
        (2, "$\\frac", np.array([0, 0, 1, 0]), 0.0),
    ]
    root = ElementTree.fromstring(distributions(rows, edges, name="w", about="weights"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"<b>", "$\\frac", "25.0% exactly 0"} <= set(texts)
    filled = [
        p.get("style") for p in root.iter(f"{SVG}path") if "fill: var(--c" in p.get("style", "")
    ]
    assert [re.search(r"--c\d", style)[0] for style in filled] == ["--c0", "--c2"]


def test_layers_have_a_point_for_each_tensor():
    text = layers([(0, "gan", [0.1, 0.2, 0.3]), (1, "wgan", [3.0])], name="l", about="layers")
    root = ElementTree.fromstring(text)
    assert len(places(groups(root, "c0")[0])) == 3
    assert groups(root, "c1")[0].find(f"{SVG}title").text == "wgan"


def test_a_score_after_the_last_row_of_training_has_a_place_in_all_units():
    """A last update that is in no row, since rows are written in each fiftieth."""
    folder = made_run(Path("run"), scores={"w1": [3.0, 2.0]}, steps=(100, 200))
    with (folder / "metrics.csv").open("a") as file:
        file.write("210,,,1.0\n")
    run = read_run(folder)
    for unit, last in (("updates", 210), ("images", 256 * 210), ("seconds", 21.0)):
        places, values = points(run, "w1", unit, [])
        assert values.tolist() == [3.0, 2.0, 1.0]
        assert places[-1] == pytest.approx(last)


def test_a_curve_is_drawn_over_updates_images_and_seconds():
    run = read_run(made_run(Path("run"), 2))
    for unit, x in (("updates", X), ("images", 256 * X), ("seconds", X / 12)):
        found = points(run, "sliced_w", unit, [])
        np.testing.assert_allclose(found, (x, [3.0, 2.0, 3.0]))
    assert [len(part) for part in points(run, "w1", "updates", [])] == [0, 0]


def test_a_forked_run_begins_on_the_curve_of_its_parent():
    parent = read_run(made_run(Path("parent"), 0, scores={"w1": [5.0, 4.0, 3.0]}))
    about = {"folder": str(Path("parent").absolute()), "updates": 200}
    made_run(Path("child"), 1, scores={"w1": [2.0, 1.0]}, steps=(300, 400), parent=about)
    child = read_run(Path("child"))
    found = points(child, "w1", "updates", [parent, child])
    np.testing.assert_allclose(found, ([200, 300, 400], [4.0, 2.0, 1.0]))
    found = points(child, "w1", "images", [parent, child])
    np.testing.assert_allclose(found[0], [256 * 200, 256 * 300, 256 * 400])
    np.testing.assert_allclose(points(child, "w1", "updates", [child])[0], [300, 400])
