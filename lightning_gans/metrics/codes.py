"""Scores of the codes that samples are generated from."""

from collections.abc import Mapping
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score
from lightning_gans.metrics.labels import Reader, reader_for

__all__ = ["CodeInformation", "codes_of", "matched_share", "mutual_information"]


def codes_of(model: Any) -> tuple[tuple[int, ...], int]:
    """Returns the codes that the samples of a model's evaluation are generated from.

    There are none for a model of two kinds of samples, whose evaluation does not tell them.

    Args:
        model: the model, or None.

    Returns:
        The number of values of each categorical code, and the number of continuous codes.
    """
    prior = getattr(model, "prior", None)
    if getattr(model, "comparisons", ("",)) != ("",):
        prior = None
    return getattr(prior, "categories", ()), getattr(prior, "continuous", 0)


def mutual_information(counts: Tensor) -> Tensor:
    """Returns the mutual information of two discrete variables in nats, shape (), in doubles.

    That of n samples of independent variables is above 0, by about (K - 1)(J - 1) / (2 n).

    Args:
        counts: how often the one has its value k and the other its value j, shape (K, J).
    """
    shares = counts.double() / counts.sum()
    entropies = [torch.special.entr(part).sum() for part in (shares.sum(0), shares.sum(1), shares)]
    return entropies[0] + entropies[1] - entropies[2]


def matched_share(counts: Tensor) -> Tensor:
    """Returns the share of samples that the best one-to-one match explains, shape (), in doubles.

    Each value of the one variable is matched with at most one value of the other.

    Args:
        counts: as in `mutual_information`.
    """
    rows, columns = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
    return counts[rows, columns].sum().double() / counts.sum()


class CodeInformation(RecordMetric):
    """What a categorical code tells of the class of a sample, as somebody else reads the class.

    That a model reads its own codes proves nothing: they may be anything that shows in a sample.

    Scores: ``code_mi``, the mutual information of the code and the class in nats, at most the
    entropy of either: 2.303 for ten of each. ``code_matched``, the share of samples whose class is
    the one that is matched with their code, in the best one-to-one match of the two. With several
    codes, both are of the code with the most information. Real samples have their labels as codes,
    which shows how well the classes are read; without labels there is no score for them. Codes
    that tell nothing have a ``code_mi`` of about (K - 1)(J - 1) / (2 n), which for ten values, ten
    classes and 10,000 samples is 0.004, and a ``code_matched`` of a little over 1 / K.

    References:
        InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        Adversarial Nets (Chen et al., 2016), section 7.2, https://arxiv.org/abs/1606.03657, where
        the error of the match is 5 %; which was not compared with the paper.

    Args:
        read: reads the classes; never a network that the model itself was trained with.
    """

    asked: list[Tensor]
    found: list[Tensor]

    about = (
        Score("code_mi", "of code and class, nats", best="high", shown=True),
        Score("code_matched", "of the class of their code", best="high"),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        read = reader_for(data) if codes_of(model)[0] else None
        return [] if read is None else [cls(read)]

    def __init__(self, read: Reader) -> None:
        super().__init__()
        self.read = read
        for name in ("asked", "found"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @override
    def observe(self, record: Mapping[str, Any], *, real: bool) -> None:
        asked = record.get("asked")
        if asked is None:
            raise ValueError(
                "metrics: CodeInformation needs a model whose latents have categorical codes. Use "
                "a CodePrior."
            )
        if not real:
            fake = record["fake"]
            self.update(fake, torch.stack(asked, 1) if asked else fake.new_zeros(len(fake), 0))

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, asked: Tensor) -> None:
        """Adds generated samples.

        Args:
            samples: shape (N, ...).
            asked: values of their categorical codes, int64, shape (N, number of codes), which may
                be none.
        """
        self.asked.append(asked)
        self.found.append(self.read(samples))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores: none without codes, NaN if a sample has no class."""
        found, asked = dim_zero_cat(self.found), dim_zero_cat(self.asked)
        if asked.shape[1] == 0:
            return {}
        if (found < 0).any():
            return dict.fromkeys(self.scores, torch.tensor(torch.nan, device=found.device))
        tables = [_counts(code, found) for code in asked.T]
        told = [mutual_information(table) for table in tables]
        best = int(torch.stack(told).argmax())
        return {"code_mi": told[best], "code_matched": matched_share(tables[best])}


def _counts(code: Tensor, found: Tensor) -> Tensor:
    """Returns how often each value of a code comes with each class, shape (K, J)."""
    values, classes = int(code.max()) + 1, int(found.max()) + 1
    pairs = torch.bincount(code * classes + found, minlength=values * classes)
    return pairs.reshape(values, classes)
