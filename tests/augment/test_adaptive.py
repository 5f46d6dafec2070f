"""Augmentations that follow how much a discriminator overfits."""

from dataclasses import replace
from functools import partial
from math import log

import lightning.pytorch as pl
import pytest
import torch
from conftest import MadeImages, Rows, fitted, quiet_trainer, small_ring
from torch import nn
from torch.testing import assert_close

from lightning_gans import GAN, R3GAN, WGAN
from lightning_gans.augment import ADA, APA, BlitGeometryColor, DiffAugment, FlipAndShift
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import FDivergence, Hinge, LeastSquares, NonSaturating
from lightning_gans.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gans.regularizers import R1, Consistency, View


def alone(value):
    return value


def view(signs, verdict=torch.sign, **more):
    """What a discriminator of real samples with some outputs was shown."""
    outputs = torch.as_tensor(signs, dtype=torch.float64)
    samples = torch.zeros(len(outputs), 2)
    return View(lambda x: x, samples, samples, outputs, verdict=verdict, **more)


def signs(positive, number):
    return [2.5] * positive + [-0.1] * (number - positive)


# The control


@pytest.mark.parametrize("make", [ADA, APA])
def test_a_correction_is_that_of_its_images(make):
    """64 images in each of 4 updates, of 500,000: 0.000512."""
    augment = make().double()
    for update in range(1, 4 * 1000 + 1):
        augment.after_turn([view(signs(64, 64))], alone)
        if update in (3, 4, 7, 8):
            assert augment.p.item() == pytest.approx(update // 4 * 0.000512, abs=1e-15)
    # Not 0.512, which 1,000 corrections are: 1,000 batches have 250.
    assert augment.p.item() == pytest.approx(0.512, abs=1e-12)
    fresh = make().double()
    for _ in range(1000):
        fresh.after_turn([view(signs(64, 64))], alone)
    assert fresh.p.item() == pytest.approx(0.128, abs=1e-12)


def test_it_rises_above_the_target_falls_below_it_and_rests_on_it():
    augment = ADA(p=0.5, target=0.5, interval=1, ramp_images=1000).double()
    for positive, change in ((4, 0.004), (3, 0.0), (2, -0.004), (0, -0.004)):
        before = augment.p.item()
        augment.after_turn([view(signs(positive, 4))], alone)
        assert augment.signal.item() == (2 * positive - 4) / 4
        assert augment.p.item() - before == pytest.approx(change, abs=1e-12)


def test_it_is_at_least_0_and_may_pass_1():
    """It does not remember how long it was at 0."""
    augment = ADA(interval=1, ramp_images=10, p=0.9).double()
    augment.after_turn([view(signs(4, 4))], alone)
    assert augment.p.item() == pytest.approx(1.3)
    for _ in range(6):
        augment.after_turn([view(signs(0, 4))], alone)
    assert augment.p.item() == 0
    augment.after_turn([view(signs(4, 4))], alone)
    assert augment.p.item() == pytest.approx(0.4)


def test_the_signal_is_the_mean_over_an_interval():
    """By images: a smaller batch counts less. Of three updates that part, none is above 0.6."""
    augment = ADA(p=0.5, target=0.6, interval=3, ramp_images=1000).double()
    for positive, number in ((8, 8), (8, 8), (0, 2)):
        assert augment.p.item() == 0.5
        augment.after_turn([view(signs(positive, number))], alone)
    assert augment.p.item() == pytest.approx(0.5 + 18 / 1000)  # 14/18 = 0.78; of means: 0.33
    assert augment.sums.tolist() == [0, 0]


def test_every_process_adds_its_images():
    """The mean over two, one of which is sure: 0 in all, and twice as many images."""
    augment = ADA(p=0.5, target=-0.1, interval=1, ramp_images=1000).double()
    augment.processes = 2
    other = torch.tensor([-4.0, 4.0], dtype=torch.float64)
    augment.after_turn([view(signs(4, 4))], lambda value: (value + other) / 2)
    assert augment.signal.item() == 0
    assert augment.p.item() == pytest.approx(0.508)


def test_several_discriminators_have_one_signal_and_packs_count_their_samples():
    augment = ADA(interval=1, ramp_images=1000).double()
    augment.after_turn([view(signs(4, 4)), view(signs(3, 4))], alone)
    assert augment.signal.item() == 0.75
    assert augment.p.item() == pytest.approx(0.004)
    augment.after_turn([view(signs(4, 4), pack_size=3)], alone)
    assert augment.p.item() == pytest.approx(0.016)


@pytest.mark.parametrize("make", [ADA, APA])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 1.5}, "p must be from 0 to 1, got 1.5. Use 0 to begin without"),
        ({"p": -0.1}, "p must be from 0 to 1, got -0.1"),
        ({"p": float("nan")}, "p must be from 0 to 1, got nan"),
        ({"target": 1.0}, "target must be above -1 and below 1, got 1.0. Use 0.6"),
        ({"target": -1.0}, "target must be above -1 and below 1, got -1.0"),
        ({"interval": 0}, "interval must be a whole number of at least 1, got 0. Use 4"),
        ({"interval": 1.5}, "interval must be a whole number of at least 1, got 1.5. Use 4"),
        ({"ramp_images": 0}, "ramp_images must be finite and above 0, got 0. Use 500000"),
        ({"ramp_images": -5}, "ramp_images must be finite and above 0, got -5"),
        ({"ramp_images": float("nan")}, "ramp_images must be finite and above 0, got nan"),
        ({"ramp_images": float("inf")}, "ramp_images must be finite and above 0, got inf"),
    ],
)
def test_what_is_out_of_range_is_refused(make, arguments, message):
    with pytest.raises(ValueError, match=f"{make.__name__}: {message}"):
        make(**arguments)


