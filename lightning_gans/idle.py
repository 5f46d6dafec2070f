"""What Lightning does in every update without an effect, left out."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from torch import Tensor
from typing_extensions import override

__all__ = ["leave_out_idle_calls"]

AROUND_STEPS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Hooks that are called for every step of an optimizer."""
HOOKS = ("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", *AROUND_STEPS)
"""Hooks that are called in every update."""


class _NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without the contexts that it makes for that."""

    @override
    def profile(self, action_name: str) -> Any:
        return _NOTHING


_NOTHING = nullcontext()


class _QuietPrecision(Precision):
    """Lightning's ``32-true``, which calls no hooks around a step but the model's last one."""

    @override
    def pre_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        return tensor

    @override
    def post_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        return tensor

    @override
    def optimizer_step(  # type: ignore[override]
        self, optimizer: Any, model: LightningModule, closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        result = closure()
        model.on_before_optimizer_step(optimizer)
        optimizer.step(**kwargs)
        return result


def leave_out_idle_calls(trainer: Trainer) -> None:
    """Spares a trainer hooks that nobody has, and a profiler it does not need.

    Lightning calls every hook of every callback and of the model, in a context of the profiler
    that is named for both of them; on small networks that shows. It passes over a hook that cannot
    be called, so callbacks of this package and of Lightning that have none of their own get None
    in its place. Those of users are left as they are. If no callback and no model hears of the
    steps of optimizers, these are made without hooks, unless there is more to them, as with half
    precision.

    Args:
        trainer: with all its callbacks, about to train.
    """
    parts = cast("Any", trainer)  # not in Lightning's types
    if type(parts.profiler) is PassThroughProfiler:
        parts.profiler = _NoProfiler()
    for callback in parts.callbacks:
        if type(callback).__module__.partition(".")[0] not in ("lightning", "lightning_gans"):
            continue
        for name in HOOKS:
            if not _has(callback, name, Callback):
                setattr(callback, name, None)
    strategy = parts.strategy
    if type(strategy.precision_plugin) in (Precision, _QuietPrecision):
        heard = any(
            _has(part, name, Callback) for part in parts.callbacks for name in AROUND_STEPS
        )
        # The third one is called as it is.
        heard |= any(
            _has(parts.lightning_module, name, LightningModule) for name in AROUND_STEPS[:2]
        )
        strategy.precision_plugin = Precision() if heard else _QuietPrecision()


def _has(part: object, hook: str, base: type) -> bool:
    """Whether something has a hook of its own, not just that of its base class."""
    own = getattr(part, hook)
    return callable(own) and getattr(own, "__func__", own) is not getattr(base, hook)
