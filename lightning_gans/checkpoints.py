"""What a checkpoint of a GAN holds beyond Lightning's own, and how it is opened again.

Checkpoints contain plain data and tensors only, so that they load with ``weights_only=True``.
"""

import copy
import inspect
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from lightning.pytorch.core.saving import _load_state
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from typing_extensions import Self, override

from lightning_gans.exports import export_bytes, is_export, read_export
from lightning_gans.parsing import one_line, trusting

if TYPE_CHECKING:
    from lightning_gans.gan import GAN

__all__ = ["AVERAGE_KEY", "RECORD_KEY", "CheckpointedModule", "load", "read_checkpoint"]

RECORD_KEY = "lightning_gans"
"""Key of this package's record in a checkpoint."""
AVERAGE_KEY = "GeneratorEMA"
"""Key of the averaged generator among the states of the callbacks."""


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a checkpoint of this package without running any code from it.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a whole checkpoint, holds more than plain data and tensors, or
            was not written by a model of this package.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint at {path}.")
    if is_export(path):
        raise ValueError(f"{path} is an export: it holds no state to train or evaluate with.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than plain data and tensors, or is damaged; it was not opened."
        ) from error
    except Exception as error:  # there is no telling what the reader stumbles over
        raise ValueError(f"{path} is not a whole checkpoint: it may be cut off.") from error
    if not _has_record(checkpoint):
        raise ValueError(f"{path} was not written by a model of lightning_gans.")
    return checkpoint


def load(path: str | os.PathLike[str], *, averaged: bool = True, **arguments: Any) -> "GAN":
    """Returns the model of a checkpoint, on the CPU, in evaluation mode, its networks rebuilt.

    Of what was exported, the generator and an encoder if the model has one, the model has the
    weights; its other networks are untrained.

    Args:
        path: a checkpoint, or a safetensors file made by ``lightning-gans export``.
        averaged: give the generator its averaged weights, if the checkpoint has any.
        arguments: constructor arguments that win over the saved ones. Networks, priors and
            penalties that were handed to the constructor as objects are not in the checkpoint and
            have to be given here.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this package, its class has not been
            imported, or an argument is missing.
    """
    if Path(path).is_file() and is_export(path):
        exported = read_export(path)
        if not _has_record(exported):
            raise ValueError(f"{path} was not exported by lightning_gans.")
        return cast("GAN", _saved_class(exported, path)._rebuilt(exported, path, arguments)).eval()
    checkpoint = read_checkpoint(path)
    model = cast("GAN", _saved_class(checkpoint, path).load_from_checkpoint(path, **arguments))
    try:
        average = checkpoint.get("callbacks", {}).get(AVERAGE_KEY)
        if averaged and average is not None:
            model.generator.load_state_dict(average["generator"])
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: its averaged generator is damaged: {error}") from error
    return model.eval()


