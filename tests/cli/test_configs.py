"""Every configuration through the real command line, shrunk by flags."""

import inspect
import json
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningDataModule
from made import fill, make_digits, make_photos

from lightning_gans import networks
from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.cli.main import main
from lightning_gans.cli.runs import CONFIG_KEY
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.trust import Trust

CONFIGS = sorted(path for path in configs_folder().glob("*.yaml") if path.stem != "default")

ALIKE = {
    *("cramer_gan_ring", "dragan_ring", "fgan_ring", "fisher_gan_ring", "hinge_gan_ring"),
    *("mmd_gan_ring", "optimistic_gan_ring", "pacgan_ring", "ragan_ring", "ralsgan_ring"),
    *("r3gan_ring", "rsgan_ring", "topk_gan_ring", "unrolled_gan_ring", "wgan_div_ring"),
    "wgan_lp_ring",
}
"""Those on the ring that differ from others in their objective, which has tests of its own."""


def quick_and_slow(paths):
    """Of configs with the same model and data, the quick tests train the first one only."""
    seen = set()
    for path in paths:
        config = yaml.safe_load(path.read_text())
        pair = (config["model"]["class_path"], config["data"]["class_path"])
        slow = pair in seen or path.stem in ALIKE
        yield pytest.param(path, marks=pytest.mark.slow) if slow else path
        seen.add(pair)


def test_the_configurations_of_the_founding_systems_are_there():
    assert {path.stem for path in CONFIGS} >= {
        *("lsgan_pattern", "gan_ring", "minimax_gan_ring", "lsgan_ring"),
        *("wgan_ring", "wgan_gp_ring", "wgan_gp_ring_tuned", "wgan_gp_grid_tuned"),
        *("gan_mnist", "minimax_gan_mnist", "lsgan_mnist", "wgan_mnist", "wgan_gp_mnist"),
        *("wgan_gp_conv_mnist", "dcgan_mnist", "dcgan_maxpool_mnist", "wdcgan_mnist"),
        *("wdcgan_gp_mnist", "wdcgan_gp_mnist_tuned", "dcgan_cifar10", "wdcgan_gp_cifar10"),
        *("gan_folder", "wdcgan_gp_folder", "cgan_ring", "cgan_mnist", "cwgan_gp_mnist"),
        *("acgan_mnist", "cvae_gan_mnist", "cvae_gan_mnist_tuned"),
        *("gan_mnist_small", "wgan_mnist_small", "wgan_gp_mnist_small"),
        *("wdcgan_maxpool_mnist", "wdcgan_gp_maxpool_mnist", "wgan_gp_sigmoid_ring"),
        *("wgan_lp_ring", "wgan_div_ring", "dragan_ring"),
    }


def assert_defaults(used, asked):
    """What the file does not say of a network is the default of this very network."""
    asked = {} if isinstance(asked, str) else asked.get("init_args", {})
    network = getattr(networks, used["class_path"].rpartition(".")[2])
    for name, value in used["init_args"].items():
        default = inspect.signature(network).parameters[name].default
        if name in asked:
            continue
        if inspect.isclass(default):
            assert value["class_path"].endswith(f".{default.__name__}"), name
        else:
            assert value == (list(default) if isinstance(default, tuple) else default), name


def assert_kept(read, saved):
    """A checkpoint is opened with every setting that it has; classes may be in other words."""
    if isinstance(saved, dict):
        for name, value in saved.items():
            if name != "init_args" or value:
                assert_kept(read[name], value)
    elif isinstance(saved, list):
        assert len(read) == len(saved)
        for one, other in zip(read, saved, strict=True):
            assert_kept(one, other)
    else:
        assert read == saved or read == {"class_path": saved}


def trained(path, updates, *flags):
    """Trains on a few made samples; returns the folder of the run."""
    make_digits("data")
    make_photos("data", each=20)
    for folder in ("images", "pairs", "a", "b"):
        fill(folder)
    fill("classes", classes=("one", "other"))
    number = ["--trainer.max_steps", str(updates), "--trainer.val_check_interval", str(updates)]
    wrapped = yaml.safe_load(path.read_text())["data"]["class_path"] == "FewLabels"
    data = "--data.source" if wrapped else "--data"
    few = ["--data.num_labels", "10"] if wrapped else []
    sizes = [f"{data}.num_eval_samples", "32", *few]
    flags = [flag.replace("--data.batch_size", f"{data}.batch_size") for flag in flags]
    main(["fit", "--config", str(path), *number, *sizes, *flags])
    (folder,) = Path("runs").glob("*/version_0")
    return folder


