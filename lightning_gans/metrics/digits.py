"""Scores of generated handwritten digits by a small classifier that comes with the package."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of
from lightning_gans.metrics.judged import Judge, JudgedQuality

__all__ = ["JUDGE_FILE", "DigitJudge", "DigitQuality", "digit_judge"]

JUDGE_FILE = Path(__file__).with_name("digit_judge.safetensors")
"""The weights of the judge; how they were made stands in the .json file beside it."""
NUM_FEATURES = 64


class DigitJudge(Judge):
    """Creates the classifier of digits: three convolutions and two linear layers.

    Its penultimate layer, 64 features after a ReLU, is what distances are measured on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, NUM_FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(NUM_FEATURES, 10)

    @override
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images in [0, 1], shape (N, 1, 28, 28), to features (N, 64) and logits (N, 10)."""
        features = self.body(images)
        return features, self.head(features)


@cache
def digit_judge() -> DigitJudge:
    """Returns the trained judge, in evaluation mode, one for all that read with it."""
    judge = DigitJudge()
    judge.load_state_dict(load_file(JUDGE_FILE))
    return judge.requires_grad_(False).eval()


class DigitQuality(JudgedQuality):
    """How well generated digits match real ones, as judged by `digit_judge`.

    Scores: ``fd_digits``, the squared Frechet distance of the judge's features (not to be compared
    with an FID, which is that of Inception's); ``digit_tv``, the total variation between the
    classes of generated and of real digits; ``digit_entropy`` of the generated classes in nats, at
    most 2.303; ``digit_ones``, the share of the digit 1; ``digit_confidence``, the judge's mean
    probability of the class it decides for. The judge was trained on MNIST's training images, so
    that these come out a little better than unseen digits would.

    Args:
        value_range: of the images.
    """

    about = (
        Score("fd_digits", "Frechet, digits' judge", shown=True),
        Score("digit_tv", "classes against the data's"),
        Score("digit_entropy", "of the classes, nats", best="high"),
        Score("digit_ones", "share of the digit 1", best="same"),
        Score("digit_confidence", "of the digit judge", best="same"),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls(range_of(data))] if getattr(data, "content", None) == "digits" else []

    def __init__(self, value_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__(digit_judge(), NUM_FEATURES, 10, value_range)

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, 1, 28, 28).
            real: whether they are real or generated.

        Raises:
            ValueError: if the images are of another shape.
        """
        if samples.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"{type(self).__name__}: it judges images of shape (1, 28, 28), got "
                f"{tuple(samples.shape[1:])}."
            )
        super().update(samples, real=real)

    @override
    def compute(self) -> dict[str, Any]:
        real_shares, _ = self.judged("real")
        shares, confidence = self.judged("fake")
        return {
            "fd_digits": self.distance(),
            "digit_tv": (shares - real_shares).abs().sum() / 2,
            "digit_entropy": torch.special.entr(shares).sum(),
            "digit_ones": shares[1],
            "digit_confidence": confidence,
        }