class CheckpointedModule(LightningModule):
    """A module whose checkpoints are plain, finite, and know their class and their seed.

    Attributes:
        seed: of the run, known once a trainer has set the model up.
        images_seen: real samples that the discriminator was shown, over all processes.
        skipped_steps: steps of optimizers that fp16 left out because a gradient overflowed.
        value_range: least and greatest value that a picture of the data should show, if the data
            module that the model was trained on has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0
        self.images_seen = 0
        self.skipped_steps: Tensor | float = 0.0
        self.value_range: tuple[float, float] | None = None
        self._objects: list[str] = []

    def save_plain_hyperparameters(self) -> None:
        """Saves those arguments that the object is being constructed with that are plain data.

        From the command line all of them are: a network is its class path and its arguments. From
        Python, objects other than their parameter's default are remembered by name, so that `load`
        can ask for them; optimizers and schedulers matter to training only and are not.
        """
        values = _given_hyperparameters.get() or _constructor_call(self)
        objects = [name for name, value in values.items() if not _is_plain(value)]
        self._replace_hyperparameters({k: v for k, v in values.items() if k not in objects})
        self._objects = [
            name
            for name in objects
            if not name.startswith(("optimizer", "scheduler"))
            and not _is_default(type(self), name, values[name])
        ]

    def _replace_hyperparameters(self, values: dict[str, Any]) -> None:
        self._hparams = self._to_hparams_dict(copy.deepcopy(values))
        self._hparams_initial = copy.deepcopy(self._hparams)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds this package's record.

        Raises:
            ValueError: if a weight or an optimizer state is not finite: such a state is never
                written over a good one.
        """
        for part in ("state_dict", "optimizer_states"):
            for name, tensor in _tensors(checkpoint.get(part, {}), part):
                if tensor.is_floating_point() and not tensor.isfinite().all():
                    raise ValueError(f"No checkpoint was written: {name} is not finite.")
        # A subclass may have called Lightning's save_hyperparameters, which keeps objects.
        hyperparameters = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = {
            name: value for name, value in hyperparameters.items() if _is_plain(value)
        }
        checkpoint[RECORD_KEY] = {
            "version": version("lightning-gans"),
            "class_path": _class_path(type(self)),
            "seed": self.seed,
            "images_seen": self.images_seen,
            "skipped_steps": float(self.skipped_steps),
            "value_range": self.value_range,
            "objects": self._objects,
        }

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes this package's record over.

        Raises:
            ValueError: if the checkpoint is of another class, or training is to be resumed with
                another seed than it was begun with.
        """
        record = checkpoint.get(RECORD_KEY)
        if record is None:
            raise ValueError("The checkpoint was not written by a model of lightning_gans.")
        if record["class_path"] != _class_path(type(self)):
            raise ValueError(
                f"The checkpoint is of a {record['class_path']}, the model is a "
                f"{_class_path(type(self))}: give --model the class of the checkpoint."
            )
        saved, own = checkpoint["state_dict"], self.state_dict()
        networks = record.get("networks")
        own = {k: v for k, v in own.items() if networks is None or k.split(".")[0] in networks}
        for name in saved.keys() | own.keys():
            shapes = [tuple(s[name].shape) if name in s else "none" for s in (saved, own)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"The checkpoint's networks are not the model's: {name} has shape {shapes[0]} "
                    f"in the checkpoint and {shapes[1]} in the model."
                )
        fitting = self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING
        given = os.environ.get("PL_GLOBAL_SEED")
        if fitting and given is not None and int(given) != record["seed"]:
            raise ValueError(
                f"seed_everything: the run was begun with seed {record['seed']} and cannot go on "
                f"with {given}: leave the seed out, or start a new run."
            )
        if given is None or fitting:
            self.seed = record["seed"]
        self.images_seen = record["images_seen"]
        self.skipped_steps = float(record.get("skipped_steps", 0))
        if self.value_range is None and record.get("value_range"):
            self.value_range = (record["value_range"][0], record["value_range"][1])

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | os.PathLike[str], **arguments: Any
    ) -> Self:
        """Returns the model of a checkpoint; `load` does the same without naming the class.

        Args:
            checkpoint_path: the file.
            arguments: as in `load`, and those of Lightning's method of this name.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the checkpoint is of another class, or an argument is missing.
        """
        checkpoint = read_checkpoint(checkpoint_path)
        saved = _saved_class(checkpoint, checkpoint_path)
        if saved is not cls:
            raise ValueError(
                f"{checkpoint_path} is of a {saved.__name__}, not of a {cls.__name__}: open it "
                f"with lightning_gans.load or {saved.__name__}.load_from_checkpoint."
            )
        return cls._rebuilt(checkpoint, checkpoint_path, arguments)

    @classmethod
    def _rebuilt(
        cls, saved: dict[str, Any], path: str | os.PathLike[str], arguments: dict[str, Any]
    ) -> Self:
        """Returns the model of an opened checkpoint or export."""
        missing = sorted(str(n) for n in saved[RECORD_KEY]["objects"] if n not in arguments)
        if missing:
            raise ValueError(
                f"{path} does not hold the objects that the model was made from: give "
                f"{', '.join(f'{name}=...' for name in missing)}."
            )
        hyperparameters = saved.get(cls.CHECKPOINT_HYPER_PARAMS_KEY, {})
        known = {_class_path(cls), *_class_paths(hyperparameters, path)}
        try:
            with trusting(known):
                model = cls._made_again(saved, path, {**arguments})
        except Exception as error:  # what a damaged file leads to is anyone's guess
            reason = one_line(f"{type(error).__name__}: {error}".removeprefix("ValueError: "))
            raise ValueError(f"{path}: its model cannot be built again: {reason}") from error
        # Lightning puts the objects it built in their place, and the next checkpoint would lack
        # what they were built from.
        model._replace_hyperparameters(hyperparameters)
        model._objects = saved[RECORD_KEY]["objects"]
        return model

    @classmethod
    def _made_again(
        cls, saved: dict[str, Any], path: str | os.PathLike[str], arguments: dict[str, Any]
    ) -> Self:
        """Returns the model of a file whose hyper-parameters have been looked at."""
        if "networks" not in saved[RECORD_KEY]:
            arguments = {"map_location": "cpu", "weights_only": True, **arguments}
            return super().load_from_checkpoint(Path(path), **arguments)
        key = cls.CHECKPOINT_HYPER_PARAMS_KEY
        given = {key: {**saved.get(key, {}), **arguments}}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found keys that are in the model state")
            return cast(Self, _load_state(cls, {**saved, **given}, strict=False, **arguments))

    def export(self, *names: str) -> bytes:
        """Returns a safetensors file of some networks, from which `load` rebuilds the model.

        Args:
            names: attributes of the model, such as ``"generator"``.
        """
        checkpoint: dict[str, Any] = {self.CHECKPOINT_HYPER_PARAMS_KEY: dict(self.hparams)}
        self.on_save_checkpoint(checkpoint)
        checkpoint[RECORD_KEY]["networks"] = names
        weights = {k: v for k, v in self.state_dict().items() if k.split(".")[0] in names}
        return export_bytes(weights, checkpoint)


def _has_record(saved: object) -> bool:
    """Tells whether this package's record is there, with what is always read of it."""
    record = saved.get(RECORD_KEY) if isinstance(saved, dict) else None
    kinds = {"class_path": str, "seed": int, "images_seen": int, "objects": list}
    return isinstance(record, dict) and all(
        isinstance(record.get(name), kind) for name, kind in kinds.items()
    )


