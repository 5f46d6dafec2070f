"""How the commands refine samples: the settings, the real samples, and what is said of it."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gans import sampling
from lightning_gans.cli.catalogue import REFINERS
from lightning_gans.cli.commands.opening import saved_data
from lightning_gans.cli.screen import say
from lightning_gans.core.latent import LatentModule
from lightning_gans.errors import InputError, one_line
from lightning_gans.progress import Work
from lightning_gans.sampling import Refinement, Refiner
from lightning_gans.sampling.refining import BLOCK, real_samples

__all__ = ["refined_latents", "refinement_of", "refiner_of", "say_refined"]


def refiner_of(refine: str | None, settings: Mapping[str, Any]) -> Refiner | None:
    """Returns the refiner that flags ask for, or None if they ask for none.

    Args:
        refine: its name on the command line.
        settings: of it, by name.

    Raises:
        InputError: if it has no such setting, or a setting is out of range.
    """
    if refine is None:
        if settings:
            name = next(iter(settings))
            raise InputError(f"refine is missing. Use --refine in front of --refine.{name}.")
        return None
    kind = getattr(sampling, REFINERS[refine])
    known = inspect.signature(kind).parameters
    for name in settings:
        if name not in known:
            raise InputError(f"refine.{name}: {refine} has no such setting. Leave it out.")
    try:
        refiner: Refiner = kind(**settings)
    except ValueError as error:
        raise InputError(f"refine.{error}") from error
    return refiner


def refinement_of(
    model: LatentModule, refiner: Refiner, path: Path, allow: Sequence[str], seed: int
) -> Refinement:
    """Returns what draws refined latents.

    Args:
        model: that is sampled from.
        refiner: draws them.
        path: checkpoint or run that the model is of, whose data the real samples are from.
        allow: see `opened`.
        seed: decides the latents.

    Raises:
        InputError: if the model cannot be refined, or there are no real samples.
    """
    try:
        refiner.check(model)
        real = _real(path, allow) if refiner.needs_real else None
        return Refinement(refiner, model, real, seed)
    except ValueError as error:
        raise InputError(str(error)) from error


def refined_latents(refinement: Refinement, n: int) -> Tensor:
    """Draws refined latents, shape (n, Z), that depend on the seed and their place only.

    Raises:
        InputError: if the model cannot be refined.
    """
    parts = []
    try:
        with Work("refining", n, "samples") as work:
            for start in range(0, n, BLOCK):
                parts.append(refinement.latents(start, min(BLOCK, n - start)))
                work.done += len(parts[-1])
    except ValueError as error:
        raise InputError(str(error)) from error
    return torch.cat(parts)


def _real(path: Path, allow: Sequence[str]) -> Tensor:
    """Returns real samples of the data that a checkpoint was trained on."""
    data = saved_data(path, allow)
    if data is None:
        raise InputError(
            f"refine: {path} does not tell its data, which real samples are needed of. Use "
            "lightning_gans.sampling.refine in Python with real=SAMPLES."
        )
    try:
        data.setup("validate")
        return real_samples(data)
    except Exception as error:  # what a damaged file leads to is anyone's guess
        raise InputError(
            f"refine: {path}: real samples cannot be read: {one_line(str(error))}"
        ) from error


def say_refined(refinement: Refinement) -> None:
    """Says how samples were refined, and how many of the proposals were accepted."""
    rate = refinement.acceptance
    text = "" if rate is None else f", {rate:.3g} of the proposals accepted"
    whose = "of the generator itself, " if refinement.refiner.reads_discriminator else ""
    say(f"latents {whose}refined by {refinement.refiner}{text}")
