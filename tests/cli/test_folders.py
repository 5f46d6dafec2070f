"""Reading the images of a folder, and writing others under their names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made import noise
from PIL import Image
from torch.testing import assert_close

from datamodules import ImageFolder
from lightning_gans.cli.commands import folders
from lightning_gans.cli.commands.folders import (
    FolderImages,
    check_names,
    check_new,
    save_images,
)
from lightning_gans.errors import InputError
from lightning_gans.progress import Work


def write(name, *shape):
    pixels = noise(*shape)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(name)
    return torch.from_numpy(pixels)


def read(images):
    with Work("reading") as work:
        found = list(images.batches(work))
    assert (work.done, work.total, work.unit) == (len(images), len(images), "images")
    return found


def test_images_are_read_in_the_order_of_their_names_and_in_the_range():
    second = write("in/b.png", 4, 6, 3)
    first = write("in/a/z.png", 4, 6, 3)
    images = FolderImages(Path("in"), 3, (4, 6), (-2.0, 1.0))
    assert images.names == ["a/z.png", "b.png"]
    assert images.labels is None
    ((rows, found),) = read(images)
    assert rows == slice(0, 2)
    expected = torch.stack([first, second]).movedim(-1, 1).double() / 255 * 3 - 2
    assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_images_get_size_and_channels_as_in_the_data_module(capsys):
    """Cropped, scaled and cut as by `ImageFolder`, which tells the rows of its validation set."""
    for index in range(20):
        write(f"in/{index:02d}.png", 12 + index, 20, *((3,) if index % 2 else ()))
    data = ImageFolder("in", image_size=(6, 5), channels=1, crop=(11, 10))
    data.setup()
    source, _ = data.held_out[0]
    expected = data.normalize(source.read(torch.arange(20)))
    capsys.readouterr()
    ((_, found),) = read(FolderImages(Path("in"), 1, (6, 5), data.value_range, data.crop))
    assert_close(found, expected)
    assert capsys.readouterr().out.splitlines() == [
        "10 of 20 images have other channels and are converted to grey",
        "20 of 20 images have another size and are scaled and cut to 6 x 5 pixels",
    ]


def test_images_of_any_size_come_in_batches_of_one_size(monkeypatch, capsys):
    monkeypatch.setattr(folders, "ENTRIES", 3 * 4 * 5 * 2)
    sizes = [(4, 5), (4, 5), (4, 5), (6, 2), (40, 50), (4, 5)]
    pixels = [write(f"in/{index}.png", *size, 3) for index, size in enumerate(sizes)]
    found = read(FolderImages(Path("in"), 3, value_range=(0.0, 1.0)))
    parts = [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
    assert [rows for rows, _ in found] == [slice(*part) for part in parts]
    for rows, images in found:
        assert_close(images.mul(255).round().byte().movedim(1, -1), torch.stack(pixels[rows]))
    assert capsys.readouterr().out == ""


def test_folders_are_classes_as_in_the_data_module():
    for name in ("one/1.png", "two/1.png", "two/2.png"):
        write(f"in/{name}", 4, 4)
    images = FolderImages(Path("in"), 1, (4, 4))
    assert images.num_classes == 2
    assert images.labels.tolist() == [0, 1, 1]


def test_what_cannot_be_read_is_refused_before_the_work():
    with pytest.raises(InputError, match=r"^in: there is no folder nowhere\. Use the folder of"):
        FolderImages(Path("nowhere"), 3)
    Path("in").mkdir()
    Path("in/notes.txt").write_text("none")
    with pytest.raises(InputError, match=r"^in: in holds 1 files, none of them an image"):
        FolderImages(Path("in"), 3)
    for index in range(3):
        write(f"in/{index}.png", 32, 32)
    whole = Path("in/1.png").read_bytes()
    Path("in/1.png").write_bytes(whole[: len(whole) // 2])
    Path("in/2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"^in: 2 of 3 images cannot be used\. in/1.png cannot"):
        FolderImages(Path("in"), 3)
    Path("in/2.png").unlink()
    middle = len(whole) // 2
    Path("in/1.png").write_bytes(whole[:middle] + b"\0" * 9 + whole[middle + 9 :])
    with pytest.raises(InputError, match=r"^in: 1 of 2 images cannot be used\. in/1.png cannot"):
        FolderImages(Path("in"), 3)
    Path("in/1.png").write_bytes(whole)
    images = FolderImages(Path("in"), 3)
    Path("in/1.png").unlink()
    with pytest.raises(InputError, match=r"^in: in/1.png cannot be read as an image.*Run the"):
        read(images)


def test_images_are_written_under_their_names():
    images = torch.linspace(-1, 1, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    save_images(images, ["a/one.jpg", "two.tar.tif"], Path("out"), (-1.0, 1.0))
    save_images(images[:1, :1], ["grey.png"], Path("out"), (-1.0, 1.0))
    files = sorted(path.as_posix() for path in Path("out").rglob("*.*"))
    assert files == ["out/a/one.png", "out/grey.png", "out/two.tar.png"]
    expected = ((images + 1) / 2 * 255).round().byte().movedim(1, -1).numpy()
    assert np.array_equal(np.asarray(Image.open("out/a/one.png")), expected[0])
    assert np.array_equal(np.asarray(Image.open("out/two.tar.png")), expected[1])
    assert np.array_equal(np.asarray(Image.open("out/grey.png")), expected[0, ..., 0])


def test_names_that_would_become_one_are_refused():
    check_names(["a/1.png", "b/1.png", "a/2.jpg"])
    with pytest.raises(InputError, match=r"^in: a/1.jpg and a/1.png would both become a/1.png\."):
        check_names(["a/1.jpg", "b/1.png", "a/1.png"])


def test_what_is_there_is_not_overwritten():
    check_new(Path("out/new"), "")
    check_new(Path("out/codes.npy"), ".npy", ".csv")
    Path("out").mkdir()
    Path("codes.npy").touch()
    for path, endings in (("out", ("",)), ("codes.npy", (".npy",))):
        with pytest.raises(InputError, match=f"^out: {path} already exists. Use a new name"):
            check_new(Path(path), *endings)
    with pytest.raises(InputError, match=r"^out: the name must end in .npy, .csv, got codes.txt"):
        check_new(Path("codes.txt"), ".npy", ".csv")
