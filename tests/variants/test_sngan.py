"""SNGAN, SAGAN and BigGAN: their rounds, and their networks in training, averages and exports."""

from functools import partial

import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer, same, snapshot
from made import make_digits
from torch import nn
from torch.nn.utils import parametrize
from torch.testing import assert_close

from lightning_gans import ACGAN, CGAN, CVAEGAN, GAN, SAGAN, SNGAN, WGANGP, BigGAN, load
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.cli.main import main
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import Hinge, RelativisticPaired
from lightning_gans.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    ResNetCritic,
    ResNetDiscriminator,
    ResNetGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
    SelfAttention,
    SNCNNDiscriminator,
    SNCNNGenerator,
)

DIGIT, DIGITS = (1, 28, 28), partial(MadeImages, (1, 28, 28))


def narrow(**arguments):
    """Arguments of a model with small networks."""
    return {
        "data_shape": DIGIT,
        "generator": partial(SNCNNGenerator, width=4),
        "discriminator": partial(SNCNNDiscriminator, width=4),
        **arguments,
    }


# Rounds


@pytest.mark.parametrize(
    ("variant", "rates", "beta2"),
    [(SNGAN, (2e-4, 2e-4), 0.9), (SAGAN, (1e-4, 4e-4), 0.9), (BigGAN, (1e-4, 4e-4), 0.999)],
)
def test_the_defaults_are_the_published_ones(variant, rates, beta2):
    model = variant(**narrow())
    assert type(model.loss) is Hinge
    assert (model.n_critic, model.generator_batch) == (1, 1)
    makes = (model.optimizer_g, model.optimizer_d)
    for make, rate in zip(makes, rates, strict=True):
        defaults = make(model.parameters()).defaults
        assert (defaults["lr"], defaults["betas"]) == (rate, (0.0, beta2))


def test_a_generator_update_sees_more_samples_of_the_classes_of_its_batch():
    model = SNGAN(**narrow(num_classes=10, generator_batch=3, n_critic=2))
    seen = {}
    for name in ("discriminator_loss", "generator_loss"):
        usual = getattr(model, name)

        def note(samples, usual=usual, name=name):
            seen[name] = samples
            return usual(samples)

        setattr(model, name, note)
    fitted(model, DIGITS(), max_steps=1)
    shown, made = seen["discriminator_loss"], seen["generator_loss"]
    assert (len(shown.fake), len(made.fake)) == (4, 12)
    assert len(made.latent.unique(dim=0)) == 12
    assert torch.equal(made.labels, shown.labels.repeat(3))
    assert torch.equal(made.real, shown.real.repeat(3, 1, 1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generator_batch": 0}, "generator_batch must be at least 1, got 0"),
        (
            {"generator_batch": 2, "loss": RelativisticPaired},
            r"must be 1 with RelativisticPaired, got 2: .* Use generator_batch 1, or",
        ),
    ],
)
def test_a_generator_batch_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SNGAN(**narrow(**arguments))
    SNGAN(**narrow(**{**arguments, "generator_batch": 1}))


# Networks


@pytest.mark.parametrize(
    ("variant", "networks", "arguments"),
    [
        (CGAN, (ResNetGenerator, ResNetDiscriminator), {}),
        (SNGAN, (SNCNNGenerator, SNCNNDiscriminator), {"num_classes": 10, "generator_batch": 2}),
        (SAGAN, (SAGANGenerator, SAGANDiscriminator), {"num_classes": 10}),
        (BigGAN, (BigGANGenerator, BigGANDiscriminator), {"num_classes": 10}),
        (ACGAN, (ResNetGenerator, ResNetDiscriminator), {}),
        (WGANGP, (ResNetGenerator, ResNetCritic), {"num_classes": 10, "n_critic": 1}),
        (CVAEGAN, (SNCNNGenerator, SNCNNDiscriminator), {"classifier": "discriminator"}),
    ],
)
def test_every_conditional_variant_takes_them(variant, networks, arguments):
    generator, discriminator = (partial(network, width=8) for network in networks)
    if "classifier" in arguments:
        arguments = {"classifier": discriminator}
    given = {"generator": generator, "discriminator": discriminator, **arguments}
    model = variant(data_shape=DIGIT, **given)
    before = snapshot(model.generator)
    fitted(model, DIGITS(), max_steps=1)
    assert not same(snapshot(model.generator), before)
    samples = model.sample(10, torch.arange(10))
    assert samples.isfinite().all()
    with pytest.raises(ValueError, match="generator: it has num_classes 3, but needs num_classes"):
        variant(data_shape=DIGIT, **{**given, "generator": partial(generator, num_classes=3)})


def test_networks_of_another_size_are_refused_before_training():
    model = GAN(
        data_shape=DIGIT,
        generator=partial(SNCNNGenerator, width=4),
        discriminator=ResNetDiscriminator((3, 28, 28), width=8),
    )
    with pytest.raises(ValueError, match="discriminator: it cannot read samples of shape"):
        fitted(model, DIGITS())
    assert not model.has_trained


# Training, averages, exports


