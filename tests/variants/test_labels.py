"""Conditional samples: networks, data, checks, scores, pictures and commands."""

import csv
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, MadeImages, fitted, small_ring
from PIL import Image
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from datamodules import GaussianGrid, GaussianRing
from lightning_gans import CGAN, GAN, WDCGANGP, WGANGP, load
from lightning_gans.callbacks import Alarms, Evaluation, Pictures
from lightning_gans.cli.commands.opening import latents
from lightning_gans.cli.main import main
from lightning_gans.core.players import Batch
from lightning_gans.core.showing import like
from lightning_gans.metrics import (
    ClassDiversity,
    LabelFidelity,
    digit_judge,
    judge_reader,
    mode_reader,
)
from lightning_gans.networks import (
    DCGANCritic,
    DCGANDiscriminator,
    DCGANGenerator,
    JoinLabels,
    MLPDiscriminator,
    MLPGenerator,
)

# Networks


def test_classes_become_one_hot_entries_or_rows_of_a_learned_table():
    x, labels = torch.randn(3, 2, dtype=torch.float64), torch.tensor([1, 0, 1])
    expected = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert torch.equal(JoinLabels(2)(x, labels), torch.cat([x, expected], 1))
    learned = JoinLabels(2, embedding_dim=5)
    assert learned.size == 5
    table = learned.vectors.double()
    assert torch.equal(learned(x, labels), torch.cat([x, table[labels]], 1))
    assert list(JoinLabels(2).state_dict()) == []
    assert list(learned.state_dict()) == ["vectors"]


def test_classes_become_constant_channels_of_images():
    x = torch.randn(2, 1, 3, 4)
    joined = JoinLabels(3)(x, torch.tensor([2, 0]))
    assert joined.shape == (2, 4, 3, 4)
    assert torch.equal(joined[:, :1], x)
    assert joined[0, 1:].mean((1, 2)).tolist() == [0, 0, 1]
    assert joined[1, 1:].mean((1, 2)).tolist() == [1, 0, 0]
    assert joined[0, 1:].amax((1, 2)).tolist() == [0, 0, 1]


def test_vectors_of_classes_without_classes_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^embedding_dim: MLPGenerator reads no classes, got 7\. Leave it",
    ):
        MLPGenerator(4, (2,), embedding_dim=7)


@pytest.mark.parametrize("embedding_dim", [None, 4])
def test_between_classes_lie_weighted_means(embedding_dim):
    join, x = JoinLabels(3, embedding_dim), torch.zeros(1, 1)
    ends = [join(x, torch.tensor([label])) for label in (0, 2)]
    between = join(x, torch.tensor([[0.25, 0.0, 0.75]]))
    assert_close(between, 0.25 * ends[0] + 0.75 * ends[1])


@pytest.mark.parametrize(
    "make",
    [
        partial(MLPGenerator, 4, (1, 16, 16)),
        partial(DCGANGenerator, 4, (1, 16, 16), 8),
        partial(DCGANGenerator, 4, (1, 16, 16), 8, embedding_dim=2, hidden=5),
    ],
)
def test_what_is_generated_depends_on_the_class(make):
    generator = make(num_classes=3)  # here, where the weights are seeded
    z = torch.randn(1, 4)
    one, other = (generator.eval()(z, torch.tensor([label])) for label in (0, 1))
    assert one.shape == (1, 1, 16, 16)
    assert (one - other).abs().max() > 0.05 * one.abs().max()


