"""One seed, many independent streams.

All randomness of a training round is a function of (seed, stream, generator update, rank). Nothing
about it has to be saved: the key alone gives the same numbers again.
"""

from functools import lru_cache
from operator import index

import numpy as np
import torch

__all__ = [
    "EVALUATION",
    "EVALUATION_DATA",
    "NOISE",
    "STANDING",
    "TRAINING_DATA",
    "reseed",
    "stream_seed",
]

NOISE = 0
"""Stream of what training draws: latents, interpolation points, label noise, dropout."""
TRAINING_DATA = 1
"""Stream of training batches."""
EVALUATION = 2
"""Stream of what validation, testing and pictures draw."""
EVALUATION_DATA = 3
"""Stream of evaluation sets and of splits."""
STANDING = 4
"""Stream of the classes that statistics of BatchNorm are estimated with."""

AHEAD = 64
"""Seeds that are found at once."""


def stream_seed(seed: int, stream: int, place: int = 0, *rest: int) -> int:
    """Returns a 32-bit seed for a key, such as (seed, stream, update, rank).

    Keys that differ anywhere give unrelated seeds, as long as their parts are below 2**32; zeros
    after a key of fewer than four parts make no difference. PyTorch's CPU generator reads 32 bits
    only, so that arithmetic such as ``seed * 2**32 + update`` would drop the seed.

    Args:
        seed: of the run; no part of the key may be negative.
        stream: what the numbers are for.
        place: such as the update; neighbours are found together.
        rest: such as the rank.
    """
    block, offset = divmod(index(place), AHEAD)
    return _seeds(seed, stream, block, rest)[offset]


@lru_cache(maxsize=16)
def _seeds(seed: int, stream: int, block: int, rest: tuple[int, ...]) -> list[int]:
    """Finds the seeds of `AHEAD` places at once: far quicker than one now and then in training."""
    places = range(block * AHEAD, (block + 1) * AHEAD)
    sequences = (np.random.SeedSequence((seed, stream, place, *rest)) for place in places)
    return [int(sequence.generate_state(1, np.uint32)[0]) for sequence in sequences]


def reseed(device: torch.device, *key: int) -> None:
    """Seeds the default generators of the CPU and of a device from a key.

    This reaches everything that draws without a generator of its own, dropout included, at the
    cost of microseconds; ``torch.manual_seed`` would queue a seed for every device there is.

    Args:
        device: the device that a model computes on.
        key: as in `stream_seed`.
    """
    seed = stream_seed(*key)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