def _constructor_call(instance: object) -> dict[str, Any]:
    """Returns the arguments of the outermost constructor that is running on an instance."""
    frame = inspect.currentframe()
    call = frame
    while frame is not None:
        if frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is instance:
            call = frame
        frame = frame.f_back
    assert call is not None
    names, _, keywords, values = inspect.getargvalues(call)
    arguments = {name: values[name] for name in names if name != "self"}
    return {**arguments, **(values[keywords] if keywords else {})}


def _class_path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _find(class_path: object) -> Any:
    """Returns what a class path names among the modules that are imported already, or None."""
    if not isinstance(class_path, str) or "." not in class_path:
        return None
    module, _, name = class_path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _saved_class(
    checkpoint: dict[str, Any], path: str | os.PathLike[str]
) -> type[CheckpointedModule]:
    import lightning_gans.variants  # noqa: F401  the classes that need no import by the user

    class_path = checkpoint[RECORD_KEY]["class_path"]
    found = _find(class_path)
    if not (isinstance(found, type) and issubclass(found, CheckpointedModule)):
        module = str(class_path).rpartition(".")[0]
        raise ValueError(
            f"{path} is of a {class_path}, which is not known here: import {module} first."
        )
    return found


def _class_paths(value: object, path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields the classes that hyper-parameters name.

    Raises:
        ValueError: if one is none, or has not been imported already.
    """
    if isinstance(value, dict):
        if "class_path" in value:
            if not isinstance(_find(value["class_path"]), type):
                module = str(value["class_path"]).rpartition(".")[0]
                raise ValueError(
                    f"{path} asks for {value['class_path']!r}, which is no class known here: "
                    f"import {module} first if you trust the file."
                )
            yield value["class_path"]
        for inner in value.values():
            yield from _class_paths(inner, path)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _class_paths(inner, path)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    return value is None or type(value) in (bool, int, float, str)


def _is_default(cls: type, name: str, value: object) -> bool:
    signatures = (inspect.signature(c) for c in cls.__mro__ if "__init__" in vars(c))
    return any(s.parameters[name].default is value for s in signatures if name in s.parameters)


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{name}[{index}]")