def narrowed(path):
    """Flags that make residual networks small."""
    if path.stem.startswith(("sngan_c", "sngan_p", "sagan_", "biggan_", "wgan_gp_resnet")):
        flags = ["--model.generator.width", "8", "--model.discriminator.width", "8"]
        if path.stem == "biggan_folder":
            flags += ["--data.path", "classes", "--model.num_classes", "2"]
            flags += ["--data.image_size", "28"]
        if path.stem == "biggan_cifar10":
            flags += ["--trainer.callbacks.passes", "1"]
        if path.stem.endswith("_10pct"):
            flags += ["--data.subset", "20"]
        return flags
    if path.stem in ("r3gan_cifar10", "r3gan_cifar10_half"):
        widths = "[8, 8, 8, 8]"
        return ["--model.generator.widths", widths, "--model.discriminator.widths", widths]
    if path.stem in ("stylegan2_cifar10", "stylegan2_ada_cifar10", "stylegan2_folder"):
        name = "base_channels"
        return [f"--model.generator.{name}", "256", f"--model.discriminator.{name}", "256"]
    if path.stem in ("pix2pix_folder", "dualgan_folder"):
        of = "generator" if path.stem == "pix2pix_folder" else "translator"
        return [f"--model.{of}.width", "4", "--model.discriminator.width", "4"]
    if path.stem == "cyclegan_folder":
        return ["--model.translator.width", "4", "--model.translator.blocks", "1"]
    return []


@pytest.mark.parametrize("path", [*quick_and_slow(CONFIGS)], ids=lambda path: path.stem)
def test_it_trains_and_scores(path):
    brief = ["--data.batch_size", "2", "--model.n_critic", "1", "--pictures.enabled", "false"]
    if path.stem.endswith("_folder"):  # whose networks grow with the image
        brief += ["--data.image_size", "16" if "ImageFolder" in path.read_text() else "32"]
    brief += narrowed(path)
    folder = trained(path, 1, *brief)
    assert folder.parent.name == path.stem
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["updates"] == 1
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["checkpoint"]["monitor"].removeprefix("val/") in record["scores"]
    asked = yaml.safe_load(path.read_text())["model"]["init_args"]
    given = config["model"]["init_args"]
    players = [name for name in ("generator", "translator", "discriminator") if name in asked]
    assert len(players) == 2
    for player in players:
        used = given[player]["init_args"]
        sizes = "width", "widths", "blocks", "base_channels"
        narrow = {key: used[key] for key in sizes if key in used}
        named = asked[player] if isinstance(asked[player], dict) else {}
        assert_defaults(given[player], {"init_args": {**named.get("init_args", {}), **narrow}})
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    for section, kind in (("model", AdversarialModule), ("data", LightningDataModule)):
        saved = best[CONFIG_KEY][section]
        assert_kept(Trust().check(saved, kind, section), saved)


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_plays_whole_rounds_and_draws(path):
    """With its own number of updates of the discriminator, and its own batches of points."""
    data = yaml.safe_load(path.read_text())["data"]["class_path"]
    images = data in ("MNIST", "CIFAR10", "FewLabels", "ImageFolder", "TransformedMNIST")
    small = ["--data.batch_size", "4", *narrowed(path)] if images else []
    folder = trained(path, 2, *small)
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["updates"] == 2
    for name in ("checkpoints/best.ckpt", "figures/training.gif", "samples/0000002.png"):
        assert (folder / name).is_file()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_says_where_it_is_from_and_fits_together(path):
    text = path.read_text()
    assert text.startswith("# ")
    assert len(text.splitlines()[0]) <= 99
    config = yaml.safe_load(text)
    trainer = config["trainer"]
    scheduler = config["model"]["init_args"].get("scheduler")
    if scheduler is not None:
        assert scheduler["init_args"]["T_max"] == trainer["max_steps"]
    # The last state is one that is scored anyway.
    assert trainer["max_steps"] % trainer["val_check_interval"] == 0
    assert trainer["max_steps"] % config["pictures"]["every_n_updates"] == 0
