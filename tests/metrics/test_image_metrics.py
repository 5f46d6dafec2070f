"""Scores of images against closed forms, and against torchmetrics on its own."""

import hashlib
import json
import math
import os

import lightning.pytorch as pl
import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader
from torchmetrics.image.fid import FrechetInceptionDistance

from datamodules import MNIST
from lightning_gans import GAN
from lightning_gans.callbacks import Checkpoint, Evaluation
from lightning_gans.metrics import (
    DigitQuality,
    FeatureCoverage,
    FeatureScores,
    InceptionScores,
    PatchWasserstein,
    SlicedWasserstein,
    digit_judge,
    features,
    frechet_distance,
)
from lightning_gans.metrics.base import to_unit
from lightning_gans.metrics.digits import JUDGE_FILE
from lightning_gans.metrics.frechet import moments

REAL = os.environ.get("LIGHTNING_GANS_DATA")


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def scored(metric, real, fake):
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {name: float(value) for name, value in metric.compute().items()}


# The Frechet distance


def test_normal_distributions_on_a_line():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    distance = frechet_distance(double(1.0), double([4.0]), double(3.5), double([9.0]))
    assert_close(distance, torch.tensor(2.5**2 + 1.0, dtype=torch.float64))


def test_covariances_that_share_their_axes():
    """|m1 - m2|^2 + the sum of (s1 - s2)^2 over the axes, whatever way they are turned."""
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    a, b = turn @ torch.diag(double(1, 4, 9)) @ turn.T, turn @ torch.diag(double(4, 4, 0)) @ turn.T
    distance = frechet_distance(double(0, 0, 0), a, double(1, 2, 3), b)
    assert_close(distance, torch.tensor(14.0 + 1 + 0 + 9, dtype=torch.float64))


def test_the_cross_term_is_the_root_of_the_product():
    a, b = (torch.randn(5, 9, dtype=torch.float64) for _ in range(2))
    a, b = a @ a.T, b @ b.T
    root = torch.linalg.eigvals(a @ b).real.sqrt().sum()
    zero = torch.zeros(5, dtype=torch.float64)
    expected = a.trace() + b.trace() - 2 * root
    assert_close(frechet_distance(zero, a, zero, b), expected)
    assert_close(frechet_distance(zero, b, zero, a), expected)


def test_equal_distributions_have_no_distance_even_without_an_inverse():
    a = torch.randn(6, 3, dtype=torch.float64)
    mean = torch.randn(6, dtype=torch.float64)
    distance = frechet_distance(mean, a @ a.T, mean, a @ a.T)
    assert 0 <= distance < 1e-12


def test_what_is_not_finite_has_no_distance():
    eye = torch.eye(2, dtype=torch.float64)
    assert frechet_distance(double(0, math.nan), eye, double(0, 0), eye).isnan()
    assert frechet_distance(double(0, 0), eye, double(0, 0), eye * math.inf).isnan()


def test_moments_are_those_of_the_samples():
    x = 5 + torch.randn(40, 4, dtype=torch.float64)
    mean, covariance = moments(x.sum(0), x.T @ x, torch.tensor(40.0, dtype=torch.float64))
    assert_close(mean, x.mean(0))
    assert_close(covariance, x.T.cov())


# Scores on the features of a network


def halves(images):
    """Two features of an image: the means of its left and of its right half."""
    left, right = images.chunk(2, 3)
    return torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], 1)


class Halves(nn.Module):
    def forward(self, images):
        return halves(images)


