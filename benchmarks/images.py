"""Trains the configurations of the image data and tabulates what they come to.

    python benchmarks/images.py run --data_dir data --photos photos     # hours on a CPU
    python benchmarks/images.py table --data_dir data                   # of what has been run

``run`` takes names of configurations, ``--seed``, ``--jobs`` and ``--precision``; it keeps what it
finds already trained. ``table`` puts the runs it finds into ``results/images.json``, beside those
that are there from before, and their last samples into ``docs/images/gallery``; it prints the
tables. Beside the scores at the end they have that of the untrained generator.
``benchmarks/gallery.py`` writes them into the pages. Configurations that need a folder of images
read ``--photos``, in place of CIFAR-10 too.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

from PIL import Image
from trained import (
    ROOT,
    RUNS,
    finished,
    minutes,
    parser_of,
    record,
    recorded,
    told,
    train_all,
    write_results,
)

DIGITS = (
    *("gan_mnist", "minimax_gan_mnist", "lsgan_mnist", "wgan_mnist", "wgan_gp_mnist"),
    *("gan_mnist_small", "wgan_mnist_small", "wgan_gp_mnist_small"),
    *("wgan_gp_conv_mnist", "dcgan_mnist", "dcgan_maxpool_mnist", "wdcgan_mnist"),
    *("wdcgan_maxpool_mnist", "wdcgan_gp_maxpool_mnist"),
    *("wdcgan_gp_mnist", "wdcgan_gp_mnist_tuned", "sngan_mnist", "ebgan_mnist", "began_mnist"),
)
BY_CLASS = (
    *("cgan_mnist", "cwgan_gp_mnist", "acgan_mnist", "cvae_gan_mnist"),
    "cvae_gan_mnist_tuned",
)
CODED = ("infogan_mnist", "infogan_mnist_small")
PHOTOS = ("dcgan_cifar10", "wdcgan_gp_cifar10", "gan_folder", "wdcgan_gp_folder")
LONG = (
    *("wdcgan_gp_mnist_tuned", "wdcgan_gp_mnist", "wdcgan_mnist"),
    *("dcgan_maxpool_mnist", "wdcgan_maxpool_mnist", "wdcgan_gp_maxpool_mnist"),
    *("acgan_mnist", "cvae_gan_mnist", "infogan_mnist", "sngan_mnist", *PHOTOS),
)
"""The most expensive ones, trained in bf16-mixed unless told, which newer CPUs do in hardware."""
FEW_LABELS = ("sgan_mnist_small",)
ALL = DIGITS + BY_CLASS + CODED + FEW_LABELS + PHOTOS
COLUMNS = {"fd_digits": 2, "digit_tv": 3, "digit_ones": 3, "digit_confidence": 3}
COLUMNS_BY_CLASS = {
    **{"fd_digits": 2, "label_fidelity": 3, "class_diversity": 3, "digit_confidence": 3},
    **{"reconstruction_fidelity": 3, "reconstruction_mse": 4, "mean_sample_mse": 4},
}
COLUMNS_OF_CODES = {"fd_digits": 2, "code_mi": 3, "code_matched": 3, "digit_confidence": 3}


def flags(config: str, data_dir: str, photos: str | None, long: str) -> list[str]:
    """Returns where a configuration finds its data, and for photos how long it is run.

    Args:
        config: its name.
        data_dir: folder above MNIST.
        photos: folder of images, if there is one.
        long: precision of the most expensive configurations.
    """
    precision = ["--trainer.precision", long] if config in LONG else []
    if config not in PHOTOS:
        return [f"{source(config)}.data_dir", data_dir, *precision]
    if photos is None:
        raise SystemExit(f"{config} needs --photos, a folder of images")
    size = ["--data.image_size", "32"] if config.endswith("cifar10") else []
    data = ["--data", "ImageFolder"] if config.endswith("cifar10") else []
    brief = ["--trainer.max_steps", "1000", "--trainer.val_check_interval", "1000"]
    often = ["--pictures.every_n_updates", "250"]
    return [*data, "--data.path", photos, *size, *brief, *often, *precision]


def source(config: str) -> str:
    """Returns what the flags of a configuration's images begin with."""
    return "--data.source" if config in FEW_LABELS else "--data"


