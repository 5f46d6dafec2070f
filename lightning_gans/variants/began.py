"""BEGAN, the boundary equilibrium GAN."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.priors import Prior, UniformPrior
from lightning_gans.losses import BoundaryEquilibrium, LossSource
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.autoencoding import AutoencodingGAN

__all__ = ["BEGAN"]


class BEGAN(AutoencodingGAN):
    """BEGAN: an autoencoder, and a balance between its errors on real and generated samples.

    The energy is the mean absolute error over the entries of a sample. ``train/convergence`` is
    BEGAN's measure of convergence, and ``train/k`` the weight of generated samples.

    References:
        BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
        section 3.4, https://arxiv.org/abs/1703.10717, not compared with the paper. The learning
        rate stays; there it is halved when the measure stalls.

    Args:
        prior: see `GAN`; a uniform distribution with 64 entries by default.
        loss: see `GAN`; gamma is an argument of `BoundaryEquilibrium`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the autoencoder's.
        **kwargs: as for `AutoencodingGAN`: the ``discriminator`` is an autoencoder.
    """

    def __init__(
        self,
        *,
        prior: Prior | None = None,
        loss: LossSource = BoundaryEquilibrium,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=1e-4, beta1=0.5, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            prior=prior or UniformPrior(64),
            loss=loss,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )

    @override
    def error(self, difference: Tensor) -> Tensor:
        return difference.abs()
