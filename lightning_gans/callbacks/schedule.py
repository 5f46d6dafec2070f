"""Schedules: scalars of a model, its optimizers and its average as functions of the update."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from math import cos, isfinite, pi
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import override

from lightning_gans.augment import Augmentation
from lightning_gans.callbacks.ema import GeneratorEMA
from lightning_gans.core.module import AdversarialModule
from lightning_gans.regularizers import Regularizer

__all__ = ["Schedule"]

SHAPES: dict[str, Callable[[float, float, float], float]] = {
    "linear": lambda share, initial, final: initial + share * (final - initial),
    "cosine": lambda share, initial, final: final + (initial - final) * (1 + cos(pi * share)) / 2,
    "exponential": lambda share, initial, final: initial * (final / initial) ** share,
}
"""The value between two others, by the share of the way."""
OF_OPTIMIZERS = ("lr", "weight_decay", "momentum", "beta1", "beta2")
BELOW_1 = ("beta1", "beta2", "decay")
SHARES = ("p", *BELOW_1)
"""Names of scalars that may not exceed 1."""


class Schedule(Callback):
    """Moves a scalar from one value to another while the model trains.

    The value of an update is a function of the number of updates before it, or of the real images
    that the discriminator was shown before it, so that a resumed run has those of one that was not
    stopped. Until ``from_update`` the scalar is as it is set, and after ``until_update`` or
    ``until_images`` it keeps its final value. Of several schedules of one scalar, the last
    in the list that has begun counts: a rise may be followed by a fall. Rows of the log have the
    value as ``train/<scalar>``. Checkpoints hold the learning rates and decay rates of optimizers
    as they are set.

    What can be scheduled: learning rates and the like (``optimizer_d.lr``, ``optimizer_g.beta2``),
    weights of regularizers (``regularizers.0.weight``), scalars of augmentations (``augment.p``,
    ``augment.sd``), and the half-life or the decay of `GeneratorEMA` (``ema.half_life``).

    References:
        The cosine, and its length in images, are those of the authors' code of The GAN is dead;
        long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        https://arxiv.org/abs/2501.05441

    Args:
        target: the scalar, or a pattern for several, such as ``optimizer_*.lr``.
        initial: its value in the first update after ``from_update`` updates.
        final: its value from ``until_update`` on.
        until_update: generator updates before it has its final value.
        from_update: generator updates before the schedule begins.
        shape: of the way from one value to the other. The exponential multiplies the value by the
            same factor in each update, so both values must be above 0.
        until_images: in place of ``until_update``, real images that the discriminator is shown
            before the scalar has its final value: in all its updates and processes, those of the
            run that a fork is from among them. Such a schedule begins at once.

    Raises:
        ValueError: if an argument is out of range, or the model has no such scalar; always before
            the first update.
    """

    def __init__(
        self,
        target: str,
        initial: float,
        final: float,
        until_update: int | None = None,
        from_update: int = 0,
        shape: Literal["linear", "cosine", "exponential"] = "linear",
        until_images: int | None = None,
    ) -> None:
        if shape not in SHAPES:
            raise ValueError(
                f"Schedule: shape must be one of {', '.join(SHAPES)}, got {shape!r}. Use linear."
            )
        if from_update < 0:
            raise ValueError(
                f"Schedule: from_update must be at least 0, got {from_update}. Use 0 to begin at "
                "once."
            )
        if (until_update is None) is (until_images is None):
            raise ValueError(
                f"Schedule: it needs until_update or until_images, got {until_update} and "
                f"{until_images}. Use one of them."
            )
        if until_update is not None and until_update <= from_update:
            raise ValueError(
                f"Schedule: until_update must be above from_update, which is {from_update}, got "
                f"{until_update}. Use the generator updates that training lasts."
            )
        if until_images is not None and until_images < 1:
            raise ValueError(
                f"Schedule: until_images must be at least 1, got {until_images}. Use the images "
                "that training lasts."
            )
        if until_images is not None and from_update > 0:
            raise ValueError(
                f"Schedule: from_update counts updates, got {from_update} with until_images. Use "
                "until_update."
            )
        for name, value in (("initial", initial), ("final", final)):
            if not isfinite(value) or value < 0:
                raise ValueError(f"Schedule: {name} must be finite and at least 0, got {value}.")
            if shape == "exponential" and value == 0:
                raise ValueError(
                    f"Schedule: {name} must be above 0 with the shape exponential, got {value}. "
                    "Use linear or cosine, or a small number."
                )
        self.target = target
        self.initial = initial
        self.final = final
        self.from_update = from_update
        self.until_update = until_update
        self.until_images = until_images
        self.shape = shape
        self._setters: dict[str, Callable[[float], None]] = {}
        self._settings: list[tuple[int, int, str, float]] = []

    def value(self, done: int) -> float:
        """Returns the value for the update that comes after others.

        Args:
            done: the number of these, at least ``from_update``; with ``until_images``, the images
                shown in them.
        """
        end = self.until_update or self.until_images
        assert end is not None
        if done >= end:
            return self.final
        share = (done - self.from_update) / (end - self.from_update)
        return SHAPES[self.shape](share, self.initial, self.final)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        known = {**_of_parts(pl_module), **_of_optimizers(trainer, pl_module), **_of_ema(trainer)}
        names = [name for name in known if fnmatchcase(name, self.target)]
        if not names:
            raise ValueError(
                f"Schedule: target {self.target} is no scalar of this model. Use "
                f"{', '.join(known)}."
            )
        for name in names:
            self._check_values(name)
        if pl_module.scheduler is not None and any(name.endswith(".lr") for name in names):
            raise ValueError(
                f"Schedule: target {self.target} follows the scheduler of the model. Use one of "
                "them."
            )
        self._setters = {name: known[name] for name in names}
        self._settings = [
            (index, number, key, _read(group, key))
            for index, (player, optimizer) in enumerate(_by_player(trainer, pl_module))
            for number, group in enumerate(optimizer.param_groups)
            for key in OF_OPTIMIZERS
            if f"{player}.{key}" in names
        ]

    def _check_values(self, name: str) -> None:
        """Refuses values that a scalar cannot have."""
        kind = name.rpartition(".")[2]
        for argument, value in (("initial", self.initial), ("final", self.final)):
            if (kind in SHARES and value > 1) or (kind in BELOW_1 and value == 1):
                limit = "below 1" if kind in BELOW_1 else "at most 1"
                raise ValueError(
                    f"Schedule: {argument} must be {limit} for {name}, got {value}. Use a number "
                    "from 0 on."
                )

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if trainer.global_step < self.from_update:
            return
        counts_updates = self.until_images is None
        value = self.value(trainer.global_step if counts_updates else pl_module.images_seen)
        for name, put in self._setters.items():
            put(value)
            pl_module.scheduled[name] = value

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Puts settings of optimizers back, so that a fork without the schedule has them."""
        states = checkpoint.get("optimizer_states", [])
        for index, number, key, value in self._settings if states else ():
            _write(states[index]["param_groups"][number], key, value)


