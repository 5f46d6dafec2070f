"""Folders of images of every kind, whole and broken."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from made import fill, noise
from PIL import Image

from datamodules import ImageFolder, reading
from datamodules.files import ImageFiles


def indices(batch):
    images = batch if isinstance(batch, torch.Tensor) else batch[0]
    return images[:, 0, 0, 0].tolist()


def opened(path="images", **arguments):
    data = ImageFolder(path, **{"image_size": 8, "batch_size": 4, "cache": True, **arguments})
    data.setup("fit")
    return data


def decoded(image, name="x.png", size=(4, 4), channels=3, crop=None, **save):
    image.save(name, **save)
    return ImageFiles([Path(name)], size, channels, crop).decode(0)


# What an image becomes


def test_an_image_of_the_right_size_stays_as_it_is():
    pixels = noise(4, 6, 3)
    found = decoded(Image.fromarray(pixels), size=(4, 6))
    assert np.array_equal(found.permute(1, 2, 0), pixels)


def test_colours_become_grey_and_grey_becomes_colours():
    grey = noise(4, 4)
    found = decoded(Image.fromarray(grey))
    assert all(np.array_equal(channel, grey) for channel in found)
    colour = Image.new("RGB", (4, 4), (200, 100, 50))
    expected = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert decoded(colour, channels=1).unique().tolist() == [expected]


def test_transparency_is_laid_on_white():
    for alpha, expected in ((0, 255), (255, 10), (128, round(10 * 128 / 255 + 255 * 127 / 255))):
        found = decoded(Image.new("RGBA", (4, 4), (10, 10, 10, alpha)))
        assert abs(int(found[0, 0, 0]) - expected) <= 1
    assert decoded(Image.new("LA", (4, 4), (10, 0)), channels=1).unique().tolist() == [255]


def test_palettes_are_resolved_with_their_transparent_colour():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 7, 8, 9, 50, 60, 70])
    assert decoded(image)[:, 0, 0].tolist() == [7, 8, 9]
    assert decoded(image, transparency=1)[:, 0, 0].tolist() == [255, 255, 255]


def test_16_bits_become_8():
    pixels = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    found = decoded(Image.fromarray(pixels), size=(1, 4), channels=1)
    assert found.flatten().tolist() == [0, 1, 255, 128]


def test_cmyk_and_one_bit_images_are_read():
    found = decoded(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), name="x.jpg")
    assert found[0].min() > 200
    assert found[1:].max() < 60
    assert decoded(Image.new("1", (4, 4), 1)).unique().tolist() == [255]


def test_photos_are_turned_upright():
    pixels = noise(4, 4, 3)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = decoded(image, exif=exif)
    assert np.array_equal(found.permute(1, 2, 0), np.rot90(pixels, -1))


def test_the_crop_is_the_centre_and_the_rest_is_scaled():
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[6:14, 11:19] = 200
    assert decoded(Image.fromarray(pixels), crop=(8, 8)).unique().tolist() == [200]
    # Without a crop the largest part of the right proportions is kept: 20 x 20.
    found = decoded(Image.fromarray(pixels), size=(20, 20))
    assert np.array_equal(found.permute(1, 2, 0), pixels[:, 5:25])


def test_a_scaled_image_is_smooth_and_keeps_its_mean():
    ramp = np.repeat(np.linspace(0, 255, 64).round().astype(np.uint8)[None], 64, 0)
    found = decoded(Image.fromarray(ramp), size=(8, 8), channels=1)[0].double()
    assert found.mean().item() == pytest.approx(127.5, abs=1)
    assert (found[0].diff() > 25).all()


# Folders


def test_images_are_split_three_ways_and_none_is_trained_on_that_is_held_out():
    fill("images", 100)
    data = opened(num_eval_samples=4)
    sets = [
        [i for batch in data.evaluation_batches(index) for i in indices(batch)]
        for index in range(3)
    ]
    training = indices(data.training.read(torch.arange(len(data.training))))
    assert [len(part) for part in sets] == [4, 4, 4]
    assert len(training) == 92
    assert sorted(sets[0] + sets[2] + training) == list(range(100))
    assert set(sets[1]) < set(training)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_kept_and_decoded_images_make_the_same_batches(num_workers, capsys):
    fill("images", classes=("b", "a"))
    kept = opened(horizontal_flip=True)
    decoded = opened(horizontal_flip=True, cache=False, num_workers=num_workers)
    assert kept.num_workers == 0
    assert decoded.num_workers == num_workers
    loaders = [data.train_dataloader() for data in (kept, decoded)]
    assert len(loaders[0]) == 36 // 4
    for one, two in zip(*loaders, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    for one, two in zip(kept.val_dataloader(), decoded.val_dataloader(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("skip_broken", [False, True])
def test_evaluation_decodes_only_the_images_that_it_is_on(skip_broken, monkeypatch, capsys):
    fill("images")
    expected = opened(num_eval_samples=2)
    rows, decode = [], ImageFiles.decode

    def counting(files, row):
        rows.append(row)
        return decode(files, row)

    monkeypatch.setattr(ImageFiles, "decode", counting)
    settings = {"image_size": 8, "batch_size": 4, "num_eval_samples": 2, "num_workers": 0}
    data = ImageFolder("images", skip_broken=skip_broken, **settings)
    data.setup("validate")
    assert len(rows) == (40 if skip_broken else 0)  # what is broken is found by decoding
    rows.clear()
    for name in ("val_dataloader", "floor_dataloader", "test_dataloader"):
        for one, two in zip(getattr(expected, name)(), getattr(data, name)(), strict=True):
            assert torch.equal(one, two)
    assert len({*rows}) == len(rows) == 6
    data.setup("test")
    assert len(rows) == 6
    assert "images of images" not in capsys.readouterr().out
    data.setup("fit")  # which uses each image again and again
    assert len(rows) == 46
    assert "40 images of images are kept in memory" in capsys.readouterr().out
    data.setup("validate")
    assert torch.equal(
        next(iter(expected.train_dataloader())), next(iter(data.train_dataloader()))
    )
    assert len(rows) == 46


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_all_processes_leaves_the_workers_to_finish_the_round(number):
    fill("images")
    expected = [*opened().train_dataloader()]
    data, others = opened(cache=False, num_workers=2), {*multiprocessing.active_children()}
    batches = iter(data.train_dataloader())
    found = [next(batches), next(batches)]  # one of each worker, which has begun by now
    workers = {*multiprocessing.active_children()} - others
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, number)
    found += batches
    assert len(found) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    data.teardown("fit")
    assert not any(worker.is_alive() for worker in workers)


def test_workers_that_draw_for_training_stay_until_it_ends():
    """New ones for each epoch would keep the first batches of an epoch waiting."""
    fill("images")
    kept = opened().train_dataloader()
    data, others = opened(cache=False, num_workers=2), {*multiprocessing.active_children()}
    stream = data.train_dataloader()
    seen = set()
    for _ in range(3):
        for one, other in zip(kept, stream, strict=True):
            assert torch.equal(one, other)
            seen.update({*multiprocessing.active_children()} - others)
    assert stream.position == 27
    assert len(seen) == 2
    stream.load_state_dict({"position": 3})  # elsewhere: what was drawn ahead is of no use
    kept.load_state_dict({"position": 3})
    assert torch.equal(next(iter(stream)), next(iter(kept)))
    assert len({*multiprocessing.active_children()} - others) == 2
    data.teardown("fit")
    assert {*multiprocessing.active_children()} <= others


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader"])
def test_a_program_that_fails_between_batches_ends_with_its_workers(loader):
    fill("images")
    program = f"""
