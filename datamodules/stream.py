"""Loaders that serve whole batches, and the data module that they make up.

A training batch is a pure function of (seed, position, rank): nothing but the position has to be
saved to resume a run exactly, and every process draws its own share.
"""

import atexit
import os
import signal
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import count
from typing import Any
from weakref import WeakSet

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from lightning_gans.randomness import TRAINING_DATA, stream_seed

__all__ = [
    "Batch",
    "Batches",
    "Permutations",
    "Stream",
    "StreamData",
    "generator_for",
    "share_of",
    "warn_of_seed",
]

Batch = Tensor | tuple[Tensor, Tensor] | dict[str, Tensor]
"""Samples, shape (N, ...), or samples and their labels, int64, shape (N,), or several by key."""
Draw = Callable[[int], Batch]
"""Gives the batch at a position."""


def generator_for(seed: int, stream: int, place: int, *rest: int) -> torch.Generator:
    """Returns a CPU generator seeded from a key, such as (seed, stream, position, rank).

    Keys that differ anywhere give unrelated generators, as long as their parts are below 2**32,
    but for chance: seeds have 32 bits, so of 100,000 keys about one pair has the same. Zeros after
    a key of fewer than four parts make no difference.

    Args:
        seed: of the run; no part of the key may be negative.
        stream: what the numbers are for.
        place: such as the position; the seeds of neighbours are found together.
        rest: such as the rank.
    """
    return torch.Generator().manual_seed(stream_seed(seed, stream, place, *rest))


def warn_of_seed(name: str, saved: int | None, own: int) -> None:
    """Warns if a resumed run does not have the samples that it was trained on.

    Args:
        name: argument of the seed that chooses them.
        saved: its value when the run was stopped, None if that is not known.
        own: its value now.
    """
    if saved not in (None, own):
        rank_zero_warn(
            f"The model was trained with {name} {saved}, but this data has {name} {own}, so the "
            f"run resumes with other samples. Use {name} {saved}."
        )


def share_of(samples: Tensor, rank: int, ranks: int) -> tuple[Tensor, int]:
    """Returns a process's share of a set, and the place in the set of its first sample.

    Raises:
        ValueError: if there are more processes than samples.
    """
    if len(samples) < ranks:
        raise ValueError(
            f"trainer.devices: {len(samples)} samples to evaluate on cannot be shared among "
            f"{ranks} processes. Use fewer processes, or more data."
        )
    shares = samples.tensor_split(ranks)
    return shares[rank], sum(map(len, shares[:rank]))


class Stream:
    """An endless chain of training batches, cut into epochs of equal length.

    Args:
        draw: gives the batch at a position.
        length: batches of an epoch, at least 1.
        position: of the first batch.
        num_workers: processes that draw ahead; with 0 this one draws when a batch is needed.
    """

    def __init__(self, draw: Draw, length: int, position: int = 0, num_workers: int = 0) -> None:
        self.draw = draw
        self.length = length
        self.position = position
        self.num_workers = num_workers
        # Kept from one epoch to the next, and with it the processes that draw ahead.
        self._drawn: Iterator[Batch] = iter(())
        self._drawn_to: int | None = None

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.length - self.position % self.length):
            if self._drawn_to != self.position:
                self._drawn = _drawn(self.draw, count(self.position), self.num_workers)
            self._drawn_to = None  # not known if there is an error
            batch = next(self._drawn)
            # Before the yield: a checkpoint written while the batch is in use counts it as used.
            self.position += 1
            self._drawn_to = self.position
            yield batch

    def close(self) -> None:
        """Ends the processes that draw ahead; a further batch starts new ones."""
        self._drawn, self._drawn_to = iter(()), None

    def state_dict(self) -> dict[str, int]:
        """Returns the position, the whole state."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restores the position of a state."""
        self.position = state["position"]