def test_beyond_1_it_counts_as_1_with_factors_too():
    """What a factor makes of the probability would otherwise go on rising."""
    torch.manual_seed(0)
    images = torch.randn(4000, 1, 4, 4)

    def left_alone(augment):
        return (augment(images) == images).flatten(1).all(1).float().mean().item()

    augment = ADA(BlitGeometryColor(blit=0.3, geometry=0, color=0))
    augment.p.fill_(3.0)
    expected = left_alone(BlitGeometryColor(p=1.0, blit=0.3, geometry=0, color=0))
    assert 0.3 < expected < 0.7
    assert left_alone(augment) == pytest.approx(expected, abs=0.04)


# What outputs say


@pytest.mark.parametrize(
    ("loss", "outputs", "expected"),
    [
        (NonSaturating(), [-1.0, 0.0, 2.0], [-1, 0, 1]),
        (NonSaturating(0.9), [log(0.9 / 1.1) + gap for gap in (-0.1, 0.1)], [-1, 1]),
        (Hinge(), [-0.2, 0.0, 0.2], [-1, 0, 1]),
        (LeastSquares(), [0.4, 0.5, 0.6], [-1, 0, 1]),
        (LeastSquares(-1.0, 1.0, 0.0), [0.4, 0.0, -0.6], [-1, 0, 1]),
        (LeastSquares(label_noise=0.2), [0.55, 0.65], [-1, 1]),
        (FDivergence("kl"), [0.5, 1.5], [-1, 1]),  # 1 + log of the ratio
        (FDivergence("pearson"), [-0.2, 0.0, 0.2], [-1, 0, 1]),  # 2 (ratio - 1)
        (FDivergence("total_variation"), [-0.2, 0.0, 0.2], [-1, 0, 1]),
    ],
)
def test_outputs_part_real_from_generated_samples(loss, outputs, expected):
    assert loss.verdict(torch.tensor(outputs)).tolist() == expected


@pytest.mark.parametrize("model", [WGAN, R3GAN])
@pytest.mark.parametrize("augment", [ADA(DiffAugment()), APA()])
def test_outputs_that_do_not_are_refused_before_training(model, augment):
    made = model(data_shape=(1, 16, 16), augment=augment)
    with pytest.raises(ValueError, match="have no threshold between real and generated samples"):
        fitted(made, MadeImages())
    assert not made.has_trained


# ADA


