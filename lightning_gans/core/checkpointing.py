"""What a checkpoint of a GAN holds beyond Lightning's own, and how it is opened again.

Checkpoints contain plain data and tensors only, so that they load with ``weights_only=True``.
"""

import inspect
import json
import os
import pickle
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from typing_extensions import Self, override

from lightning_gans.core.exports import export_bytes, is_export
from lightning_gans.core.lightning_compat import (
    given_hyperparameters,
    set_hyperparameters,
    trainer_of,
)
from lightning_gans.core.trust import Trust, class_path_of
from lightning_gans.described import description_of, is_plain
from lightning_gans.errors import one_line, printable
from lightning_gans.files import is_overgrown

__all__ = [
    "AVERAGE_KEY",
    "RECORD_KEY",
    "CheckpointedModule",
    "has_record",
    "read_checkpoint",
    "trusting",
]

RECORD_KEY = "lightning_gans"
"""Key of this package's record in a checkpoint."""
VERSION_KEY = "pytorch-lightning_version"
"""Key of Lightning's version, which its warnings repeat."""
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
        raise ValueError(
            f"{path} is an export, which has no state to train or evaluate with. Use a checkpoint."
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than plain data and tensors, or is damaged; it was not opened. "
            "Use another checkpoint."
        ) from error
    except Exception as error:  # there is no telling what the reader stumbles over
        raise ValueError(f"{path} is not a whole checkpoint: it may be cut off.") from error
    if is_overgrown(checkpoint):
        raise ValueError(f"{path} is damaged: its contents are nested without end.")
    if not has_record(checkpoint):
        raise ValueError(f"{path} was not written by a model of lightning_gans.")
    return checkpoint


def trusting(allow: Iterable[str | type]) -> Trust:
    """Returns what a file may name, with what a user of Python allows it.

    Args:
        allow: classes, and names of packages, which are imported.

    Raises:
        ValueError: if one is neither, or cannot be imported.
    """
    allowed = [allow] if isinstance(allow, str | type) else list(allow)
    for one in allowed:
        if not isinstance(one, str | type):
            raise ValueError(f"allow: it must list classes or names of packages, got {one!r}.")
        if isinstance(one, str):
            try:
                import_module(one)
            except Exception as error:  # whatever the package does
                raise ValueError(f"allow: {one!r} cannot be imported: {error}.") from error
    return Trust(
        packages=[one for one in allowed if isinstance(one, str)],
        classes=[one for one in allowed if isinstance(one, type)],
        remedy='allow=["{}"]',
    )


LIGHTNINGS = {
    "map_location": "The model is on the CPU: leave it out, and move the model with .to(device).",
    "strict": "All weights have to fit: leave it out.",
    "hparams_file": "Checkpoints hold the arguments of the model: leave it out.",
    "weights_only": "Checkpoints are always opened that way: leave it out.",
}
"""Arguments of Lightning's method of the same name, and what to do without them."""