def untrained(config: str, seed: int, data_dir: str) -> dict[str, float]:
    """Returns the scores of a configuration's generator before its first update."""
    from lightning_gans.callbacks import Evaluation
    from lightning_gans.cli.training import GANCLI

    path = str(ROOT / "configs" / f"{config}.yaml")
    with contextlib.redirect_stdout(io.StringIO()):
        cli = GANCLI(
            [
                *("validate", "--config", path, "--seed_everything", str(seed)),
                *(f"{source(config)}.data_dir", data_dir, "--trainer.accelerator", "cpu"),
            ]
        )
    (evaluation,) = (c for c in cli.trainer.callbacks if isinstance(c, Evaluation))
    return evaluation.scores


def table(runs: dict[str, dict[str, Any]], columns: dict[str, int]) -> list[str]:
    """Returns a table of digits, best first, in Markdown."""
    lines = [
        "| config | updates | minutes | precision | fd_digits untrained | "
        + " | ".join([*columns, "commit |"]),
        "|---|---|---|---|---|" + "---|" * (len(columns) + 1),
    ]

    def cells(scores: dict[str, float], commit: str) -> str:
        known = (
            f"{scores[name]:.{places}f}" if name in scores else "-"
            for name, places in columns.items()
        )
        return " | ".join([*known, f"{commit} |"])

    for config, run in sorted(runs.items(), key=lambda item: item[1]["scores"]["fd_digits"]):
        lines.append(
            f"| `{config}` | {run['updates']:,} | {minutes(run):.1f} | "
            f"{run['precision']} | {run['untrained']['fd_digits']:,.0f} | "
            + cells(run["scores"], f"`{run['commit'][:7]}`")
        )
    for run in list(runs.values())[:1]:
        lines.append(f"| real training digits | - | - | - | - | {cells(run['floors'], '-')}")
    return lines


def draw(run: Path, target: Path, *, whole: bool = False) -> None:
    """Makes a small picture of a run's last samples: the upper left quarter, or of each class.

    Args:
        run: its folder.
        target: the file to write.
        whole: whether all columns are shown, below a line that needs their width.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(max((run / "samples").glob("*.png"))) as image:
        right = image.width if whole else image.width // 2 + 1
        bottom = right if image.width == image.height else image.height
        picture = image.convert("RGB").crop((0, 0, right, bottom))
    picture = picture.resize((2 * right, 2 * bottom), Image.Resampling.NEAREST)
    picture.quantize(64).save(target, optimize=True)


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("configs", nargs="*", default=ALL, help="all if none is given")
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    parser.add_argument("--photos", help="folder of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="bf16-mixed", help="of the most expensive configs")
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_intermixed_args()
    if given.action == "run":
        plan = [
            (c, given.seed, flags(c, given.data_dir, given.photos, given.precision))
            for c in given.configs
        ]
        train_all(plan, given.root, given.jobs)
        return
    before, found = recorded("images"), {}
    for config in told(ALL):
        run = finished(given.root, f"{config}_seed{given.seed}")
        if run is not None:
            found[config] = record(run)
            if config not in PHOTOS:
                known = before.get(config, {})
                same = known.get("commit") == found[config]["commit"]
                found[config]["untrained"] = (
                    known["untrained"]
                    if same and "untrained" in known
                    else untrained(config, given.seed, given.data_dir)
                )
            draw(run, ROOT / "docs" / "images" / "gallery" / f"{config}.png")
        elif config in before:
            found[config] = before[config]
    write_results("images", found)
    kinds = {DIGITS: COLUMNS, BY_CLASS: COLUMNS_BY_CLASS, CODED: COLUMNS_OF_CODES}
    for names, columns in kinds.items():
        some = {config: run for config, run in found.items() if config in names}
        print("\n".join([*table(some, columns), ""]))


if __name__ == "__main__":
    main()
