"""Pictures as uint8 arrays of shape (H, W, 3), the one form that every logger takes.

Nothing here guesses a range from the values it is given: the data's ``value_range`` decides, so
that the same value always gets the same colour and the same place.
"""

from collections.abc import Callable, Iterable, Sequence
from math import ceil, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.utils import make_grid

from lightning_gans.files import replacing

__all__ = [
    "PICTURES",
    "Picture",
    "beside",
    "beside_neighbours",
    "image_grid",
    "level_sets",
    "moved",
    "overview",
    "points",
    "profiles",
    "read_png",
    "real_and_generated",
    "rendered",
    "save_gif",
    "save_picture",
    "side_by_side",
    "to_bytes",
    "ways",
]

Picture = NDArray[np.uint8]

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Endings of files of pictures, and the forms that they stand for."""

REAL = "#9a9a9a"
FAKE = "#d62728"


def to_bytes(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Maps images from their range to bytes: the least value to 0, the greatest to 255.

    Args:
        images: shape (N, C, H, W), values beyond the range are clipped.
        value_range: the data's least and greatest value.
    """
    low, high = value_range
    unit = (images.detach().float().cpu() - low) / (high - low)
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8)


def image_grid(
    images: Tensor, value_range: tuple[float, float], *, columns: int = 8, title: str = ""
) -> Picture:
    """Returns images in rows from left to right, on white lines of two pixels.

    Args:
        images: grey or RGB, shape (N, C, H, W), in the data's range.
        value_range: the data's least and greatest value.
        columns: images in a row.
        title: above the images, if there is one.
    """
    grid = make_grid(to_bytes(images, value_range), nrow=columns, padding=2, pad_value=255)
    return _titled(grid.permute(1, 2, 0).numpy(), title)


def points(
    fake: Tensor, real: Tensor, value_range: tuple[float, float], *, title: str = ""
) -> Picture:
    """Returns a scatter plot of generated points over real ones.

    Args:
        fake: shape (N, 2).
        real: shape (M, 2).
        value_range: of both axes.
        title: above the plot.
    """
    figure, axes = _square(value_range, title)
    _scatter(axes, real, fake)
    return rendered(figure)


def level_sets(
    score: Callable[[Tensor], Tensor],
    fake: Tensor,
    real: Tensor,
    value_range: tuple[float, float],
    *,
    title: str = "",
    resolution: int = 100,
) -> Picture:
    """Returns generated and real points over the level sets of the discriminator's output.

    Args:
        score: maps points, shape (N, 2), to outputs, shape (N,).
        fake: shape (N, 2).
        real: shape (M, 2).
        value_range: of both axes.
        title: above the plot.
        resolution: points along each axis at which the output is evaluated.
    """
    figure, axes = _square(value_range, title, width=5.4)
    low, high = axes.get_xlim()
    ticks = torch.linspace(low, high, resolution)
    heights = score(torch.cartesian_prod(ticks, ticks)).reshape(resolution, resolution)
    filled = axes.contourf(ticks, ticks, heights.T.float().cpu(), levels=20, cmap="viridis")
    figure.colorbar(filled, cax=figure.add_axes((0.8, 0.1, 0.03, 0.82)))
    figure.text(0.975, 0.5, "discriminator output", rotation=90, va="center", ha="center")
    _scatter(axes, real, fake, real_colour="white")
    return rendered(figure)


def beside(
    parts: Sequence[tuple[Callable[[Tensor], Tensor], Tensor, Tensor, str]],
    value_range: tuple[float, float],
    limits: tuple[float, float],
    *,
    resolution: int = 100,
) -> Picture:
    """Returns the level sets of two functions side by side, in the same colours.

    Args:
        parts: of each a function of points, shape (N, 2), with values, shape (N,), grey where they
            are NaN; generated points and real ones, shape (M, 2) each; and the title.
        value_range: of all axes.
        limits: values between which the colours differ.
        resolution: points along each axis at which the functions are evaluated.
    """
    figure = Figure(figsize=(9.2, 4.3), dpi=100)
    low, high = _with_margin(value_range)
    ticks = torch.linspace(low, high, resolution)
    points = torch.cartesian_prod(ticks, ticks)
    heights = [score(points).float().cpu() for score, *_ in parts]
    least, greatest = limits
    levels = MaxNLocator(20).tick_values(least, max(greatest, least + 1e-6))
    beyond = any(((h < levels[0]) | (h > levels[-1])).any() for h in heights)
    for left, height, (_, fake, real, title) in zip((0.055, 0.485), heights, parts, strict=True):
        axes = figure.add_axes((left, 0.075, 0.39, 0.835))
        axes.set(xlim=(low, high), ylim=(low, high), facecolor="#e6e6e6")
        axes.set_title(title, fontsize=10, parse_math=False)
        filled = axes.contourf(
            *(ticks, ticks, height.reshape(resolution, resolution).T),
            levels=levels,
            cmap="viridis",
            extend="both" if beyond else "neither",
        )
        _scatter(axes, real, fake, real_colour="white")
    axes.tick_params(labelleft=False)
    figure.colorbar(filled, cax=figure.add_axes((0.9, 0.075, 0.02, 0.835)))
    return rendered(figure)


