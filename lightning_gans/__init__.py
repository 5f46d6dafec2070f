"""Generative adversarial networks for PyTorch Lightning 2.

The names below, and all variants, are imported when they are first used, so that importing the
package takes no time.
"""

# Nothing is imported here: `python -m lightning_gans` has yet to take the working directory, which
# may hold a typing.py of somebody else's, out of the way of what it imports.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lightning_gans.core.divergence import DivergenceError as DivergenceError
    from lightning_gans.core.module import AdversarialModule as AdversarialModule
    from lightning_gans.core.players import Batch as Batch
    from lightning_gans.core.players import Domains as Domains
    from lightning_gans.core.players import Pair as Pair
    from lightning_gans.core.players import PartlyLabelled as PartlyLabelled
    from lightning_gans.core.players import Player as Player
    from lightning_gans.core.players import Record as Record
    from lightning_gans.core.players import Samples as Samples
    from lightning_gans.loading import load as load
    from lightning_gans.trainer import Trainer as Trainer
    from lightning_gans.variants import *  # noqa: F403

    __all__: list[str]

__version__ = "0.1.0"

_HOMES = {
    "AdversarialModule": "lightning_gans.core.module",
    "Batch": "lightning_gans.core.players",
    "DivergenceError": "lightning_gans.core.divergence",
    "Domains": "lightning_gans.core.players",
    "Pair": "lightning_gans.core.players",
    "PartlyLabelled": "lightning_gans.core.players",
    "Player": "lightning_gans.core.players",
    "Record": "lightning_gans.core.players",
    "Samples": "lightning_gans.core.players",
    "Trainer": "lightning_gans.trainer",
    "load": "lightning_gans.loading",
}
"""Modules of the names that are no variants."""


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        variants = import_module("lightning_gans.variants")
        if name == "__all__":
            value = ["__version__", *_HOMES, *variants.__all__]
        elif name in variants.__all__:
            value = getattr(variants, name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))
