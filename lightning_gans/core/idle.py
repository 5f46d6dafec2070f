"""What Lightning does in every update without an effect, left out."""

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
OWN = "lightning_gans"


class _NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without the contexts that it makes for that."""

    @override
    def profile(self, action_name: str) -> Any:
        return _NOTHING


_NOTHING = nullcontext()


class _QuietPrecision(Precision):
    """Lightning's ``32-true``, which for one model calls no hook around a step but the last.

    Args:
        model: any other one is treated as Lightning does.
        usual: what this stands in for.
    """

    def __init__(self, model: LightningModule, usual: Precision) -> None:
        super().__init__()
        self.model = model
        self.usual = usual

    @override
    def pre_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        return tensor if module is self.model else super().pre_backward(tensor, module)

    @override
    def post_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        return tensor if module is self.model else super().post_backward(tensor, module)

    @override
    def _after_closure(self, model: LightningModule, optimizer: Any) -> None:
        if model is self.model:
            model.on_before_optimizer_step(optimizer)
        else:
            super()._after_closure(model, optimizer)


def leave_out_idle_calls(trainer: Trainer) -> None:
    """Spares a trainer hooks that nobody has, and a profiler it does not need.

    Lightning calls every hook of every callback and of the model, in a context of the profiler
    that is named for both of them; on small networks that shows. It passes over a hook that cannot
    be called, so callbacks of this package and of Lightning that have none of their own get None
    in its place. Those of users are left as they are. If neither a callback nor the model has a
    hook around the steps of optimizers by now, steps are made without them, unless there is more
    to a step, as with half precision, or a profiler measures it.

    Args:
        trainer: with all its callbacks, about to train.
    """
    parts = cast("Any", trainer)  # not in Lightning's types
    if type(parts.profiler) is PassThroughProfiler:
        parts.profiler = _NoProfiler()
    for callback in parts.callbacks:
        if _package(type(callback)) not in ("lightning", OWN):
            continue
        for name in HOOKS:
            if not _has(callback, name, Callback):
                setattr(callback, name, None)
    strategy, model = parts.strategy, parts.lightning_module
    if isinstance(strategy.precision_plugin, _QuietPrecision):
        strategy.precision_plugin = strategy.precision_plugin.usual
    usual = strategy.precision_plugin
    heard = any(_has(part, name, Callback) for part in parts.callbacks for name in AROUND_STEPS)
    heard |= any(_has(model, name, LightningModule) for name in AROUND_STEPS[:-1])
    # The last one is called by itself, which another's may not expect: it may log.
    heard |= _package(getattr(model, AROUND_STEPS[-1])) != OWN
    measured = not isinstance(parts.profiler, _NoProfiler)
    if type(usual) is Precision and not vars(usual) and not heard and not measured:
        strategy.precision_plugin = _QuietPrecision(model, usual)


def _package(part: object) -> str:
    return getattr(part, "__module__", "").partition(".")[0]


def _has(part: object, hook: str, base: type) -> bool:
    """Whether something has a hook of its own, not just that of its base class."""
    own = getattr(part, hook)
    return callable(own) and getattr(own, "__func__", own) is not getattr(base, hook)
