"""CoGAN: pairs of samples of two kinds, learnt without pairs."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.core.building import build
from lightning_gans.core.domains import DomainSamples, Shape, TwoDomainModule, sides
from lightning_gans.core.latent import LatentModule
from lightning_gans.core.network_checks import check_range
from lightning_gans.core.players import Domains, Pair, Player, Translated
from lightning_gans.core.priors import NormalPrior, Prior
from lightning_gans.core.showing import Drawing, fixed_latents
from lightning_gans.core.translating import floor_of, rows_of
from lightning_gans.networks import CoupledDiscriminator, CoupledGenerator

__all__ = ["CoGAN"]


class CoGAN(TwoDomainModule, LatentModule):
    """CoGAN: one latent makes a sample of each kind, and the two have the same content.

    There are a generator and a discriminator for each kind, which play the usual game. No loss
    compares the two kinds: that their samples belong together comes from the layers that the
    generators have in common, and the discriminators.

    References:
        Coupled Generative Adversarial Networks (Liu and Tuzel, 2016), equation 3 (its number was
        not checked), https://arxiv.org/abs/1606.07536

    Args:
        generator: a module from latents (N, Z) to pairs, joined along the first axis of a sample,
            or what makes one from Z and both shapes.
        discriminator: a module with the discriminators of both kinds as its attributes ``a`` and
            ``b``, or what makes one from both shapes.
        prior: distribution of the latents; by default a normal distribution with 100 entries.
        **kwargs: as for `TwoDomainModule`.

    Raises:
        ValueError: if an argument is out of range, or samples of both kinds cannot be joined.
    """

    comparisons = ("a", "b")
    num_classes = None

    def __init__(
        self,
        *,
        generator: Callable[[int, Shape, Shape], nn.Module] = CoupledGenerator,
        discriminator: Callable[[Shape, Shape], nn.Module] = CoupledDiscriminator,
        prior: Prior | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        a, b = self.shapes
        if a[1:] != b[1:]:
            raise ValueError(
                f"data_shapes: samples of shapes {a} and {b} cannot be joined, since they differ "
                "in more than channels. Use one size for both."
            )
        self.data_shape = (a[0] + b[0], *a[1:])
        self.prior = prior or NormalPrior(100)
        self.generator = build("generator", generator, self.prior.dim, a, b)
        self.discriminator = build(
            "discriminator", discriminator, a, b, **self.discriminator_sizes
        )

    @override
    def configure_players(self) -> list[Player]:
        return [self.discriminator_player(self.draw), self.generator_player([self.generator])]

    @property
    @override
    def discriminators(self) -> tuple[nn.Module, ...]:
        return self.discriminator.a, self.discriminator.b  # type: ignore[return-value]

    def parted(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the samples of the one and of the other kind in pairs that are joined."""
        one, other = torch.split(pairs, [shape[0] for shape in self.shapes], 1)
        return one, other

    @override
    def pictured(self, samples: Tensor) -> Tensor:
        """Returns pairs of images next to each other, shape (N, C, H, 2 W).

        C are the channels of the one with more: a grey image beside one in colours has three.
        Other pairs are left as they are.
        """
        least, most = sorted(shape[0] for shape in self.shapes)
        if samples.ndim != 4 or least not in (1, most):
            return samples
        return torch.cat([x.expand(-1, most, -1, -1) for x in self.parted(samples)], 3)

    @override
    def draw(self, batch: Domains) -> DomainSamples:
        latent = self.sample_latent(len(batch))
        return DomainSamples(batch.a, batch.b, *self.parted(self.generate(latent)))

    @override
    def tried(self) -> DomainSamples:
        data = getattr(self.trainer, "datamodule", None)
        pairs = self.example().fake
        check_range(self.generator, pairs, getattr(data, "value_range", None))
        return DomainSamples(*self.parted(pairs), *self.parted(pairs))

    @override
    def made_by(self, batch: Domains | Pair) -> Iterable[tuple[str, Tensor]]:
        return [("generator", samples) for samples in sides(batch)]

    # Evaluation ----------------------------------------------------------------------------------

    @override
    def evaluation_record(self, batch: Domains | Pair, batch_idx: int) -> Domains:  # type: ignore[override]
        latent = self._evaluation_latents(len(batch), batch_idx)
        return self._compared(batch, self.evaluated.sample(latent))

    def _compared(self, batch: Domains | Pair, pairs: Tensor) -> Domains:
        """Returns the evaluation record of generated pairs."""
        (a, b), (fake_a, fake_b) = sides(batch), self.parted(pairs)
        both: Any = Translated(a, fake_a, source=fake_b), Translated(b, fake_b, source=fake_a)
        return Domains(*both)

    @override
    def floor_record(self, batch: Domains | Pair) -> Domains:  # type: ignore[override]
        both: Any = (floor_of(real, None) for real in sides(batch))
        return Domains(*both)

    @override
    def pictures(self, real: Domains | Pair, number: int) -> dict[str, Drawing]:
        part = real.rows(slice(0, number))
        pairs = self.evaluated.sample(fixed_latents(self, len(part)))
        found: Any = self._compared(part, pairs)
        return {"samples": rows_of(found.b)}
