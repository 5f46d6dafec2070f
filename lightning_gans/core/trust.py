"""Which classes the settings in a file may name: a closed set for each kind, never a function.

A checkpoint, an export and the settings in a run folder may come from anybody. They are checked
against the annotations of the classes that they name, object by object, before anything of them
reaches a parser or a constructor. What is left is plain data, and mappings with the class path of
a known class wherever a class is asked for.
"""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jsonargparse._parameter_resolvers import ParamData, get_signature_parameters
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.nn.modules.loss import _Loss
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from lightning_gans.core.priors import Prior
from lightning_gans.errors import printable
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import Regularizer

__all__ = ["KINDS", "Trust", "class_path_of", "known_classes", "known_paths"]

KINDS: dict[type, tuple[str, ...]] = {
    LightningModule: ("lightning_gans",),
    Metric: ("lightning_gans.metrics",),
    AdversarialLoss: ("lightning_gans.losses",),
    Regularizer: ("lightning_gans.regularizers",),
    nn.Module: ("lightning_gans.networks", "lightning_gans.augment", "torch.nn.modules"),
    Prior: ("lightning_gans.core.priors",),
    Optimizer: ("lightning_gans.optimizers", "torch.optim"),
    LRScheduler: ("torch.optim.lr_scheduler",),
    Callback: ("lightning_gans.callbacks", "lightning.pytorch.callbacks"),
    Logger: ("lightning_gans.loggers",),
    LightningDataModule: ("datamodules",),
}
"""Kinds of classes, the special before the general, and the modules whose public classes count."""
CALLBACKS = (
    *("DeviceStatsMonitor", "EarlyStopping", "LearningRateMonitor"),
    *("ModelSummary", "RichModelSummary"),
)
"""Lightning's callbacks that neither run code that they are given nor write files."""
ARGUMENTS = {
    "lightning_gans.loggers.TensorBoard": (
        *("default_hp_metric", "flush_secs", "log_graph", "max_queue", "prefix"),
    ),
    "lightning_gans.loggers.WandB": (
        *("group", "job_type", "log_model", "name", "notes", "offline", "prefix", "project"),
        "tags",
    ),
    "lightning_gans.callbacks.checkpoint.Checkpoint": ("every_n_updates", "mode", "monitor"),
}
"""Arguments that a file may choose, by class; other arguments could make it write anywhere."""
NOT_CHOSEN = {"model_registry"}
"""Arguments that no file may choose, whatever class has them."""
MODULES = (
    *("lightning_gans.variants", "lightning_gans.core.gan"),
    *("torch.nn", "torch.optim", "torchmetrics"),
    *(f"lightning.pytorch.{part}" for part in ("accelerators", "callbacks", "loggers")),
    *(f"lightning.pytorch.{part}" for part in ("plugins", "profilers", "strategies")),
)
"""Modules of classes that flags name beside the known ones."""
FOLDERS = {"data_dir"}
"""Arguments that name a folder to download into."""
WORDS = {
    *("auto", "cpu", "cuda", "gpu", "mps", "simple", "advanced", "ddp"),
    *("ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"),
}
"""What a file may write in the place of a class: others make Lightning import packages."""
INERT = r"(?!-$)[\w./+-]*|[\w./][\w./+() -]*[\w./+)]|\d+(:\d+)+"
"""Text that no parser reads as a list or a mapping: words, paths, also with spaces, and times."""
PLAIN = (bool, int, float, str, NoneType, Path, timedelta)
DEPTH = 32
"""Of settings inside settings."""


@lru_cache
def known_classes(kind: type) -> frozenset[type]:
    """Returns the classes of a kind that any file may name.

    Args:
        kind: one of `KINDS`.
    """
    found: list[Any] = []
    for home in KINDS[kind]:
        module = import_module(home)
        names = CALLBACKS if home == "lightning.pytorch.callbacks" else module.__all__
        found += (getattr(module, name) for name in names)
    return frozenset(
        cls
        for cls in found
        if isinstance(cls, type)
        and issubclass(cls, kind)
        and not issubclass(cls, _Loss)
        and not inspect.isabstract(cls)
        and cls is not kind
    )


def known_paths() -> set[str]:
    """Returns what a parser may import from while it reads the settings of a file.

    Modules with functions that import or run what they are given are not among them.
    """
    public = {f"lightning_gans.{cls.__name__}" for cls in known_classes(LightningModule)}
    homes = {home for homes in KINDS.values() for home in homes} - {"lightning_gans"}
    return {*public, *homes, *MODULES}


def class_path_of(cls: type) -> str:
    """Returns the path that a class is defined at."""
    return f"{cls.__module__}.{cls.__qualname__}"


