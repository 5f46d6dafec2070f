"""The MMD GAN."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable

from lightning_gans.losses import MMD, LossSource
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import GradientPenalty, RegularizerSource
from lightning_gans.variants.wgan_gp import WGANGP

__all__ = ["MMDGAN"]


class MMDGAN(WGANGP):
    """The MMD GAN: a kernel of features, and a gradient penalty on the witness.

    ``train/squared_mmd`` is the distance, without bias.

    References:
        Demystifying MMD GANs (Binkowski et al., 2018), section 3,
        https://arxiv.org/abs/1801.01401. Learning rate, beta1 and the five critic updates are
        those of its authors' code; the weight of the penalty is one of two there. The earlier MMD
        GAN (Li et al., 2017) clips its weights and reconstructs its samples, which this one does
        not.

    Args:
        loss: see `GAN`; kernel, scales and features are arguments of `MMD`.
        penalty: see `WGANGP`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        **kwargs: as for `WGANGP`.
    """

    def __init__(
        self,
        *,
        loss: LossSource = MMD,
        penalty: RegularizerSource = lambda: GradientPenalty(weight=1.0),
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            loss=loss,
            penalty=penalty,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
