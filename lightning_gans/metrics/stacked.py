"""How many of the thousand numbers of three stacked digits a generator makes, and how evenly."""

from math import log
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.metrics.base import RecordMetric, Score, range_of, to_unit
from lightning_gans.metrics.digits import digit_judge

__all__ = ["StackedModes"]

SIDE = 28
BASE = 10
MODES = BASE**3


class StackedModes(RecordMetric):
    """How many of the thousand modes of stacked digits are found, and how evenly.

    The digit judge reads each channel of an image; the three digits are its mode. Scores:
    ``modes_1000``, the modes that at least one image shows; ``kl_1000``, the divergence of the
    modes' shares from equal shares, KL(generated, uniform) in nats.

    Both depend on the number n of images. The divergence of n images with equal probabilities is
    about 999 / (2 n) in the mean: 0.0195 for 25,600 images, the number in the PacGAN paper. Real
    images get a little more, since some digits are more frequent than others. An image that shows
    no digits counts as whatever the judge takes it for, as in the papers: a generator of noise
    may find many modes, and only the divergence tells.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017), section 3.3.1,
        | https://arxiv.org/abs/1611.02163
        | PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        | section 4.2, https://arxiv.org/abs/1712.04086. Their classifiers are other networks: the
        | scores of different classifiers differ a little. The sections were not compared with the
        | papers.

    Args:
        value_range: of the images.
    """

    counts: Tensor

    about = (
        Score("modes_1000", "numbers shown at least once", best="high", shown=True),
        Score("kl_1000", "of the numbers to equal shares", shown=True),
    )

    @classmethod
    @override
    def for_data(cls, data: Any, model: Any) -> list[RecordMetric]:
        fits = getattr(data, "content", None) == "stacked digits"
        return [cls(range_of(data))] if fits else []

    def __init__(self, value_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__()
        self.value_range = value_range
        self.add_state("counts", torch.zeros(MODES, dtype=torch.int64), dist_reduce_fx="sum")

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds generated images; real ones are not needed and are passed over.

        Args:
            samples: in the value range, shape (N, 3, H, W) with sides of 28 pixels, or 32 with a
                border of two.
            real: whether they are real or generated.

        Raises:
            ValueError: if the images are of another shape.
        """
        border = (samples.shape[-1] - SIDE) // 2
        sides = samples.shape[2:]
        if samples.shape[1:2] != (3,) or sides not in ((SIDE, SIDE), (SIDE + 4, SIDE + 4)):
            raise ValueError(
                f"{type(self).__name__}: it reads images of shape (3, 28, 28) or (3, 32, 32), got "
                f"{tuple(samples.shape[1:])}."
            )
        if real:
            return
        inner = samples[:, :, border : border + SIDE, border : border + SIDE]
        channels = inner.reshape(-1, 1, SIDE, SIDE)
        _, logits = digit_judge()(to_unit(channels, self.value_range))
        digits = logits.argmax(1).reshape(-1, 3)
        numbers = (digits * digits.new_tensor([BASE**2, BASE, 1])).sum(1)
        self.counts += torch.bincount(numbers, minlength=MODES)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores.

        Raises:
            ValueError: if there are no generated images.
        """
        total = self.counts.sum()
        if total == 0:
            raise ValueError(f"{type(self).__name__}: there are no generated images to read.")
        shares = self.counts.double() / total
        entropy = torch.special.entr(shares).sum()
        return {
            "modes_1000": self.counts.count_nonzero(),
            "kl_1000": (log(MODES) - entropy).clamp(min=0.0),
        }
