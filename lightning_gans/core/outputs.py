"""The outputs of a discriminator, by name."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gans.core.network_checks import check_outputs, in_single
from lightning_gans.networks import outputs_with_features
from lightning_gans.regularizers import View

__all__ = ["Outputs", "view_of"]


class Outputs(dict[str, Tensor]):
    """The outputs of a discriminator by name: ``logit`` and those of its heads."""

    @classmethod
    def of(
        cls,
        network: nn.Module,
        x: Tensor,
        *labels: Tensor | None,
        sizes: Mapping[str, int],
        features: bool,
    ) -> "Outputs":
        """Returns what a discriminator says of samples, in one pass.

        Args:
            network: the discriminator.
            x: samples, shape (N, ...).
            labels: their classes, if it reads any.
            sizes: as for `split`.
            features: whether there are also ``features``, shape (N, F): see
                `outputs_with_features`.

        Raises:
            ValueError: as by `split` and `outputs_with_features`.
        """
        if not features:
            return cls.split(network(x, *labels), len(x), sizes)
        given: Any = labels
        outputs, read = outputs_with_features(network, x, *given)
        named = cls.split(outputs, len(x), sizes)
        named["features"] = in_single(read)
        return named

    @classmethod
    def split(cls, outputs: Tensor, number: int, sizes: Mapping[str, int]) -> "Outputs":
        """Returns the outputs of a network, by name, in single precision or better.

        Args:
            outputs: of the network, shape (N, D); or if D is 1 also (N,) or (N, 1, h, w).
            number: N, the samples that it has read.
            sizes: outputs of each name, D in all. Those of the logit have shape (N,) if its size
                is 1.

        Raises:
            ValueError: if the network's outputs have another shape.
        """
        if len(sizes) == sizes["logit"] == 1:
            return cls(logit=check_outputs("discriminator", outputs, (number,)))
        outputs = check_outputs("discriminator", outputs, (number, sum(sizes.values())))
        named = cls(zip(sizes, torch.split(outputs, [*sizes.values()], 1), strict=True))
        if sizes["logit"] == 1:
            named["logit"] = named["logit"][:, 0]
        return named

    def halves(self) -> tuple["Outputs", "Outputs"]:
        """Returns the outputs of the first and of the second half of the samples."""
        parts = {name: output.chunk(2) for name, output in self.items()}
        first, second = (Outputs((n, part[half]) for n, part in parts.items()) for half in (0, 1))
        return first, second

    def __missing__(self, name: str) -> Tensor:
        """Raises an error that names the heads.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"heads: there is no head {name!r}, only {', '.join(self)}.")


def view_of(
    read: Callable[[Tensor], Outputs],
    real: Tensor,
    fake: Tensor,
    name: str,
    seen: Any,
    *,
    features: bool,
) -> View:
    """Returns what one of several discriminators is shown.

    Args:
        read: returns what it says of samples, shape (N, ...).
        real: samples, shape (N, ...).
        fake: the same shape.
        name: of the discriminator.
        seen: all that the player sees.
        features: whether a regularizer reads its features.
    """
    outputs = read if features else None
    return View(lambda x: read(x)["logit"], real, fake, samples=seen, name=name, outputs=outputs)