def moved(
    source: Tensor,
    made: Tensor,
    real: Tensor,
    value_range: tuple[float, float],
    *,
    title: str = "",
) -> Picture:
    """Returns points on the left, and on the right where each has been moved to, in its colour.

    The colour tells in which direction from the middle of all of them a point lies.

    Args:
        source: shape (N, 2).
        made: shape (N, 2).
        real: in grey behind those that were moved, shape (M, 2).
        value_range: of both axes.
        title: above the right one.
    """
    low, high = value_range
    x, y = (source - (low + high) / 2).float().cpu().unbind(1)
    colours = torch.atan2(y, x)
    halves = []
    for where, behind, name in ((source, real[:0], "before"), (made, real, title)):
        figure, axes = _square(value_range, name)
        axes.scatter(*behind.float().cpu().unbind(1), s=4, c=REAL, linewidths=0)
        axes.scatter(
            *where.float().cpu().unbind(1),
            **{"s": 4, "c": colours, "cmap": "hsv", "vmin": -pi, "vmax": pi, "linewidths": 0},
        )
        halves.append(rendered(figure))
    return side_by_side(*halves)


def ways(places: Tensor, value_range: tuple[float, float]) -> Picture:
    """Returns the ways of points in the plane, each a line with its points in a colour of its own.

    Args:
        places: along each of N ways, shape (N, steps, 2).
        value_range: of both axes.
    """
    figure, axes = _square(value_range, "each path starts at a circle")
    for way in places.float().cpu():
        (line,) = axes.plot(*way.unbind(1), ".-", markersize=5, linewidth=0.8)
        axes.plot(*way[:1].unbind(1), "o", markersize=8, fillstyle="none", color=line.get_color())
    return rendered(figure)


def overview(
    fake: Tensor,
    real: Tensor,
    value_range: tuple[float, float],
    *,
    title: str = "",
    columns: int = 8,
) -> Picture:
    """Returns generated images in a grid, or generated vectors over real ones.

    Args:
        fake: shape (N, ...).
        real: shape (M, ...); not drawn beside images.
        value_range: the data's least and greatest value.
        title: above a plot of vectors.
        columns: images in a row.
    """
    if fake.ndim != 2:
        return image_grid(fake, value_range, columns=columns)
    draw = points if fake.shape[1] == 2 else profiles
    return draw(fake, real, value_range, title=title)


def profiles(
    fake: Tensor, real: Tensor, value_range: tuple[float, float], *, title: str = ""
) -> Picture:
    """Returns generated vectors over real ones, each a line over its entries.

    Args:
        fake: shape (N, d).
        real: shape (M, d).
        value_range: of the entries.
        title: above the plot.
    """
    figure, axes = _axes(title, 4.4)
    entries = np.arange(1, real.shape[1] + 1)
    for samples, colour, name in ((real, REAL, "real"), (fake, FAKE, "generated")):
        if len(samples):
            lines = samples[:200].float().cpu().numpy().T
            handles = axes.plot(entries, lines, color=colour, alpha=0.3, linewidth=1)
            handles[0].set_label(name)
    low, high = value_range
    margin = 0.1 * (high - low)
    axes.set(xlabel="entry", ylabel="value", ylim=(low - margin, high + margin))
    if len(entries) <= 20:
        axes.set_xticks(entries)
    for handle in axes.legend(loc="upper right").legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return rendered(figure)


def side_by_side(left: Picture, right: Picture, *, gap: int = 0) -> Picture:
    """Returns two pictures next to each other on white, both from the top.

    Args:
        left: shape (H, W, 3).
        right: shape (H, W, 3), other sizes allowed.
        gap: pixels between them.
    """
    height = max(len(left), len(right))
    padded = []
    for picture in (left, right):
        below = height - len(picture)
        padded.append(np.pad(picture, ((0, below), (0, 0), (0, 0)), constant_values=255))
    padded.insert(1, np.full((height, gap, 3), 255, np.uint8))
    return np.concatenate(padded, axis=1)


