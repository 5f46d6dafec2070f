"""The augmentations of ADA: pixels in other places, affine maps, colors and a cut-out square."""

from functools import reduce
from math import pi

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.augment.base import RandomAugmentation, check_probability
from lightning_gans.augment.warping import blitted, composed, matrix, warped

__all__ = ["BlitGeometryColor"]


class BlitGeometryColor(RandomAugmentation):
    """Moves, turns, stretches and recolors each image, each step with a probability of its own.

    *Blit* mirrors the image, turns it by a multiple of 90 degrees and moves it by whole pixels, up
    to an eighth of each side. *Geometry* scales it by 2^N(0, 0.2^2), stretches it one way by as
    much and compresses it the other way, turns it by any angle before and after, and moves it by
    N(0, 0.125^2) of each side. *Color* changes the brightness by N(0, 0.2^2), for images in
    [-1, 1], and the contrast by 2^N(0, 0.5^2), mirrors the brightness of colors, turns their hue
    by any angle, and changes the saturation by 2^N(0, 1). Grey images have no hue and no
    saturation that could change. *Cutout* fills a square of half the sides, around a random point,
    with the middle of the range.

    All that is moved has mirrored borders. Where geometry has a part in it, the affine maps of
    both are one, and the image is resampled once, with the low-pass filter of the wavelet sym6. An
    image that no step changes stays as it is, to the bit, and so do pixels that blit alone moves.
    The gradient of the generator runs through all of it.

    References:
        Training Generative Adversarial Networks with Limited Data (Karras et al., 2020),
        section 2.2 and appendix B, https://arxiv.org/abs/2006.06676, with the amounts of its
        authors' code. The mirror images of an image go on without end here; there they end after
        one on each side. The filter is not symmetric and moves what it reads by 0.2 pixels, which
        is taken back here. Images that are not square turn by 180 degrees or not at all in blit.
        The sections of the paper were not checked.

    Args:
        p: probability of each step, from 0 to 1. A turn before and one after a stretch have
            1 - sqrt(1 - p) each, so that p is that of either. In the paper's experiments,
            generators learn the augmentations where p is near 1.
        blit: factor of the probability of blit's three steps, from 0 to 1; 0 leaves them out.
        geometry: of the five steps of geometry, likewise.
        color: of the five steps of color, likewise. They are for images of 1 or 3 channels.
        cutout: of cutout, likewise; ADA's default set does not have it.

    Attributes:
        p: see `RandomAugmentation`.

    Raises:
        ValueError: if an argument is out of range, or color is to change images of another number
            of channels.
    """

    def __init__(
        self,
        p: float = 0.5,
        blit: float = 1.0,
        geometry: float = 1.0,
        color: float = 1.0,
        cutout: float = 0.0,
    ) -> None:
        super().__init__(p)
        check_probability(self, blit=blit, geometry=geometry, color=color, cutout=cutout)
        self.blit = blit
        self.geometry = geometry
        self.color = color
        self.cutout = cutout

    @override
    def changed(self, x: Tensor) -> Tensor:
        # Half precision could not tell one place in an image from the next.
        with torch.autocast(x.device.type, enabled=False):
            images = self._moved(x.to(torch.promote_types(x.dtype, torch.float32)))
            images = self._colored(images) if self.color > 0 else images
            return (self._cut_out(images) if self.cutout > 0 else images).to(x.dtype)

    def _share(self, factor: float) -> Tensor:
        """Returns the probability of each step of a part; `ADA` may have gone beyond 1."""
        return factor * self.p.clamp(max=1)

    def _moved(self, x: Tensor) -> Tensor:
        """Returns images after blit and geometry, whose maps are composed."""
        moved, inverse = x, None
        if self.blit > 0:
            blit = _Steps(x, self._share(self.blit))
            inverse = _blit(blit, *x.shape[2:])
            moved = torch.where(blit.taken, blitted(x, inverse), x)
        if self.geometry > 0:
            geometry = _Steps(x, self._share(self.geometry))
            last = _geometry(geometry, *x.shape[2:])
            whole = last if inverse is None else composed(inverse, last)
            moved = torch.where(geometry.taken, warped(x, whole), moved)
        return moved

    def _colored(self, x: Tensor) -> Tensor:
        """Returns images of other colors; the matrices of the paper, multiplied out."""
        if x.shape[1] not in (1, 3):
            raise ValueError(
                f"augment: BlitGeometryColor colors images of 1 or 3 channels, got {x.shape[1]}. "
                "Use BlitGeometryColor(color=0)."
            )
        low, high = self.value_range
        steps = _Steps(x, self._share(self.color))
        brightness, contrast, flipped, hue, saturation = (
            value[:, None, None, None]
            for values in (
                steps.maybe(0.2 * steps.normal(), 0),
                steps.maybe(0.5 * steps.normal(), 0),
                steps.maybe(steps.whole(2), 0),
                steps.maybe(pi * steps.uniform(), 0),
                steps.maybe(steps.normal(), 0),
            )
            for value in values
        )
        centered = x - (low + high) / 2 + brightness * (high - low) / 2
        grey = centered.mean(1, keepdim=True)
        hued = centered - grey
        across = (hued.roll(1, 1) - hued.roll(-1, 1)) / 3**0.5  # to all greys and to the hue
        hued = 2**saturation * (hue.cos() * hued + hue.sin() * across)
        colored = 2**contrast * ((1 - 2 * flipped) * grey + hued) + (low + high) / 2
        return torch.where(steps.taken, colored, x)

    def _cut_out(self, x: Tensor) -> Tensor:
        """Returns images with a square in the middle of the range."""
        steps = _Steps(x, self._share(self.cutout))
        inside = []
        for side, center in zip(x.shape[2:], steps.maybe(steps.uniform(2), 0), strict=True):
            places = torch.arange(side, device=x.device, dtype=x.dtype) + 0.5
            inside.append((places / side - (center[:, None] + 1) / 2).abs() < 1 / 4)
        rows, columns = inside
        square = (rows[:, :, None] & columns[:, None, :])[:, None] & steps.taken
        return torch.where(square, sum(self.value_range) / 2, x)

    @override
    def extra_repr(self) -> str:
        shares = {name: getattr(self, name) for name in ("blit", "geometry", "color", "cutout")}
        return ", ".join([f"p={self.p.item():g}", *(f"{k}={v:g}" for k, v in shares.items())])


