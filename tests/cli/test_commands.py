"""The commands on checkpoints and run folders: what they make, and what they refuse."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import fitted, until
from made import make_digits
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch.testing import assert_close

from datamodules import GaussianRing
from lightning_gans import GAN, load
from lightning_gans.callbacks import Checkpoint, drawing
from lightning_gans.cli.commands.opening import generated, latents, picture
from lightning_gans.cli.main import main
from lightning_gans.core.priors import spherical_interpolation
from lightning_gans.sampling import MetropolisHastings, Truncation, refine


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Short runs: digits with an average of the generator, and points in the plane."""
    root = tmp_path_factory.mktemp("commands")
    make_digits(root / "data")
    brief = ["--data.batch_size", "4", "--data.num_eval_samples", "20"]
    brief += ["--trainer.default_root_dir", str(root), "--pictures.enabled", "false"]
    brief += ["--trainer.val_check_interval", "2", "--trainer.max_steps", "4"]
    digits = ["--model", "WDCGANGP", "--model.n_critic", "1", "--data", "MNIST"]
    digits += ["--data.data_dir", str(root / "data"), "--trainer.callbacks+=GeneratorEMA"]
    main(["fit", "--name", "digits", *digits, *brief])
    main(["fit", "--name", "ring", "--model", "GAN", "--data", "GaussianRing", *brief])
    return root


@pytest.fixture
def last(root):
    return root / "digits" / "version_0" / "checkpoints" / "last.ckpt"


def run(*arguments):
    main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("lightning-gans: error: ")


# sample


def test_an_array_holds_what_the_model_makes_of_latents_of_the_seed(last, capsys):
    run("sample", "--ckpt_path", last, "--n", 5, "--seed", 3, "--out", "five.npy")
    assert capsys.readouterr().out.endswith("five.npy\n")
    model = load(last)
    expected = model.sample(latents(model, 5, seed=3)).numpy()
    found = np.load("five.npy")
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    run("sample", "--ckpt_path", last, "--n", 5, "--out", "other.npy")
    assert not np.array_equal(np.load("other.npy"), found)
    run("sample", "--ckpt_path", last, "--n", 5, "--seed", 3, "--weights", "raw", "--out", "r.npy")
    raw = load(last, averaged=False)
    assert np.array_equal(np.load("r.npy"), raw.sample(latents(raw, 5, seed=3)).numpy())
    assert not np.array_equal(np.load("r.npy"), found)


def test_many_samples_are_made_in_parts(root):
    run("sample", "--ckpt_path", root / "ring", "--n", 600, "--out", "many.npy")
    model = load(root / "ring" / "version_0" / "checkpoints" / "best.ckpt")
    assert_close(torch.from_numpy(np.load("many.npy")), model.sample(latents(model, 600, 0)))