def real_and_generated(real: Tensor, fake: Tensor, value_range: tuple[float, float]) -> Picture:
    """Returns real samples on the left and generated ones on the right.

    Args:
        real: shape (M, ...).
        fake: shape (N, ...).
        value_range: the data's least and greatest value.
    """
    if fake.ndim == 2:
        left = overview(real[:0], real, value_range, title="real")
        right = overview(fake, fake[:0], value_range, title="generated")
        return side_by_side(left, right)
    left, right = (
        image_grid(images, value_range, title=title)
        for images, title in ((real, "real"), (fake, "generated"))
    )
    return side_by_side(left, right, gap=16)


def beside_neighbours(images: Tensor, neighbours: Tensor) -> Picture:
    """Returns images on the left, and in the row of each its neighbours behind a gap.

    A title says so.

    Args:
        images: in [0, 1], shape (R, C, H, W).
        neighbours: in [0, 1], shape (R, K, C, H, W).
    """
    left = image_grid(images, (0.0, 1.0), columns=1)
    right = image_grid(neighbours.flatten(0, 1), (0.0, 1.0), columns=neighbours.shape[1])
    picture = side_by_side(left, right, gap=8)
    return _titled(picture, "generated, and the nearest training images")


def rendered(figure: Figure) -> Picture:
    """Returns a figure as a picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def save_picture(picture: Picture, path: Path) -> None:
    """Writes a picture, the whole file or nothing.

    Args:
        picture: of any size.
        path: its ending tells the form, one of `PICTURES`.
    """
    with replacing(path) as file:
        Image.fromarray(picture).save(file, PICTURES[path.suffix], optimize=True, quality=95)


def read_png(path: Path) -> Picture:
    """Returns the picture that a file holds."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def save_gif(
    frames: Iterable[Picture], path: Path, *, seconds: float = 8.0, rest: float = 2.0
) -> None:
    """Writes an animation that repeats for ever, the whole file or nothing.

    Args:
        frames: pictures of equal size, at least one.
        path: where to.
        seconds: of all frames, if the last one were shown as long as the others.
        rest: seconds that the last frame is shown.
    """
    pictures = [
        Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames
    ]
    durations = [max(40, round(1000 * seconds / len(pictures)))] * len(pictures)
    durations[-1] = round(1000 * rest)
    with replacing(path) as file:
        pictures[0].save(
            file, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
        )


def _titled(picture: Picture, title: str) -> Picture:
    """Returns a picture below its title, which may be wider, or the picture if there is none."""
    if not title:
        return picture
    needed = 4 + ceil(ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength(title))
    lacking = max(0, needed - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, lacking), (0, 0)), constant_values=255)
    strip = Image.new("RGB", (picture.shape[1], 16), "white")
    ImageDraw.Draw(strip).text((2, 2), title, "black")
    return np.concatenate([np.asarray(strip), picture])


def _axes(title: str, width: float) -> tuple[Figure, Any]:
    """Returns a figure of a width in inches, whose axes keep their place in an animation."""
    height = 4.4
    figure = Figure(figsize=(width, height), dpi=100)
    axes = figure.add_axes((0.6 / width, 0.1, 0.82 * height / width, 0.82))
    axes.set_title(title, fontsize=10, parse_math=False)  # it may have a path
    return figure, axes


def _square(
    value_range: tuple[float, float], title: str, width: float = 4.4
) -> tuple[Figure, Any]:
    figure, axes = _axes(title, width)
    limits = _with_margin(value_range)
    axes.set(xlim=limits, ylim=limits)
    axes.set_aspect("equal")
    return figure, axes


def _with_margin(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = value_range
    margin = 0.15 * (high - low)
    return low - margin, high + margin


def _scatter(axes: Any, real: Tensor, fake: Tensor, *, real_colour: str = REAL) -> None:
    for samples, colour, name in ((real, real_colour, "real"), (fake, FAKE, "generated")):
        if len(samples):
            x, y = samples.float().cpu().unbind(1)
            axes.scatter(x, y, s=4, c=colour, label=name, linewidths=0)
    if len(real) or len(fake):
        behind = "#b0b0b0" if real_colour == "white" else "white"
        axes.legend(loc="upper right", fontsize=8, markerscale=3, facecolor=behind)
