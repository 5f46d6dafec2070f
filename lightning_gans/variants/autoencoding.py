"""What GANs with an autoencoder for a discriminator have in common."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.outputs import Outputs
from lightning_gans.networks import (
    Autoencoder,
    AutoencoderGenerator,
    DiscriminatorSource,
    GeneratorSource,
)

__all__ = ["AutoencodingGAN"]


class AutoencodingGAN(GAN):
    """A GAN whose discriminator reconstructs samples: its output is the error of a sample.

    Args:
        generator: see `GAN`.
        discriminator: a module from samples (N, ...) to their reconstructions, or to these and
            their codes (N, ...); or what makes one from ``data_shape``.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if a regularizer reads features, which an autoencoder does not have.
    """

    gives_energies = True

    def __init__(
        self,
        *,
        generator: GeneratorSource = AutoencoderGenerator,
        discriminator: DiscriminatorSource = Autoencoder,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, discriminator=discriminator, **kwargs)
        if self._reads_features:
            raise ValueError(
                f"regularizers_g: one of them reads features, and the discriminator of a "
                f"{type(self).__name__} is an autoencoder, which has none. Leave it out."
            )

    @abstractmethod
    def error(self, difference: Tensor) -> Tensor:
        """Returns what each entry of a difference costs."""

    @override
    def outputs(self, x: Tensor, labels: Tensor | None = None) -> Outputs:
        """Returns the energy of samples, ``logit``, shape (N,), and ``code`` if there are codes.

        Raises:
            ValueError: if a reconstruction has another shape than the sample.
        """
        x = self.augmented(x)
        read = self.discriminator
        found = read(x) if self.num_classes is None else read(x, labels)
        rebuilt, *code = found if isinstance(found, tuple) else (found,)
        if rebuilt.shape != x.shape:
            raise ValueError(
                f"discriminator: it reconstructs samples of shape {tuple(x.shape[1:])} with shape "
                f"{tuple(rebuilt.shape[1:])}. Use an autoencoder, which keeps the shape."
            )
        dtype = torch.promote_types(x.dtype, torch.float32)
        energy = self.error(rebuilt.to(dtype) - x.to(dtype)).flatten(1).mean(1)
        return Outputs(logit=energy, **({"code": code[0].to(dtype)} if code else {}))