def test_a_picture_and_a_folder_show_the_same_images(last):
    for out in ("grid.png", "images", "array.npy"):
        run("sample", "--ckpt_path", last, "--n", 5, "--out", out)
    expected = drawing.to_bytes(torch.from_numpy(np.load("array.npy")), (-1, 1))[:, 0].numpy()
    grid = np.asarray(Image.open("grid.png"))
    assert grid.shape == (2 * 30 + 2, 3 * 30 + 2, 3)  # three columns, two rows
    names = sorted(os.listdir("images"))
    assert names == [f"{index:06d}.png" for index in range(5)]
    for index, name in enumerate(names):
        top, left = 2 + 30 * (index // 3), 2 + 30 * (index % 3)
        assert np.array_equal(grid[top : top + 28, left : left + 28, 0], expected[index])
        assert np.array_equal(np.asarray(Image.open(f"images/{name}"))[..., 0], expected[index])


def test_a_photograph_file_shows_the_same_images_and_says_what_it_replaces(last, capsys):
    for out in ("grid.png", "grid.jpg", "grid.jpg"):
        run("sample", "--ckpt_path", last, "--n", 5, "--out", out)
    (first, second, third) = capsys.readouterr().out.splitlines()
    assert (first, second) == ("grid.png", "grid.jpg")
    assert third == "grid.jpg (replaces the file that was there)"
    with Image.open("grid.png") as exact, Image.open("grid.jpg") as near:
        assert near.format == "JPEG"
        difference = np.asarray(exact).astype(int) - np.asarray(near)
    assert np.abs(difference).mean() < 4
    assert np.abs(difference).max() > 0


def test_a_folder_beside_is_left_alone(last):
    Path("images.part").mkdir()
    Path("images.part/mine.txt").write_text("mine")
    run("sample", "--ckpt_path", last, "--n", 2, "--out", "images")
    assert sorted(os.listdir()) == ["images", "images.part"]
    assert os.listdir("images.part") == ["mine.txt"]


def test_several_checkpoints_make_an_animation(root):
    run_folder = root / "ring" / "version_0"
    files = [run_folder / "checkpoints" / "best.ckpt", run_folder / "checkpoints" / "last.ckpt"]
    state = torch.load(files[1], weights_only=True)
    for key, tensor in state["state_dict"].items():
        if key.startswith("generator") and key.endswith("bias"):
            tensor += 1.0
    torch.save(state, "later.ckpt")
    run("sample", "--ckpt_path", *files, "later.ckpt", "--out", "lapse.gif")
    with Image.open("lapse.gif") as animation:
        assert animation.n_frames >= 2
        animation.seek(animation.n_frames - 1)
        last_frame = np.asarray(animation.convert("RGB")).astype(int)
    model = load("later.ckpt")
    expected = picture(
        model, generated(model, latents(model, 64, 0)), columns=8, title="GAN, later.ckpt"
    )
    assert np.abs(last_frame - expected).mean() < 3


def test_a_folder_stands_for_its_best_checkpoint(root, tmp_path):
    shutil.copytree(root / "ring" / "version_0", tmp_path / "run" / "version_9")
    shutil.copytree(root / "ring" / "version_0", tmp_path / "run" / "version_10")
    newest = tmp_path / "run" / "version_10" / "checkpoints"
    for name, shift in (("best", 1.0), ("last", 2.0)):
        state = torch.load(newest / f"{name}.ckpt", weights_only=True)
        state["state_dict"]["generator.layers.0.bias"] += shift
        torch.save(state, newest / f"{name}.ckpt")
    for path, expected in (
        (tmp_path / "run", newest / "best.ckpt"),
        (newest.parent, newest / "best.ckpt"),
        (newest / "last.ckpt", newest / "last.ckpt"),
    ):
        run("sample", "--ckpt_path", path, "--out", "found.npy")
        model = load(expected)
        assert np.array_equal(np.load("found.npy"), model.sample(latents(model, 64, 0)).numpy())
    (newest / "best.ckpt").unlink()
    run("sample", "--ckpt_path", tmp_path / "run", "--out", "found.npy")
    model = load(newest / "last.ckpt")
    assert np.array_equal(np.load("found.npy"), model.sample(latents(model, 64, 0)).numpy())


def test_a_run_is_opened_by_its_folder_or_its_name(root):
    shutil.copytree(root / "ring", "runs/ring")
    shutil.copytree("runs/ring/version_0", "runs/ring/version_1")
    newest = Path("runs/ring/version_1/checkpoints")
    state = torch.load(newest / "best.ckpt", weights_only=True)
    state["state_dict"]["generator.layers.0.bias"] += 1.0
    torch.save(state, newest / "best.ckpt")

    def bias(path):
        return load(path).generator.layers[0].bias

    older, best = load("runs/ring/version_0/checkpoints/best.ckpt"), load(newest / "best.ckpt")
    assert_close(best.generator.layers[0].bias, older.generator.layers[0].bias + 1.0)
    for path in ("ring", "runs/ring", Path("runs/ring/version_1")):
        assert torch.equal(bias(path), best.generator.layers[0].bias)
    assert torch.equal(bias("runs/ring/version_0"), older.generator.layers[0].bias)
    (newest / "best.ckpt").unlink()
    last = load(newest / "last.ckpt").generator.layers[0].bias
    assert torch.equal(bias("ring"), last)
    Path("ring").mkdir()  # of something else: a folder without a checkpoint hides no run
    run("sample", "--ckpt_path", "ring", "--out", "found.npy")
    model = load("runs/ring")
    assert np.array_equal(np.load("found.npy"), model.sample(latents(model, 64, 0)).numpy())


def test_long_commands_show_how_far_they_are(last, terminal, monkeypatch):
    shown = terminal(80)
    sample, save = GAN.sample, drawing.save_picture

    def held_up_sample(*arguments):
        until(lambda: "0/3 samples" in shown())
        return sample(*arguments)

    def held_up_save(picture, path):
        until(lambda: f"writing images {int(path.stem)}/3 images" in bare(shown()))
        save(picture, path)

    def bare(text):
        return re.sub("[━╸╺ ]+", " ", text)

    monkeypatch.setattr(GAN, "sample", held_up_sample)
    monkeypatch.setattr("lightning_gans.cli.commands.sample.save_picture", held_up_save)
    run("sample", "--ckpt_path", last, "--n", 3, "--out", "images")
    assert shown().endswith("images\n")
    assert len(os.listdir("images")) == 3


# interpolate


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_a_way_leads_from_one_sample_to_another(mode, last):
    run("interpolate", "--ckpt_path", last, "--n", 2, "--steps", 3, "--mode", mode)
    grid = np.asarray(Image.open("interpolation.png"))
    model = load(last)
    start, end = latents(model, 4, 0).chunk(2)
    half = torch.full((2, 1), 0.5)
    middle = (start + end) / 2 if mode == "linear" else spherical_interpolation(start, end, half)
    rows = torch.stack([model.sample(z) for z in (start, middle, end)], 1).flatten(0, 1)
    assert np.array_equal(grid, drawing.image_grid(rows, (-1.0, 1.0), columns=3))


def test_the_way_of_a_point_is_a_line(root):
    run("interpolate", "--ckpt_path", root / "ring", "--n", 2, "--steps", 3)
    model = load(root / "ring" / "version_0" / "checkpoints" / "best.ckpt")
    start, end = latents(model, 4, 0).chunk(2)
    middle = spherical_interpolation(start, end, torch.full((2, 1), 0.5))
    places = torch.stack([model.sample(z) for z in (start, middle, end)], 1)
    picture = np.asarray(Image.open("interpolation.png"))
    assert np.array_equal(picture, drawing.ways(places, model.value_range))


def test_an_animation_goes_there_and_back(last):
    run("interpolate", "--ckpt_path", last, "--n", 2, "--steps", 5, "--out", "way.gif")
    with Image.open("way.gif") as animation:
        frames = []
        for index in range(animation.n_frames):
            animation.seek(index)
            frames.append(np.asarray(animation.convert("L")).astype(int))
    assert len(frames) == 8
    assert np.abs(frames[1] - frames[7]).mean() < 2
    assert np.abs(frames[3] - frames[5]).mean() < 2


# evaluate


def test_scores_are_those_of_the_run_in_a_table_and_a_file(root, capsys):
    run("evaluate", "--ckpt_path", root / "digits" / "version_0" / "checkpoints" / "last.ckpt")
    printed = capsys.readouterr().out
    found = json.loads((root / "digits" / "version_0" / "scores.json").read_text())
    record = json.loads((root / "digits" / "version_0" / "run.json").read_text())
    slow = {f"{name}_digits" for name in ("precision", "recall", "density", "coverage")}
    for kind in ("scores", "floors"):
        assert found[kind].keys() - record[kind].keys() == slow
        assert {name: found[kind][name] for name in record[kind]} == record[kind]
    assert found["samples"] == 20
    assert (found["model"], found["data"], found["split"]) == ("WDCGANGP", "MNIST", "validation")
    assert all(name in printed for name in ("fd_digits", "real data", "sliced_w"))
    for split in ("validation", "test"):
        run("evaluate", "--ckpt_path", root / "ring", "--split", split, "--out", f"{split}.json")
    first, second = (json.loads(Path(f"{s}.json").read_text()) for s in ("validation", "test"))
    assert (first["split"], second["split"]) == ("validation", "test")
    assert first["scores"].keys() == second["scores"].keys()
    assert first["scores"]["w1"] != second["scores"]["w1"]
    run("evaluate", "--ckpt_path", root / "ring", "--data.num_eval_samples", "30")
    found = json.loads((root / "ring" / "version_0" / "scores.json").read_text())
    assert found["samples"] == 30


def test_neighbours_are_drawn_into_the_run_or_beside_the_file(root, last, capsys, tmp_path):
    make_digits(Path("more"), training=150, test=110)
    more = ["--data.data_dir", "more", "--data.num_eval_samples", "110"]
    folder = root / "digits" / "version_0"
    run("evaluate", "--ckpt_path", last, "--neighbours", *more)
    printed = capsys.readouterr().out
    assert printed.endswith(f"{folder}/figures/neighbours.png\n")
    found = json.loads((folder / "scores.json").read_text())
    assert found["scores"]["memorised_digits"] >= 0
    assert found["floors"]["memorised_digits"] == pytest.approx(2 / 110)
    with Image.open(folder / "figures" / "neighbours.png") as picture:
        assert picture.size == ((30 + 2) + 8 + (7 * 30 + 2), 16 + 8 * 30 + 2)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run("evaluate", "--ckpt_path", last, "--neighbours", *more, "--out", "new/mine.json")
    assert {path.name for path in Path("new").iterdir()} == {"mine.json", "mine_neighbours.png"}
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_neighbours_that_cannot_be_found_or_drawn_are_refused(root, last, capsys):
    text = "neighbours: a percentile of held-out images needs at least 100 of them"
    assert text in refused(capsys, "evaluate", "--ckpt_path", last, "--neighbours")
    ring = root / "ring"
    text = "neighbours: GaussianRing has no training images to look through. Use data of images"
    assert text in refused(capsys, "evaluate", "--ckpt_path", ring, "--neighbours")
    (ring / "version_0" / "figures").symlink_to(root)
    text = f"{ring}/version_0/figures is a link, where nothing is written. Remove it."
    assert refused(capsys, "evaluate", "--ckpt_path", ring, "--neighbours") == text
    (ring / "version_0" / "figures").unlink()


# refine


def test_refined_samples_are_those_of_the_seed_and_of_the_generator_itself(root, last, capsys):
    refined = ["--refine", "mh", "--refine.steps", 3, "--n", 5, "--seed", 3]
    run("sample", "--ckpt_path", root / "ring", *refined, "--out", "five.npy")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "refined" in line]
    model = load(root / "ring", averaged=False)
    real = GaussianRing(num_eval_samples=20).evaluation_set(1)
    expected = refine(model, MetropolisHastings(steps=3), 5, real=real, seed=3)
    assert np.array_equal(np.load("five.npy"), expected.samples.numpy())
    by = "MetropolisHastings(steps=3, calibration=isotonic)"
    assert line == (
        f"latents of the generator itself, refined by {by}, {expected.acceptance:.3g} of the "
        "proposals accepted"
    )
    run("sample", "--ckpt_path", last, "--refine", "truncate", "--n", 5, "--out", "cut.npy")
    latent = refine(load(last), Truncation(), 5).latent
    assert np.array_equal(np.load("cut.npy"), load(last).sample(latent).numpy())
    assert "latents refined by Truncation(threshold=1.0), 0." in capsys.readouterr().out


