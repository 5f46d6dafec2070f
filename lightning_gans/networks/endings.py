"""How networks end, and what values that lets them make."""

from collections.abc import Callable

from torch import nn

__all__ = ["ending", "range_of"]


def ending(
    output: Callable[[], nn.Module] | None, num_outputs: int | None = None
) -> list[nn.Module]:
    """Returns what comes after the last layer with weights.

    Args:
        output: makes the last activation, if there is one.
        num_outputs: of a discriminator; a single one makes the shape (N,) in place of (N, 1).
    """
    layers = [] if output is None else [output()]
    return [*layers, nn.Flatten(0)] if num_outputs == 1 else layers


def range_of(layer: nn.Module) -> tuple[float, float] | None:
    """Returns the least and the greatest output of a layer, None if it is not known.

    A generator declares with it what values it makes, as its attribute ``output_range``.

    Args:
        layer: its last one.
    """
    if type(layer) is nn.Hardtanh:
        return (float(layer.min_val), float(layer.max_val))
    return {nn.Tanh: (-1.0, 1.0), nn.Sigmoid: (0.0, 1.0)}.get(type(layer))
