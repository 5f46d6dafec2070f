"""GANs with more than two networks or more than one answer: ACGAN and CVAEGAN."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import MadeImages, Rows, fitted, same, small_ring, snapshot
from made import make_digits
from PIL import Image
from reference.networks import Locates, layers
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import ACGAN, CVAEGAN, GAN, load
from lightning_gans.callbacks import Alarms, Evaluation, GeneratorEMA, Pictures
from lightning_gans.cli.main import main
from lightning_gans.core.players import Batch, Reconstructs
from lightning_gans.core.priors import NormalPrior, UniformPrior
from lightning_gans.metrics import ReconstructionError, better, meaning, mode_reader
from lightning_gans.networks import (
    MaxPoolDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    VAEEncoder,
    VAEGenerator,
)
from lightning_gans.variants.encoding import Reconstructed

SHAPE = (1, 16, 16)


def points(**arguments):
    """A CVAEGAN of points in the plane and three classes, in double precision."""
    networks = {
        "generator": MLPGenerator(2, (2,), hidden=[8], num_classes=3),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": Locates(),
        "classifier": nn.Sequential(*layers(2, 3)),
    }
    return CVAEGAN(data_shape=(2,), **{"num_classes": 3, **networks, **arguments}).double()


def validating(model, data, **arguments):
    return fitted(
        model,
        data,
        **{"max_steps": 1, **arguments},
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=1,
        num_sanity_val_steps=0,
    )


# Networks


def test_the_encoder_halves_twice_and_the_decoder_doubles_twice():
    """The layers and sizes of the tutorial, with a hand-made composition as the reference."""
    encoder, decoder = VAEEncoder(5, (1, 28, 28)), VAEGenerator(5, (1, 28, 28), num_classes=10)
    convolutions = [part for part in encoder.layers if isinstance(part, nn.Conv2d)]
    assert [tuple(c.weight.shape) for c in convolutions] == [
        (16, 1, 3, 3),
        (32, 16, 3, 3),
        (32, 32, 3, 3),
    ]
    assert [c.stride[0] for c in convolutions] == [2, 2, 1]
    x, z = torch.randn(3, 1, 28, 28), torch.randn(3, 5)
    encoder.eval()
    features = x
    for convolution, slope in zip(convolutions, (0.2, 0.2, 0.2), strict=True):
        # Running statistics of 0 and 1: a fresh BatchNorm divides by sqrt(1 + eps).
        features = convolution(features) / (1 + 1e-5) ** 0.5
        features = torch.where(features > 0, features, slope * features)
    mean, log_sd = encoder(x)
    assert features.shape == (3, 32, 7, 7)
    assert_close(mean, encoder.mean(features.flatten(1)))
    assert_close(log_sd, encoder.log_sd(features.flatten(1)))
    linear, _, first, _, second, _ = decoder.layers
    assert tuple(linear.weight.shape) == (32 * 7 * 7, 15)
    assert [tuple(c.weight.shape) for c in (first, second)] == [(32, 16, 4, 4), (16, 1, 4, 4)]
    labels = torch.tensor([3, 0, 9])
    one_hot = torch.eye(10)[labels]
    grown = linear(torch.cat([z, one_hot], 1)).reshape(3, 32, 7, 7)
    assert_close(decoder(z, labels), second(first(grown).clamp(min=0)).tanh())


def test_the_classifier_is_the_discriminator_with_more_outputs():
    model = CVAEGAN(data_shape=SHAPE)
    shapes = [
        [tuple(p.shape) for p in network.parameters()]
        for network in (model.discriminator, model.classifier)
    ]
    assert isinstance(model.discriminator, MaxPoolDiscriminator)
    assert shapes[0][:-2] == shapes[1][:-2]
    assert shapes[0][-2:] == [(1, 1024), (1,)]
    assert shapes[1][-2:] == [(10, 1024), (10,)]


# Losses


def located(kind, real=None, n=5):
    model = points(reconstruction=kind)
    real = torch.rand(n, 2).double() if real is None else real
    labels = torch.arange(n) % 3
    return model, model.draw_reconstructions(Batch(real, labels))


def test_the_terms_of_the_generator_are_their_definitions():
    model, samples = located("squared_error")
    terms = model.generator_loss(samples)
    assert list(terms) == ["reconstruction", "kl", "adversarial_g", "class_g"]
    posterior = Normal(samples.mean, samples.log_sd.exp())
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    assert_close(terms["kl"], divergence)
    squares = np.sum((samples.fake - samples.real).detach().numpy() ** 2) / 5
    assert terms["reconstruction"].item() == pytest.approx(squares, rel=1e-12)


def test_a_reconstruction_can_be_a_probability():
    model, samples = located("bernoulli")
    fake = torch.rand(5, 2).double()
    made = Reconstructed(
        samples.real,
        fake,
        samples.latent,
        samples.labels,
        mean=samples.mean,
        log_sd=samples.log_sd,
    )
    x, p = samples.real.numpy(), fake.numpy()
    expected = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p)) / 5
    found = model.generator_loss(made)["reconstruction"].item()
    assert found == pytest.approx(expected, rel=1e-12)


def test_latents_spread_as_the_encoder_says():
    real = torch.tensor([[0.3, -0.2]]).double().expand(20_000, 2)
    model, samples = located("squared_error", real, len(real))
    mean, log_sd = (values[0] for values in (samples.mean, samples.log_sd))
    assert_close(samples.latent.mean(0), mean, atol=0.03, rtol=0)
    assert_close(samples.latent.std(0), log_sd.exp(), atol=0, rtol=0.03)
    assert torch.equal(samples.fake, model.generate(samples.latent, samples.labels))


def test_fakes_are_of_classes_that_are_drawn_and_of_the_prior(monkeypatch):
    model = points()
    asked = []
    usual = model.generate
    monkeypatch.setattr(
        model, "generate", lambda z, labels: asked.append(labels) or usual(z, labels)
    )
    real, labels = torch.randn(3000, 2).double(), torch.zeros(3000).long()
    samples = model.draw(Batch(real, labels))
    assert torch.equal(samples.labels, labels)
    assert_close(asked[0].bincount() / 3000, torch.full((3,), 1 / 3), atol=0.04, rtol=0)
    assert_close(samples.latent.std(0), torch.ones(2).double(), atol=0.05, rtol=0)


def test_every_player_sees_its_own():
    """The classifier only real samples, the discriminator samples of the prior."""
    model = points(n_critic=2).float()
    seen = {}
    for name in ("classifier", "discriminator", "generator"):
        usual = getattr(model, f"{name}_loss")

        def look(samples, name=name, usual=usual):
            if model.training:  # losses are tried once before training
                seen.setdefault(name, []).append(samples)
            return usual(samples)

        setattr(model, f"{name}_loss", look)
    fitted(model, small_ring(num_modes=3, labels=True, batch_size=4), max_steps=1)
    assert [len(seen[name]) for name in ("classifier", "discriminator", "generator")] == [1, 2, 1]
    assert list(seen) == ["classifier", "discriminator", "generator"]
    (first,), (early, late), (last,) = seen.values()
    assert isinstance(first, Batch)
    for samples in (first, last):
        assert torch.equal(samples.real, late.real)
        assert torch.equal(samples.labels, late.labels)
    assert not torch.equal(early.real, late.real)
    assert not early.fake.requires_grad
    assert last.fake.requires_grad
    assert isinstance(last, Reconstructed)


def test_samples_of_any_kind_are_split_row_by_row():
    *fields, labels = (torch.arange(6.0) + 10 * k for k in range(6))
    real, fake, latent, mean, log_sd = fields
    whole = Reconstructed(real, fake, latent, labels, mean=mean, log_sd=log_sd)
    first, second = whole.split(4)
    assert isinstance(second, Reconstructed)
    for name, value in vars(whole).items():
        assert torch.equal(getattr(first, name), value[:4])
        assert torch.equal(getattr(second, name), value[4:])


def test_each_term_is_logged():
    rows = Rows()
    model = points().float()
    fitted(model, small_ring(num_modes=3, labels=True), 1, logger=rows, log_every_n_steps=1)
    ((_, row),) = rows.rows
    assert {f"train/{name}" for name in ("loss_classifier", "loss_d", "loss_g")} <= row.keys()
    parts = [row[f"train/{name}"] for name in ("reconstruction", "kl", "adversarial_g", "class_g")]
    assert row["train/loss_g"] == pytest.approx(sum(parts), rel=1e-5)
    rows = Rows()
    model = ACGAN(data_shape=(2,), num_classes=3)
    fitted(model, small_ring(num_modes=3, labels=True), 1, logger=rows, log_every_n_steps=1)
    ((_, row),) = rows.rows
    parts = [row[f"train/{name}"] for name in ("adversarial_d", "class_real", "class_fake")]
    assert row["train/loss_d"] == pytest.approx(sum(parts), rel=1e-5)
    assert "train/class_g" in row


@pytest.mark.parametrize("variant", [ACGAN, GAN])
def test_the_outputs_on_real_and_on_fake_samples_are_not_exchanged(variant):
    rows = Rows()
    arguments = {"num_classes": 3} if variant is ACGAN else {}
    model = variant(data_shape=(2,), **arguments)
    usual, expected = model.discriminator_loss, []

    def look(samples):
        with torch.no_grad():
            expected[:] = [
                model.discriminate(x).mean().item() for x in (samples.real, samples.fake)
            ]
        return usual(samples)

    model.discriminator_loss = look
    fitted(model, small_ring(num_modes=3, labels=True), 1, logger=rows, log_every_n_steps=1)
    ((_, row),) = rows.rows
    assert [row["train/d_real"], row["train/d_fake"]] == pytest.approx(expected, rel=1e-5)
    assert row["train/d_real"] != row["train/d_fake"]


def test_a_player_that_draws_for_itself_draws_for_every_update():
    """What it draws has a graph through its own networks, which lasts one backward pass."""

    class Twice(CVAEGAN):
        def configure_players(self):
            classifier, discriminator, generator = super().configure_players()
            first = replace(discriminator, updates=2, draw=self.draw_reconstructions)
            return [classifier, first, replace(generator, updates=2)]

    model = Twice(data_shape=SHAPE)
    sizes = []
    model.encoder.register_forward_hook(lambda *_, **__: sizes.append(1))
    fitted(model, MadeImages(), max_steps=1)
    assert len(sizes) == 7  # three of them before training


def test_an_auxiliary_classifier_learns_the_modes():
    model = ACGAN(data_shape=(2,), num_classes=4)
    ring = small_ring(num_modes=4, labels=True, batch_size=64)
    fitted(model, ring, max_steps=150)
    samples, labels = ring.training_batch(9, 0, 200, 0, 1)
    assert (model.outputs(samples)["class"].argmax(1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("variant", [ACGAN, CVAEGAN])
def test_half_precision_trains_and_losses_are_in_full(variant):
    model = variant(data_shape=SHAPE)
    seen = []
    usual = model.generator_loss
    model.generator_loss = lambda samples: seen.append(usual(samples)) or seen[-1]
    fitted(model, MadeImages(), max_steps=2, precision="bf16-mixed")
    terms = [term for terms in seen for term in terms.values()]
    assert all(term.isfinite() for term in terms)
    assert {term.dtype for term in terms} == {torch.float32}


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_cut_probabilities_off(half):
    """From a logit of 9 on both kinds of half precision round a probability to 1."""
    model = CVAEGAN(
        data_shape=SHAPE,
        generator=partial(VAEGenerator, output=nn.Sigmoid),
        reconstruction="bernoulli",
    )
    last = model.generator.layers[-2]
    nn.init.constant_(last.bias, 9.0)
    real, labels = torch.rand(4, *SHAPE), torch.arange(4)
    gradients = []
    for enabled in (True, False):
        torch.manual_seed(0)
        with torch.autocast("cpu", half, enabled=enabled):
            samples = model.draw_reconstructions(Batch(real, labels))
            loss = model.generator_loss(samples)["reconstruction"]
        gradients.append(torch.autograd.grad(loss, last.bias)[0])
    assert 80 < gradients[1] < 256
    assert_close(gradients[0], gradients[1], rtol=0.01, atol=0)


# Bad input


class Gives(nn.Module):
    """A network whose output has a given shape behind the batch."""

    def __init__(self, *shape, times=1):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))
        self.shape, self.times = shape, times

    def forward(self, x):
        outputs = [self.value.expand(len(x), *self.shape) for _ in range(self.times)]
        return outputs[0] if self.times == 1 else outputs


def test_one_class_is_a_class():
    ring = small_ring(num_modes=1, labels=True)
    for model in (ACGAN(data_shape=(2,), num_classes=1), one_class()):
        fitted(model, ring, max_steps=2)


def one_class():
    networks = {"generator": MLPGenerator, "discriminator": MLPDiscriminator}
    return CVAEGAN(
        data_shape=(2,),
        num_classes=1,
        encoder=Locates(),
        classifier=partial(MLPDiscriminator, hidden=[4]),
        **networks,
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ACGAN(data_shape=(2,), class_weight_d=-1),
            "class_weight_d must be finite and at least 0",
        ),
        (
            lambda: ACGAN(data_shape=(2,), class_weight_g=-1),
            "class_weight_g must be finite and at least 0",
        ),
        (
            lambda: ACGAN(data_shape=(2,), discriminator=MLPDiscriminator((2,), num_classes=10)),
            "discriminator: it has num_classes 10, but needs num_classes None in this model",
        ),
        (
            lambda: ACGAN(data_shape=(2,), discriminator=partial(MLPDiscriminator, num_outputs=4)),
            "discriminator: it has num_outputs 4, but needs num_outputs 11 in this model",
        ),
        (lambda: points(kl_weight=-0.1), "kl_weight must be finite and at least 0, got -0.1"),
        (lambda: points(reconstruction="l1"), "must be one of squared_error, bernoulli, got 'l1'"),
        (lambda: points(prior=UniformPrior(2)), "prior must be a NormalPrior"),
        (
            lambda: points(classifier=partial(MLPDiscriminator, num_classes=3)),
            "classifier: it has num_classes 3, but needs num_classes None in this model",
        ),
        (
            lambda: points(encoder=lambda z, shape: 3),
            "encoder must make a torch.nn.Module .* got 3",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ACGAN(data_shape=(2,), num_classes=3, discriminator=MLPDiscriminator((2,))),
            r"discriminator: its output for 2 samples has shape \(2,\), .* shape \(2, 4\)",
        ),
        (
            lambda: points(classifier=nn.Linear(2, 2)).float(),
            r"classifier: its output for 2 samples has shape \(2, 2\), .* shape \(2, 3\)",
        ),
        (
            lambda: points(encoder=Gives(3, times=2)).float(),
            r"encoder: its output for 2 samples has shape \(2, 3\), .* shape \(2, 2\)",
        ),
        (
            lambda: points(encoder=nn.Linear(3, 2)).float(),
            r"encoder: it cannot read samples of shape \(2,\)",
        ),
        (
            lambda: points(encoder=Gives(2)).float(),
            "encoder: it must return two tensors, mean and log of the standard deviation",
        ),
        (
            lambda: points(reconstruction="bernoulli").float(),
            "reconstruction: bernoulli needs a generator that ends in a sigmoid",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_the_first_update(make, message):
    model = make()
    with pytest.raises(ValueError, match=message):
        fitted(model, small_ring(num_modes=3, labels=True))
    assert not model.has_trained


def test_probabilities_of_data_beyond_0_and_1_are_refused():
    generator = MLPGenerator(2, (2,), hidden=[8], output=nn.Sigmoid, num_classes=3)
    model = points(generator=generator, reconstruction="bernoulli").float()
    before = snapshot(model)
    with pytest.raises(ValueError, match="bernoulli needs data from 0 to 1, but samples go from"):
        fitted(model, small_ring(num_modes=3, labels=True))
    assert same(before, snapshot(model))
    above = TensorDataset(torch.rand(8, 2) + 0.5, torch.arange(8) % 3)
    with pytest.raises(ValueError, match="needs data from 0 to 1"):
        fitted(model, DataLoader(above, batch_size=8))
    assert same(before, snapshot(model))
    unit = TensorDataset(torch.rand(8, 2), torch.arange(8) % 3)
    fitted(model, DataLoader(unit, batch_size=4), max_steps=2)


# Reconstructions


def test_a_reconstruction_is_the_decoded_mean_in_evaluation_mode():
    model = CVAEGAN(data_shape=SHAPE)
    fitted(model, MadeImages(), max_steps=2)
    model.train()
    x, labels = torch.rand(4, *SHAPE), torch.tensor([3, 1, 4, 1])
    found = model.reconstruct(x, labels)
    assert model.encoder.training
    assert not found.requires_grad
    model.eval()
    with torch.no_grad():
        mean = model.encoder(x)[0]
        assert torch.equal(model.encode(x), mean)
        assert torch.equal(found, model.generator(mean, labels))
    assert isinstance(model, Reconstructs)
    assert not isinstance(GAN(data_shape=(2,)), Reconstructs)


def test_the_averages_of_encoder_and_decoder_reconstruct():
    model, average = CVAEGAN(data_shape=SHAPE), GeneratorEMA(0.5)
    fitted(model, MadeImages(), max_steps=3, callbacks=[average])
    x, labels = torch.rand(2, *SHAPE), torch.tensor([3, 1])
    found = model.evaluated.reconstruct(x, labels)
    with torch.no_grad():
        mean = average.networks["encoder"](x)[0]
        assert torch.equal(found, average.networks["generator"](mean, labels))
    assert not torch.equal(found, model.reconstruct(x, labels))


def test_errors_are_those_of_numpy():
    real, made = torch.randn(40, 2), torch.randn(40, 2)
    labels = torch.arange(40) % 3
    modes = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    metric = ReconstructionError((2,), mode_reader(modes))
    assert metric.scores == ("reconstruction_mse", "mean_sample_mse", "reconstruction_fidelity")
    for rows in (slice(0, 15), slice(15, 40)):
        metric.update(real[rows], made[rows], labels[rows])
    x, y = real.double().numpy(), made.double().numpy()
    found = metric.compute()
    assert found["reconstruction_mse"].item() == pytest.approx(np.mean((x - y) ** 2), rel=1e-12)
    spread = np.mean((x - x.mean(0)) ** 2)
    assert found["mean_sample_mse"].item() == pytest.approx(spread, rel=1e-9)
    nearest = np.argmin(((y[:, None] - modes.numpy()) ** 2).sum(2), 1)
    share = np.mean(nearest == labels.numpy())
    assert 0.1 < share < 0.6
    assert found["reconstruction_fidelity"] == share
    assert all(map(meaning, metric.scores))
    assert [better(name) for name in metric.scores] == ["low", "same", "high"]
    assert ReconstructionError((2,)).scores == ("reconstruction_mse", "mean_sample_mse")


def test_reconstructions_that_cannot_be_scored_are_refused():
    metric = ReconstructionError((2,), mode_reader(torch.zeros(1, 2)))
    with pytest.raises(ValueError, match="it reads classes, so it needs labels"):
        metric.update(torch.zeros(3, 2), torch.zeros(3, 2), None)
    with pytest.raises(ValueError, match=r"shape \(3, 2\) have reconstructions of shape \(3, 1\)"):
        metric.update(torch.zeros(3, 2), torch.zeros(3, 1), torch.zeros(3).long())


def test_latents_are_found_in_full_precision():
    model = CVAEGAN(data_shape=SHAPE).eval()
    x = torch.rand(3, *SHAPE)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.encode(x)
    assert torch.equal(found, model.encode(x))


def test_a_model_that_reconstructs_is_scored_for_it_by_itself():
    model = points().float()
    evaluation = Evaluation()
    ring = small_ring(num_modes=3, labels=True, num_eval_samples=40)
    trainer = validating(model, ring, callbacks=[evaluation])
    x, labels = next(iter(ring.val_dataloader()))
    expected = (model.reconstruct(x, labels) - x).square().mean()
    assert evaluation.scores["reconstruction_mse"] == pytest.approx(expected.item(), rel=1e-6)
    spread = (x - x.mean(0)).square().mean()
    assert evaluation.scores["mean_sample_mse"] == pytest.approx(spread.item(), rel=1e-5)
    read = mode_reader(ring.modes)(model.reconstruct(x, labels))
    share = (read == labels).float().mean().item()
    assert evaluation.scores["reconstruction_fidelity"] == pytest.approx(share)
    assert "label_fidelity" in evaluation.floors
    assert not any("reconstruction" in name for name in evaluation.floors)
    assert trainer.callback_metrics["val/reconstruction_mse"] == pytest.approx(expected.item())
    trainer.validate(model, ring, verbose=False)
    assert evaluation.scores["reconstruction_mse"] == pytest.approx(expected.item(), rel=1e-6)


def test_others_are_not_and_cannot_be():
    evaluation = Evaluation()
    ring = small_ring(num_modes=3, labels=True)
    validating(ACGAN(data_shape=(2,), num_classes=3), ring, callbacks=[evaluation])
    assert "label_fidelity" in evaluation.scores
    assert not any("reconstruction" in name for name in evaluation.scores)
    asked = Evaluation([ReconstructionError((2,))])
    with pytest.raises(ValueError, match="ReconstructionError needs a model that reconstructs"):
        validating(ACGAN(data_shape=(2,), num_classes=3), ring, callbacks=[asked])


@pytest.mark.parametrize("make", [lambda: ACGAN(data_shape=(2,), num_classes=3), points])
def test_alarms_look_at_any_of_them(make):
    model, alarms = make().float(), Alarms()
    seen = []
    alarms._check = lambda trainer, name, value: seen.append(name)
    validating(model, small_ring(num_modes=3, labels=True), callbacks=[alarms])
    assert "lipschitz" in seen


def test_a_reconstruction_summed_over_an_image_alarms_nobody():
    model, alarms = CVAEGAN(data_shape=SHAPE), Alarms()
    seen = {}
    alarms._check = lambda trainer, name, value: seen.setdefault(name, value)
    fitted(model, MadeImages(), 2, callbacks=[alarms], log_every_n_steps=1)
    assert model.last_logged["train/loss_g"] > 50 * model.last_logged["train/loss_d"]
    assert seen["loss_ratio"] < 10


class Paints(nn.Module):
    """An image generator: the upper half is the first latent, the lower half is the class."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, latent, labels):
        grey = torch.stack([latent[:, 0], labels / 10], 1) * self.scale
        return grey[:, None, :, None].repeat_interleave(8, 2).expand(-1, 1, 16, 16)