def test_scores_of_refined_samples_are_kept_apart(root, capsys):
    folder = root / "ring" / "version_0"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run("evaluate", "--ckpt_path", root / "ring", "--refine", "drs", "--refine.percentile", 95)
    assert {path: path.read_bytes() for path in before} == before
    plain, found = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("run", "scores_drs")
    )
    acceptance = found["refined"].pop("acceptance")
    assert 0 < acceptance < 1
    assert found["refined"] == {
        **{"by": "DRS", "percentile": 95.0, "burn_in": 10_000, "calibration": "isotonic"},
        "generator": "raw",
    }
    assert found["floors"] == plain["floors"]
    assert found["scores"].keys() == plain["scores"].keys()
    assert found["scores"]["w1"] != plain["scores"]["w1"]
    by = "DRS(percentile=95.0, burn_in=10000, calibration=isotonic)"
    assert f"refined by {by}, {acceptance:.3g} of the" in capsys.readouterr().out
    (folder / "scores_drs.json").unlink()


def test_what_cannot_be_refined_is_refused_in_one_line(root, last, capsys):
    ring = root / "ring"
    fitted(GAN(data_shape=(2,)), enable_checkpointing=True, callbacks=[Checkpoint(dirpath="own")])
    run("export", "--ckpt_path", ring)
    capsys.readouterr()
    files = set(os.listdir())
    for arguments, message in (
        ([last, "--refine", "mh"], "loss: Wasserstein does not make the outputs log density"),
        (["generator.safetensors", "--refine", "drs"], "Use a checkpoint in place of an export."),
        (["own/last.ckpt", "--refine", "mh"], "last.ckpt does not tell its data"),
        (
            [ring, "--refine", "drs", "--weights", "averaged"],
            "weights: drs asks the discriminator",
        ),
        ([ring, "--refine", "mh", "--refine.steps", 0], "refine.steps must be at least 1, got 0."),
        ([ring, "--refine", "drs", "--refine.steps", 9], "refine.steps: drs has no such setting."),
        (
            [ring, "--refine.steps", 9],
            "refine is missing. Use --refine in front of --refine.steps",
        ),
        ([ring, "--refine", "best"], "argument --refine: invalid choice: 'best'"),
    ):
        assert message in refused(capsys, "sample", "--out", "a.npy", "--ckpt_path", *arguments)
    assert "loss: Wasserstein" in refused(
        capsys, "evaluate", "--ckpt_path", last, "--refine", "mh"
    )
    two = ["--refine", "drs", "--trainer.devices", 2, "--trainer.accelerator", "cpu"]
    message = refused(capsys, "evaluate", "--ckpt_path", ring, *two)
    assert message.startswith(
        "refine: samples are refined in one process, got 2. Use --trainer.dev"
    )
    assert set(os.listdir()) == files


