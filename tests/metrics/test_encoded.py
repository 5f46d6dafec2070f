"""Scores of the codes that encoders find."""

import pytest
import torch
from conftest import MadeImages, fitted, small_ring
from torch import nn

from datamodules.images import ImageBytes
from lightning_gans import AAE, GAN, BiGAN
from lightning_gans.callbacks import Evaluation, GeneratorEMA
from lightning_gans.metrics import CodeMatch, CodeNeighbours, better, fitting_metrics, meaning


def draw(n):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1)).double()


def test_codes_are_compared_with_the_prior_beside_a_second_draw_of_it():
    """Codes of twice the spread are 1 away in every direction, but for noise."""
    metric = CodeMatch(draw, max_samples=3000)
    generator = torch.Generator().manual_seed(2)
    codes = 2 * torch.randn(4000, 3, generator=generator)
    for part in codes.split(1000):
        metric.observe({"code": part}, real=True)
        metric.observe({"code": part}, real=False)
    (name, score), (floor_name, floor) = *metric.compute().items(), *metric.known_floors().items()
    assert name == floor_name == "code_sliced_w"
    assert score.item() == pytest.approx(1.0, abs=0.05)
    assert 0.01 < floor < 0.08
    metric.reset()
    latents, further = draw(6000).chunk(2)
    metric.update(latents)
    assert metric.compute()[name] == 0
    metric.reset()
    metric.update(further)
    assert metric.compute()[name].item() == metric.known_floors()[name]
    assert (better(name), bool(meaning(name))) == ("low", True)


def test_codes_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="max_samples must be at least 2, got 1"):
        CodeMatch(draw, max_samples=1)
    with pytest.raises(ValueError, match="CodeMatch: needs at least 2 codes, got 0"):
        CodeMatch(draw).compute()
    asked = Evaluation([CodeMatch(draw)])
    with pytest.raises(ValueError, match="CodeMatch needs a model with an encoder, such as BiGAN"):
        scored(GAN(data_shape=(2,)), small_ring(), asked)


def scored(model, data, evaluation, **arguments):
    fitted(
        model,
        data,
        1,
        callbacks=[evaluation],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=1,
        **arguments,
    )
    return evaluation


def bytes_like(values):
    """Grey images of 2 x 2 pixels, the first of which has a value."""
    images = torch.zeros(len(values), 1, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(values)
    return images


def test_the_nearest_code_tells_the_class():
    """The code is the pixel itself, without training its distance from 100."""
    images = ImageBytes(bytes_like([0, 90, 115, 205]), torch.tensor([0, 1, 0, 1]))
    low, high = -1.0, 1.0

    def pixel(x):
        return ((x[:, 0, 0, :1] - low) / (high - low) * 255).round()

    metric = CodeNeighbours(images, pixel, lambda x: (pixel(x) - 100).abs(), (low, high))
    held_out = bytes_like([10, 80, 130, 190]).float() / 255 * (high - low) + low
    labels = torch.tensor([0, 1, 0, 1])
    for part in (slice(0, 3), slice(3, 4)):
        record = {"real": held_out[part], "labels": labels[part]}
        metric.observe(record, real=True)
        metric.observe(record, real=False)
    found = {name: value.item() for name, value in metric.compute().items()}
    # Its distances of the training images are 100, 10, 15 and 105, of the others 90, 20, 30, 90.
    assert found == {
        "neighbour_accuracy": 1.0,
        "neighbour_accuracy_untrained": 0.5,
        "neighbour_accuracy_pixels": 1.0,
    }
    assert [better(name) for name in found] == ["high", "same", "same"]
    without = CodeNeighbours(images, pixel)
    assert without.scores == ("neighbour_accuracy", "neighbour_accuracy_pixels")


def test_neighbours_are_looked_for_from_the_first_to_the_last_image():
    """Those of a folder are ordered by class."""
    images = ImageBytes(bytes_like([*range(100)]), torch.arange(100) // 50)
    metric = CodeNeighbours(images, lambda x: x.flatten(1), num_images=10, max_samples=3)
    held_out = images.images[[1, 99, 98, 2]].float() / 255 * 2 - 1
    metric.update(held_out[:3], torch.tensor([0, 1, 1]))
    metric.update(held_out[3:], torch.tensor([1]))  # one too many
    assert metric.compute()["neighbour_accuracy"] == 1
    metric = CodeNeighbours(images, lambda x: x.flatten(1) / 0, num_images=10)
    metric.update(held_out, torch.tensor([0, 1, 1, 0]))
    found = metric.compute()
    assert found["neighbour_accuracy"].isnan()
    assert found["neighbour_accuracy_pixels"] == 1


def test_neighbours_that_cannot_be_found_are_refused():
    images = ImageBytes(bytes_like([0]), torch.tensor([0]))
    with pytest.raises(ValueError, match="num_images must be at least 1, got 0"):
        CodeNeighbours(images, nn.Flatten(), num_images=0)
    with pytest.raises(ValueError, match="max_samples must be at least 1, got 0"):
        CodeNeighbours(images, nn.Flatten(), max_samples=0)
    metric = CodeNeighbours(images, nn.Flatten())
    with pytest.raises(ValueError, match="CodeNeighbours: needs at least 1 image, and got none"):
        metric.compute()
    with pytest.raises(ValueError, match="CodeNeighbours needs data with labels"):
        metric.observe({"real": torch.zeros(1, 1, 2, 2), "labels": None}, real=True)


def test_models_with_an_encoder_are_scored_by_what_they_evaluate_with():
    data = MadeImages()
    model = AAE(data_shape=(1, 16, 16))
    kinds = {type(metric) for metric in fitting_metrics(data, model)}
    assert {CodeMatch, CodeNeighbours} <= kinds
    points = {type(metric) for metric in fitting_metrics(small_ring(), BiGAN(data_shape=(2,)))}
    assert CodeMatch in points
    assert CodeNeighbours not in points
    without = {type(metric) for metric in fitting_metrics(data, GAN(data_shape=(1, 16, 16)))}
    assert not {CodeMatch, CodeNeighbours} & without
    average, evaluation = GeneratorEMA(0.5), Evaluation()
    trainer = fitted(model, data, 2, callbacks=[average, evaluation])
    trainer.limit_val_batches = 1.0
    trainer.validate(model, data, verbose=False)
    scores = evaluation.scores
    assert {"neighbour_accuracy", "neighbour_accuracy_untrained"} <= scores.keys()
    (metric,) = CodeNeighbours.for_data(data, model)
    x = torch.rand(5, 1, 16, 16)
    trained, untrained, pixels = (encode(x) for encode in metric._encoders)
    assert torch.equal(trained, model.evaluated.encode(x))
    assert not torch.equal(trained, model.encode(x))
    assert torch.equal(untrained, model.untrained().encode(x))
    assert torch.equal(pixels, x.flatten(1))


def test_reconstructions_of_labelled_data_are_read_whatever_the_model_knows():
    evaluation = scored(BiGAN(data_shape=(2,)), small_ring(labels=True, num_modes=3), Evaluation())
    assert 0 <= evaluation.scores["reconstruction_fidelity"] <= 1
    evaluation = scored(BiGAN(data_shape=(2,)), small_ring(), Evaluation())
    assert "reconstruction_fidelity" not in evaluation.scores
