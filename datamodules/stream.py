"""Loaders that serve whole batches, and the data module that they make up.

A training batch is a pure function of (seed, position, rank): nothing but the position has to be
saved to resume a run exactly, and every process draws its own share.
"""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from typing_extensions import override

__all__ = ["EVALUATION_DATA", "TRAINING_DATA", "Batches", "Stream", "StreamData", "generator_for"]

# The models draw from the streams 0 and 2 of the same seed.
TRAINING_DATA = 1
"""Stream of random numbers for training batches."""
EVALUATION_DATA = 3
"""Stream of random numbers for evaluation sets and for splits."""


def generator_for(*key: int) -> torch.Generator:
    """Returns a CPU generator seeded from a key, such as (seed, stream, position, rank).

    Args:
        key: non-negative integers; keys that differ anywhere give unrelated generators.
    """
    seed = np.random.SeedSequence(key).generate_state(1, np.uint32)[0]
    return torch.Generator().manual_seed(int(seed))


class Stream:
    """An endless chain of training batches, cut into epochs of equal length.

    Args:
        draw: gives the batch at a position.
        length: batches of an epoch, at least 1.
        position: of the first batch.
    """

    def __init__(self, draw: Callable[[int], Tensor], length: int, position: int = 0) -> None:
        self.draw = draw
        self.length = length
        self.position = position

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Tensor]:
        for _ in range(self.position % self.length, self.length):
            # Before the yield: a checkpoint written while the batch is in use counts it as used.
            self.position += 1
            yield self.draw(self.position - 1)

    def state_dict(self) -> dict[str, int]:
        """Returns the position, the whole state."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes to the position of a state."""
        self.position = state["position"]


class Batches:
    """A fixed set of samples, served in order.

    Args:
        samples: shape (N, ...).
        size: samples of a batch; the last one may be smaller.
    """

    def __init__(self, samples: Tensor, size: int) -> None:
        self.parts = torch.split(samples, size)

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.parts)


class StreamData(LightningDataModule):
    """Base of the data modules: batches for training, fixed sets for evaluation.

    Three evaluation sets of equal size share no sample: one to validate on, one to test on, and
    one of further real samples, so that each score can be set beside what real data itself
    scores. They do not depend on the run's seed: all runs are measured on the same samples.

    Attributes:
        data_shape: shape of one sample.
        value_range: least and greatest value that a picture of the data should show.

    Args:
        batch_size: samples of one discriminator update and process, at least 1. A loader's batch
            has ``n_critic`` times as many, where the attached model has an ``n_critic``.
        num_eval_samples: samples of each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range.
    """

    data_shape: tuple[int, ...]
    value_range: tuple[float, float]

    eval_batch_size = 1000

    def __init__(self, batch_size: int = 256, num_eval_samples: int = 10_000) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if num_eval_samples < 2:
            raise ValueError(f"num_eval_samples must be at least 2, got {num_eval_samples}.")
        self.batch_size = batch_size
        self.num_eval_samples = num_eval_samples
        self._position = 0
        self._stream: Stream | None = None

    @abstractmethod
    def training_batch(self, seed: int, position: int, size: int, rank: int, ranks: int) -> Tensor:
        """Returns the batch that a process trains on.

        Args:
            seed: of the run.
            position: index of the batch in the endless chain.
            size: samples of the batch.
            rank: index of the process.
            ranks: number of processes.
        """

    @abstractmethod
    def evaluation_set(self, index: int) -> Tensor:
        """Returns one of the evaluation sets: 0 validation, 1 further real samples, 2 test."""

    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the batches of ``size`` samples and ``ranks`` processes that make an epoch."""
        return 1000

    @override
    def train_dataloader(self) -> Stream:
        """Returns the endless chain of batches for this process."""
        model = getattr(self.trainer, "lightning_module", None)
        size = self.batch_size * getattr(model, "n_critic", 1)
        seed = getattr(model, "seed", int(os.environ.get("PL_GLOBAL_SEED", 0)))
        rank = self.trainer.global_rank if self.trainer else 0
        ranks = self.trainer.world_size if self.trainer else 1
        self._stream = Stream(
            lambda position: self.training_batch(seed, position, size, rank, ranks),
            self.epoch_length(size, ranks),
            self._position,
        )
        return self._stream

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chain of batches.

        Lightning saves and restores the loader's own state too, but drops it between two epochs.
        """
        return {"position": self._stream.position if self._stream else self._position}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to the position of a state."""
        self._position = state_dict["position"]

    @override
    def val_dataloader(self) -> Batches:
        """Returns this process's share of the validation set."""
        return self._share(0)

    @override
    def test_dataloader(self) -> Batches:
        """Returns this process's share of the test set."""
        return self._share(2)

    @override
    def predict_dataloader(self) -> Batches:
        """Returns this process's share of the validation set: as many samples are generated."""
        return self._share(0)

    def floor_dataloader(self) -> Batches:
        """Returns this process's share of the further real samples, to score in place of fakes."""
        return self._share(1)

    def _share(self, index: int) -> Batches:
        samples = self.evaluation_set(index)
        if self.trainer is not None and self.trainer.world_size > 1:
            samples = samples.tensor_split(self.trainer.world_size)[self.trainer.global_rank]
        return Batches(samples, self.eval_batch_size)