# export


def test_a_safetensors_export_holds_the_generator_and_how_to_build_it(last, capsys):
    run("export", "--ckpt_path", last)
    assert "by 0.0e+00 at most" in capsys.readouterr().out
    with safe_open("generator.safetensors", "pt") as file:
        names = set(file.keys())
        description = json.loads(file.metadata()["lightning_gans"])
    original = load(last)
    assert names == {f"generator.{name}" for name in original.generator.state_dict()}
    assert description["lightning_gans"]["class_path"].endswith("WDCGANGP")
    assert description["lightning_gans"]["networks"] == ["generator"]
    model = load("generator.safetensors")
    assert type(model) is type(original)
    assert model.value_range == (-1.0, 1.0)
    assert not model.training
    latent = latents(original, 3, 0)
    assert torch.equal(model.sample(latent), original.sample(latent))
    assert not torch.equal(model.sample(latent), load(last, averaged=False).sample(latent))


def test_an_onnx_export_runs_without_pytorch_for_any_number_of_samples(last):
    run("export", "--ckpt_path", last, "--weights", "raw", "--out", "g.onnx")
    session = onnxruntime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
    model = load(last, averaged=False)
    told = session.get_modelmeta().custom_metadata_map
    assert told == {"prior": "NormalPrior(dim=100)", "value_range": "[-1.0, 1.0]"}
    for number in (1, 7):
        latent = latents(model, number, seed=number)
        (found,) = session.run(["sample"], {"latent": latent.numpy()})
        assert_close(torch.from_numpy(found), model.sample(latent), rtol=0, atol=1e-5)