class Batches:
    """A fixed number of batches, served in order.

    Args:
        draw: gives the batch at an index.
        length: number of batches.
        num_workers: processes that draw ahead; with 0 this one draws when a batch is needed.
        first: place of the first sample in the set, of which another process may serve the rest.
        size: samples of the set, in all processes together, if it is known.
    """

    def __init__(
        self,
        draw: Draw,
        length: int,
        num_workers: int = 0,
        first: int = 0,
        size: int | None = None,
    ) -> None:
        self.draw = draw
        self.length = length
        self.num_workers = num_workers
        self.first = first
        self.size = size

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        return _drawn(self.draw, range(self.length), self.num_workers)


class _Drawn(Dataset[Batch | ValueError]):
    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    @override
    def __getitem__(self, position: int) -> Batch | ValueError:
        try:
            return self.draw(position)
        except ValueError as error:
            return error  # raised by a worker it would bring a traceback along in its message


def _leave_signals(worker: int) -> None:
    """Leaves signals that end a run to the main process, which makes a checkpoint first.

    Clusters and terminals send them to all processes, and a worker that was killed would break
    the round that is being finished. Workers end with the loader, or if the main process is gone.
    """
    for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _drawn(draw: Draw, positions: Iterable[int], num_workers: int) -> Iterator[Batch]:
    if num_workers == 0:
        return map(draw, positions)
    batches = _drawn_by_workers(draw, positions, num_workers)
    _BY_WORKERS.add(batches)
    return batches


def _drawn_by_workers(
    draw: Draw, positions: Iterable[int], num_workers: int
) -> Generator[Batch, None, None]:
    # Each worker draws whole batches, and their order is that of the positions.
    for batch in DataLoader(
        _Drawn(draw),
        batch_size=None,
        sampler=positions,
        num_workers=num_workers,
        worker_init_fn=_leave_signals,
    ):
        if isinstance(batch, ValueError):
            raise batch
        yield batch


_BY_WORKERS: WeakSet[Generator[Batch, None, None]] = WeakSet()


@atexit.register
def _end_workers() -> None:
    """Ends workers at the end of the program, before Python waits for them.

    It would send them a signal that they leave to the main process.
    """
    for batches in tuple(_BY_WORKERS):
        batches.close()


class Permutations:
    """An endless chain of random permutations of N rows.

    Args:
        num_rows: N, at least 1.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self._last: tuple[tuple[int, int], Tensor] | None = None

    def rows(self, seed: int, start: int, size: int) -> Tensor:
        """Returns the rows at the places start ... start + size - 1 of a seed's chain."""
        parts = []
        while size > 0:
            turn, offset = divmod(start, self.num_rows)
            part = self._permutation(seed, turn)[offset : offset + size]
            parts.append(part)
            start += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _permutation(self, seed: int, turn: int) -> Tensor:
        if self._last is None or self._last[0] != (seed, turn):
            generator = generator_for(seed, TRAINING_DATA, turn)
            self._last = (seed, turn), torch.randperm(self.num_rows, generator=generator)
        return self._last[1]


