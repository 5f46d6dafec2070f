"""Pix2pix: images from images, learnt from pairs."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from typing_extensions import override

from lightning_gans.augment import Augmentation
from lightning_gans.core.building import build, check_weights
from lightning_gans.core.players import Pair, Player, Translated
from lightning_gans.core.showing import Drawing
from lightning_gans.core.translating import (
    TranslationModule,
    TranslatorSource,
    floor_of,
    rows_of,
)
from lightning_gans.networks import DiscriminatorSource, PatchDiscriminator, UNetTranslator
from lightning_gans.regularizers import View

__all__ = ["Pix2Pix"]


class Pix2Pix(TranslationModule):
    """Pix2pix: the generator turns a source into its target, and the discriminator judges pairs.

    The discriminator reads source and target side by side, as the channels of one sample; one draw
    of the augmentation serves both. In each round it makes ``n_critic`` updates, then the
    generator one. The generator's loss has the distance of its translations to the targets
    besides: ``train/l1``.

    References:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017),
        equations 1 to 4 (their numbers were not checked), https://arxiv.org/abs/1611.07004. The
        noise of the paper, dropout in evaluation, is left out; see `UNetTranslator`.

    Args:
        generator: a module from sources (N, ...) to targets (N, ...), or what makes one from the
            shapes of both.
        discriminator: a module from pairs, joined along the first axis of a sample, to logits, or
            what makes one from the shape of a pair.
        l1_weight: factor of the mean absolute difference, at least 0; the paper's is 100.
        discriminator_weight: see `TwoDomainModule`; the paper's 1/2 slows the discriminator down.
        **kwargs: as for `TwoDomainModule`. Without ``adversarial_weight`` it is the regression
            that the paper compares with.

    Raises:
        ValueError: if an argument is out of range, or source and target cannot be joined.
    """

    averaged = ("generator",)
    judged = ("",)
    trains_on = evaluates_on = (Pair,)

    def __init__(
        self,
        *,
        generator: TranslatorSource = UNetTranslator,
        discriminator: DiscriminatorSource = PatchDiscriminator,
        l1_weight: float = 100.0,
        discriminator_weight: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(discriminator_weight=discriminator_weight, **kwargs)
        check_weights(l1_weight=l1_weight)
        source, target = self.shapes
        if source[1:] != target[1:]:
            raise ValueError(
                f"data_shapes: samples of shape {source} cannot be joined to samples of shape "
                f"{target}, which differ in more than channels. Use pairs of one size."
            )
        pair = (source[0] + target[0], *target[1:])
        self.generator = build("generator", generator, source, target)
        self.discriminator = build(
            "discriminator", discriminator, pair, **self.discriminator_sizes
        )
        self.l1_weight = l1_weight

    @override
    def configure_players(self) -> list[Player]:
        return [
            self.discriminator_player(self.draw),
            self.generator_player([self.generator]),
        ]

    @property
    @override
    def discriminators(self) -> tuple[nn.Module, ...]:
        return (self.discriminator,)

    @override
    def draw(self, batch: Pair) -> Translated:
        return Translated(batch.target, self.generator(batch.source), source=batch.source)

    @override
    def mixed(self, seen: Translated) -> Translated:
        assert isinstance(self.augment, Augmentation)
        make = partial(self.generator, seen.source)
        return replace(seen, real=self.augment.mixed(seen.real, make))

    @override
    def views(self, samples: Translated) -> list[View]:
        real, fake = (torch.cat([samples.source, x], 1) for x in (samples.real, samples.fake))
        return [self.view(self.discriminator, real, fake, "", samples)]

    @override
    def generator_loss(self, samples: Translated) -> dict[str, Tensor]:
        distance = l1_loss(samples.fake, samples.real)
        return {**super().generator_loss(samples), "l1": self.l1_weight * distance}

    @override
    def evaluation_record(self, batch: Pair, batch_idx: int) -> Translated:
        return self.translated(batch)

    @override
    def floor_record(self, batch: Pair) -> Translated:
        return floor_of(batch.target, batch.labels)

    @override
    def pictures(self, real: Pair, number: int) -> dict[str, Drawing]:
        return {"samples": rows_of(self.translated(real.rows(slice(0, number))))}
