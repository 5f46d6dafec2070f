"""Folders of two kinds of images: which belong together, what is cut out, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import PairedFolder, UnpairedFolders
from datamodules.files import ImageFiles
from datamodules.images import ImageBytes
from datamodules.paired_folder import RandomCrop
from lightning_gans.cli.main import main
from lightning_gans.core.players import Domains, Pair, read_batch


def save(pixels, *names):
    path = Path(*names)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def even(number, *size):
    """An image of one value."""
    return np.full((*(size or (8, 8)), 3), number)


def side_by_side(root="pairs", number=40, first=0):
    """Writes files whose left half is their number and whose right half is that plus 100."""
    for index in range(first, first + number):
        save(np.concatenate([even(index), even(index + 100)], 1), root, f"{index:03d}.png")
    return root


def two_folders(number=40, other=None, ending=".png"):
    for index in range(number):
        save(even(index), "one", f"{index:03d}.png")
    for index in range(number if other is None else other):
        save(even(index + 100), "two", f"{index:03d}{ending}")
    return {"folder_a": "one", "folder_b": "two"}


SMALL = {"image_size": 8, "cache": True, "batch_size": 4}


def pairs(**arguments):
    data = PairedFolder(**{**SMALL, **arguments})
    data.setup("fit")
    return data


def unpaired(**arguments):
    data = UnpairedFolders(**{**SMALL, **arguments})
    data.setup("fit")
    return data


@pytest.mark.parametrize("kind", [PairedFolder, UnpairedFolders])
def test_evaluation_keeps_no_images_and_training_after_it_does(kind):
    data = kind(**two_folders(), image_size=8, num_workers=0, num_eval_samples=2)
    data.setup("validate")
    first = list(data.val_dataloader())
    assert {*map(type, data.training.values())} == {ImageFiles}
    data.setup("fit")
    assert {*map(type, data.training.values())} == {ImageBytes}
    for one, two in zip(first, data.val_dataloader(), strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def values(images):
    assert images.dtype == torch.uint8
    return images[:, 0, 0, 0].tolist()


def all_of(data, key, index=None):
    """The values of an evaluation set, or of one pass of the training images."""
    if index is not None:
        return [v for batch in data.evaluation_batches(index) for v in values(batch[key])]
    number = len(data.training[key])
    return values(data.training_batches(0, number, 0, 1)(0)[key])


@pytest.mark.parametrize("layout", ["side by side", "two folders"])
@pytest.mark.parametrize("cache", [True, False])
def test_both_images_of_a_pair_stay_together(layout, cache, tmp_path):
    arguments = {"path": side_by_side()} if layout == "side by side" else two_folders()
    data = pairs(**arguments, cache=cache, num_workers=0)
    batch = data.training_batches(1, 4, 0, 1)(0)
    assert type(read_batch(batch)) is Pair
    assert batch["source"].shape == batch["target"].shape == (4, 3, 8, 8)
    assert [value + 100 for value in values(batch["source"])] == values(batch["target"])
    sets = [all_of(data, "source"), *(all_of(data, "source", index) for index in (0, 2))]
    assert [len(part) for part in sets] == [36, 2, 2]
    assert sorted(value for part in sets for value in part) == list(range(40))
    assert set(all_of(data, "source", 1)) <= set(sets[0])
    for index in range(3):
        sources, targets = (all_of(data, key, index) for key in ("source", "target"))
        assert [value + 100 for value in sources] == targets
    back = pairs(**arguments, direction="b_to_a").training_batches(1, 4, 0, 1)(0)
    assert torch.equal(back["source"], batch["target"])
    assert torch.equal(back["target"], batch["source"])


def test_names_match_without_their_ending_and_with_their_folder(tmp_path):
    for index in range(20):
        sub = f"part{index % 2}"
        save(even(index), "one", sub, f"{index // 2}.png")
        save(even(index + 100), "two", sub, f"{index // 2}.bmp")
    data = pairs(folder_a="one", folder_b="two")
    batch = data.training_batches(0, 16, 0, 1)(0)
    assert [value + 100 for value in values(batch["source"])] == values(batch["target"])


def test_folders_that_are_held_out_already_are_used_as_such(tmp_path):
    side_by_side("data/train", 12)
    side_by_side("data/val", 3, first=20)
    side_by_side("data/test", 4, first=30)
    data = pairs(path="data")
    assert sorted(all_of(data, "source")) == list(range(12))
    assert sorted(all_of(data, "source", 0)) == [20, 21, 22]
    assert sorted(all_of(data, "source", 2)) == [30, 31, 32, 33]
    for path in Path("data/test").iterdir():
        path.unlink()
    Path("data/test").rmdir()
    data = pairs(path="data")
    assert all_of(data, "source", 2) == all_of(data, "source", 0)
    assert sorted(all_of(data, "source", 0)) == [20, 21, 22]


def test_the_halves_are_those_of_the_upright_image(tmp_path):
    for index in range(20):
        whole = np.concatenate([even(index), even(index + 100)], 1)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter
        turned = Image.fromarray(np.rot90(whole.astype(np.uint8)).copy())
        Path("turned").mkdir(exist_ok=True)
        turned.save(f"turned/{index}.png", exif=exif)
    for cache in (True, False):
        data = pairs(path="turned", cache=cache, num_workers=0)
        batch = data.training_batches(0, 16, 0, 1)(0)
        assert [value + 100 for value in values(batch["source"])] == values(batch["target"])


def test_each_kind_has_channels_of_its_own(tmp_path):
    data = pairs(**two_folders(), channels_a=1)
    assert data.data_shapes == ((1, 8, 8), (3, 8, 8))
    assert data.data_shape == (3, 8, 8)
    batch = data.training_batches(0, 4, 0, 1)(0)
    assert batch["source"].shape == (4, 1, 8, 8)
    for index in range(20):
        save(np.full((8, 8), index), "grey", f"{index}.png")
    colour = unpaired(folder_a="grey", folder_b="two").training_batches(0, 4, 0, 1)(0)
    assert colour["a"].shape == (4, 3, 8, 8)
    assert torch.equal(colour["a"][:, 0], colour["a"][:, 2])


# Jitter


def numbered_pixels(number, height, width):
    """Images whose pixels tell their image, row and column, as channels."""
    rows = torch.arange(height).view(1, height, 1).expand(number, height, width)
    columns = torch.arange(width).view(1, 1, width).expand(number, height, width)
    which = torch.arange(number).view(number, 1, 1).expand(number, height, width)
    return torch.stack([which, rows, columns], 1).to(torch.uint8)


def test_a_random_crop_cuts_every_place_alike_and_mirrors_half():
    images = numbered_pixels(250, 6, 5)
    crop = RandomCrop((4, 3), horizontal_flip=True)
    parts = crop(images, torch.Generator().manual_seed(0))
    assert parts.shape == (250, 3, 4, 3)
    assert (parts[:, 0, 0, 0] == torch.arange(250)).all()
    tops = parts[:, 1, 0, 0].int()
    mirrored = parts[:, 2, 0, 0] > parts[:, 2, 0, -1]
    lefts = torch.minimum(parts[:, 2, 0, 0], parts[:, 2, 0, -1]).int()
    for found in (tops, lefts):  # three places, a third each: 83 +- 7.5
        assert (torch.bincount(found, minlength=3) - 250 / 3).abs().max() < 30
    assert 95 < mirrored.sum() < 155
    unchanged = RandomCrop((6, 5), horizontal_flip=False)(images, torch.Generator())
    assert torch.equal(unchanged, images)


def places():
    """Writes pairs whose pixels tell where they are, alike on both sides."""
    for index in range(24):
        ramp = np.arange(16)
        pixels = np.zeros((16, 16, 3))
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = index, 10 * ramp[:, None], 10 * ramp
        for folder in ("one", "two"):
            save(pixels, folder, f"{index:02d}.png")


def test_a_pair_has_one_draw_for_both_sides_and_others_have_their_own(tmp_path):
    places()
    jitter = {"image_size": 12, "jitter": 4, "horizontal_flip": True}
    both = {"folder_a": "one", "folder_b": "two"}
    data = pairs(**both, **jitter)
    draw = data.training_batches(3, 8, 0, 1)
    seen = [draw(position) for position in range(3)]
    for batch in seen:
        assert batch["source"].shape == (8, 3, 12, 12)
        assert torch.equal(batch["source"], batch["target"])
    corners = {tuple(image[1:, 0, 0].tolist()) for batch in seen for image in batch["source"]}
    assert len(corners) > 10
    assert all(torch.equal(draw(1)[key], seen[1][key]) for key in draw(1))
    # Evaluation sees whole images, without draws.
    whole = next(iter(data.evaluation_batches(0)))["source"]
    assert whole.shape == (2, 3, 12, 12)
    assert (whole[:, 1, 0, 0] < 10).all()
    assert (whole[:, 1, -1, 0] > 135).all()
    apart = unpaired(**both, **jitter).training_batches(3, 8, 0, 1)(0)
    one, other = ([tuple(image[1:, 0, 0].tolist()) for image in apart[key]] for key in ("a", "b"))
    assert one != other


def test_several_processes_draw_their_own_jitter(tmp_path):
    places()
    data = pairs(folder_a="one", folder_b="two", image_size=8, jitter=8)
    one, other = (data.training_batches(0, 8, rank, 2)(0)["source"] for rank in (0, 1))
    assert not torch.equal(one[:, 1:, 0, 0], other[:, 1:, 0, 0])


# Without pairs


def test_unpaired_folders_have_chains_and_evaluation_sets_of_their_own(tmp_path):
    data = unpaired(**two_folders(40, 60))
    batch = data.training_batches(1, 4, 0, 1)(0)
    assert type(read_batch(batch)) is Domains
    assert not data.paired_truth
    assert sorted(all_of(data, "a") + all_of(data, "a", 0) + all_of(data, "a", 2)) == [*range(40)]
    assert len(all_of(data, "b")) == 54
    assert [len(all_of(data, key, 0)) for key in ("a", "b")] == [2, 2]
    one, other = (all_of(data, key) for key in ("a", "b"))
    assert [value + 100 for value in one] != other[: len(one)]
    assert data.epoch_length(4, 1) == 54 // 4


def test_the_usual_names_of_folders_are_known(tmp_path):
    for name, number, first in (("A", 6, 0), ("B", 5, 100)):
        for index in range(number):
            save(even(first + index), "horses", f"train{name}", f"{index}.png")
        for index in range(number - 2):
            save(even(first + 50 + index), "horses", f"test{name}", f"{index}.png")
    data = unpaired(path="horses")
    assert sorted(all_of(data, "a")) == list(range(6))
    assert sorted(all_of(data, "b")) == list(range(100, 105))
    for index in (0, 2):
        assert len(set(all_of(data, "a", index))) == 3  # as many as there are of b
        assert set(all_of(data, "a", index)) < {50, 51, 52, 53}
        assert sorted(all_of(data, "b", index)) == [150, 151, 152]
    assert len(set(all_of(data, "a", 1))) == 5
    assert set(all_of(data, "a", 1)) < set(range(6))


@pytest.mark.parametrize("jitter", [0, 2])
def test_a_part_of_sorted_folders_is_like_the_whole(jitter, tmp_path):
    for name, number in (("train", 60), ("val", 40)):
        for index in range(number):
            kind = ("cats", "dogs")[2 * index // number]
            images = even(index), even(index + 100)
            save(np.concatenate(images, 1), "pets", name, kind, f"{index:02}.png")
    data = pairs(path="pets", num_eval_samples=20, jitter=jitter)
    for index, number in enumerate((40, 60, 40)):
        sources = all_of(data, "source", index)
        assert len(set(sources)) == 20
        assert 5 <= sum(value >= number / 2 for value in sources) <= 15  # dogs
        assert [value + 100 for value in sources] == all_of(data, "target", index)


def test_a_folder_that_has_changed_warns_for_each_kind(tmp_path):
    before = unpaired(**two_folders(40, 60)).state_dict()
    for index in range(60, 80):
        save(even(index), "two", f"{index:03d}.png")
    with pytest.warns(UserWarning, match="was trained on 54 images of b, but this data has 72"):
        unpaired(folder_a="one", folder_b="two").load_state_dict(before)


# What is refused


def break_file():
    two_folders()
    Path("one/007.png").write_bytes(Path("one/007.png").read_bytes()[:40])


def two_endings():
    two_folders()
    save(even(3), "one", "003.bmp")


def odd_width():
    side_by_side()
    save(even(1, 8, 15), "pairs", "005.png")


def empty():
    two_folders()
    Path("none").mkdir()


def few_tests():
    side_by_side("few/train", 30)
    side_by_side("few/test", 1)


BOTH = {"folder_a": "one", "folder_b": "two"}


@pytest.mark.parametrize(
    ("prepare", "kind", "arguments", "message"),
    [
        (odd_width, pairs, {"path": "pairs"}, r"005.png has 8 x 15 pixels, a width that is odd"),
        (
            lambda: two_folders(24, 19),
            pairs,
            BOTH,
            r"5 images .* in two: 019, 020, 021, \.\.\.",
        ),
        (
            lambda: two_folders(20, 22),
            pairs,
            BOTH,
            "2 images have no .* in one: 020, 021. Give",
        ),
        (two_endings, pairs, BOTH, "one/003.bmp and one/003.png have one name but for the ending"),
        (break_file, pairs, BOTH, r"1 of \d+ images cannot be used.* one/007.png cannot"),
        (break_file, unpaired, BOTH, r"1 of .* one/007.png cannot be .* Remove them\.$"),
        (
            two_folders,
            pairs,
            {**BOTH, "folder_b": "one/."},
            "folder_b: one/. is the folder of",
        ),
        (two_folders, unpaired, {**BOTH, "folder_b": "one"}, "folder_b: one is the folder of fol"),
        (
            empty,
            unpaired,
            {**BOTH, "folder_b": "none"},
            "folder_b: none holds 0 files",
        ),
        (two_folders, pairs, {**BOTH, "folder_a": "lost"}, "folder_a: there is no folder lost"),
        (
            lambda: two_folders(19),
            pairs,
            BOTH,
            "folder_a: one has 19 images, of which some are to be held out. Use at least 20.",
        ),
        (lambda: two_folders(30, 12), unpaired, BOTH, "folder_b: two has 12 images"),
        (few_tests, pairs, {"path": "few"}, "path: few/test needs at least 2 images, got 1"),
        (
            two_folders,
            unpaired,
            {"path": "one"},
            "there is no folder one/trainA. Use a folder with trainA and trainB, and",
        ),
        (two_folders, pairs, {}, "give either path, a folder with files of two images side by si"),
        (two_folders, pairs, {"folder_a": "one"}, "folder_a one and folder_b None"),
        (two_folders, pairs, {**BOTH, "path": "one"}, "give either path"),
        (two_folders, unpaired, {"folder_b": "two"}, "a folder with trainA and trainB"),
        (two_folders, pairs, {**BOTH, "channels_a": 2}, "channels_a must be 1 .* got 2"),
        (two_folders, pairs, {**BOTH, "channels_b": 4}, "channels_b must be 1 .* got 4"),
        (two_folders, unpaired, {**BOTH, "jitter": -1}, "jitter must be at least 0, got -1"),
        (two_folders, unpaired, {**BOTH, "image_size": 0}, "image_size: each side must be at lea"),
        (two_folders, pairs, {**BOTH, "num_workers": -1}, "num_workers must be at least 0"),
        (two_folders, pairs, {**BOTH, "direction": "a"}, "direction must be a_to_b or b_to_a"),
    ],
)
def test_what_cannot_be_used_is_refused(prepare, kind, arguments, message, tmp_path):
    prepare()
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_a_file_that_is_only_looked_at_is_refused_too(tmp_path):
    odd_width()
    with pytest.raises(ValueError, match=r"005.png has 8 x 15 pixels"):
        pairs(path="pairs", cache=False, num_workers=0)


def test_prepare_counts_the_images_of_each_kind(capsys):
    side_by_side(number=40)
    main(["prepare", "--data", "PairedFolder", "--data.path", "pairs"])
    source, target = (f"36 of kind {name}" for name in ("source", "target"))
    told = capsys.readouterr().out.splitlines()[-1]
    assert told == f"PairedFolder: {source} and {target} to train on"
