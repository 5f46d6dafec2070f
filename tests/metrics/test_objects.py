"""The judge of photos, and what is scored with it."""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MadeImages
from made import fill
from PIL import Image

from datamodules import CIFAR10, ImageFolder
from datamodules.stream import generator_for
from lightning_gans import GAN
from lightning_gans.metrics import (
    LabelFidelity,
    ObjectQuality,
    fitting_metrics,
    frechet_distance,
    judge_for,
    object_judge,
)
from lightning_gans.metrics.base import to_unit
from lightning_gans.metrics.objects import OBJECT_JUDGE_FILE
from lightning_gans.randomness import EVALUATION_DATA

PHOTOS = Path(os.environ.get("LIGHTNING_GANS_DATA", "")) / "cifar10-train-jpeg.zip"
"""The training photos of CIFAR-10 as JPEG files, in a folder for each class."""


def record():
    return json.loads(OBJECT_JUDGE_FILE.with_suffix(".json").read_text())


def test_the_judge_is_small_and_says_how_it_was_made():
    content = OBJECT_JUDGE_FILE.read_bytes()
    assert len(content) <= 1_500_000
    assert record()["sha256"] == hashlib.sha256(content).hexdigest()
    assert record()["held_out_accuracy"] >= 0.85
    assert not object_judge().training
    assert not any(parameter.requires_grad for parameter in object_judge().parameters())


def test_the_distance_is_that_of_the_features():
    real, fake = (torch.rand(64, 3, 32, 32) ** k for k in (1, 3))
    metric = ObjectQuality((0.0, 1.0))
    for part in range(0, 64, 25):
        metric.update(real[part : part + 25], real=True)
        metric.update(fake[part : part + 25], real=False)
    features = [object_judge()(to_unit(images, (0, 1)))[0].double() for images in (real, fake)]
    expected = frechet_distance(*(m for f in features for m in (f.mean(0), f.T.cov())))
    assert float(metric.compute()["fd_objects"]) == pytest.approx(float(expected), rel=1e-5)
    assert expected > 0.5


def test_larger_images_are_averaged_down_to_those_the_judge_knows():
    small = torch.rand(4, 3, 32, 32)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    resized = torch.nn.functional.interpolate(large, (32, 32), mode="bilinear", antialias=True)
    features = object_judge()(large)[0]
    torch.testing.assert_close(features, object_judge()(resized)[0])
    assert features.shape == (4, 64)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 8, 40)])
def test_rgb_images_of_any_size_are_scored_and_others_are_not(shape):
    data = MadeImages(shape)
    kinds = [type(metric) for metric in fitting_metrics(data)]
    assert (ObjectQuality in kinds) is (shape[0] == 3)
    assert (judge_for(data) is not None) is (shape[0] == 3)
    by_class = GAN(data_shape=shape, num_classes=10)
    assert LabelFidelity not in map(type, fitting_metrics(data, by_class))


def test_what_is_not_rgb_is_refused():
    message = r"judges RGB images, shape \(N, 3, H, W\), got \(2, 1, 32, 32\)"
    with pytest.raises(ValueError, match=message):
        ObjectQuality().update(torch.zeros(2, 1, 32, 32), real=True)
    with pytest.raises(ValueError, match="needs at least 2 real images, got 0"):
        ObjectQuality().compute()


def test_photos_of_the_ten_classes_are_read_by_the_judge():
    fill(Path("photos"), classes=CIFAR10.classes)
    fill(Path("others"), classes=(*CIFAR10.classes[:-1], "zebra"))
    model = GAN(data_shape=(3, 32, 32), num_classes=10)
    contents, reads = [], []
    for name in ("photos", "others"):
        data = ImageFolder(name, 32)
        data.setup()
        contents.append(data.content)
        reads.append([m for m in fitting_metrics(data, model) if isinstance(m, LabelFidelity)])
    assert contents == [CIFAR10.content, None] == ["objects", None]
    (fidelity,), none = reads
    assert none == []
    images = torch.rand(40, 3, 32, 32) * 2 - 1
    decisions = object_judge()(to_unit(images, (-1, 1)))[1].argmax(1)
    assert torch.equal(fidelity.read(images), decisions)


@pytest.mark.skipif(not PHOTOS.is_file(), reason="the photos of CIFAR-10 are not here")
def test_the_judge_knows_photos_that_it_has_not_seen():
    with zipfile.ZipFile(PHOTOS) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        order = torch.randperm(len(names), generator=generator_for(0, EVALUATION_DATA, 0))
        chosen = [names[row] for row in order[:500]]  # of the images that ImageFolder holds out
        pixels = [np.array(Image.open(io.BytesIO(archive.read(name)))) for name in chosen]
    images = torch.from_numpy(np.stack(pixels)).movedim(-1, 1) / 255
    labels = torch.tensor([CIFAR10.classes.index(Path(name).parent.name) for name in chosen])
    right = float((object_judge()(images)[1].argmax(1) == labels).double().mean())
    accuracy = record()["held_out_accuracy"]
    assert right == pytest.approx(accuracy, abs=4 * (accuracy * (1 - accuracy) / 500) ** 0.5)
    assert len(names) == 50_000
