"""The commands that read codes out of the user's own images."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import MadeImages, fitted, small_ring
from made import fill, noise
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from datamodules import FewLabels
from lightning_gans import AAE, DCGAN, SGAN, SemiSupervisedAAE, load
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.callbacks.drawing import to_bytes
from lightning_gans.cli.main import main
from lightning_gans.networks import SGANGenerator, evaluation_mode


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A model of grey images of 16 pixels, and a run on a folder of colour images."""
    root = tmp_path_factory.mktemp("encode")
    model = AAE(data_shape=(1, 16, 16))
    fitted(model, MadeImages(), 2).save_checkpoint(root / "aae.ckpt")
    fill(root / "photos", size=(20, 24))
    settings = ["--data.path", root / "photos", "--data.image_size", 8, "--data.crop", 10]
    settings += ["--data.batch_size", 4, "--data.value_range", "[0,1]"]
    brief = ["--trainer.max_steps", 1, "--trainer.default_root_dir", root]
    quick = ["--pictures.enabled", "false", "--trainer.limit_val_batches", 0]
    kinds = ["--model", "AAE", "--data", "ImageFolder"]
    run("fit", "--name", "photos", *kinds, *settings, *brief, *quick)
    return root


def run(*arguments):
    main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("lightning-gans: error: ")


def greys(number=5, size=(16, 16)):
    """Writes grey images into the folder ``in``, and returns them in [-1, 1]."""
    pixels = [noise(*size) for _ in range(number)]
    for name in ("even", "odd"):
        Path("in", name).mkdir(parents=True)
    names = [f"{'even' if i % 2 == 0 else 'odd'}/{i}.png" for i in range(number)]
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(Path("in", name))
    order = sorted(range(number), key=lambda i: names[i])
    images = torch.from_numpy(np.stack([pixels[i] for i in order])).float()[:, None]
    return images / 255 * 2 - 1, [names[i] for i in order]


def test_codes_stand_beside_the_names_of_the_files(root, capsys):
    images, names = greys()
    model = load(root / "aae.ckpt")
    expected = model.encode(images)
    run("encode", "--ckpt_path", root / "aae.ckpt", "--in", "in", "--out", "new/codes.npy")
    assert capsys.readouterr().out == "new/codes.npy\n"
    found = np.load("new/codes.npy")
    assert found.dtype.names == ("file", "code")
    assert found["file"].tolist() == names
    assert_close(torch.from_numpy(found["code"]), expected)
    run("encode", "--ckpt_path", root / "aae.ckpt", "--in", "in", "--out", "codes.csv")
    with open("codes.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", *(f"z{index}" for index in range(model.prior.dim))]
    assert [row[0] for row in rows] == names
    values = np.array([row[1:] for row in rows], np.float32)
    assert np.array_equal(values, found["code"])  # nine digits tell a float exactly


def test_images_are_read_as_the_data_module_of_the_run_does(root, capsys):
    """Cropped to 10 and scaled to 8 pixels, in [0, 1]; the middle of 20 x 24 pixels counts."""
    run("encode", "--ckpt_path", root / "photos", "--in", root / "photos", "--out", "codes.npy")
    assert "40 of 40 images have another size and are scaled and cut to 8 x 8 pixels" in (
        capsys.readouterr().out
    )
    model = load(root / "photos")
    images = []
    for path in sorted((root / "photos").glob("*.png")):
        with Image.open(path) as image:
            middle = image.crop((7, 5, 17, 15)).resize((8, 8), Image.Resampling.BICUBIC)
        images.append(torch.from_numpy(np.array(middle)).float().movedim(-1, 0) / 255)
    assert_close(torch.from_numpy(np.load("codes.npy")["code"]), model.encode(torch.stack(images)))


