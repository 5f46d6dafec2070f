"""The semi-supervised GAN: its losses by hand, what each player sees, and its classifier."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import MadeImages, Rows, fitted, quiet_trainer, snapshot
from interrupted import assert_same
from reference import SEED
from reference.games import GAMES
from reference.structures import FewPoints
from test_variants import assert_like_the_plain_loop, assert_resumed_to_the_same_end
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from torch.utils.data import DataLoader

from datamodules import FewLabels
from lightning_gans import SGAN, load, losses
from lightning_gans.augment import InstanceNoise
from lightning_gans.callbacks import Checkpoint, Evaluation, GeneratorEMA
from lightning_gans.core.players import Batch, PartlyLabelled, Samples
from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.metrics import ClassifierAccuracy, fitting_metrics
from lightning_gans.networks import (
    GaussianNoise,
    MLPDiscriminator,
    MLPGenerator,
    SGANDiscriminator,
    SGANGenerator,
)
from lightning_gans.optimizers import GANAdam
from lightning_gans.variants.sgan import WithLabelled


class Tells(nn.Module):
    """Its outputs are what it reads, times a weight of 1, and so are its features."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return self.weight * x

    def with_features(self, x):
        return self.forward(x), self.forward(x)


def by_hand(size=3, **arguments):
    """A model whose samples are their own outputs."""
    return SGAN(
        data_shape=(size,),
        num_classes=size,
        generator=nn.Identity(),
        discriminator=Tells(),
        prior=NormalPrior(size),
        **arguments,
    )


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


LABELLED, KNOWN = double((2, 0, -1), (0, 1, 0)), torch.tensor([0, 1])
REAL, FAKE = double((1, 0, -2), (-3, -2, -1)), double((0, 0, 0), (-4, -5, -3))
SEEN = WithLabelled(REAL, FAKE, labelled=LABELLED, known=KNOWN)


def test_losses_are_the_formulas():
    terms = by_hand().discriminator_loss(SEEN)
    assert terms["class_lab"].item() == pytest.approx(0.3606453667, abs=1e-9)
    assert terms["adversarial_d"].item() == pytest.approx(1.3608812618 / 2, abs=1e-9)
    assert sum(terms.values()).item() == pytest.approx(1.0410859977, abs=1e-9)
    terms = by_hand(unlabelled_weight=3.0).discriminator_loss(SEEN)
    assert sum(terms.values()).item() == pytest.approx(0.3606453667 + 1.5 * 1.3608812618)


def test_a_sample_is_real_with_the_share_of_the_softmax_of_one_more_class():
    logit = by_hand().discriminate(REAL)
    assert_close(logit.sigmoid(), double(0.7939680908, 0.3560857401), atol=1e-9, rtol=0)
    one_more = torch.cat([FAKE, torch.zeros(2, 1, dtype=torch.float64)], 1)
    as_last = cross_entropy(one_more, torch.tensor([3, 3]))
    assert as_last.item() == pytest.approx(0.7292333916, abs=1e-9)
    real = by_hand().discriminate(REAL)
    whole = 2 * by_hand().discriminator_loss(SEEN)["adversarial_d"]
    assert (whole - torch.nn.functional.softplus(-real).mean()).item() == pytest.approx(
        as_last.item(), abs=1e-12
    )


def test_features_are_in_single_precision_under_autocast():
    """Means that are nearly equal are subtracted from each other."""
    model = SGAN(data_shape=(2,), num_classes=3)
    with torch.autocast("cpu", torch.bfloat16):
        out = model.outputs(torch.randn(4, 2))
    assert {name: value.dtype for name, value in out.items()} == dict.fromkeys(
        ("logit", "class", "features"), torch.float32
    )


