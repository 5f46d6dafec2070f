"""The downloadable datasets on files made here, and on the real ones where they are at hand."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from made import NAMES, idx, make_digits, make_photos

from datamodules import CIFAR10, MNIST, FashionMNIST
from lightning_gans.cli.main import main

REAL = os.environ.get("LIGHTNING_GANS_DATA")


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_digits_are_read_as_they_were_written(kind):
    images, labels, test_images, test_labels = make_digits("data", kind.__name__)
    data = kind()
    data.prepare_data()
    data.setup("fit")
    assert data.training.images.shape == (60, 1, 28, 28)
    assert np.array_equal(data.training.images[:, 0], images)
    assert data.training.labels.dtype == torch.int64
    assert np.array_equal(data.training.labels, labels)
    source, rows = data.held_out[0]
    assert sorted(rows.tolist()) == list(range(30))
    assert np.array_equal(source.images[:, 0], test_images)
    assert np.array_equal(source.labels, test_labels)


def test_photos_are_read_as_they_were_written():
    files = make_photos("data")
    data = CIFAR10()
    data.prepare_data()
    data.setup("fit")
    pixels = np.concatenate([pixels for pixels, _ in files[:5]])
    assert data.training.images.shape == (40, 3, 32, 32)
    assert np.array_equal(data.training.images.flatten(1), pixels)
    # 1,024 bytes of red, row by row, then green, then blue.
    assert data.training.images[3, 1, 2, 5] == pixels[3, 1024 + 2 * 32 + 5]
    assert data.training.labels.tolist() == [label for _, labels in files[:5] for label in labels]
    assert np.array_equal(data.held_out[2][0].images.flatten(1), files[5][0])


def test_a_subset_leaves_what_is_compared_with_as_it_is():
    make_digits("data")
    data, whole = MNIST(subset=20), MNIST()
    for part in (data, whole):
        part.setup()
    assert len(data.training) == 20
    draw = data.training_batches(0, 20, 0, 1)
    assert torch.equal(draw(0)[0].sort(0).values, draw(1)[0].sort(0).values)
    for (ours, our_rows), (theirs, their_rows) in zip(data.held_out, whole.held_out, strict=True):
        assert torch.equal(ours.read(our_rows), theirs.read(their_rows))


def test_fewer_evaluation_images_are_a_choice_that_no_seed_changes(monkeypatch):
    make_digits("data")
    rows = []
    for seed in ("0", "1"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        data = MNIST(num_eval_samples=10)
        data.setup()
        rows.append([part.tolist() for _, part in data.held_out])
    assert rows[0] == rows[1]
    assert [len(part) for part in rows[0]] == [10, 10, 10]
    assert rows[0][0] == rows[0][2] != list(range(10))
    assert data.held_out[1][0] is data.training
    whole = MNIST()
    whole.setup()
    assert [len(part) for _, part in whole.held_out] == [30, 30, 30]


def test_complete_data_is_never_downloaded(monkeypatch):
    make_digits("data")
    never = staticmethod(lambda *_, **__: pytest.fail("downloaded"))
    monkeypatch.setattr(MNIST, "source", never)
    MNIST().prepare_data()


def test_what_is_missing_is_downloaded_and_nothing_else_is_left(monkeypatch):
    """The download is torchvision's; a stand-in writes what it would write."""
    make_digits("data")
    labels = Path("data/MNIST/raw/train-labels-idx1-ubyte")
    images = Path("data/MNIST/raw/train-images-idx3-ubyte")
    before = images.stat().st_mtime_ns
    labels.unlink()

    def download(root, download):
        assert download
        make_digits(root)
        Path(root, "MNIST", "raw", "train-labels-idx1-ubyte.gz").write_bytes(b"packed")

    monkeypatch.setattr(MNIST, "source", staticmethod(download))
    data = MNIST()
    data.prepare_data()
    data.setup()
    assert images.stat().st_mtime_ns == before
    assert sorted(os.listdir("data")) == ["MNIST"]
    assert sorted(os.listdir("data/MNIST/raw")) == sorted(f"{name}-ubyte" for name in NAMES)


def test_a_download_that_fails_says_what_is_missing_and_leaves_nothing(monkeypatch):
    def download(root, download):
        Path(root, "MNIST", "raw").mkdir(parents=True)
        Path(root, "MNIST", "raw", f"{NAMES[0]}-ubyte").write_bytes(b"half")
        raise RuntimeError("no network")

    monkeypatch.setattr(MNIST, "source", staticmethod(download))
    with pytest.raises(ValueError, match="MNIST is not in data") as raised:
        MNIST().prepare_data()
    assert str(raised.value).endswith(
        "MNIST/raw/train-images-idx3-ubyte, or run lightning-gans prepare "
        "--data MNIST where there is a network. The download failed: no network"
    )
    assert os.listdir() == []


def test_nothing_is_downloaded_into_a_folder_that_is_not_there_unless_asked_to(
    monkeypatch, capsys
):
    def download(root, download):
        make_digits(root)

    monkeypatch.setattr(MNIST, "source", staticmethod(download))
    with pytest.raises(ValueError, match="data_dir: there is no folder deep/data"):
        MNIST("deep/data").prepare_data()
    assert os.listdir() == []
    main(["prepare", "--data", "MNIST", "--data.data_dir", "deep/data"])
    assert capsys.readouterr().out == "MNIST: 60 images to train on\n"
    assert os.listdir("deep/data") == ["MNIST"]