def test_reconstructions_keep_the_names_and_the_originals(root, capsys):
    images, names = greys()
    before = {path: path.read_bytes() for path in Path("in").rglob("*.png")}
    run("reconstruct", "--ckpt_path", root / "aae.ckpt", "--in", "in", "--out", "again")
    assert capsys.readouterr().out == "again\n"
    expected = to_bytes(load(root / "aae.ckpt").reconstruct(images), (-1, 1))[:, 0].numpy()
    found = sorted(path.relative_to("again").as_posix() for path in Path("again").rglob("*.png"))
    assert found == names
    for name, image in zip(names, expected, strict=True):
        assert np.array_equal(np.asarray(Image.open(Path("again", name))), image)
    assert before == {path: path.read_bytes() for path in Path("in").rglob("*.png")}
    text = "out: again already exists. Use a new name; nothing is overwritten."
    arguments = ["--ckpt_path", root / "aae.ckpt", "--in", "in"]
    assert refused(capsys, "reconstruct", *arguments, "--out", "again") == text


def test_the_folders_are_the_classes_of_a_model_that_has_them(capsys):
    images, names = greys()
    model = AAE(data_shape=(1, 16, 16), num_classes=2)
    labelled = TensorDataset(torch.rand(8, 1, 16, 16), torch.arange(8) % 2)
    data = DataLoader(labelled, batch_size=4)
    fitted(model, data, 1).save_checkpoint("classes.ckpt")
    given = ["reconstruct", "--ckpt_path", "classes.ckpt", "--out", "again", "--in"]
    run(*given, "in")
    own = torch.tensor([name.startswith("odd") for name in names]).long()
    expected = to_bytes(load("classes.ckpt").reconstruct(images, own), (-1, 1))[:, 0].numpy()
    for name, image in zip(names, expected, strict=True):
        assert np.array_equal(np.asarray(Image.open(Path("again", name))), image)
    given[4] = "other"
    assert refused(capsys, *given, "in/odd") == (
        "in: the model has 2 classes, but in/odd has a folder of images for each of 0. Use a "
        "folder with one for each class, in the order of their names."
    )


