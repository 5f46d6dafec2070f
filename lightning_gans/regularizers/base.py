"""What regularizers have in common, and what they are shown."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.described import Described
from lightning_gans.packs import packed, unpacked

__all__ = ["Critic", "Regularizer", "RegularizerSource", "View", "WeightRegularizer"]

Critic = Callable[[Tensor], Tensor]
"""Maps samples, shape (N, ...), to outputs of a discriminator."""


@dataclass(frozen=True)
class View:
    """A discriminator and what it is shown in an update, as regularizers see them.

    A structure with two discriminators has two views. Where a discriminator judges packs, the view
    shows packs in the place of samples, so that a regularizer reads the gradient of a whole pack.

    Attributes:
        discriminate: maps samples to outputs as the loss does; labels and the like are bound.
        real: real samples, shape (N, ...).
        fake: generated samples, the same shape.
        real_logits: outputs of the real samples in the loss's own pass, if it had one.
        fake_logits: outputs of the generated samples, likewise.
        samples: all that the player sees, such as the latents.
        name: of the discriminator, where there are several.
        outputs: maps samples to all that the discriminator says of them, of one pass: ``logit``
            and ``features``, shape (N, F). Given if a regularizer ``reads_features``.
        pack_size: m, the samples in each row of ``real`` and ``fake``.
        verdict: tells of outputs whether samples are taken for real: see `AdversarialLoss`. Given
            if the loss has read the discriminator.
    """

    discriminate: Critic
    real: Tensor
    fake: Tensor
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None
    samples: Any = None
    name: str = ""
    outputs: Callable[[Tensor], Mapping[str, Tensor]] | None = None
    pack_size: int = 1
    verdict: Callable[[Tensor], Tensor] | None = None

    def of_packs(self, size: int) -> "View":
        """Returns the view whose samples are packs of those of this one.

        Args:
            size: samples of a pack.
        """

        def of_pack(read: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
            return lambda packs: read(unpacked(packs, size))

        return replace(
            self,
            discriminate=of_pack(self.discriminate),
            real=packed(self.real, size),
            fake=packed(self.fake, size),
            outputs=None if self.outputs is None else of_pack(self.outputs),
            pack_size=size,
        )

    def augmented(self, augment: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Returns what it shows, with each sample augmented; those of a pack one by one.

        Args:
            augment: maps samples to samples of the same shape.
            x: such as ``real``.
        """
        return packed(augment(unpacked(x, self.pack_size)), self.pack_size)


class Regularizer(Described, nn.Module, ABC):
    """Base of the regularizers: what is added to a player's loss, with a weight.

    Under fp16 autocast it leaves autocast and runs in fp32, since squared gradients overflow or
    vanish in half precision; under bf16 the discriminator's forward may stay in bf16.

    Args:
        weight: the factor, at least 0.
        every: it is computed in each ``every``-th update of its player only, and counts ``every``
            times as much then; at least 1.

    Attributes:
        name: its key in the logs.
        reads_gradient: whether it differentiates the output of each sample by that sample, which
            a discriminator with batch statistics makes impossible.
        reads_features: whether it reads what the discriminator's last layer reads.
        moves_samples: whether its gradient reaches the generated samples, so that the generator
            can take it too.
        is_of_generators: whether it is for generators alone, and would teach a discriminator
            nothing, or the opposite of its task.
        weight: a scalar that schedules may change in place. It is in double precision and on the
            CPU wherever the model is: there it is exact, and combines with tensors of any device.

    Raises:
        ValueError: if an argument is out of range.
    """

    name: str
    reads_gradient: ClassVar[bool] = True
    reads_features: ClassVar[bool] = False
    moves_samples: ClassVar[bool] = True
    is_of_generators: ClassVar[bool] = False

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ValueError(
                f"{type(self).__name__}: weight must be finite and at least 0, got {weight}. "
                "Use a finite number, or leave the regularizer out."
            )
        if every < 1:
            raise ValueError(
                f"{type(self).__name__}: every must be at least 1, got {every}. Use 1 to compute "
                "it in each update."
            )
        self.weight = torch.tensor(float(weight), dtype=torch.float64)
        self.every = every

    @abstractmethod
    def penalize(self, view: View) -> Tensor:
        """Returns the penalty before its weight, a scalar."""

    @override
    def forward(self, view: View) -> Tensor:
        """Returns the weighted penalty, a scalar; ``every`` is left to the caller."""
        device = view.real.device.type
        if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16:
            with torch.autocast(device, enabled=False):
                single = replace(view, real=view.real.float(), fake=view.fake.float())
                return self.weighted(self.penalize(single))
        return self.weighted(self.penalize(view))

    def weighted(self, penalty: Tensor) -> Tensor:
        """Returns a scalar times the weight."""
        return self.weight.to(penalty.dtype) * penalty

    def after_turn(self, views: Sequence[View], mean: Callable[[Tensor], Tensor]) -> None:
        """Updates the state of the regularizer; called after each update of its player.

        Args:
            views: as in the update, without graphs.
            mean: takes the mean of a tensor over all processes.
        """

    @override
    def extra_repr(self) -> str:
        return f"weight={self.weight.item():g}, every={self.every}"


RegularizerSource = Callable[[], Regularizer]
"""A class of regularizers, or what else makes one, or the regularizer itself."""


class WeightRegularizer(Regularizer):
    """Base of the regularizers that read the weights of their player's networks.

    They are computed without autocast, in the precision of the weights.
    """

    reads_gradient = False

    @abstractmethod
    @override
    def penalize(self, networks: Sequence[nn.Module]) -> Tensor:  # type: ignore[override]
        """Returns the penalty before its weight, a scalar."""

    @override
    def forward(self, networks: Sequence[nn.Module]) -> Tensor:  # type: ignore[override]
        """Returns the weighted penalty, a scalar; ``every`` is left to the caller."""
        device = next((p.device.type for network in networks for p in network.parameters()), "cpu")
        with torch.autocast(device, enabled=False):
            return self.weighted(self.penalize(networks))
