"""Top-k training: the generator learns from its best samples."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Player
from lightning_gans.losses import AdversarialLoss

__all__ = ["TopKGAN"]

HIGH = 1e4
"""An output that a loss takes for a real sample's, if high ones are those of real samples."""


class TopKGAN(GAN):
    """Top-k training: the generator's loss leaves out the samples that are judged worst.

    Of the N samples of an update it keeps the k with the highest outputs of the discriminator, and
    takes the mean of their losses. k / N is ``decay`` to the power of the number of updates over
    ``every``, rounded down, until it has come down to ``smallest_share``: a function of the update
    alone, so that a resumed run continues with it. ``train/kept`` is the share that is kept.

    Under several processes each keeps the best of its own samples.

    References:
        Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples (Sinha et
        al., 2020), section 3, https://arxiv.org/abs/2002.06224, not compared with the paper, which
        changes k after each epoch. Data here may have no epochs: ``every`` counts updates. The
        defaults are about those of the paper for a few hundred updates in an epoch.

    Args:
        decay: factor of the share, above 0 and at most 1; the paper's gamma.
        smallest_share: of the samples that are kept, above 0 and at most 1; the paper's nu, which
            is said to be 0.5 or 0.75.
        every: generator updates between two factors, at least 1.
        **kwargs: as for `GAN`. The loss must be a mean over samples: one that compares samples
            with each other cannot leave any out.

    Raises:
        ValueError: if an argument is out of range, or the loss does not fit.
    """

    def __init__(
        self,
        *,
        decay: float = 0.99,
        smallest_share: float = 0.5,
        every: int = 500,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, usual in (
            ("decay", decay, 0.99),
            ("smallest_share", smallest_share, 0.5),
        ):
            if not 0 < value <= 1:
                raise ValueError(
                    f"{name} must be above 0 and at most 1, got {value}. Use {usual} as in the "
                    "paper."
                )
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}. Use 500.")
        _check_loss(self.loss)
        self.decay = decay
        self.smallest_share = smallest_share
        self.every = every
        # On the CPU wherever the model is, like the weights of regularizers. A number would make
        # a compiled loss anew whenever it changes.
        self.share = torch.ones((), dtype=torch.float64)

    def share_at(self, update: int) -> float:
        """Returns the share of samples that is kept in an update of the generator.

        Args:
            update: its number, from 1.
        """
        return max(self.decay ** ((update - 1) // self.every), self.smallest_share)

    @override
    def after_turn(self, player: Player, seen: Any, terms: Mapping[str, Tensor]) -> None:
        super().after_turn(player, seen, terms)
        if player.name == "discriminator":  # the generator's turn comes next
            self.share.fill_(self.share_at(self._round.update))

    @override
    def adversarial_g(
        self, loss: AdversarialLoss, fake: Tensor, real: Tensor | None = None, name: str = ""
    ) -> Tensor:
        self._judge(loss, real, fake, name)
        outputs = fake.flatten()  # each patch counts as a sample
        outputs = outputs[outputs.detach().argsort(descending=True, stable=True)]
        losses = _each(loss, outputs)
        number = (self.share * len(outputs)).floor().clamp(min=1)
        kept = torch.arange(len(outputs), device=fake.device) < number
        self.note(kept=kept.to(losses.dtype))
        return torch.where(kept, losses, 0.0).sum() / kept.sum()


def _each(loss: AdversarialLoss, outputs: Tensor) -> Tensor:
    """Returns the generator's loss of each output, shape (N,)."""
    return torch.vmap(lambda output: loss.generator(output[None]))(outputs)


def _check_loss(loss: AdversarialLoss) -> None:
    """Refuses a loss that is no mean over samples, or whose outputs are low for real ones."""
    name = type(loss).__name__
    outputs = torch.tensor([-1.0, 0.25, 1.0])
    losses = _each(loss, outputs) if not loss.needs_real and loss.num_outputs == 1 else None
    if losses is None or not torch.allclose(losses.mean(), loss.generator(outputs)):
        raise ValueError(
            f"loss: {name} compares the samples of an update, so that TopKGAN cannot leave any of "
            "them out. Use NonSaturating, Hinge, or another loss that is a mean over samples."
        )
    try:
        wants_high = bool(loss.verdict(torch.tensor([HIGH])) > 0)
    except ValueError:  # of a critic, whose outputs have no middle
        wants_high = bool(losses[0] > losses[-1])
    if not wants_high:
        raise ValueError(
            f"loss: with {name} the outputs of real samples are lower than those of generated "
            "ones, but TopKGAN keeps the samples with high outputs. Use NonSaturating, Hinge, or "
            "other targets."
        )
