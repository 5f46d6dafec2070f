"""Packs: what a discriminator, its penalties and its augmentation read of them."""

from functools import partial

import pytest
import torch
from conftest import MadeImages, fitted, same, small_ring, snapshot
from reference.networks import two
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import GAN, PacGAN
from lightning_gans.core.players import Batch, Samples
from lightning_gans.networks import DCGANCritic, MLPDiscriminator, SpectralNorm
from lightning_gans.regularizers import R1, R2, Consistency, FeatureMatching, GradientPenalty

DOUBLE = torch.float64


class Weighs(nn.Module):
    """A linear discriminator of packs of two points, whose gradient has the norm 5."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 0, 0, 4], dtype=DOUBLE))

    def forward(self, x):
        return x @ self.weight


class Keeps(nn.Module):
    """A discriminator that keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        self.read.append(x)
        return self.weight * x.flatten(1).sum(1)


def of(discriminator, **arguments):
    return PacGAN(
        data_shape=(2,), generator=nn.Linear(2, 2), discriminator=discriminator, **arguments
    )


def samples(number=4):
    real = torch.arange(2.0 * number, dtype=DOUBLE).reshape(number, 2)
    return Samples(real, real + 100)


def test_a_pack_has_the_entries_of_consecutive_samples():
    critic = Keeps()
    logits = of(critic).discriminate(samples().real)
    assert critic.read[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert logits.tolist() == [6, 22]


def test_a_pack_of_images_has_their_channels():
    critic = Keeps()
    model = PacGAN(data_shape=(3, 2, 2), pack_size=2, discriminator=critic)
    images = torch.rand(4, 3, 2, 2)
    model.discriminate(images)
    (read,) = critic.read
    assert read.shape == (2, 6, 2, 2)
    assert torch.equal(read[1, :3], images[2])
    assert torch.equal(read[1, 3:], images[3])


def test_only_the_first_layer_of_the_discriminator_grows():
    sizes = [
        [tuple(p.shape) for p in model(data_shape=(2,)).discriminator.parameters()]
        for model in (GAN, partial(PacGAN, pack_size=4))
    ]
    assert sizes[0][0] == (128, 2)
    assert sizes[1][0] == (128, 8)
    assert sizes[0][1:] == sizes[1][1:]
    model = PacGAN(
        data_shape=(3, 16, 16), pack_size=3, discriminator=partial(DCGANCritic, width=4)
    )
    assert next(model.discriminator.parameters()).shape[1] == 9
    wrapped = PacGAN(
        data_shape=(2,), discriminator=partial(SpectralNorm, network=MLPDiscriminator)
    )
    assert wrapped.discriminate(torch.zeros(6, 2)).shape == (3,)


@pytest.mark.parametrize(
    ("penalty", "expected", "wrong"),
    [
        (R1(1.0), 25 / 2, (9 + 16) / 2 / 2),
        (R2(1.0), 25 / 2, (9 + 16) / 2 / 2),
        (GradientPenalty(1.0), 4.0**2, (2**2 + 3**2) / 2),
    ],
    ids=lambda part: getattr(part, "name", None),
)
def test_a_penalty_reads_the_gradient_of_the_whole_pack(penalty, expected, wrong):
    """The norms of single samples, 3 and 4, would make R1 smaller by the size of a pack."""
    (view,) = of(Weighs()).views(samples())
    assert penalty(view).item() == pytest.approx(expected, rel=0, abs=1e-12)
    assert view.real.shape == (2, 4)
    assert abs(expected - wrong) > 1


def test_features_are_those_of_packs():
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    model = of(network, regularizers_g=[FeatureMatching()])
    (view,) = model.views(samples())
    packs = samples().real.reshape(2, 4)
    assert torch.equal(view.outputs(view.real)["features"], network[:2](packs))


def test_samples_are_augmented_before_they_are_packed():
    class Notes(nn.Module):
        def __init__(self):
            super().__init__()
            self.shapes = set()

        def forward(self, x):
            self.shapes.add(tuple(x.shape))
            return x + torch.arange(len(x))[:, None]

    augment, critic = Notes(), Keeps()
    model = of(critic, augment=augment, regularizers=[Consistency(augment=augment)])
    fitted(model, small_ring(batch_size=6), max_steps=1)
    assert {shape[1:] for shape in augment.shapes} == {(2,)}
    assert (6, 2) in augment.shapes
    (view,) = model.views(samples())
    moved = view.augmented(augment, view.real)
    assert (moved - view.real).tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]


