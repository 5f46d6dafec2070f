"""The variational autoencoder that compares samples by a discriminator's features."""

from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.building import check_makes, check_weights
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.losses import LossSource, Minimax, kl_standard_normal, squared_error
from lightning_gans.networks import (
    DCGANDiscriminator,
    DiscriminatorSource,
    GeneratorSource,
    VAEEncoder,
    VAEGenerator,
)
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.encoding import (
    EncoderSource,
    Reconstructed,
    VariationalGAN,
    refuse,
)

__all__ = ["VAEGAN"]


class VAEGAN(VariationalGAN):
    """The VAE-GAN: reconstructions are like real samples in the features of the discriminator.

    Three players, in this order. The discriminator tells real samples from reconstructions and
    from samples of the prior, and learns from nothing else. The encoder minimizes the divergence
    of the latents from the prior and the distance of the features, and takes no part in the game.
    The generator, which is the decoder, minimizes the distance with a factor and the adversarial
    loss on both kinds of its samples.

    References:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016),
        equations 6 to 11 and algorithm 1, https://arxiv.org/abs/1512.09300, not compared with the
        paper. There all updates are made at the same point; the features are those of a layer in
        the middle, here what the discriminator's last layer reads; and reconstructions and samples
        of the prior weigh one each beside the real samples, here one half each. The rule of the
        authors' code to skip updates of a player that is ahead is not here.

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`; it must have features, see
            `lightning_gans.networks.outputs_with_features`.
        encoder: a module from samples (N, ...) to the mean and the log of the standard deviation
            of each latent, two tensors (N, Z), or what makes one from Z and ``data_shape``.
        loss: see `GAN`; the paper's generator minimizes minus the discriminator's loss.
        kl_weight: factor of the divergence, at least 0; the paper's is 1.
        feature_weight: the paper's gamma, factor of the distance in the generator's loss, at least
            0. The distance is summed over the features, half the square, so that the factor
            belongs to their number; the authors' code has 1e-6 to 5e-5 for tens of thousands.
        optimizer_e: makes the encoder's optimizer from its parameters.
        **kwargs: as for `GAN`, but without classes and without an augmentation.

    Raises:
        ValueError: if a weight is below 0, there are classes, or an augmentation, whose chances
            would tell a sample from its reconstruction, or the prior is not the normal
            distribution.
    """

    # The discriminator learns from reconstructions, too.
    learns_ratio = False

    def __init__(
        self,
        *,
        generator: GeneratorSource = VAEGenerator,
        discriminator: DiscriminatorSource = DCGANDiscriminator,
        encoder: EncoderSource = VAEEncoder,
        loss: LossSource = Minimax,
        kl_weight: float = 1.0,
        feature_weight: float = 1e-3,
        optimizer_e: OptimizerCallable = GANAdam,
        **kwargs: Any,
    ) -> None:
        features = "by chance it would tell a sample's features from its reconstruction's"
        refuse("VAEGAN", kwargs, num_classes="its networks read none", augment=features)
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            encoder=encoder,
            loss=loss,
            **kwargs,
        )
        check_weights(kl_weight=kl_weight, feature_weight=feature_weight)
        check_makes(optimizer_e=optimizer_e)
        self.kl_weight = kl_weight
        self.feature_weight = feature_weight
        self.optimizer_e = optimizer_e
        self._reads_features = True

    @override
    def configure_players(self) -> list[Player]:
        discriminator, generator = super().configure_players()
        networks, draw = [self.encoder], self.draw_reconstructions
        encoder = Player("encoder", networks, self.encoder_loss, self.optimizer_e, draw)
        generator = replace(generator, networks=[self.generator], factor=2)
        return [replace(discriminator, factor=2), encoder, generator]

    @override
    def draw(self, batch: Batch) -> Samples:
        """Generates a reconstruction of each real sample, then as many samples of the prior."""
        again, latent = self.draw_reconstructions(batch), self.sample_latent(len(batch))
        fake = torch.cat([again.fake, self.generate(latent)])
        return Samples(torch.cat([batch.real, batch.real]), fake)

    @override
    def auxiliary_d(self, real: Outputs, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        values = self.loss.critic(fake["logit"], real["logit"], fake["logit"])
        again, drawn = values.chunk(2)
        self.note(d_reconstructed=again, d_prior=drawn)
        return {}

    def encoder_loss(self, samples: Reconstructed) -> dict[str, Tensor]:
        """Returns the encoder's terms; the adversarial loss is none of them."""
        real, fake = (self.outputs(x)["features"] for x in (samples.real, samples.fake))
        divergence = kl_standard_normal(samples.mean, samples.log_sd)
        return {"kl": self.kl_weight * divergence, "features": squared_error(real, fake) / 2}

    @override
    def auxiliary_g(self, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        # Each by itself, as for the encoder: batch normalization reads the company as well.
        real, again = (
            self.outputs(x.chunk(2)[0])["features"] for x in (samples.real, samples.fake)
        )
        return {"features_g": self.feature_weight * squared_error(real, again) / 2}
