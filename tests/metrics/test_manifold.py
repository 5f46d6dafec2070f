"""Scores by nearest neighbours against closed forms, and against naive code."""

import math
from types import SimpleNamespace

import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer
from torch import nn
from torch.testing import assert_close

from datamodules import GaussianRing
from datamodules.images import ImageBytes
from lightning_gans import CGAN, GAN
from lightning_gans.callbacks import Evaluation
from lightning_gans.callbacks.drawing import beside_neighbours
from lightning_gans.metrics import (
    ClassFrechet,
    FeatureCoverage,
    FeatureScores,
    TrainingNeighbours,
    better,
    fitting_metrics,
    frechet_distance,
    judge_for,
    manifold,
    manifold_scores,
    meaning,
    nearest_neighbours,
)
from lightning_gans.metrics.base import to_unit
from lightning_gans.networks import MLPDiscriminator, MLPGenerator

NAMES = ("precision", "recall", "density", "coverage")


@pytest.fixture(params=[7, 2048], ids=["in tiles", "at once"])
def _tiles(request, monkeypatch):
    monkeypatch.setattr(manifold, "TILE", request.param)


def normal(number, features=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, features, dtype=torch.float64, generator=generator)


def column(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def naive(real, fake, k=3, k_density=5):
    """The four scores as they are defined, one pair of samples at a time."""

    def reach(samples, at):
        return [sorted(math.dist(x, y) for y in samples)[at] for x in samples]  # 0 is itself

    real, fake = real.tolist(), fake.tolist()
    wide, narrow, generated = reach(real, k), reach(real, k_density), reach(fake, k)
    distances = [[math.dist(y, x) for x in real] for y in fake]
    n, m = range(len(real)), range(len(fake))
    inside = [[distances[i][j] < narrow[j] for j in n] for i in m]
    return {
        "precision": sum(any(distances[i][j] <= wide[j] for j in n) for i in m) / len(fake),
        "recall": sum(any(distances[i][j] <= generated[i] for i in m) for j in n) / len(real),
        "density": sum(map(sum, inside)) / (k_density * len(fake)),
        "coverage": sum(any(inside[i][j] for i in m) for j in n) / len(real),
    }


def values(scores):
    return {name: float(value) for name, value in scores.items()}


# Nearest neighbours


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("in_parts", [False, True])
def test_the_nearest_points_are_found(in_parts):
    queries, points = normal(20), normal(33, seed=1)
    distances = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")
    expected = distances.sort(dim=1)
    given = iter(points.split((1, 20, 12))) if in_parts else points
    found, places = nearest_neighbours(queries, given, 4)
    assert_close(found, expected.values[:, :4])
    assert torch.equal(places, expected.indices[:, :4])


@pytest.mark.usefixtures("_tiles")
def test_a_point_is_no_neighbour_of_its_own_but_its_copies_are():
    points = column(0, 1, 5, 1, 20, 22, 21, 40, 9)
    found, places = nearest_neighbours(points, points, 2, exclude_self=True)
    assert found[[0, 1, 3, 7]].tolist() == [[1, 1], [0, 1], [0, 1], [18, 19]]
    assert (places[:, 0] != torch.arange(9)).all()
    assert nearest_neighbours(points, points, 1)[0].count_nonzero() == 0


def test_single_precision_does_not_part_copies_from_what_they_copy():
    points = 100 + normal(50, 30).float()
    found, places = nearest_neighbours(points[:9], points, 2)
    assert found[:, 0].tolist() == [0] * 9
    assert torch.equal(places[:, 0], torch.arange(9))
    exact = (points[:9] - points[places[:, 1]]).double().norm(dim=1)
    assert_close(found[:, 1], exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("queries", "points", "k", "text"),
    [
        (normal(3), normal(3), 0, "k must be at least 1, got 0"),
        (normal(3), normal(3), 3, "k = 3 neighbours need 4 points, got 3"),
        (normal(3), normal(3, 5), 1, r"points must have shape \(M, 4\), got \(3, 5\)"),
        (torch.zeros(3), normal(3), 1, r"queries must have shape \(N, F\), got \(3,\)"),
    ],
)
def test_neighbours_that_cannot_be_found_are_refused(queries, points, k, text):
    with pytest.raises(ValueError, match=text):
        nearest_neighbours(queries, points, k, exclude_self=True)


# The four scores


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1, 1), (0, 0.3), (0, 3)])
def test_the_scores_are_those_of_the_definitions(shift, scale):
    real, fake = normal(30), shift + scale * normal(25, seed=1)
    expected = naive(real, fake)
    assert values(manifold_scores(real, fake)) == pytest.approx(expected, abs=1e-12)
    assert 0 < min(expected["precision"], expected["recall"], expected["coverage"]) < 1
    other = naive(real, fake, 2, 1)
    assert values(manifold_scores(real, fake, k=2, k_density=1)) == pytest.approx(other, abs=1e-12)


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("points", [normal(40), torch.arange(40.0).unsqueeze(1)])
def test_equal_sets_score_1(points):
    """The k-th neighbour lies on the border, which the density does not count."""
    assert values(manifold_scores(points, points.flip(0))) == dict.fromkeys(NAMES, 1)