class CheckpointedModule(LightningModule):
    """A module whose checkpoints are plain, finite, and know their class and their seed.

    Attributes:
        seed: of the run, known once a trainer has set the model up, or from its checkpoint.
        has_seed: whether it is known.
        new_seed: whether training may continue from a checkpoint of another seed.
        images_seen: real samples that the discriminator was shown, over all processes; those of
            the player with the most updates if none is called discriminator.
        updates_made: generator updates, counted by the trainer that made the last of them.
        skipped_steps: steps of optimizers that fp16 left out because a gradient overflowed.
        missing: names of the networks that the file lacks that the model was loaded from, as an
            export does.
        value_range: least and greatest value that a picture of the data should show, if the data
            module that the model was trained on has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._save_plain_hyperparameters()
        self.seed = 0
        self.has_seed = False
        self.new_seed = False
        self.images_seen = 0
        self.updates_made = 0
        self.skipped_steps: Tensor | float = 0.0
        self.missing: frozenset[str] = frozenset()
        self.value_range: tuple[float, float] | None = None
        self._constants: dict[str, Tensor] | None = None

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        """Keeps the arguments of the outermost constructor, before any constructor runs."""
        instance = super().__new__(cls)
        instance.__dict__["_given"] = arguments, keywords
        return instance

    def _save_plain_hyperparameters(self) -> None:
        """Saves those arguments that the object is being constructed with that are plain data.

        From the command line all of them are: a network is its class path and its arguments. From
        Python, classes and objects of this package are told in the same way. Other objects are
        remembered by name, so that `load` can ask for them; optimizers and schedulers matter to
        training only and are not. Lightning's ``save_hyperparameters`` would
        mix in what a constructor hands on to that of its base.
        """
        arguments, keywords = self.__dict__.pop("_given")
        given = inspect.signature(type(self).__init__).bind(self, *arguments, **keywords)
        chosen = _by_name(given)
        given.apply_defaults()
        taken = _by_name(given)
        values = given_hyperparameters.get() or taken
        # Lightning adds names of its own, and what the data tells to models that do not ask.
        values = {k: v for k, v in values.items() if k in taken}
        plain = {k: v for k, v in values.items() if is_plain(v)}
        self._objects = []
        self._of_training: dict[str, Any] = {}
        for name, value in values.items():
            if name not in chosen or is_plain(value):
                continue
            training = name.startswith(("optimizer", "scheduler"))
            try:
                (self._of_training if training else plain)[name] = description_of(value)
            except ValueError:
                self._objects += [] if training else [name]
        self._is_of_command = given_hyperparameters.get() is not None
        set_hyperparameters(self, plain)

    def tell_settings(self, loggers: Iterable[Logger]) -> None:
        """Gives the settings of a model that was made in Python to loggers.

        Those that are no plain data and no classes of this package or of PyTorch are left out. The
        command line tells the loggers the settings of the whole run.

        Args:
            loggers: of the trainer.
        """
        if self._is_of_command:
            return
        # A subclass may have called Lightning's save_hyperparameters, which keeps objects.
        plain = {name: value for name, value in self.hparams.items() if is_plain(value)}
        settings = json.loads(json.dumps({**plain, **self._of_training}))  # no tuples
        for logger in loggers:
            logger.log_hyperparams(settings)

    def note_constants(self) -> None:
        """Notes which weights and buffers are not finite before training, such as a causal mask.

        They may stay so in every checkpoint, where all else that training changes must be finite.
        """
        trained = {name for name, weight in self.named_parameters() if weight.requires_grad}
        self._constants = {
            name: tensor.clone()
            for name, tensor in self.state_dict().items()
            if tensor.is_floating_point() and name not in trained and not tensor.isfinite().all()
        }

    def _is_sound(self, name: str, tensor: Tensor) -> bool:
        """Tells whether a weight or a buffer is finite, or as it was before training."""
        if not tensor.is_floating_point() or tensor.isfinite().all():
            return True
        if self._constants is None:  # nothing has been trained, here at least
            return name not in dict(self.named_parameters())
        before = self._constants.get(name)
        if before is None or before.shape != tensor.shape:
            return False
        before = before.to(tensor)
        same = (before == tensor) | (before.isnan() & tensor.isnan())
        return bool((tensor.isfinite() | same).all())

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds this package's record.

        Raises:
            ValueError: if a weight, a buffer or an optimizer state has become something that is
                not finite: such a state is never written over a good one.
        """
        bad = [
            f"state_dict[{name!r}]"
            for name, tensor in checkpoint.get("state_dict", {}).items()
            if not self._is_sound(name, tensor)
        ]
        for name, tensor in _tensors(checkpoint.get("optimizer_states", {}), "optimizer_states"):
            if tensor.is_floating_point() and not tensor.isfinite().all():
                bad.append(name)
        if bad:
            raise ValueError(f"No checkpoint was written: {bad[0]} is not finite.")
        # A subclass may have called Lightning's save_hyperparameters, which keeps objects.
        hyperparameters = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = {
            name: value for name, value in hyperparameters.items() if is_plain(value)
        }
        checkpoint[RECORD_KEY] = {
            "version": version("lightning-gans"),
            "class_path": class_path_of(type(self)),
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
        if record["class_path"] != class_path_of(type(self)):
            raise ValueError(
                f"The checkpoint is of a {printable(record['class_path'])}, the model is a "
                f"{class_path_of(type(self))}. Use the class of the checkpoint."
            )
        saved, own = checkpoint["state_dict"], self.state_dict()
        self._take_over_precision(saved)
        networks = record.get("networks")
        own = {k: v for k, v in own.items() if networks is None or k.split(".")[0] in networks}
        for name in saved.keys() | own.keys():
            shapes = [tuple(s[name].shape) if name in s else "none" for s in (saved, own)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"The checkpoint's networks are not the model's: {printable(str(name))} has "
                    f"shape {shapes[0]} in the checkpoint and {shapes[1]} in the model."
                )
        trainer = trainer_of(self)
        fitting = trainer is not None and trainer.state.fn == TrainerFn.FITTING
        given = os.environ.get("PL_GLOBAL_SEED")
        keeps = fitting and not self.new_seed
        if keeps and given is not None and int(given) != record["seed"]:
            raise ValueError(
                f"seed_everything: the run began with seed {record['seed']} and cannot be resumed "
                f"with {given}. Leave the seed out, or start a new run."
            )
        if given is None or keeps:
            self.seed, self.has_seed = record["seed"], True
        self.images_seen = record["images_seen"]
        self.updates_made = int(checkpoint.get("global_step", 0))
        self.skipped_steps = float(record.get("skipped_steps", 0))
        if self.value_range is None and record.get("value_range"):
            self.value_range = (record["value_range"][0], record["value_range"][1])

    def _take_over_precision(self, saved: dict[str, Tensor]) -> None:
        """Keeps weights in double precision from being rounded as they are loaded.

        A trainer with 64-true converts the model only after that.
        """
        weights = [saved[name] for name, _ in self.named_parameters() if name in saved]
        doubled = all(weight.dtype == torch.float64 for weight in weights)
        trainer = trainer_of(self)
        if weights and doubled and (trainer is None or trainer.precision == "64-true"):
            self.double()

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | os.PathLike[str],
        *,
        allow: Iterable[str | type] = (),
        **arguments: Any,
    ) -> Self:
        """Returns the model of a checkpoint; `load` does the same without naming the class.

        Args:
            checkpoint_path: the file.
            allow: as in `load`; the class itself is allowed.
            arguments: as in `load`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the checkpoint is of another class, names a class that is not allowed,
                or an argument is missing; or is one of Lightning's that has no place here.
        """
        for name, remedy in LIGHTNINGS.items():
            if name in arguments:
                raise ValueError(f"{name} is not an argument of this method. {remedy}")
        trust = trusting([cls, *([allow] if isinstance(allow, str | type) else allow)])
        checkpoint = read_checkpoint(checkpoint_path)
        saved = checkpoint[RECORD_KEY]["class_path"]
        if saved != class_path_of(cls):
            name = printable(saved.rpartition(".")[2])
            raise ValueError(
                f"{checkpoint_path} is of a {name}, not of a {cls.__name__}: open it with "
                f"lightning_gans.load or {name}.load_from_checkpoint."
            )
        return cls._rebuilt(checkpoint, checkpoint_path, arguments, trust)

    @classmethod
    def _rebuilt(
        cls,
        saved: dict[str, Any],
        path: str | os.PathLike[str],
        arguments: dict[str, Any],
        trust: Trust,
    ) -> Self:
        """Returns the model of an opened checkpoint or export."""
        objects = (str(name) for name in saved[RECORD_KEY]["objects"])
        missing = sorted(printable(name) for name in objects if name not in arguments)
        if missing:
            raise ValueError(
                f"{path} does not hold the objects that the model was made from. In Python give "
                f"{', '.join(f'{name}=...' for name in missing)}."
            )
        hyperparameters = saved.get(cls.CHECKPOINT_HYPER_PARAMS_KEY, {})
        try:
            if not isinstance(hyperparameters, dict):
                raise ValueError("it has no arguments of the constructor")
            own = {k: v for k, v in hyperparameters.items() if k not in arguments}
            checked = trust.check_arguments(own, cls, "")
            model = cls(**{**trust.build_arguments(checked, cls), **arguments})
            model.configure_model()
            model.on_load_checkpoint(saved)
            exported = "networks" in saved[RECORD_KEY]
            keys = model.load_state_dict(saved["state_dict"], strict=not exported)
            if keys.unexpected_keys:
                raise ValueError(f"it has weights of no network: {keys.unexpected_keys[0]}")
            model.missing = frozenset(key.partition(".")[0] for key in keys.missing_keys)
        except Exception as error:  # what a damaged file leads to is anyone's guess
            reason = one_line(f"{type(error).__name__}: {error}".removeprefix("ValueError: "))
            raise ValueError(f"{path}: its model cannot be built again: {reason}") from error
        # Checkpoints of this model say what its objects were built from.
        set_hyperparameters(model, {**model.hparams, **checked})
        model._objects = [name for name in model._objects if name not in checked]
        return model

    def export(self, *names: str) -> bytes:
        """Returns a safetensors file of some networks, from which `load` rebuilds the model.

        Args:
            names: attributes of the model, such as ``"generator"``.
        """
        checkpoint: dict[str, Any] = {self.CHECKPOINT_HYPER_PARAMS_KEY: dict(self.hparams)}
        # Of this class: a subclass adds what belongs to training, and may ask other processes.
        CheckpointedModule.on_save_checkpoint(self, checkpoint)
        checkpoint[RECORD_KEY]["networks"] = names
        weights = {k: v for k, v in self.state_dict().items() if k.split(".")[0] in names}
        return export_bytes(weights, checkpoint)