class Trust:
    """Decides which classes a file may name, and checks or builds what its settings say.

    Args:
        packages: packages and modules whose classes the user trusts.
        classes: further classes that the user trusts.
        named: settings that the user has chosen, as pairs of a key without ``init_args`` and the
            class path: ``("model.generator", "nets.Mine")``.
        remedy: how a user trusts a package, with ``{}`` in its place.
    """

    def __init__(
        self,
        packages: Iterable[str] = (),
        classes: Iterable[type] = (),
        named: Collection[tuple[str, str]] = (),
        remedy: str = "--import {}",
    ) -> None:
        self.packages = tuple(packages)
        self.classes = {class_path_of(cls): cls for cls in classes}
        self.named = frozenset(named)
        self.remedy = remedy

    # What may be named ---------------------------------------------------------------------------

    def find(self, class_path: object, base: type, key: str = "") -> type:
        """Returns the class that a class path stands for.

        Nothing is imported to find it, unless the user has chosen it for this very setting.

        Args:
            class_path: as the file has it.
            base: what it has to be a subclass of.
            key: of the setting.

        Raises:
            ValueError: if it is none of the classes that may be named there.
        """
        kind = next((kind for kind in KINDS if issubclass(base, kind)), None)
        known = frozenset() if kind is None else known_classes(kind)  # imported from here on
        chosen = isinstance(class_path, str) and (key, class_path) in self.named
        found = self._resolve(class_path) or (_import(str(class_path)) if chosen else None)
        if isinstance(found, type) and issubclass(found, base):
            if chosen or found in known or found in self.classes.values():
                return found
            if any(f"{found.__module__}.".startswith(f"{name}.") for name in self.packages):
                return found
        named = printable(str(class_path))[:200]
        module = named.rpartition(".")[0] or named
        raise ValueError(
            f"{key}: the file names {named!r}, which is not one of the known subclasses of "
            f"{base.__name__}. If you trust it, use {self.remedy.format(module)}."
        )

    def _is_the_users(self, part: Any, hint: Any, key: str) -> bool:
        """Tells whether only the user's word allows an element of a list.

        The user adds one of that class then, and has not said what another one may do.
        """
        if not isinstance(part, dict) or not isinstance(part.get("class_path"), str):
            return False
        if (key, part["class_path"]) not in self.named:
            return False
        others = Trust(self.packages, self.classes.values())
        try:
            others._class_at(part["class_path"], hint, key)
        except ValueError:
            return True
        return False

    def _resolve(self, class_path: object) -> Any:
        """Returns what a path stands for in the modules that are imported already, or None."""
        if not isinstance(class_path, str):
            return None
        module, _, name = class_path.rpartition(".")
        given = self.classes.get(class_path)
        return given or (vars(sys.modules[module]).get(name) if module in sys.modules else None)

    # What settings may say -----------------------------------------------------------------------

    def check(self, value: Any, hint: Any, key: str, depth: int = DEPTH) -> Any:
        """Returns a setting with a mapping for every class that it names, or refuses it.

        Args:
            value: plain data, as the file has it.
            hint: the annotation of the argument that it is for.
            key: of the setting, for messages.
            depth: how much deeper settings may go.

        Raises:
            ValueError: if it names anything but known classes of the right kind, or holds text
                that a parser could take for more than text.
        """
        if depth == 0:
            raise ValueError(f"{key}: the file's settings are nested too deeply.")
        if isinstance(value, dict) and "class_path" in value:
            return self._check_class(value, hint, key, depth)
        if isinstance(value, dict):
            return self._check_mapping(value, hint, key, depth)
        if isinstance(value, list | tuple):
            if Any not in _parts(hint) and not any(_is_sequence(part) for part in _parts(hint)):
                raise ValueError(f"{key}: the file has a list where none belongs.")
            inner = _elements(hint)
            kept = [part for part in value if not self._is_the_users(part, inner, key)]
            return [self.check(part, inner, key, depth - 1) for part in kept]
        if isinstance(value, str):
            return self._check_string(value, hint, key, depth)
        if value is not None and type(value) not in (bool, int, float):
            raise ValueError(f"{key}: the file holds a {type(value).__name__}, not plain data.")
        return value

    def check_arguments(
        self, values: Any, cls: type, key: str, depth: int = DEPTH
    ) -> dict[str, Any]:
        """Returns the arguments of a class, checked like any setting, or refuses them.

        Args:
            values: the arguments by name.
            cls: the class.
            key: of the setting, for messages.
            depth: how much deeper settings may go.

        Raises:
            ValueError: as `check`; also if one is an argument that no file may choose.
        """
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise ValueError(f"{key}: its settings must be a mapping.")
        parameters = _parameters(cls)
        chosen = ARGUMENTS.get(class_path_of(cls))
        checked = {}
        for name, value in values.items():
            _check_name(name, key)
            place = f"{key}.{name}" if key else name
            if isinstance(value, str) and (place, value) in self.named:
                continue  # the user says the same, and may name a function too
            parameter = parameters.get(name)
            default = None if parameter is None else parameter.default
            if value is not None and value == _path_of_default(parameter):
                continue  # as a config has a class that stands for an argument without annotation
            allowed = name not in NOT_CHOSEN if chosen is None else name in chosen
            if not allowed and any(place == said for said, _ in self.named):
                continue  # the user sets it
            if not allowed and value not in (None, default):
                raise ValueError(f"{place}: no file may set this. Use --{place} yourself.")
            if name in FOLDERS:
                _check_folder(value, place)
            hint = Any if parameter is None else parameter.annotation
            checked[name] = self.check(value, hint, place, depth - 1)
        return checked

    def _check_mapping(self, value: dict[Any, Any], hint: Any, key: str, depth: int) -> Any:
        """Checks a mapping that names no class.

        Where a class is asked for, the parser would take it for settings of the default class.
        """
        for name in value:
            _check_name(name, key)
        parts = _parts(hint)
        if Any not in parts and not any(_is_mapping(part) for part in parts):
            raise ValueError(f"{key}: the file has a mapping where none belongs.")
        if any(_names_classes(part) for part in parts if not _is_mapping(part)):
            raise ValueError(f"{key}: the file has a mapping that does not say of which class.")
        inner = _values(hint)
        return {k: self.check(v, inner, f"{key}.{k}", depth - 1) for k, v in value.items()}

    def _check_class(self, value: dict[str, Any], hint: Any, key: str, depth: int) -> Any:
        further = sorted(str(name) for name in value.keys() - {"class_path", "init_args"})
        if further:
            raise ValueError(f"{key}: a class has no {printable(', '.join(further))}.")
        cls = self._class_at(value["class_path"], hint, key)
        arguments = self.check_arguments(value.get("init_args"), cls, key, depth)
        named = {"class_path": value["class_path"]}
        return {**named, "init_args": arguments} if arguments else named

    def _class_at(self, class_path: object, hint: Any, key: str) -> type:
        """Returns the class that is named where an annotation asks for one."""
        bases = _bases(hint)
        if not bases:
            named = printable(str(class_path))[:200]
            raise ValueError(f"{key}: the file names {named!r} where no class belongs.")
        for base in bases[:-1]:
            try:
                return self.find(class_path, base, key)
            except ValueError:
                continue  # the last one tells
        return self.find(class_path, bases[-1], key)

    def _check_string(self, value: str, hint: Any, key: str, depth: int) -> Any:
        _check_text(value, key)
        parts = _parts(hint)
        if all(part in PLAIN or get_origin(part) is Literal for part in parts):
            return value  # which no parser takes for anything but what it is
        if str in parts and value in WORDS:
            return value  # a word, but not the name of a class
        if any(_names_classes(part) for part in parts):
            return self._check_class({"class_path": value}, hint, key, depth)
        if (Any in parts or str in parts) and re.fullmatch(INERT, value):
            return value
        raise ValueError(f"{key}: the file has settings as text, which are not read.")

    # What is made of them ------------------------------------------------------------------------

    def build(self, value: Any, hint: Any) -> Any:
        """Returns what a checked setting stands for: plain data, an object, or what makes one.

        Args:
            value: as `check` returns it.
            hint: the annotation of the argument that it is for.
        """
        if isinstance(value, dict) and "class_path" in value:
            cls = self._resolve(value["class_path"])
            arguments = self.build_arguments(value.get("init_args", {}), cls)
            return partial(cls, **arguments) if _is_factory(hint) else cls(**arguments)
        if isinstance(value, dict):
            inner = _values(hint)
            return {name: self.build(part, inner) for name, part in value.items()}
        if isinstance(value, list):
            inner = _elements(hint)
            built = [self.build(part, inner) for part in value]
            return tuple(built) if any(_origin(p) is tuple for p in _parts(hint)) else built
        if isinstance(value, str) and str not in _parts(hint) and Path in _parts(hint):
            return Path(value)
        return value

    def build_arguments(self, values: dict[str, Any], cls: Any) -> dict[str, Any]:
        """Returns the arguments of a class, built from checked ones."""
        parameters = _parameters(cls)
        return {
            name: self.build(value, parameters[name].annotation if name in parameters else Any)
            for name, value in values.items()
        }