class StreamData(LightningDataModule):
    """Base of the data modules: batches for training, fixed sets for evaluation.

    There are three evaluation sets: one to validate on, one to test on, and one of further real
    samples, so that each score can be set beside what as many samples of real data score. They
    share no sample, unless a subclass says that validation and test are one. They do not depend
    on the run's seed: all runs are measured on the same samples.

    Attributes:
        data_shape: shape of one sample.
        value_range: least and greatest value that a picture of the data should show.

    Args:
        batch_size: samples of one discriminator update and process, at least 1. A loader's batch
            is ``batches_per_round`` times as large, if the attached model tells that number.
        num_eval_samples: samples of each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range.
    """

    data_shape: tuple[int, ...]
    value_range: tuple[float, float]

    eval_batch_size = 1000
    num_workers = 0

    def __init__(self, batch_size: int = 256, num_eval_samples: int = 10_000) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if num_eval_samples < 2:
            raise ValueError(f"num_eval_samples must be at least 2, got {num_eval_samples}.")
        self.batch_size = batch_size
        self.num_eval_samples = num_eval_samples
        self._position = 0
        self._fitting = False
        self._stream: Stream | None = None

    @override
    def __str__(self) -> str:
        """Returns the class, the shape of a sample and the sizes of what is served."""
        # Lightning's own asks for the datasets of PyTorch's loaders, which these are not.
        shape = getattr(self, "data_shape", None)
        kind = "" if shape is None else f" of shape {shape}"
        return (
            f"{type(self).__name__}: samples{kind}, {self.batch_size:,} in a batch, at most "
            f"{self.num_eval_samples:,} in an evaluation"
        )

    @abstractmethod
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        """Returns what gives the batch that a process trains on at a position.

        Args:
            seed: of the run.
            size: samples of a batch.
            rank: index of the process.
            ranks: number of processes.
        """

    @abstractmethod
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        """Returns a process's share of an evaluation set.

        Args:
            index: 0 validation, 1 further real samples, 2 test.
            rank: index of the process.
            ranks: number of processes.
            most: samples of the set that all processes serve together, the first ones; all if it
                is None.
        """

    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the batches of ``size`` samples and ``ranks`` processes that make an epoch."""
        return 1000

    @override
    def train_dataloader(self) -> Stream:
        """Returns the endless chain of batches for this process."""
        model = getattr(self.trainer, "lightning_module", None)
        size = self.batch_size * getattr(model, "batches_per_round", 1)
        seed = getattr(model, "seed", int(os.environ.get("PL_GLOBAL_SEED", 0)))
        rank, ranks = self._place()
        if self._fitting and self._stream is not None:
            self._position = self._stream.position  # the trainer makes loaders anew on its way
        self._fitting = True
        self._stream = Stream(
            self.training_batches(seed, size, rank, ranks),
            self.epoch_length(size, ranks),
            self._position,
            self.num_workers,
        )
        return self._stream

    @override
    def teardown(self, stage: str) -> None:
        """Ends the loader's processes. The next training begins with the first batch again."""
        if stage == "fit":
            self._fitting, self._position = False, 0
            if self._stream is not None:
                self._stream.close()

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chain of batches.

        Lightning saves and restores the loader's own state too, but drops it between two epochs.
        """
        return {"position": self._stream.position if self._stream else self._position}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state."""
        self._position = state_dict["position"]

    @override
    def val_dataloader(self) -> Batches:
        """Returns this process's share of the validation set."""
        return self.evaluation_batches(0, *self._place())

    @override
    def test_dataloader(self) -> Batches:
        """Returns this process's share of the test set."""
        return self.evaluation_batches(2, *self._place())

    @override
    def predict_dataloader(self) -> Batches:
        """Returns this process's share of the validation set: as many samples are generated."""
        return self.evaluation_batches(0, *self._place())

    def floor_dataloader(self) -> Batches:
        """Returns this process's share of the further real samples, to score in place of fakes."""
        return self.evaluation_batches(1, *self._place())

    def _place(self) -> tuple[int, int]:
        """Returns the index of this process and the number of all."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


class VectorData(StreamData):
    """Base of the data modules whose evaluation sets are held as they are."""

    @abstractmethod
    def training_batch(self, seed: int, position: int, size: int, rank: int, ranks: int) -> Batch:
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

    def evaluation_labels(self, index: int) -> Tensor | None:
        """Returns the labels of an evaluation set, if the data has any."""
        return None

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        return lambda position: self.training_batch(seed, position, size, rank, ranks)

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        whole = self.evaluation_set(index)[:most]
        samples, first = share_of(whole, rank, ranks)
        parts: Sequence[Batch] = torch.split(samples, self.eval_batch_size)
        labels = self.evaluation_labels(index)
        if labels is not None:
            share, _ = share_of(labels[:most], rank, ranks)
            size = self.eval_batch_size
            parts = list(zip(torch.split(samples, size), torch.split(share, size), strict=True))
        return Batches(parts.__getitem__, len(parts), first=first, size=len(whole))