def test_a_preparation_that_fails_leaves_no_folder_and_says_what_cannot_be_made(
    monkeypatch, capsys
):
    def download(root, download):
        raise RuntimeError("no network")

    monkeypatch.setattr(MNIST, "source", staticmethod(download))
    Path("file").touch()
    for folder, message in (
        ("new", "data_dir: MNIST is not in new."),
        ("file/new", "data_dir: file/new cannot be made: Not a directory."),
    ):
        with pytest.raises(SystemExit) as done:
            main(["prepare", "--data", "MNIST", "--data.data_dir", folder])
        assert done.value.code == 2
        assert f"error: {message}" in capsys.readouterr().err
    assert os.listdir() == ["file"]


def test_the_environment_names_the_folder_that_is_not_given(monkeypatch):
    assert MNIST().data_dir == Path("data")
    monkeypatch.setenv("LIGHTNING_GANS_DATA", "shared/images")
    assert MNIST().data_dir == Path("shared/images")
    assert MNIST("elsewhere").data_dir == Path("elsewhere")


def test_reading_without_the_files_names_them():
    with pytest.raises(ValueError, match="data_dir: elsewhere/MNIST/raw/train-images-idx3-ubyte"):
        MNIST("elsewhere").setup()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-1], "is damaged or not an IDX file"),
        (lambda raw: raw + b"\0", "is damaged or not an IDX file"),
        (lambda raw: raw[:6], "is damaged or not an IDX file"),
        (lambda raw: b"", "is damaged or not an IDX file"),
        (lambda raw: b"<html>" + raw, "is damaged or not an IDX file"),
        (lambda raw: idx(np.zeros((60, 27, 28), np.uint8)), "holds images of shape"),
        (lambda raw: idx(np.zeros((59, 28, 28), np.uint8)), r"labels of shape \(60,\)"),
    ],
)
def test_damaged_digits_are_named(damage, message):
    make_digits("data")
    path = Path("data/MNIST/raw/train-images-idx3-ubyte")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"^data_dir: {path} .*{message}"):
        MNIST().setup()


def test_labels_that_are_images_and_files_without_images_are_refused():
    make_digits("data")
    images, labels = (Path("data/MNIST/raw", f"{name}-ubyte") for name in NAMES[:2])
    whole = labels.read_bytes()
    labels.write_bytes(images.read_bytes())
    with pytest.raises(ValueError, match=r"labels of shape \(60, 28, 28\)"):
        MNIST().setup()
    labels.write_bytes(whole[:4] + bytes(4))
    images.write_bytes(images.read_bytes()[:4] + bytes(4) + images.read_bytes()[8:16])
    with pytest.raises(ValueError, match=r"images of shape \(0, 28, 28\)"):
        MNIST().setup()


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({b"data": Harm(), b"labels": []}),
        pickle.dumps({b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.float32), b"labels": [1, 2]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}),
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": [1], b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((0, 3072), np.uint8), b"labels": []}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]})[:500],
        b"",
    ],
)
def test_damaged_or_hostile_photos_are_named_and_run_nothing(content):
    make_photos("data")
    path = Path("data/cifar-10-batches-py/data_batch_2")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"data_dir: {path} is damaged or not a file of CIFAR-10"):
        CIFAR10().setup()
    assert not Path("harm").exists()


def test_files_of_different_lengths_are_refused():
    make_photos("data")
    content = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}
    Path("data/cifar-10-batches-py/data_batch_2").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="data_batch_2 has 2 images, unlike the first file"):
        CIFAR10().setup()


def test_the_command_prepare_checks_the_data(capsys):
    make_digits("data")
    main(["prepare", "--data", "MNIST"])
    assert capsys.readouterr().out == "MNIST: 60 images to train on\n"
    Path("data/MNIST/raw/train-images-idx3-ubyte").write_bytes(b"no")
    with pytest.raises(SystemExit) as done:
        main(["prepare", "--data", "MNIST"])
    assert done.value.code == 2
    assert "train-images-idx3-ubyte is damaged" in capsys.readouterr().err


def test_digits_train_from_the_command_line_with_no_flag_but_model_and_data():
    make_digits("data")
    main(
        [
            *("fit", "--model", "WDCGANGP", "--data", "MNIST", "--trainer.max_steps", "1"),
            *("--trainer.val_check_interval", "1", "--data.batch_size", "4"),
        ]
    )
    folder = Path("runs/wdcgangp_mnist/version_0")
    assert (folder / "checkpoints/best.ckpt").is_file()
    header = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"val/fd_digits", "val/digit_tv", "val/digit_confidence", "val/sliced_w"} < set(header)


@pytest.mark.skipif(not REAL, reason="real MNIST is not here")
def test_the_real_digits_are_those_that_are_known():
    data = MNIST(REAL)
    data.prepare_data()
    data.setup()
    known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.training.labels.bincount().tolist() == known
    assert data.training.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.training.images.double().mean().item() == pytest.approx(33.3184, abs=1e-4)
    assert data.held_out[0][0].images.shape == (10_000, 1, 28, 28)
