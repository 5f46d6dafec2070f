"""What losses are made of: outputs of discriminators, named terms, and values to log."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lightning_gans.core.checks import check_name_is_free
from lightning_gans.core.evaluating import EvaluatedModule
from lightning_gans.core.network_checks import check_logits
from lightning_gans.core.players import Player, Record
from lightning_gans.core.turns import Judged, Round, regularize
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import View

__all__ = ["TermsModule"]


class TermsModule(EvaluatedModule):
    """A module whose players have losses of named terms, and what these may call.

    Args:
        augment: maps samples to samples of the same shape, see `augmented`; none if it is None.

    Raises:
        ValueError: if ``augment`` is no module.
    """

    def __init__(self, augment: nn.Module | None = None) -> None:
        super().__init__()
        if not isinstance(augment, nn.Module | None):
            raise ValueError(f"augment must be a module, such as DiffAugment(), got {augment!r}.")
        self.augment = augment
        self._losses: dict[str, AdversarialLoss] = {}
        self._round = Round()

    def augmented(self, x: Tensor) -> Tensor:
        """Returns samples as a discriminator reads them: augmented in updates, and only there.

        Real and generated samples are augmented alike, in the turns of all players. Checks,
        evaluation and pictures see samples as they are.
        """
        return self.augment(x) if self._round.playing and self.augment is not None else x

    def adversarial_d(
        self, loss: AdversarialLoss, real: Tensor, fake: Tensor, name: str = ""
    ) -> Tensor:
        """Returns a discriminator's loss, and notes its values as ``d_real`` and ``d_fake``.

        Args:
            loss: of this discriminator.
            real: outputs of real samples.
            fake: outputs of generated samples, the same shape.
            name: of the discriminator, where there are several; it ends the keys in the logs.

        Raises:
            ValueError: if the shapes differ, or an update has two discriminators of one name.
        """
        self._judge(loss, real, fake, name)
        end = f"_{name}" if name else ""
        logits = real.detach(), fake.detach()
        at_real, at_fake = (loss.critic(side, *logits) for side in logits)
        values = {"d_real": at_real, "d_fake": at_fake, **loss.log(*logits)}
        self.note(**{f"{key}{end}": value for key, value in values.items()})
        return loss.discriminator(real, fake)

    def adversarial_g(
        self, loss: AdversarialLoss, fake: Tensor, real: Tensor | None = None, name: str = ""
    ) -> Tensor:
        """Returns the loss of a generator against a discriminator.

        Args:
            loss: of this discriminator.
            fake: outputs of generated samples.
            real: outputs of real samples, for a loss that ``needs_real``.
            name: of the discriminator, where there are several.

        Raises:
            ValueError: as `adversarial_d`.
        """
        self._judge(loss, real, fake, name)
        return loss.generator(fake, real)

    def view_loss_d(self, loss: AdversarialLoss, view: View) -> Tensor:
        """Returns a discriminator's loss on what it is shown, as `adversarial_d` does."""
        real, fake = view.discriminate(view.real), view.discriminate(view.fake)
        return self.adversarial_d(loss, real, fake, view.name)

    def view_loss_g(self, loss: AdversarialLoss, view: View) -> Tensor:
        """Returns a generator's loss against a discriminator, as `adversarial_g` does."""
        real = None
        if loss.needs_real:
            with torch.no_grad():  # no gradient of a generator runs through real samples
                real = view.discriminate(view.real)
        return self.adversarial_g(loss, view.discriminate(view.fake), real, view.name)

    def _judge(self, loss: AdversarialLoss, real: Tensor | None, fake: Tensor, name: str) -> None:
        check_logits(loss, real, fake)
        if self._round.rehearsing:
            check_name_is_free("name", name, self._round.judged)
        if name not in self._losses:
            self._losses[name] = loss
        self._round.judged[name] = (real, fake)

    def note(self, **values: Tensor) -> None:
        """Adds the means of some tensors to the rows of the log.

        Raises:
            ValueError: if an update notes a name twice.
        """
        for name, value in values.items():
            if self._round.rehearsing:
                check_name_is_free("note", name, self._round.noted)
            self._round.noted[name] = (value.mean() if value.ndim > 0 else value).detach()

    def mean_over_processes(self, value: Tensor) -> Tensor:
        """Returns the mean of a tensor over all processes."""
        return cast("Tensor", self.trainer.strategy.reduce(value, reduce_op="mean"))

    def evaluate_terms(
        self, player: Player, seen: Record, due: Sequence[bool]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Judged]:
        """Returns the terms of a player's loss, what it noted, and outputs of discriminators.

        Args:
            player: whose loss it is.
            seen: what it sees.
            due: which of its regularizers this update computes.
        """
        now = self._round
        now.noted, now.judged = {}, {}
        terms = player.loss(seen)
        if not isinstance(terms, dict):
            raise ValueError(
                f"{player.loss_name} must return a dict of named terms, such as "
                f'{{"adversarial": loss}}, got {type(terms).__name__}.'
            )
        if any(due):
            terms = {**terms, **regularize(player, seen, now.judged, self._losses, due)}
        return terms, now.noted, now.judged
