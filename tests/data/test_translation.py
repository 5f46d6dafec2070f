"""Two kinds of images or points: what becomes of a sample, who keeps company, what is resumed."""

import math

import numpy as np
import pytest
import torch
from conftest import numbers
from made import make_digits, make_photos
from torch import Tensor

from datamodules import MixturePairs, TransformedCIFAR10, TransformedFashionMNIST, TransformedMNIST
from datamodules.images import ImageBytes, ImagePart
from datamodules.transforms import (
    TRANSFORMS,
    blur,
    colour,
    colour_shares,
    edges,
    invert,
    mirror,
    right_half,
    rotate,
    thumbnail,
)
from datamodules.translation import TranslationData
from lightning_gans.core.players import Domains, Pair, read_batch

BATCH = 2


def made(*shape):
    return torch.randint(256, shape, dtype=torch.uint8)


# What a function makes of images


@pytest.mark.parametrize("channels", [1, 3])
def test_transforms_keep_their_identities(channels):
    x = made(5, channels, 8, 6)
    assert torch.equal(invert(invert(x)), x)
    assert torch.equal(mirror(mirror(x)), x)
    assert torch.equal(rotate(rotate(rotate(rotate(x)))), x)
    assert rotate(x).shape == (5, channels, 6, 8)
    assert not torch.equal(rotate(rotate(x)), x)
    even = torch.full_like(x, 77)
    assert not edges(even).any()
    for function in (blur, thumbnail):
        assert torch.equal(function(even), even)
    hidden = right_half(x)
    assert torch.equal(hidden[..., :3], x[..., :3])
    assert not hidden[..., 3:].any()
    assert torch.equal(x[..., 3:], x.clone()[..., 3:])
    for function in TRANSFORMS.values():
        given = x[:, :1].clone()
        result = function(given)
        assert result.dtype == torch.uint8
        assert torch.equal(given, x[:, :1])  # it is left as it is
        alone = torch.cat([function(one[None]) for one in given])
        assert torch.equal(result, alone)


def test_a_dot_becomes_what_each_transform_says():
    x = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    x[0, 0, 1, 2] = 160
    assert (invert(x) == 255).sum() == 63
    assert invert(x)[0, 0, 1, 2] == 95
    ring = edges(x)[0, 0]
    assert ring[1, 2] == 0
    assert (ring == 160).sum() == 8
    assert rotate(x)[0, 0, 5, 1] == 160  # to the left: right becomes up
    assert mirror(x)[0, 0, 1, 5] == 160
    assert torch.equal(thumbnail(x)[0, 0, :4, :4], torch.full((4, 4), 10, dtype=torch.uint8))
    assert not thumbnail(x)[0, 0, 4:].any()
    middle = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    middle[0, 0, 4, 4] = 160
    line = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    assert torch.equal(
        blur(middle)[0, 0, 2:7, 2:7], (160 * line.outer(line)).round().to(torch.uint8)
    )


def test_a_thumbnail_of_sides_that_are_no_multiple_ends_with_smaller_squares():
    x = made(2, 1, 6, 5)
    small = thumbnail(x)
    assert small.shape == x.shape
    assert small[0, 0, 5, 4] == x[0, 0, 4:, 4].float().mean().round()


def test_colour_tells_the_brightness_and_keeps_the_greys():
    levels = torch.tensor([0.05, 0.1, 0.15, 0.2, 0.25, 0.9])
    hues = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (0, 0, 1)]
    x = torch.zeros(6, 1, 10, 10, dtype=torch.uint8)
    for image, level in zip(x.flatten(1), levels.tolist(), strict=True):
        image[: round(100 * level)] = 255
    shares = colour_shares(x)
    torch.testing.assert_close(shares, torch.tensor(hues).float(), atol=1e-5, rtol=0)
    grey = made(20, 1, 8, 8) // 3
    made_of = colour(grey).float()
    share = colour_shares(grey)
    back = made_of.sum(1, keepdim=True) / share.sum(1)[:, None, None, None]
    assert (back - grey.float()).abs().max() <= 1.5  # three roundings
    assert torch.equal(made_of.amax(1, keepdim=True), grey.float())


# Downloaded data


