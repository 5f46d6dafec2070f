"""The records of the game: what an update sees, and who plays.

Shapes: N is the batch, Z the size of a latent, and ``...`` the shape of one sample, which is
(C, H, W) for images with C channels, H rows and W columns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from lightning_gans.regularizers import Penalty

__all__ = ["DivergenceError", "Player", "Reconstructs", "Samples", "split_batch"]


@dataclass(frozen=True)
class Samples:
    """What one update sees. A variant may add fields, tensors with a row for each sample.

    Attributes:
        real: data in the data's own range, shape (N, ...).
        fake: generated samples, the same shape, or none for a player that looks at none; it
            carries a graph only in the generator's turn.
        latent: what ``fake`` was generated from, shape (N, Z).
        labels: classes of the real samples, int64, shape (N,), or None; of the fakes too if the
            model asks for them by class, unless it says that it draws them.
    """

    real: Tensor
    fake: Tensor
    latent: Tensor
    labels: Tensor | None = None

    def split(self, size: int) -> Iterator["Samples"]:
        """Yields consecutive parts of ``size`` samples."""
        for start in range(0, len(self.real), size):
            part = slice(start, start + size)
            fields: dict[str, Any] = {
                name: None if rows is None else rows[part] for name, rows in vars(self).items()
            }
            yield replace(self, **fields)


class DivergenceError(RuntimeError):
    """Training met a loss or a gradient that is not finite.

    Attributes:
        samples: what the update saw in which it was noticed.
    """

    def __init__(self, message: str, samples: Samples) -> None:
        super().__init__(message)
        self.samples = samples


@dataclass(frozen=True)
class Player:
    """One side of the game. Its loss is the model's method ``<name>_loss``.

    Attributes:
        name: such as "discriminator".
        networks: what its optimizer updates; everything else is frozen during its turn.
        optimizer: makes the optimizer from the parameters.
        updates: how many times in a row it plays in each round.
        penalties: called with (critic, real, fake) and added to its loss.
        draw: makes what it sees from real samples and their labels; the model's `draw` if it is
            not given.
    """

    name: str
    networks: Sequence[nn.Module]
    optimizer: OptimizerCallable
    updates: int = 1
    penalties: Sequence[Penalty] = ()
    draw: Callable[[Tensor, Tensor | None], Samples] | None = None

    @property
    def key(self) -> str:
        """Ends the player's log keys: ``loss_d``, ``grad_norm_g``, ``loss_classifier``."""
        return {"discriminator": "d", "generator": "g"}.get(self.name, self.name)

    def trained(self) -> list[nn.Parameter]:
        """Returns the parameters its optimizer updates, each once.

        Raises:
            ValueError: if there are none.
        """
        parameters = dict.fromkeys(p for network in self.networks for p in network.parameters())
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            raise ValueError(f"{self.name}: it has no parameters to train.")
        return trained


@runtime_checkable
class Reconstructs(Protocol):
    """A model that finds the latents of samples; it is scored and shown by its reconstructions."""

    def encode(self, x: Tensor) -> Tensor:
        """Returns the latents of samples, shape (N, Z)."""

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the samples that the latents of samples generate, shape (N, ...)."""


def split_batch(batch: Any) -> tuple[Tensor, Tensor | None]:
    """Returns the samples of a batch and their labels, if it has any.

    Args:
        batch: a tensor, or a sequence of samples and perhaps labels, as data loaders give it.

    Raises:
        ValueError: if it is neither.
    """
    parts = [batch] if isinstance(batch, Tensor) else batch
    if isinstance(parts, list | tuple) and all(isinstance(part, Tensor) for part in parts):
        if len(parts) == 1:
            return parts[0], None
        if len(parts) == 2:
            return parts[0], parts[1]
    raise ValueError(
        f"A batch must be a tensor of samples, or samples and labels; got {type(batch).__name__}"
        + (f" of {len(batch)}." if isinstance(batch, list | tuple | dict) else ".")
    )
