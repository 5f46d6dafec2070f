"""Writes docs/gallery.md and the tables of docs/benchmarks.md. It trains nothing.

    python benchmarks/gallery.py

The gallery is made from ``configs``, the papers that the models' docstrings name, the results of
``synthetic.py``, ``images.py``, ``photos.py`` and ``tasks.py``, and the pictures in
``docs/images``. A table of docs/benchmarks.md stands between two comments with its name. Run it
again after one of these benchmarks or a change of a configuration.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

import images
import photos
import synthetic
import tasks
import yaml
from trained import ROOT, filled, minutes, recorded, spread

DOCS = ROOT / "docs"
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.yaml") if path.stem != "default")
PICTURES = {
    "wgan_gp_ring_tuned": "images/demo.gif",
    "sngan_cifar10": "images/gpu/sngan_cifar10.png",
    "stylegan2_cifar10": "images/gpu/stylegan2_cifar10.png",
}
"""Those that are not in ``images/gallery``."""
POINTS = {"modes": 1, "high_quality": 3, "w1": 3, "pattern_error": 3}
IMAGES = {"accuracy": 3, "fd_digits": 2, "label_fidelity": 3, "digit_confidence": 3}
IMAGES |= {"fd_objects": 2, "sliced_w": 3}
"""Scores that the gallery shows, with their decimals; ``sliced_w`` if there is nothing else."""
FAILED = {
    "cvae_gan_mnist": "[fails](benchmarks.md#by-class): its samples ignore the class",
}
INTRODUCTION = """\
# Gallery

Every config that comes with the package, with its picture, its source and its scores. You train a
config by its name: `lightning-gans fit --config wgan_gp_mnist`. In the file, a comment beside each
number gives its source: the paper, the tutorial, or the tutorial's code. Numbers of our own are
marked "chosen" or "tuned".

[benchmarks.md](benchmarks.md) has more scores and explains how they were measured, and
[scores.md](scores.md) defines them. Most published recipes have far fewer updates here than in
their sources. Their pictures show what that many updates give, not the best that the method can
do. A dash means that there is no picture.

This page is written by `python benchmarks/gallery.py`.
"""
GROUPS = {
    "Points": (
        ("GaussianRing", "GaussianGrid", "PacGANGrid", "OneZeroPattern", "MixturePairs"),
        "Scores are means over the seeds. The ring has 8 modes and the grid has 25. Real\n"
        "data has a `w1` of {gan_ring[w1]:.3f} on the ring and {wgan_gp_grid_tuned[w1]:.3f} on "
        "the grid.",
    ),
    "MNIST": (
        ("MNIST", "FewLabels", "TransformedMNIST"),
        "One seed, or the means over several. `fd_digits` is a Fréchet distance on features of\n"
        "the digit classifier that comes with the package. Lower is better, real digits score\n"
        "{gan_mnist[fd_digits]:.2f}, and it is not comparable with an FID.",
    ),
    "Stacked digits": (
        ("StackedMNIST",),
        "Three digits of MNIST in the channels of one image: a thousand modes. The first three\n"
        "configs have the networks of the PacGAN paper's second experiment, with a small\n"
        "discriminator, and train for 30,000 updates, 6 % of the paper's. The last has networks\n"
        "that make and read each digit alike. Of 25,600 real images, `modes_1000` is 1,000 and\n"
        "`kl_1000` is 0.024.",
    ),
    "Photographs": (
        ("CIFAR10", "ImageFolder", "PairedFolder", "UnpairedFolders"),
        "One seed, trained on a folder of 50,000 photographs of CIFAR-10, JPEG files, of which\n"
        "some are held out. After 1,000 updates pictures cannot be good yet. Real photographs\n"
        "have a `sliced_w` of {dcgan_cifar10[sliced_w]:.3f} at 32 pixels, and an `fd_objects` of\n"
        "{sngan_cifar10_small[fd_objects]:.2f}.",
    ),
}
"""Headings, the data that belongs under each, and a text."""


def papers() -> dict[str, str]:
    """Returns a link to the paper of each model, by the model's name."""
    files = [ROOT / "lightning_gans/core/gan.py", *ROOT.glob("lightning_gans/variants/*.py")]
    found = {}
    for path in files:
        for node in ast.parse(path.read_text()).body:
            text = " ".join((ast.get_docstring(node) or "").split()) if _is_class(node) else ""
            named = re.search(
                r"References: .*?\(([^()]+, \d{4})\).*?(https://arxiv\.org/abs/[\d.]+\d)", text
            )
            if named:
                found[node.name] = f"[{named[1]}]({named[2]})"
    return found


def _is_class(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef)


