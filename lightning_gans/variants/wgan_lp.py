"""The Wasserstein GAN with a one-sided gradient penalty."""

from typing import Any

from lightning_gans.regularizers import OneSidedPenalty, RegularizerSource
from lightning_gans.variants.wgan_gp import WGANGP

__all__ = ["WGANLP"]


class WGANLP(WGANGP):
    """`WGANGP` with a one-sided penalty, on gradients steeper than 1 only: the Lipschitz penalty.

    References:
        On the regularization of Wasserstein GANs (Petzka et al., 2018),
        https://arxiv.org/abs/1709.08894. All other defaults are those of `WGANGP`, from which its
        authors' code is drawn.

    Args:
        penalty: see `WGANGP`. Its authors' 2-D toys have the weight 0.1.
        **kwargs: as for `WGANGP`.
    """

    def __init__(self, *, penalty: RegularizerSource = OneSidedPenalty, **kwargs: Any) -> None:
        super().__init__(penalty=penalty, **kwargs)
