"""``lightning-gans translate``, and the export of translators."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made import noise
from PIL import Image
from torch import nn

from lightning_gans import CoGAN, Pix2Pix, load
from lightning_gans.cli.commands.translate import _room, _translated
from lightning_gans.cli.main import main

BRIEF = (
    *("--trainer.max_steps", "1", "--trainer.val_check_interval", "1"),
    *("--pictures.enabled", "false", "--data.num_eval_samples", "16", "--data.batch_size", "2"),
)


def trained(model, translator, *flags, folder="pairs"):
    """Trains a model on made images by the command line; returns the name of the run."""
    for name in (folder, "a", "b"):
        for index in range(30):
            Path(name).mkdir(exist_ok=True)
            Image.fromarray(noise(16, 32 if name == folder else 16, 3)).save(f"{name}/{index}.png")
    data = ["PairedFolder", "--data.path", folder]
    if model == "CycleGAN":
        data = ["UnpairedFolders", "--data.folder_a", "a", "--data.folder_b", "b"]
    network = "generator" if model == "Pix2Pix" else "translator"
    critic = ["PatchDiscriminator", "--model.discriminator.width", "2"]
    critic += ["--model.discriminator.strided", "1"]
    chosen = ["--model", model, f"--model.{network}", translator, *flags]
    chosen += ["--model.discriminator", *critic, "--data", *data, "--data.image_size", "16"]
    main(["fit", *chosen, *BRIEF, "--name", "run"])
    return "runs/run"


def write(name, *shape):
    pixels = noise(*shape)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(name)
    return pixels


@pytest.mark.parametrize(
    ("sides", "own", "stride", "added"),
    [
        (16, 16, 8, (0, 0)),
        (17, 16, 8, (3, 4)),
        (23, 16, 8, (0, 1)),
        (28, 28, 8, (0, 0)),  # an odd side within
        (29, 28, 8, (3, 4)),
        (3, 28, 4, (2, 3)),
        (300, 256, 256, (106, 106)),
        (100, 256, 256, (78, 78)),
        (5, 28, 1, (0, 0)),
        (1, 28, 1, (0, 1)),
    ],
)
def test_an_image_gets_the_next_size_that_fits(sides, own, stride, added):
    assert _room(sides, own, stride) == added
    total = sides + sum(added)
    assert (total - own) % stride == 0


def test_images_of_any_size_are_translated_in_their_size_under_their_names(capsys):
    run = trained(
        "CycleGAN", "ResNetTranslator", "--model.translator.width=2", "--model.translator.blocks=1"
    )
    model = load("runs/run/version_0/checkpoints/best.ckpt")
    fits = write("in/fits.png", 20, 16, 3)
    write("in/deep/er/odd.jpg", 17, 9, 3)
    write("in/tiny.png", 1, 2)
    capsys.readouterr()
    main(["translate", "--ckpt_path", run, "--in", "in", "--out", "out"])
    told = capsys.readouterr().out
    assert "1 of 3 images have other channels and are converted to RGB" in told
    assert told.splitlines()[-1] == "out"
    found = {
        p.relative_to("out").as_posix(): Image.open(p).size for p in Path("out").rglob("*.png")
    }
    assert found == {"fits.png": (16, 20), "deep/er/odd.png": (9, 17), "tiny.png": (2, 1)}
    x = torch.from_numpy(fits).movedim(-1, 0)[None].float().mul(2 / 255).sub(1)
    for direction, folder in (("a_to_b", "out"), ("b_to_a", "back")):
        if folder == "back":
            asked = ["--direction", direction, "--in", "in", "--out", folder]
            main(["translate", "--ckpt_path", run, *asked])
        expected = ((model.translate(x, direction)[0] + 1) / 2 * 255).round().byte()
        written = np.asarray(Image.open(f"{folder}/fits.png"))
        assert np.abs(written.astype(int) - expected.movedim(0, -1).numpy()).max() <= 1


def test_what_is_added_is_a_reflection_and_is_cut_off_again():
    model = Pix2Pix(data_shape=(1, 16, 16), generator=nn.Identity(), discriminator=nn.Identity())
    images = torch.rand(2, 1, 5, 23)
    assert torch.equal(_translated(model, images, "a_to_b", (16, 16), 16), images)
    seen = []
    model.generator.register_forward_hook(lambda *given: seen.append(given[2]))
    _translated(model, images, "a_to_b", (16, 16), 16)
    assert seen[0].shape == (2, 1, 16, 32)
    assert torch.equal(seen[0][:, :, 5, 4:27], images[:, :, 0])
    assert torch.equal(seen[0][:, :, 4, 4:27], images[:, :, 1])  # the row below the edge
    assert torch.equal(seen[0][:, :, 5, 3], images[:, :, 0, 1])


def test_a_network_of_one_size_gets_images_of_this_size(capsys):
    run = trained("Pix2Pix", "MLPTranslator", "--model.generator.hidden=[4]")
    write("in/a.png", 20, 40, 3)
    main(["translate", "--ckpt_path", run, "--in", "in", "--out", "out"])
    told = capsys.readouterr().out
    assert "1 of 1 images have another size and are scaled and cut to 16 x 16 pixels" in told
    assert Image.open("out/a.png").size == (16, 16)


def refused(*arguments):
    with pytest.raises(SystemExit) as done:
        main(["translate", *arguments])
    assert done.value.code == 2


def test_what_cannot_be_translated_is_refused_before_the_work(capsys):
    run = trained("Pix2Pix", "LocalTranslator", "--model.generator.width=2")
    write("in/a.png", 4, 4)
    Path("there").mkdir()
    for flags, message in (
        (("--direction", "b_to_a"), "direction: a Pix2Pix only translates a_to_b, got b_to_a. L"),
        (("--out", "there"), "out: there already exists. Use a new name"),
        (("--out", "new.png"), "out: the name must have no extension, for a new folder, got new"),
        (("--in", "nowhere"), "in: there is no folder nowhere. Use the folder of your images."),
        (("--direction", "up"), "argument --direction: invalid choice: 'up'"),
    ):
        given = {"--ckpt_path": run, "--in": "in", "--out": "out", **dict([flags])}
        refused(*(part for item in given.items() for part in item))
        assert message in capsys.readouterr().err
        assert not Path("out").exists()
    write("in/a.jpg", 4, 4)
    refused("--ckpt_path", run, "--in", "in", "--out", "out")
    assert "a.jpg and a.png would both become a.png" in capsys.readouterr().err
    main(["fit", "--model", "GAN", "--data", "GaussianRing", *BRIEF, "--name", "other"])
    refused("--ckpt_path", "other", "--in", "in", "--out", "out")
    assert "a GAN does not translate images. Use a model that does" in capsys.readouterr().err


def test_a_network_that_the_command_does_not_know_is_not_recommended(capsys):
    """The generator of pix2pix is what is exported without --network."""
    run = trained("Pix2Pix", "MLPTranslator", "--model.generator.hidden=[4]")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["export", "--ckpt_path", run, "--network", "to_b"])
    message = "network: Pix2Pix has no to_b. Leave --network out."
    assert message in capsys.readouterr().err


def test_translators_are_exported_to_both_forms(capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = trained("CycleGAN", "UNetTranslator", "--model.translator.widths=[2,3]")
    model = load("runs/run/version_0/checkpoints/best.ckpt")
    x = torch.rand(3, 3, 16, 16)
    main(["export", "--ckpt_path", run, "--out", "both.safetensors"])
    loaded = load("both.safetensors")
    for direction, flags in (
        ("a_to_b", []),
        ("a_to_b", ["--network", "to_b"]),
        ("b_to_a", ["--network", "to_a"]),
    ):
        main(["export", "--ckpt_path", run, "--out", "one.onnx", *flags])
        session = onnxruntime.InferenceSession("one.onnx")
        (made,) = session.run(["sample"], {"source": x.numpy()})
        expected = model.translate(x, direction)
        torch.testing.assert_close(torch.from_numpy(made), expected, rtol=0, atol=1e-5)
        assert torch.equal(loaded.translate(x, direction), expected)
    capsys.readouterr()
    for flags, message in (
        (["--network", "encoder"], "network: CycleGAN has no encoder. Use to_b or to_a, or leave"),
        (
            ["--network", "to_b", "--format", "safetensors"],
            "format: safetensors hold all networks",
        ),
    ):
        with pytest.raises(SystemExit):
            main(["export", "--ckpt_path", run, "--format", "onnx", *flags])
        assert message in capsys.readouterr().err


def test_pairs_of_both_kinds_are_sampled_drawn_and_exported(capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    for folder in "ab":
        for index in range(20):
            write(f"{folder}/{index}.png", 12, 12, 3)
    networks = ["--model", "CoGAN", "--model.generator", "CoupledGenerator"]
    networks += ["--model.generator.width", "2", "--model.discriminator", "CoupledDiscriminator"]
    networks += ["--model.discriminator.width", "2"]
    data = ["--data", "UnpairedFolders", "--data.folder_a", "a", "--data.folder_b", "b"]
    main(["fit", *networks, *data, "--data.image_size", "20", *BRIEF, "--name", "run"])
    model = load("runs/run/version_0/checkpoints/best.ckpt")
    for out in ("pairs.npy", "pairs.png", "pairs"):
        main(["sample", "--ckpt_path", "runs/run", "--out", out, "--n", "2"])
    main(["interpolate", "--ckpt_path", "runs/run", "--out", "way.png", "--n=1", "--steps=3"])
    samples = torch.from_numpy(np.load("pairs.npy"))
    assert samples.shape == (2, 6, 20, 20)
    pairs = torch.cat([samples[:, :3], samples[:, 3:]], 3).permute(0, 2, 3, 1)
    for index, pair in enumerate(pairs):
        with Image.open(f"pairs/{index:06d}.png") as image:
            shown = torch.from_numpy(np.array(image)).float() / 127.5 - 1
        torch.testing.assert_close(shown, pair, rtol=0, atol=1 / 250)
    with Image.open("pairs.png") as both, Image.open("way.png") as way:
        assert 2 * 40 < both.width < 3 * 40 < way.width

    main(["export", "--ckpt_path", "runs/run", "--out", "pairs.onnx"])
    assert CoGAN.__subclasses__() == []  # none of its name is left, so --model CoGAN is clear
    main(["export", "--ckpt_path", "runs/run", "--out", "pairs.safetensors"])
    latent = torch.randn(3, model.prior.dim)
    session = onnxruntime.InferenceSession("pairs.onnx")
    (made,) = session.run(["sample"], {"latent": latent.numpy()})
    expected = model.sample(latent)
    torch.testing.assert_close(torch.from_numpy(made), expected, rtol=0, atol=1e-5)
    assert torch.equal(load("pairs.safetensors").sample(latent), expected)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["sample", "--ckpt_path", "runs/run", "--refine", "drs"])
    assert "a CoGAN is no GAN of one generator and one discriminator" in capsys.readouterr().err


def test_what_generates_nothing_from_latents_is_told_to_translate(capsys):
    run = trained("CycleGAN", "UNetTranslator", "--model.translator.widths=[2,3]")
    for command in ("sample", "interpolate"):
        with pytest.raises(SystemExit):
            main([command, "--ckpt_path", run])
        error = capsys.readouterr().err
        assert "a CycleGAN does not generate samples from latents. Use translate, or" in error


@pytest.mark.parametrize("model", ["CycleGAN", "CoGAN"])
def test_predictions_of_both_kinds_are_an_array_each(model):
    networks = ["--model.generator", "CoupledGenerator", "--model.generator.width", "2"]
    if model == "CycleGAN":
        networks = ["--model.discriminator", "PatchDiscriminator"]
        networks += ["--model.discriminator.strided", "1"]
        networks += ["--model.translator", "LocalTranslator"]
    for folder in "ab":
        for index in range(20):
            write(f"{folder}/{index}.png", 20, 20, 3)
    data = ["--data", "UnpairedFolders", "--data.folder_a", "a", "--data.folder_b", "b"]
    main(["fit", "--model", model, *networks, *data, "--data.image_size", "20", *BRIEF])
    (run,) = Path("runs").iterdir()
    main(["predict", "--ckpt_path", str(run), "--data.num_eval_samples", "2"])
    for kind in "ab":
        (array,) = run.rglob(f"*_{kind}.npy")
        samples = np.load(array)
        assert samples.shape == (2, 3, 20, 20)
        assert np.abs(samples).max() <= 1
        assert samples.std() > 0
