"""Scores of generated photos by a small classifier of objects that comes with the package."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of, shows_rgb
from lightning_gans.metrics.judged import Judge, JudgedQuality

__all__ = ["OBJECT_JUDGE_FILE", "ObjectJudge", "ObjectQuality", "object_judge"]

OBJECT_JUDGE_FILE = Path(__file__).with_name("object_judge.safetensors")
"""The weights of the judge; how they were made stands in the .json file beside it."""
NUM_FEATURES = 64
SIDE = 32


def _normalized(inputs: int, outputs: int, size: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class _Block(nn.Module):
    """Two convolutions beside a shortcut, which is one of 1 x 1 pixels where sizes change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _normalized(inputs, outputs, 3, stride)
        self.second = _normalized(outputs, outputs, 3, 1)
        changes = stride > 1 or inputs != outputs
        self.shortcut = _normalized(inputs, outputs, 1, stride) if changes else nn.Identity()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x).relu()) + self.shortcut(x)).relu()


class ObjectJudge(Judge):
    """Creates the classifier of small photos: a residual network of 20 layers.

    Its penultimate layer, 64 features after a ReLU and the mean over all pixels, is what distances
    are measured on.

    References:
        Deep Residual Learning for Image Recognition (He et al., 2016), section 4.2, with n = 3,
        https://arxiv.org/abs/1512.03385. Where sizes change, the shortcuts here are convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks = [
            *(_Block(16, 16, 1), _Block(16, 16, 1), _Block(16, 16, 1)),
            *(_Block(16, 32, 2), _Block(32, 32, 1), _Block(32, 32, 1)),
            *(_Block(32, 64, 2), _Block(64, 64, 1), _Block(64, NUM_FEATURES, 1)),
        ]
        self.body = nn.Sequential(_normalized(3, 16, 3, 1), nn.ReLU(), *blocks)
        self.head = nn.Linear(NUM_FEATURES, 10)

    @override
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps RGB images in [0, 1] to features (N, 64) and logits (N, 10).

        Args:
            images: shape (N, 3, H, W); those of another size than 32 x 32 are resized to it.
        """
        if images.shape[2:] != (SIDE, SIDE):
            images = nn.functional.interpolate(
                images, (SIDE, SIDE), mode="bilinear", antialias=True
            )
        images = images.contiguous(memory_format=torch.channels_last)
        features = self.body(2 * images - 1).mean((2, 3))
        return features, self.head(features)


@cache
def object_judge() -> ObjectJudge:
    """Returns the trained judge, in evaluation mode, one for all that read with it."""
    judge = ObjectJudge()
    judge.load_state_dict(load_file(OBJECT_JUDGE_FILE))
    return judge.to(memory_format=torch.channels_last).requires_grad_(False).eval()


class ObjectQuality(JudgedQuality):
    """How well generated photos match real ones, as judged by `object_judge` at 32 x 32 pixels.

    Scores: ``fd_objects``, the squared Frechet distance of the judge's features, for any RGB
    images (not to be compared with an FID, which is that of Inception's). The judge was trained on
    45,000 of the training photos of CIFAR-10, saved as JPEG files, so that these come out a little
    better than unseen photos would. Its features tell the ten classes of CIFAR-10 apart, and may
    say little of photos of other things.

    Args:
        value_range: of the images.
    """

    about = (Score("fd_objects", "Frechet, photos' judge", shown=True),)

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        return [cls(range_of(data))] if shows_rgb(data) else []

    def __init__(self, value_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__(object_judge(), NUM_FEATURES, 10, value_range)

    @override
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, 3, H, W).
            real: whether they are real or generated.

        Raises:
            ValueError: if the images are not RGB.
        """
        if samples.ndim != 4 or samples.shape[1] != 3:
            raise ValueError(
                f"{type(self).__name__}: it judges RGB images, shape (N, 3, H, W), got "
                f"{tuple(samples.shape)}."
            )
        super().update(samples, real=real)

    @override
    def compute(self) -> dict[str, Any]:
        for kind in ("real", "fake"):
            self.judged(kind)
        return {"fd_objects": self.distance()}
