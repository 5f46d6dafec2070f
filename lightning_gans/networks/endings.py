"""How networks end, and what values that lets them make."""

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

__all__ = ["ClampedInEvaluation", "clamped", "ending", "range_of"]


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


class ClampedInEvaluation(nn.Module):
    """Clamps samples to a range in evaluation mode; in training they are left as they are.

    Args:
        low: least value.
        high: greatest value.
    """

    treats_samples_alone = True

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.high = high

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else x.clamp(self.low, self.high)

    @override
    def extra_repr(self) -> str:
        return f"{self.low}, {self.high}"


def clamped(output_range: tuple[float, float] | None) -> ClampedInEvaluation | None:
    """Returns what ends a generator whose samples may lie beyond the range of the data.

    Args:
        output_range: of the data; None leaves samples as they are.

    Raises:
        ValueError: if it is no range.
    """
    if output_range is None:
        return None
    low, high = output_range
    if not low < high:
        raise ValueError(
            f"output_range: the first must be below the second, got {list(output_range)}. Use "
            "the value_range of the data."
        )
    return ClampedInEvaluation(float(low), float(high))