def test_the_generator_brings_mean_features_together():
    real, fake = double((0, 1), (2, 0)), double((1, 1), (2, 2)).requires_grad_()
    model = by_hand(2, feature_weight=1.0)
    terms = model.generator_loss(Samples(real, fake))
    assert list(terms) == ["features"]
    # Not 1.25 (their sum, or each sample's own features), nor 0.75 (absolute).
    assert terms["features"].item() == pytest.approx(0.625)
    (gradient,) = torch.autograd.grad(terms["features"], fake)
    assert_close(gradient, double((0.25, 0.5), (0.25, 0.5)))
    terms = by_hand(2, feature_weight=2.0, adversarial_weight=0.5).generator_loss(
        Samples(real, fake)
    )
    assert terms["features"].item() == pytest.approx(1.25)
    fooled = -(fake.exp().sum(1) / (1 + fake.exp().sum(1))).log().mean()
    assert terms["adversarial_g"].item() == pytest.approx(0.5 * fooled.item())
    only = by_hand(2, feature_weight=0.0, adversarial_weight=1.0)
    assert list(only.generator_loss(Samples(real, fake))) == ["adversarial_g"]


def test_each_player_sees_its_own_part():
    model = by_hand()
    parts = {name: torch.full((4, 3), float(i)) for i, name in enumerate("abc")}
    batch = PartlyLabelled(parts["a"], torch.arange(4) % 3, parts["b"], parts["c"])
    discriminator, generator = model.configure_players()
    seen = discriminator.draw(batch)
    assert torch.equal(seen.labelled, parts["a"])
    assert torch.equal(seen.known, batch.labels)
    assert torch.equal(seen.real, parts["b"])
    assert torch.equal(generator.draw(batch).real, parts["c"])
    assert seen.labels is None


def test_the_rows_of_the_log_are_its_terms_and_shares():
    rows = Rows()
    model = by_hand()
    model.double()
    values = model.evaluate_terms(model.configure_players()[0], SEEN, ())[1]
    assert values["accuracy_lab"] == 1
    assert values["fake_as_real"] == 0.5  # ln 3 is above 0, the other one is not
    real = by_hand().discriminate(REAL)
    assert values["d_real"].item() == pytest.approx(real.mean().item())
    small = SGAN(data_shape=(2,), num_classes=3, **POINTS)
    fitted(small, FewPoints(), max_steps=2, logger=rows, log_every_n_steps=1)
    found = {key for _, row in rows.rows for key in row}
    expected = {"class_lab", "adversarial_d", "features", "accuracy_lab", "fake_as_real"}
    assert {f"train/{name}" for name in (*expected, "d_real", "d_fake")} <= found


POINTS = {
    "generator": MLPGenerator(2, (2,), [8]),
    "discriminator": MLPDiscriminator((2,), [8], num_outputs=3),
    "prior": NormalPrior(2),
}


def points(**arguments):
    torch.manual_seed(1)
    return SGAN(
        data_shape=(2,),
        num_classes=3,
        generator=MLPGenerator(2, (2,), [8]),
        discriminator=MLPDiscriminator((2,), [16], num_outputs=3),
        prior=NormalPrior(2),
        **arguments,
    )


class Shifted(FewPoints):
    """The same points with labels, beside others without."""

    def training_batch(self, *place):
        batch = super().training_batch(*place)
        return {**batch, "unlabelled": batch["unlabelled"] + 1}


