"""BigGAN: wide residual networks with shared classes, split latents and large batches."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.priors import NormalPrior, Prior
from lightning_gans.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    DiscriminatorSource,
    GeneratorSource,
)
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.sngan import SNGAN

__all__ = ["BigGAN"]


class BigGAN(SNGAN):
    """BigGAN, for images of classes: SAGAN with wider networks, whose blocks read latents too.

    An average of the generator is evaluated in its place: add `GeneratorEMA`. Orthogonal
    regularization is off, as in all scripts of the authors' code: add ``Orthogonal(5e-5)``, its
    strength of 1e-4, to ``regularizers_g``. Truncated latents trade variety for fewer odd samples:
    see `Truncation`, and `StandingStatistics` for the BatchNorms that read them.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        sections 3 and 4, https://arxiv.org/abs/1809.11096. The defaults are those of the authors'
        code for ImageNet at 128 pixels, with its batch of 2,048; the paper was not compared. The
        config ``biggan_cifar10`` has those of public code for CIFAR-10. The paper generates by
        class: give ``num_classes``. Fakes have the classes of the real samples of their batch, in
        place of classes that are drawn.

    Args:
        generator: see `GAN`.
        discriminator: see `GAN`.
        prior: distribution of the latents; by default a normal one with 120 entries.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `SNGAN`.
    """

    def __init__(
        self,
        *,
        generator: GeneratorSource = BigGANGenerator,
        discriminator: DiscriminatorSource = BigGANDiscriminator,
        prior: Prior | None = None,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(
            p, lr=1e-4, beta1=0.0, beta2=0.999, eps=1e-6
        ),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(
            p, lr=4e-4, beta1=0.0, beta2=0.999, eps=1e-6
        ),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            prior=prior or NormalPrior(120),
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
