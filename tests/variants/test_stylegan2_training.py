"""StyleGAN2 in training: mixed styles, lazy regularizers, averages, truncation and exports."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer, same, snapshot
from made import make_digits
from torch.testing import assert_close

from lightning_gans import GAN, StyleGAN2, load
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.cli.commands.opening import latents
from lightning_gans.cli.main import main
from lightning_gans.core.players import Batch
from lightning_gans.core.priors import NormalPrior
from lightning_gans.core.showing import fixed_latents
from lightning_gans.losses import NonSaturating
from lightning_gans.networks import MLPGenerator, StyleGAN2Discriminator, StyleGAN2Generator
from lightning_gans.regularizers import R1, PathLength
from lightning_gans.sampling import truncate

DIGITS = partial(MadeImages, (1, 8, 8))
slow = partial(pytest.param, marks=pytest.mark.slow)
CLASSES = [None, slow(10)]
GENERATOR = partial(StyleGAN2Generator, base_channels=64, max_channels=8, style_dim=8)


def narrow(**arguments):
    """A model with small networks for images of 8 pixels."""
    return StyleGAN2(
        **{
            "data_shape": (1, 8, 8),
            "prior": NormalPrior(6),
            "generator": GENERATOR,
            "discriminator": partial(StyleGAN2Discriminator, base_channels=64, max_channels=8),
            **arguments,
        }
    )


# What it is made of


def test_the_defaults_are_those_of_the_authors_code():
    model = narrow(prior=None)
    assert type(model.loss) is NonSaturating
    assert [repr(r) for r in model.regularizers] == [repr(R1(0.01, every=16))]
    assert [repr(r) for r in model.regularizers_g] == [repr(PathLength(2.0, 0.01, every=4))]
    assert (model.mixing, model.prior.dim, model.n_critic) == (0.9, 512, 1)
    for make in (model.optimizer_g, model.optimizer_d):
        defaults = make(model.parameters()).defaults
        assert (defaults["lr"], defaults["betas"], defaults["eps"]) == (2.5e-3, (0.0, 0.99), 1e-8)


def test_the_preset_for_cifar_has_neither_path_lengths_nor_mixed_styles():
    model = narrow(path_length_weight=0.0, mixing=0.0)
    assert not model.regularizers_g
    styles = model.mixed_styles(torch.randn(5, 6))
    assert torch.equal(styles, styles[:, :1].expand_as(styles))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generator": MLPGenerator}, "a MLPGenerator has no styles. Use StyleGAN2Generator, or"),
        ({"mixing": 1.1}, "mixing must be from 0 to 1, got 1.1"),
        ({"mixing": -0.1}, "mixing must be from 0 to 1, got -0.1"),
        ({"gamma": -1.0}, "gamma must be finite and at least 0, got -1"),
        (
            {"path_length_weight": float("nan")},
            "path_length_weight must be finite and at least 0, got nan",
        ),
        ({"data_shape": (1, 9, 9)}, "need square images .* Use 8 x 8"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        narrow(**arguments)


def test_path_lengths_of_a_model_without_mixing_of_styles_are_refused_before_training():
    model = GAN(
        data_shape=(1, 8, 8),
        prior=NormalPrior(6),
        generator=GENERATOR,
        regularizers_g=[PathLength()],
    )
    with pytest.raises(ValueError, match=r"PathLength needs a generator with styles, .* a Style"):
        fitted(model, DIGITS(), max_steps=1)
    with pytest.raises(ValueError, match=r"^regularizers: PathLength is a term of generators"):
        narrow(regularizers=[PathLength()])


def test_a_batch_that_groups_do_not_divide_is_refused_before_training():
    model = narrow()
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"6 samples .* groups of 4 .*multiple of 4"):
        fitted(model, DIGITS(batch_size=6), max_steps=1)
    assert same(before, snapshot(model))


# Mixed styles


def test_styles_are_mixed_at_a_random_place_with_their_probability():
    model = narrow(generator=partial(StyleGAN2Generator, base_channels=64, style_dim=8))
    latent = torch.randn(4000, 6)
    own = model.generator.map(latent)
    styles = model.mixed_styles(latent)
    kept = (styles == own[:, None]).all(2)
    assert kept[:, 0].all()
    assert (kept[:, 1:] <= kept[:, :-1]).all()  # the first layers, up to some place
    number = kept.sum(1)
    assert (number < 4).float().mean().item() == pytest.approx(0.9, abs=0.02)
    for place in (1, 2, 3):
        assert (number == place).float().mean().item() == pytest.approx(0.3, abs=0.03)
    last = styles[number == 1]  # the others are of one latent, and of another for each sample
    assert torch.equal(last[:, 1], last[:, 3])
    assert len(last[:, 1].unique(dim=0)) == len(last)


def test_a_fake_has_its_class_in_all_of_its_styles():
    model = narrow(num_classes=10, mixing=1.0)
    seen = []
    usual = model.generator.map
    model.generator.map = lambda latent, labels: (seen.append(labels), usual(latent, labels))[1]
    labels = torch.arange(4)
    samples = model.draw(Batch(torch.zeros(4, 1, 8, 8), labels))
    assert [torch.equal(given, labels) for given in seen] == [True, True]
    assert torch.equal(samples.labels, labels)


# Training


def trained(classes, **arguments):
    torch.manual_seed(0)
    sgd = partial(torch.optim.SGD, lr=0.01)
    model = narrow(num_classes=classes, optimizer_g=sgd, optimizer_d=sgd, **arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    fitted(model, DIGITS(), max_steps=2)
    return model


def traced(function, **_):
    """Compiles as PyTorch does, up to the machine code, which takes five minutes."""
    return COMPILE(function, fullgraph=True, dynamic=False, backend="aot_eager")


COMPILE = torch.compile


@pytest.mark.slow
def test_compiled_it_trains_as_in_eager_mode(monkeypatch):
    """With path lengths and R1 in the first update, and without them in the second."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr("lightning_gans.core.compiling.rank_zero_warn", pytest.fail)
    eager, compiled = trained(10), trained(10, compile=True)
    for key, value in eager.state_dict().items():
        assert_close(compiled.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert compiled.regularizers_g[0].average > 1e-4


@pytest.mark.parametrize("classes", CLASSES)
def test_it_trains_in_half_precision(classes):
    model = narrow(num_classes=classes)
    before = snapshot(model)
    fitted(model, DIGITS(), max_steps=1, precision="bf16-mixed")
    after = snapshot(model)
    assert all(value.isfinite().all() for value in after)
    assert not same(before, after)
    assert model.generator.average.dtype == torch.float32


@pytest.mark.parametrize("classes", CLASSES)
def test_a_stopped_run_ends_with_the_same_weights_and_the_same_average(classes, monkeypatch):
    """Path lengths are computed in updates 0 and 4; the run is stopped between them."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")

    def run(steps, begin=None):
        torch.manual_seed(0)
        model, average = narrow(num_classes=classes), GeneratorEMA(half_life=40.0)
        trainer = quiet_trainer(steps, callbacks=[average])
        trainer.fit(model, DIGITS(), ckpt_path=begin, weights_only=True)
        return trainer, [model.state_dict(), average.networks["generator"].state_dict()]

    _, whole = run(6)
    begun, _ = run(3)
    begun.save_checkpoint("begun.ckpt")
    _, resumed = run(6, "begun.ckpt")
    for one, other in zip(whole, resumed, strict=True):
        for key, value in one.items():
            assert torch.equal(other[key], value), key
    assert whole[0]["regularizers_g.0.average"] != 0


def test_the_average_of_the_generator_has_its_average_style_and_its_noise():
    average = GeneratorEMA(decay=0.9)
    model = narrow()
    fitted(model, DIGITS(), max_steps=3, callbacks=[average])
    kept = average.networks["generator"]
    assert torch.equal(kept.average, model.generator.average)
    assert kept.average.abs().max() > 0
    assert torch.equal(kept.layers[0].noise, model.generator.layers[0].noise)
    assert not torch.equal(kept.constant, model.generator.constant)


# Truncation


def run_of(*flags):
    """Trains a small model for an update."""
    sizes = ["base_channels", "64"], ["max_channels", "8"]
    networks = [
        *("--model.prior", "NormalPrior", "--model.prior.dim", "6"),
        *("--model.generator", "StyleGAN2Generator", "--model.generator.style_dim", "8"),
        *("--model.discriminator", "StyleGAN2Discriminator"),
    ]
    for player in ("generator", "discriminator"):
        for name, value in sizes:
            networks += [f"--model.{player}.{name}", value]
    make_digits("data")
    main(
        [
            *("fit", "--name", "run", "--model", "StyleGAN2", "--data", "MNIST"),
            *("--data.data_dir", "data", "--data.batch_size", "4", *networks, *flags),
            *("--trainer.max_steps", "1", "--data.num_eval_samples", "8"),
            *("--pictures.enabled", "false", "--trainer.limit_val_batches", "0"),
        ]
    )
    return load("run")


def test_a_truncated_model_samples_nearer_to_the_average_style():
    model = narrow()
    model.generator.average.normal_()
    latent = torch.randn(4, 6)
    whole = model.sample(latent)
    truncate(model, 0.5)
    styles = model.generator.eval().styles(latent)
    expected = model.generator.average.lerp(model.generator.map(latent), 0.5)
    assert_close(styles, expected[:, None].expand_as(styles))
    assert not torch.equal(model.sample(latent), whole)
    truncate(model, 1)
    assert torch.equal(model.sample(latent), whole)


@pytest.mark.parametrize("psi", [0.0, -1.0, float("nan")])
def test_a_truncation_out_of_range_is_refused(psi):
    with pytest.raises(ValueError, match="truncation must be finite and above 0"):
        truncate(narrow(), psi)


def test_a_model_without_styles_cannot_be_truncated():
    with pytest.raises(ValueError, match=r"this GAN has no generator .* Use --refine truncate"):
        truncate(GAN(data_shape=(2,)), 0.5)


@pytest.mark.slow
def test_commands_truncate_styles(capsys):
    model = run_of()
    to = ["--ckpt_path", "runs/run", "--truncation"]
    main(["sample", *to, "0.5", "--n", "5", "--out", "some.npy"])
    main(["sample", *to, "1", "--n", "5", "--out", "whole.npy"])
    some, whole = np.load("some.npy"), np.load("whole.npy")
    assert np.abs(some - whole).max() > 1e-4
    latent = latents(model, 5, seed=0)
    assert_close(whole, model.sample(latent).numpy())
    truncate(model, 0.5)
    assert_close(some, model.sample(latent).numpy())
    main(["interpolate", *to, "0.5", "--n", "2", "--steps", "3", "--out", "ways.png"])
    main(["evaluate", *to, "0.5", "--trainer.limit_val_batches", "1"])
    folder = Path("runs/run/version_0")
    assert json.loads((folder / "scores_truncated.json").read_text())["truncation"] == 0.5
    assert not (folder / "scores.json").exists()
    for command in ("sample", "interpolate", "evaluate"):
        with pytest.raises(SystemExit) as stopped:
            main([command, *to, "0"])
        assert stopped.value.code == 2
        assert "truncation must be finite and above 0, got 0.0" in capsys.readouterr().err


# Pictures and exports


def test_pictures_before_training_need_no_batch_that_groups_divide():
    """That of the validation data, whose discriminator compares nothing."""
    model = narrow(num_classes=10)
    model.seed = 0
    shown = model.pictures(Batch(torch.zeros(6, 1, 8, 8), torch.arange(6)), 8)["samples"]
    assert len(shown.fake) == 80
    with pytest.raises(ValueError, match="labels go from 0 to 10"):
        model.pictures(Batch(torch.zeros(2, 1, 8, 8), torch.tensor([0, 10])), 8)


@pytest.mark.parametrize("classes", CLASSES)
def test_a_picture_has_the_styles_of_rows_and_columns_where_they_meet(classes):
    model = narrow(num_classes=classes)
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    fitted(model, DIGITS(), max_steps=1)
    grid = model.final_pictures(Batch(torch.zeros(4, 1, 8, 8)))["style_mixing"]
    assert grid.columns == 9
    assert grid.images.shape == (7 * 9, 1, 8, 8)
    assert (grid.images[0] == grid.images[0, 0, 0, 0]).all()
    latent = fixed_latents(model, 14)
    labels = None if classes is None else torch.arange(14) % classes
    generator = model.generator.eval()
    with torch.no_grad():
        style = generator.map(latent, labels)
        alone = model.sample(latent, labels)
        assert_close(grid.images[9::9], alone[:6])
        assert_close(grid.images[1:9], alone[6:])
        for row, column in ((0, 0), (5, 7), (2, 3)):
            one, other = style[row], style[6 + column]
            mixed = generator.synthesize(torch.stack([one, one, other, other])[None])
            assert_close(grid.images[9 * (row + 1) + 1 + column], mixed[0])


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 10])
def test_exports_make_the_samples_of_the_checkpoint(classes, capsys):
    model = run_of(*(("--model.num_classes", str(classes)) if classes else ()))
    latent, labels = 3 * model.sample_latent(3), model.sample_labels(3)
    made = model.sample(latent, labels)
    assert torch.equal(model.sample(latent, labels), made)
    for format in ("safetensors", "onnx"):
        main(["export", "--ckpt_path", "runs/run", "--format", format])
        assert "its samples differ from the checkpoint's by" in capsys.readouterr().out
    again = load("generator.safetensors").sample(latent, labels)
    assert_close(again, made, rtol=0, atol=1e-6)
    session = onnxruntime.InferenceSession("generator.onnx", providers=["CPUExecutionProvider"])
    inputs = {"latent": latent.numpy()} | ({} if classes is None else {"label": labels.numpy()})
    (found,) = session.run(["sample"], inputs)
    assert np.abs(found - made.numpy()).max() < 1e-5
