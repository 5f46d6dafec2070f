"""CycleGAN: translation between two kinds of samples without pairs."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss
from typing_extensions import override

from lightning_gans.core.building import build, check_makes_two, check_updates, check_weights
from lightning_gans.core.domains import DomainSamples, sides
from lightning_gans.core.history import History
from lightning_gans.core.players import Domains, Pair, Player
from lightning_gans.core.showing import Drawing
from lightning_gans.core.translating import (
    TranslationModule,
    TranslatorSource,
    floor_of,
    rows_of,
)
from lightning_gans.losses import LeastSquares, LossSource
from lightning_gans.losses.base import check_choice
from lightning_gans.networks import DiscriminatorSource, PatchDiscriminator, ResNetTranslator

__all__ = ["CycleGAN"]

DISTANCES = {"l1": l1_loss, "l2": mse_loss}
"""What tells how far a sample is from itself, translated there and back."""


class CycleGAN(TranslationModule):
    """CycleGAN: two translators, and the way there and back leads to where it began.

    In each round the translators make their update first. The discriminators then judge what the
    translators have made in it, and some of what they made before, see `History`. With several
    updates of the discriminators the translators translate anew for each.

    The two translators may agree on a wrong map just as well: to be back at the start says nothing
    about what lies between. Whether a translation is right is seen on pairs, or by classes.
    DiscoGAN and DualGAN have other losses and networks: see the configs ``discogan_folder`` and
    ``dualgan_folder``.

    References:
        Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et
        al., 2017), equations 1 to 3 and section 5.2 for the identity loss (their numbers were not
        checked), https://arxiv.org/abs/1703.10593. Weights are those of the authors' code.

    Args:
        translator: makes a translator from the shapes of what it reads and of what it makes; it is
            called for each direction.
        discriminator: makes a discriminator from the shape of a sample; it is called for each
            kind.
        loss: see `TwoDomainModule`.
        distance: of a sample from its way there and back, and from its translation to its own
            kind: the mean ``"l1"``, or the mean square, ``"l2"``.
        cycle_weight: factor of the first, at least 0.
        identity_weight: factor of the second, at least 0. It keeps a translator from changing
            what it need not, such as colours; where values have to be inverted it is in the way.
        history_size: past translations of each kind that are kept; 0 for none.
        updates_g: updates of the translators in each round, at least 1.
        discriminator_weight: see `TwoDomainModule`; the paper's is 1/2.
        **kwargs: as for `TwoDomainModule`.

    Raises:
        ValueError: if an argument is out of range, or samples of different shapes have an identity
            loss.
    """

    averaged = ("to_a", "to_b")
    comparisons = ("a", "b")
    translators: Mapping[str, str] = {"a_to_b": "to_b", "b_to_a": "to_a"}

    def __init__(
        self,
        *,
        translator: TranslatorSource = ResNetTranslator,
        discriminator: DiscriminatorSource = PatchDiscriminator,
        loss: LossSource = lambda: LeastSquares(weight=1.0),
        distance: Literal["l1", "l2"] = "l1",
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        history_size: int = 50,
        updates_g: int = 1,
        discriminator_weight: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, discriminator_weight=discriminator_weight, **kwargs)
        check_weights(cycle_weight=cycle_weight, identity_weight=identity_weight)
        check_choice("distance", distance, DISTANCES)
        check_updates("updates_g", updates_g)
        if history_size < 0:
            raise ValueError(f"history_size must be at least 0, got {history_size}. Use 50.")
        check_makes_two("CycleGAN", translator=translator, discriminator=discriminator)
        a, b = self.shapes
        if identity_weight > 0 and a != b:
            raise ValueError(
                f"identity_weight must be 0 for samples of shapes {a} and {b}, got "
                f"{identity_weight}: a translator reads only one of them."
            )
        self.to_a, self.to_b = build("to_a", translator, b, a), build("to_b", translator, a, b)
        made = partial(build, "discriminator", discriminator, **self.discriminator_sizes)
        self.discriminator_a, self.discriminator_b = made(a), made(b)
        self.history = nn.ModuleList(History(history_size, s) for s in (a, b) if history_size)
        self.distance = DISTANCES[distance]
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.updates_g = updates_g
        self._made: DomainSamples | None = None

    @override
    def configure_players(self) -> list[Player]:
        translators = self.generator_player([self.to_a, self.to_b])
        discriminators = self.discriminator_player(self.remember)
        return [replace(translators, updates=self.updates_g), discriminators]

    @property
    @override
    def discriminators(self) -> tuple[nn.Module, ...]:
        return self.discriminator_a, self.discriminator_b

    # What the players see ------------------------------------------------------------------------

    @override
    def draw(self, batch: Domains) -> DomainSamples:
        return DomainSamples(batch.a, batch.b, self.to_a(batch.b), self.to_b(batch.a))

    def remember(self, batch: Domains) -> DomainSamples:
        """Returns what the discriminators judge: translations of now and of before."""
        if not self._round.playing:
            return self.draw(batch)
        made, self._made = self._made or self.draw(batch), None
        if not self.history:
            return made
        gather, rank = self.trainer.strategy.all_gather, self.global_rank
        fakes = zip(self.history, (made.fake_a, made.fake_b), strict=True)
        fake_a, fake_b = (history(fake, gather, rank) for history, fake in fakes)
        return replace(made, fake_a=fake_a, fake_b=fake_b)

    @override
    def after_turn(self, player: Player, seen: Any, terms: Mapping[str, Tensor]) -> None:
        super().after_turn(player, seen, terms)
        if player.name == "generator" and self.n_critic == 1:  # which sees the same samples next
            # Without the graph, which belongs to weights that have changed since.
            self._made = DomainSamples(seen.a, seen.b, seen.fake_a.detach(), seen.fake_b.detach())

    @override
    def generator_loss(self, samples: DomainSamples) -> dict[str, Tensor]:
        terms, a, b = super().generator_loss(samples), samples.a, samples.b
        ways = ("a", self.to_a, a, samples.fake_b), ("b", self.to_b, b, samples.fake_a)
        for name, to, x, fake in ways:
            terms[f"cycle_{name}"] = self.cycle_weight * self.distance(to(fake), x)
            if self.identity_weight > 0:
                terms[f"identity_{name}"] = self.identity_weight * self.distance(to(x), x)
        return terms

    # Evaluation ----------------------------------------------------------------------------------

    @override
    def evaluation_record(self, batch: Domains | Pair, batch_idx: int) -> Domains:
        both: Any = self.translated(batch, "b_to_a"), self.translated(batch)
        return Domains(*both)

    @override
    def floor_record(self, batch: Domains | Pair) -> Domains:
        floors: Any = (floor_of(x, getattr(batch, "labels", None)) for x in sides(batch))
        return Domains(*floors)

    @override
    def pictures(self, real: Domains | Pair, number: int) -> dict[str, Drawing]:
        part = real.rows(slice(0, number))
        found = self.translated(part), self.translated(part, "b_to_a")
        return dict(zip(("samples", "samples_a"), map(rows_of, found), strict=True))
