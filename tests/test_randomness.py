import itertools

import numpy as np
import pytest
import torch

from datamodules.stream import generator_for
from lightning_gans.randomness import (
    EVALUATION,
    EVALUATION_DATA,
    NOISE,
    STANDING,
    TRAINING_DATA,
    reseed,
    stream_seed,
)

CPU = torch.device("cpu")


def test_every_part_of_a_key_matters():
    keys = list(
        itertools.product((0, 1, 2**31, 2**32 - 1), (NOISE, EVALUATION), range(5), range(3))
    )
    assert len({stream_seed(*key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    "key", [(5, 2), (5, 0, 63, 0), (5, 0, 64, 0), (2**33, 1, 1000, 3), (1, 2, 3, 4, 5)]
)
def test_seeds_are_those_of_numpy(key):
    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint32)
    assert stream_seed(*key) == seed
    assert generator_for(*key, *(() if len(key) > 2 else (0,))).initial_seed() == seed


def test_neighbours_are_found_together(monkeypatch):
    """A seed of its own for each batch would cost a millisecond."""
    found = []

    def counted(key):
        found.append(key)
        return sequence(key)

    sequence = np.random.SeedSequence
    monkeypatch.setattr(np.random, "SeedSequence", counted)
    for place in range(1000, 1064):
        generator_for(987_654_321, TRAINING_DATA, place, 0)
        stream_seed(987_654_321, NOISE, place, 0)
    assert 2 * 64 <= len(found) <= 4 * 64


def test_streams_have_numbers_of_their_own():
    streams = (NOISE, TRAINING_DATA, EVALUATION, EVALUATION_DATA, STANDING)
    assert len({stream_seed(0, stream) for stream in streams}) == 5


def test_numbers_of_numpy_are_keys_too():
    for place in (np.uint8(200), np.int8(127), np.int64(2**63 - 1)):
        assert stream_seed(1, NOISE, place) == stream_seed(1, NOISE, int(place))
        seeds = [generator_for(1, NOISE, n).initial_seed() for n in (place, int(place))]
        assert seeds[0] == seeds[1]


def test_a_negative_key_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        stream_seed(0, NOISE, -1, 0)


def test_a_key_decides_what_is_drawn_with_or_without_a_generator_of_its_own():
    draws = []
    for _ in range(2):
        reseed(CPU, 3, NOISE, 7, 1)
        draws.append((torch.randn(4), torch.nn.functional.dropout(torch.ones(50))))
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1], draws[1][1])


def test_training_data_and_noise_of_one_seed_are_not_the_same_numbers():
    reseed(CPU, 0, NOISE, 1, 0)
    noise = torch.randn(8)
    for stream in (TRAINING_DATA, EVALUATION_DATA):
        assert not torch.equal(noise, torch.randn(8, generator=generator_for(0, stream, 1, 0)))
