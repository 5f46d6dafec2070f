"""Sampling after training: latents chosen so that their samples are better than the prior's."""

from lightning_gans.core.standing import standing_statistics
from lightning_gans.sampling.base import Refiner
from lightning_gans.sampling.langevin import DDLS
from lightning_gans.sampling.metropolis import MetropolisHastings
from lightning_gans.sampling.refining import Refined, RefinedEvaluation, Refinement, refine
from lightning_gans.sampling.rejection import DRS
from lightning_gans.sampling.truncation import Truncation, truncate

__all__ = [
    "DDLS",
    "DRS",
    "MetropolisHastings",
    "Refined",
    "RefinedEvaluation",
    "Refinement",
    "Refiner",
    "Truncation",
    "refine",
    "standing_statistics",
    "truncate",
]