def test_an_export_that_differs_is_not_kept(last, monkeypatch, capsys):
    from lightning_gans.cli.commands import export

    monkeypatch.setattr(export, "load", lambda path, allow: load(last, averaged=False))
    with pytest.raises(SystemExit) as stopped:
        run("export", "--ckpt_path", last)
    assert stopped.value.code == 1
    assert "The export was not kept: it differs by" in capsys.readouterr().err
    assert not [path for path in os.listdir() if path.startswith("generator")]


# What all refuse


def test_classes_of_ones_own_are_imported_only_if_asked_for(capsys, tmp_path):
    Path("own_gan.py").write_text("from lightning_gans import GAN\n\nclass Own(GAN): pass\n")
    brief = ["--data.batch_size", "4", "--data.num_eval_samples", "20", "--trainer.max_steps", "1"]
    fit = ["fit", "--name", "own", "--model", "own_gan.Own", "--data", "GaussianRing", *brief]
    script = [sys.executable, "-m", "lightning_gans"]
    fit += ["--pictures.enabled", "false"]
    said = subprocess.run([*script, *fit], check=True, capture_output=True, text=True).stdout
    (longer,) = re.findall(r"to train longer: lightning-gans (.*)", said)
    assert longer.endswith("last.ckpt --import own_gan --trainer.max_steps 2")
    subprocess.run([*script, *longer.split()], check=True, capture_output=True)
    message = refused(capsys, "sample", "--ckpt_path", "runs/own")
    assert "If you trust it, use --import own_gan." in message
    assert "own_gan" not in sys.modules
    run("sample", "--ckpt_path", "runs/own", "--import", "own_gan", "--out", "own.npy")
    assert np.load("own.npy").shape == (64, 2)
    message = refused(capsys, "sample", "--ckpt_path", "runs/own", "--import", "no_such_module")
    assert message.startswith("import: 'no_such_module' cannot be imported")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--n", "0"], "n must be at least 1 and at most 1,000,000, got 0."),
        (["sample", "--n", "100000000000000000000"], "at most 1,000,000, got 1000000"),
        (["sample", "--seed", "-1"], "argument --seed: it must be from 0 to 4294967295, got -1"),
        (["sample", "--seed", "4294967296"], "argument --seed: it must be from 0 to 4294967295"),
        (["sample", "--n", "x"], "argument --n: it must be a whole number, got x"),
        (
            ["sample", "--out", "a.tiff"],
            "must end in .png, .jpg, .jpeg, .npy, .gif, or have no extension, for a new",
        ),
        (["sample", "--out", ".png"], "new folder, got .png."),
        (["sample", "--out", "."], "new folder, got .."),
        (["sample", "--import", ""], "import: '' cannot be imported"),
        (["sample", "--import", "zero"], "import: 'zero' cannot be imported: division by zero."),
        (["sample", "--out", "there"], "out: there already exists. Use a new folder."),
        (["sample", "--out", "there/file/a.png"], "there/file/a.png cannot be written. Use"),
        (["sample", "--out", "/proc/a.npy"], "out: /proc/a.npy cannot be written"),
        (["sample", "--weights", "best"], "argument --weights: invalid choice: 'best'"),
        (["sample", "--nn", "3"], "sample does not know --nn 3: see --help."),
        (["interpolate", "--steps", "1"], "steps must be at least 2 and at most 1,000, got 1."),
        (["interpolate", "--n", "0"], "n must be at least 1 and at most 1,000, got 0."),
        (["interpolate", "--out", "a.npy"], "must end in .png, .jpg, .jpeg, .gif, got a.npy."),
        (["evaluate", "--out", "a.csv"], "out: the name must end in .json, got a.csv."),
        (["evaluate", "--trainer.limit_val_batches", "0"], "nothing was scored"),
        (["evaluate", "--data.sd", "1"], "MNIST has no setting sd"),
        (["export", "--format", "pickle"], "argument --format: invalid choice: 'pickle'"),
        (["export", "--out", "a.png"], "out: the name must end in .safetensors, got a.png."),
        (
            ["export", "--format", "onnx", "--out", "a.safetensors"],
            "must end in .onnx, got a.safetensors.",
        ),
        (["export", "--out", "there/file/a.onnx"], "there/file/a.onnx cannot be written. Use"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, last, capsys):
    Path("there").mkdir()
    Path("there/file").touch()
    Path("zero.py").write_text("1 / 0")
    assert message in refused(capsys, *arguments, "--ckpt_path", last)
    shutil.rmtree("__pycache__", ignore_errors=True)
    assert sorted(map(str, Path().rglob("*"))) == ["there", "there/file", "zero.py"]


