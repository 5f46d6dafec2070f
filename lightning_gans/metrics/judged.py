"""Scores of images by the features and the classes that a classifier finds in them."""

from abc import abstractmethod
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.metrics.base import ComparingMetric, to_unit
from lightning_gans.metrics.frechet import frechet_distance, moments, warn_of_few

__all__ = ["Judge", "JudgedQuality"]

RECENT = 4
"""Batches that a judge remembers: real, generated, and what else an evaluation has of them."""


class Judge(nn.Module):
    """Base of the classifiers that metrics read images with.

    An evaluation shows the same batch to one metric after the other. A judge in evaluation mode
    whose weights are frozen remembers what it has found in the last four batches, and does not
    look again. It moves to the device of the images.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: deque[tuple[Tensor, tuple[Tensor, Tensor]]] = deque(maxlen=RECENT)

    @abstractmethod
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images in [0, 1], shape (N, C, H, W), to features (N, F) and logits (N, K)."""

    @override
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what `judge` finds, or remembers it.

        Args:
            images: in [0, 1], shape (N, C, H, W).
        """
        weights = [*self.parameters()]
        if any(weight.device != images.device for weight in weights):
            self.to(images.device)
        changes = self.training or any(weight.requires_grad for weight in weights)
        if changes or (torch.is_grad_enabled() and images.requires_grad):
            return self.judge(images)
        inference = torch.is_inference_mode_enabled()
        for known, found in self._found:
            alike = known.dtype == images.dtype and known.device == images.device
            if alike and known.is_inference() is inference and torch.equal(known, images):
                return found
        found = self.judge(images)
        self._found.appendleft((images.clone(), found))  # the caller may change its images
        return found

    @override
    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        self._found.clear()
        return super().load_state_dict(*args, **kwargs)


class JudgedQuality(ComparingMetric):
    """Base of the scores of images by a classifier, of which sums are kept and no image.

    Args:
        judge: maps images in [0, 1] to features (N, F) and logits (N, K); in evaluation mode.
        num_features: F.
        num_classes: K.
        value_range: of the images that the metric is given.
    """

    def __init__(
        self,
        judge: nn.Module,
        num_features: int,
        num_classes: int,
        value_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        self.value_range = value_range
        # In a tuple, so that no module that holds this metric holds the judge.
        self._judge = (judge,)
        for kind in ("real", "fake"):
            for name, shape in (
                ("total", (num_features,)),
                ("products", (num_features, num_features)),
                ("classes", (num_classes,)),
                ("confidence", ()),
            ):
                zero = torch.zeros(shape, dtype=torch.float64)
                self.add_state(f"{kind}_{name}", zero, dist_reduce_fx="sum")

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, C, H, W).
            real: whether they are real or generated.
        """
        judge = self._judge[0].to(samples.device)
        features, logits = judge(to_unit(samples, self.value_range))
        features, confidence = features.double(), logits.double().softmax(1).max(1)
        sums = {
            "total": features.sum(0),
            "products": features.T @ features,
            "classes": torch.bincount(confidence.indices, minlength=logits.shape[1]).double(),
            "confidence": confidence.values.sum(),
        }
        for name, value in sums.items():
            key = f"{'real' if real else 'fake'}_{name}"
            setattr(self, key, getattr(self, key) + value)

    def judged(self, kind: str) -> tuple[Tensor, Tensor]:
        """Returns the shares of the classes, shape (K,), and the mean confidence, shape ().

        Args:
            kind: real or fake.

        Raises:
            ValueError: if there are fewer than 2 images of the kind.
        """
        classes, confidence = getattr(self, f"{kind}_classes"), getattr(self, f"{kind}_confidence")
        number = classes.sum()
        if number < 2:
            raise ValueError(
                f"{type(self).__name__}: needs at least 2 {kind} images, got {int(number)}."
            )
        return classes / number, confidence / number

    def distance(self) -> Tensor:
        """Returns the squared Frechet distance between real and generated features, shape ()."""
        numbers = [getattr(self, f"{kind}_classes").sum() for kind in ("real", "fake")]
        real, fake = (
            moments(getattr(self, f"{kind}_total"), getattr(self, f"{kind}_products"), number)
            for kind, number in zip(("real", "fake"), numbers, strict=True)
        )
        warn_of_few(self, len(real[0]), *map(int, numbers))
        return frechet_distance(*real, *fake)

    @abstractmethod
    @override
    def compute(self) -> dict[str, Any]:
        """Returns the named scores.

        Raises:
            ValueError: if there are fewer than 2 real or 2 generated images.
        """