def test_sets_far_apart_score_0():
    assert values(manifold_scores(normal(20), 100 + normal(20))) == dict.fromkeys(NAMES, 0)


def test_one_of_two_clusters_is_precise_and_recalls_half():
    real = torch.cat([normal(30), 100 + normal(30, seed=1)])
    fake = real[:30].repeat(2, 1) + 1e-6 * normal(60, seed=2)
    scores = values(manifold_scores(real, fake))
    assert (scores["precision"], scores["coverage"]) == (1, 0.5)
    assert scores["recall"] <= 0.5
    assert values(manifold_scores(fake, real))["precision"] <= 0.5


def test_one_sample_again_and_again_is_precise_without_recall():
    real = column(*range(20))
    fake = torch.full((20, 1), 10.25, dtype=torch.float64)
    scores = values(manifold_scores(real, fake))
    assert (scores["precision"], scores["recall"]) == (1, 0)
    # It is in the balls of 8, ..., 12 and in part of the border of none: 5 neighbours reach 3.
    assert scores["density"] == naive(real, fake)["density"]
    assert scores["coverage"] == 6 / 20


def test_the_border_counts_for_precision_and_recall_only():
    real = column(0, 1, 2, 3)  # whose balls reach 3 at the ends, and 2 between them
    fake = column(6, 7, 8, 9)
    scores = values(manifold_scores(real, fake, k=3, k_density=3))
    assert scores == {"precision": 0.25, "recall": 0.25, "density": 0, "coverage": 0}


def test_samples_of_one_distribution_score_what_the_papers_expect():
    scores = values(manifold_scores(normal(1000, 2), normal(1000, 2, seed=1)))
    assert scores["density"] == pytest.approx(1, abs=0.05)
    assert scores["coverage"] == pytest.approx(1 - 2**-5, abs=0.015)
    assert min(scores["precision"], scores["recall"]) > 0.9


def test_a_value_that_is_not_finite_has_no_scores():
    fake = normal(10)
    fake[3, 2] = math.inf
    assert all(map(math.isnan, values(manifold_scores(normal(10), fake)).values()))