def test_with_a_weight_of_0_it_is_the_classifier_of_the_labels_alone(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    found = {}
    for weight in (0.0, 1.0):
        for data in (FewPoints(), Shifted()):
            model = points(unlabelled_weight=weight)
            fitted(model, data, max_steps=3)
            found[weight, type(data)] = snapshot(model.discriminator)
    assert_same(found[0.0, FewPoints], found[0.0, Shifted])
    assert not torch.equal(found[1.0, FewPoints][0], found[1.0, Shifted][0])


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_ends_where_the_other_does(n_critic, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    played = GAMES["SGAN with a penalty"]
    whole = assert_like_the_plain_loop(played, n_critic)
    assert_resumed_to_the_same_end(whole, played, n_critic)


def test_every_part_is_augmented_in_updates_and_nothing_in_evaluation():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = 0

        def forward(self, x):
            self.seen += len(x)
            return x

    augment = Counts()
    model = points(augment=augment)
    fitted(model, FewPoints(), max_steps=2)
    # Two rounds of 3 and 2 times 6, and 2 samples to try it on.
    assert augment.seen == 2 * 5 * 6 + 2
    before = augment.seen
    model.tell_classes(torch.randn(5, 2))
    assert augment.seen == before
    fitted(points(augment=InstanceNoise(0.1)), FewPoints(), max_steps=1)


# The classifier


def images(**arguments):
    data = {"number": 60, "value_range": (0.0, 1.0), "data_shape": (1, 8, 8), **arguments}
    return FewLabels(MadeImages(**data), 20)


def noisy(**arguments):
    return SGAN(
        data_shape=(1, 8, 8),
        generator=SGANGenerator(4, (1, 8, 8), [8]),
        discriminator=SGANDiscriminator((1, 8, 8), [16, 8], num_outputs=10),
        prior=NormalPrior(4),
        **arguments,
    )


def test_the_average_of_the_classifier_is_scored_without_noise():
    model, scores, average = noisy(), Evaluation(), GeneratorEMA(0.9)
    trainer = quiet_trainer(
        6, callbacks=[average, scores], limit_val_batches=1.0, num_sanity_val_steps=0
    )
    data = images()
    trainer.fit(model, data)
    (batch,) = data.evaluation_batches(0)
    record = model.read_batch(data.on_after_batch_transfer(batch, 0))
    network = average.networks["discriminator"].eval()
    told = network(record.real).argmax(1)
    assert not torch.equal(
        network(record.real), model.discriminator.eval()(record.real)
    )  # the average is another network
    assert torch.equal(model.evaluation_record(record, 0).told, told)
    assert scores.scores["accuracy"] == pytest.approx((told == record.labels).double().mean())
    assert "accuracy" not in scores.floors
    assert scores.floors


def test_latents_with_codes_are_scored_too():
    scores = Evaluation()
    prior = CodePrior(NormalPrior(2), [3])
    model = SGAN(
        data_shape=(1, 8, 8),
        num_classes=10,
        prior=prior,
        generator=partial(MLPGenerator, hidden=[4]),
        discriminator=partial(MLPDiscriminator, hidden=[4]),
    )
    quiet_trainer(2, callbacks=[scores], limit_val_batches=1.0).fit(model, images())
    assert {"accuracy", "sliced_w"} <= scores.scores.keys()


def test_a_saved_and_an_exported_classifier_tell_the_same(tmp_path):
    model = noisy()
    callbacks = [GeneratorEMA(0.5), Checkpoint(dirpath=str(tmp_path))]
    fitted(model, images(), 3, callbacks=callbacks, enable_checkpointing=True)
    x = torch.rand(50, 1, 8, 8)
    again = load(
        tmp_path / "last.ckpt",
        generator=SGANGenerator(4, (1, 8, 8), [8]),
        discriminator=SGANDiscriminator((1, 8, 8), [16, 8], num_outputs=10),
        prior=NormalPrior(4),
    )
    assert torch.equal(again.tell_classes(x), model.evaluated.tell_classes(x))
    content = again.export(*again.averaged)
    Path("both.safetensors").write_bytes(content)
    assert b"discriminator.features" in content
    assert b"generator.layers" in content


def test_it_learns_the_three_modes():
    """Chance is a third."""
    quick = partial(GANAdam, lr=0.02)
    scores = Evaluation([ClassifierAccuracy()])
    trainer = quiet_trainer(100, callbacks=[scores], limit_val_batches=1.0, num_sanity_val_steps=0)
    trainer.fit(points(optimizer_d=quick, optimizer_g=quick), FewPoints())
    assert scores.scores["accuracy"] == 1


def test_the_accuracy_is_the_share_of_classes_that_are_right():
    metric = ClassifierAccuracy()
    told, labels = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])
    record = {"real": torch.zeros(4), "fake": torch.zeros(4), "told": told, "labels": labels}
    for real in (True, False):
        metric.observe(record, real=real)
    assert metric.compute()["accuracy"] == 0.75
    metric.observe({**record, "told": labels}, real=False)
    assert metric.compute()["accuracy"] == 0.875
    with pytest.raises(ValueError, match=r"shape \(3,\) are told for labels of shape \(4,\)"):
        metric.update(told[:3], labels)
    for missing in ("told", "labels"):
        with pytest.raises(ValueError, match="needs data with labels and a model that tells"):
            metric.observe({**record, missing: None}, real=False)


