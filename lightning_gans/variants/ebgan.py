"""The energy-based GAN."""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lightning_gans.core.building import check_weights
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Samples
from lightning_gans.losses import EnergyMargin, LossSource, pulling_away
from lightning_gans.variants.autoencoding import AutoencodingGAN

__all__ = ["EBGAN"]


class EBGAN(AutoencodingGAN):
    """The energy-based GAN: an autoencoder reconstructs real samples well and others badly.

    The energy is the mean squared error over the entries of a sample.

    References:
        Energy-based Generative Adversarial Network (Zhao et al., 2017), equations 1, 2 and 4,
        https://arxiv.org/abs/1609.03126, not compared with the paper. Its margins belong to other
        reductions of the error and other ranges of data: the default is about the energy at the
        start of images in [-1, 1].

    Args:
        pulling_away_weight: factor of `pulling_away` of the codes in the generator's loss, at
            least 0; the paper's is 0.1.
        loss: see `GAN`; the margin is an argument of `EnergyMargin`.
        **kwargs: as for `AutoencodingGAN`: the ``discriminator`` is an autoencoder.

    Raises:
        ValueError: if the weight is below 0, or the autoencoder gives no codes for it.
    """

    def __init__(
        self,
        *,
        pulling_away_weight: float = 0.1,
        loss: LossSource = EnergyMargin,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, **kwargs)
        check_weights(pulling_away_weight=pulling_away_weight)
        self.pulling_away_weight = pulling_away_weight

    @override
    def error(self, difference: Tensor) -> Tensor:
        return difference.square()

    @property
    @override
    def least_samples(self) -> int:
        return 2 if self.pulling_away_weight > 0 else super().least_samples

    @override
    def auxiliary_g(self, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        if self.pulling_away_weight == 0:
            return {}
        if "code" not in fake:
            raise ValueError(
                "discriminator: it returns no codes, which pulling_away_weight "
                f"{self.pulling_away_weight} needs. Use an autoencoder that returns "
                "reconstructions and codes, or pulling_away_weight 0."
            )
        return {"pulling_away": self.pulling_away_weight * pulling_away(fake["code"])}
