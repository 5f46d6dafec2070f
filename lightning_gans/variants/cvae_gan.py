"""The variational autoencoder whose decoder is the generator of a GAN."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from lightning_gans.core.building import build, check_makes, check_weights
from lightning_gans.core.gan import GAN, DiscriminatorSource, GeneratorSource
from lightning_gans.core.network_checks import check_discriminator, check_outputs
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.core.priors import NormalPrior
from lightning_gans.core.showing import CLASSES, COLUMNS, Drawing, Grid, like
from lightning_gans.losses import (
    bernoulli_nll,
    kl_standard_normal,
    squared_error,
)
from lightning_gans.networks import (
    MaxPoolDiscriminator,
    VAEEncoder,
    VAEGenerator,
    evaluation_mode,
)
from lightning_gans.optimizers import GANAdam

__all__ = ["CVAEGAN", "Reconstructed"]

DISTANCES = {"squared_error": squared_error, "bernoulli": bernoulli_nll}
"""What a reconstruction is compared by."""

EncoderSource = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes an encoder from Z and the shape of a sample, or is the encoder itself."""


@dataclass(frozen=True, kw_only=True)
class Reconstructed(Samples):
    """Samples whose fakes are reconstructions of the real ones.

    Attributes:
        mean: of the normal distributions that the latents were drawn from, shape (N, Z).
        log_sd: log of their standard deviations, shape (N, Z).
    """

    mean: Tensor
    log_sd: Tensor


@dataclass(frozen=True, kw_only=True)
class Evaluated(Samples):
    """Samples of the prior, and reconstructions of the real ones.

    Attributes:
        reconstruction: shape (N, ...).
    """

    reconstruction: Tensor


