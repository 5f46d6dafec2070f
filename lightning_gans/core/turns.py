"""What happens in a player's turn: draws, views, regularizers, and what comes after an update."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from lightning_gans.augment import Augmentation
from lightning_gans.core.players import Player, Record
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import Regularizer, View, WeightRegularizer

__all__ = [
    "Judged",
    "Round",
    "after_update",
    "draws",
    "following",
    "regularize",
    "require_gradients",
    "valued",
    "views_of",
]

Judged = dict[str, tuple[Tensor | None, Tensor]]
"""Outputs of real and generated samples in an update, by the name of the discriminator."""


@dataclass
class Round:
    """Where a round is. A plain object, since attributes of modules are slow to set.

    Attributes:
        update: the number of the round, from 1.
        logs: whether it ends with a row of the log.
        playing: whether players take their turns.
        rehearsing: whether losses are tried before the first round.
        noted: what the current update has noted.
        judged: outputs of discriminators in the current update.
        batch: that the round is played on.
        seen: what the current update sees.
        norm_key: key of the current player's gradient norm.
        norms: of gradients, by key.
    """

    update: int = 0
    logs: bool = False
    playing: bool = False
    rehearsing: bool = False
    noted: dict[str, Tensor] = field(default_factory=dict)
    judged: Judged = field(default_factory=dict)
    batch: Record = field(default_factory=Record)
    seen: Record = field(default_factory=Record)
    norm_key: str = ""
    norms: dict[str, Tensor] = field(default_factory=dict)


def require_gradients(trained: Mapping[str, Sequence[nn.Parameter]], name: str | None) -> None:
    """Lets the parameters of one player alone require gradients, or those of all.

    Args:
        trained: the parameters of all players, by name.
        name: of the player; None for all. A parameter may belong to several.
    """
    for other, parameters in trained.items():
        if other != name:
            for parameter in parameters:
                parameter.requires_grad_(name is None)
    for parameter in () if name is None else trained[name]:
        parameter.requires_grad_(True)


def draws(
    player: Player, rows: Record, size: int, mix: Callable[[Any], Record] | None = None
) -> Iterator[Record]:
    """Yields what each update of a turn sees, drawn all at once where that changes nothing.

    Args:
        player: whose turn it is.
        rows: of the batch, for all its updates.
        size: rows of one update.
        mix: maps what it sees to what it sees instead.

    Raises:
        ValueError: if its draw returns no record, or another number of rows than it should.
    """
    at_once = player.draws_at_once and player.updates > 1
    number = len(rows) if at_once else size
    for part in rows.split(number):
        seen = part if player.draw is None else player.draw(part)
        if not isinstance(seen, Record) or len(seen) != number * player.factor:
            found = f"{len(seen)}" if isinstance(seen, Record) else f"a {type(seen).__name__}"
            raise ValueError(
                f"{player.name}: draw must return a record with {number * player.factor} rows for "
                f"{number} rows of the batch (factor {player.factor}), got {found}."
            )
        seen = seen if mix is None else mix(seen)
        yield from seen.split(int(size * player.factor))


def views_of(
    player: Player, seen: Record, judged: Judged, losses: Mapping[str, AdversarialLoss]
) -> list[View]:
    """Returns what a player's discriminators are shown, with their outputs in the loss.

    Args:
        player: whose views they are.
        seen: what it sees.
        judged: the outputs.
        losses: by the name of the discriminator.
    """
    views = () if player.views is None else player.views(seen)
    found = []
    for view in views:
        real, fake = judged.get(view.name, (None, None))
        view = replace(view, real_logits=real, fake_logits=fake)
        if view.name in judged:
            view = replace(valued(view, losses[view.name]), verdict=losses[view.name].verdict)
        found.append(view)
    return found


def valued(view: View, loss: AdversarialLoss) -> View:
    """Returns a view whose discriminator gives each sample one value, if the loss reads several.

    Args:
        view: what the discriminator is shown.
        loss: of this discriminator.
    """
    if type(loss).critic is AdversarialLoss.critic:
        return view
    read, known_real, known_fake = view.discriminate, view.real_logits, view.fake_logits

    def value(x: Tensor) -> Tensor:
        real = read(view.real) if known_real is None else known_real
        fake = read(view.fake) if known_fake is None else known_fake
        return loss.critic(read(x), real, fake)

    if known_real is None or known_fake is None:
        return replace(view, discriminate=value, real_logits=None, fake_logits=None)
    return replace(
        view,
        discriminate=value,
        real_logits=loss.critic(known_real, known_real, known_fake),
        fake_logits=loss.critic(known_fake, known_real, known_fake),
    )


def regularize(
    player: Player,
    seen: Record,
    judged: Judged,
    losses: Mapping[str, AdversarialLoss],
    due: Sequence[bool],
) -> dict[str, Tensor]:
    """Returns the terms of a player's regularizers.

    Args:
        player: whose they are.
        seen: what it sees.
        judged: outputs of its discriminators in the loss.
        losses: by the name of the discriminator.
        due: which of them are computed.
    """
    views = views_of(player, seen, judged, losses)
    terms = {}
    for regularizer, is_due in zip(player.regularizers, due, strict=True):
        if not is_due:
            continue
        if isinstance(regularizer, WeightRegularizer):
            penalty = regularizer(player.networks)
        else:
            first, *others = (regularizer(view) for view in views)
            penalty = sum(others, first)
        # Those of a discriminator have no ending: most games regularize nothing else.
        end = "" if player.key == "d" else f"_{player.key}"
        every = regularizer.every
        terms[f"{regularizer.name}{end}"] = penalty if every == 1 else every * penalty
    return terms


def following(
    player: Player, losses: Mapping[str, AdversarialLoss], augment: nn.Module | None
) -> list[Any]:
    """Returns what has a state that each update of a player changes.

    Args:
        player: whose update it is.
        losses: by the name of the discriminator.
        augment: the augmentation, if there is one.
    """
    judges = player.name == "discriminator"
    bases: Any = (
        *((loss, AdversarialLoss) for loss in losses.values()),
        *((regularizer, Regularizer) for regularizer in player.regularizers),
        *([(augment, Augmentation)] if judges and isinstance(augment, Augmentation) else ()),
    )
    return [part for part, base in bases if type(part).after_turn is not base.after_turn]


def after_update(
    player: Player,
    seen: Record,
    judged: Judged,
    losses: Mapping[str, AdversarialLoss],
    parts: Sequence[Any],
    mean: Callable[[Tensor], Tensor],
) -> None:
    """Lets losses, regularizers and the augmentation update their state.

    Args:
        player: who has made the update.
        seen: what it saw.
        judged: outputs of discriminators.
        losses: by the name of the discriminator.
        parts: those with a state: see `following`.
        mean: takes the mean of a tensor over all processes.
    """
    judged = {
        name: (None if real is None else real.detach(), fake.detach())
        for name, (real, fake) in judged.items()
    }
    for name, (real, fake) in judged.items():
        if losses[name] in parts:
            losses[name].after_turn(player.name, real, fake, mean)
    if player.views is not None:
        views = views_of(player, seen, judged, losses)
        for part in parts:
            if not isinstance(part, AdversarialLoss):
                part.after_turn(views, mean)
