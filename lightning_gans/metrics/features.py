"""FID, KID and Inception Score through torchmetrics, on Inception's features or any others."""

import hashlib
import warnings
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_gans.metrics.base import ComparingMetric, Score, to_unit
from lightning_gans.metrics.frechet import warn_of_few

__all__ = ["INCEPTION_SHA256", "FeatureMetric", "FeatureScores", "InceptionScores"]

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the weights of 2015-12-05 in PyTorch's form, which FID is defined with."""
INCEPTION_ADDRESS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)


class _Given(nn.Module):
    """Passes on features that have been computed already, so that three metrics can share them."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    @override
    def forward(self, features: Tensor) -> Tensor:
        return features


class FeatureMetric(ComparingMetric):
    """Base of the metrics on the features of a network; the scores' names end in that of these.

    Args:
        feature: maps images in [0, 1], shape (N, C, H, W), to features, shape (N, F), or to
            features and logits. It is put into evaluation mode.
        name: of the network in the scores, "" for none.
        value_range: of the images that the metric is given.
    """

    about: tuple[Score, ...] = ()

    def __init__(
        self, feature: nn.Module, name: str, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__()
        self.feature = feature.requires_grad_(False).eval()
        self.value_range = value_range
        ending = f"_{name}" if name else ""
        self.about = tuple(replace(score, name=f"{score.name}{ending}") for score in self.about)

    def features(self, samples: Tensor) -> Tensor:
        """Returns the features of images, shape (N, F).

        Args:
            samples: in the value range, shape (N, C, H, W).

        Raises:
            ValueError: if they are no images, or the features have another shape.
        """
        return self.features_and_logits(samples)[0]

    def features_and_logits(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features and logits, or the features twice if the network has no logits.

        See `features`.
        """
        if samples.ndim != 4:
            raise ValueError(
                f"{type(self).__name__}: it needs images of shape (N, C, H, W), got samples of "
                f"shape {tuple(samples.shape)}."
            )
        return self._of_unit(to_unit(samples, self.value_range))

    def features_of_unit(self, images: Tensor) -> Tensor:
        """Returns the features of images in [0, 1]: see `features`."""
        return self._of_unit(images)[0]

    def _of_unit(self, images: Tensor) -> tuple[Tensor, Tensor]:
        result = self.feature(images)
        features, logits = result if isinstance(result, tuple) else (result, result)
        if features.ndim != 2 or len(features) != len(images):
            raise ValueError(
                f"{type(self).__name__}: its network must give features of shape "
                f"({len(images)}, F) for {len(images)} images, got {tuple(features.shape)}."
            )
        return features, logits


