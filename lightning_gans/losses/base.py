"""What adversarial losses have in common.

A loss reads the outputs of a discriminator, which are logits unless it says otherwise. Their shape
is (N,), or (N / m,) where the discriminator reads m samples at a time, or (N, 1, h, w) where it
reads patches; real and fake have the same one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import ClassVar

from torch import Tensor, nn

from lightning_gans.described import Described

__all__ = ["AdversarialLoss", "LossSource", "check_choice", "mean_of_pairs"]


class AdversarialLoss(Described, nn.Module, ABC):
    """Base of the adversarial losses: one scalar for each player, which it minimizes.

    A loss with a state keeps it in buffers, so that it moves with the model and is in its
    checkpoints. Each discriminator needs a loss object of its own then.

    Attributes:
        needs_real: whether the generator's loss reads the outputs of real samples too.
        reads_energies: whether its outputs are energies, low for real samples, and not logits.
        num_outputs: d, the numbers that the loss reads for each sample. A loss with d > 1 is given
            outputs of shape (N, d).
        crosses_zero: whether the loss of a player passes 0 in a healthy training, so that it says
            nothing how much larger the other's is.
        least_samples: of one side that it can be computed of: 2 if it compares them with each
            other. A smaller batch at the end of a loader is skipped.
    """

    needs_real: ClassVar[bool] = False
    reads_energies: ClassVar[bool] = False
    crosses_zero: ClassVar[bool] = False
    num_outputs: int = 1
    least_samples: ClassVar[int] = 1

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the discriminator's loss, a scalar.

        Args:
            real: outputs of real samples.
            fake: outputs of generated samples, the same shape.
        """

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the generator's loss, a scalar.

        Args:
            fake: outputs of generated samples.
            real: outputs of real samples, the same shape, without a graph; given to a loss that
                ``needs_real``.
        """

    def encoder(self, real: Tensor, fake: Tensor | None = None) -> Tensor:
        """Returns the loss of an encoder, which wants real samples to be taken for generated ones.

        A discriminator of pairs of samples and latents reads real samples with their codes. The
        encoder is the generator of the mirrored game then, in which these pairs are the generated
        ones and the outputs have the other sign.

        Args:
            real: outputs of real samples with their codes.
            fake: outputs of generated samples with their latents, the same shape, without a graph;
                given to a loss that ``needs_real``.
        """
        return self.generator(-real, None if fake is None else -fake)

    def critic(self, outputs: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the values that a discriminator gives to samples, the output itself by default.

        A loss that reads several outputs of each sample returns one value, higher for real ones:
        regularizers, the log and pictures of level sets read it.

        Args:
            outputs: of the samples.
            real: outputs of real samples.
            fake: outputs of generated samples.
        """
        return outputs

    def log_ratio(self, outputs: Tensor) -> Tensor:
        """Returns the log density ratio of real to generated samples, as the outputs tell it.

        It is exact for the best discriminator. Sampling with the discriminator reads it.

        Args:
            outputs: of the samples.

        Raises:
            ValueError: if the best outputs with this loss do not tell the ratio.
        """
        raise ValueError(
            f"loss: {type(self).__name__} does not make the outputs log density ratios of real to "
            "generated samples. Use a model with NonSaturating, Minimax or FDivergence."
        )

    def verdict(self, outputs: Tensor) -> Tensor:
        """Returns 1 for samples that are more likely real, -1 if generated, 0 if neither.

        The best discriminator takes a sample for real where real ones are the denser of the two.
        What adapts to how training goes reads it.

        Args:
            outputs: of the samples.

        Raises:
            ValueError: if no output lies between those of real and of generated samples.
        """
        raise ValueError(
            f"loss: the outputs with {type(self).__name__} have no threshold between real "
            "and generated samples, such as 0 for logits. Use an augmentation that does "
            "not adapt, such as DiffAugment, or a model with NonSaturating, Minimax, Hinge, "
            "LeastSquares or FDivergence."
        )

    def log(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Returns further values whose means are logged in the discriminator's updates, by name.

        Args:
            real: outputs of real samples, without a graph.
            fake: outputs of generated samples, the same shape, without a graph.
        """
        return {}

    def after_turn(
        self,
        player: str,
        real: Tensor | None,
        fake: Tensor,
        mean: Callable[[Tensor], Tensor],
    ) -> None:
        """Updates the state of the loss; called after each update of a player that uses it.

        Args:
            player: name of the player.
            real: outputs of real samples, without a graph; None if the update read none.
            fake: outputs of generated samples, without a graph.
            mean: takes the mean of a tensor over all processes.
        """


LossSource = Callable[[], AdversarialLoss]
"""A class of losses, or what else makes a loss, or the loss itself."""


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Refuses a name that is not among some.

    Args:
        name: of the argument.
        value: the name that was given.
        choices: those that there are.

    Raises:
        ValueError: if it is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")


def mean_of_pairs(values: Tensor) -> Tensor:
    """Returns the mean over pairs of two samples of one side, without those of one and itself.

    Args:
        values: of all pairs, shape (N, N).

    Raises:
        ValueError: if there is one sample.
    """
    number = len(values)
    if number < 2:
        raise ValueError(
            "loss: it compares the samples of one update with each other, so it needs at least 2, "
            f"got {number}. Use a larger batch_size."
        )
    return (values.sum() - values.diagonal().sum()) / (number * (number - 1))
