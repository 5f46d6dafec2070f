"""Which networks are known to treat the samples of a batch alone.

Only such a network may read two batches as one. To try it out would prove nothing: a network may
behave otherwise for another number of samples, for other values, or in its backward pass.
"""

from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

__all__ = ["declares_it", "treats_samples_alone"]

ANY = 0
"""A number of dimensions that a network's own class answers for."""
EVERYWHERE = (
    *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh),
    *(nn.Identity, nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.SELU),
    *(nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink),
    *(nn.Threshold, nn.GroupNorm, nn.LocalResponseNorm),
)
"""Layers that treat samples alone whatever shape these have."""
SPATIAL: dict[type[nn.Module], int] = {
    **dict.fromkeys((nn.Conv1d, nn.ConvTranspose1d, nn.AvgPool1d, nn.MaxPool1d), 3),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d), 3),
    **dict.fromkeys((nn.Conv2d, nn.ConvTranspose2d, nn.AvgPool2d, nn.MaxPool2d), 4),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.InstanceNorm2d), 4),
    **dict.fromkeys((nn.PixelShuffle, nn.PixelUnshuffle, nn.UpsamplingNearest2d), 4),
    **dict.fromkeys((nn.UpsamplingBilinear2d, nn.ZeroPad2d, nn.ReflectionPad2d), 4),
    **dict.fromkeys((nn.ReplicationPad2d, nn.ConstantPad2d), 4),
    **dict.fromkeys((nn.Conv3d, nn.ConvTranspose3d, nn.AvgPool3d, nn.MaxPool3d), 5),
}
"""Layers that do so in as many dimensions: in one less they would take samples for channels."""


def treats_samples_alone(network: nn.Module, ndim: int) -> bool:
    """Tells whether it is known that no sample's output depends on the rest of its batch.

    It is known of chains (``torch.nn.Sequential``) of layers of PyTorch that do so, draw no random
    numbers and keep nothing of what they read, and of networks whose class says it of itself, in
    its own body, ``treats_samples_alone = True``, if the same is known of all their parts. A
    subclass does not inherit the word, since it may add a layer. It is not known of what has hooks
    or parametrizations.

    Args:
        network: what is asked about.
        ndim: dimensions of its input, that of the samples included.
    """
    changed: Any = _has_any_global_hook  # which PyTorch has no types for
    return not changed() and _follow(network, ndim, last=True) is not None


def declares_it(part: object) -> bool:
    """Tells whether a class says of itself, in its own body, ``treats_samples_alone = True``."""
    return vars(type(part)).get("treats_samples_alone") is True


def _follow(part: Any, ndim: int, *, last: bool) -> int | None:
    """Returns the dimensions of the output; None if it is not known to treat samples alone.

    Args:
        part: a network or a layer of it.
        ndim: dimensions of its input.
        last: whether nothing of the network comes after it.
    """
    kind = type(part)
    if _is_changed(part):
        return None
    if declares_it(part) or kind in (nn.Sequential, nn.ModuleList):
        chain = kind is nn.Sequential
        children = list(part.children())
        ndim = ndim if chain else ANY
        for child in children:
            after = _follow(child, ndim, last=last and child is children[-1])
            if after is None:
                return None
            ndim = after if chain else ANY
        return ndim
    if kind in EVERYWHERE:
        return ndim
    if kind is nn.Linear:
        return ndim if ndim != 1 else None
    if kind in SPATIAL:
        keeps = getattr(part, "track_running_stats", False)
        return ndim if ndim in (ANY, SPATIAL[kind]) and not keeps else None
    if kind is nn.LayerNorm:
        return ndim if ndim == ANY or len(part.normalized_shape) < ndim else None
    if kind is nn.Flatten:
        if last and (part.start_dim, part.end_dim) == (0, -1):
            return 1  # one number a sample; to a layer after it they would be one sample
        return part.start_dim + 1 if part.start_dim >= 1 and part.end_dim == -1 else None
    if kind is nn.Unflatten and isinstance(part.dim, int) and part.dim >= 1:
        return ndim and ndim + len(part.unflattened_size) - 1
    return None


def _is_changed(part: nn.Module) -> bool:
    """Tells whether a module does more than its class does."""
    hooks = (
        *(part._forward_hooks, part._forward_pre_hooks),
        *(part._backward_hooks, part._backward_pre_hooks),
    )
    return any(hooks) or "forward" in vars(part)
