"""The semi-supervised GAN: a classifier that learns from few labels and many images."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss
from typing_extensions import override

from lightning_gans.core.batch_checks import check_classes, check_labels, check_samples
from lightning_gans.core.building import build, build_part, check_weights
from lightning_gans.core.gan import GAN
from lightning_gans.core.latent import Coded
from lightning_gans.core.network_checks import check_outputs, in_single
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Batch, PartlyLabelled, Player, Samples
from lightning_gans.losses import AdversarialLoss, LossSource, NonSaturating
from lightning_gans.networks import (
    DiscriminatorSource,
    GeneratorSource,
    SGANDiscriminator,
    SGANGenerator,
    evaluation_mode,
)
from lightning_gans.networks.features import outputs_with_features
from lightning_gans.networks.shapes import check_sizes

__all__ = ["SGAN", "Classified", "WithLabelled"]


@dataclass(frozen=True, kw_only=True)
class WithLabelled(Samples):
    """Unlabelled and generated samples, and labelled ones beside them.

    Attributes:
        labelled: shape (N, ...).
        known: their classes, int64, shape (N,).
    """

    labelled: Tensor
    known: Tensor


@dataclass(frozen=True, kw_only=True)
class Classified(Coded):
    """Real samples with the classes that a classifier tells.

    Attributes:
        told: classes of the real samples, int64, shape (N,).
    """

    told: Tensor


class SGAN(GAN):
    """The semi-supervised GAN: a discriminator that learns K classes from few labels.

    Of its K outputs l, a sample is real with the probability Z / (Z + 1), where Z is the sum of
    exp l: the softmax of K + 1 classes, in which generated samples are the last one and its output
    is 0. The discriminator learns the classes of labelled samples, and that unlabelled ones are
    of one of the K and generated ones are not. The generator brings its mean features to those of
    unlabelled samples that the discriminator has not just seen. The classifier and the generator
    are averaged, and the accuracy is the score.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), sections 3.1 and 5,
        | https://arxiv.org/abs/1606.03498, with the weights of its code.
        | Semi-Supervised Learning with Generative Adversarial Networks (Odena, 2016), whose K + 1
        | outputs are the same, https://arxiv.org/abs/1606.01583

    Args:
        num_classes: K, at least 1. Samples are generated without a class, so the attribute of this
            name is None.
        data_shape: see `GAN`.
        generator: see `GAN`.
        discriminator: a module from samples (N, ...) to the outputs of the classes (N, K), or what
            makes one from ``data_shape`` and ``num_outputs`` = K. It has features: see
            `outputs_with_features`.
        unlabelled_weight: factor of the discriminator's two terms without labels, at least 0; 1 in
            the paper. With 0 it is the same classifier trained on the labels alone.
        feature_weight: factor of the generator's distance of mean features, their mean squared
            difference, at least 0; 1 in the paper, where it is alone.
        adversarial_weight: factor of the generator's -log D(G(z)), at least 0. With 1, and 0 for
            the features, samples look better and the classifier gets worse.
        loss: `NonSaturating`, which the softmax makes it: no other is possible.
        **kwargs: as for `GAN`.

    Attributes:
        known_classes: K.

    Raises:
        ValueError: if a weight is below 0, both of the generator's are 0, or the loss is another.
    """

    trains_on = (PartlyLabelled,)
    averaged = ("generator", "discriminator")

    def __init__(
        self,
        *,
        num_classes: int = 10,
        data_shape: tuple[int, ...] | None = None,
        generator: GeneratorSource = SGANGenerator,
        discriminator: DiscriminatorSource = SGANDiscriminator,
        unlabelled_weight: float = 1.0,
        feature_weight: float = 1.0,
        adversarial_weight: float = 0.0,
        loss: LossSource = NonSaturating,
        **kwargs: Any,
    ) -> None:
        check_sizes(num_classes=num_classes)
        made = build_part("loss", loss, AdversarialLoss)
        if type(made) is not NonSaturating:
            given = type(made).__name__
            raise ValueError(f"loss: SGAN's is fixed by its softmax, got {given}. Leave it out.")
        classifier = build("discriminator", discriminator, data_shape, num_outputs=num_classes)
        networks: dict[str, Any] = {"generator": generator, "discriminator": classifier}
        super().__init__(data_shape=data_shape, loss=made, **networks, **kwargs)
        check_weights(unlabelled_weight=unlabelled_weight, feature_weight=feature_weight)
        check_weights(adversarial_weight=adversarial_weight)
        if feature_weight == adversarial_weight == 0:
            raise ValueError(
                "feature_weight and adversarial_weight are both 0. Use 1 for one of them."
            )
        self.known_classes = num_classes
        self.unlabelled_weight = unlabelled_weight
        self.feature_weight = feature_weight
        self.adversarial_weight = adversarial_weight

    @override
    def configure_players(self) -> list[Player]:
        discriminator, generator = super().configure_players()
        return [discriminator, replace(generator, draw=self.draw_further)]

    @override
    def outputs(self, x: Tensor, labels: Tensor | None = None) -> Outputs:
        """Returns ``class``, shape (N, K), ``logit``, log Z, (N,), and ``features``, (N, F)."""
        outputs, features = outputs_with_features(self.discriminator, self.augmented(x))
        told = check_outputs("discriminator", outputs, (len(x), self.known_classes))
        named = {"logit": told.logsumexp(1), "class": told, "features": in_single(features)}
        return Outputs(named)

    # What the players see ------------------------------------------------------------------------

    @override
    def draw(self, batch: PartlyLabelled) -> WithLabelled:  # type: ignore[override]  # as trains_on
        """Generates a fake for each unlabelled sample."""
        seen = super().draw(batch.without_labels())
        return WithLabelled(**vars(seen), labelled=batch.labelled, known=batch.labels)

    def draw_further(self, batch: PartlyLabelled) -> Samples:
        """Generates a fake for each of the further samples, which the discriminator leaves out."""
        assert batch.further is not None
        return super().draw(Batch(batch.further))

    # Losses --------------------------------------------------------------------------------------

    @override
    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the cross-entropy of the labels and half the terms without labels."""
        assert isinstance(samples, WithLabelled)
        told = self.outputs(samples.labelled)["class"]
        real, fake = self.outputs(samples.real)["logit"], self.outputs(samples.fake)["logit"]
        self.note(accuracy_lab=torch.eq(told.argmax(1), samples.known).to(told.dtype))
        self.note(fake_as_real=(fake > 0).to(fake.dtype))
        adversarial = self.unlabelled_weight / 2 * self.adversarial_d(self.loss, real, fake)
        return {"class_lab": cross_entropy(told, samples.known), "adversarial_d": adversarial}

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the distance of mean features, and the adversarial term if it counts."""
        fake = self.outputs(samples.fake)
        terms = {}
        if self.feature_weight > 0:
            with torch.no_grad():  # no gradient of the generator runs through real samples
                real = self.outputs(samples.real)["features"].mean(0)
            terms["features"] = self.feature_weight * mse_loss(fake["features"].mean(0), real)
        if self.adversarial_weight > 0:
            adversarial = self.adversarial_g(self.loss, fake["logit"])
            terms["adversarial_g"] = self.adversarial_weight * adversarial
        return terms

    # Evaluation ----------------------------------------------------------------------------------

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """Returns the probability of each class of samples, shape (N, K), in evaluation mode."""
        with evaluation_mode(self.discriminator):
            return self.outputs(x.to(self.dtype))["class"].softmax(1)

    def tell_classes(self, x: Tensor) -> Tensor:
        """Returns the most likely class of each sample, int64, shape (N,), in evaluation mode."""
        return self.probabilities(x).argmax(1)

    @override
    def evaluation_record(self, batch: Batch, batch_idx: int) -> Classified:
        samples = super().evaluation_record(batch, batch_idx)
        return Classified(**vars(samples), told=self.evaluated.tell_classes(batch.real))

    # Before the first update ---------------------------------------------------------------------

    @override
    def check_networks(self) -> None:
        super().check_networks()
        check_classes(self.known_classes, getattr(self.trainer, "datamodule", None))

    @override
    def made_by(self, batch: PartlyLabelled) -> Iterable[tuple[str, Tensor]]:  # type: ignore[override]  # as trains_on
        return [("generator", batch.unlabelled)]

    @override
    def check(self, batch: Batch | PartlyLabelled) -> None:
        if isinstance(batch, PartlyLabelled):
            if batch.further is None:
                raise ValueError(
                    "data: SGAN's generator needs unlabelled samples that the discriminator has "
                    "not just seen, with the key further. Use FewLabels, or add such samples."
                )
            for samples in (batch.unlabelled, batch.further):
                check_samples(samples, self._sample_shape)
            batch = batch.with_labels()
        super().check(batch)
        check_labels(batch.real, batch.labels, self.known_classes)
