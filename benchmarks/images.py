"""Trains the configurations of the image data and tabulates what they come to.

    python benchmarks/images.py run --data_dir data --photos photos     # hours on a CPU
    python benchmarks/images.py table --data_dir data                   # of what has been run
    python benchmarks/images.py gallery                                 # a picture of it

``run`` takes names of configurations, ``--seed`` and ``--jobs``; it keeps what it finds already
trained. ``table`` prints Markdown and writes ``results/images.json``; beside the scores at the end
it has those of the untrained generator. ``gallery`` writes ``docs/images/gallery.png`` from the
last samples. Configurations that need a folder of images read ``--photos``, in place of CIFAR-10
too.
"""

import argparse
import contextlib
import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image
from trained import ROOT, RUNS, finished, record, train_all, write_results

DIGITS = (
    *("gan_mnist", "minimax_gan_mnist", "lsgan_mnist", "wgan_mnist", "wgan_gp_mnist"),
    *("wgan_gp_conv_mnist", "dcgan_mnist", "dcgan_maxpool_mnist", "wdcgan_mnist"),
    *("wdcgan_gp_mnist", "wdcgan_gp_mnist_tuned"),
)
PHOTOS = ("dcgan_cifar10", "wdcgan_gp_cifar10", "gan_folder", "wdcgan_gp_folder")
LONG = (*PHOTOS, "wdcgan_gp_mnist_tuned")
"""The most expensive ones, trained in bf16-mixed, which newer CPUs do in hardware."""
COLUMNS = {"fd_digits": 2, "digit_tv": 3, "digit_ones": 3, "digit_confidence": 3}


def flags(config: str, data_dir: str, photos: str | None) -> list[str]:
    """Returns where a configuration finds its data, and for photos how long it is run."""
    precision = ["--trainer.precision", "bf16-mixed"] if config in LONG else []
    if config in DIGITS:
        return ["--data.data_dir", data_dir, *precision]
    if photos is None:
        raise SystemExit(f"{config} needs --photos, a folder of images")
    size = ["--data.image_size", "32"] if config.endswith("cifar10") else []
    data = ["--data", "ImageFolder"] if config.endswith("cifar10") else []
    brief = ["--trainer.max_steps", "1000", "--trainer.val_check_interval", "1000"]
    often = ["--pictures.every_n_updates", "250"]
    return [*data, "--data.path", photos, *size, *brief, *often, *precision]


def untrained(config: str, seed: int, data_dir: str) -> dict[str, float]:
    """Returns the scores of a configuration's generator before its first update."""
    from lightning_gans.callbacks import Evaluation
    from lightning_gans.gancli import GANCLI

    path = str(ROOT / "configs" / f"{config}.yaml")
    with contextlib.redirect_stdout(io.StringIO()):
        cli = GANCLI(
            [
                *("validate", "--config", path, "--seed_everything", str(seed)),
                *("--data.data_dir", data_dir, "--trainer.accelerator", "cpu"),
            ]
        )
    (evaluation,) = (c for c in cli.trainer.callbacks if isinstance(c, Evaluation))
    return evaluation.scores


def rows(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the table of the digits, best first, in Markdown."""
    lines = [
        "| config | updates | minutes | fd_digits untrained | " + " | ".join(COLUMNS) + " |",
        "|---|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for config, run in sorted(found.items(), key=lambda item: item[1]["scores"]["fd_digits"]):
        cells = [f"{run['scores'][name]:.{digits}f}" for name, digits in COLUMNS.items()]
        lines.append(
            f"| `{config}` | {run['updates']:,} | {run['wall_time_s'] / 60:.1f} | "
            f"{run['untrained']['fd_digits']:.1f} | " + " | ".join(cells) + " |"
        )
    if found:
        floors = next(iter(found.values()))["floors"]
        cells = [f"{floors[name]:.{digits}f}" for name, digits in COLUMNS.items()]
        lines.append("| real training digits | - | - | - | " + " | ".join(cells) + " |")
    return lines


def gallery(root: Path, seed: int, target: Path) -> None:
    """Puts the last samples of all runs into one picture."""
    runs = [(c, finished(root, f"{c}_seed{seed}")) for c in (*DIGITS, *PHOTOS)]
    shown = [(config, run) for config, run in runs if run is not None]
    columns = 5
    height = -(-len(shown) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * height), dpi=100, layout="constrained")
    for axes in figure.subplots(height, columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, (config, run) in zip(figure.axes, shown, strict=False):
        with Image.open(sorted((run / "samples").glob("*.png"))[-1]) as image:
            side = image.width // 2  # the upper left quarter
            axes.imshow(image.convert("RGB").crop((0, 0, side, side)), interpolation="nearest")
        axes.set_title(config, fontsize=9)
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target)
    with Image.open(target) as image:
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(target, optimize=True)
    print(target)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table", "gallery"))
    parser.add_argument("configs", nargs="*", default=DIGITS + PHOTOS, help="all if none is given")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--photos", help="folder of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_args()
    if given.action == "run":
        plan = [(c, given.seed, flags(c, given.data_dir, given.photos)) for c in given.configs]
        train_all(plan, given.root, given.jobs)
        return
    if given.action == "gallery":
        gallery(given.root, given.seed, ROOT / "docs" / "images" / "gallery.png")
        return
    found = {}
    for config in DIGITS:
        run = finished(given.root, f"{config}_seed{given.seed}")
        if run is not None:
            before = untrained(config, given.seed, given.data_dir)
            found[config] = {**record(run), "untrained": before}
    write_results("images", found)
    print("\n".join(rows(found)))


if __name__ == "__main__":
    main()