def test_packs_of_one_sample_are_a_gan_bit_for_bit():
    arguments = {"data_shape": (2,), "n_critic": 2, "regularizers": [R1(), GradientPenalty()]}
    weights = []
    for kind in (GAN, PacGAN):
        torch.manual_seed(0)
        model = kind(**arguments, **two(0))
        model.pack_size = 1
        fitted(model, small_ring(batch_size=6), max_steps=3)
        weights.append(snapshot(model))
    assert same(*weights)


def test_the_order_in_a_pack_matters_but_that_of_packs_does_not():
    model = PacGAN(data_shape=(2,), pack_size=2)
    x = torch.randn(4, 2)
    logits = model.discriminate(x)
    assert_close(model.discriminate(x[[2, 3, 0, 1]]), logits.flip(0))
    assert (model.discriminate(x[[1, 0, 2, 3]]) - logits)[0].abs() > 1e-4


def test_real_and_generated_samples_are_read_in_one_pass_and_never_in_one_pack():
    model = PacGAN(data_shape=(2,), pack_size=3)
    sizes = []
    fitted(model, small_ring(batch_size=6), max_steps=1)
    model.configure_players()
    assert model._joins
    model.discriminator.register_forward_hook(lambda _, x, __: sizes.append(len(x[0])))
    seen = Samples(torch.zeros(6, 2), torch.ones(6, 2))
    real, fake = model._outputs_of_both(seen)
    assert sizes == [4]
    assert_close(real["logit"], model.discriminate(torch.zeros(6, 2)))
    assert_close(fake["logit"], model.discriminate(torch.ones(6, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pack_size": 1}, "pack_size must be at least 2, got 1. Use GAN"),
        ({"pack_size": 0}, "pack_size must be at least 2, got 0. Use GAN"),
        ({"num_classes": 3}, "num_classes: PacGAN has no classes, got 3.* use GAN or CGAN"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        PacGAN(data_shape=(2,), **arguments)


def test_packs_that_do_not_divide_the_batch_are_refused_before_training():
    model = PacGAN(data_shape=(2,), pack_size=3, n_critic=2)
    before = snapshot(model)
    with pytest.raises(
        ValueError,
        match=r"8 samples of an update cannot be split into packs of 3 \(pack_size\). Use a batch",
    ):
        fitted(model, small_ring(batch_size=8))
    assert same(before, snapshot(model))


def test_a_discriminator_of_single_samples_is_refused_before_training():
    with pytest.raises(ValueError, match=r"discriminator: it cannot read samples of shape \(2,\)"):
        fitted(PacGAN(data_shape=(2,), discriminator=MLPDiscriminator((2,))))


def test_a_smaller_last_batch_is_trimmed_to_whole_packs():
    points = TensorDataset(torch.randn(6 + 5, 2))
    model, seen = PacGAN(data_shape=(2,), pack_size=3), []
    usual = model.generator_loss
    model.generator_loss = lambda x: seen.append(len(x.real)) or usual(x)
    fitted(model, DataLoader(points, batch_size=6), max_steps=2)
    assert seen == [6, 6, 3]  # the first is tried before training


def test_an_evaluation_set_smaller_than_a_pack_has_no_views():
    model = PacGAN(data_shape=(2,), pack_size=3)
    batch = {"real": torch.zeros(2, 2), "fake": torch.zeros(2, 2), "latent": None, "labels": None}
    assert model.evaluation_views(batch) == []
    five = {**batch, "real": torch.zeros(5, 2), "fake": torch.ones(5, 2)}
    (view,) = model.evaluation_views(five)
    assert view.real.shape == (1, 6)
    assert view.discriminate(view.fake).shape == (1,)


def test_images_are_packed_in_training():
    model = PacGAN(data_shape=(1, 16, 16), discriminator=partial(DCGANCritic, width=4))
    fitted(model, MadeImages(), max_steps=1)
    drawn = model.draw(Batch(torch.zeros(4, 1, 16, 16)))
    assert model.discriminate(drawn.fake).shape == (2,)
