"""Structures: networks, and who plays with them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from datamodules import GaussianRing
from lightning_gans import (
    AAE,
    ACGAN,
    CGAN,
    CVAEGAN,
    GAN,
    SGAN,
    VAEGAN,
    BiGAN,
    CoGAN,
    CycleGAN,
    InfoGAN,
    PacGAN,
    Pix2Pix,
    SemiSupervisedAAE,
    StyleGAN2,
    TopKGAN,
    UnrolledGAN,
)
from lightning_gans.core.domains import TwoDomainModule
from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.networks import (
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
    MLPTranslator,
)
from reference import BATCH, OPTIMIZER
from reference.networks import (
    autoencoding,
    autoencoding_pairs,
    autoencoding_with_spread,
    coupled,
    four,
    three,
    two,
    two_for_pairs,
    two_with_autoencoder,
    two_with_class_head,
    two_with_codes,
    two_with_features,
    two_with_packs,
    with_a_stylist,
)
from reference.players import (
    PAST,
    Side,
    between_domains,
    judging_codes,
    judging_pairs,
    judging_styles_and_classes,
    keeping_the_best,
    looking_ahead,
    plain,
    with_class_head,
    with_codes,
    with_encoder,
    with_errors,
    with_feature_distance,
    with_few_labels,
    with_packs,
    with_pairs,
    with_styles,
    with_two_kinds,
)


class FewPoints(GaussianRing):
    """Points of three modes, as those whose labels are told, and two that come without."""

    def __init__(self) -> None:
        super().__init__(3, batch_size=BATCH, num_eval_samples=16, labels=True)

    def training_batch(self, seed, *place):
        (labelled, labels), *others = (
            super(FewPoints, self).training_batch(seed + part, *place) for part in range(3)
        )
        unlabelled = dict(zip(("unlabelled", "further"), (x for x, _ in others), strict=True))
        return {"labelled": labelled, "labels": labels, **unlabelled}


PAIR_WEIGHTS = {
    "reconstruction_weight": 0.9,
    "latent_weight": 0.3,
    "regressor_weight": 0.7,
    "prior": NormalPrior(2),
}
CLASS_WEIGHTS = {"class_weight_d": 0.6, "class_weight_g": 0.4}
CODES = {
    "prior": CodePrior(NormalPrior(1), [3, 2], 2),
    "category_weight": 0.6,
    "continuous_weight": 0.4,
}
TERM_WEIGHTS = {
    "reconstruction_weight": 0.9,
    "kl_weight": 0.3,
    "adversarial_weight": 1.1,
    "class_weight": 0.7,
}


@dataclass(frozen=True)
class Structure:
    """Networks, and who plays with them.

    Attributes:
        variant: class of the library.
        sides: makes the players of the plain loop.
        made: makes the networks.
        num_classes: 0 without classes.
        arguments: of the variant.
        optimizer: of all players.
        data: makes the data, if it is of another kind.
    """

    variant: type[GAN]
    sides: Callable[..., list[Side]]
    made: Callable[[int], dict[str, nn.Module]] = two
    num_classes: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)
    optimizer: Callable[..., torch.optim.Optimizer] = OPTIMIZER
    data: Callable[[], GaussianRing] | None = None

    @property
    def has_two_kinds(self) -> bool:
        """Whether it is about two kinds of samples."""
        return issubclass(self.variant, TwoDomainModule)

    @property
    def makes_its_own(self) -> bool:
        """Whether the variant makes its networks itself."""
        return self.variant in (CycleGAN, SemiSupervisedAAE)


TWO_WEIGHTS = {"adversarial_weight": 0.9, "discriminator_weight": 0.6}
CYCLE = {
    "translator": partial(MLPTranslator, hidden=[8], activation=nn.Tanh),
    "discriminator": partial(MLPDiscriminator, hidden=[8], activation=nn.Tanh),
    "cycle_weight": 3.0,
    "identity_weight": 0.7,
    "history_size": PAST["a"].size,
    **TWO_WEIGHTS,
}


def translators(num_classes: int) -> dict[str, nn.Module]:
    """The networks that CycleGAN makes."""
    model = CycleGAN(data_shape=(2,), **CYCLE)
    names = "to_a", "to_b", "discriminator_a", "discriminator_b"
    return {name: getattr(model, name) for name in names}


STYLED = {
    "prior": CodePrior(NormalPrior(2), [3]),
    "generator": partial(MLPGenerator, hidden=[8], activation=nn.Tanh),
    "encoder": partial(MLPEncoder, hidden=[8], activation=nn.Tanh),
    "discriminator": partial(MLPDiscriminator, hidden=[8], activation=nn.Tanh),
    "unlabelled_weight": 0.7,
    "optimizer_e": OPTIMIZER,
    "optimizer_c": OPTIMIZER,
}


def styled(num_classes: int) -> dict[str, nn.Module]:
    """The networks that SemiSupervisedAAE makes."""
    model = SemiSupervisedAAE(data_shape=(2,), **STYLED)
    return {name: getattr(model, name) for name in ("generator", "discriminator", "encoder")}


STRUCTURES = {
    "GAN": Structure(GAN, plain),
    "CGAN": Structure(CGAN, plain, num_classes=3),
    "ACGAN": Structure(ACGAN, with_class_head, two_with_class_head, 3, CLASS_WEIGHTS),
    "CVAEGAN": Structure(CVAEGAN, with_encoder, four, 3, TERM_WEIGHTS),
    "BiGAN": Structure(BiGAN, judging_pairs, autoencoding_pairs, 0, PAIR_WEIGHTS),
    "AAE": Structure(AAE, judging_codes, autoencoding, 0, {"optimizer_e": OPTIMIZER}),
    "SemiSupervisedAAE": Structure(
        SemiSupervisedAAE, judging_styles_and_classes, styled, 0, STYLED, data=FewPoints
    ),
    "VAEGAN": Structure(
        VAEGAN,
        with_feature_distance,
        autoencoding_with_spread,
        0,
        {"kl_weight": 0.3, "feature_weight": 0.7, "optimizer_e": OPTIMIZER},
    ),
    "UnrolledGAN": Structure(
        UnrolledGAN, looking_ahead, two, 0, {"unrolling": 2, "inner_lr": 0.3}
    ),
    "PacGAN": Structure(PacGAN, with_packs, two_with_packs, 0, {"pack_size": 3}),
    "InfoGAN": Structure(InfoGAN, with_codes, two_with_codes, 0, CODES),
    "CycleGAN": Structure(CycleGAN, between_domains, translators, 0, CYCLE),
    "Pix2Pix": Structure(Pix2Pix, with_pairs, two_for_pairs, 0, {"l1_weight": 3.0, **TWO_WEIGHTS}),
    "CoGAN": Structure(
        CoGAN, with_two_kinds, coupled, 0, {"prior": NormalPrior(2), **TWO_WEIGHTS}
    ),
}


OTHERS = {
    "features": Structure(GAN, plain, two_with_features),
    "squared errors": Structure(
        GAN, partial(with_errors, power=2, pulling=0.7), two_with_autoencoder
    ),
    "errors": Structure(GAN, with_errors, two_with_autoencoder),
    "styles": Structure(StyleGAN2, with_styles, with_a_stylist, 0, {"prior": NormalPrior(2)}),
    "posterior": Structure(InfoGAN, with_codes, three, 0, {**CODES, "learned_sd": True}),
    "the best": Structure(TopKGAN, keeping_the_best, two, 0, {"decay": 0.8, "every": 2}),
    "few labels": Structure(
        SGAN,
        with_few_labels,
        two_with_features,
        arguments={
            "num_classes": 3,
            "unlabelled_weight": 0.7,
            "feature_weight": 0.8,
            "adversarial_weight": 0.4,
        },
        data=FewPoints,
    ),
}
"""Structures for some losses only."""


def structure_of(variant: type[GAN], structure: str = "GAN") -> Structure:
    """Returns a structure with another variant that plays it."""
    return replace({**STRUCTURES, **OTHERS}[structure], variant=variant)