def model_of(name, **arguments):
    generator, discriminator, classes = PAIRS[name]
    if classes is not None:
        arguments["num_classes"] = classes
    return SNGAN(
        data_shape=DIGIT,
        prior=NormalPrior(120),
        generator=partial(generator, width=8),
        discriminator=partial(discriminator, width=8),
        **arguments,
    )


PAIRS = {
    "SN-CNN": (SNCNNGenerator, SNCNNDiscriminator, None),
    "ResNet": (ResNetGenerator, ResNetDiscriminator, None),
    "WGAN-GP": (ResNetGenerator, ResNetCritic, None),
    "SN-CNN by class": (SNCNNGenerator, SNCNNDiscriminator, 10),
    "projection": (ResNetGenerator, ResNetDiscriminator, 10),
    "SAGAN": (SAGANGenerator, SAGANDiscriminator, 10),
    "BigGAN": (BigGANGenerator, BigGANDiscriminator, 10),
}
slow = partial(pytest.param, marks=pytest.mark.slow)
COMPILED = [name if name in ("SN-CNN by class", "SAGAN") else slow(name) for name in PAIRS]
SOME = [name if name in (*COMPILED, "BigGAN") else slow(name) for name in PAIRS]


def trained(name, **arguments):
    torch.manual_seed(0)
    sgd = partial(torch.optim.SGD, lr=0.01)
    model = model_of(name, optimizer_g=sgd, optimizer_d=sgd, **arguments)
    for part in model.modules():
        if isinstance(part, SelfAttention):
            nn.init.constant_(part.scale, 0.5)  # that it counts from the first update on
    fitted(model, DIGITS(), max_steps=1)
    return model


def traced(function, **_):
    """Compiles as PyTorch does, up to the machine code, which takes a minute."""
    return COMPILE(function, fullgraph=True, dynamic=False, backend="aot_eager")


COMPILE = torch.compile


@pytest.mark.parametrize("compiler", [traced, slow(COMPILE)], ids=["traced", "compiled"])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_they_train_as_in_eager_mode(name, compiler, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr("lightning_gans.core.compiling.rank_zero_warn", pytest.fail)
    eager, compiled = trained(name), trained(name, compile=True)
    for key, value in eager.state_dict().items():
        assert_close(compiled.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", SOME)
def test_they_train_in_half_precision(name):
    model = model_of(name)
    before = snapshot(model)
    fitted(model, DIGITS(), max_steps=1, precision="bf16-mixed")
    after = snapshot(model)
    assert all(value.isfinite().all() for value in after)
    assert not same(before, after)


@pytest.mark.parametrize("name", SOME)
def test_a_stopped_run_ends_with_the_same_weights(name, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")

    def model():
        torch.manual_seed(0)
        return model_of(name, generator_batch=2)

    whole, begun, resumed = model(), model(), model()
    fitted(whole, DIGITS(), max_steps=3)
    fitted(begun, DIGITS(), max_steps=2).save_checkpoint("begun.ckpt")
    quiet_trainer(3).fit(resumed, DIGITS(), ckpt_path="begun.ckpt", weights_only=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


@pytest.mark.parametrize(("name", "number"), [("SAGAN", 12), ("BigGAN", 20)])
def test_an_averaged_generator_with_spectral_norm_has_norm_1(name, number):
    average = GeneratorEMA(0.9)
    model = model_of(name, optimizer_g=partial(torch.optim.Adam, lr=0.02))
    fitted(model, DIGITS(), max_steps=30, callbacks=[average])
    quiet_trainer(1, callbacks=[average], limit_val_batches=1).validate(model, DIGITS())
    layers = [
        part
        for part in average.networks["generator"].modules()
        if parametrize.is_parametrized(part)
    ]
    assert len(layers) == number
    for part in layers:
        largest = torch.linalg.matrix_norm(part.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_exports_make_the_samples_of_the_checkpoint(name, capsys):
    """The command compares them itself, to 1e-5, and refuses an export that differs."""
    generator, discriminator, classes = PAIRS[name]
    make_digits("data")
    main(
        [
            *("fit", "--name", "run", "--model", "SNGAN", "--data", "MNIST"),
            *("--data.data_dir", "data", "--data.batch_size", "4"),
            *("--model.generator", generator.__name__, "--model.generator.width", "8"),
            *("--model.discriminator", discriminator.__name__, "--model.discriminator.width", "8"),
            *("--model.prior", "NormalPrior", "--model.prior.dim", "120"),
            *(("--model.num_classes", str(classes)) if classes else ()),
            *("--trainer.max_steps", "1", "--data.num_eval_samples", "8"),
            *("--pictures.enabled", "false", "--trainer.limit_val_batches", "0"),
        ]
    )
    model = load("run")
    latent, labels = model.sample_latent(3), model.sample_labels(3)
    for format in ("safetensors", "onnx"):
        main(["export", "--ckpt_path", "runs/run", "--format", format])
        assert "its samples differ from the checkpoint's by" in capsys.readouterr().out
    again = load("generator.safetensors").sample(latent, labels)
    assert_close(again, model.sample(latent, labels), rtol=0, atol=1e-6)