@pytest.mark.parametrize("command", ["sample", "interpolate", "evaluate", "export"])
def test_what_is_no_checkpoint_is_named(command, capsys):
    Path("empty").mkdir()
    Path("cut.ckpt").write_bytes(b"PK\x03\x04")
    Path("none.ckpt").touch()
    Path("text.ckpt").write_text("hello, this is a text")
    torch.save({"lightning_gans": {}}, "bare.ckpt")
    for name, header in (("a", "[1]"), ("b", "no JSON"), ("c", '{"lightning_gans": {}}')):
        save_file({"x": torch.zeros(1)}, f"{name}.safetensors", {"lightning_gans": header})
    save_file({"x": torch.zeros(1)}, "d.safetensors")
    files = set(os.listdir())
    for path, message in (
        ("nothing", "ckpt_path: There is no checkpoint and no run folder at nothing."),
        ("empty", "ckpt_path: There is no folder of a run with a checkpoint at empty."),
        ("cut.ckpt", "ckpt_path: cut.ckpt "),
        ("none.ckpt", "ckpt_path: none.ckpt "),
        ("text.ckpt", "ckpt_path: text.ckpt "),
        ("bare.ckpt", "ckpt_path: bare.ckpt was not written by a model of lightning_gans."),
        *((f"{name}.safetensors", f"ckpt_path: {name}.safetensors ") for name in "abcd"),
    ):
        assert message in refused(capsys, command, "--ckpt_path", path)
    assert refused(capsys, command) == "the following arguments are required: --ckpt_path"
    assert set(os.listdir()) == files


