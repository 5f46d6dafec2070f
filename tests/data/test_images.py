"""Batches of images: which images, in what order, scaled and mirrored how."""

import warnings

import numpy as np
import pytest
import torch
from conftest import MadeImages, fitted, numbers
from torch.testing import assert_close

from datamodules.images import ImageData
from lightning_gans import DCGAN, GAN
from lightning_gans.callbacks.drawing import to_bytes
from lightning_gans.networks import DCGANGenerator


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 2.0)])
def test_bytes_are_scaled_to_the_range_and_found_again(value_range):
    data = ImageData((1, 16, 16), value_range)
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    scaled = data.on_after_batch_transfer(every, 0)
    low, high = value_range
    expected = np.linspace(low, high, 256)
    assert_close(scaled.double().numpy().ravel(), expected, rtol=0, atol=1e-6)
    assert torch.equal(to_bytes(scaled, value_range), every)
    assert every.dtype == torch.uint8


def test_labels_pass_through():
    images, labels = MadeImages().training_batches(0, 4, 0, 1)(0)
    scaled, same = MadeImages().on_after_batch_transfer((images, labels), 0)
    assert scaled.dtype == torch.float32
    assert same is labels
    assert labels.tolist() == [number % 10 for number in numbers(images)]


@pytest.mark.parametrize("ranks", [1, 3])
def test_one_pass_reads_every_image_once_over_all_processes(ranks):
    data = MadeImages(number=48)
    draws = [data.training_batches(7, 4, rank, ranks) for rank in range(ranks)]
    length = data.epoch_length(4, ranks)
    assert length == 48 // (4 * ranks)
    read = [n for position in range(length) for draw in draws for n in numbers(draw(position))]
    assert sorted(read) == list(range(48))
    assert read != list(range(48))


def test_a_batch_depends_on_seed_place_and_process_only():
    draw = MadeImages().training_batches(7, 4, 0, 2)
    again = MadeImages().training_batches(7, 4, 0, 2)
    draw(3)
    assert torch.equal(draw(0)[0], again(0)[0])
    others = [MadeImages().training_batches(*other) for other in ((8, 4, 0, 2), (7, 4, 1, 2))]
    assert all(numbers(draw(0)) != numbers(other(0)) for other in others)
    assert numbers(draw(0)) != numbers(draw(1))


def test_about_half_of_the_images_are_mirrored_and_the_data_stays_as_it_is():
    data, plain = MadeImages(number=400, horizontal_flip=True), MadeImages(number=400)
    before = data.training.images.clone()
    mirrored = data.training_batches(0, 400, 0, 1)(0)[0]
    usual = plain.training_batches(0, 400, 0, 1)(0)[0]
    same = (mirrored == usual).flatten(1).all(1)
    flipped = (mirrored == usual.flip(-1)).flatten(1).all(1)
    assert torch.equal(same, ~flipped)
    assert 150 < int(flipped.sum()) < 250
    assert torch.equal(data.training.images, before)
    other = data.training_batches(0, 400, 1, 2)(0)[0]
    assert other.shape == mirrored.shape


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_spread_levels_fill_their_256ths_of_the_range(value_range):
    data, plain = MadeImages(value_range=value_range, dequantize=True), MadeImages()
    low, high = value_range
    draws = [d.training_batches(0, 48, 0, 1) for d in (data, plain)]
    levels = draws[1](0)[0].double()
    images = data.on_after_batch_transfer(draws[0](0), 0)[0]
    assert images.dtype == torch.float32
    places = (images.double() - low) / (high - low) * 256 - levels
    # Evenly spread in [0, 1): mean 1/2 and variance 1/12, to 5 standard errors.
    assert -1e-4 < places.min() < 0.01
    assert 0.99 < places.max() < 1 + 1e-4
    assert places.mean() == pytest.approx(0.5, abs=5 / (12 * places.numel()) ** 0.5)
    assert places.var() == pytest.approx(1 / 12, abs=5 * (places.numel() * 180) ** -0.5)
    again, later = draws[0](0)[0], draws[0](1)[0]
    assert torch.equal(data.on_after_batch_transfer(again, 0), images)
    assert not torch.equal(later, again)


