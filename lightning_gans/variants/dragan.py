"""The GAN with a gradient penalty around real samples."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.building import build_part
from lightning_gans.core.gan import GAN
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import DRAGANPenalty, Regularizer, RegularizerSource

__all__ = ["DRAGAN"]


class DRAGAN(GAN):
    """The non-saturating GAN with a gradient penalty around real samples.

    References:
        On Convergence and Stability of GANs (Kodali et al., 2017),
        https://arxiv.org/abs/1705.07215. Weight, noise and optimizers are those of its authors'
        code, whose noise differs from the paper's, see `DRAGANPenalty`.

    Args:
        penalty: a regularizer, or what makes one. On points in the plane, give it less ``noise``.
        regularizers: further ones, see `GAN`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        penalty: RegularizerSource = DRAGANPenalty,
        regularizers: Sequence[Regularizer] = (),
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            regularizers=[build_part("penalty", penalty, Regularizer), *regularizers],
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
