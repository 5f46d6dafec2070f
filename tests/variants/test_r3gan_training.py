"""R3GAN with its networks: in training, averages, scores and exports, and with its schedules."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer, same, snapshot
from made import make_digits
from torch.testing import assert_close

from lightning_gans import R3GAN, load
from lightning_gans.augment import DiffAugment
from lightning_gans.callbacks import GeneratorEMA, Schedule
from lightning_gans.cli.main import main
from lightning_gans.core.priors import NormalPrior
from lightning_gans.networks import R3GANDiscriminator, R3GANGenerator

DIGITS = partial(MadeImages, (1, 14, 14))
slow = partial(pytest.param, marks=pytest.mark.slow)
CLASSES = [slow(None), 10]


def narrow(**arguments):
    """A model with small networks for images of 14 pixels; the smallest have 7."""
    sizes = {"widths": [16, 8], "blocks": 1}
    return R3GAN(
        **{
            "data_shape": (1, 14, 14),
            "prior": NormalPrior(8),
            "generator": partial(R3GANGenerator, **sizes),
            "discriminator": partial(R3GANDiscriminator, **sizes),
            **arguments,
        }
    )


def schedules(images):
    """Those of the authors' code, in so many images."""
    until = {"until_images": images, "shape": "cosine"}
    return [
        GeneratorEMA(half_life=40.0),
        Schedule("optimizer_*.lr", 2e-4, 5e-5, **until),
        Schedule("optimizer_*.beta2", 0.9, 0.99, **until),
        Schedule("regularizers.[01].weight", 0.05, 0.005, **until),
        Schedule("ema.half_life", 0, 40.0, **until),
        Schedule("augment.p", 0, 0.55, **until),
    ]


# Training


def trained(classes, **arguments):
    torch.manual_seed(0)
    sgd = partial(torch.optim.SGD, lr=0.01)
    model = narrow(num_classes=classes, optimizer_g=sgd, optimizer_d=sgd, **arguments)
    with torch.no_grad():
        for parameter in model.parameters():  # so that the blocks count from the first update on
            parameter.add_(0.1 * torch.randn_like(parameter))
    until = {"until_images": 16, "shape": "cosine"}
    moved = [
        Schedule("regularizers.[01].weight", 1.0, 0.1, **until),
        Schedule("augment.p", 0, 0.55, **until),
    ]
    fitted(model, DIGITS(), max_steps=3, callbacks=moved)
    return model


def traced(function, **_):
    """Compiles as PyTorch does, up to the machine code, which takes a minute."""
    return COMPILE(function, fullgraph=True, dynamic=False, backend="aot_eager")


