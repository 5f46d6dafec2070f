"""``lightning-gans interpolate``: what lies between two latents."""

from collections.abc import Sequence
from pathlib import Path

import torch

from lightning_gans.callbacks.drawing import PICTURES, save_gif, save_picture, ways
from lightning_gans.cli.commands.opening import (
    check_number,
    checked_classes,
    generated,
    generating,
    latents,
    picture,
    value_range,
    writing,
)
from lightning_gans.cli.places import check_out
from lightning_gans.core.priors import latents_between
from lightning_gans.errors import InputError
from lightning_gans.progress import Work

__all__ = ["interpolate"]


def interpolate(
    ckpt_path: Path,
    out: Path,
    *,
    n: int = 6,
    steps: int = 10,
    mode: str = "spherical",
    classes: Sequence[int] = (),
    seed: int = 0,
    weights: str | None = None,
    allow: Sequence[str] = (),
    truncation: float | None = None,
) -> None:
    """Draws the samples on the ways between pairs of latents.

    Args:
        ckpt_path: file or run folder.
        out: a ``.png`` or ``.jpg`` with a row of ``steps`` images for every pair, or with a line
            through its points in the plane; or a ``.gif`` of ``steps`` frames there and back,
            with all pairs in each.
        n: pairs of latents, at least 1.
        steps: latents of a way with both its ends, at least 2.
        mode: "linear" or "spherical"; the latter keeps the length that a normal prior's latents
            have, see `spherical_interpolation`. Codes always change along straight ways.
        classes: two of them: each way leads from the one to the other, straight, and keeps its
            latent whatever the mode. If none are given, a model with classes keeps one on each
            way, in turn.
        seed: decides the latents.
        weights: see `opened`.
        allow: see `opened`.
        truncation: psi, see `lightning_gans.sampling.truncate`; none if it is not given.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_number("n", n, 1, 1000)
    check_number("steps", steps, 2, 1000)
    check_out(out, *PICTURES, ".gif")
    model = generating(ckpt_path, weights, allow, truncation)
    start, end = latents(model, 2 * n, seed).chunk(2)
    known = checked_classes(model, classes)
    if len(classes) not in (0, 2):
        raise InputError(f"classes: two are needed to interpolate between, got {len(classes)}.")
    labels = None
    if classes:
        end = start
        one_hot = torch.eye(len(checked_classes(model, ())))[list(classes)]
        shares = torch.linspace(0, 1, steps)[:, None]
        labels = torch.lerp(one_hot[0], one_hot[1], shares).repeat(n, 1)
    elif known:
        labels = torch.tensor(known).repeat(-(-n // len(known)))[:n].repeat_interleave(steps)
    interpolation = torch.lerp if mode == "linear" else model.prior.between
    try:
        rows = generated(model, latents_between(start, end, steps, interpolation), labels)
    except InputError as error:
        if not classes:
            raise
        raise InputError(
            f"classes: the generator cannot read a mixture of two classes: {error}"
        ) from error
    if out.suffix in PICTURES:
        if rows.shape[1:] == (2,):
            drawn = ways(rows.reshape(n, steps, 2), value_range(model))
        else:
            drawn = picture(model, rows, columns=steps)
        with writing(out):
            save_picture(drawn, out)
        return
    columns = min(n, 8)
    places = [rows[step::steps] for step in range(steps)]
    with Work("drawing", steps, "frames") as work:
        frames = [picture(model, place, columns=columns) for place in work.over(places)]
    there_and_back = [*frames, *frames[-2:0:-1]]
    with writing(out):
        save_gif(there_and_back, out, seconds=0.1 * len(there_and_back), rest=0.1)