def test_any_augmentation_with_a_probability_follows():
    for part in (None, DiffAugment("color"), BlitGeometryColor(0.9)):
        augment = ADA(part, p=0.25)
        assert augment.augment.p == augment.p == 0.25
        augment.p.fill_(0.0)
        images = torch.rand(20, 3, 8, 8)
        assert torch.equal(augment(images), images)
        augment.p.fill_(1.0)
        assert not (augment(images) == images).flatten(1).all(1).any()


def test_its_default_is_the_set_of_the_paper():
    augment = ADA()
    assert repr(augment.augment) == (
        "BlitGeometryColor(p=0, blit=1, geometry=1, color=1, cutout=0)"
    )
    assert augment.state_dict().keys() == {"augment.p", "sums", "updates", "signal"}


@pytest.mark.parametrize("part", [FlipAndShift(), nn.Identity()])
def test_one_without_a_probability_is_refused(part):
    with pytest.raises(ValueError, match=r"ADA: augment must have a probability to adapt, got"):
        ADA(part)


@pytest.mark.parametrize("part", [ADA(), APA()])
def test_a_penalty_has_nothing_to_adapt_to(part):
    with pytest.raises(ValueError, match=f"Consistency: augment {type(part).__name__} follows"):
        Consistency(augment=part)


# APA


def test_real_samples_are_replaced_with_its_probability():
    real, made = torch.zeros(20_000, 2), torch.ones(20_000, 2)
    mixed = APA(p=0.3).mixed(real, lambda: made)
    assert torch.equal(mixed[:, 0], mixed[:, 1])
    assert set(mixed.unique().tolist()) == {0, 1}
    assert mixed.mean().item() == pytest.approx(0.3, abs=0.013)
    assert torch.equal(APA().mixed(real, lambda: made), real)
    images = APA(p=1.0).mixed(torch.zeros(3, 1, 4, 4), lambda: torch.ones(3, 1, 4, 4))
    assert images.min() == 1


class Sees(nn.Module):
    """A discriminator that notes the first entries of what it reads."""

    def __init__(self, entries=2):
        super().__init__()
        self.linear = nn.Linear(entries, 1)
        self.read = []

    def forward(self, x):
        self.read.append(x.detach()[:, 0].clone())
        return self.linear(x)[:, 0]


class Ones(nn.Module):
    """A generator of ones, which a weight could move."""

    treats_samples_alone = True

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        return 1 + 0 * z + self.weight * z


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_the_discriminator_alone_reads_generated_samples_as_real_ones(p):
    """And so does R1: of two updates and one of the generator it reads seven batches."""
    seen = Sees()
    penalty = [R1(0.1)]
    frozen = partial(torch.optim.SGD, lr=0.0)
    model = GAN(
        data_shape=(2,),
        generator=Ones(),
        discriminator=seen,
        prior=NormalPrior(2),
        augment=APA(p=p, target=0.999),
        regularizers=penalty,
        optimizer_g=frozen,
        optimizer_d=frozen,
        n_critic=2,
    )
    fitted(model, small_ring(batch_size=64), max_steps=1)
    real, fake, penalized = (torch.cat(seen.read[-7 + k : -1 : 3]) for k in range(3))
    assert torch.equal(fake, torch.ones(128))
    assert torch.equal(real, penalized)
    assert (real == 1).float().mean().item() == pytest.approx(p, abs=0.18)
    assert (real == 1).float().mean().item() in (0.0, 1.0) or p == 0.5


def images_model(augment, **arguments):
    return GAN(
        data_shape=(1, 16, 16),
        generator=partial(DCGANGenerator, width=4),
        discriminator=partial(DCGANDiscriminator, width=4, normalization=None),
        augment=augment,
        **arguments,
    )


# In a run


