"""What Lightning does in every update without an effect, left out."""

from contextlib import nullcontext
from typing import Any, cast

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from typing_extensions import override

__all__ = ["leave_out_idle_calls"]

HOOKS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad"),
    *("on_before_backward", "on_after_backward", "on_before_optimizer_step"),
)
"""Hooks that are called in every update."""


class _NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without the contexts that it makes for that."""

    @override
    def profile(self, action_name: str) -> Any:
        return _NOTHING


_NOTHING = nullcontext()


def leave_out_idle_calls(trainer: Trainer) -> None:
    """Spares a trainer hooks that its callbacks do not have, and a profiler it does not need.

    Lightning calls every hook of every callback, in a context of the profiler that is named for
    both of them; on small networks that shows. It passes over a hook that cannot be called, so
    callbacks of this package and of Lightning that have none of their own get None in its place.
    Those of users are left as they are.

    Args:
        trainer: with all its callbacks.
    """
    parts = cast("Any", trainer)  # not in Lightning's types
    if type(parts.profiler) is PassThroughProfiler:
        parts.profiler = _NoProfiler()
    for callback in parts.callbacks:
        if type(callback).__module__.partition(".")[0] not in ("lightning", "lightning_gans"):
            continue
        for name in HOOKS:
            if getattr(getattr(callback, name), "__func__", None) is getattr(Callback, name):
                setattr(callback, name, None)
