"""SNGAN: the hinge loss and a discriminator with spectral norm."""

from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.losses import Hinge, LossSource
from lightning_gans.networks import (
    DiscriminatorSource,
    GeneratorSource,
    SNCNNDiscriminator,
    SNCNNGenerator,
)
from lightning_gans.networks.shapes import check_sizes
from lightning_gans.optimizers import GANAdam

__all__ = ["SNGAN"]


class SNGAN(GAN):
    """SNGAN, for images: the hinge loss, whose discriminator spectral norm keeps Lipschitz.

    With ``num_classes`` it is the projection GAN.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        | equations 16 and 17, https://arxiv.org/abs/1802.05957. The defaults are the plain
        | convolutional networks with one discriminator update, as in public code, which a CPU can
        | train. The authors' recipe for CIFAR-10 has `ResNetGenerator` and `ResNetDiscriminator`,
        | ``n_critic`` 5 and ``generator_batch`` 2. Their code begins a round with the generator's
        | update; here it is the last.
        | cGANs with Projection Discriminator (Miyato and Koyama, 2018), for the classes,
        | https://arxiv.org/abs/1802.05637. Fakes have the classes of the real samples of their
        | batch, in place of classes that are drawn.

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`; one that does not have spectral norm needs `SpectralNorm`.
        loss: see `GAN`.
        n_critic: discriminator updates before each generator update.
        generator_batch: generated samples in a generator update for each sample of a
            discriminator update, at least 1.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if ``generator_batch`` is out of range, or above 1 with a loss whose generator
            reads real samples.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = SNCNNGenerator,
        discriminator: DiscriminatorSource = SNCNNDiscriminator,
        loss: LossSource = Hinge,
        n_critic: int = 1,
        generator_batch: int = 1,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        check_sizes(generator_batch=generator_batch)
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            loss=loss,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
        if generator_batch > 1 and self.loss.needs_real:
            raise ValueError(
                f"generator_batch must be 1 with {type(self.loss).__name__}, got "
                f"{generator_batch}: its generator reads real samples, of which an update has "
                "fewer. Use generator_batch 1, or a loss such as Hinge."
            )
        self.generator_batch = generator_batch

    @override
    def configure_players(self) -> list[Player]:
        *others, generator = super().configure_players()
        return [*others, replace(generator, draw=self.draw_more, factor=self.generator_batch)]

    def draw_more(self, batch: Batch) -> Samples:
        """Draws as `draw` does, ``generator_batch`` times as many; the real samples repeat."""
        times = self.generator_batch
        labels = None if batch.labels is None else batch.labels.repeat(times)
        return self.draw(Batch(torch.cat([batch.real] * times), labels))
