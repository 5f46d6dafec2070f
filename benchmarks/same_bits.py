"""Shows that models end bit for bit where they ended at an earlier commit.

    python benchmarks/same_bits.py --before d7bac59

Each case is trained by the code of the earlier commit and by that of this checkout, on this
machine, since bits differ between machines. Weights, optimizer states and samples are compared. A
case is a model in single or double precision, in one process or in two, at once or resumed.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from trained import told

import lightning_gans
import lightning_gans.losses
from datamodules import GaussianRing
from datamodules.images import ImageBytes, ImageData
from lightning_gans import networks

ROOT = Path(__file__).parents[1]
SEED = 5
ROUNDS = 6
PRECISIONS = ("32-true", "64-true")


def arguments(name: str) -> dict[str, Any]:
    """Returns the arguments of a model, in the terms of the code that is imported."""
    points: dict[str, Any] = {
        "data_shape": (2,),
        "generator": partial(networks.MLPGenerator, hidden=[16, 16]),
        "discriminator": partial(networks.MLPDiscriminator, hidden=[16, 16]),
    }
    images: dict[str, Any] = {
        "data_shape": (1, 16, 16),
        "generator": partial(networks.DCGANGenerator, width=4),
        "discriminator": partial(networks.DCGANDiscriminator, width=4),
    }
    if not hasattr(lightning_gans.losses, "AdversarialLoss"):  # the earlier code
        try:
            from lightning_gans.penalties import R1
        except ImportError:
            from lightning_gans.regularizers import R1

        squares = {"label_noise": 0.05}
        penalty, r1 = {"penalty_weight": 0.7}, {"penalties": [R1(3.0)]}
    else:
        from lightning_gans.losses import LeastSquares
        from lightning_gans.regularizers import R1, GradientPenalty

        squares = {"loss": LeastSquares(label_noise=0.05)}
        penalty, r1 = {"penalty": GradientPenalty(0.7)}, {"regularizers": [R1(3.0)]}
    small_vae = {
        "data_shape": (1, 16, 16),
        "discriminator": partial(networks.DCGANDiscriminator, width=4),
        "classifier": partial(networks.DCGANDiscriminator, width=4),
    }
    return {
        "GAN": {**points, "n_critic": 2},
        "GAN with R1": {**points, "n_critic": 2, **r1},
        "MinimaxGAN": points,
        "LSGAN": {**points, "n_critic": 2, **squares},
        "WGAN": {**points, "n_critic": 3, "clip_value": 0.05},
        "WGANGP": {**points, "n_critic": 3, **penalty},
        "DCGAN": {**images, "n_critic": 2},
        "CGAN": {**points, "n_critic": 2, "num_classes": 3},
        "ACGAN": {**points, "n_critic": 2, "num_classes": 3, "class_weight_d": 0.6},
        "CVAEGAN": {**small_vae, "n_critic": 2, "num_classes": 3, "kl_weight": 0.3},
    }[name]


NAMES = (
    *("GAN", "GAN with R1", "MinimaxGAN", "LSGAN", "WGAN", "WGANGP"),
    *("DCGAN", "CGAN", "ACGAN", "CVAEGAN"),
)


def data(shape: tuple[int, ...], num_classes: int | None) -> Any:
    """Returns data of a shape, with labels if there are classes."""
    sizes = {"batch_size": 6, "num_eval_samples": 16}
    if shape == (2,):
        return GaussianRing(num_classes or 8, labels=num_classes is not None, **sizes)

    class Noise(ImageData):
        def __init__(self) -> None:
            super().__init__(shape, **sizes)
            draw = torch.Generator().manual_seed(1)
            pixels = torch.randint(256, (64, *shape), generator=draw, dtype=torch.uint8)
            labels = None if num_classes is None else torch.arange(64) % num_classes
            self.training = ImageBytes(pixels, labels)
            rows = torch.arange(16)
            self.held_out = tuple((self.training, rows + 16 * i) for i in range(3))

    return Noise()


def train(name: str, precision: str, processes: int, resumed: bool, out: Path) -> None:
    """Trains one case and saves what it ends with."""

    def fitted(rounds: int, start: str | None = None) -> tuple[Any, pl.Trainer]:
        pl.seed_everything(SEED, verbose=False)
        settings = arguments(name)
        model = getattr(lightning_gans, name.split()[0])(**settings)
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=processes,
            precision=precision,  # type: ignore[arg-type]
            max_steps=rounds,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(
            model, data(settings["data_shape"], settings.get("num_classes")), ckpt_path=start
        )
        return model, trainer

    start = None
    if resumed:
        start = str(out.with_suffix(".ckpt"))
        fitted(ROUNDS // 2)[1].save_checkpoint(start)
    model, trainer = fitted(ROUNDS, start)
    torch.manual_seed(0)
    labels = None if model.num_classes is None else torch.arange(8) % model.num_classes
    found = {
        "weights": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "samples": model.sample(model.sample_latent(8), labels),
        "images_seen": torch.tensor(model.images_seen),
    }
    if trainer.is_global_zero:
        torch.save(found, out)


def tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yields all tensors of what was saved, and where they are."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            yield from tensors(part, f"{name}.{key}")


def differences(one: Any, other: Any) -> list[str]:
    """Returns the places in which two results differ in a bit."""
    first, second = dict(tensors(one)), dict(tensors(other))
    missing = sorted(first.keys() ^ second.keys())
    both = sorted(first.keys() & second.keys())
    return [*missing, *(name for name in both if not torch.equal(first[name], second[name]))]


def train_all(names: list[str], processes: str, resumed: str, folder: str) -> None:
    """Trains the cases of some models."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, precision in itertools.product(names, PRECISIONS):
        out = Path(folder) / f"{name}, {precision}, processes: {processes}, {resumed}.pt"
        train(name, precision, int(processes), resumed == "resumed", out)


def compare(names: list[str], tree: Path, folder: Path) -> int:
    """Trains all cases with both codes; returns how many end otherwise."""
    bad = 0
    for kind in told(itertools.product(("1", "2"), ("at once", "resumed")), "processes"):
        for code in (tree, ROOT):
            ends = folder / ("before" if code == tree else "now")
            ends.mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, __file__, "--train", *kind, str(ends), "--names", *names],
                env={**os.environ, "PYTHONPATH": str(code)},
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
        for path in sorted(ends.glob(f"*: {kind[0]}, {kind[1]}.pt")):
            both = (torch.load(folder / side / path.name) for side in ("before", "now"))
            wrong = differences(*both)
            bad += bool(wrong)
            text = f"{len(wrong)} differ, such as {wrong[0]}" if wrong else "the same bits"
            print(f"{path.stem}: {text}", flush=True)
    return bad


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="the earlier commit")
    parser.add_argument("--names", nargs="+", default=NAMES, help="models; all if none is given")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train_all(given.names, *given.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "code"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), given.before], check=True)
        try:
            bad = compare(given.names, tree, Path(folder))
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