def test_only_models_that_tell_classes_are_scored_for_it():
    assert any(type(m) is ClassifierAccuracy for m in fitting_metrics(images(), noisy()))
    assert not any(type(m) is ClassifierAccuracy for m in fitting_metrics(images()))


# Its networks


def test_the_published_networks_have_the_published_weights():
    discriminator = SGANDiscriminator((1, 28, 28), num_outputs=10)
    generator = SGANGenerator(100, (1, 28, 28))
    assert sum(p.numel() for p in discriminator.parameters()) == 1_538_760 + 10
    assert sum(p.numel() for p in generator.parameters()) == (
        100 * 500 + 500 * 500 + 500 * 784 + 2 * 500 + 2 * 784
    )
    noises = [m.sd for m in discriminator.modules() if isinstance(m, GaussianNoise)]
    assert noises == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    for network in (discriminator, generator):
        for layer in network.modules():
            if isinstance(layer, nn.Linear) and hasattr(layer, "parametrizations"):
                assert_close(layer.weight.norm(dim=1), torch.ones(len(layer.weight)))
    assert not any("norm" in name and "weight" in name for name, _ in generator.named_parameters())
    assert generator.output_range == (0.0, 1.0)


def test_rows_of_hidden_layers_keep_the_norm_1():
    model = noisy()
    fitted(model, images(), 3)
    *hidden, last = (m for m in model.discriminator.modules() if isinstance(m, nn.Linear))
    for layer in hidden:
        assert_close(layer.weight.norm(dim=1), torch.ones(len(layer.weight)))
        original = layer.parametrizations.weight.original
        assert_close(layer.weight, original / original.norm(dim=1, keepdim=True))
    assert len(hidden) == 2
    assert (last.weight.norm(dim=1) - 1).abs().max() > 1e-5


def test_noise_is_added_in_training_alone():
    layer, x = GaussianNoise(0.5), torch.full((20_000,), 3.0)
    added = layer(x) - 3
    assert added.mean().item() == pytest.approx(0, abs=0.02)
    assert added.std().item() == pytest.approx(0.5, abs=0.02)
    assert layer.eval()(x) is x
    assert GaussianNoise(0.0)(x) is x
    network = SGANDiscriminator((2,), [8], num_outputs=3)
    points = torch.randn(4, 2)
    assert not torch.equal(network(points), network(points))
    network.eval()
    outputs, features = network.with_features(points)
    assert torch.equal(outputs, network(points))
    assert torch.equal(outputs, network.head(features))
    assert (features >= 0).all()
    assert features.shape == (4, 8)


def test_features_are_without_the_noise_of_the_last_layer():
    network = SGANDiscriminator((2,), [8], input_noise=0.0, num_outputs=3)
    x = torch.randn(4, 2)
    assert torch.equal(network.with_features(x)[1], network.with_features(x)[1])


# What is refused


OTHER_LOSSES = sorted(
    {*losses.__all__}
    & {
        "BoundaryEquilibrium",
        "Cramer",
        "EnergyMargin",
        "FDivergence",
        "Fisher",
        "Hinge",
        "LeastSquares",
        "MMD",
        "Minimax",
        "RelativisticAverage",
        "RelativisticPaired",
        "Wasserstein",
    }
)


