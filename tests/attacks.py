"""Everything that a hostile file could name, everywhere it could name it, in every form."""

import contextlib
import importlib
import io
import json
import pkgutil
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_gans import GAN
from lightning_gans.core.priors import Prior
from lightning_gans.core.trust import Trust
from lightning_gans.losses import LossSource
from lightning_gans.regularizers import Regularizer, RegularizerSource

PACKAGES = (
    *("lightning_gans", "datamodules", "torch.nn", "torch.optim"),
    *("torchmetrics", "lightning.pytorch"),
)
SETTINGS = {
    "model": GAN,
    "generator": Callable[[int, tuple[int, ...]], nn.Module],
    "activation": Callable[[], nn.Module],
    "network": nn.Module | None,
    "prior": Prior | None,
    "loss": LossSource,
    "penalty": RegularizerSource,
    "regularizers": Sequence[Regularizer],
    "augment": nn.Module | None,
    "optimizer": OptimizerCallable,
    "scheduler": LRSchedulerCallable | None,
    "callbacks": list[Callback] | Callback | None,
    "logger": Logger | bool | None,
    "metrics": Sequence[Metric] | None,
    "data": LightningDataModule,
}
"""Settings that are classes, with their annotations as the parser sees them."""
OTHERS = {
    "strategy": str | Strategy,
    "path": str | NDArray[Any] | Tensor,
    "function": Callable[[float], float] | None,
    "callable": Callable,
    "kind": type[nn.Module],
    "anything": Any,
    "table": dict[str, int] | None,
    "list": list[str] | None,
    "text": str | None,
    "number": float,
}
"""Settings in which no class has a place."""


@lru_cache
def importable() -> dict[str, Any]:
    """Returns every class and function of the trusted packages, by every path it has there."""
    found = {}
    for package in PACKAGES:
        root = importlib.import_module(package)
        names = [m.name for m in pkgutil.walk_packages(root.__path__, f"{package}.")]
        for name in [package, *(name for name in names if not name.endswith("__main__"))]:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
            found.update({f"{name}.{k}": v for k, v in vars(module).items() if callable(v)})
    return found


@cache
def forms(path: str) -> dict[str, object]:
    """Returns the ways in which a file may name something."""
    mapping = {"class_path": path}
    text = {"dotted path": path, "JSON": json.dumps(mapping), "YAML": yaml.safe_dump(mapping)}
    return {"mapping": mapping, **text}


def passes(value: object, hint: Any, trust: Trust) -> bool:
    """Tells whether a file may have this as a setting."""
    value = [value] if "Sequence" in str(hint) else value
    try:
        trust.check(value, hint, "setting")
    except ValueError:
        return False
    return True


def cases(seed: int, share: float) -> Iterator[tuple[str, str, str, object]]:
    """Yields settings, names, forms and values.

    Mappings of every name in every setting of a class; a share of them in the other settings, and
    of the other forms everywhere.
    """
    chance = random.Random(seed)
    for setting in (*SETTINGS, *OTHERS):
        for path in importable():
            for form, value in forms(path).items():
                if (setting in SETTINGS and form == "mapping") or chance.random() < share:
                    yield setting, path, form, value
