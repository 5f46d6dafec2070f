"""The auxiliary-classifier GAN."""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from lightning_gans.core.building import check_weights
from lightning_gans.core.gan import GAN
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Samples

__all__ = ["ACGAN"]


class ACGAN(GAN):
    """The auxiliary-classifier GAN: the discriminator tells the class in place of reading it.

    The generator reads the class. The discriminator has 1 + K outputs: the logit of being real,
    then those of the classes; both players want the classes of their samples to be told.

    References:
        Conditional Image Synthesis With Auxiliary Classifier GANs (Odena et al., 2017), equations
        2 and 3, https://arxiv.org/abs/1610.09585. The generator's adversarial loss is the
        non-saturating one. Fakes have the classes of the real samples of their batch, in place of
        classes that are drawn.

    Args:
        num_classes: K, at least 1.
        class_weight_d: factor of the discriminator's two cross-entropies, at least 0; the paper's
            is 1.
        class_weight_g: factor of the generator's, likewise.
        **kwargs: as for `GAN`; the ``discriminator`` is made with ``num_outputs`` 1 + K, or gives
            outputs of shape (N, 1 + K).

    Raises:
        ValueError: if a weight is below 0.
    """

    num_classes: int
    label_conditioning = False

    def __init__(
        self,
        *,
        num_classes: int = 10,
        class_weight_d: float = 1.0,
        class_weight_g: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, **kwargs)
        check_weights(class_weight_d=class_weight_d, class_weight_g=class_weight_g)
        self.class_weight_d = class_weight_d
        self.class_weight_g = class_weight_g

    @override
    def heads(self) -> dict[str, int]:
        return {"class": self.num_classes}

    @override
    def auxiliary_d(self, real: Outputs, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        weight, labels = self.class_weight_d, samples.labels
        assert labels is not None
        return {
            "class_real": weight * cross_entropy(real["class"], labels),
            "class_fake": weight * cross_entropy(fake["class"], labels),
        }

    @override
    def auxiliary_g(self, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        assert samples.labels is not None
        return {"class_g": self.class_weight_g * cross_entropy(fake["class"], samples.labels)}