def noise(number=300, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(number, 1, 4, 4, generator=generator) - 1


def test_equal_sets_of_images_score_0():
    scores = scored(FeatureScores(Halves(), "halves"), noise(), noise())
    assert set(scores) == {"fid_halves", "kid_halves", "is_halves"}
    assert abs(scores["fid_halves"]) < 1e-6
    assert abs(scores["kid_halves"]) < 0.01


def test_the_distance_is_that_of_the_features():
    real, fake = noise(), noise(seed=1) * 0.5 + 0.2
    scores = scored(FeatureScores(Halves(), "x"), real, fake)
    found = [halves(to_unit(images, (-1, 1))).double() for images in (real, fake)]
    expected = frechet_distance(
        found[0].mean(0), found[0].T.cov(), found[1].mean(0), found[1].T.cov()
    )
    assert scores["fid_x"] == pytest.approx(float(expected), rel=1e-4)
    alone = FrechetInceptionDistance(Halves(), input_img_size=(1, 4, 4), normalize=True)
    alone.update(to_unit(real, (-1, 1)), real=True)
    alone.update(to_unit(fake, (-1, 1)), real=False)
    assert scores["fid_x"] == pytest.approx(float(alone.compute()), rel=1e-4)


@pytest.mark.parametrize("real", [True, False])
def test_one_image_that_is_no_number_leaves_no_score(real):
    metric = FeatureScores(Halves(), "halves")
    images, broken = noise(20, seed=1), noise(20, seed=2)
    broken[7, 0, 1, 2] = torch.nan
    metric.update(broken, real=real)
    metric.update(images, real=not real)
    found = metric.compute()
    assert set(found) == {"fid_halves", "kid_halves", "is_halves"}
    assert all(value.isnan() for value in found.values())


@pytest.mark.parametrize("metric", [FeatureScores, FeatureCoverage])
def test_samples_that_are_no_images_are_refused(metric):
    with pytest.raises(ValueError, match=r"needs images of shape .* of shape \(4, 2\)"):
        metric(Halves(), "halves").update(torch.zeros(4, 2), real=True)


def test_the_kernel_distance_tells_sets_apart():
    same = scored(FeatureScores(Halves(), "x"), noise(), noise(seed=1))
    other = scored(FeatureScores(Halves(), "x"), noise(), noise(seed=1) * 0.2 + 0.7)
    assert abs(same["kid_x"]) < 1e-3 < 0.1 < other["kid_x"]


class Classes(nn.Module):
    """Sure of the class of an image, which is the number of its white pixels."""

    def forward(self, images):
        white = (images > 0.5).sum((1, 2, 3))
        return 50 * nn.functional.one_hot(white, 5).float()


@pytest.mark.parametrize("used", [1, 2, 5])
def test_the_inception_score_of_sure_and_even_classes_is_their_number(used):
    images = -torch.ones(used * 200, 1, 2, 2)
    for place in range(len(images)):
        images[place].view(-1)[: place % used] = 1
    scores = scored(FeatureScores(Classes(), "x"), images, images)
    # Ten random tenths of the images are not quite even.
    assert scores["is_x"] == pytest.approx(used, rel=0.05)


def test_scores_do_not_depend_on_the_state_of_chance():
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(scored(FeatureScores(Halves(), "x"), noise(), noise(seed=1)))
        state = torch.rand(1)
    assert found[0] == found[1]
    torch.manual_seed(2)
    assert torch.equal(torch.rand(1), state)


def test_a_reset_forgets_everything():
    metric = FeatureScores(Halves(), "x")
    first = scored(metric, noise(), noise(seed=1))
    metric.reset()
    with pytest.raises(ValueError, match="needs at least 2 real and 2 generated images, got 0"):
        metric.compute()
    assert scored(metric, noise(), noise(seed=1)) == first


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_networks_see_images_in_0_1_and_in_bytes(value_range):
    seen = []

    class Watch(nn.Module):
        def forward(self, images):
            seen.append(images)
            return halves(images)

    low, high = value_range
    metric = FeatureScores(Watch(), "x", value_range)
    metric.update(torch.full((2, 1, 4, 4), low), real=True)
    metric.update(torch.full((2, 1, 4, 4), high + 7), real=True)
    metric.update(torch.full((2, 1, 4, 4), low + (high - low) * 100.3 / 255), real=True)
    assert [float(images.mean()) for images in seen] == pytest.approx([0, 1, 100 / 255])


# Inception


def test_inception_needs_the_file_that_fid_is_defined_with(tmp_path):
    with pytest.raises(ValueError, match=r"inception_weights: there is no file none.*https://"):
        InceptionScores("none")
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"others")
    digest = hashlib.sha256(b"others").hexdigest()
    with pytest.raises(ValueError, match=f"the SHA-256 of {wrong} is {digest}, but that of"):
        InceptionScores(str(wrong))


