"""How the commands open a checkpoint, and draw samples and pictures from its model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightning_gans.callbacks.drawing import Picture, overview
from lightning_gans.cli.runs import CONFIG_KEY
from lightning_gans.cli.screen import say
from lightning_gans.core.checkpointing import AVERAGE_KEY, read_checkpoint
from lightning_gans.core.exports import is_export
from lightning_gans.core.latent import LatentModule
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.translating import TranslationModule
from lightning_gans.core.trust import Trust
from lightning_gans.errors import InputError, one_line, printable
from lightning_gans.finding import checkpoint_in, explained
from lightning_gans.loading import load_trusting
from lightning_gans.progress import Work
from lightning_gans.randomness import EVALUATION, reseed
from lightning_gans.sampling import truncate
from lightning_gans.variants.encoding import EncodingGAN

__all__ = [
    "check_generates",
    "check_number",
    "checked_classes",
    "computing",
    "encoding",
    "generated",
    "generating",
    "latents",
    "opened",
    "picture",
    "saved_data",
    "value_range",
    "writing",
]

BATCH = 250
"""Samples that are generated at a time."""


def check_number(name: str, value: int, least: int, most: int) -> None:
    """Refuses a number out of its range.

    Raises:
        InputError: if it is.
    """
    if not least <= value <= most:
        raise InputError(f"{name} must be at least {least} and at most {most:,}, got {value}.")


@contextmanager
def writing(out: Path) -> Iterator[Work]:
    """Says where a file is once it is written, and if it took the place of another one.

    Yields the work, which shows itself if it takes long, and may count what it writes.

    Raises:
        InputError: in the place of an OSError.
    """
    is_there = out.exists()
    try:
        with Work(f"writing {printable(out.name)}") as work:
            yield work
    except OSError as error:
        raise InputError(f"out: {out} cannot be written: {error}.") from error
    say(f"{out}{' (replaces the file that was there)' if is_there else ''}")


def opened(path: Path, weights: str | None = None, allow: Sequence[str] = ()) -> AdversarialModule:
    """Returns the model of a checkpoint, in evaluation mode; says which one a run stands for.

    Args:
        path: a checkpoint or a run; see `checkpoint_in`.
        weights: "averaged" or "raw"; if it is not given the averaged ones where there are any.
        allow: packages with classes of the user's own.

    Raises:
        InputError: if it cannot be opened, or has no averaged weights.
    """
    with explained():
        file = checkpoint_in(path)
        if weights is not None and is_export(file):
            raise InputError(
                f"weights: {file} is an export, which has one set of weights. Leave --weights out."
            )
        if weights == "averaged" and AVERAGE_KEY not in read_checkpoint(file).get("callbacks", ()):
            raise InputError(f"weights: {file} has no averaged generator. Use --weights raw.")
        model = load_trusting(Trust(allow), file, averaged=weights != "raw")
    if file != path:
        say(f"made with {file}")
    return model


def generating(
    path: Path,
    weights: str | None = None,
    allow: Sequence[str] = (),
    truncation: float | None = None,
) -> LatentModule:
    """Returns the model of a checkpoint, if it generates from latents: see `opened`.

    Args:
        path: see `opened`.
        weights: see `opened`.
        allow: see `opened`.
        truncation: psi, see `lightning_gans.sampling.truncate`; none if it is not given.

    Raises:
        InputError: if it does not, if its styles cannot be truncated, or as `opened`.
    """
    model = check_generates(opened(path, weights, allow))
    if truncation is not None:
        try:
            truncate(model, truncation)
        except ValueError as error:
            raise InputError(str(error)) from error
    return model


def check_generates(model: AdversarialModule) -> LatentModule:
    """Returns a model if it generates samples from latents.

    Raises:
        InputError: if it does not.
    """
    if not isinstance(model, LatentModule):
        remedy = "translate" if isinstance(model, TranslationModule) else "evaluate"
        raise InputError(
            f"ckpt_path: a {type(model).__name__} does not generate samples from latents. Use "
            f"{remedy}, or load it in Python."
        )
    return model


def encoding(path: Path, weights: str | None = None, allow: Sequence[str] = ()) -> EncodingGAN:
    """Returns the model of a checkpoint, if it has an encoder: see `opened`.

    Raises:
        InputError: if it has none, or as `opened`.
    """
    model = opened(path, weights, allow)
    if not isinstance(model, EncodingGAN):
        raise InputError(
            f"ckpt_path: a {type(model).__name__} has no encoder. Use a model that has one, such "
            "as BiGAN, AAE, SemiSupervisedAAE, VAEGAN or CVAEGAN."
        )
    return model


def saved_data(path: Path, allow: Sequence[str] = ()) -> LightningDataModule | None:
    """Returns the data module that a checkpoint was trained on, or None if it does not tell.

    Args:
        path: a checkpoint or a run.
        allow: see `opened`.

    Raises:
        InputError: if it cannot be made.
    """
    with explained():
        file = checkpoint_in(path)
    saved = None if is_export(file) else read_checkpoint(file).get(CONFIG_KEY)
    settings = saved.get("data") if isinstance(saved, dict) else None
    if settings is None:
        return None
    trust = Trust(allow)
    try:
        data: LightningDataModule = trust.build(
            trust.check(settings, LightningDataModule, "data"), LightningDataModule
        )
    except Exception as error:  # what a damaged file leads to is anyone's guess
        raise InputError(f"{file}: its data cannot be read: {one_line(str(error))}") from error
    return data


def latents(model: LatentModule, n: int, seed: int) -> Tensor:
    """Draws latents, shape (n, Z), that depend on the seed and their number only."""
    reseed(model.device, seed, EVALUATION)
    return model.sample_latent(n)


@contextmanager
def computing(what: str) -> Iterator[None]:
    """Says in one line that the networks of a checkpoint cannot do what they are asked for.

    Args:
        what: they make.

    Raises:
        InputError: in the place of any error.
    """
    try:
        yield
    except Exception as error:  # what a damaged file leads to is anyone's guess
        reason = one_line(f"{type(error).__name__}: {error}")
        raise InputError(f"ckpt_path: the model makes no {what}: {reason}") from error


def generated(model: LatentModule, latent: Tensor, labels: Tensor | None = None) -> Tensor:
    """Maps latents, shape (N, Z), and perhaps labels to samples, shape (N, ...), on the CPU.

    Raises:
        InputError: if the networks of the checkpoint cannot do that.
    """
    parts = torch.split(latent, BATCH)
    asked = [None] * len(parts) if labels is None else torch.split(labels, BATCH)
    samples = []
    with computing("samples"), Work("generating", len(latent), "samples") as work:
        for part, classes in zip(parts, asked, strict=True):
            samples.append(model.sample(part, classes).cpu())
            work.done += len(part)
    return torch.cat(samples)


def checked_classes(model: LatentModule, classes: Sequence[int]) -> list[int]:
    """Returns the requested classes: all of the model's if none are named.

    Raises:
        InputError: if the model has no classes, or not these.
    """
    if model.num_classes is None:
        if classes:
            raise InputError("classes: the model has no classes. Leave --classes out.")
        return []
    wrong = [label for label in classes if not 0 <= label < model.num_classes]
    if wrong:
        raise InputError(
            f"classes: the model has the classes 0 to {model.num_classes - 1}, got {wrong[0]}."
        )
    return list(classes) or list(range(model.num_classes))


def value_range(model: LatentModule) -> tuple[float, float]:
    """Returns what a picture shows as black and white, or at its edges."""
    return model.value_range or (-1.0, 1.0)


def picture(model: LatentModule, samples: Tensor, *, columns: int, title: str = "") -> Picture:
    """Returns a grid of images, a scatter plot of points or the profiles of vectors.

    Images of two kinds are next to each other, see `LatentModule.pictured`.

    Args:
        model: that made the samples.
        samples: shape (N, ...).
        columns: images in a row.
        title: above a plot; images have none.

    Raises:
        InputError: if there is no picture of samples of this shape.
    """
    samples = model.pictured(samples)
    if samples.ndim != 2 and not (samples.ndim == 4 and samples.shape[1] in (1, 3)):
        raise InputError(
            f"out: samples of shape {tuple(samples.shape[1:])} cannot be drawn. Use "
            "lightning-gans sample with a .npy file."
        )
    return overview(samples, samples[:0], value_range(model), title=title, columns=columns)
