"""The variational autoencoder whose decoder is the generator of a GAN."""

from dataclasses import replace
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from lightning_gans.core.building import build, check_makes, check_weights
from lightning_gans.core.network_checks import check_discriminator, check_outputs
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.core.showing import CLASSES, Drawing, Grid, like
from lightning_gans.losses import bernoulli_nll, kl_standard_normal, squared_error
from lightning_gans.losses.base import check_choice
from lightning_gans.networks import (
    DiscriminatorSource,
    GeneratorSource,
    MaxPoolDiscriminator,
    VAEEncoder,
    VAEGenerator,
)
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.encoding import EncoderSource, Reconstructed, VariationalGAN

__all__ = ["CVAEGAN"]

DISTANCES = {"squared_error": squared_error, "bernoulli": bernoulli_nll}
"""What a reconstruction is compared by."""


class CVAEGAN(VariationalGAN):
    """The conditional VAE-GAN: encoder and decoder against a discriminator and with a classifier.

    In each round the classifier learns the classes of the real samples, the discriminator tells
    them from samples of the prior and of classes that are drawn, and the generator, which is the
    decoder, learns together with the encoder to reconstruct the real samples. ``train/`` has each
    of its terms: ``reconstruction``, ``kl``, ``adversarial_g`` and ``class_g``.

    References:
        CVAE-GAN: Fine-Grained Image Generation through Asymmetric Training (Bao et al., 2017),
        figure 2, https://arxiv.org/abs/1703.10155, in the form of the tutorial "GAN in practice 4:
        advanced GANs": the generator's adversarial and class terms are the discriminator's and the
        classifier's losses on reconstructions, in place of distances of mean features; the encoder
        does not read the class.

    Args:
        num_classes: K, at least 1.
        generator: see `GAN`.
        discriminator: see `GAN`; it reads no classes.
        encoder: a module from samples (N, ...) to the mean and the log of the standard deviation
            of each latent, two tensors (N, Z), or what makes one from Z and ``data_shape``.
        classifier: a module from samples (N, ...) to logits (N, K), or what makes one from
            ``data_shape`` and ``num_outputs`` = K.
        reconstruction: the distance of a reconstruction, summed over its entries and averaged
            over the batch: ``"squared_error"``, or for data in [0, 1] ``"bernoulli"``, the
            cross-entropy of each entry as a probability.
        reconstruction_weight: factor of the reconstruction, at least 0; the tutorial's is 1.
        kl_weight: factor of the divergence of the latents from the prior, likewise.
        adversarial_weight: factor of the adversarial term, likewise.
        class_weight: factor of the class term, likewise.
        optimizer_g: makes the optimizer of encoder and generator from their parameters.
        optimizer_d: makes the discriminator's.
        optimizer_c: makes the classifier's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if a weight is below 0, or the prior is not the normal distribution that the
            divergence is from.
    """

    num_classes: int
    label_conditioning = False

    def __init__(
        self,
        *,
        num_classes: int = 10,
        generator: GeneratorSource = VAEGenerator,
        discriminator: DiscriminatorSource = MaxPoolDiscriminator,
        encoder: EncoderSource = VAEEncoder,
        classifier: DiscriminatorSource = MaxPoolDiscriminator,
        reconstruction: Literal["squared_error", "bernoulli"] = "squared_error",
        reconstruction_weight: float = 1.0,
        kl_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        class_weight: float = 1.0,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.9, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.9, beta2=0.999),
        optimizer_c: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.9, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            generator=generator,
            discriminator=discriminator,
            encoder=encoder,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
        self.term_weights = {
            "reconstruction_weight": reconstruction_weight,
            "kl_weight": kl_weight,
            "adversarial_weight": adversarial_weight,
            "class_weight": class_weight,
        }
        check_weights(**self.term_weights)
        check_choice("reconstruction", reconstruction, DISTANCES)
        self.classifier = build("classifier", classifier, self.data_shape, num_outputs=num_classes)
        self.reconstruction = reconstruction
        check_makes(optimizer_c=optimizer_c)
        self.optimizer_c = optimizer_c

    @override
    def configure_players(self) -> list[Player]:
        discriminator, generator = super().configure_players()
        first = Player("classifier", [self.classifier], self.classifier_loss, self.optimizer_c)
        return [first, discriminator, replace(generator, draw=self.draw_reconstructions)]

    def classify(self, x: Tensor) -> Tensor:
        """Maps samples, shape (N, ...), to the logits of their classes, shape (N, K)."""
        return check_outputs("classifier", self.classifier(x), (len(x), self.num_classes))

    # What the players see ------------------------------------------------------------------------

    @override
    def draw(self, batch: Batch) -> Samples:
        """Generates fakes from the prior, of classes that are drawn."""
        latent = self.sample_latent(len(batch))
        fake = self.generate(latent, self.sample_labels(len(batch)))
        return Samples(batch.real, fake, latent, batch.labels)

    # Losses --------------------------------------------------------------------------------------

    def classifier_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the cross-entropy of the classes of the real samples."""
        assert batch.labels is not None
        return {"class_c": cross_entropy(self.classify(batch.real), batch.labels)}

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the terms of encoder and decoder."""
        assert isinstance(samples, Reconstructed)
        assert samples.labels is not None
        terms = {
            "reconstruction": DISTANCES[self.reconstruction](samples.real, samples.fake),
            "kl": kl_standard_normal(samples.mean, samples.log_sd),
            **super().generator_loss(samples),
            "class_g": cross_entropy(self.classify(samples.fake), samples.labels),
        }
        weights = self.term_weights.values()
        return {n: w * term for (n, term), w in zip(terms.items(), weights, strict=True)}

    # Evaluation ----------------------------------------------------------------------------------

    @override
    def final_pictures(self, real: Batch) -> dict[str, Drawing]:
        """Returns in addition styles: latents of an image in every class, behind the image."""
        found = super().final_pictures(real)
        if real.real.ndim == 2:
            return found
        classes = torch.arange(min(self.num_classes, CLASSES), device=self.device)
        originals = like(real, classes)
        latent = self.evaluated.encode(originals).repeat_interleave(len(classes), 0)
        styles = self.evaluated.sample(latent, classes.repeat(len(classes)))
        styles = styles.reshape(len(classes), len(classes), *originals.shape[1:])
        table = torch.cat([originals[:, None], styles], 1)
        found["styles"] = Grid(
            table.flatten(0, 1), 1 + len(classes), "real, and in its style each class"
        )
        return found

    # Before the first update ---------------------------------------------------------------------

    @override
    def check_networks(self) -> None:
        super().check_networks()
        fake = self.example(64).fake
        wanted, remedy = "a generator that ends in a sigmoid", "Give it output torch.nn.Sigmoid"
        self._check_probabilities(fake, wanted, remedy)
        check_discriminator(self.classify, fake[:2], name="classifier")

    @override
    def check(self, batch: Batch) -> None:
        super().check(batch)
        remedy = "Use value_range [0, 1] for the data, or reconstruction squared_error"
        self._check_probabilities(batch.real, "data from 0 to 1", remedy)

    def _check_probabilities(self, x: Tensor, wanted: str, remedy: str) -> None:
        if self.reconstruction == "bernoulli" and (x.min() < 0 or x.max() > 1):
            raise ValueError(
                f"reconstruction: bernoulli needs {wanted}, but samples go from {x.min():.4g} to "
                f"{x.max():.4g}. {remedy}."
            )