class FeatureScores(FeatureMetric):
    """FID, KID and Inception Score on the features of any network.

    Scores: ``fid_<name>``, the squared Frechet distance of the features; ``kid_<name>``, their
    squared maximum mean discrepancy with a cubic kernel, the mean over 100 subsets of 1,000
    samples (of all if there are fewer); ``is_<name>``, the Inception Score of the features taken
    as logits, the mean over 10 splits. The name keeps them apart from the scores on Inception's
    features, with which they must not be compared. What KID and IS draw does not depend on when
    or where they are computed.

    References:
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017), equation 6,
        | https://arxiv.org/abs/1706.08500
        | Demystifying MMD GANs (Binkowski et al., 2018), section 4, https://arxiv.org/abs/1801.01401
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 4,
        | https://arxiv.org/abs/1606.03498

    Args:
        feature: maps images in [0, 1], shape (N, C, H, W), to features, shape (N, F), or to
            features and logits. It is put into evaluation mode.
        name: ends the names of the scores; "" for none.
        value_range: of the images that the metric is given.
    """

    real: list[Tensor]
    fake: list[Tensor]
    logits: list[Tensor]

    about: tuple[Score, ...] = (
        Score("fid", "Inception, squared", shown=True),
        Score("kid", "Inception, squared"),
        Score("is", "Inception Score", best="high"),
    )

    def __init__(
        self, feature: nn.Module, name: str, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__(feature, name, value_range)
        for state in ("real", "fake", "logits"):
            self.add_state(state, [], dist_reduce_fx="cat")

    @override
    @torch.no_grad()
    def update(self, samples: Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            samples: in the value range, shape (N, C, H, W).
            real: whether they are real or generated.

        Raises:
            ValueError: if they are no images, or the network makes no features of them.
        """
        features, logits = self.features_and_logits(samples)
        if real:
            self.real.append(features)
        else:
            self.fake.append(features)
            self.logits.append(logits)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Returns the named scores, which are NaN if a feature or a logit is not finite.

        Raises:
            ValueError: if there are fewer than 2 real or 2 generated images.
        """
        real, fake, logits = (
            dim_zero_cat(part) if len(part) else torch.empty(0, 1)
            for part in (self.real, self.fake, self.logits)
        )
        if min(len(real), len(fake)) < 2:
            raise ValueError(
                f"{type(self).__name__}: needs at least 2 real and 2 generated images, got "
                f"{len(real)} and {len(fake)}."
            )
        if not all(part.isfinite().all() for part in (real, fake, logits)):
            return dict.fromkeys(self.scores, real.new_tensor(nan))
        warn_of_few(self, real.shape[1], len(real), len(fake))
        given = _Given(real.shape[1])
        # The features of all processes have been gathered already.
        alone: dict[str, Any] = {"sync_on_compute": False}
        fid = FrechetInceptionDistance(given, **alone)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*will save all extracted features in buffer")
            kid = KernelInceptionDistance(
                given, subset_size=min(1000, len(real), len(fake)), **alone
            )
            inception_score = InceptionScore(given, **alone)
        for metric in (fid.to(real.device), kid):
            metric.update(real, real=True)
            metric.update(fake, real=False)
        inception_score.update(logits)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            values = (fid.compute(), kid.compute()[0], inception_score.compute()[0])
        return dict(zip(self.scores, values, strict=True))


class InceptionScores(FeatureScores):
    """FID, KID and Inception Score as they are published: on Inception's features.

    Scores: ``fid``, ``kid`` and ``is``, see `FeatureScores`. Grey images become RGB. Needs the
    package torch-fidelity and the weights of the network, which are never fetched.

    Args:
        inception_weights: the weights' file; where to get it stands in the error if it is missing.
        value_range: of the images that the metric is given.

    Raises:
        ValueError: if there is no such file, or it is not the one that FID is defined with.
        ImportError: if torch-fidelity is not installed.
    """

    def __init__(
        self, inception_weights: str, value_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        path = Path(inception_weights)
        if not path.is_file():
            raise ValueError(
                f"inception_weights: there is no file {path}. It is at {INCEPTION_ADDRESS}."
            )
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != INCEPTION_SHA256:
            raise ValueError(
                f"inception_weights: the SHA-256 of {path} is {found}, but that of the weights "
                f"that FID is defined with is {INCEPTION_SHA256}. They are at {INCEPTION_ADDRESS}."
            )
        super().__init__(_Inception(_fidelity_network(path)), "", value_range)


class _Inception(nn.Module):
    """Feeds images in [0, 1] to torch-fidelity's network, which reads bytes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @override
    def forward(self, images: Tensor) -> Any:
        broken = images.isnan().flatten(1).any(1, keepdim=True)
        pixels = images.mul(255).round().to(torch.uint8)
        return tuple(
            part.masked_fill(broken, nan) for part in self.network(pixels.expand(-1, 3, -1, -1))
        )


def _fidelity_network(path: Path) -> nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ImportError(
            "inception_weights: this needs the package torch-fidelity. Use pip install "
            "torch-fidelity."
        ) from error
    return FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        feature_extractor_weights_path=str(path),
    )