@pytest.mark.parametrize("network", [MLPDiscriminator, DCGANDiscriminator, DCGANCritic])
def test_discriminators_read_the_class_and_give_as_many_outputs_as_asked_for(network):
    x = torch.randn(5, 1, 16, 16)
    one, other = torch.zeros(5).long(), torch.ones(5).long()
    asked = network((1, 16, 16), num_classes=2, embedding_dim=3).eval()
    assert asked(x, one).shape == (5,)
    assert (asked(x, one) - asked(x, other)).abs().min() > 0
    assert network((1, 16, 16), num_outputs=4)(x).shape == (5, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JoinLabels(0), "num_classes must be at least 1, got 0"),
        (lambda: JoinLabels(2, 0), "embedding_dim must be at least 1, got 0"),
        (lambda: MLPDiscriminator((2,), num_outputs=0), "num_outputs must be at least 1, got 0"),
        (lambda: JoinLabels(2)(torch.zeros(1, 1), None), "needs the class of each sample"),
        (lambda: GAN(data_shape=(2,), num_classes=0), "num_classes must be at least 1, got 0"),
        (
            lambda: GAN(data_shape=(2,), generator=MLPGenerator(2, (2,), num_classes=4)),
            "generator: it has num_classes 4, but needs num_classes None",
        ),
        (
            lambda: CGAN(data_shape=(2,), discriminator=MLPDiscriminator((2,), num_classes=4)),
            "discriminator: it has num_classes 4, but needs num_classes 10",
        ),
        (
            lambda: CGAN(data_shape=(2,), generator=partial(MLPGenerator, num_classes=4)),
            "generator: it has num_classes 4, but needs num_classes 10",
        ),
        (
            lambda: CGAN(data_shape=(2,), generator=MLPGenerator(2, (2,))),
            "generator: it has num_classes None, but needs num_classes 10",
        ),
        (
            lambda: CGAN(
                data_shape=(2,), discriminator=lambda shape, num_classes: MLPDiscriminator(shape)
            ),
            "discriminator: it has num_classes None, but needs num_classes 10",
        ),
        (
            lambda: CGAN(data_shape=(2,), generator=lambda z, shape: nn.Linear(z, 2)),
            "generator: it could not be made from .2, .2,., num_classes=10.: .*num_classes",
        ),
    ],
)
def test_classes_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Data


@pytest.mark.parametrize("kind", [GaussianRing, GaussianGrid])
def test_labels_are_the_modes_and_leave_the_samples_as_they_are(kind):
    plain, labelled = kind(batch_size=8), kind(batch_size=8, labels=True)
    assert plain.num_classes is None
    assert labelled.num_classes == len(labelled.modes)
    samples, labels = labelled.training_batch(3, 1, 500, 0, 1)
    assert torch.equal(samples, plain.training_batch(3, 1, 500, 0, 1))
    assert torch.equal(mode_reader(labelled.modes)(samples), labels)
    assert len(labels.unique()) == len(labelled.modes)
    batches = [b for rank in (0, 1) for b in labelled.evaluation_batches(0, rank, 2)]
    together = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    assert torch.equal(together[0], plain.evaluation_set(0))
    assert torch.equal(mode_reader(labelled.modes)(together[0]), together[1])


# Checks


def pairs(labels, samples=None):
    x = torch.randn(8, 2) if samples is None else samples
    return DataLoader(TensorDataset(x, labels), batch_size=8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DataLoader(torch.randn(8, 2), batch_size=8), "have no labels, but the model has num_cl"),
        (pairs(torch.arange(8)), "labels go from 0 to 7, but .* num_classes 3, .* from 0 to 2"),
        (pairs(torch.arange(8) % 3 - 1), "labels go from -1 to 1"),
        (
            pairs(torch.rand(8)),
            r"dtype torch.float32 and shape \(8,\), but labels are torch.int64 of shape",
        ),
        (
            pairs(torch.eye(8).long()),
            r"dtype torch.int64 and shape \(8, 8\), but labels are torch.int64",
        ),
        (small_ring(labels=True), "the model has 3 classes, but the data, GaussianRing, has 8"),
    ],
)
@pytest.mark.parametrize("callbacks", [[], [Pictures(1)]])
def test_labels_that_do_not_fit_are_refused_before_the_first_update(data, message, callbacks):
    model = CGAN(**SMALL, num_classes=3)
    with pytest.raises(ValueError, match=message):
        fitted(model, data, callbacks=callbacks)
    assert not model.has_trained


def test_a_wrong_label_is_noticed_in_any_batch():
    labels = torch.arange(16) % 3
    labels[12] = 3
    loader = DataLoader(TensorDataset(torch.randn(16, 2), labels), batch_size=8)
    model = CGAN(**SMALL, num_classes=3)
    with pytest.raises(ValueError, match="labels go from 0 to 3"):
        fitted(model, loader)
    assert model.trainer.global_step == 1