@pytest.mark.parametrize("make", [ADA, APA])
def test_probability_and_signal_are_in_the_rows(make):
    """As means over the updates of a row, of which two are the discriminator's in each round."""
    rows = Rows()
    model = images_model(make(p=0.2, interval=1, ramp_images=1000), n_critic=2)
    after_turn, seen = model.augment.after_turn, []

    def noted(views, mean):
        after_turn(views, mean)
        seen.append((model.augment.p.item(), model.augment.signal.item()))

    model.augment.after_turn = noted
    fitted(model, MadeImages(), max_steps=2, log_every_n_steps=2, logger=rows)
    (row,) = [row for _, row in rows.rows]
    assert len(seen) == model.augment.updates == 4
    assert -1 <= row["train/augment.signal"] <= 1
    changes = 4 / 1000
    assert abs(model.augment.p.item() - 0.2) <= 4 * changes + 1e-6
    assert model.augment.p.item() != pytest.approx(0.2, abs=1e-6)
    p, signal = (sum(values) / 4 for values in zip(*seen, strict=True))
    assert row["train/augment.p"] == pytest.approx(p, abs=1e-6)
    assert row["train/augment.signal"] == pytest.approx(signal, abs=1e-6)


@pytest.mark.parametrize("make", [ADA, APA])
def test_a_resumed_run_adapts_as_one_that_was_not_stopped(make, tmp_path):
    def model():
        pl.seed_everything(0)
        return images_model(make(p=0.2, interval=3, ramp_images=1000), n_critic=2)

    whole, begun, resumed = model(), model(), model()
    fitted(whole, MadeImages(), max_steps=4)
    fitted(begun, MadeImages(), max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    assert begun.augment.sums.abs().sum() > 0  # stopped between two changes
    trainer = quiet_trainer(4)
    trainer.fit(resumed, MadeImages(), ckpt_path=tmp_path / "two.ckpt")
    assert whole.augment.p != begun.augment.p
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("make", [ADA, APA])
def test_in_half_precision_the_probability_stays_in_single(make):
    model = images_model(make(p=0.2, interval=1, ramp_images=1000))
    fitted(model, MadeImages(), max_steps=2, precision="bf16-mixed")
    assert model.augment.p.dtype == torch.float32
    assert abs(model.augment.p.item() - 0.2) == pytest.approx(0.008, abs=1e-6)


@pytest.mark.slow
def test_compiled_it_draws_and_adapts_as_in_eager_mode():
    def trained(compile):
        pl.seed_everything(0)
        augment = ADA(p=0.5, interval=1, ramp_images=100)
        model = images_model(augment, regularizers=[R1(0.1)], compile=compile)
        sgd = partial(torch.optim.SGD, lr=0.01)
        model.optimizer_g = model.optimizer_d = sgd
        fitted(model, MadeImages(), max_steps=4, log_every_n_steps=1)
        return model

    eager, compiled = trained(False), trained(True)
    assert_close(compiled.state_dict(), eager.state_dict(), rtol=1e-4, atol=1e-5)
    assert eager.augment.p != 0.5


def test_a_game_that_judges_no_real_samples_is_refused():
    class Blind(GAN):
        def discriminator_loss(self, samples):
            return {"adversarial_d": self.discriminate(samples.fake).mean()}

    with pytest.raises(ValueError, match="APA follows the outputs of real samples, which this"):
        fitted(Blind(data_shape=(2,), augment=APA()))


def test_it_needs_a_player_that_it_can_follow():
    class Renamed(GAN):
        def configure_players(self):
            discriminator, generator = super().configure_players()
            return [replace(discriminator, name="critic"), generator]

    with pytest.raises(ValueError, match="follows the player called discriminator, but the"):
        fitted(Renamed(data_shape=(2,), augment=APA()))


@pytest.mark.slow
@pytest.mark.in_two_processes("adapt")
def test_two_processes_have_one_probability_which_is_that_of_all_images(left_behind):
    """Against one process that is told the outputs of both."""
    first, second = (torch.load(left_behind / f"rank{rank}.pt") for rank in range(2))
    for name, state in first["states"].items():
        assert_close(second["states"][name], state, rtol=0, atol=0)
    alone_ = APA(p=0.5, interval=2, ramp_images=1000)
    moved = set()
    for one, other in zip(first["outputs"], second["outputs"], strict=True):
        assert not torch.equal(one, other)
        alone_.after_turn([view(torch.cat([one, other]).tolist())], alone)
        moved.add(alone_.p.item())
    assert len(moved) > 3
    for name, value in alone_.state_dict().items():
        assert_close(first["states"][name], value, rtol=0, atol=1e-6)
