"""The Wasserstein GAN of the Wasserstein divergence."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from typing_extensions import override

from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import RegularizerSource, WGANDivPenalty
from lightning_gans.variants.wgan_gp import WGANGP

__all__ = ["WGANDiv"]


class WGANDiv(WGANGP):
    """The Wasserstein GAN whose critic need not be Lipschitz: a divergence in place of a distance.

    Its critic's loss has a high power of the gradient's norm. ``train/wasserstein`` is the first
    term of the divergence, not an estimate of a distance.

    References:
        Wasserstein Divergence for GANs (Wu et al., 2018), https://arxiv.org/abs/1712.01026. The
        penalty's k and p are the paper's (not checked); ``n_critic`` and the optimizers are those
        of its authors' code, in which all signs are turned.

    Args:
        penalty: see `WGANGP`.
        n_critic: critic updates before each generator update.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the critic's.
        **kwargs: as for `WGANGP`.
    """

    def __init__(
        self,
        *,
        penalty: RegularizerSource = WGANDivPenalty,
        n_critic: int = 4,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.0, beta2=0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            penalty=penalty,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )

    @override
    def wasserstein_critic(self) -> None:
        """Returns None: its critic estimates a divergence."""
