"""What there is to see of a model: descriptions of pictures, and those of a GAN.

They say what is drawn; how it is drawn is up to the callbacks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_gans.augment import APA
from lightning_gans.core.batch_checks import check_labels
from lightning_gans.core.players import Batch
from lightning_gans.core.priors import CodePrior, latents_between
from lightning_gans.core.turns import valued
from lightning_gans.networks import evaluation_mode
from lightning_gans.networks.styles import StyledGenerator
from lightning_gans.randomness import EVALUATION, reseed
from lightning_gans.regularizers import View

if TYPE_CHECKING:
    from lightning_gans.core.gan import GAN
    from lightning_gans.core.latent import LatentModule

__all__ = [
    *("Beside", "Comparison", "Drawing", "Grid", "Levels", "Moved"),
    *("final_pictures", "fixed_latents", "fixed_samples", "like", "pictures", "scores_on_plane"),
    "style_mixing",
]

LATENTS = 2**32 - 1
"""Key of the fixed latents in the stream of evaluation, which no batch has."""
ROWS, STEPS = 6, 10
"""Of the picture of interpolations."""
COMPARED, POINTS = 64, 1000
"""Samples of each side that a loss on several outputs reads for level sets, and points at once."""
CLASSES, COLUMNS = 10, 8
"""Rows and columns of a picture with a row for each class, at most."""
REACH, VALUES = 2.0, 9
"""Of the picture of a continuous code, which is drawn from [-1, 1]: its range and columns."""


@dataclass(frozen=True)
class Comparison:
    """Generated samples beside real ones.

    Attributes:
        fake: shape (N, ...).
        real: shape (M, ...).
    """

    fake: Tensor
    real: Tensor


@dataclass(frozen=True)
class Grid:
    """Images in rows.

    Attributes:
        images: shape (N, C, H, W).
        columns: images in a row.
        note: for the title, what the rows or columns are.
    """

    images: Tensor
    columns: int = COLUMNS
    note: str = ""


@dataclass(frozen=True)
class Levels:
    """A function on the plane, and samples on it.

    Attributes:
        score: maps points, shape (N, 2), to values, shape (N,).
        fake: shape (N, 2).
        real: shape (M, 2).
        note: for the title.
    """

    score: Callable[[Tensor], Tensor]
    fake: Tensor
    real: Tensor
    note: str = ""


@dataclass(frozen=True)
class Beside:
    """Two functions on the plane next to each other, in the same colours.

    Attributes:
        left: the one, with its samples; its note is the title.
        right: the other.
        limits: values between which the colours differ.
    """

    left: Levels
    right: Levels
    limits: tuple[float, float]


@dataclass(frozen=True)
class Moved:
    """Points in the plane and where each of them has been moved to, in one colour.

    Attributes:
        source: shape (N, 2).
        made: of each of them, shape (N, 2).
        real: where they should be, as a whole, shape (M, 2).
    """

    source: Tensor
    made: Tensor
    real: Tensor


Drawing = Beside | Comparison | Grid | Levels | Moved


def pictures(gan: "GAN", real: Batch, number: int) -> dict[str, Drawing]:
    """Returns samples of fixed latents, and for points in the plane the discriminator's levels.

    Args:
        gan: the model.
        real: some real samples.
        number: generated samples in a picture.
    """
    fake, alike, labels = _samples(gan, real, number)
    found: dict[str, Drawing] = {"samples": Comparison(fake, alike)}
    if fake.ndim == 2 and fake.shape[1] == 2 and gan.judges_alone:
        note = ""
        if labels is not None:
            assert real.labels is not None
            fake, alike, note = fake[labels == 0], real.real[real.labels == 0], ", class 0"
        found["level_sets"] = Levels(scores_on_plane(gan, alike, fake), fake, alike, note)
    return found


def scores_on_plane(gan: "GAN", real: Tensor, fake: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns the discriminator's value as a function of points, of class 0 if it reads classes.

    Args:
        gan: the model.
        real: samples that a loss on several outputs compares with.
        fake: generated ones, of the model's type and on its device.
    """

    def outputs(x: Tensor) -> Tensor:
        return gan.discriminate(x, x.new_zeros(len(x)).long())

    view = valued(View(outputs, real[:COMPARED].to(fake), fake[:COMPARED]), gan.loss)

    @torch.no_grad()
    def score(x: Tensor) -> Tensor:
        with evaluation_mode(gan.discriminator):
            parts = torch.split(x.to(fake), POINTS)
            return torch.cat([view.discriminate(part) for part in parts])

    return score


def fixed_latents(model: "LatentModule", number: int) -> Tensor:
    """Returns the latents of all pictures of a model, shape (number, Z)."""
    reseed(model.device, model.seed, EVALUATION, LATENTS)
    return model.sample_latent(number)


def fixed_samples(gan: "GAN", number: int) -> Tensor:
    """Returns generated samples of the fixed latents of a model without classes."""
    return gan.evaluated.sample(fixed_latents(gan, number))