COMPILE = torch.compile


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [traced, COMPILE], ids=["traced", "compiled"])
@pytest.mark.parametrize("classes", [None, 10])
def test_compiled_they_train_as_in_eager_mode_and_schedules_compile_nothing_anew(
    classes, compiler, monkeypatch
):
    from torch._dynamo.utils import counters

    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr("lightning_gans.core.compiling.rank_zero_warn", pytest.fail)
    eager = trained(classes, augment=DiffAugment())
    before = counters["stats"]["unique_graphs"]
    compiled = trained(classes, augment=DiffAugment(), compile=True)
    assert counters["stats"]["unique_graphs"] == before + 2  # one for each player
    for key, value in eager.state_dict().items():
        assert_close(compiled.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("classes", CLASSES)
def test_they_train_in_half_precision(classes):
    model = narrow(num_classes=classes)
    before = snapshot(model)
    fitted(model, DIGITS(), max_steps=1, precision="bf16-mixed")
    after = snapshot(model)
    assert all(value.isfinite().all() for value in after)
    assert not same(before, after)


@pytest.mark.parametrize("classes", CLASSES)
def test_a_stopped_run_ends_with_the_same_weights_and_the_same_average(classes, monkeypatch):
    """With all schedules in images: the third update begins where the second left off."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")

    def run(steps, begin=None):
        torch.manual_seed(0)
        model = narrow(num_classes=classes, augment=DiffAugment())
        callbacks = schedules(images=20)
        trainer = quiet_trainer(steps, callbacks=callbacks)
        trainer.fit(model, DIGITS(), ckpt_path=begin, weights_only=True)
        return trainer, [model.state_dict(), callbacks[0].networks["generator"].state_dict()]

    _, whole = run(4)
    begun, _ = run(2)
    begun.save_checkpoint("begun.ckpt")
    _, resumed = run(4, "begun.ckpt")
    for one, other in zip(whole, resumed, strict=True):
        for key, value in one.items():
            assert torch.equal(other[key], value), key


def test_a_half_life_of_0_images_copies_the_generator():
    average = GeneratorEMA(half_life=0.0)
    model = narrow()
    fitted(model, DIGITS(), max_steps=2, callbacks=[average])
    copy = average.networks["generator"].state_dict()
    for key, value in model.generator.state_dict().items():
        assert torch.equal(copy[key], value), key


# Samples


def test_the_discriminator_is_trained_on_samples_beyond_the_range_and_scores_see_none():
    model = narrow()
    with torch.no_grad():
        model.generator.layers[-2].weight.mul_(10)
    seen, scored = [], []
    usual = model.discriminator_loss
    model.discriminator_loss = lambda samples: (seen.append(samples.fake), usual(samples))[1]
    trainer = fitted(model, DIGITS(), max_steps=1)
    assert seen[-1].abs().max() > 2
    model.validation_step = lambda *batch: scored.append(
        type(model).validation_step(model, *batch)
    )
    trainer.limit_val_batches = 1
    trainer.validate(model, DIGITS())
    assert scored[0]["fake"].abs().max() == 1
    assert model.sample(50).abs().max() == 1


def test_data_in_another_range_than_the_generators_is_refused():
    model = narrow()
    with pytest.raises(ValueError, match=r"generator: .* \(-1.0, 1.0\), but .* \(0.0, 1.0\)"):
        fitted(model, DIGITS(value_range=(0.0, 1.0)))
    sizes = {"widths": [16, 8], "blocks": 1, "output_range": [0, 1]}
    fitted(
        narrow(generator=partial(R3GANGenerator, **sizes)),
        DIGITS(value_range=(0.0, 1.0)),
        max_steps=1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 10])
def test_exports_make_the_samples_of_the_checkpoint(classes, capsys):
    """The command compares them itself, to 1e-5, and refuses an export that differs."""
    make_digits("data")
    networks = []
    for player in ("Generator", "Discriminator"):
        flag = f"--model.{player.lower()}"
        networks += [flag, f"R3GAN{player}", f"{flag}.widths", "[16, 8, 8]", f"{flag}.blocks", "1"]
    main(
        [
            *("fit", "--name", "run", "--model", "R3GAN", "--data", "MNIST"),
            *("--data.data_dir", "data", "--data.batch_size", "4", *networks),
            *(("--model.num_classes", str(classes)) if classes else ()),
            *("--trainer.max_steps", "1", "--data.num_eval_samples", "8"),
            *("--pictures.enabled", "false", "--trainer.limit_val_batches", "0"),
        ]
    )
    model = load("run")
    latent, labels = 9 * model.sample_latent(3), model.sample_labels(3)
    made = model.sample(latent, labels)
    assert made.abs().max() == 1
    for format in ("safetensors", "onnx"):
        main(["export", "--ckpt_path", "runs/run", "--format", format])
        assert "its samples differ from the checkpoint's by" in capsys.readouterr().out
    again = load("generator.safetensors").sample(latent, labels)
    assert_close(again, made, rtol=0, atol=1e-6)
    session = onnxruntime.InferenceSession("generator.onnx", providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert told == {"prior": "NormalPrior(dim=100)", "value_range": "[-1.0, 1.0]"}
    inputs = {"latent": latent.numpy()} | ({} if classes is None else {"label": labels.numpy()})
    (found,) = session.run(["sample"], inputs)
    assert np.abs(found - made.numpy()).max() < 1e-5