@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_every_other_loss_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match=f"loss: .* fixed by its softmax, got {name}. Leave"):
        SGAN(data_shape=(2,), loss=getattr(losses, name))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: points(unlabelled_weight=-1),
            "unlabelled_weight must be finite and at least 0, got -1",
        ),
        (
            lambda: points(feature_weight=math.inf),
            "feature_weight must be finite and at least 0, got inf",
        ),
        (
            lambda: points(adversarial_weight=-0.1),
            "adversarial_weight must be finite and at least 0",
        ),
        (lambda: points(feature_weight=0), "feature_weight and adversarial_weight are both 0"),
        (lambda: SGAN(data_shape=(2,), num_classes=0), "num_classes must be at least 1, got 0"),
        (lambda: GaussianNoise(-1), "sd must be finite and at least 0, got -1"),
        (lambda: SGANDiscriminator((2,), []), r"hidden: it needs a layer.* got \[\]"),
        (lambda: SGANGenerator(2, (2,), [4, 0]), r"at least 1 unit, got \[4, 0\]"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_is_made_with_an_output_for_each_class():
    model = SGAN(data_shape=(2,), num_classes=4, discriminator=MLPDiscriminator)
    assert model.discriminator(torch.zeros(3, 2)).shape == (3, 4)
    assert model.num_classes is None  # nothing is generated by class
    assert model.known_classes == 4


def loader(**changes):
    batch = {
        "labelled": torch.randn(6, 2),
        "labels": torch.arange(6) % 3,
        "unlabelled": torch.randn(6, 2),
        "further": torch.randn(6, 2),
        **changes,
    }
    rows = [{key: value[i] for key, value in batch.items() if value is not None} for i in range(6)]
    return DataLoader(rows, batch_size=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"further": None}, "with the key further. Use FewLabels"),
        ({"labels": torch.arange(6)}, "labels go from 0 to 5, but the model has num_classes 3"),
        ({"labels": torch.zeros(6)}, "labels must be torch.int64"),
        ({"labelled": torch.randn(6, 3)}, r"samples have shape \(3,\), but the generator makes"),
        ({"unlabelled": torch.randn(6, 3)}, r"samples have shape \(3,\), but the generator"),
        ({"further": torch.randn(6, 3)}, r"samples have shape \(3,\), but the generator makes"),
    ],
)
def test_batches_that_it_cannot_learn_from_are_refused(changes, message):
    model = points()
    with pytest.raises(ValueError, match=message):
        quiet_trainer(2).fit(model, loader(**changes))
    assert not model.has_trained


def test_other_data_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"SGAN reads batches of labelled .* Use FewLabels"):
        quiet_trainer(2).fit(noisy(), MadeImages((1, 8, 8), value_range=(0.0, 1.0)))
    five = SGAN(
        data_shape=(1, 8, 8),
        num_classes=5,
        generator=SGANGenerator(4, (1, 8, 8), [8]),
        discriminator=SGANDiscriminator((1, 8, 8), [8], num_outputs=5),
        prior=NormalPrior(4),
    )
    data = images()
    data.source.num_classes = 10
    with pytest.raises(ValueError, match="the model has 5 classes, but the data, FewLabels, has"):
        quiet_trainer(2).fit(five, data)
    unlabelled = Batch(torch.randn(4, 2))
    model = points()
    model._sample_shape = (2,)
    with pytest.raises(ValueError, match="its batches have no labels, but the model has num_clas"):
        model.check(unlabelled)
    wide = SGAN(
        data_shape=(2,),
        num_classes=3,
        generator=MLPGenerator(2, (2,), [8]),
        discriminator=MLPDiscriminator((2,), [8], num_outputs=4),
        prior=NormalPrior(2),
    )
    with pytest.raises(ValueError, match=r"output for 2 samples has shape \(2, 4\), but must"):
        quiet_trainer(2).fit(wide, FewPoints())
