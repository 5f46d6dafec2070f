"""The GAN of any f-divergence."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.core.gan import GAN
from lightning_gans.losses import FDivergence, LossSource
from lightning_gans.optimizers import GANAdam

__all__ = ["FGAN"]


class FGAN(GAN):
    """The f-GAN: the discriminator bounds an f-divergence from below.

    ``train/divergence`` is the bound.

    References:
        f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization
        (Nowozin et al., 2016), equations 5 and 6, https://arxiv.org/abs/1606.00709. The learning
        rate is low, since the losses of three divergences have an exponential of the logits.

    Args:
        loss: see `GAN`; the divergence is the ``kind`` of `FDivergence`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `GAN`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = FDivergence,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, optimizer_g=optimizer_g, optimizer_d=optimizer_d, **kwargs)
