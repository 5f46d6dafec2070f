"""The bidirectional GAN, and adversarially learned inference."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.core.building import build, check_weights
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Batch, Samples
from lightning_gans.core.priors import Prior, UniformPrior
from lightning_gans.networks import MLPEncoder, MLPJointDiscriminator
from lightning_gans.regularizers import View
from lightning_gans.variants.encoding import EncoderSource, EncodingGAN, refuse

__all__ = ["BiGAN"]

JointSource = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes a discriminator of pairs from Z, the shape of a sample and, if it is not 1,
``num_outputs``; or is the discriminator itself."""


class BiGAN(EncodingGAN):
    """The bidirectional GAN: a discriminator of pairs of a sample and a latent.

    It tells real samples with their codes from generated samples with their latents. Generator and
    encoder are one player, and each wants its pairs to be taken for those of the other. Where they
    succeed, they are inverse to each other. With an encoder that tells mean and deviation, from
    which codes are drawn, this is adversarially learned inference (ALI).

    Three optional terms directly make each the inverse of the other. A term whose weight is 0 is
    left out. Augmentations change samples, not latents. Regularizers read pairs as rows of all
    entries of the sample and then of the latent, and a penalty reads the gradient by both. The log
    has ``code_mean`` and ``code_sd`` over all entries of the codes, where it shows if these leave
    the prior.

    References:
        Adversarial Feature Learning (Donahue et al., 2017), equation 2,
        https://arxiv.org/abs/1605.09782, and Adversarially Learned Inference (Dumoulin et al.,
        2017), algorithm 1, https://arxiv.org/abs/1606.00704. Both make the players' updates at the
        same point; here the discriminator's comes first. The numbers of equations and algorithms
        were not compared with the papers. The reconstruction term is that of ALICE (Li et al.,
        2017, https://arxiv.org/abs/1709.01215), the latent term that of VEEGAN (Srivastava et al.,
        2017, https://arxiv.org/abs/1705.07761); both are means over entries here, so that their
        weights mean the same for samples and latents of any size.

    Args:
        generator: see `GAN`.
        encoder: see `EncodingGAN`.
        discriminator: a module from samples (N, ...) and latents (N, Z) to logits (N,) or (N, 1),
            or what makes one from Z, ``data_shape`` and, if the loss reads several numbers,
            ``num_outputs``.
        data_shape: see `GAN`.
        prior: distribution of the latents. By default a uniform distribution on [-1, 1] with as
            many entries as a sample has, at most the authors' 50.
        reconstruction_weight: factor of the mean absolute difference of real samples and what
            their codes generate, at least 0.
        latent_weight: factor of the mean squared difference of latents and the codes of what they
            generate, at least 0.
        regressor_weight: the same, but the encoder alone learns from it: the authors' latent
            regressor beside the game.
        **kwargs: as for `GAN`, but without classes.

    Raises:
        ValueError: if a weight is below 0, or there are classes.
    """

    def __init__(
        self,
        *,
        encoder: EncoderSource = MLPEncoder,
        discriminator: JointSource = MLPJointDiscriminator,
        data_shape: tuple[int, ...] | None = None,
        prior: Prior | None = None,
        reconstruction_weight: float = 0.0,
        latent_weight: float = 0.0,
        regressor_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        refuse("BiGAN", kwargs, num_classes="its discriminator reads none")
        if prior is None and data_shape is not None:
            prior = UniformPrior(min(50, prod(data_shape)))

        def joint(shape: tuple[int, ...], **sizes: int) -> nn.Module:
            assert prior is not None
            return build("discriminator", discriminator, prior.dim, shape, **sizes)

        made = isinstance(discriminator, nn.Module)
        super().__init__(
            encoder=encoder,
            discriminator=discriminator if made else joint,
            data_shape=data_shape,
            prior=prior,
            **kwargs,
        )
        check_weights(
            reconstruction_weight=reconstruction_weight,
            latent_weight=latent_weight,
            regressor_weight=regressor_weight,
        )
        self.reconstruction_weight = reconstruction_weight
        self.latent_weight = latent_weight
        self.regressor_weight = regressor_weight

    # Pairs ---------------------------------------------------------------------------------------

    def joined(self, x: Tensor, latent: Tensor) -> Tensor:
        """Returns samples, shape (N, ...), and latents, shape (N, Z), as rows of all entries."""
        return torch.cat([x.flatten(1), latent], 1)

    def parted(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the samples, shape (N, ...), and the latents, shape (N, Z), of such rows."""
        x, latent = torch.split(pairs, [prod(self._sample_shape), self.prior.dim], 1)
        return x.reshape(len(x), *self._sample_shape), latent

    @override
    def inputs(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        samples, latent = self.parted(x)
        return self.augmented(samples), latent

    @override
    def shown(self, samples: Samples) -> Tensor:
        assert samples.latent is not None
        return self.joined(samples.fake, samples.latent)

    @override
    def draw(self, batch: Batch) -> Samples:
        """Pairs real samples with their codes, and generated ones with their latents."""
        latent = self.sample_latent(len(batch))
        fake = self.joined(self.generate(latent), latent)
        return Samples(self.joined(batch.real, self.draw_codes(batch.real)), fake, latent)

    @override
    def pseudo(self, samples: Samples) -> Tensor:
        """Generates samples and pairs them with their codes, as real ones are."""
        made = super().pseudo(samples)
        return self.joined(made, self.draw_codes(made))

    # Losses --------------------------------------------------------------------------------------

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the terms of generator and encoder."""
        real, fake = self._outputs_of_both(samples)
        at_real, at_fake = real["logit"], fake["logit"]
        others = (at.detach() if self.loss.needs_real else None for at in (at_real, at_fake))
        beside_fake, beside_real = others
        terms = {
            "adversarial_g": self.adversarial_g(self.loss, at_fake, beside_fake),
            "adversarial_e": self.loss.encoder(at_real, beside_real),
        }
        return {**terms, **self.auxiliary_g(fake, samples)}

    @override
    def auxiliary_g(self, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        (x, code), (made, latent) = self.parted(samples.real), self.parted(samples.fake)
        self.note(code_mean=code.mean(), code_sd=code.std(correction=0))
        terms = {}
        if self.reconstruction_weight > 0:
            distance = (self.generate(code) - x).abs().mean()
            terms["reconstruction"] = self.reconstruction_weight * distance
        for name, weight, read in (
            ("latent", self.latent_weight, made),
            ("regressor", self.regressor_weight, made.detach()),
        ):
            if weight > 0:
                terms[name] = weight * (self.locate(read)[0] - latent).square().mean()
        return terms

    # Before the first update ---------------------------------------------------------------------

    @override
    def check_networks(self) -> None:
        super().check_networks()
        samples = self.example()
        assert samples.latent is not None
        with torch.enable_grad():
            latent = samples.latent.requires_grad_()
            outputs = self.discriminator(samples.fake, latent).sum()
            if torch.autograd.grad(outputs, latent, allow_unused=True)[0] is None:
                raise ValueError(
                    "discriminator: it reads no latents. Use one of pairs, such as "
                    "MLPJointDiscriminator or DCGANJointDiscriminator."
                )

    # Evaluation ----------------------------------------------------------------------------------

    @property
    @override
    def judges_alone(self) -> bool:
        return False  # but with its latent

    @override
    def evaluation_views(self, outputs: Mapping[str, Any]) -> Sequence[View]:
        pairs = (("real", "code"), ("fake", "latent"))
        joined = {key: self.joined(outputs[key], outputs[with_it]) for key, with_it in pairs}
        return super().evaluation_views({**outputs, **joined, "labels": None})