class CVAEGAN(GAN):
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
    averaged = ("generator", "encoder")

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
        if reconstruction not in DISTANCES:
            raise ValueError(
                f"reconstruction must be {' or '.join(DISTANCES)}, got {reconstruction}."
            )
        if not isinstance(self.prior, NormalPrior):
            raise ValueError(
                "prior must be a NormalPrior, since the loss pulls the latents towards a normal "
                f"distribution, got {self.prior}."
            )
        self.encoder = build("encoder", encoder, self.prior.dim, self.data_shape)
        self.classifier = build("classifier", classifier, self.data_shape, num_outputs=num_classes)
        self.reconstruction = reconstruction
        check_makes(optimizer_c=optimizer_c)
        self.optimizer_c = optimizer_c

    @override
    def configure_players(self) -> list[Player]:
        discriminator, generator = super().configure_players()
        networks = [self.encoder, self.generator]
        return [
            Player("classifier", [self.classifier], self.classifier_loss, self.optimizer_c),
            discriminator,
            replace(generator, networks=networks, draw=self.draw_reconstructions),
        ]

    def classify(self, x: Tensor) -> Tensor:
        """Maps samples, shape (N, ...), to the logits of their classes, shape (N, K)."""
        shape = len(x), self.num_classes
        return check_outputs("classifier", self.classifier(x), shape)

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and log of the standard deviation of samples' latents, both (N, Z)."""
        outputs = self.encoder(x)
        if not (isinstance(outputs, tuple | list) and len(outputs) == 2):
            raise ValueError(
                "encoder: it must return two tensors, mean and log of the standard deviation of "
                f"the latents, got {type(outputs).__name__}."
            )
        shape = len(x), self.prior.dim
        return check_outputs("encoder", outputs[0], shape), check_outputs(
            "encoder", outputs[1], shape
        )

    # What the players see ------------------------------------------------------------------------

    @override
    def draw(self, batch: Batch) -> Samples:
        """Generates fakes from the prior, of classes that are drawn."""
        latent = self.sample_latent(len(batch))
        fake = self.generate(latent, self.sample_labels(len(batch)))
        return Samples(batch.real, fake, latent, batch.labels)

    def draw_reconstructions(self, batch: Batch) -> Reconstructed:
        """Generates from latents of the real samples, each of the sample's own class.

        Outside of autocast: half precision cannot tell a probability near 1 from 1.
        """
        mean, log_sd = self.locate(batch.real)
        latent = mean + torch.randn_like(mean) * log_sd.exp()
        with torch.autocast(mean.device.type, enabled=False):
            fake = self.generate(latent.to(self.dtype), batch.labels)
        return Reconstructed(batch.real, fake, latent, batch.labels, mean=mean, log_sd=log_sd)

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
            "adversarial_g": self.adversarial_g(
                self.loss, self.discriminate(samples.fake), self.real_logits(samples)
            ),
            "class_g": cross_entropy(self.classify(samples.fake), samples.labels),
        }
        weights = self.term_weights.values()
        return {n: w * term for (n, term), w in zip(terms.items(), weights, strict=True)}

    # Evaluation ----------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Returns the mean of each sample's latents, shape (N, Z), in evaluation mode."""
        with evaluation_mode(self.encoder), torch.autocast(x.device.type, enabled=False):
            return self.locate(x)[0].to(self.dtype)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the samples that the means of the latents generate, shape (N, ...).

        Args:
            x: samples, shape (N, ...).
            labels: the classes that they get, int64, shape (N,).
        """
        return self.sample(self.encode(x), labels)

    @override
    def evaluation_record(self, batch: Batch, batch_idx: int) -> Evaluated:
        samples = super().evaluation_record(batch, batch_idx)
        again = self.evaluated.reconstruct(batch.real, batch.labels)
        return Evaluated(**vars(samples), reconstruction=again)

    @override
    def final_pictures(self, real: Batch) -> dict[str, Drawing]:
        """Returns in addition real images over their reconstructions, and styles.

        Styles are the latents of an image in every class, behind the image itself.
        """
        found = super().final_pictures(real)
        if real.real.ndim == 2:
            return found
        columns = min(COLUMNS, len(real))
        part: Batch = real.rows(slice(0, min(4, len(real) // columns) * columns))
        again = self.evaluated.reconstruct(part.real, part.labels)
        rows = [x.reshape(-1, columns, *again.shape[1:]) for x in (part.real, again)]
        found["reconstructions"] = Grid(torch.stack(rows, 1).flatten(0, 2), columns)
        classes = torch.arange(min(self.num_classes, CLASSES), device=self.device)
        originals = like(real, classes)
        latent = self.evaluated.encode(originals).repeat_interleave(len(classes), 0)
        styles = self.evaluated.sample(latent, classes.repeat(len(classes)))
        styles = styles.reshape(len(classes), len(classes), *originals.shape[1:])
        table = torch.cat([originals[:, None], styles], 1)
        found["styles"] = Grid(table.flatten(0, 1), 1 + len(classes))
        return found

    # Before the first update ---------------------------------------------------------------------

    @override
    def check_networks(self) -> None:
        super().check_networks()
        fake = self.example(64).fake
        if self.reconstruction == "bernoulli" and (fake.min() < 0 or fake.max() > 1):
            raise ValueError(
                "reconstruction: bernoulli needs a generator that ends in a sigmoid; its output "
                f"goes from {fake.min():.4g} to {fake.max():.4g}. Give it output torch.nn.Sigmoid."
            )
        check_discriminator(self.locate, fake[:2], name="encoder")
        check_discriminator(self.classify, fake[:2], name="classifier")

    @override
    def check(self, batch: Batch) -> None:
        super().check(batch)
        real = batch.real
        if self.reconstruction == "bernoulli" and (real.min() < 0 or real.max() > 1):
            raise ValueError(
                "reconstruction: bernoulli needs data from 0 to 1, but a batch goes from "
                f"{real.min():.4g} to {real.max():.4g}. Use value_range [0, 1] for the data, "
                "or reconstruction squared_error."
            )