@pytest.mark.parametrize(
    ("real", "fake", "arguments", "text"),
    [
        (normal(5), normal(9), {}, "need at least 6 real and 4 fake samples, got 5 and 9"),
        (normal(6), normal(3), {}, "need at least 6 real and 4 fake samples, got 6 and 3"),
        (normal(9), normal(9), {"k": 0}, "k and k_density must be at least 1, got 0 and 5"),
        (normal(9), normal(9, 3), {}, r"shapes \(N, F\) and \(M, F\), got \(9, 4\) and \(9, 3\)"),
        (normal(9)[0], normal(9), {}, r"got \(4,\) and \(9, 4\)"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(real, fake, arguments, text):
    with pytest.raises(ValueError, match=text):
        manifold_scores(real, fake, **arguments)


def test_only_a_tile_of_the_distances_is_in_memory(monkeypatch):
    sizes = []

    def watched(a, b):
        sizes.append(len(a) * len(b))
        return squared_distances(a, b)

    squared_distances = manifold._squared_distances
    monkeypatch.setattr(manifold, "TILE", 100)
    monkeypatch.setattr(manifold, "_squared_distances", watched)
    manifold_scores(normal(350), normal(240))
    assert max(sizes) == 100 * 100
    assert sum(sizes) == 350 * 350 + 240 * 240 + 240 * 350


# On the features of a network


class Halves(nn.Module):
    """Two features of an image, the means of its left and of its right half, and logits."""

    def forward(self, images):
        left, right = images.chunk(2, 3)
        return torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], 1), images.flatten(1)


def noise(number=60, seed=0, shape=(1, 4, 4)):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(number, *shape, generator=generator) - 1


def halves(images):
    return Halves()(to_unit(images, (-1, 1)))[0]


def filled(metric, real, fake):
    for samples, is_real in ((real, True), (fake, False)):
        for part in samples.split(25):
            metric.update(part, real=is_real)
    return metric


def test_the_scores_are_of_as_many_features_of_both_kinds():
    real, fake = noise(), 0.5 * noise(50, seed=1)
    metric = filled(FeatureCoverage(Halves(), "halves"), real, fake)
    found = values(metric.compute())
    assert tuple(found) == metric.scores == tuple(f"{name}_halves" for name in NAMES)
    expected = naive(halves(real)[:50], halves(fake))
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=1e-12)
    metric.reset_generated()
    metric.update(real, real=False)
    assert set(values(metric.compute()).values()) == {1}


def test_what_has_no_features_is_refused():
    metric = FeatureCoverage(Halves(), "x")
    with pytest.raises(ValueError, match=r"needs images of shape \(N, C, H, W\), got .* \(3, 2\)"):
        metric.update(torch.zeros(3, 2), real=True)
    with pytest.raises(
        ValueError, match=r"features of shape \(2, F\) for 2 images, got \(2, 1, 4"
    ):
        FeatureCoverage(nn.Identity(), "x").update(noise(2), real=True)
    assert filled(metric, noise(9), noise(5)).compute() == {}


def digits(number=120, **arguments):
    data = MadeImages((1, 28, 28), number=number, **arguments)
    data.content = "digits"
    return data


def kinds(metrics):
    return [type(metric).__name__ for metric in metrics]


def test_digits_have_a_judge_and_other_data_has_none():
    judge, name = judge_for(digits())
    features, logits = judge(torch.rand(3, 1, 28, 28))
    assert (name, features.shape, logits.shape) == ("digits", (3, 64), (3, 10))
    assert judge_for(MadeImages()) is judge_for(GaussianRing()) is judge_for(None) is None
    assert "FeatureCoverage" in kinds(fitting_metrics(digits()))
    assert "FeatureCoverage" not in kinds(fitting_metrics(MadeImages()))


def test_names_with_endings_are_known():
    assert better("coverage_digits") == better("recall_x_a") == "high"
    assert better("class_fd_digits") == better("memorised_pixels") == "low"
    assert meaning("precision_digits_a") == meaning("precision") != ""


SMALL = {
    "data_shape": (1, 28, 28),
    "generator": lambda *a, **k: MLPGenerator(*a, hidden=[8], **k),
    "discriminator": lambda *a, **k: MLPDiscriminator(*a, hidden=[8], **k),
}


def test_training_is_without_the_slow_scores_and_scoring_has_them_with_floors():
    data, evaluation = digits(num_eval_samples=40), Evaluation()
    model = CGAN(**SMALL, num_classes=10)
    trainer = fitted(model, data, 1, limit_val_batches=1.0, callbacks=[evaluation])
    slow = {*(f"{name}_digits" for name in NAMES), "class_fd_digits"}
    assert "fd_digits" in evaluation.scores
    assert not slow & evaluation.scores.keys()
    trainer.validate(model, data, verbose=False)
    assert slow <= evaluation.scores.keys()
    assert slow <= evaluation.floors.keys()
    assert "memorised_digits" not in evaluation.scores
    judge = judge_for(data)[0]
    sets = [data.training.images[rows].float() / 255 for _, rows in data.held_out[:2]]
    expected = manifold_scores(*(judge(images)[0] for images in sets))
    assert [evaluation.floors[f"{name}_digits"] for name in NAMES] == pytest.approx(
        [float(value) for value in expected.values()]
    )


# Of each class