def test_a_reconstruction_that_fails_leaves_nothing(root, monkeypatch, capsys):
    greys()

    def fails(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(AAE, "reconstruct", fails)
    message = refused(capsys, "reconstruct", "--ckpt_path", root / "aae.ckpt", "--in", "in")
    assert message == "ckpt_path: the model makes no reconstructions: RuntimeError: no"
    assert sorted(path.name for path in Path().iterdir()) == ["in"]


def test_what_cannot_be_encoded_is_refused_before_the_work(root, capsys):
    greys()
    aae = ["--ckpt_path", root / "aae.ckpt"]
    fitted(DCGAN(data_shape=(1, 16, 16)), MadeImages(), 1).save_checkpoint("dcgan.ckpt")
    fitted(AAE(data_shape=(2,)), small_ring(), 1).save_checkpoint("points.ckpt")
    for arguments, message in (
        ((*aae, "--in", "nowhere"), "in: there is no folder nowhere. Use the folder of your"),
        ((*aae, "--in", "in", "--out", "codes.txt"), "out: the name must end in .npy, .csv, got"),
        ((*aae, "--in", "in", "--out", "dcgan.ckpt"), "out: dcgan.ckpt already exists. Use a new"),
        (("--ckpt_path", "dcgan.ckpt", "--in", "in"), "ckpt_path: a DCGAN has no encoder. Use a"),
        (
            ("--ckpt_path", "points.ckpt", "--in", "in"),
            "in: a model of samples of shape (2,) reads no images. Use lightning_gans.load in",
        ),
        (aae, "the following arguments are required: --in"),
    ):
        assert refused(capsys, "encode", *arguments).startswith(message)
    Image.fromarray(noise(16, 16)).save("in/even/0.bmp")
    message = refused(capsys, "reconstruct", *aae, "--in", "in")
    assert message.startswith("in: even/0.bmp and even/0.png would both become even/0.png.")
    assert not Path("codes.npy").exists()
    assert not Path("reconstructions").exists()


def test_an_exported_encoder_finds_the_same_codes(root, capsys):
    aae, images = load(root / "aae.ckpt"), torch.rand(3, 1, 16, 16)
    run("export", "--ckpt_path", root / "aae.ckpt", "--network", "encoder")
    assert "its codes differ from the checkpoint's by" in capsys.readouterr().out
    session = onnxruntime.InferenceSession("encoder.onnx")
    (found,) = session.run(["latent"], {"sample": images.numpy()})
    assert_close(torch.from_numpy(found), aae.encode(images), rtol=0, atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert told == {"value_range": "[-1.0, 1.0]"}
    run("export", "--ckpt_path", root / "aae.ckpt")
    assert torch.equal(load("generator.safetensors").encode(images), aae.encode(images))
    run("export", "--ckpt_path", root / "aae.ckpt", "--format", "onnx")
    assert Path("generator.onnx").exists()


@pytest.mark.slow
def test_an_exported_encoder_tells_probabilities_of_classes():
    torch.manual_seed(0)
    model = SemiSupervisedAAE(data_shape=(1, 16, 16))
    data = FewLabels(MadeImages(), num_labels=10)
    fitted(model, data, 2).save_checkpoint("styles.ckpt")
    run("export", "--ckpt_path", "styles.ckpt", "--network", "encoder", "--out", "styles.onnx")
    images = torch.rand(3, 1, 16, 16)
    session = onnxruntime.InferenceSession("styles.onnx")
    (found,) = session.run(["latent"], {"sample": images.numpy()})
    assert_close(torch.from_numpy(found), model.encode(images), rtol=0, atol=1e-5)
    assert_close(torch.from_numpy(found)[:, 15:].sum(1), torch.ones(3))


def test_an_exported_classifier_tells_the_same_probabilities(capsys):
    torch.manual_seed(0)
    model = SGAN(data_shape=(1, 8, 8), generator=partial(SGANGenerator, hidden=[8]))
    made = MadeImages(number=60, data_shape=(1, 8, 8), value_range=(0.0, 1.0))
    data = FewLabels(made, num_labels=20)
    fitted(model, data, 2, callbacks=[GeneratorEMA(0.5)]).save_checkpoint("few.ckpt")
    given = ["--ckpt_path", "few.ckpt", "--network", "classifier"]
    run("export", *given, "--out", "tells.onnx")
    assert "its probabilities differ from the checkpoint's by" in capsys.readouterr().out
    session, images = onnxruntime.InferenceSession("tells.onnx"), torch.rand(5, 1, 8, 8)
    (found,) = session.run(["probability"], {"sample": images.numpy()})
    averaged = load("few.ckpt")
    with evaluation_mode(averaged.discriminator), torch.no_grad():
        told = averaged.discriminator(images).softmax(1)
    assert_close(torch.from_numpy(found), told, rtol=0, atol=1e-5)
    live = load("few.ckpt", averaged=False).probabilities(images)
    assert not torch.allclose(live, told, rtol=0, atol=1e-5)
    message = refused(capsys, "export", *given[:3], "encoder")
    assert message == "network: SGAN has no encoder. Use classifier, or leave --network out."
    message = refused(capsys, "export", *given, "--format", "safetensors")
    assert message.startswith("format: safetensors hold all networks of a model. Leave --network")


def test_an_encoder_that_is_not_there_or_not_alone_is_refused(root, capsys):
    fitted(DCGAN(data_shape=(1, 16, 16)), MadeImages(), 1).save_checkpoint("dcgan.ckpt")
    message = refused(capsys, "export", "--ckpt_path", "dcgan.ckpt", "--network", "encoder")
    assert message == "network: DCGAN has no encoder. Leave --network out."
    given = ["--ckpt_path", root / "aae.ckpt", "--network", "encoder"]
    message = refused(capsys, "export", *given, "--out", "encoder.safetensors")
    assert message.startswith("format: safetensors hold all networks of a model. Leave --network")