def about(text: str) -> str:
    """Returns the comment at the head of a configuration, without the commands in it."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("#    "):
            lines.append(line.removeprefix("#").strip())
    return re.sub(r":$", ".", re.sub(r": (?=[A-Z])", ". ", " ".join(lines)))


def source(text: str, paper: str) -> str:
    """Returns the paper of a configuration's model and the tutorials that its comments name."""
    comments = " ".join(re.findall(r"#\s*(.*)", text))
    tutorials = dict.fromkeys(re.findall(r'tutorial "([^"]+)"', comments))
    return "<br>".join([paper, *(f'[tutorial "{name}"](tutorials.md)' for name in tutorials)])


def scores(config: str, results: dict[str, Any], steps: int) -> str:
    """Returns how long a configuration was trained and what it scored, a line each."""
    found = results.get(config)
    if not found:
        return "not measured; the tests train it for two updates"
    runs = found if isinstance(found, list) else [found]
    updates = runs[0]["updates"]
    trained = f"{updates:,} updates" if updates == steps else f"{updates:,} of {steps:,} updates"
    taken = sum(map(minutes, runs)) / len(runs)
    seeds = f", {len(runs)} seeds" if runs[1:] else ""
    on_gpu = runs[0]["machine"].get("device", "cpu") != "cpu"
    where = " [on one GPU](benchmarks.md#on-one-gpu)" if on_gpu else ""
    lines = [f"{trained}, {taken:.0f} min{seeds}{where}"]
    known = runs[0]["scores"]
    of_tasks = {config: task.columns for config, task, _ in tasks.unchanged()}
    shown = of_tasks.get(config, POINTS if isinstance(found, list) else IMAGES)
    for name, places in shown.items():
        if name in known and not (name == "sliced_w" and {"fd_digits", "fd_objects"} & {*known}):
            value = spread([run["scores"][name] for run in runs], places).partition(" ")[0]
            lines.append(f"{name} {value}")
    return "<br>".join([*lines, *([FAILED[config]] if config in FAILED else [])])


def picture(config: str) -> str:
    """Returns the picture of a measured configuration, if it has one."""
    place = PICTURES.get(config, f"images/gallery/{config}.png")
    if not (DOCS / place).exists():
        return "-"
    return f'<img src="{place}" width="140" alt="samples of {config}">'


def gallery(results: dict[str, Any]) -> str:
    """Returns the text of docs/gallery.md."""
    linked = papers()
    floors = {
        config: (found[0] if isinstance(found, list) else found)["floors"]
        for config, found in results.items()
    }
    parts = [INTRODUCTION]
    for heading, (names, text) in GROUPS.items():
        lines = ["| picture | config | source | scores |", "|---|---|---|---|"]
        for path in CONFIGS:
            content = path.read_text()
            config = yaml.safe_load(content)
            if config["data"]["class_path"] not in names:
                continue
            model, steps = config["model"]["class_path"], config["trainer"]["max_steps"]
            cells = [
                picture(path.stem) if path.stem in results else "-",
                f"`{path.stem}`<br>{about(content)}",
                source(content, linked[model]),
                scores(path.stem, results, steps),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        parts.append("\n".join([f"## {heading}", "", text.format(**floors), "", *lines, ""]))
    return "\n".join(parts)


def commits(runs: Iterable[dict[str, Any]]) -> str:
    """Returns at which commits some runs were made."""
    names = [f"`{name}`" for name in dict.fromkeys(run["commit"][:7] for run in runs)]
    whole = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return f"Commit{'s' if names[1:] else ''}: {whole}."


def tables(points: dict[str, Any], digits: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the lines of each part of docs/benchmarks.md that is made from results."""

    def some(names: Iterable[str]) -> dict[str, Any]:
        return {name: run for name, run in digits.items() if name in names}

    return {
        "points": synthetic.rows(points),
        "digits": images.table(some(images.DIGITS), images.COLUMNS),
        "classes": images.table(some(images.BY_CLASS), images.COLUMNS_BY_CLASS),
        "images commits": [commits(digits.values())],
    }


def written() -> Iterator[tuple[str, str]]:
    """Yields the names of the pages under docs and their texts."""
    points, digits = (recorded(name) for name in ("synthetic", "images"))
    on_gpu = {
        name: {**run, "scores": run["evaluations"][-1], "wall_time_s": run["seconds"]}
        for name, run in recorded("networks")["trainings"].items()
    }
    others = {**tasks.of_configs(), **photos.of_configs()}
    yield "gallery.md", gallery({**on_gpu, **points, **digits, **others})
    page = (DOCS / "benchmarks.md").read_text()
    yield "benchmarks.md", filled(page, tables(points, digits))


def main() -> None:
    """Writes both pages."""
    for name, text in written():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
