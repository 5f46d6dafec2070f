"""Games about two kinds of samples, each with a shape of its own."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from math import lcm
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.augment import Augmentation
from lightning_gans.core.batch_checks import check_packs, check_sides
from lightning_gans.core.building import (
    build_part,
    check_energies,
    check_judges,
    check_makes,
    check_moves,
    check_regularizers,
    check_shapes,
    check_updates,
    check_weights,
)
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.network_checks import check_augment, check_discriminator
from lightning_gans.core.outputs import Outputs, view_of
from lightning_gans.core.players import Domains, Pair, Player, Record
from lightning_gans.losses import AdversarialLoss, LossSource, NonSaturating
from lightning_gans.networks.inspect import group_size_of
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import Regularizer, View

__all__ = ["DomainSamples", "Shape", "TwoDomainModule", "sides"]

Shape = tuple[int, ...]
"""Of one sample, without the batch."""


@dataclass(frozen=True)
class DomainSamples(Domains):
    """Samples of two kinds, and generated ones of both.

    Attributes:
        fake_a: generated samples like ``a``, shape (N, ...).
        fake_b: generated samples like ``b``, shape (N, ...).
    """

    fake_a: Tensor
    fake_b: Tensor


def sides(batch: Record) -> tuple[Tensor, Tensor]:
    """Returns the samples of the one and of the other kind.

    Args:
        batch: `Domains` or a `Pair`.
    """
    first, second, *_ = vars(batch).values()
    return first, second


class TwoDomainModule(AdversarialModule):
    """Base of the games about two kinds of samples.

    Args:
        data_shape: shape of one sample of either kind, without the batch. The command line takes
            it from the data.
        data_shapes: shapes of a sample of the one and of the other kind, in the place of
            ``data_shape``. The command line takes them from data of two kinds.
        loss: the adversarial loss of each discriminator, see `lightning_gans.losses`.
        regularizers: added to the discriminators' loss, see `lightning_gans.regularizers`.
        regularizers_g: added to the generators' loss.
        adversarial_weight: factor of the generators' adversarial loss, at least 0.
        discriminator_weight: factor of the discriminators', at least 0.
        n_critic: updates of the discriminators in each round, at least 1.
        optimizer_g: makes the optimizer of the generators from their parameters.
        optimizer_d: makes the discriminators'.
        **kwargs: as for `AdversarialModule`.

    Attributes:
        makes_pairs: True: the records of its evaluation tell as ``source`` what a generated sample
            was made from, or belongs to, for metrics that compare the two.
        judged: names of the kinds that have a discriminator, which end the keys in the logs; ""
            for the only one.
        shapes: of one sample of each kind.
        losses: one for each discriminator.

    Raises:
        ValueError: if an argument is out of range, or the networks do not fit each other or the
            data; always before the first update.
    """

    makes_pairs: ClassVar[bool] = True
    judged: ClassVar[tuple[str, ...]] = ("a", "b")
    trains_on: ClassVar[tuple[type[Record], ...]] = (Domains,)
    evaluates_on: ClassVar[tuple[type[Record], ...]] = (Domains, Pair)

    def __init__(
        self,
        *,
        data_shape: Shape | None = None,
        data_shapes: tuple[Shape, Shape] | None = None,
        loss: LossSource = NonSaturating,
        regularizers: Sequence[Regularizer] = (),
        regularizers_g: Sequence[Regularizer] = (),
        adversarial_weight: float = 1.0,
        discriminator_weight: float = 1.0,
        n_critic: int = 1,
        optimizer_g: OptimizerCallable = GANAdam,
        optimizer_d: OptimizerCallable = GANAdam,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_updates("n_critic", n_critic)
        check_makes(optimizer_g=optimizer_g, optimizer_d=optimizer_d)
        check_weights(
            adversarial_weight=adversarial_weight, discriminator_weight=discriminator_weight
        )
        given = data_shapes or (data_shape, data_shape)
        if None in given:
            raise ValueError("data_shape must be given, or data_shapes for samples of two shapes.")
        for shape in given:
            check_shapes(data_shape=shape)
        one, other = (tuple(map(int, shape or ())) for shape in given)
        self.shapes = one, other
        first = build_part("loss", loss, AdversarialLoss)
        check_energies(first, False, self)
        check_regularizers(regularizers=regularizers, regularizers_g=regularizers_g)
        check_judges(regularizers)
        check_moves(regularizers_g)
        self.losses = nn.ModuleList([first, *(copy.deepcopy(first) for _ in self.judged[1:])])
        self.regularizers = nn.ModuleList(regularizers)
        self.regularizers_g = nn.ModuleList(regularizers_g)
        self.adversarial_weight = adversarial_weight
        self.discriminator_weight = discriminator_weight
        self.n_critic = n_critic
        self.optimizer_g = optimizer_g
        self.optimizer_d = optimizer_d
        self._sizes = {"logit": first.num_outputs}
        self._reads_features = any(r.reads_features for r in (*regularizers, *regularizers_g))

    # What a subclass says ------------------------------------------------------------------------

    @abstractmethod
    def draw(self, batch: Any) -> Record:
        """Returns what the generators make of a batch, for the losses of all players."""

    @property
    @abstractmethod
    def discriminators(self) -> tuple[nn.Module, ...]:
        """The discriminators, in the order of ``judged``."""

    @override
    def mixed(self, seen: Any) -> Record:
        assert isinstance(self.augment, Augmentation)
        made: Callable[[], Any] = cache(partial(self.draw, seen))
        a = self.augment.mixed(seen.a, lambda: made().fake_a)
        return replace(seen, a=a, b=self.augment.mixed(seen.b, lambda: made().fake_b))

    def views(self, samples: Any) -> list[View]:
        """Returns what each discriminator is shown."""
        shown = (samples.a, samples.fake_a), (samples.b, samples.fake_b)
        parts = zip(self.discriminators, shown, self.judged, strict=True)
        return [self.view(network, *both, name, samples) for network, both, name in parts]

    # What it may call ----------------------------------------------------------------------------

    @property
    def discriminator_sizes(self) -> dict[str, int]:
        """The arguments that a discriminator is made with for the loss."""
        number = self._sizes["logit"]
        return {} if number == 1 else {"num_outputs": number}

    def discriminator_player(self, draw: Callable[[Any], Record]) -> Player:
        """Returns the player of the discriminators.

        Args:
            draw: returns what it sees of a batch.
        """
        return Player(
            "discriminator",
            self.discriminators,
            self.discriminator_loss,
            self.optimizer_d,
            draw,
            updates=self.n_critic,
            views=self.views,
            regularizers=cast("list[Regularizer]", [*self.regularizers]),
        )

    def generator_player(self, networks: Sequence[nn.Module]) -> Player:
        """Returns the player of the generators, which updates some networks."""
        return Player(
            "generator",
            networks,
            self.generator_loss,
            self.optimizer_g,
            self.draw,
            views=self.views,
            regularizers=cast("list[Regularizer]", [*self.regularizers_g]),
        )

    def outputs(self, network: nn.Module, x: Tensor) -> Outputs:
        """Returns what a discriminator says of samples, which are augmented in updates.

        Args:
            network: the discriminator.
            x: samples, shape (N, ...).

        Returns:
            ``logit``, shape (N,) or (N, 1, h, w), or (N, d) for a loss that reads d numbers, in
            single precision or better. If a regularizer reads them, also ``features``.
        """
        x = self.augmented(x)
        return Outputs.of(network, x, sizes=self._sizes, features=self._reads_features)

    def view(self, network: nn.Module, real: Tensor, fake: Tensor, name: str, seen: Any) -> View:
        """Returns what a discriminator is shown.

        Args:
            network: the discriminator.
            real: samples, shape (N, ...).
            fake: the same shape.
            name: of the discriminator.
            seen: all that the player sees.
        """
        read, features = partial(self.outputs, network), self._reads_features
        return view_of(read, real, fake, name, seen, features=features)

    def discriminator_loss(self, samples: Any) -> dict[str, Tensor]:
        """Returns the named terms of the discriminators' loss, without regularizers."""
        weight = self.discriminator_weight
        return {
            _key("adversarial_d", view): weight * self.view_loss_d(loss, view)
            for loss, view in zip(self._losses_by_view(), self.views(samples), strict=True)
        }

    def generator_loss(self, samples: Any) -> dict[str, Tensor]:
        """Returns the named terms of the generators' loss, without regularizers."""
        weight = self.adversarial_weight
        return {
            _key("adversarial_g", view): weight * self.view_loss_g(loss, view)
            for loss, view in zip(self._losses_by_view(), self.views(samples), strict=True)
        }

    def _losses_by_view(self) -> list[AdversarialLoss]:
        return cast("list[AdversarialLoss]", [*self.losses])

    # Before the first update ---------------------------------------------------------------------

    def tried(self) -> Record:
        """Returns what the players see of a batch of zeros, to try the discriminators on."""
        weight = next(self.parameters())  # the trainer has not moved the model to its device yet
        both = (torch.zeros(2, *s, dtype=weight.dtype, device=weight.device) for s in self.shapes)
        return self.draw(self.trains_on[0](*both))

    @override
    def check_networks(self) -> None:
        for view in self.views(self.tried()):
            check_augment(self.augment, view.fake)
            check_discriminator(view.discriminate, view.fake)

    @override
    def check(self, batch: Any) -> None:
        check_sides(batch, self.shapes)
        if self.training and not self.has_trained:
            number = len(batch) // self.batches_per_round
            check_packs(number, 1, self._group_size, self._least_samples)

    @cached_property
    def _group_size(self) -> int:
        return lcm(*map(group_size_of, self.discriminators))

    @property
    def _least_samples(self) -> int:
        losses = cast("list[AdversarialLoss]", self.losses)
        return max(loss.least_samples for loss in losses)

    @override
    def usable(self, number: int) -> int:
        if number < self._least_samples:
            return 0
        return number - number % self._group_size if number > self._group_size else number


def _key(name: str, view: View) -> str:
    return f"{name}_{view.name}" if view.name else name
