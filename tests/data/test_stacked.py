"""Three digits in the channels of one image."""

import math
import os

import pytest
import torch
from made import make_digits
from torch.testing import assert_close

from datamodules import StackedMNIST
from lightning_gans.metrics import StackedModes, digit_judge, fitting_metrics, judge_for

REAL = os.environ.get("LIGHTNING_GANS_DATA")


def made(**arguments):
    make_digits("data")
    data = StackedMNIST("data", num_eval_samples=70, **arguments)
    data.prepare_data()
    data.setup()
    return data


def row_of(channel, digits):
    """The place of a digit in a set; those that are made here all differ."""
    (found,) = (digits.images[:, 0] == channel).flatten(1).all(1).nonzero().flatten().tolist()
    return found


@pytest.mark.parametrize("size", [28, 32])
def test_channels_are_training_digits_and_the_label_is_their_number(size):
    data = made(size=size)
    border = (size - 28) // 2
    digits = data.digits.training
    images, labels = data.training_batches(3, 50, 0, 1)(4)
    assert images.dtype == torch.uint8
    assert images.shape == (50, *data.data_shape) == (50, 3, size, size)
    inner = images[:, :, border : size - border, border : size - border]
    rows = torch.tensor([[row_of(channel, digits) for channel in image] for image in inner])
    parts = digits.labels[rows]
    assert labels.tolist() == [int("".join(map(str, three))) for three in parts.tolist()]
    assert int(images.sum()) == int(inner.sum())  # the border is empty
    assert len({tuple(row) for row in rows.tolist()}) == 50
    assert len(set(rows.flatten().tolist())) > 45  # of 60 digits, 150 draws
    shown = data.on_after_batch_transfer((images, labels), 0)[0]
    assert_close(shown, images.float() / 127.5 - 1)


def test_batches_depend_on_seed_position_and_process_only():
    data = made()

    def batch(seed, position, rank, ranks):
        return data.training_batches(seed, 8, rank, ranks)(position)[0]

    first = batch(0, 5, 1, 2)
    assert torch.equal(first, batch(0, 5, 1, 2))
    for other in ((1, 5, 1, 2), (0, 6, 1, 2), (0, 5, 0, 2)):
        assert not torch.equal(first, batch(*other))
    assert data.epoch_length(8, 2) == 60 // 16
    assert data.epoch_length(100, 1) == 1


def test_evaluation_sets_are_fixed_and_shared_by_processes(monkeypatch):
    data = made()

    def served(index, ranks=1):
        parts = [data.evaluation_batches(index, rank, ranks) for rank in range(ranks)]
        return torch.cat([images for part in parts for images, _ in part])

    before = [served(index) for index in range(3)]
    monkeypatch.setenv("PL_GLOBAL_SEED", "9")
    assert [len(part) for part in before] == [70, 70, 70]
    for index in range(3):
        assert torch.equal(served(index), before[index])
        assert torch.equal(served(index, 3), before[index])
    assert torch.equal(before[0], before[2])
    for index, digits in ((0, data.digits.held_out[0][0]), (1, data.digits.training)):
        assert all(row_of(channel, digits) >= 0 for channel in before[index].flatten(0, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 64}, "size must be 28 or 32 pixels, got 64"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"value_range": (1, 0)}, "value_range: the first must be below"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        StackedMNIST(**arguments)


def test_missing_files_are_named():
    with pytest.raises(ValueError, match="data_dir: there is no folder nowhere"):
        StackedMNIST("nowhere").prepare_data()


# Scores


def test_modes_are_what_the_judge_reads_in_each_channel():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(40, 3, 4, 4), 32, mode="bilinear")
    images = (smooth > 0.6).float()  # of which the judge takes some for each digit
    metric = StackedModes((0.0, 1.0))
    metric.update(images[:15], real=False)
    metric.update(1 - images, real=True)  # passed over
    metric.update(images[15:], real=False)
    inner = images[:, :, 2:30, 2:30].mul(255).round().div(255)
    digits = [digit_judge()(inner[:, [channel]])[1].argmax(1) for channel in range(3)]
    numbers = (100 * digits[0] + 10 * digits[1] + digits[2]).tolist()
    shares = [numbers.count(number) / 40 for number in set(numbers)]
    found = metric.compute()
    assert int(found["modes_1000"]) == len(shares) > 10
    expected = sum(share * math.log(1000 * share) for share in shares)
    assert float(found["kl_1000"]) == pytest.approx(expected, rel=1e-12)


def test_equal_shares_have_no_divergence_and_one_mode_has_the_greatest():
    metric = StackedModes()
    metric.counts += 3
    found = metric.compute()
    assert int(found["modes_1000"]) == 1000
    assert float(found["kl_1000"]) == pytest.approx(0, abs=1e-12)
    metric.reset()
    metric.counts[123] += 7
    found = metric.compute()
    assert int(found["modes_1000"]) == 1
    assert float(found["kl_1000"]) == pytest.approx(math.log(1000), rel=1e-12)


def test_the_divergence_of_equal_probabilities_is_that_of_their_number():
    generator = torch.Generator().manual_seed(0)
    metric = StackedModes()
    drawn = torch.randint(1000, (25_600,), generator=generator)
    metric.counts += torch.bincount(drawn, minlength=1000)
    assert float(metric.compute()["kl_1000"]) == pytest.approx(999 / (2 * 25_600), rel=0.1)


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 30, 30), (2, 3, 28, 32), (2, 3)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"it reads images of shape \(3, 28, 28\) or"):
        StackedModes().update(torch.zeros(shape), real=False)


def test_no_images_have_no_scores():
    with pytest.raises(ValueError, match="there are no generated images to read"):
        StackedModes().compute()


def test_stacked_digits_are_no_photos():
    data = made()
    names = {score for metric in fitting_metrics(data) for score in metric.scores}
    assert {"modes_1000", "kl_1000"} <= names
    assert not names & {"fd_objects", "fd_digits", "precision_objects"}
    assert judge_for(data) is None


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="needs the real MNIST")
def test_real_digits_show_every_number():
    data = StackedMNIST(REAL, num_eval_samples=25_600)
    data.setup()
    metric, numbers = StackedModes(), []
    for images, labels in data.evaluation_batches(1):
        metric.update(data.digits.normalize(images), real=False)
        numbers.append(labels)
    found = metric.compute()
    assert int(found["modes_1000"]) == 1000
    # 999 / (2 n) for the number of images, and 0.0044 for digits that differ in frequency.
    shares = torch.bincount(data.digits.training.labels).double() / 60_000
    uneven = 3 * float((shares * (10 * shares).log()).sum())
    assert float(found["kl_1000"]) == pytest.approx(999 / 51_200 + uneven, abs=0.001)
    assert len(set(torch.cat(numbers).tolist())) == 1000
