"""Few labels: which images have them, what a batch holds, what is resumed and refused."""

import numpy as np
import pytest
import torch
from conftest import MadeImages, numbers
from made import fill

from datamodules import MNIST, FewLabels, GaussianRing, ImageFolder
from datamodules.images import ImageBytes
from lightning_gans.core.players import Batch, PartlyLabelled, read_batch


def few(num_labels=20, label_seed=0, number=200, **arguments):
    source = MadeImages(number=number, **arguments)
    source.num_classes = 10
    data = FewLabels(source, num_labels, label_seed)
    data.setup("fit")
    return data


def test_as_many_labels_of_each_class_are_told_whatever_the_seed_of_the_run():
    data = few()
    seen = set()
    for seed in (0, 1):
        for position in range(10):
            batch = data.training_batches(seed, 4, 0, 1)(position)
            record = read_batch(batch)
            assert type(record) is PartlyLabelled
            assert record.labels.tolist() == [n % 10 for n in numbers(record.labelled)]
            seen |= set(numbers(record.labelled))
    assert len(seen) == 20
    assert np.bincount([n % 10 for n in seen]).tolist() == [2] * 10
    assert set(data.labelled.rows.tolist()) == seen


def test_the_choice_has_a_seed_of_its_own_and_fewer_are_some_of_more():
    rows = {seed: set(few(label_seed=seed).labelled.rows.tolist()) for seed in (0, 1)}
    assert rows[0] != rows[1]
    assert rows[0] < set(few(num_labels=50).labelled.rows.tolist())
    assert few(num_labels=200).labelled.rows.sort().values.tolist() == list(range(200))


def test_the_three_parts_are_read_in_orders_of_their_own():
    data = few(number=200)
    draw = data.training_batches(3, 4, 0, 1)
    assert data.epoch_length(4, 1) == 50
    batches = [draw(position) for position in range(50)]
    assert list(batches[0]) == ["labelled", "labels", "unlabelled", "further"]
    seen = {
        key: [n for b in batches for n in numbers(b[key])] for key in batches[0] if key != "labels"
    }
    for key in ("unlabelled", "further"):  # every image once a pass, the labelled ones too
        assert sorted(seen[key]) == list(range(200))
    assert np.bincount(seen["labelled"]).max() == 10  # 200 places for 20 images
    assert abs(np.corrcoef(seen["unlabelled"], seen["further"])[0, 1]) < 3 / np.sqrt(200)
    alone = MadeImages(number=200).training_batches(3, 4, 0, 1)(0)
    assert torch.equal(batches[0]["unlabelled"], alone[0])  # the run's own chain


@pytest.mark.parametrize("ranks", [2, 4])
def test_several_processes_read_what_one_reads_in_larger_batches(ranks):
    data = few()
    shares = [data.training_batches(5, 4, rank, ranks) for rank in range(ranks)]
    whole = data.training_batches(5, 4 * ranks, 0, 1)
    for position in range(8):
        parts = [share(position) for share in shares]
        for key, values in whole(position).items():
            assert torch.equal(torch.cat([part[key] for part in parts]), values)


def test_a_loader_goes_on_at_any_position_with_any_number_of_workers():
    data = few(number=24, num_labels=10)

    def batches(start, number, workers=0):
        data.num_workers, data._position, data._fitting = workers, start, False
        loader, found = data.train_dataloader(), []
        while len(found) < number:
            found += list(loader)
        return found[:number]

    whole = batches(0, 9)
    cases = [batches(0, start) + batches(start, 9 - start) for start in range(1, 9)]
    for case in (*cases, batches(0, 9, workers=2)):
        for one, other in zip(whole, case, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_evaluation_has_all_labels_and_images_are_scaled():
    data = few(value_range=(0.0, 1.0))
    assert (data.data_shape, data.value_range, data.num_classes) == ((1, 16, 16), (0.0, 1.0), 10)
    assert not hasattr(data, "content")
    (batch,) = data.evaluation_batches(0)
    assert type(read_batch(batch)) is Batch
    scaled = data.on_after_batch_transfer(batch, 0)
    torch.testing.assert_close(scaled[0], batch[0] / 255)
    batch = data.training_batches(0, 4, 0, 1)(0)
    scaled = data.on_after_batch_transfer(batch, 0)
    assert torch.equal(scaled["labels"], batch["labels"])
    for key in ("labelled", "unlabelled", "further"):
        torch.testing.assert_close(scaled[key], batch[key] / 255)


def test_labelled_images_are_shown_like_the_others():
    """To augment one part alone would tell the parts from each other."""
    data = few(horizontal_flip=True)
    images = data.source.training.images
    batch = data.training_batches(0, 60, 0, 1)(0)
    for key in ("labelled", "unlabelled", "further"):
        as_it_is = sum((image == images).flatten(1).all(1).any() for image in batch[key])
        assert 15 < as_it_is < 45


def test_a_state_of_other_labels_warns():
    state = few().state_dict()
    with pytest.warns(UserWarning, match="trained with 20 labels, but this data has 30"):
        few(num_labels=30).load_state_dict(state)
    with pytest.warns(UserWarning, match="was trained on 200 images, but this data has 190"):
        few(number=190).load_state_dict(state)
    for _ in range(2):  # of runs that are resumed in one process
        with pytest.warns(UserWarning, match="with label_seed 0, but this data has label_seed 1"):
            few(label_seed=1).load_state_dict(state)
    data = few()
    data.load_state_dict({**state, "position": 7})
    assert data._position == 7


def test_what_is_there_is_said(tmp_path):
    fill(tmp_path / "photos", number=60, classes=("cat", "dog", "emu"))
    source = ImageFolder(str(tmp_path / "photos"), image_size=8, batch_size=4, cache=False)
    data = FewLabels(source, 6)
    data.setup("fit")
    assert data.classes == ["cat", "dog", "emu"]
    assert data.num_classes == 3
    batch = next(iter(data.train_dataloader()))
    assert batch["labelled"].shape == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FewLabels(GaussianRing()),
            "source: it must be data of images",
        ),
        (lambda: FewLabels(MNIST(), 0), "num_labels must be at least 1, got 0"),
        (lambda: FewLabels(MNIST(), 10, -1), "label_seed must be at least 0, got -1"),
        (lambda: few(num_labels=25), "25 labels cannot be shared out evenly among 10 .* of 10"),
        (lambda: few(num_labels=210), "num_labels: 210 are 21 of each class, .* 20 images of cl"),
        (lambda: few(num_labels=50, number=48), "has 4 images of class 8 .* Use at most 40"),
    ],
)
def test_numbers_of_labels_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_data_without_labels_is_refused():
    source = MadeImages()
    source.training = ImageBytes(source.training.images)
    with pytest.raises(ValueError, match=r"source: MadeImages has no labels\. Use data"):
        FewLabels(source).setup("fit")