class FindsGrey(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        mean = x.mean((1, 2, 3))[:, None] * self.scale
        return mean, mean - 10


def test_pictures_show_reconstructions_and_styles(tmp_path):
    still = partial(torch.optim.SGD, lr=0.0)
    model = CVAEGAN(
        data_shape=SHAPE,
        generator=Paints(),
        encoder=FindsGrey(),
        prior=NormalPrior(1),
        optimizer_g=still,
    )
    data = MadeImages(num_eval_samples=16)
    fitted(model, data, max_steps=1, callbacks=[Pictures(0)], default_root_dir=str(tmp_path))
    real, labels = next(iter(data.val_dataloader()))
    real = (
        data.on_after_batch_transfer([real, labels], 0)[0] if real.dtype == torch.uint8 else real
    )
    grey = real.mean((1, 2, 3))

    def read(name):
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            pixels = np.asarray(image.convert("L")).astype(float)[16:]  # below the title
        return pixels / 255 * 2 - 1

    pixels = read("reconstructions")
    assert pixels.shape == (4 * 18 + 2, 8 * 18 + 2)
    for index in range(16):
        row, column = divmod(index, 8)
        top, left = 2 + 36 * row, 2 + 18 * column
        assert pixels[top : top + 16, left : left + 16] == pytest.approx(
            real[index, 0].numpy(), abs=0.005
        )
        again = pixels[top + 18 : top + 34, left : left + 16]
        assert again[4, 4] == pytest.approx(grey[index].item(), abs=0.005)
        assert again[12, 4] == pytest.approx(labels[index].item() / 10, abs=0.005)
    pixels = read("styles")
    assert pixels.shape == (10 * 18 + 2, 11 * 18 + 2)
    for row in range(10):
        (first, *_) = (labels == row).nonzero()[:, 0]
        original = pixels[2 + 18 * row : 18 + 18 * row, 2:18]
        assert original == pytest.approx(real[first, 0].numpy(), abs=0.005)
        for label in range(10):
            image = pixels[2 + 18 * row : 18 + 18 * row, 20 + 18 * label : 36 + 18 * label]
            assert image[4, 4] == pytest.approx(grey[first].item(), abs=0.005)
            assert image[12, 4] == pytest.approx(label / 10, abs=0.005)


def test_pictures_of_few_images_and_many_classes(tmp_path):
    """Three colour images that are not square, of twelve classes."""
    data = MadeImages((3, 8, 12), num_eval_samples=3, number=48)
    model = CVAEGAN(data_shape=(3, 8, 12), num_classes=12)
    fitted(model, data, max_steps=1, callbacks=[Pictures(0)], default_root_dir=str(tmp_path))
    for name, rows, columns in (("reconstructions", 2, 3), ("styles", 10, 11)):
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            pixels = np.asarray(image)[16:]  # below the title, which may be wider
        assert len(pixels) == rows * 10 + 2
        assert (pixels[:, columns * 14 + 2 :] == 255).all()
        last = pixels[-10:-2, (columns - 1) * 14 + 2 : columns * 14]
        assert (last != 255).any()


# Files


def test_a_resumed_run_cannot_change_its_encoder_or_its_classifier(capsys):
    make_digits("data")
    run = ["fit", "--config", "cvae_gan_mnist", "--data.batch_size", "4"]
    for name in ("discriminator", "classifier"):  # the tutorial's have millions of weights
        run += [f"--model.{name}", "DCGANDiscriminator", f"--model.{name}.width", "4"]
    run += ["--pictures.enabled", "false"]
    main([*run, "--trainer.max_steps", "1", "--data.num_eval_samples", "8"])
    going_on = ["fit", "--name", "cvae_gan_mnist", "--ckpt_path", "last"]
    for name, value in (("encoder", "MLPGenerator"), ("classifier.output", "torch.nn.Tanh")):
        with pytest.raises(SystemExit):
            main([*going_on, f"--model.{name}", value])
        message = capsys.readouterr().err
        assert f"error: model.{name.partition('.')[0]}" in message
        assert "the checkpoint holds the state of this" in message


def test_its_checkpoint_and_its_export_open_again():
    model = CVAEGAN(data_shape=SHAPE, kl_weight=0.5)
    fitted(model, MadeImages(), max_steps=1).save_checkpoint("model.ckpt")
    x, labels = torch.rand(3, *SHAPE), torch.tensor([0, 9, 4])
    loaded = load("model.ckpt")
    assert loaded.term_weights["kl_weight"] == 0.5
    assert torch.equal(loaded.reconstruct(x, labels), model.reconstruct(x, labels))
    main(["export", "--ckpt_path", "model.ckpt"])
    exported, z = load("generator.safetensors"), torch.randn(3, 100)
    assert torch.equal(exported.sample(z, labels), model.sample(z, labels))
    assert torch.equal(exported.reconstruct(x, labels), model.reconstruct(x, labels))
