"""Generative adversarial networks for PyTorch Lightning 2.

The names below are imported when they are first used, so that importing the package takes no time.
"""

# Nothing is imported here: `python -m lightning_gans` has yet to take the working directory, which
# may hold a typing.py of somebody else's, out of the way of what it imports.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lightning_gans.core.checkpointing import load as load
    from lightning_gans.core.divergence import DivergenceError as DivergenceError
    from lightning_gans.core.gan import GAN as GAN
    from lightning_gans.core.module import AdversarialModule as AdversarialModule
    from lightning_gans.core.players import Batch as Batch
    from lightning_gans.core.players import Domains as Domains
    from lightning_gans.core.players import Pair as Pair
    from lightning_gans.core.players import Player as Player
    from lightning_gans.core.players import Record as Record
    from lightning_gans.core.players import Samples as Samples
    from lightning_gans.variants import ACGAN as ACGAN
    from lightning_gans.variants import CGAN as CGAN
    from lightning_gans.variants import CVAEGAN as CVAEGAN
    from lightning_gans.variants import DCGAN as DCGAN
    from lightning_gans.variants import LSGAN as LSGAN
    from lightning_gans.variants import WDCGAN as WDCGAN
    from lightning_gans.variants import WDCGANGP as WDCGANGP
    from lightning_gans.variants import WGAN as WGAN
    from lightning_gans.variants import WGANGP as WGANGP
    from lightning_gans.variants import MinimaxGAN as MinimaxGAN

__version__ = "0.1.0"

_HOMES = {
    "ACGAN": "lightning_gans.variants",
    "AdversarialModule": "lightning_gans.core.module",
    "Batch": "lightning_gans.core.players",
    "CGAN": "lightning_gans.variants",
    "CVAEGAN": "lightning_gans.variants",
    "DCGAN": "lightning_gans.variants",
    "DivergenceError": "lightning_gans.core.divergence",
    "Domains": "lightning_gans.core.players",
    "GAN": "lightning_gans.core.gan",
    "LSGAN": "lightning_gans.variants",
    "MinimaxGAN": "lightning_gans.variants",
    "Pair": "lightning_gans.core.players",
    "Player": "lightning_gans.core.players",
    "Record": "lightning_gans.core.players",
    "Samples": "lightning_gans.core.players",
    "WDCGAN": "lightning_gans.variants",
    "WDCGANGP": "lightning_gans.variants",
    "WGAN": "lightning_gans.variants",
    "WGANGP": "lightning_gans.variants",
    "load": "lightning_gans.core.checkpointing",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