def final_pictures(gan: "GAN", real: Batch) -> dict[str, Drawing]:
    """Returns images on the ways between fixed latents, row by row, each of one class.

    If the latents have codes, there is also a picture of each code, of a generator with styles one
    of `style_mixing`, and if the model has an augmentation, real images over what it makes of
    them.

    Args:
        gan: the model.
        real: some real samples; there is nothing for others than images.
    """
    if real.real.ndim == 2:
        return {}
    reseed(gan.device, gan.seed, EVALUATION, LATENTS)
    start, end = gan.sample_latent(2 * ROWS).chunk(2)
    labels = None
    if gan.num_classes is not None:
        labels = torch.arange(ROWS, device=gan.device) % gan.num_classes
        labels = labels.repeat_interleave(STEPS)
    images = gan.evaluated.sample(latents_between(start, end, STEPS, gan.prior.between), labels)
    found: dict[str, Drawing] = {
        "interpolation": Grid(images, STEPS, "each row: from one latent to another")
    }
    if isinstance(gan.prior, CodePrior) and gan.num_classes is None:
        found.update(code_pictures(gan, gan.prior))
    if isinstance(gan.evaluated.generator, StyledGenerator):
        found["style_mixing"] = style_mixing(gan, gan.evaluated.generator)
    if gan.augment is not None and not isinstance(gan.augment, APA):  # which changes no image
        few = real.real[:COLUMNS]
        with torch.no_grad():
            made = gan.augment(torch.cat([few] * (COLUMNS - 1)))
        found["augmented"] = Grid(torch.cat([few, made]), len(few), "real, augmented below")
    return found


def style_mixing(gan: "GAN", generator: StyledGenerator) -> Grid:
    """Returns images with the styles of two latents each, those of the one in the first layers.

    The first column has the latents, and classes, of the first layers, which decide the shape as
    a whole. The first row has those of the last layers. Where they meet is the mix of both.

    Args:
        gan: the model.
        generator: that is evaluated.
    """
    reseed(gan.device, gan.seed, EVALUATION, LATENTS)
    latent, labels = gan.sample_latent(ROWS + COLUMNS), None
    if gan.num_classes is not None:
        labels = torch.arange(len(latent), device=gan.device) % gan.num_classes
    with evaluation_mode(generator), torch.no_grad():
        one, other = torch.split(generator.styles(latent, labels), [ROWS, COLUMNS])
        first = torch.arange(generator.num_styles, device=gan.device) < generator.num_styles // 2
        mixed = torch.where(first[:, None], one[:, None], other)
        rows = torch.cat([one[:, None], mixed], 1)
        top = torch.cat([other[:1], other])  # the corner is left empty
        images = generator.synthesize(torch.cat([top[None], rows]).flatten(0, 1))
    low = gan.value_range[0] if gan.value_range else images.amin()
    images[0] = low
    return Grid(images, 1 + COLUMNS, "first layers: the left one; last layers: the top one")


def code_pictures(gan: "GAN", prior: CodePrior) -> dict[str, Drawing]:
    """Returns images of every value of each code, all else in a row being equal.

    Those of a categorical code have a column for each value, and a row for each of some fixed
    latents. Those of a continuous code have a column for each of some values in [-2, 2], and a row
    for each value of the first categorical code, with one latent in all rows; or if there is no
    such code, a row for each latent.

    Args:
        gan: the model, without classes.
        prior: its prior.
    """
    reseed(gan.device, gan.seed, EVALUATION, LATENTS)
    latents = gan.sample_latent(COLUMNS)
    tables: dict[str, Tensor] = {}
    rows, first = latents, prior.noise.dim
    for name, size in prior.sizes.items():
        if name == "continuous":
            steps = torch.linspace(-REACH, REACH, VALUES)[:, None]
            for number in range(size):
                tables[f"{name}_{number + 1}"] = _varied(rows, first + number, steps)
        else:
            tables[name] = _varied(latents, first, torch.eye(size)[:CLASSES])
            rows = tables["category"][0]
        first += size
    return {
        name: Grid(
            gan.evaluated.sample(table.flatten(0, 1)),
            table.shape[1],
            f"each column: one value of {name}",
        )
        for name, table in tables.items()
    }


def _varied(latents: Tensor, first: int, values: Tensor) -> Tensor:
    """Returns each of some latents with each of some values in a place, shape (N, K, Z).

    Args:
        latents: shape (N, Z).
        first: entry of the latents that the values begin at.
        values: shape (K, d).
    """
    table = latents[:, None].repeat(1, len(values), 1)
    table[:, :, first : first + values.shape[1]] = values.to(latents)
    return table


def _samples(gan: "GAN", real: Batch, number: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns generated samples of the fixed latents, real ones like them, and the classes."""
    number = number if real.real.ndim == 2 else min(64, number)
    if gan.num_classes is None:
        return fixed_samples(gan, number), real.real[:number], None
    reseed(gan.device, gan.seed, EVALUATION, LATENTS)
    check_labels(real.real, real.labels, gan.num_classes)
    if real.real.ndim == 2:
        labels = torch.arange(number, device=gan.device) % gan.num_classes
        latent = gan.sample_latent(number)
    else:
        labels = torch.arange(min(gan.num_classes, CLASSES), device=gan.device)
        latent = gan.sample_latent(COLUMNS).repeat(len(labels), 1)
        labels = labels.repeat_interleave(COLUMNS)
    return gan.evaluated.sample(latent, labels), like(real, labels), labels


def like(real: Batch, wanted: Tensor) -> Tensor:
    """Returns real samples of some classes, again and again if there are few; any if none.

    Args:
        real: samples with labels.
        wanted: the classes, int64, shape (N,).
    """
    assert real.labels is not None
    rows = torch.arange(len(wanted), device=wanted.device) % len(real)
    for label in torch.unique(wanted):
        places, found = ((which == label).nonzero()[:, 0] for which in (wanted, real.labels))
        if len(found):
            turns = torch.arange(len(places), device=found.device) % len(found)
            rows[places] = found[turns]
    return real.real[rows]
