"""Data of two sources."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from typing_extensions import override

from datamodules.stream import Batch, Batches, Draw, StreamData, generator_for

__all__ = ["UnpairedSources", "seed_of"]

SOURCES = 5
"""Stream of random numbers for the seeds of the sources."""


class UnpairedSources(StreamData):
    """Samples of two data modules side by side, whose rows do not belong together.

    A batch is a dict with the keys ``a`` and ``b`` and as many samples of each. Each source has a
    chain of batches of its own, so that the shorter one begins again earlier, and no sample of the
    one comes along with the same sample of the other. Labels are left out.

    Attributes:
        sources: the data modules by key, for metrics that fit them.
        paired_truth: False: nobody knows what a sample of the one is in the other.

    Args:
        a: the one source.
        b: the other source, with the same ``batch_size``.

    Raises:
        ValueError: if the sources have different batch sizes, or are one object.

    Example:
        >>> from datamodules import GaussianRing, SwissRoll
        >>> UnpairedSources(GaussianRing(batch_size=4), SwissRoll(batch_size=4)).data_shape
        (2,)
    """

    paired_truth = False

    def __init__(self, a: StreamData, b: StreamData) -> None:
        if a.batch_size != b.batch_size:
            raise ValueError(
                f"batch_size: the sources have {a.batch_size} and {b.batch_size} samples in a "
                "batch. Use the same batch_size for a and b."
            )
        if a is b:
            raise ValueError("b: it is the same object as a. Use a data module of its own.")
        super().__init__(a.batch_size, min(a.num_eval_samples, b.num_eval_samples))
        self.sources: dict[str, StreamData] = {"a": a, "b": b}
        self.eval_batch_size = min(source.eval_batch_size for source in (a, b))
        for source in (a, b):
            source.eval_batch_size = self.eval_batch_size

    @property
    def data_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Shape of one sample of the first source."""
        return self.sources["a"].data_shape

    @property
    def data_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one sample of each source."""
        return tuple(source.data_shape for source in self.sources.values())

    @property
    def value_range(self) -> tuple[float, float]:  # type: ignore[override]
        """Least and greatest value of both sources."""
        ranges = [source.value_range for source in self.sources.values()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    @override
    def prepare_data(self) -> None:
        for source in self.sources.values():
            source.prepare_data()

    @override
    def setup(self, stage: str) -> None:
        for source in self.sources.values():
            source.trainer = self.trainer
            source.setup(stage)
        self.num_workers = max(source.num_workers for source in self.sources.values())

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the batches of the longer source."""
        return max(source.epoch_length(size, ranks) for source in self.sources.values())

    @override
    def training_batches(self, seed: int, size: int, rank: int, ranks: int) -> Draw:
        draws = {
            key: source.training_batches(seed_of(seed, index), size, rank, ranks)
            for index, (key, source) in enumerate(self.sources.items())
        }
        return _Both(draws)

    @override
    def evaluation_batches(
        self, index: int, rank: int = 0, ranks: int = 1, most: int | None = None
    ) -> Batches:
        # Cut before they are shared out, so that any number of processes serves the same.
        sizes = [source.evaluation_batches(index).size for source in self.sources.values()]
        most = min((size for size in (*sizes, most) if size is not None), default=None)
        batches = {
            key: source.evaluation_batches(index, rank, ranks, most)
            for key, source in self.sources.items()
        }
        draw = _Both({key: part.draw for key, part in batches.items()})
        length = min(map(len, batches.values()))
        return Batches(draw, length, self.num_workers, batches["a"].first, most)

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lets each source scale its samples, which are on the device by now."""
        return {
            key: source.on_after_batch_transfer(batch[key], dataloader_idx)
            for key, source in self.sources.items()
        }

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chains of batches, and what the sources save."""
        saved = {key: source.state_dict() for key, source in self.sources.items()}
        return {**super().state_dict(), "sources": saved}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state."""
        super().load_state_dict(state_dict)
        for key, source in self.sources.items():
            source.load_state_dict(state_dict["sources"][key])


class _Both:
    """Gives the samples of both sources at a position, as many of each."""

    def __init__(self, draws: Mapping[str, Draw]) -> None:
        self.draws = draws

    def __call__(self, position: int) -> Batch:
        drawn = {key: draw(position) for key, draw in self.draws.items()}
        samples: dict[str, Tensor] = {
            key: batch if isinstance(batch, Tensor) else batch[0]  # type: ignore[index]
            for key, batch in drawn.items()
        }
        number = min(map(len, samples.values()))
        return {key: part[:number] for key, part in samples.items()}


def seed_of(seed: int, index: int) -> int:
    """Returns a seed for each source, so that their chains have nothing to do with each other."""
    return generator_for(seed, SOURCES, index).initial_seed()
