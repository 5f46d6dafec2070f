"""The end of a training whose losses or gradients are not finite."""

from collections.abc import Mapping, Sequence
from math import isfinite

from torch import nn

from lightning_gans.core.players import Record
from lightning_gans.core.turns import Round

__all__ = ["DivergenceError", "divergence"]


class DivergenceError(RuntimeError):
    """Training met a loss or a gradient that is not finite.

    Attributes:
        samples: what the update saw in which it was noticed.
    """

    def __init__(self, message: str, samples: Record) -> None:
        super().__init__(message)
        self.samples = samples


def divergence(
    name: str,
    now: Round,
    values: Mapping[str, float],
    trained: Mapping[str, Sequence[nn.Parameter]],
) -> DivergenceError:
    """Returns the error that says what is not finite.

    Args:
        name: of the value that was looked at.
        now: the round in which it was noticed.
        values: by name, some of them not finite.
        trained: the parameters of all players.
    """
    bad = [f"{key} = {value}" for key, value in values.items() if not isfinite(value)]
    spoilt = [
        player
        for player, weights in trained.items()
        if not all(weight.isfinite().all() for weight in weights)
    ]
    names = " and the ".join(spoilt)
    cause, remedy = "", "Try a lower learning rate."
    if not all(part.isfinite().all() for part in now.batch.tensors()):
        cause, remedy = " The batch has values that are NaN or infinite.", "Check the data."
    elif spoilt:
        cause = f" The weights of the {names} are not finite either: an earlier gradient was not."
        remedy = "Try a lower learning rate, and check that the data is finite."
    return DivergenceError(
        f"{name} is not finite at update {now.update}: {', '.join(bad)}.{cause} Training was "
        f"stopped, and earlier checkpoints are kept. {remedy}",
        now.seen,
    )
