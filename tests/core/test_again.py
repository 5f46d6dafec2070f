"""Models that are used again: trained twice, scored repeatedly, copied, with one callback."""

import copy
import gc
import pickle

import pytest
import torch
from conftest import SMALL, fitted, quiet_trainer, small_ring
from lightning.pytorch import Callback
from torch import nn

from datamodules import MixturePairs
from lightning_gans import GAN, CycleGAN
from lightning_gans.callbacks import Evaluation, GeneratorEMA, StandingStatistics
from lightning_gans.networks import MLPDiscriminator, MLPTranslator

VALIDATED = {
    "limit_val_batches": 1.0,
    "check_val_every_n_epoch": None,
    "val_check_interval": 1,
    "num_sanity_val_steps": 0,
}


class Alive(Callback):
    """Counts the tensors that are alive after each validation."""

    def __init__(self):
        self.numbers = []

    def on_validation_end(self, trainer, pl_module):
        gc.collect()
        self.numbers.append(sum(isinstance(o, torch.Tensor) for o in gc.get_objects()))


@pytest.mark.parametrize(
    "callbacks", [(), (GeneratorEMA,), (StandingStatistics,), (GeneratorEMA, StandingStatistics)]
)
def test_validations_leave_nothing_behind(callbacks):
    alive = Alive()
    generator = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    model = GAN(**{**SMALL, "generator": generator})
    made = [make() for make in callbacks]
    fitted(model, small_ring(), max_steps=8, callbacks=[*made, alive], **VALIDATED)
    assert len(alive.numbers) == 8
    assert alive.numbers[-1] == alive.numbers[3]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_trained_model_can_be_copied(again):
    model = GAN(**SMALL)
    networks = {"translator": MLPTranslator, "discriminator": MLPDiscriminator}
    pairs = CycleGAN(data_shape=(2,), **networks)
    fitted(model, callbacks=[GeneratorEMA()], **VALIDATED)
    fitted(pairs, MixturePairs(batch_size=4, num_eval_samples=8))
    latent = model.sample_latent(5)
    assert torch.equal(again(model).evaluated.sample(latent), model.evaluated.sample(latent))
    x = torch.randn(3, 2)
    assert torch.equal(again(pairs).translate(x), pairs.translate(x))


def test_a_training_without_an_average_evaluates_no_earlier_one():
    model = GAN(**SMALL)
    fitted(model, callbacks=[GeneratorEMA()])
    assert model.evaluated.generator is not model.generator
    trainer = quiet_trainer(2)
    trainer.fit(model, small_ring())
    assert model.evaluated.generator is model.generator


def test_an_average_is_not_that_of_another_model():
    one, other, average = GAN(**SMALL), GAN(**SMALL), GeneratorEMA()
    trainer = fitted(one, callbacks=[average], **VALIDATED)
    kept = one.evaluated.generator
    trainer.validate(one, small_ring(), verbose=False)
    assert one.evaluated.generator is kept
    trainer.validate(other, small_ring(), verbose=False)
    latent = other.sample_latent(5)
    assert torch.equal(other.evaluated.generator(latent), other.generator(latent))


def test_without_a_seed_every_evaluation_has_the_same_samples(monkeypatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    model, evaluation = GAN(**SMALL), Evaluation()
    trainer = fitted(model, callbacks=[evaluation], **VALIDATED)
    seed = model.seed
    found = []
    for _ in range(2):
        trainer.validate(model, small_ring(), verbose=False)
        found.append(evaluation.scores["sliced_w"])
        assert model.seed == seed
    assert found[0] == found[1]
