"""PacGAN: a discriminator that judges several samples at a time."""

from typing import Any

from torch import nn

from lightning_gans.core.building import build
from lightning_gans.core.gan import GAN
from lightning_gans.networks import DiscriminatorSource, MLPDiscriminator

__all__ = ["PacGAN"]


class PacGAN(GAN):
    """PacGAN: the discriminator judges packs of samples, in which a lost mode shows.

    A pack consists of consecutive samples, all real or all generated. Images are joined along
    their channels and vectors along their entries, after the augmentation. Losses and regularizers
    read packs in the place of samples: a penalty reads the gradient of a whole pack.

    References:
        PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018),
        section 3, https://arxiv.org/abs/1712.04086. Here a batch has ``batch_size`` samples, so
        that an update has ``batch_size / pack_size`` packs; in the authors' code it has as many
        packs as a GAN has samples. Their code for points adds a term without a gradient to the
        generator's loss. The section was not compared with the paper.

    Args:
        pack_size: m, the samples of a pack, at least 2.
        discriminator: a module from packs (N / m, m * C, ...) to logits, or what makes one from
            the shape of a pack, as in `GAN`.
        **kwargs: as for `GAN`, but without classes: those of a pack would differ.

    Raises:
        ValueError: if ``pack_size`` is below 2, or there are classes.
    """

    def __init__(
        self,
        *,
        pack_size: int = 2,
        discriminator: DiscriminatorSource = MLPDiscriminator,
        **kwargs: Any,
    ) -> None:
        if pack_size < 2:
            raise ValueError(
                f"pack_size must be at least 2, got {pack_size}. Use GAN to judge single samples."
            )
        if kwargs.get("num_classes") is not None:
            raise ValueError(
                f"num_classes: PacGAN has no classes, got {kwargs['num_classes']}, since the "
                "samples of a pack would have several. Leave it out, or use GAN or CGAN."
            )

        def wide(data_shape: tuple[int, ...], **sizes: int) -> nn.Module:
            channels, *sides = data_shape
            shape = (pack_size * channels, *sides)
            return build("discriminator", discriminator, shape, **sizes)

        made = isinstance(discriminator, nn.Module)
        super().__init__(discriminator=discriminator if made else wide, **kwargs)
        self.pack_size = pack_size