def _import(class_path: str) -> Any:
    """Returns the object of a path that the user has given."""
    module, _, name = class_path.rpartition(".")
    try:
        return getattr(import_module(module), name, None)
    except Exception as error:  # whatever the module does
        raise ValueError(f"{class_path} cannot be imported: {error}") from error


@lru_cache(maxsize=256)
def _parameters(cls: type) -> Mapping[str, ParamData]:
    """Returns the parameters of a class, those of its bases that it passes on included."""
    return {parameter.name: parameter for parameter in get_signature_parameters(cls)}


def _path_of_default(parameter: ParamData | None) -> str | None:
    """Returns the path of the class that an argument without annotation has by default."""
    if parameter is None or _parts(parameter.annotation) != (Any,):
        return None
    return class_path_of(parameter.default) if isinstance(parameter.default, type) else None


def _origin(hint: Any) -> Any:
    return get_origin(hint) or hint


@lru_cache(maxsize=1024)
def _parts(hint: Any) -> tuple[Any, ...]:
    """Returns the alternatives of an annotation."""
    if isinstance(hint, str) or hint is inspect.Parameter.empty:
        return (Any,)
    if get_origin(hint) is Annotated:
        return _parts(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return tuple(part for alternative in get_args(hint) for part in _parts(alternative))
    return (hint,)


@lru_cache(maxsize=1024)
def _elements(hint: Any) -> Any:
    """Returns the annotation of the elements of a list."""
    inner: list[Any] = []
    for part in _parts(hint):
        arguments = get_args(part)
        if _is_sequence(part) and arguments:
            is_tuple = get_origin(part) is tuple
            inner += [a for a in arguments if a is not ...] if is_tuple else arguments[:1]
    return Union[tuple(inner)] if inner else Any  # noqa: UP007  it is made at run time


def _is_sequence(part: Any) -> bool:
    """Tells whether an annotation is that of a list, a tuple or the like."""
    origin = _origin(part)
    kinds = list, tuple, set, frozenset
    abstract = isinstance(origin, type) and origin.__module__ == "collections.abc"
    return origin in kinds or (abstract and issubclass(origin, Iterable) and not _is_mapping(part))


def _is_mapping(part: Any) -> bool:
    origin = _origin(part)
    return isinstance(origin, type) and issubclass(origin, Mapping)


@lru_cache(maxsize=1024)
def _values(hint: Any) -> Any:
    """Returns the annotation of the values of a mapping."""
    inner = [get_args(part)[1] for part in _parts(hint) if _is_mapping(part) and get_args(part)]
    return Union[tuple(inner)] if inner else Any  # noqa: UP007  it is made at run time


def _returned(part: Any) -> tuple[Any, ...]:
    """Returns what a callable of an annotation returns, if it is one."""
    if _origin(part) is not Callable:
        return ()
    arguments = get_args(part)
    return _parts(arguments[-1]) if arguments else ()


def _is_class(part: Any) -> bool:
    ordinary = isinstance(part, type) and get_origin(part) is None
    # Any is a class from Python 3.11 on. A tensor comes from a program, never from a file.
    others = (Any, Tensor, *PLAIN)
    return ordinary and part not in others and not _is_mapping(part)


@lru_cache(maxsize=1024)
def _bases(hint: Any) -> list[type]:
    """Returns the classes whose subclasses, or what makes them, an annotation asks for."""
    found = [part for part in _parts(hint) if _is_class(part)]
    found += [made for part in _parts(hint) for made in _returned(part) if _is_class(made)]
    return [base for base in found if base not in (list, tuple, set, object)]


def _names_classes(part: Any) -> bool:
    """Tells whether text in the place of an annotation could name a class or a function."""
    return _origin(part) is Callable or _origin(part) is type or _is_class(part)


def _is_factory(hint: Any) -> bool:
    return any(_is_class(made) for part in _parts(hint) for made in _returned(part))


def _check_name(name: object, key: str) -> None:
    """Refuses the name of a setting that is none: a parser takes dots for settings of settings."""
    if not (isinstance(name, str) and name.isidentifier()) or name.startswith("_"):
        raise ValueError(f"{key}: the file has a setting {printable(str(name))[:200]!r}.")


def _check_text(text: str, key: str) -> None:
    if printable(text) != text:
        raise ValueError(f"{key}: the file has control characters in {printable(text)[:200]!r}.")


def _check_folder(value: Any, key: str) -> None:
    """Refuses a folder that would be made where a file says."""
    if isinstance(value, str) and not Path(value).is_dir():
        inside = not Path(value).is_absolute() and ".." not in Path(value).parts
        if not inside:
            raise ValueError(
                f"{key}: there is no folder {printable(value)}, which the file names. "
                f"Use --{key} to choose the folder."
            )