def test_inceptions_features_and_logits_are_used(tmp_path, monkeypatch):
    """With weights made up here; the true ones cannot come with the project."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    path = tmp_path / "weights.pth"
    torch.save({}, path)
    monkeypatch.setattr(
        features, "INCEPTION_SHA256", hashlib.sha256(path.read_bytes()).hexdigest()
    )
    metric = InceptionScores(str(path))
    result = metric.feature(torch.rand(2, 1, 28, 28))
    assert [tuple(part.shape) for part in result] == [(2, 2048), (2, 1008)]
    pixels = (torch.rand(2, 3, 28, 28) * 255).round()
    direct = metric.feature.network(pixels.to(torch.uint8))
    assert torch.equal(metric.feature(pixels / 255)[0], direct[0])
    assert metric.scores == ("fid", "kid", "is")
    half = torch.rand(2, 1, 28, 28)
    half[1, 0, 3, 4] = torch.nan
    known = [part.isnan().all(1).tolist() for part in metric.feature(half)]
    assert known == [[False, True], [False, True]]


def test_evaluation_takes_inception_in_addition_and_refuses_a_wrong_file_at_once(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="inception_weights: the SHA-256"):
        fitted(
            GAN(data_shape=(1, 16, 16)),
            MadeImages(),
            max_steps=1,
            callbacks=[Evaluation(inception_weights=str(path))],
        )


def test_the_networks_of_metrics_are_in_no_checkpoint(tmp_path):
    model = GAN(data_shape=(1, 16, 16))
    metrics = [FeatureScores(Halves().double(), "x")]
    metrics[0].feature.weight = nn.Parameter(torch.zeros(1000))
    fitted(
        model,
        MadeImages(),
        max_steps=1,
        enable_checkpointing=True,
        limit_val_batches=1.0,
        callbacks=[Evaluation(metrics), Checkpoint("val/fid_x", dirpath=str(tmp_path))],
    )
    state = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    assert state.keys() == model.state_dict().keys()
    assert not any("feature" in name for name in state)


def test_floors_are_scored_after_and_apart_from_the_fakes(tmp_path):
    evaluation = Evaluation([FeatureScores(Halves(), "x")])
    data = MadeImages()
    fitted(
        GAN(data_shape=(1, 16, 16)),
        data,
        max_steps=1,
        limit_val_batches=1.0,
        callbacks=[evaluation],
    )
    sets = [
        torch.cat([data.normalize(batch[0]) for batch in data.evaluation_batches(index)])
        for index in range(2)
    ]
    assert evaluation.floors == scored(FeatureScores(Halves(), "x"), *sets)


class Counted(Halves):
    """Counts the images it sees."""

    count = 0

    def forward(self, images):
        Counted.count += len(images)
        return super().forward(images)


@pytest.mark.parametrize("sanity", [0, 1])
def test_real_images_go_through_the_network_once(sanity, monkeypatch):
    monkeypatch.setattr(Counted, "count", 0)
    metric = FeatureScores(Counted(), "x")
    evaluation = Evaluation([metric])
    found = []

    class Fresh(pl.Callback):
        """Scores every validation with a new metric."""

        def on_validation_start(self, *_):
            self.metric = FeatureScores(Halves(), "x")

        def on_validation_batch_end(self, trainer, module, outputs, *_):
            self.metric.update(outputs["real"], real=True)
            self.metric.update(outputs["fake"], real=False)

        def on_validation_end(self, trainer, module):
            if not trainer.sanity_checking:
                expected = {name: float(value) for name, value in self.metric.compute().items()}
                found.append((evaluation.scores, expected))

    data = MadeImages()
    data.eval_batch_size = 5
    trainer = fitted(
        GAN(data_shape=(1, 16, 16)),
        data,
        max_steps=3,
        limit_val_batches=1.0,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=sanity,
        callbacks=[evaluation, Fresh()],
    )
    assert len(found) == 3
    assert all(scores == expected for scores, expected in found)
    # 16 real ones once, 16 fakes three times, 16 for the floor; 5 and 5 for a sanity check.
    assert Counted.count == 16 * 5 + 10 * sanity
    trainer.test(trainer.lightning_module, datamodule=data, verbose=False)
    assert Counted.count == 16 * 8 + 10 * sanity
    assert evaluation.num_samples == 16


def test_real_images_of_a_loader_that_may_shuffle_are_read_anew(monkeypatch):
    monkeypatch.setattr(Counted, "count", 0)
    data = DataLoader(2 * torch.rand(16, 1, 16, 16) - 1, batch_size=4, shuffle=True)
    trainer = quiet_trainer(
        2,
        limit_val_batches=1.0,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=[Evaluation([FeatureScores(Counted(), "x")])],
    )
    trainer.fit(GAN(data_shape=(1, 16, 16)), data, data)
    assert Counted.count == 2 * (16 + 16)


def test_the_judge_forgets_generated_digits_only():
    real, first, second = torch.rand(3, 40, 1, 28, 28)
    metric = DigitQuality((0.0, 1.0))
    scored(metric, real, first)
    metric.reset_generated()
    with pytest.raises(ValueError, match="needs at least 2 fake images, got 0"):
        metric.compute()
    metric.update(second, real=False)
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == scored(DigitQuality((0.0, 1.0)), real, second)


def test_large_images_are_averaged_down_for_the_sliced_distance():
    fine = torch.rand(50, 3, 64, 48)
    coarse = nn.functional.avg_pool2d(fine, (4, 3))
    other = torch.rand(50, 3, 16, 16)
    first, second = SlicedWasserstein(), SlicedWasserstein()
    assert scored(first, fine, other) == pytest.approx(scored(second, coarse, other), rel=1e-4)


def test_patches_know_texture_and_neither_colour_nor_place():
    torch.manual_seed(0)
    tiles = torch.rand(20, 3, 2, 7, 2, 7)  # rows and columns of tiles, 7 x 7 pixels each
    images = tiles.reshape(20, 3, 14, 14)
    elsewhere = tiles.flip(2, 4).reshape(20, 3, 14, 14)
    colours = torch.rand(20, 3, 1, 1)
    assert scored(PatchWasserstein(), images, images)["sliced_w_patches"] == 0
    assert scored(PatchWasserstein(), images, elsewhere)["sliced_w_patches"] < 1e-6
    assert scored(PatchWasserstein(), images, images + colours)["sliced_w_patches"] < 1e-6
    assert scored(SlicedWasserstein(), images, images + colours)["sliced_w"] > 0.1
    assert scored(SlicedWasserstein(), images, elsewhere)["sliced_w"] > 0.1

    # Each patch of the one is v and of the other 0, so that it is about ||v|| / sqrt(d).
    pattern = torch.randn(3, 7, 7)
    pattern -= pattern.mean((1, 2), keepdim=True)
    textured = pattern.repeat(1, 2, 2).expand(20, -1, -1, -1)
    found = scored(PatchWasserstein(5000), textured, torch.ones(20, 3, 14, 14))["sliced_w_patches"]
    assert found == pytest.approx(float(pattern.norm()) / 147**0.5, rel=0.03)


def test_patches_of_the_first_images_only_are_kept():
    real, fake = torch.rand(2, 30, 1, 14, 21)
    some = PatchWasserstein(max_samples=60)  # six patches an image
    for start in range(0, 30, 8):
        some.update(real[start : start + 8], real=True)
        some.update(fake[start : start + 8], real=False)
    assert sum(map(len, some.real)) == 96
    found = {name: float(value) for name, value in some.compute().items()}
    assert found == scored(PatchWasserstein(), real[:10], fake[:10])


def test_images_smaller_than_a_patch_have_no_patches():
    assert PatchWasserstein.for_data(MadeImages((1, 6, 16)), None) == []
    assert len(PatchWasserstein.for_data(MadeImages((1, 7, 7)), None)) == 1


# The judge of digits


def test_the_judge_is_small_and_says_how_it_was_made():
    record = json.loads(JUDGE_FILE.with_suffix(".json").read_text())
    content = JUDGE_FILE.read_bytes()
    assert len(content) <= 1_000_000
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["test_accuracy"] >= 0.992
    assert not digit_judge().training
    assert not any(parameter.requires_grad for parameter in digit_judge().parameters())


def test_scores_of_digits_are_what_the_judge_says():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(64, 1, 28, 28, generator=generator) ** k for k in (1, 3))
    scores = scored(DigitQuality((0.0, 1.0)), real, fake)
    judged = [digit_judge()(to_unit(images, (0, 1))) for images in (real, fake)]
    moved = [(f.double().mean(0), f.double().T.cov()) for f, _ in judged]
    assert scores["fd_digits"] == pytest.approx(
        float(frechet_distance(*moved[0], *moved[1])), rel=1e-6
    )
    shares = [
        logits.argmax(1).bincount(minlength=10).double() / len(logits) for _, logits in judged
    ]
    assert scores["digit_tv"] == pytest.approx(float((shares[0] - shares[1]).abs().sum() / 2))
    assert scores["digit_ones"] == pytest.approx(float(shares[1][1]))
    entropy = -sum(share * math.log(share) for share in shares[1].tolist() if share)
    assert scores["digit_entropy"] == pytest.approx(entropy)
    sure = judged[1][1].softmax(1).max(1).values.mean()
    assert scores["digit_confidence"] == pytest.approx(float(sure), abs=1e-6)


def test_equal_digits_score_0_in_parts_as_in_one():
    images = torch.rand(60, 1, 28, 28)
    metric = DigitQuality((0.0, 1.0))
    for part in images.split(25):
        metric.update(part, real=True)
        metric.update(part, real=False)
    scores = metric.compute()
    assert 0 <= scores["fd_digits"] < 1e-9
    assert scores["digit_tv"] == 0


@pytest.mark.parametrize(
    ("real", "fake", "few"), [(64, 65, True), (65, 64, True), (65, 65, False)]
)
def test_fewer_images_than_features_are_told(real, fake, few, recwarn):
    images = torch.rand(real + fake, 1, 28, 28)
    scored(DigitQuality((0.0, 1.0)), images[:real], images[real:])
    told = [str(warning.message) for warning in recwarn]
    message = (
        f"DigitQuality: {real} real and {fake} generated images are too few for covariances of "
        "64 features, so the Frechet distance is biased. Use more than 64 held-out images."
    )
    assert told == [message] * few


def test_few_images_are_told_for_features_of_any_network(recwarn):
    images = torch.rand(8, 1, 2, 2)
    scored(FeatureScores(nn.Flatten(), "", (0.0, 1.0)), images[:4], images[4:])
    assert "FeatureScores: 4 real and 4 generated images are too few" in str(recwarn[0].message)


def test_images_that_are_no_digits_are_refused():
    with pytest.raises(
        ValueError, match=r"judges images of shape \(1, 28, 28\), got \(3, 32, 32\)"
    ):
        DigitQuality().update(torch.zeros(2, 3, 32, 32), real=True)
    with pytest.raises(ValueError, match="needs at least 2 real images, got 0"):
        DigitQuality().compute()


@pytest.mark.skipif(not REAL, reason="real MNIST is not here")
def test_the_judge_knows_real_digits():
    data = MNIST(REAL)
    data.setup()
    images, labels = data.held_out[0][0].images, data.held_out[0][0].labels
    with torch.no_grad():
        decisions = torch.cat(
            [digit_judge()(part / 255)[1].argmax(1) for part in images.split(1000)]
        )
    record = json.loads(JUDGE_FILE.with_suffix(".json").read_text())
    accuracy = float((decisions == labels).double().mean())
    assert accuracy == pytest.approx(record["test_accuracy"], abs=3e-4)
    assert accuracy >= 0.992