def test_classes_that_change_places_are_far_from_their_own():
    """The mean over the classes of each class' own distance."""
    images = 0.5 + 0.3 * noise(200, seed=1)
    labels = torch.arange(200) % 2
    images[labels == 1] *= -1
    whole, own = FeatureScores(Halves(), "x"), ClassFrechet(Halves(), "x")
    filled(whole, images, images)
    own.update(images, labels, real=True)
    own.update(images, labels, real=False)
    assert float(own.compute()["class_fd_x"]) < 1e-12
    own.reset_generated()
    for part in (slice(60), slice(60, None)):
        own.update(images[part], 1 - labels[part], real=False)
    assert abs(float(whole.compute()["fid_x"])) < 1e-6
    zeros, ones = (halves(images[labels == label]).double() for label in (0, 1))
    expected = frechet_distance(zeros.mean(0), zeros.T.cov(), ones.mean(0), ones.T.cov())
    assert values(own.compute()) == {"class_fd_x": pytest.approx(float(expected))}
    assert expected > 0.1


def test_classes_with_one_sample_are_left_out():
    metric = ClassFrechet(Halves(), "x")
    real, fake = noise(20), noise(20, seed=1)
    labels = torch.tensor([0] * 10 + [1] * 9 + [2])
    metric.update(real, labels, real=True)
    metric.update(fake, labels.clamp(max=1), real=False)
    distances = []
    for rows, others in ((slice(10), slice(10)), (slice(10, 19), slice(10, 20))):
        a, b = halves(real[rows]).double(), halves(fake[others]).double()
        distances.append(frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()))
    expected = float(sum(distances) / 2)
    assert values(metric.compute()) == {"class_fd_x": pytest.approx(expected)}
    metric.reset_generated()
    metric.update(fake[:1], labels[:1], real=False)
    assert metric.compute() == {}


def test_classes_need_labels_of_the_samples():
    metric = ClassFrechet(Halves(), "x")
    with pytest.raises(ValueError, match=r"4 samples need labels of shape \(4,\), got \(3,\)"):
        metric.update(noise(4), torch.zeros(3), real=True)
    with pytest.raises(ValueError, match="ClassFrechet needs data with labels"):
        metric.observe({"real": noise(4)}, real=True)
    with pytest.raises(ValueError, match="it needs real and generated images"):
        metric.compute()
    with_classes = SimpleNamespace(num_classes=10)
    assert "ClassFrechet" in kinds(fitting_metrics(digits(), with_classes))
    assert "ClassFrechet" not in kinds(fitting_metrics(digits(), SimpleNamespace()))


# Near copies of training images


def drawn(number, seed):
    """Random images whose two halves are near a line, in bytes."""
    generator = torch.Generator().manual_seed(seed)
    position = 220 * torch.rand(number, 1, 1, 1, generator=generator)
    spread = 30 * torch.rand(number, 1, 4, 4, generator=generator)
    return (position + spread).to(torch.uint8)


def as_samples(images):
    return images.float() / 127.5 - 1


@pytest.mark.parametrize("seed", [5, 6])
def test_copies_are_memorised_and_further_images_are_as_often_near_as_held_out_ones(seed):
    training, held_out, further = drawn(500, 1), drawn(2000, 2), drawn(2000, seed)
    metric = TrainingNeighbours(ImageBytes(training), nn.Flatten(), "pixels")
    filled(metric, as_samples(held_out), as_samples(further))
    assert float(metric.compute()["memorised_pixels"]) == pytest.approx(0.01, abs=0.007)
    assert metric.known_floors() == {"memorised_pixels": 0.01}
    metric.reset_generated()
    copies = as_samples(training).repeat(2, 1, 1, 1)
    half = torch.cat([copies, as_samples(255 - training).repeat(2, 1, 1, 1)])
    half[1000:] += 5  # beyond white: farther from every training image than any real image
    for share, fake in ((1, copies), (0.5, half)):
        metric.reset_generated()
        metric.update(fake, real=False)
        assert float(metric.compute()["memorised_pixels"]) == share


