"""The adversarial autoencoder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.core.building import build, check_makes
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.networks import DiscriminatorSource, MLPDiscriminator, MLPEncoder
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import View, WeightRegularizer
from lightning_gans.variants.encoding import EncoderSource, EncodingGAN, refuse

__all__ = ["AAE"]


class AAE(EncodingGAN):
    """The adversarial autoencoder: the codes of real samples learn to look drawn from the prior.

    In each round encoder and generator, which is the decoder, learn to reconstruct the real
    samples; the discriminator learns to tell latents of the prior, which are the real ones to it,
    from codes; and the encoder learns to make codes that it takes for latents. ``train/`` has
    ``reconstruction``, the mean squared difference of an entry, and ``code_norm``, the mean norm
    of codes. Regularizers read latents and codes.

    With classes, the generator reads them too, so that the code has to describe the style alone.

    References:
        Adversarial Autoencoders (Makhzani et al., 2016), section 2 and, for classes, section 4,
        https://arxiv.org/abs/1511.05644. The sections were not compared with the paper.

    Args:
        encoder: see `EncodingGAN`; with mean and deviation the posterior is the paper's Gaussian.
        discriminator: a module from latents (N, Z) to logits, or what makes one from (Z,), as in
            `GAN`.
        optimizer_g: makes the optimizer of encoder and generator, which reconstruct.
        optimizer_d: makes the discriminator's.
        optimizer_e: makes the encoder's against the discriminator.
        **kwargs: as for `GAN`, but without an augmentation. Of ``regularizers_g`` those of weights
            are of encoder and generator, which reconstruct, and the others of the encoder, whose
            codes the discriminator reads.

    Raises:
        ValueError: if there is an augmentation: those are of samples, and no discriminator reads
            samples.
    """

    label_conditioning = False

    def __init__(
        self,
        *,
        encoder: EncoderSource = MLPEncoder,
        discriminator: DiscriminatorSource = MLPDiscriminator,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-3, beta1=0.9, beta2=0.999),
        optimizer_d: OptimizerCallable = GANAdam,
        optimizer_e: OptimizerCallable = GANAdam,
        **kwargs: Any,
    ) -> None:
        refuse("AAE", kwargs, augment="its discriminator reads codes and no samples")

        def of_codes(_: tuple[int, ...], **sizes: int) -> nn.Module:
            return build("discriminator", discriminator, (self.prior.dim,), **sizes)

        made = isinstance(discriminator, nn.Module)
        super().__init__(
            encoder=encoder,
            discriminator=discriminator if made else of_codes,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
        check_makes(optimizer_e=optimizer_e)
        self.optimizer_e = optimizer_e

    @override
    def configure_players(self) -> list[Player]:
        discriminator, both = super().configure_players()
        of_weights = [part for part in both.regularizers if isinstance(part, WeightRegularizer)]
        autoencoder = Player(
            "autoencoder",
            both.networks,
            self.autoencoder_loss,
            self.optimizer_g,
            regularizers=of_weights,
        )
        encoder = replace(
            both,
            name="encoder",
            networks=[self.encoder],
            loss=self.encoder_loss,
            optimizer=self.optimizer_e,
            regularizers=[part for part in both.regularizers if part not in of_weights],
        )
        return [autoencoder, discriminator, encoder]

    @override
    def draw(self, batch: Batch) -> Samples:
        """Draws as many latents from the prior, the real ones here, as there are codes."""
        return Samples(self.sample_latent(len(batch)), self.draw_codes(batch.real))

    def autoencoder_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the mean squared difference of real samples and their reconstructions."""
        again = self.generate(self.draw_codes(batch.real), batch.labels)
        return {"reconstruction": (again - batch.real).square().mean()}

    def encoder_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the adversarial loss of the codes, which a generator's would be."""
        self.note(code_norm=samples.fake.norm(dim=1))
        (adversarial,) = self.generator_loss(samples).values()
        return {"adversarial_e": adversarial}

    @override
    def shown(self, samples: Samples) -> Tensor:
        assert samples.latent is not None
        return samples.latent

    @property
    @override
    def judges_alone(self) -> bool:
        return False  # but codes

    @override
    def evaluation_views(self, outputs: Mapping[str, Any]) -> Sequence[View]:
        parts = {"real": outputs["latent"], "fake": outputs["code"], "labels": None}
        return super().evaluation_views({**outputs, **parts})
