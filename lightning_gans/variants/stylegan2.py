"""StyleGAN2: a generator with styles, mixed in training, and regularizers that are lazy."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.core.priors import NormalPrior, Prior
from lightning_gans.networks import (
    DiscriminatorSource,
    GeneratorSource,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gans.networks.styles import StyledGenerator
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import R1, PathLength, Regularizer, StyledView, View

__all__ = ["StyleGAN2"]


class StyleGAN2(GAN):
    """StyleGAN2, for images: the non-saturating loss with R1 and with path lengths.

    In training, a share of the samples is made from the styles of two latents: the first layers
    read those of the one, and the last layers those of the other.

    References:
        | Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), sections 3.1
        | and 3.2, https://arxiv.org/abs/1912.04958.
        | Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), whose
        | code the defaults are of, https://arxiv.org/abs/2006.06676. There regularizers have
        | optimizer steps of their own, with learning rates and betas that make up for them. Here
        | they are added to the losses of the same updates, whose number does not change: learning
        | rates and betas are those of the code before that. The place where a sample's styles
        | change is drawn for each sample, while the code draws one for a batch. The average of the
        | generator is left to `GeneratorEMA`.

    Args:
        generator: see `GAN`; it must be a `StyledGenerator`.
        discriminator: see `GAN`.
        prior: see `GAN`; by default a normal distribution with 512 entries.
        gamma: weight of R1, which every 16th update computes; 0 leaves it out. In the authors'
            code it is 0.01 for CIFAR-10, and otherwise by default 0.0002 s^2 / N, for N images of
            s pixels in an update.
        path_length_weight: of `PathLength`, which every 4th update computes; with 0 there is none,
            as in their code for CIFAR-10.
        mixing: probability of two latents, from 0 to 1; 0 in their code for CIFAR-10.
        regularizers: further ones, see `GAN`.
        regularizers_g: further ones, see `GAN`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if an argument is out of range, or the generator has no styles.
    """

    generator: StyledGenerator

    def __init__(
        self,
        *,
        generator: GeneratorSource = StyleGAN2Generator,
        discriminator: DiscriminatorSource = StyleGAN2Discriminator,
        prior: Prior | None = None,
        gamma: float = 0.01,
        path_length_weight: float = 2.0,
        mixing: float = 0.9,
        regularizers: Sequence[Regularizer] = (),
        regularizers_g: Sequence[Regularizer] = (),
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=2.5e-3, beta1=0.0, beta2=0.99),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=2.5e-3, beta1=0.0, beta2=0.99),
        **kwargs: Any,
    ) -> None:
        for name, weight in {"gamma": gamma, "path_length_weight": path_length_weight}.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be finite and at least 0, got {weight}.")
        if not 0 <= mixing <= 1:
            raise ValueError(f"mixing must be from 0 to 1, got {mixing}. Use 0.9.")
        penalties = [R1(gamma, every=16)] if gamma else []
        paths = [PathLength(path_length_weight)] if path_length_weight else []
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            prior=prior or NormalPrior(512),
            regularizers=[*penalties, *regularizers],
            regularizers_g=[*paths, *regularizers_g],
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
        if not isinstance(self.generator, StyledGenerator):
            raise ValueError(
                f"generator: a {type(self.generator).__name__} has no styles. Use "
                "StyleGAN2Generator, or GAN for this one."
            )
        self.mixing = mixing

    def mixed_styles(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns styles for training, some of them of a second latent, shape (N, L, W).

        Args:
            latent: shape (N, Z).
            labels: classes, int64, shape (N,), if there are any.
        """
        styles = self.generator.styles(latent, labels)
        if self.mixing == 0:
            return styles
        number, layers = len(latent), self.generator.num_styles
        others = self.generator.styles(self.sample_latent(number), labels, follow=False)
        first = torch.randint(1, layers, (number,), device=self.device)
        mixes = torch.rand(number, device=self.device) < self.mixing
        first = torch.where(mixes, first, layers)
        kept = torch.arange(layers, device=self.device) < first[:, None]
        return torch.where(kept[:, :, None], styles, others)

    @override
    def draw(self, batch: Batch) -> Samples:
        latent = self.sample_latent(len(batch))
        fake = self.generator.synthesize(self.mixed_styles(latent, batch.labels))
        return Samples(batch.real, fake, latent, batch.labels)

    @override
    def views(self, samples: Samples) -> list[View]:
        def styles(number: int) -> Tensor:
            assert samples.latent is not None
            labels = None if samples.labels is None else samples.labels[:number]
            return self.mixed_styles(samples.latent[:number], labels)

        return [
            StyledView(**vars(view), styles=styles, synthesize=self.generator.synthesize)
            for view in super().views(samples)
        ]

    @override
    def after_turn(self, player: Player, seen: Any, terms: Mapping[str, Tensor]) -> None:
        """Gives all processes the mean of their average styles."""
        self.generator.average.copy_(self.mean_over_processes(self.generator.average))
