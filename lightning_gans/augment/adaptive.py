"""Augmentation that follows how much a discriminator overfits."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.augment.base import Augmentation, RandomAugmentation
from lightning_gans.augment.blit_geometry_color import BlitGeometryColor

__all__ = ["ADA", "APA", "AdaptiveAugmentation"]


class AdaptiveAugmentation(Augmentation):
    """Base of augmentations whose probability follows how sure a discriminator is of real samples.

    The signal is the mean of sign D(x) over the real samples of ``interval`` updates of the
    discriminator and over all processes, where 0 is the output at which it takes a sample for real
    and for generated alike: see `AdversarialLoss.verdict`. A discriminator that knows its training
    samples by heart has a signal near 1. After each such interval the probability rises by the
    samples in it / ``ramp_images`` if the signal is above its target, and falls by as much if it
    is below. It does not fall below 0; beyond 1 it counts as 1.

    The log has ``augment.p`` and ``augment.signal``. Losses whose outputs have no such threshold
    are refused: those of critics, of relativistic discriminators, of energies and of kernels.
    Where there are several discriminators, the signal is the mean of theirs.

    Args:
        p: probability at the start, from 0 to 1.
        target: of the signal, above -1 and below 1.
        interval: updates of the discriminator from one change to the next, at least 1.
        ramp_images: real samples that the discriminator is shown while the probability changes by
            1, above 0.

    Attributes:
        p: the probability; in checkpoints, and the same in all processes.
        sums: of the signs since the last change, and of the samples.
        updates: of the discriminator so far.
        signal: of the last update.

    Raises:
        ValueError: if an argument is out of range.
    """

    p: Tensor
    sums: Tensor
    updates: Tensor
    signal: Tensor

    def __init__(
        self,
        p: float = 0.0,
        target: float = 0.6,
        interval: int = 4,
        ramp_images: int = 500_000,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if not 0 <= p <= 1:
            raise ValueError(f"{name}: p must be from 0 to 1, got {p}. Use 0 to begin without.")
        if not -1 < target < 1:
            raise ValueError(
                f"{name}: target must be above -1 and below 1, got {target}. Use 0.6."
            )
        if not isinstance(interval, int | Integral) or interval < 1:
            raise ValueError(
                f"{name}: interval must be a whole number of at least 1, got {interval}. Use 4."
            )
        if not 0 < ramp_images < float("inf"):
            raise ValueError(
                f"{name}: ramp_images must be finite and above 0, got {ramp_images}. Use 500000, "
                "or 100000 to fine-tune a trained model."
            )
        self.target = target
        self.interval = interval
        self.ramp_images = ramp_images
        self.register_buffer("sums", torch.zeros(2))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("signal", torch.zeros(()))

    @override
    @torch.no_grad()
    def after_turn(self, views: Sequence[Any], mean: Callable[[Tensor], Tensor]) -> None:
        signal = torch.stack([view.verdict(view.real_logits).mean() for view in views]).mean()
        number = len(views[0].real) * views[0].pack_size
        of_one = torch.stack([number * signal, torch.full_like(signal, number)])
        shown = self.processes * mean(of_one).to(self.sums)
        self.sums.add_(shown)
        self.signal.copy_(shown[0] / shown[1])
        self.updates += 1
        due = self.updates % self.interval == 0
        signs, images = self.sums
        step = torch.sign(signs / images - self.target) * images / self.ramp_images
        self.p.copy_(torch.where(due, self.p + step, self.p).clamp(min=0))
        self.sums.copy_(torch.where(due, 0, self.sums))

    @override
    def log(self) -> dict[str, Tensor]:
        return {"p": self.p, "signal": self.signal}

    @override
    def extra_repr(self) -> str:
        settings = ("target", "interval", "ramp_images")
        return ", ".join(f"{name}={getattr(self, name):g}" for name in settings)


class ADA(AdaptiveAugmentation):
    """Adaptive discriminator augmentation: augments more when the discriminator overfits.

    References:
        Training Generative Adversarial Networks with Limited Data (Karras et al., 2020),
        section 3 with r_t as the signal, https://arxiv.org/abs/2006.06676, with the settings of
        its authors' code. The section was not checked.

    Args:
        augment: what is done to images; by default the paper's `BlitGeometryColor`. The
            probability that it is made with does not count: it follows the signal.
        p: see `AdaptiveAugmentation`.
        target: see `AdaptiveAugmentation`.
        interval: see `AdaptiveAugmentation`.
        ramp_images: see `AdaptiveAugmentation`; 100,000 in the authors' code to fine-tune a model.

    Raises:
        ValueError: if an argument is out of range, or the augmentation has no probability.
    """

    def __init__(
        self,
        augment: Augmentation | None = None,
        p: float = 0.0,
        target: float = 0.6,
        interval: int = 4,
        ramp_images: int = 500_000,
    ) -> None:
        super().__init__(p, target, interval, ramp_images)
        augment = BlitGeometryColor() if augment is None else augment
        if not isinstance(augment, RandomAugmentation):
            raise ValueError(
                f"ADA: augment must have a probability to adapt, got {type(augment).__name__}. "
                "Use BlitGeometryColor or DiffAugment."
            )
        self.augment = augment
        del augment.p  # a setting so far, which schedules may change
        augment.register_buffer("p", torch.tensor(float(p)))

    @property
    def p(self) -> Tensor:  # type: ignore[override]
        """The probability, which the augmentation reads."""
        return self.augment.p

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns augmented images, the shape of ``x``: (N, C, H, W).

        Raises:
            ValueError: if the samples are no images.
        """
        return self.augment(x)


class APA(AdaptiveAugmentation):
    """Adaptive pseudo augmentation: takes some generated samples for real when D overfits.

    In the discriminator's updates each real sample is replaced with probability ``p`` by a
    generated one of the same class. Its penalties read these as real samples too, and so does the
    signal. Samples of any kind will do: none is changed in itself.

    References:
        Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data (Jiang et al.,
        2021), section 3, https://arxiv.org/abs/2111.06849, with the settings of its authors' code.
        The samples are generated anew; in the code they are those of the generator's last update.
        The section was not checked.

    Args:
        p: see `AdaptiveAugmentation`.
        target: see `AdaptiveAugmentation`.
        interval: see `AdaptiveAugmentation`.
        ramp_images: see `AdaptiveAugmentation`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        p: float = 0.0,
        target: float = 0.6,
        interval: int = 4,
        ramp_images: int = 500_000,
    ) -> None:
        super().__init__(p, target, interval, ramp_images)
        self.register_buffer("p", torch.tensor(float(p)))

    @override
    def mixed(self, real: Tensor, make: Callable[[], Tensor]) -> Tensor:
        chosen = torch.rand(len(real), device=real.device) < self.p
        return torch.where(chosen.view(-1, *[1] * (real.ndim - 1)), make().to(real.dtype), real)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Returns samples as they are."""
        return x
