"""The auxiliary-classifier GAN."""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from lightning_gans.core.checks import check_outputs, check_weights
from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Samples
from lightning_gans.losses import minimax_discriminator_loss, non_saturating_generator_loss

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
    def discriminator_arguments(self) -> dict[str, int]:
        return {"num_outputs": 1 + self.num_classes}

    def tell(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits of being real, shape (N,), and of the classes, shape (N, K)."""
        shape = len(x), 1 + self.num_classes
        outputs = check_outputs("discriminator", self.discriminator(x), shape)
        return outputs[:, 0], outputs[:, 1:]

    @override
    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.tell(x)[0]

    @override
    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        assert samples.labels is not None
        real, classes_of_real = self.tell(samples.real)
        fake, classes_of_fake = self.tell(samples.fake)
        self.note(d_real=real, d_fake=fake)
        return {
            "adversarial_d": minimax_discriminator_loss(real, fake),
            "class_real": self.class_weight_d * cross_entropy(classes_of_real, samples.labels),
            "class_fake": self.class_weight_d * cross_entropy(classes_of_fake, samples.labels),
        }

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        assert samples.labels is not None
        fake, classes = self.tell(samples.fake)
        return {
            "adversarial_g": non_saturating_generator_loss(fake),
            "class_g": self.class_weight_g * cross_entropy(classes, samples.labels),
        }
