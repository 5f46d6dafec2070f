"""What GANs with an encoder have in common: codes, reconstructions, scores and pictures."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self, override

from lightning_gans.core.building import build
from lightning_gans.core.gan import GAN
from lightning_gans.core.latent import Coded
from lightning_gans.core.network_checks import check_discriminator, check_outputs
from lightning_gans.core.players import Batch, Player, Samples
from lightning_gans.core.priors import NormalPrior
from lightning_gans.core.showing import COLUMNS, Drawing, Grid
from lightning_gans.networks import evaluation_mode

__all__ = [
    *("Encoded", "EncoderSource", "EncodingGAN", "Reconstructed", "VariationalGAN"),
    "refuse",
]

EncoderSource = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes an encoder from Z and the shape of a sample, or is the encoder itself."""


def refuse(variant: str, arguments: Mapping[str, Any], **reasons: str) -> None:
    """Refuses arguments of a GAN that a variant has no use for.

    Args:
        variant: the variant.
        arguments: that it is made with.
        reasons: why it takes none, by the name of the argument.

    Raises:
        ValueError: if one is given.
    """
    for name, reason in reasons.items():
        if (value := arguments.get(name)) is not None:
            raise ValueError(
                f"{name}: {variant} takes none, since {reason}; got {value}. Leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class Reconstructed(Samples):
    """Samples whose fakes are reconstructions of the real ones.

    Attributes:
        mean: of the normal distributions that the latents were drawn from, shape (N, Z).
        log_sd: log of their standard deviations, shape (N, Z).
    """

    mean: Tensor
    log_sd: Tensor


@dataclass(frozen=True, kw_only=True)
class Encoded(Coded):
    """Samples of the prior, and what the encoder finds in the real ones.

    Attributes:
        code: of the real samples, shape (N, Z).
        reconstruction: what the codes generate, shape (N, ...).
        told: classes of the real samples that a code tells, int64, shape (N,), or None.
    """

    code: Tensor
    reconstruction: Tensor
    told: Tensor | None = None


class EncodingGAN(GAN):
    """A GAN with an encoder, which finds latents of samples: their codes.

    Args:
        encoder: a module from samples (N, ...) to codes (N, Z), or to the mean and the log of the
            standard deviation of each entry, two tensors (N, Z), from which codes are drawn; or
            what makes one from Z and ``data_shape``.
        **kwargs: as for `GAN`.
    """

    averaged = ("generator", "encoder")

    def __init__(self, *, encoder: EncoderSource, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._makes_encoder = None if isinstance(encoder, nn.Module) else encoder
        self.encoder = build("encoder", encoder, self.prior.dim, self.data_shape)

    @override
    def configure_players(self) -> list[Player]:
        """Returns the discriminator, and encoder and generator as one player."""
        discriminator, generator = super().configure_players()
        return [discriminator, replace(generator, networks=[self.encoder, self.generator])]

    @abstractmethod
    @override
    def draw(self, batch: Batch) -> Samples:
        """Returns what the discriminator is shown of a batch, where the models differ."""

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns mean and log of the standard deviation of samples' codes, both (N, Z).

        The deviation is None if the encoder returns the codes themselves. They describe the
        encoder's outputs before `coded`.
        """
        outputs, shape = self.encoder(x), (len(x), self.prior.dim)
        if isinstance(outputs, Tensor):
            return check_outputs("encoder", outputs, shape), None
        if not (isinstance(outputs, tuple | list) and len(outputs) == 2):
            raise ValueError(
                "encoder: it must return codes, or two tensors, mean and log of the standard "
                f"deviation of the codes, got {type(outputs).__name__}."
            )
        mean, log_sd = (check_outputs("encoder", output, shape) for output in outputs)
        return mean, log_sd

    def coded(self, outputs: Tensor) -> Tensor:
        """Returns the codes that outputs of the encoder stand for, both of shape (N, Z).

        They are the codes themselves, unless a model says otherwise.
        """
        return outputs

    def draw_codes(self, x: Tensor) -> Tensor:
        """Returns codes of samples, shape (N, Z), drawn if the encoder tells deviations."""
        mean, log_sd = self.locate(x)
        drawn = mean if log_sd is None else mean + torch.randn_like(mean) * log_sd.exp()
        return self.coded(drawn)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Returns the code of each sample or its mean, shape (N, Z), in evaluation mode."""
        with evaluation_mode(self.encoder), torch.autocast(x.device.type, enabled=False):
            return self.coded(self.locate(x.to(self.dtype))[0]).to(self.dtype)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the samples that the codes generate, shape (N, ...).

        Args:
            x: samples, shape (N, ...).
            labels: the classes that they get, int64, shape (N,).
        """
        return self.sample(self.encode(x), labels)

    def untrained(self) -> Self | None:
        """Returns a view of this model with a new encoder, always the same, to compare with.

        Returns None if the encoder was given as a module, whose initial weights are not known.
        """
        if self._makes_encoder is None:
            return None
        view, like = copy.copy(self), next(self.encoder.parameters())
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            encoder = build("encoder", self._makes_encoder, self.prior.dim, self.data_shape)
        view._modules = {**self._modules, "encoder": encoder.to(like.device, like.dtype)}
        return view

    @override
    def evaluation_record(self, batch: Batch, batch_idx: int) -> Encoded:
        samples = super().evaluation_record(batch, batch_idx)
        code = self.evaluated.encode(batch.real)
        again = self.evaluated.sample(code, batch.labels)
        return Encoded(**vars(samples), code=code, reconstruction=again)

    @override
    def final_pictures(self, real: Batch) -> dict[str, Drawing]:
        """Returns in addition real images over their reconstructions."""
        found = super().final_pictures(real)
        if real.real.ndim == 2:
            return found
        columns = min(COLUMNS, len(real))
        part: Batch = real.rows(slice(0, min(4, len(real) // columns) * columns))
        again = self.evaluated.reconstruct(part.real, part.labels)
        rows = [x.reshape(-1, columns, *again.shape[1:]) for x in (part.real, again)]
        found["reconstructions"] = Grid(
            torch.stack(rows, 1).flatten(0, 2), columns, "real, reconstructed below"
        )
        return found

    @override
    def check_networks(self) -> None:
        check_discriminator(self.locate, self.example().fake, name="encoder")
        super().check_networks()


class VariationalGAN(EncodingGAN):
    """A GAN with the encoder and the decoder, its generator, of a variational autoencoder.

    Args:
        encoder: as for `EncodingGAN`, but it tells mean and deviation.
        **kwargs: as for `EncodingGAN`.

    Raises:
        ValueError: if the prior is not the normal distribution that the divergence is from.
    """

    def __init__(self, *, encoder: EncoderSource, **kwargs: Any) -> None:
        super().__init__(encoder=encoder, **kwargs)
        if not isinstance(self.prior, NormalPrior):
            raise ValueError(
                "prior must be a NormalPrior, since the loss pulls the latents towards a normal "
                f"distribution, got {self.prior}."
            )

    @override
    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and log of the standard deviation of samples' latents, both (N, Z)."""
        mean, log_sd = super().locate(x)
        if log_sd is None:
            raise ValueError(
                "encoder: it must return two tensors, mean and log of the standard deviation of "
                "the latents, got one."
            )
        return mean, log_sd

    def draw_reconstructions(self, batch: Batch) -> Reconstructed:
        """Generates from latents of the real samples, each of the sample's own class.

        Outside of autocast: half precision cannot tell a probability near 1 from 1.
        """
        mean, log_sd = self.locate(batch.real)
        latent = mean + torch.randn_like(mean) * log_sd.exp()
        with torch.autocast(mean.device.type, enabled=False):
            fake = self.generate(latent.to(self.dtype), batch.labels)
        return Reconstructed(batch.real, fake, latent, batch.labels, mean=mean, log_sd=log_sd)