from datamodules import ImageFolder
data = ImageFolder("images", image_size=8, cache=False, num_workers=2, batch_size=4)
data.setup()
batches = iter(data.{loader}())
next(batches)
raise RuntimeError("between batches")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: between batches\n")


def test_workers_that_draw_ahead_do_not_move_the_position():
    fill("images")
    data = opened(cache=False, num_workers=2)
    stream = data.train_dataloader()
    batches = iter(stream)
    first = [next(batches) for _ in range(3)]
    assert data.state_dict() == {"position": 3, "num_images": 36}
    other = opened()
    other.load_state_dict({"position": 2, "num_images": 36})
    assert torch.equal(next(iter(other.train_dataloader())), first[2])


def test_folders_right_below_are_classes():
    fill("images", classes=("dog", "cat"))
    data = opened()
    assert data.classes == ["cat", "dog"]
    images, labels = data.training_batches(0, 36, 0, 1)(0)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [1 - index % 2 for index in indices(images)]


@pytest.mark.parametrize("classes", [(), ("all",), ("all/deep",)])
def test_images_without_classes_have_no_labels(classes):
    fill("images", classes=classes)
    data = opened()
    assert data.classes == []
    assert isinstance(data.training_batches(0, 4, 0, 1)(0), torch.Tensor)