@pytest.fixture
def root(tmp_path):
    make_digits(tmp_path, training=60, test=30)
    make_digits(tmp_path, "FashionMNIST", training=60, test=30)
    make_photos(tmp_path, each=8)
    return str(tmp_path)


def digits(root, transform="invert", **arguments):
    data = TransformedMNIST(transform, data_dir=root, batch_size=4, **arguments)
    data.prepare_data()
    data.setup("fit")
    return data


def keys_of(images: Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


def test_pairs_are_every_image_beside_what_becomes_of_it(root):
    data = digits(root, "edges", paired=True)
    assert data.epoch_length(4, 1) == 15
    seen = []
    for position in range(15):
        batch = data.training_batches(3, 4, 0, 1)(position)
        assert list(batch) == ["source", "target"]
        assert torch.equal(edges(batch["source"]), batch["target"])
        seen += keys_of(batch["source"])
    assert sorted(seen) == sorted(keys_of(data.images.training.images))
    other = digits(root, "edges", paired=True, direction="b_to_a").training_batches(3, 4, 0, 1)(0)
    first = data.training_batches(3, 4, 0, 1)(0)
    assert torch.equal(other["source"], first["target"])
    assert torch.equal(other["target"], first["source"])


def test_unpaired_halves_share_no_image_and_do_not_depend_on_the_seed_of_the_run(root):
    def halves(seed, **arguments):
        data = digits(root, "invert", **arguments)
        assert len(data.training["a"]) == len(data.training["b"]) == 30
        batch = data.training_batches(seed, 30, 0, 1)(0)
        assert list(batch) == ["a", "b"]
        return set(keys_of(batch["a"])), set(keys_of(invert(batch["b"])))

    a, b = halves(0)
    assert len(a) == len(b) == 30
    assert not a & b
    assert halves(1) == (a, b)
    assert halves(0, split_seed=1)[0] != a
    state = digits(root, "invert").state_dict()
    with pytest.warns(UserWarning, match="with split_seed 0, but this data has split_seed 1"):
        digits(root, "invert", split_seed=1).load_state_dict(state)


@pytest.mark.parametrize("paired", [False, True])
def test_evaluation_has_the_test_images_in_pairs_with_labels(root, paired):
    data = digits(root, "rotate", paired=paired, num_eval_samples=20)
    assert data.paired_truth
    (batch,) = data.evaluation_batches(2)
    record = read_batch(batch)
    assert type(record) is Pair
    assert len(record) == 20
    assert torch.equal(rotate(record.source), record.target)
    test = data.images.held_out[2][0]
    found = {key: int(label) for key, label in zip(keys_of(test.images), test.labels, strict=True)}
    assert [found[key] for key in keys_of(record.source)] == record.labels.tolist()
    (floor,) = data.evaluation_batches(1)
    known = set(keys_of(data.images.training.images))
    assert set(keys_of(floor["source"])) <= known
    assert not set(keys_of(record.source)) & known
    scaled = data.on_after_batch_transfer(batch, 0)
    assert torch.equal(scaled["labels"], batch["labels"])
    assert scaled["source"].dtype == torch.float32
    torch.testing.assert_close(scaled["target"], batch["target"] / 127.5 - 1)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (TransformedMNIST, (1, 28, 28)),
        (TransformedFashionMNIST, (1, 28, 28)),
        (TransformedCIFAR10, (3, 32, 32)),
    ],
)
def test_every_dataset_is_described(kind, shape, root):
    data = kind("mirror", data_dir=root, value_range=(0.0, 1.0))
    content = getattr(data.dataset, "content", None)
    assert data.data_shapes == (shape, shape)
    assert data.data_shape == shape
    assert list(data.sources) == ["a", "b"]
    assert data.sources["a"].content == content
    assert data.sources["b"].content is data.content is None
    data.setup("fit")
    batch = data.training_batches(0, 5, 0, 1)(0)
    assert batch["a"].shape == (5, *shape)