def test_points_have_no_images_and_no_average(root, capsys):
    ring = root / "ring"
    assert "are not images" in refused(capsys, "sample", "--ckpt_path", ring, "--out", "folder")
    message = refused(capsys, "sample", "--ckpt_path", ring, "--weights", "averaged")
    assert "has no averaged generator" in message
    run("export", "--ckpt_path", ring)
    message = refused(capsys, "sample", "--ckpt_path", "generator.safetensors", "--weights", "raw")
    assert message == (
        "weights: generator.safetensors is an export, which has one set of weights. Leave "
        "--weights out."
    )
    run("sample", "--ckpt_path", "generator.safetensors", "--out", "again.npy")
    run("sample", "--ckpt_path", ring, "--out", "first.npy")
    assert np.array_equal(np.load("again.npy"), np.load("first.npy"))
    for name in ("generator.safetensors", "again.npy", "first.npy"):
        Path(name).unlink()
    message = refused(capsys, "sample", "--ckpt_path", ring, ring, "--out", "a.png")
    assert message == "out: 2 checkpoints make a .gif, got a.png."
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("package", "remedy", "arguments"),
    [
        ("onnxscript", "onnx onnxruntime onnxscript", ["export", "--format", "onnx"]),
        ("onnxruntime", "onnx onnxruntime onnxscript", ["export", "--format", "onnx"]),
        ("shtab", "shtab", ["completion", "bash"]),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    package, remedy, arguments, last, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, package, None)
    path = ["--ckpt_path", last] if arguments[0] == "export" else []
    message = refused(capsys, *arguments, *path)
    assert package in message
    assert message.endswith(f"Use pip install {remedy}.")
    assert os.listdir() == []


def test_a_command_that_is_interrupted_ends_without_a_traceback(last):
    script = Path(sys.executable).parent / "lightning-gans"
    process = subprocess.Popen(
        [script, "sample", "--ckpt_path", last, "--out", "folder", "--n", "5000"],
        stderr=subprocess.PIPE,
        # A shell lets what it runs in the background ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not any(Path().iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 130
    assert os.listdir() == []


def test_a_checkpoint_from_python_is_scored_with_the_classes_of_its_run(capsys):
    saver = Checkpoint(dirpath="made")
    fitted(GAN(data_shape=(2,)), max_steps=1, enable_checkpointing=True, callbacks=[saver])
    scoring = ["evaluate", "--ckpt_path", "made/last.ckpt"]
    ring = ["--data", "GaussianRing", "--data.num_eval_samples", "20"]
    for given, missing in (([], "--model and --data"), (ring, "--model")):
        with pytest.raises(SystemExit) as end:
            main([*scoring, *given])
        assert end.value.code == 2
        told = capsys.readouterr().err
        assert "was written by a program in Python, without the settings" in told
        assert f"Use {missing} with the class of its run" in told
    main([*scoring, *ring, "--model", "GAN"])
    assert "w1" in capsys.readouterr().out


def test_a_class_whose_networks_have_no_annotation_is_opened_again():
    """A config names them by their paths, which a file may repeat and not choose."""
    Path("mine.py").write_text(
        "from torch import nn\nfrom lightning_gans import HingeGAN\n"
        "class Makes(nn.Linear):\n"
        "    def __init__(self, latent_dim, data_shape):\n"
        "        super().__init__(latent_dim, data_shape[0])\n"
        "class Mine(HingeGAN):\n"
        "    def __init__(self, *, generator=Makes, **kwargs):\n"
        "        super().__init__(generator=generator, **kwargs)\n"
    )
    flags = ["--data", "GaussianRing", "--trainer.max_steps", "2", "--name", "mine"]
    small = ["--trainer.limit_val_batches", "0", "--pictures.enabled", "false"]
    main(["fit", "--import", "mine", "--model", "mine.Mine", *flags, *small])
    main(["sample", "--import", "mine", "--ckpt_path", "mine", "--out", "a.npy", "--n", "3"])
    assert np.load("a.npy").shape == (3, 2)