def test_sides_may_differ_and_channels_may_be_mixed():
    fill("images", 30, size=(12, 20))
    for index in range(10):
        Image.fromarray(noise(12, 20)).save(f"images/grey{index}.png")
        Image.fromarray(noise(12, 20, 4)).save(f"images/rgba{index}.jpeg", "PNG")
    data = opened(image_size=(6, 10), channels=1)
    assert data.data_shape == (1, 6, 10)
    assert data.training_batches(0, 4, 0, 1)(0).shape == (4, 1, 6, 10)


@pytest.mark.parametrize(("free", "kept"), [(2 * 40 * 192, True), (2 * 40 * 192 - 1, False)])
def test_what_takes_at_most_half_of_the_memory_is_kept(free, kept, monkeypatch, capsys):
    monkeypatch.setattr(reading, "_available_memory", lambda: free)
    fill("images")
    data = opened(cache=None, num_workers=1)
    assert data.num_workers == (0 if kept else 1)
    expected = "kept in memory" if kept else "decoded for every batch"
    assert capsys.readouterr().out.count(f"40 images of images are {expected}") == 1


def test_the_memory_that_is_free_is_found_out():
    assert 2**20 < reading._available_memory() < 2**50


@pytest.mark.parametrize(
    ("told", "free"),
    [
        ({}, 2**30),  # as on Windows
        ({"proc/meminfo": "MemAvailable:    3000 kB\n"}, 3_072_000),
        ({"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "5"}, 2**30),
        ({"sys/fs/cgroup/memory.max": "900", "sys/fs/cgroup/memory.current": "5"}, 895),
        ({"sys/fs/cgroup/memory.max": "900", "sys/fs/cgroup/memory.current": "901"}, 0),
        (
            {
                "proc/meminfo": "MemAvailable: 3 kB",
                "sys/fs/cgroup/memory.max": "9000",
                "sys/fs/cgroup/memory.current": "5",
            },
            3072,
        ),
    ],
)
def test_free_memory_is_the_least_of_what_a_system_tells(told, free, tmp_path, monkeypatch):
    for name, text in told.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.delattr(reading.os, "sysconf")
    monkeypatch.setattr(reading, "Path", lambda path: tmp_path / path.removeprefix("/"))
    assert reading._available_memory() == free


# Bad input


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", ["cut JPEG", "cut PNG", "text", "empty"])
def test_a_broken_image_is_named_or_left_out_and_counted(kind, cache, capsys):
    fill("images")
    broken = Path("images/010.jpg" if kind == "cut JPEG" else "images/010.png")
    if kind.startswith("cut"):
        Image.fromarray(noise(64, 64, 3)).save(broken)
        broken.write_bytes(broken.read_bytes()[:-500])
    else:
        broken.write_bytes(b"this is no image" if kind == "text" else b"")
    number = len(list(Path("images").iterdir()))
    with pytest.raises(
        ValueError, match=rf"path: 1 of {number} images cannot be used. {broken} cannot be read"
    ):
        opened(cache=cache)
    capsys.readouterr()
    data = opened(cache=cache, skip_broken=True)
    assert f"left out 1 of {number} images: {broken}" in capsys.readouterr().out
    length = len(data.training) + sum(len(rows) for _, rows in data.held_out[::2])
    assert length == number - 1


def test_an_image_that_cannot_be_brought_to_grey_is_named_or_left_out(capsys):
    """Pillow does not convert such colours."""
    fill("images")
    Image.new("LAB", (8, 8)).save("images/lab.tiff")
    with pytest.raises(
        ValueError, match=r"images/lab.tiff cannot be read as an image: conversion"
    ):
        opened(channels=1)
    opened(channels=1, skip_broken=True)
    assert "left out 1 of 41 images: images/lab.tiff" in capsys.readouterr().out


def test_the_folder_of_a_user_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    fill("home/images")
    assert opened(path="~/images").data_shape[0] == 3
    fill("~images")
    assert opened(path="~images").data_shape[0] == 3  # no user's folder


def test_images_that_are_left_out_take_their_labels_along():
    fill("images", classes=("a", "b"))
    Path("images/a/000.png").write_bytes(b"")
    Path("images/b/003.png").write_bytes(b"")
    for cache in (True, False):
        data = opened(cache=cache, skip_broken=True)
        images, labels = data.training_batches(0, len(data.training), 0, 1)(0)
        assert labels.tolist() == [index % 2 for index in indices(images)]
        assert not {0, 3} & set(indices(images))


@pytest.mark.parametrize("cache", [True, False])
def test_images_smaller_than_the_crop_are_refused(cache):
    fill("images", size=(8, 12))
    message = r"40 of 40 images cannot be used. images/000.png has 8 x 12 pixels, less than the "
    with pytest.raises(ValueError, match=message + "crop of 9 x 9"):
        opened(crop=9, cache=cache)
    opened(crop=(8, 12), cache=cache)


def test_a_glance_knows_which_way_up_a_photo_is():
    image = Image.fromarray(noise(8, 12, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save("x.jpg", exif=exif)
    ImageFiles([Path("x.jpg")], (4, 4), 3, (12, 8)).glance(0)
    ImageFiles([Path("x.jpg")], (4, 4), 3, (12, 8)).decode(0)
    with pytest.raises(ValueError, match="has 12 x 8 pixels"):
        ImageFiles([Path("x.jpg")], (4, 4), 3, (8, 12)).glance(0)


def test_what_a_glance_misses_is_named_when_it_is_decoded():
    fill("images")
    path = Path("images/007.png")
    Image.fromarray(noise(64, 64, 3)).save(path)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    for num_workers in (0, 1):
        data = opened(cache=False, num_workers=num_workers)
        loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        with pytest.raises(ValueError, match=r"^images/007.png cannot be read as an image: .*$"):
            list(chain(*loaders))
    kept, decoded = (opened(cache=cache, skip_broken=True) for cache in (True, False))
    assert len(kept.training) == len(decoded.training) == 35
    batches = [data.training_batches(0, 35, 0, 1)(0) for data in (kept, decoded)]
    assert torch.equal(*batches)


def test_what_cameras_append_to_a_photo_does_no_harm():
    fill("images")
    path = Path("images/photo.jpg")
    Image.fromarray(noise(8, 8, 3)).save(path)
    path.write_bytes(path.read_bytes() + bytes(5000))
    for cache in (True, False):
        assert len(opened(cache=cache).training) == 37


def test_links_to_folders_are_followed():
    fill("elsewhere/dogs", 20)
    fill("elsewhere/cats", 20)
    Path("images").mkdir()
    Path("images/dogs").symlink_to(Path("elsewhere/dogs").resolve())
    Path("images/cats").symlink_to(Path("elsewhere/cats").resolve())
    assert opened().classes == ["cats", "dogs"]


def test_links_that_lead_round_and_pipes_are_passed_by():
    fill("photos", 30)
    fill("other", 10)
    Path("photos/inner").mkdir()
    Path("photos/inner/up").symlink_to("..")
    Path("photos/itself").symlink_to(".")
    Path("photos/inner/there").symlink_to(Path("other").absolute())
    Path("other/back").symlink_to(Path("photos").absolute())
    os.mkfifo("photos/pipe.png")
    Path("photos/broken.png").symlink_to("nowhere.png")
    Path("photos/to_itself.png").symlink_to("to_itself.png")
    Path("photos/there.png").symlink_to("inner/back.png")
    Path("photos/inner/back.png").symlink_to("../there.png")
    data = ImageFolder("photos", 8, num_eval_samples=2, cache=True)
    data.setup()
    number = len(data.training) + sum(
        len(rows) for _, rows in (data.held_out[0], data.held_out[2])
    )
    assert number == 30 + 10


def test_folders_that_all_link_to_one_another_are_read_in_no_time():
    """There are 12! ways through twelve of them."""
    for name in "abcdefghijkl":
        fill(f"photos/{name}", 2)
        for other in "abcdefghijkl":
            Path(f"photos/{name}/to_{other}").symlink_to(f"../{other}")
    data = ImageFolder("photos", 8, num_eval_samples=2, cache=True)
    data.setup()
    assert len(data.classes) == 12


def test_the_same_folder_by_two_links_is_read_twice():
    fill("photos/a", 20)
    Path("photos/b").symlink_to("a")
    data = ImageFolder("photos", 8, num_eval_samples=2, cache=True)
    data.setup()
    assert data.classes == ["a", "b"]


def test_names_of_files_hold_no_escape_codes_for_the_terminal():
    fill("photos", 30)
    Path("photos/\x1b[31mred.png").write_bytes(b"no image")
    data = ImageFolder("photos", 8, cache=True)
    with pytest.raises(ValueError, match="cannot be read as an image") as refused:
        data.setup()
    assert r"\x1b[31mred.png" in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_other_images_than_at_the_beginning_are_told():
    fill("images")
    data = opened()
    with pytest.warns(UserWarning, match="was trained on 35 images, but this data has 36"):
        data.load_state_dict({"position": 7, "num_images": 35})
    assert data.train_dataloader().position == 7


def test_what_draws_batches_can_be_sent_to_other_processes():
    fill("images")
    data = opened(cache=False, horizontal_flip=True)
    draw = data.training_batches(3, 4, 0, 1)
    sent = pickle.loads(pickle.dumps(draw))
    assert torch.equal(sent(2), draw(2))
    batches = data.val_dataloader()
    sent = pickle.loads(pickle.dumps(batches.draw))
    assert torch.equal(sent(0), batches.draw(0))


def test_floating_point_images_are_refused():
    Image.fromarray(np.ones((4, 4), np.float32)).save("x.tiff")
    files = ImageFiles([Path("x.tiff")], (4, 4), 1)
    for look in (files.decode, files.glance):
        with pytest.raises(ValueError, match=r"x.tiff.*floating-point numbers of unknown range"):
            look(0)


def test_folders_without_images_are_refused():
    with pytest.raises(ValueError, match="path: there is no folder nowhere"):
        opened("nowhere")
    Path("texts").mkdir()
    with pytest.raises(ValueError, match="path: texts holds 0 files, none of them an image"):
        opened("texts")
    Path("texts/a.txt").write_text("a")
    with pytest.raises(ValueError, match="path: texts holds 1 files, none of them an image"):
        opened("texts")
    fill("few", 19)
    with pytest.raises(ValueError, match="path: few has 19 images, of which some"):
        opened("few")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size: each side must be at least 1, got 0"),
        ({"image_size": (8, -1)}, "image_size: each side must be at least 1"),
        ({"crop": (0, 8)}, "crop: each side must be at least 1"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageFolder("images", **arguments)
