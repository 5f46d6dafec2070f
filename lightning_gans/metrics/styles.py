"""What continuous codes tell of the way in which digits are written."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of, shape_of
from lightning_gans.metrics.codes import codes_of

__all__ = ["CodeStyles", "written_styles"]

STYLES = ("slant", "width", "ink")


def written_styles(digits: Tensor) -> Tensor:
    """Returns the slant, the width and the ink of digits, shape (N, 3), in doubles.

    The slant is how many columns a digit moves to the left from one row to that below it: the
    slope of the line through its ink with the least square distance along the rows. The width is
    the standard deviation of its ink from this line, in columns, so that a slant adds nothing to
    it. The ink is the mean of its pixels. An image without ink has zeros.

    Args:
        digits: in [0, 1], shape (N, 1, H, W).
    """
    ink = digits.double().flatten(0, 1)
    total = ink.sum((1, 2))
    share = ink / total.clamp(min=1e-12)[:, None, None]
    rows, columns = (torch.arange(float(side)).to(ink) for side in ink.shape[1:])
    row, column = (share.sum(2) * rows).sum(1), (share.sum(1) * columns).sum(1)
    down, across = rows - row[:, None], columns - column[:, None]
    height = (share.sum(2) * down.square()).sum(1)
    spread = (share.sum(1) * across.square()).sum(1)
    together = torch.einsum("nhw,nh,nw->n", share, down, across)
    slope = together / height.clamp(min=1e-12)
    width = (spread - slope * together).clamp(min=0).sqrt()
    return torch.stack([-slope, width, ink.mean((1, 2))], 1) * (total > 0)[:, None]


class CodeStyles(RecordMetric):
    """How much the continuous codes of a model tell of the way in which its digits are written.

    Scores: ``code_slant``, ``code_width`` and ``code_ink``, the correlation of a code with what
    `written_styles` measures: 1 if one is a straight line of the other. It is computed among the
    digits with the same value of the first categorical code, since a 1 is narrow with any style,
    then averaged over these values without its sign, since a code may lean ones to the left and
    twos to the right. Of several codes, each score is that of the code which tells most. Codes
    that tell nothing score about sqrt(2 K / (pi n)) with K values and n digits, 0.025 with 10,000
    of them, and with two codes a little more.

    References:
        InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        Adversarial Nets (Chen et al., 2016), figure 2, https://arxiv.org/abs/1606.03657, which
        shows slant and width, but has no score of them. It was not compared with the paper.

    Args:
        values: of the first categorical code, 1 if there are none.
        codes: how many continuous codes there are, at least 1.
        value_range: of the images.
    """

    has_floor = False
    about = tuple(
        Score(f"code_{style}", f"{style} told by one code", best="high") for style in STYLES
    )

    sums: Tensor

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        categories, codes = codes_of(model)
        grey = shape_of(data)[:1] == (1,)
        if not codes or not grey or getattr(data, "content", None) != "digits":
            return []
        return [cls(categories[0] if categories else 1, codes, range_of(data))]

    def __init__(
        self, values: int, codes: int, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__()
        self.codes = codes
        self.value_range = value_range
        # Of one, of what is multiplied, and of their products: all in one matrix for each value.
        side = 1 + codes + len(STYLES)
        self.add_state("sums", torch.zeros(values, side, side).double(), dist_reduce_fx="sum")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        if record.get("continuous") is None:
            raise ValueError(
                "metrics: CodeStyles needs a model whose latents have continuous codes. Use a "
                "CodePrior."
            )
        if not real:
            continuous, asked = record["continuous"], record["asked"]
            value = asked[0] if asked else torch.zeros(len(continuous), device=self.device).long()
            self.update(record["fake"], continuous, value)

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, continuous: Tensor, value: Tensor) -> None:
        """Adds generated samples.

        Args:
            samples: in the value range, shape (N, 1, H, W).
            continuous: their continuous codes, shape (N, C).
            value: of their first categorical code, int64, shape (N,); zeros if there is none.
        """
        low, high = self.value_range
        styles = written_styles(((samples - low) / (high - low)).clamp(0, 1))
        rows = torch.cat([styles.new_ones(len(styles), 1), continuous.to(styles), styles], 1)
        self.sums.index_add_(0, value, torch.einsum("ni,nj->nij", rows, rows))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores."""
        sums = self.sums[self.sums[:, 0, 0] > 1]
        number, first = sums[:, :1, :1], sums[:, :1, 1:]
        centred = sums[:, 1:, 1:] - first.transpose(1, 2) * first / number
        sd = centred.diagonal(dim1=1, dim2=2).clamp(min=1e-12).sqrt()
        correlation = (centred / (sd[:, :, None] * sd[:, None, :])).abs()
        found = correlation[:, : self.codes, self.codes :]
        best = ((found * number).sum(0) / number.sum()).amax(0)
        return dict(zip(self.scores, best, strict=True))