def test_levels_are_spread_in_training_only_and_beside_mirroring():
    data = MadeImages(dequantize=True, horizontal_flip=True)
    mirrored = MadeImages(horizontal_flip=True).training_batches(0, 48, 0, 1)(0)[0]
    assert torch.equal(data.training_batches(0, 48, 0, 1)(0)[0].floor().byte(), mirrored)
    assert next(iter(data.evaluation_batches(0)))[0].dtype == torch.uint8


def test_a_subset_is_chosen_by_its_own_seed_and_part_of_a_larger_one(monkeypatch):
    def chosen(**arguments):
        data = MadeImages(**arguments)
        part = data.chosen(data.training)
        found = numbers(part.read(torch.arange(len(part))))
        assert part.labels.tolist() == [number % 10 for number in found]
        return found

    few, more = chosen(subset=10), chosen(subset=20)
    assert (len(set(few)), len(set(more))) == (10, 20)
    assert more[:10] == few != sorted(few)
    assert sorted(chosen(subset=48)) == list(range(48))
    assert chosen(subset=10, subset_seed=1) != few
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    assert chosen(subset=10) == few


def test_a_state_of_another_subset_warns():
    state = MadeImages(subset=10).state_dict()
    with pytest.warns(UserWarning, match=r"with subset_seed 0, .* Use subset_seed 0\."):
        MadeImages(subset=10, subset_seed=1).load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MadeImages(subset=10).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subset": 1}, "subset must be at least 2, got 1"),
        ({"subset": 49}, "there are 48 training images, got 49. Use at most 48"),
        ({"subset": 2, "subset_seed": -1}, "subset_seed must be at least 0, got -1"),
    ],
)
def test_a_subset_that_is_none_is_refused(arguments, message):
    images = MadeImages().training
    with pytest.raises(ValueError, match=message):
        MadeImages(**arguments).chosen(images)


def test_evaluation_shows_images_as_they_are_shared_among_processes():
    data = MadeImages(horizontal_flip=True)
    data.eval_batch_size = 3
    shares = [list(data.evaluation_batches(0, rank, 2)) for rank in range(2)]
    assert [len(batch[0]) for batch in shares[0]] == [3, 3, 2]
    assert [n for share in shares for batch in share for n in numbers(batch)] == list(range(16))
    floor = [n for batch in data.evaluation_batches(1) for n in numbers(batch)]
    assert floor == list(range(16, 32))


@pytest.mark.parametrize("value_range", [(1.0, -1.0), (0.0, 0.0)])
def test_a_range_that_is_none_is_refused(value_range):
    with pytest.raises(ValueError, match="value_range: the first must be below the second"):
        MadeImages(value_range=value_range)


def test_images_are_scaled_in_the_precision_of_the_model():
    seen = []

    class Watched(GAN):
        def discriminator_loss(self, samples):
            seen.append((samples.real.dtype, samples.labels.dtype, float(samples.real.min())))
            return super().discriminator_loss(samples)

    fitted(Watched(data_shape=(1, 16, 16)), MadeImages(), max_steps=1, precision="64-true")
    dtype, labels, least = seen[0]
    assert (dtype, labels) == (torch.float64, torch.int64)
    assert -1 <= least < -0.99


def test_a_generator_of_another_range_than_the_data_is_refused():
    data = MadeImages(value_range=(0.0, 1.0))
    with pytest.raises(
        ValueError, match=r"last layer makes values in \(-1.0, 1.0\).*value_range \(0.0, 1.0\)"
    ):
        fitted(DCGAN(data_shape=(1, 16, 16)), data, max_steps=1)
    fitted(GAN(data_shape=(1, 16, 16)), data, max_steps=1)  # unbounded: nothing to say against it


def test_what_a_generator_does_after_its_last_layer_counts():
    class Halved(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = DCGANGenerator(100, (1, 16, 16))

        def forward(self, latent):
            return (self.network(latent) + 1) / 2

    model = GAN(data_shape=(1, 16, 16), generator=Halved())
    fitted(model, MadeImages(value_range=(0.0, 1.0)), max_steps=1)
