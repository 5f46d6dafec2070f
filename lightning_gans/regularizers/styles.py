"""Regularizers of generators with styles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.regularizers.base import Regularizer, View

__all__ = ["PathLength", "StyledView", "path_lengths"]


@dataclass(frozen=True, kw_only=True)
class StyledView(View):
    """A view of samples whose generator turns styles into samples.

    Attributes:
        styles: makes the styles of so many samples anew, shape (n, L, W).
        synthesize: maps styles to samples, shape (n, ...).
    """

    styles: Callable[[int], Tensor]
    synthesize: Callable[[Tensor], Tensor]


def path_lengths(
    synthesize: Callable[[Tensor], Tensor], styles: Tensor, *, noise: Tensor | None = None
) -> Tensor:
    """Returns how far random projections of samples move with their styles, shape (N,).

    That is the norm of the gradient of sum(sample * noise) by the styles, over the root of L.

    References:
        Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), section 3.2,
        where it is the norm of J^T y, https://arxiv.org/abs/1912.04958. The mean over the layers
        and the scale of the noise are those of the authors' code.

    Args:
        synthesize: maps styles, shape (N, L, W), to samples, shape (N, ...).
        styles: shape (N, L, W).
        noise: the shape of the samples; normal with a variance of 1 over the number of pixels if
            it is not given.
    """

    def projected(points: Tensor) -> Tensor:
        samples = synthesize(points)
        y = noise
        if y is None:
            y = torch.randn_like(samples) / sqrt(samples[0, 0].numel())
        return (samples * y).sum()

    gradient = torch.func.grad(projected)(styles)
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1) / sqrt(styles.shape[1])


class PathLength(Regularizer):
    """Pulls the path lengths of a generator's samples towards their average over updates.

    Steps of one size in the space of styles then change samples by one amount. It is computed on
    half of the samples, and their styles are made anew.

    References:
        Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), equation 4,
        https://arxiv.org/abs/1912.04958. The average is that before the update, over all
        processes; in the authors' code it includes the update's own mean, with a gradient, and
        each process has its own.

    Args:
        weight: 2 in the authors' code.
        decay: how far the average moves towards the mean of an update, above 0 and at most 1.
        every: 4 in their code: see `Regularizer`.

    Attributes:
        average: of the path lengths, a scalar; 0 before the first update.

    Raises:
        ValueError: if an argument is out of range, or the generator has no styles.
    """

    name = "path_length"
    reads_gradient = False
    is_of_generators = True
    average: Tensor

    def __init__(self, weight: float = 2.0, decay: float = 0.01, every: int = 4) -> None:
        super().__init__(weight, every)
        if not 0 < decay <= 1:
            raise ValueError(
                f"PathLength: decay must be above 0 and at most 1, got {decay}. Use 0.01 as in "
                "the authors' code."
            )
        self.decay = decay
        self.register_buffer("average", torch.zeros(()))
        self._found: Tensor | None = None

    @override
    def penalize(self, view: View) -> Tensor:
        if not isinstance(view, StyledView):
            raise ValueError(
                "regularizers_g: PathLength needs a generator with styles, which this model does "
                "not have. Use it in regularizers_g of a StyleGAN2."
            )
        lengths = path_lengths(view.synthesize, view.styles(max(1, len(view.fake) // 2)))
        if self.training:  # what is tried before training does not count
            self._found = lengths.detach().mean()
        return (lengths - self.average).square().mean()

    @override
    @torch.no_grad()
    def after_turn(self, views: Sequence[View], mean: Callable[[Tensor], Tensor]) -> None:
        if self._found is not None:
            self.average.lerp_(mean(self._found).to(self.average), self.decay)
            self._found = None

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, decay={self.decay:g}"