def has_record(saved: object) -> bool:
    """Tells whether this package's record is there, and is what it should be."""
    record = saved.get(RECORD_KEY) if isinstance(saved, dict) else None
    kinds = {"class_path": str, "seed": int, "images_seen": int, "objects": list | tuple}
    if not isinstance(saved, dict) or not isinstance(record, dict):
        return False
    if not all(isinstance(record.get(name), kind) for name, kind in kinds.items()):
        return False
    limits = record.get("value_range")
    return (
        0 <= record["seed"] < 2**32
        and 0 <= record["images_seen"] < 2**63
        and (limits is None or _is_range(limits))
        and isinstance(saved.get("callbacks", {}), dict)
        and printable(str(saved.get(VERSION_KEY, ""))) == str(saved.get(VERSION_KEY, ""))
    )


def checked_range(limits: Any) -> tuple[float, float]:
    """Returns the range of some data's values, as checkpoints keep it.

    Raises:
        ValueError: if it is none.
    """
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        low = high = 0.0
    if not _is_range((low, high)):
        raise ValueError(
            f"data: value_range must be two finite numbers, the least first, got {limits}. Use "
            "the range of the values that a picture should show."
        )
    return low, high


def _is_range(limits: Any) -> bool:
    """Tells whether these are two numbers in order, of a size that pictures can show."""
    numbers = isinstance(limits, list | tuple) and all(type(x) in (int, float) for x in limits)
    return numbers and len(limits) == 2 and -1e30 < limits[0] < limits[1] < 1e30


def _by_name(given: inspect.BoundArguments) -> dict[str, Any]:
    """Returns the arguments of a constructor, those in ``**kwargs`` among them."""
    named = {name: value for name, value in given.arguments.items() if name != "self"}
    for name, parameter in given.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named |= named.pop(name, {})
    return named


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{name}[{index}]")