def test_a_gan_without_classes_reads_no_labels():
    model = GAN(**SMALL)
    fitted(model, small_ring(labels=True), max_steps=2)
    assert model.sample_labels(3) is None
    assert model.sample(model.sample_latent(3)).shape == (3, 2)


# Training and scores


def test_the_ring_is_learned_by_class():
    """In fewer and larger steps than the configuration's own."""
    rates = ["--model.optimizer_g.lr", "5e-4", "--model.optimizer_d.lr", "5e-4"]
    main(["fit", "--config", "cgan_ring", *rates, "--trainer.max_steps", "200"])
    with open("runs/cgan_ring/version_0/metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["val/label_fidelity"]) >= 0.95
    assert 0.2 < float(last["val/class_diversity"]) < 10


def test_convolutional_networks_learn_by_class():
    model = WDCGANGP(data_shape=(1, 16, 16), num_classes=10, n_critic=2)
    first = model.discriminator.layers[0]  # one channel of the image and ten of the classes
    before = first.weight.detach().clone()
    fitted(model, MadeImages(), max_steps=6)  # every image once, so every class
    change = (first.weight - before).abs().amax((0, 2, 3))
    assert change.shape == (11,)
    assert change.min() > 0
    z = model.sample_latent(1)
    one, other = (model.sample(z, torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(one, other)


def test_fidelity_is_the_share_that_is_read_as_asked():
    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    metric = LabelFidelity(mode_reader(modes))
    samples = torch.tensor([[0.1, 0.1], [0.8, 0.3], [0.9, 0.0], [0.2, 5.0]])
    metric.update(samples, torch.tensor([2, 2, 2, 2]), real=True)
    metric.update(samples[:3], torch.tensor([0, 1, 0]), real=False)
    metric.update(samples[3:], torch.tensor([2]), real=False)
    assert metric.compute()["label_fidelity"] == 0.75


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_that_is_not_finite_has_no_class(value):
    spoilt = torch.tensor([[0.1, 0.9], [value, 0.0]])
    assert mode_reader(torch.eye(2))(spoilt).tolist() == [1, -1]
    far = torch.tensor([[0.0, 3e19]])  # whose squared distance is infinite
    assert mode_reader(torch.eye(2))(far).item() in (0, 1)
    images = torch.rand(2, 1, 28, 28)
    images[1, 0, 3, 4] = float("nan")  # an infinite pixel is white
    assert judge_reader(digit_judge(), (0.0, 1.0))(images)[1] == -1


def test_digits_are_read_by_the_judge_whatever_their_range():
    unit = torch.zeros(50, 1, 28, 28)
    for image in unit:
        row, column = torch.randint(2, 20, (2,)).tolist()
        image[0, row : row + 6, 4:24] = 1
        image[0, 4:24, column : column + 4] = 1
    expected = digit_judge()(unit)[1].argmax(1)
    assert len(expected.unique()) > 1
    assert torch.equal(judge_reader(digit_judge(), (0.0, 1.0))(unit), expected)
    assert torch.equal(judge_reader(digit_judge(), (-1.0, 1.0))(2 * unit - 1), expected)


def test_diversity_is_the_ratio_of_mean_distances_within_the_classes():
    real, fake = torch.randn(30, 1, 2, 2), 3 * torch.randn(40, 1, 2, 2)
    real_labels, fake_labels = torch.arange(30) % 3, torch.arange(40) % 3
    metric = ClassDiversity(max_samples=8)
    for start in (0, 15):
        part = slice(start, start + 15)
        metric.update(real[part], real_labels[part], real=True)
    metric.update(fake, fake_labels, real=False)
    ratios = []
    for label in range(3):
        means = []
        for samples, labels in ((fake, fake_labels), (real, real_labels)):
            kept = samples[labels == label][:8].double().numpy()
            means.append(
                np.mean([np.sqrt(((a - b) ** 2).sum()) for a, b in combinations(kept, 2)])
            )
        ratios.append(means[0] / means[1])
    assert metric.compute()["class_diversity"] == pytest.approx(np.mean(ratios), rel=1e-5)


def test_a_collapsed_class_has_no_diversity():
    metric = ClassDiversity()
    labels = torch.arange(20) % 2
    metric.update(torch.randn(20, 3), labels, real=True)
    metric.update(labels[:, None].expand(-1, 3).float(), labels, real=False)
    assert metric.compute()["class_diversity"] == 0


def test_classes_that_say_nothing_of_diversity_are_left_out():
    """One has a single real sample, one has equal ones, one a single generated sample."""
    metric = ClassDiversity()
    real = torch.tensor([[0.0], [5.0], [5.0], [1.0], [2.0], [0.0], [1.0]])
    metric.update(real, torch.tensor([0, 1, 1, 2, 2, 3, 3]), real=True)
    fake = torch.tensor([[0.0], [1.0], [0.0], [1.0], [0.0]])
    metric.update(fake, torch.tensor([0, 0, 1, 1, 2]), real=False)
    assert metric.compute() == {}
    metric.update(torch.tensor([[0.0], [3.0]]), torch.tensor([3, 3]), real=False)
    assert metric.compute()["class_diversity"] == 3


def test_scores_of_labels_need_labels():
    validate = {"limit_val_batches": 1.0, "check_val_every_n_epoch": None}
    evaluation = Evaluation([ClassDiversity()])
    with pytest.raises(ValueError, match="metrics: ClassDiversity needs data with labels"):
        fitted(GAN(**SMALL), max_steps=1, callbacks=[evaluation], **validate)


@pytest.mark.parametrize("embedding_dim", [None, 3])
def test_alarms_know_the_classes(embedding_dim):
    critic = MLPDiscriminator((2,), [8], num_classes=8, embedding_dim=embedding_dim)
    model = CGAN(**{**SMALL, "discriminator": critic}, num_classes=8)
    alarms = Alarms()
    seen = []
    alarms._check = lambda trainer, name, value: seen.append(name)
    fitted(
        model,
        small_ring(labels=True),
        1,
        callbacks=[alarms],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=1,
        num_sanity_val_steps=0,
    )
    assert "lipschitz" in seen


# Pictures


def test_pictures_have_a_row_for_each_class_of_the_same_latents(tmp_path):
    """The generator shows the class as a grey level."""

    class Shows(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, z, labels):
            grey = (labels / 5 - 1)[:, None, None, None] + 0 * self.unused
            seen.append((z, labels))
            return grey.expand(-1, 1, 16, 16)

    seen = []
    model = CGAN(data_shape=(1, 16, 16), generator=Shows(), num_classes=10)
    data = MadeImages(num_eval_samples=16, batch_size=8)
    fitted(
        model,
        data,
        max_steps=1,
        default_root_dir=str(tmp_path),
        callbacks=[Pictures(every_n_updates=1)],
    )
    with Image.open(tmp_path / "samples" / "0000001.png") as image:
        pixels = np.asarray(image.convert("L")).astype(int)
    assert pixels.shape == (10 * 18 + 2, 8 * 18 + 2)
    rows = [pixels[18 * row + 10, 10::18] for row in range(10)]
    for label, row in enumerate(rows):
        assert row == pytest.approx(25.5 * label, abs=0.6)
    z, labels = next(pair for pair in seen if len(pair[0]) == 80)
    assert torch.equal(labels, torch.arange(10).repeat_interleave(8))
    assert torch.equal(z[:8], z[8:16])
    assert not torch.equal(z[0], z[1])


def test_samples_are_drawn_of_one_class_or_of_all():
    model = CGAN(**SMALL, num_classes=4)
    z = model.sample_latent(6)
    expected = model.sample(z, torch.full((6,), 3))
    assert torch.equal(model.sample(z, 3), expected)
    torch.manual_seed(2)
    drawn = model.sample(6)
    torch.manual_seed(2)
    labels = model.sample_labels(6)
    assert labels.unique().numel() > 1
    assert torch.equal(drawn, model.sample(model.sample_latent(6), labels))
    with pytest.raises(ValueError, match="labels must be from 0 to 3, got 4"):
        model.sample(6, labels=4)


def test_real_samples_beside_generated_ones_are_of_their_class():
    """Class 2 has fewer than are wanted, class 3 has none."""
    real = Batch(torch.arange(7.0)[:, None], torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    found = like(real, torch.tensor([0, 0, 2, 2, 2, 3]))
    assert found[:5, 0].tolist() == [0, 3, 2, 5, 2]
    assert found.shape == (6, 1)


# Commands


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("conditional") / "model.ckpt"
    model = WGANGP(data_shape=(2,), num_classes=4)
    fitted(model, GaussianRing(4, labels=True, batch_size=8), max_steps=1).save_checkpoint(path)
    return path


def sampled(checkpoint, *flags):
    main(["sample", "--ckpt_path", str(checkpoint), "--out", "samples.npy", *flags])
    samples = torch.from_numpy(np.load("samples.npy"))
    Path("samples.npy").unlink()
    return samples


def test_samples_are_ordered_by_class(checkpoint):
    model = load(checkpoint)
    assert sampled(checkpoint).shape == (32, 2)
    samples = sampled(checkpoint, "--classes", "3", "1", "--n", "6")
    expected = model.sample(latents(model, 6, 0), torch.tensor([3, 3, 3, 1, 1, 1]))
    assert torch.equal(samples, expected)


def test_a_way_between_classes_begins_and_ends_with_them(checkpoint, monkeypatch):
    import lightning_gans.cli.commands.interpolate as command

    drawn = []
    usual = command.generated

    def watched(*arguments):
        drawn.append(usual(*arguments))
        return drawn[-1]

    monkeypatch.setattr(command, "generated", watched)
    way = ["interpolate", "--ckpt_path", str(checkpoint), "--n", "2", "--steps", "3"]
    main([*way, "--classes", "1", "3", "--out", "way.png"])
    model = load(checkpoint)
    z = latents(model, 4, 0)[:2].repeat_interleave(3, 0)
    weights = torch.tensor([[0, 1, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 0, 1]]).repeat(2, 1)
    assert_close(drawn[0], model.sample(z, weights))
    ends = model.sample(z[[0, 2]], torch.tensor([1, 3]))
    assert_close(drawn[0][[0, 2]], ends)
    main([*way, "--out", "way.png"])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    start = model.sample(latents(model, 4, 0)[:2].repeat_interleave(3, 0), labels)
    assert_close(drawn[1][[0, 3]], start[[0, 3]])


@pytest.mark.parametrize("format", ["safetensors", "onnx"])
def test_exports_take_the_class(checkpoint, format, capsys):
    main(["export", "--ckpt_path", str(checkpoint), "--format", format])
    assert "differ from the checkpoint's by" in capsys.readouterr().out
    if format == "safetensors":
        z, labels = torch.randn(3, 2), torch.tensor([0, 3, 1])
        model = load("generator.safetensors")
        assert torch.equal(model.sample(z, labels), load(checkpoint).sample(z, labels))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--classes", "4"], "classes: the model has the classes 0 to 3, got 4."),
        (
            ["sample", "--n", "6"],
            "n: 6 samples cannot be split evenly over 4 classes. Use a multiple of 4.",
        ),
        (["sample", "--classes", "-1"], "classes: the model has the classes 0 to 3, got -1."),
        (
            ["interpolate", "--classes", "1"],
            "classes: two are needed to interpolate between, got 1.",
        ),
    ],
)
def test_a_class_that_does_not_exist_is_refused(checkpoint, arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--ckpt_path", str(checkpoint), "--out", "out.png"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not Path("out.png").exists()


def test_a_model_without_classes_takes_none(tmp_path, capsys):
    path = tmp_path / "plain.ckpt"
    fitted(GAN(data_shape=(2,)), max_steps=1).save_checkpoint(path)
    with pytest.raises(SystemExit):
        main(["sample", "--ckpt_path", str(path), "--classes", "0"])
    assert "classes: the model has no classes" in capsys.readouterr().err