def test_the_border_is_the_first_percentile_of_the_held_out_distances():
    """On a line: training images at 0, held-out ones at 1, ..., 200, of which 2 are nearest."""

    def pixels(*grey):
        return torch.tensor(grey, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)

    metric = TrainingNeighbours(ImageBytes(pixels(0, 255)), nn.Flatten(), "x", (0.0, 255.0))
    metric.update(pixels(*range(1, 128), *range(128, 201)).float(), real=True)
    metric.update(pixels(1, 2, 3, 4, 127, 253, 252, 255).float(), real=False)
    # To 255 it is nearer from 128 on; of the 200 distances the least are 1, 2 and 3: 1 % is 2.99.
    assert float(metric.compute()["memorised_x"]) == 4 / 8
    assert metric.known_floors() == {"memorised_x": 2 / 200}


def test_the_picture_has_even_ranks_from_the_nearest_on():
    training = torch.arange(0, 250, 10, dtype=torch.uint8).reshape(-1, 1, 1, 1).repeat(1, 1, 2, 2)
    metric = TrainingNeighbours(ImageBytes(training), nn.Flatten(), "x", (0.0, 255.0))
    metric.update(torch.full((100, 1, 2, 2), 3.0), real=True)
    off = torch.tensor([14.0, 30, 52, 73])  # away from the nearest by 4, 0, 2 and 3
    metric.update(off.reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2), real=False)
    metric.compute()
    generated, near = (255 * images[..., 0, 0, 0] for images in metric.shown)
    assert generated.round().tolist() == [30, 52, 73, 14]
    assert near[:, :3].round().sort().values.tolist() == [
        *([20, 30, 40], [40, 50, 60], [60, 70, 80], [0, 10, 20]),
    ]
    assert near[:, 0].round().tolist() == [30, 50, 70, 10]
    picture = beside_neighbours(*metric.shown)
    assert (picture[16:, 6 + 8 + 30 :] == 255).all()
    picture = picture[16:, : 6 + 8 + 30]  # the title is wider
    assert picture.shape == (4 * 4 + 2, (4 + 2) + 8 + (7 * 4 + 2), 3)
    assert [picture[row, 2, 0] for row in (2, 6, 10, 14)] == [30, 52, 73, 14]
    assert [picture[2, column, 0] for column in (9, 16)] == [255, 30]


def test_few_images_and_data_without_training_images_are_refused():
    data = MadeImages(num_eval_samples=16)
    metric = filled(TrainingNeighbours.of(data), noise(99, shape=(1, 16, 16)), noise(2))
    with pytest.raises(ValueError, match="at least 100 of them and a generated one, got 99 and 2"):
        metric.compute()
    with pytest.raises(ValueError, match="neighbours: GaussianRing has no training images"):
        TrainingNeighbours.of(GaussianRing())


def test_values_that_are_not_finite_are_no_copies_and_not_drawn():
    metric = TrainingNeighbours(ImageBytes(drawn(9, 1)), nn.Flatten(), "x")
    filled(metric, noise(100), math.nan * noise(3))
    assert math.isnan(float(metric.compute()["memorised_x"]))
    assert metric.shown is None
    assert metric.known_floors() == {}


def test_large_images_are_compared_when_averaged_down():
    metric = TrainingNeighbours.of(MadeImages((1, 64, 48)))
    assert metric.scores == ("memorised_pixels",)
    images = torch.rand(2, 1, 64, 48)
    small = nn.functional.adaptive_avg_pool2d(images, 32).flatten(1)
    assert torch.equal(metric.features_of_unit(images), small)
    few = images[:, :, :28, :28]
    assert torch.equal(metric.features_of_unit(few), few.flatten(1))


def test_an_evaluation_looks_for_copies_if_asked_to():
    data = MadeImages(number=300, num_eval_samples=120)
    data.held_out = tuple((data.training, rows + 150) for _, rows in data.held_out)
    evaluation = Evaluation()
    evaluation.looks_for_copies = True
    trainer = quiet_trainer(1, limit_val_batches=1.0, callbacks=[evaluation])
    trainer.validate(GAN(**{**SMALL, "data_shape": (1, 16, 16)}), data, verbose=False)
    # Held-out images that are trained on, so that all are copies, and no generated one is.
    assert evaluation.scores["memorised_pixels"] == 0
    assert evaluation.floors["memorised_pixels"] == 1
    (metric,) = evaluation.training_neighbours().values()
    generated, near = metric.shown
    assert (generated.shape, near.shape) == ((8, 1, 16, 16), (8, 7, 1, 16, 16))
