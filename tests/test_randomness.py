import itertools

import torch

from datamodules.stream import generator_for
from lightning_gans.randomness import EVALUATION, NOISE, reseed, stream_seed

CPU = torch.device("cpu")


def test_every_part_of_a_key_matters():
    keys = list(
        itertools.product((0, 1, 2**31, 2**32 - 1), (NOISE, EVALUATION), range(5), range(3))
    )
    assert len({stream_seed(*key) for key in keys}) == len(keys)


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
    for stream in (1, 3):
        assert not torch.equal(noise, torch.randn(8, generator=generator_for(0, stream, 1, 0)))