class _Steps:
    """Steps that change some of the images, and the random numbers that they are made of.

    Args:
        x: images, shape (N, C, H, W).
        chance: probability of a step.

    Attributes:
        like: zeros, shape (N,), of the images' device and precision.
        taken: which images a step has changed, shape (N, 1, 1, 1).
    """

    def __init__(self, x: Tensor, chance: Tensor) -> None:
        self.like = x.new_zeros(len(x))
        self.chance = chance.to(x.dtype)
        self.taken = torch.zeros(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)

    def normal(self, number: int = 1) -> Tensor:
        """Returns standard normal numbers, shape (N, number)."""
        return torch.randn_like(self.like[:, None].expand(-1, number))

    def uniform(self, number: int = 1) -> Tensor:
        """Returns numbers from -1 to 1, shape (N, number)."""
        return 2 * torch.rand_like(self.like[:, None].expand(-1, number)) - 1

    def whole(self, number: int) -> Tensor:
        """Returns whole numbers from 0 to below another, shape (N, 1)."""
        return (number * torch.rand_like(self.like[:, None])).floor()

    def maybe(
        self, values: Tensor, neutral: float, chance: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Takes a step with some images.

        Args:
            values: what the step does, shape (N, k).
            neutral: what does nothing.
            chance: its probability if it is not that of the others.

        Returns:
            k tensors of shape (N,).
        """
        fires = torch.rand_like(self.like) < (self.chance if chance is None else chance)
        self.taken = self.taken | fires[:, None, None, None]
        return torch.where(fires[:, None], values, neutral).unbind(1)


def _blit(steps: _Steps, height: int, width: int) -> Tensor:
    """Returns the inverse of a map of pixels onto pixels, shape (N, 3, 3)."""
    (mirror,) = steps.maybe(steps.whole(2), 0)
    # A quarter turn of an image that is not square would put pixels between pixels.
    quarters = steps.whole(4) if height == width else 2 * steps.whole(2)
    (quarters,) = steps.maybe(quarters, 0)
    right, down = steps.maybe(steps.uniform(2) / 8, 0)
    cosine, sine = (pi / 2 * quarters).cos().round(), (pi / 2 * quarters).sin().round()
    moved = _shift((right * width).round(), (down * height).round())
    turned = matrix((cosine, -sine, 0), (sine, cosine, 0), (0, 0, 1), like=steps.like)
    return composed(_scale(1 - 2 * mirror, torch.ones_like(mirror)), composed(turned, moved))


def _geometry(steps: _Steps, height: int, width: int) -> Tensor:
    """Returns the inverse of an affine map, shape (N, 3, 3)."""
    either = 1 - (1 - steps.chance).clamp(min=0).sqrt()
    (size,) = steps.maybe(0.2 * steps.normal(), 0)
    (before,) = steps.maybe(pi * steps.uniform(), 0, either)
    (stretch,) = steps.maybe(0.2 * steps.normal(), 0)
    (after,) = steps.maybe(pi * steps.uniform(), 0, either)
    right, down = steps.maybe(steps.normal(2) / 8, 0)
    maps = (
        _scale(2**-size, 2**-size),
        _turn(before),
        _scale(2**-stretch, 2**stretch),
        _turn(after),
        _shift(right * width, down * height),
    )
    return reduce(composed, maps)


def _scale(columns: Tensor, rows: Tensor) -> Tensor:
    return matrix((columns, 0, 0), (0, rows, 0), (0, 0, 1), like=columns)


def _turn(angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return matrix((cosine, -sine, 0), (sine, cosine, 0), (0, 0, 1), like=angle)


def _shift(right: Tensor, down: Tensor) -> Tensor:
    """Returns the inverse of a move: where its pixels come from."""
    return matrix((1, 0, -right), (0, 1, -down), (0, 0, 1), like=right)