def test_the_target_is_what_is_described_of_pairs(root):
    forth = TransformedMNIST("colour", paired=True, data_dir=root)
    back = TransformedMNIST("colour", paired=True, direction="b_to_a", data_dir=root)
    assert forth.data_shapes == back.data_shapes[::-1] == ((1, 28, 28), (3, 28, 28))
    assert (forth.data_shape, back.data_shape) == ((3, 28, 28), (1, 28, 28))
    assert (forth.content, back.content) == (None, "digits")
    assert back.sources["target"].content == "digits"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TransformedMNIST("turn"), "transform must be one of invert, .* got turn"),
        (lambda: TransformedCIFAR10("colour"), "colour is for grey images, .* CIFAR10 have 3"),
        (lambda: TransformedMNIST(split_seed=-1), "split_seed must be at least 0, got -1"),
        (lambda: TransformedMNIST(direction="b_to_a"), "direction is for pairs only"),
        (
            lambda: TransformedMNIST(paired=True, direction="up"),
            "must be a_to_b or b_to_a",
        ),
        (lambda: TransformedMNIST(value_range=(1.0, 0.0)), "value_range: the first must be below"),
        (lambda: TransformedMNIST(batch_size=0), "batch_size must be at least 1, got 0"),
        (lambda: MixturePairs(num_modes=0), "num_modes must be at least 1, got 0"),
        (lambda: MixturePairs(sd=0), "sd must be above 0, got 0"),
        (lambda: MixturePairs(radius=-1), "radius must be above 0, got -1"),
        (lambda: MixturePairs(angle=math.nan), r"angle and shift must be at most 1e\+06 .* nan"),
        (lambda: MixturePairs(shift=(0.0, math.inf)), r"angle and shift .* \(0.0, inf\)"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Chains


class Numbered(TranslationData):
    """Numbered images of two kinds, as many of each as it is told."""

    def __init__(self, number_a=7, number_b=3, paired=False, batch_size=BATCH):
        super().__init__(paired, "a_to_b", (-1.0, 1.0), batch_size, 10)
        self.describe((1, 8, 8), (1, 8, 8))
        both = self._images(number_a), self._images(number_b)
        self.serve(both, both, both, both)

    @staticmethod
    def _images(number):
        images = torch.zeros(number, 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(number)
        return ImagePart(ImageBytes(images), torch.arange(number))


def test_the_shorter_chain_begins_again_earlier_and_both_are_read_evenly():
    data = Numbered()
    draw = data.training_batches(5, BATCH, 0, 1)
    batches = [draw(position) for position in range(7)]
    for key, number in (("a", 7), ("b", 3)):
        seen = [row for batch in batches for row in numbers(batch[key])]
        assert len(seen) == 14
        counts = np.bincount(seen, minlength=number)
        assert set(counts) <= {14 // number, -(-14 // number)}
        assert sorted(seen[:number]) == list(range(number))
    assert data.epoch_length(BATCH, 1) == 3
    assert data.epoch_length(BATCH, 4) == 1


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
def test_several_processes_read_what_one_reads_in_larger_batches(ranks, paired):
    data = Numbered(40, 40 if paired else 24, paired)
    shares = [data.training_batches(5, BATCH, rank, ranks) for rank in range(ranks)]
    whole = data.training_batches(5, BATCH * ranks, 0, 1)
    for position in range(12):
        parts = [share(position) for share in shares]
        for key, images in whole(position).items():
            assert torch.equal(torch.cat([part[key] for part in parts]), images)
    evaluation = [data.evaluation_batches(0, rank, ranks) for rank in range(ranks)]
    found = [n for batches in evaluation for b in batches for n in numbers(b["source"])]
    assert found == [n for b in data.evaluation_batches(0) for n in numbers(b["source"])]
    assert len(found) == len(set(found)) == 10


def test_pairs_share_a_chain_and_others_do_not():
    n = 400
    images = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    rows = torch.arange(n)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = rows % 256, rows // 256
    both = ImageBytes(images), ImageBytes(images)
    for paired in (False, True):
        data = Numbered(paired=paired)
        data.serve(both, both, both, both)
        batch = data.training_batches(3, n, 0, 1)(0)
        one, other = (np.array(numbers(part)) for part in batch.values())
        found = np.corrcoef(one, other)[0, 1]
        if paired:
            assert found == pytest.approx(1)
        else:
            assert abs(found) < 3 / math.sqrt(n)
            assert type(read_batch(batch)) is Domains


@pytest.mark.parametrize("data", [Numbered(), Numbered(9, 9, True), MixturePairs(batch_size=4)])
def test_a_loader_goes_on_at_any_position_with_any_number_of_workers(data):
    def batches(start, number, workers=0):
        data.num_workers, data._position, data._fitting = workers, start, False
        loader = data.train_dataloader()
        found = []
        while len(found) < number:
            found += list(loader)
        return found[:number]

    whole = batches(0, 9)
    for start in range(1, 9):
        again = batches(start, 9 - start)
        for one, other in zip(whole[start:], again, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in one)
    if isinstance(data, Numbered):
        for one, other in zip(whole, batches(0, 9, workers=2), strict=True):
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_state_of_other_images_warns_for_each_kind():
    state = Numbered(7, 3).state_dict()
    assert state["num_images"] == {"a": 7, "b": 3}
    with pytest.warns(UserWarning, match="was trained on 3 images of b, but this data has 4"):
        Numbered(7, 4).load_state_dict(state)
    with pytest.warns(UserWarning, match="was trained on 0 images of source, but this data has 7"):
        Numbered(7, 7, True).load_state_dict(state)


# Points


def test_points_become_what_a_turn_and_a_shift_make_of_them():
    data = MixturePairs(angle=30, shift=(0.5, -1.0), paired=True, batch_size=500)
    batch = data.training_batches(0, 500, 0, 1)(0)
    x, y = batch["source"].double().numpy(), batch["target"].double().numpy()
    as_complex = (x[:, 0] + 1j * x[:, 1]) * np.exp(1j * np.pi / 6) + 0.5 - 1j
    np.testing.assert_allclose(y[:, 0] + 1j * y[:, 1], as_complex, atol=1e-6)
    angles = np.arange(6) * np.pi / 3
    modes = np.stack([np.cos(angles), np.sin(angles)], 1)
    np.testing.assert_allclose(data.sources["source"].modes, modes, atol=1e-6)
    near = np.linalg.norm(x[:, None] - modes, axis=2)
    assert (near.min(1) < 0.5).all()
    assert np.square(near.min(1)).mean() / 2 == pytest.approx(0.01, rel=0.15)


def test_unpaired_points_are_of_both_clouds_and_do_not_belong_together():
    data = MixturePairs(batch_size=600)
    assert list(data.sources) == ["a", "b"]
    batch = data.training_batches(0, 600, 0, 1)(0)
    assert type(read_batch(batch)) is Domains
    assert not torch.isclose(data.moved(batch["a"]), batch["b"]).all(1).any()
    for key, cloud in data.sources.items():
        assert (torch.cdist(batch[key], cloud.modes).min(1).values < 0.5).all()
    # Between neighbours, as far from either: the nearest map is no better than its opposite.
    distance = torch.cdist(data.sources["a"].modes, data.sources["b"].modes)
    two = distance.sort(1).values[:, :2]
    torch.testing.assert_close(two, torch.full((6, 2), 2 * math.sin(math.pi / 12)))


def test_evaluation_knows_the_truth_and_the_modes_of_points():
    data = MixturePairs(num_eval_samples=90)
    (batch,) = data.evaluation_batches(0)
    record = read_batch(batch)
    assert type(record) is Pair
    torch.testing.assert_close(data.moved(record.source), record.target)
    nearest = torch.cdist(record.target, data.sources["b"].modes).argmin(1)
    assert (nearest == record.labels).all()
    shares = [data.evaluation_batches(0, rank, 2) for rank in (0, 1)]
    assert [share.first for share in shares] == [0, 45]
    both = torch.cat([b["source"] for share in shares for b in share])
    assert torch.equal(both, record.source)
    sets = [next(iter(data.evaluation_batches(index)))["source"] for index in range(3)]
    assert not any(torch.equal(sets[i], sets[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("paired", [False, True])
def test_points_of_several_processes_differ(paired):
    data = MixturePairs(paired=paired)
    one, other = (data.training_batches(0, 8, rank, 2)(0) for rank in (0, 1))
    assert not any(torch.equal(one[key], other[key]) for key in one)