def _of_parts(model: AdversarialModule) -> dict[str, Callable[[float], None]]:
    """Returns what sets the scalars of regularizers and augmentations, by their paths.

    A scalar is filled in place: compiled losses read the new value without being compiled anew.
    """
    return {
        f"{path}.{name}": partial(_fill, value)
        for path, part in model.named_modules()
        if isinstance(part, Augmentation | Regularizer)
        for name, value in vars(part).items()
        if isinstance(value, Tensor) and value.ndim == 0
    }


def _fill(scalar: Tensor, value: float) -> None:
    scalar.fill_(value)


def _of_optimizers(
    trainer: Trainer, model: AdversarialModule
) -> dict[str, Callable[[float], None]]:
    """Returns what sets the scalars of optimizers."""

    def put(optimizer: Optimizer, key: str, value: float) -> None:
        for group in optimizer.param_groups:  # a checkpoint replaces them
            _write(group, key, value)

    return {
        f"{player}.{key}": partial(put, optimizer, key)
        for player, optimizer in _by_player(trainer, model)
        for key in OF_OPTIMIZERS
        if _has(optimizer.param_groups[0], key)
    }


def _of_ema(trainer: Trainer) -> dict[str, Callable[[float], None]]:
    """Returns what sets the scalar of the average, if there is one."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    averages = [callback for callback in callbacks if type(callback) is GeneratorEMA]
    keys = ["decay" if average.half_life is None else "half_life" for average in averages]
    return {f"ema.{k}": partial(setattr, a, k) for a, k in zip(averages, keys, strict=True)}


def _by_player(trainer: Trainer, model: AdversarialModule) -> list[tuple[str, Optimizer]]:
    """Returns the names of the players' optimizers in paths, and the optimizers."""
    names = [f"optimizer_{player.key}" for player in model.players]
    return list(zip(names, trainer.optimizers, strict=True))


def _has(group: dict[str, Any], key: str) -> bool:
    return "betas" in group if key.startswith("beta") else key in group


def _read(group: dict[str, Any], key: str) -> float:
    """Returns a scalar of a group of parameters; the two betas are one entry there."""
    return group["betas"][int(key[-1]) - 1] if key.startswith("beta") else group[key]


def _write(group: dict[str, Any], key: str, value: float) -> None:
    if not key.startswith("beta"):
        group[key] = value
    elif key == "beta1":
        group["betas"] = (value, group["betas"][1])
    else:
        group["betas"] = (group["betas"][0], value)
