"""The semi-supervised adversarial autoencoder: codes of a style and a class, told few labels."""

import math
import warnings
from functools import partial

import pytest
import torch
from conftest import MadeImages, Rows, fitted, quiet_trainer, small_ring, snapshot
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
from lightning_gans import AAE, BiGAN, SemiSupervisedAAE, load
from lightning_gans.callbacks import Alarms, Checkpoint, Evaluation, GeneratorEMA, Pictures
from lightning_gans.core.players import Batch, PartlyLabelled, Samples
from lightning_gans.core.priors import CodePrior, NormalPrior, UniformPrior
from lightning_gans.core.showing import fixed_latents
from lightning_gans.metrics import ClassifierAccuracy, CodeInformation, fitting_metrics
from lightning_gans.networks import MLPDiscriminator, MLPEncoder
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import R1

PRIOR = CodePrior(NormalPrior(2), [3])
REAL, FAKE = [1.0, -0.5, 2.0], [0.5, -1.5, 0.25]
"""Outputs of the discriminator of styles; those of the discriminator of classes are the others."""


class Tells(nn.Module):
    """A discriminator whose output is the first entry of what it reads."""

    def __init__(self, shape):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return self.scale * x[:, 0]


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def by_hand(**arguments):
    """A model whose encoder and generator change nothing, in double precision."""
    networks = {"generator": nn.Linear(5, 5), "encoder": nn.Linear(5, 5), "discriminator": Tells}
    model = SemiSupervisedAAE(data_shape=(5,), prior=PRIOR, **{**networks, **arguments}).double()
    with torch.no_grad():
        for network in (model.generator, model.encoder):
            network.weight.copy_(torch.eye(5))
            network.bias.zero_()
    return model


def codes(styles, classes):
    """Codes whose styles and classes begin with some numbers."""
    rows = [[style, 0.3, share, 0.0, 0.0] for style, share in zip(styles, classes, strict=True)]
    return double(*rows)


OUTPUTS = double((0.5, -1.0, 2.0, 0.0, -1.0), (1.5, 0.25, 0.0, 1.0, 0.0))
"""Of an encoder: two entries of the style, and three of the class."""
BATCH = PartlyLabelled(OUTPUTS, torch.tensor([0, 1]), OUTPUTS.flip(0) + 0.5)


def test_a_code_is_the_style_and_the_softmax_of_the_classes():
    code = by_hand().encode(OUTPUTS)
    assert torch.equal(code[:, :2], OUTPUTS[:, :2])
    # Not (1, 0, 0) of the hard choice, nor the outputs, nor a softmax of all five.
    assert_close(code[:, 2:], OUTPUTS[:, 2:].softmax(1))
    assert_close(code[0, 2:], double(0.843795, 0.114195, 0.042010), atol=1e-6, rtol=0)
    assert_close(code[:, 2:].sum(1), torch.ones(2).double())
    assert by_hand().tell_classes(OUTPUTS).tolist() == [0, 1]


def test_latents_of_the_prior_are_real_and_codes_of_unlabelled_samples_are_fake():
    model = by_hand()
    torch.manual_seed(3)
    samples = model.draw(BATCH)
    torch.manual_seed(3)
    assert torch.equal(samples.real, model.sample_latent(2))
    assert torch.equal(samples.fake, model.encode(BATCH.unlabelled))
    assert not torch.equal(samples.fake, model.encode(BATCH.labelled))
    style, known = model.parted(samples.real)
    assert style.shape == (2, 2)
    assert torch.equal(known.sort(1).values, double((0, 0, 1), (0, 0, 1)))  # one-hot
    style, known = model.parted(model.sample_latent(6000))
    assert_close(style.std(0), torch.ones(2).double(), atol=0.05, rtol=0)
    assert_close(known.mean(0), torch.full((3,), 1 / 3).double(), atol=0.03, rtol=0)


def test_each_discriminator_has_its_loss_on_its_part_of_the_codes():
    """That of classes is shown the two sides the other way round, which costs twice as much."""
    samples = Samples(codes(REAL, FAKE), codes(FAKE, REAL))
    terms = by_hand().discriminator_loss(samples)
    assert list(terms) == ["adversarial_d_style", "adversarial_d_category"]
    assert terms["adversarial_d_style"].item() == pytest.approx(1.1385654549)
    assert terms["adversarial_d_category"].item() == pytest.approx(2.2218987883)
    terms = by_hand().encoder_loss(samples)
    assert list(terms) == ["adversarial_e_style", "adversarial_e_category"]
    assert terms["adversarial_e_style"].item() == pytest.approx(0.9171432273)
    fooled = sum(math.log1p(math.exp(-real)) for real in REAL) / 3
    assert terms["adversarial_e_category"].item() == pytest.approx(fooled)
    halved = by_hand(unlabelled_weight=0.5).encoder_loss(samples)
    assert sum(halved.values()).item() == pytest.approx((0.9171432273 + fooled) / 2)


def test_unlabelled_samples_are_reconstructed_from_probabilities():
    model = by_hand()
    players = {player.name: player for player in model.configure_players()}
    seen = players["autoencoder"].draw(BATCH)
    assert torch.equal(seen.real, BATCH.unlabelled)
    assert seen.labels is None
    again = torch.cat([seen.real[:, :2], seen.real[:, 2:].softmax(1)], 1)
    expected = (again - seen.real).square().mean()
    assert_close(model.autoencoder_loss(seen)["reconstruction"], expected)
    hard = torch.cat([seen.real[:, :2], torch.eye(3).double()[seen.real[:, 2:].argmax(1)]], 1)
    assert abs((hard - seen.real).square().mean() - expected) > 0.01
    third = by_hand(unlabelled_weight=1 / 3).autoencoder_loss(seen)["reconstruction"]
    assert_close(third, expected / 3)
    x = BATCH.unlabelled
    assert_close(model.reconstruct(x), again)


def test_classes_are_learnt_from_labelled_samples_alone():
    model = by_hand()
    classifier = model.configure_players()[-1]
    seen = classifier.draw(BATCH)
    assert torch.equal(seen.real, BATCH.labelled)
    terms = model.classifier_loss(seen)
    assert terms["class_lab"].item() == pytest.approx(0.3606453667, abs=1e-9)
    # Not that of probabilities taken for outputs, nor that of the other samples.
    shares = model.encode(seen.real)[:, 2:]
    assert cross_entropy(shares, seen.labels).item() == pytest.approx(0.7644733102, abs=1e-9)
    of_others = cross_entropy(BATCH.unlabelled[:, 2:], BATCH.labels).item()
    assert of_others == pytest.approx(1.8606453667, abs=1e-9)
    assert classifier.networks == [model.encoder]


def test_the_players_take_turns_in_the_order_of_the_paper():
    model = by_hand()
    players = {player.name: player.networks for player in model.configure_players()}
    assert list(players) == ["autoencoder", "discriminator", "encoder", "classifier"]
    assert players["autoencoder"] == [model.encoder, model.generator]
    assert players["discriminator"] == [model.discriminator]
    assert players["encoder"] == [model.encoder]
    assert list(model.discriminator) == ["style", "category"]


def points(**arguments):
    torch.manual_seed(1)
    small = {
        "discriminator": partial(MLPDiscriminator, hidden=[16]),
        "encoder": partial(MLPEncoder, hidden=[16]),
    }
    return SemiSupervisedAAE(data_shape=(2,), prior=PRIOR, **{**small, **arguments})


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
            before = snapshot(model.generator)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "No player trains")
                fitted(model, data, max_steps=3)
            assert weight or all(map(torch.equal, before, snapshot(model.generator)))
            found[weight, type(data)] = snapshot(model.encoder)
    assert_same(found[0.0, FewPoints], found[0.0, Shifted])
    assert not torch.equal(found[1.0, FewPoints][0], found[1.0, Shifted][0])


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_ends_where_the_other_does(n_critic, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    played = GAMES["SemiSupervisedAAE with a penalty"]
    whole = assert_like_the_plain_loop(played, n_critic)
    assert_resumed_to_the_same_end(whole, played, n_critic)


def test_the_rows_of_the_log_are_its_terms_norms_and_shares():
    log, model = Rows(), by_hand()
    values = model.evaluate_terms(model.configure_players()[-1], BATCH.with_labels(), ())[1]
    assert values["accuracy_lab"] == 1
    wrong = Batch(BATCH.labelled, torch.tensor([0, 2]))
    values = model.evaluate_terms(model.configure_players()[-1], wrong, ())[1]
    assert values["accuracy_lab"] == 0.5
    encoder = model.configure_players()[2]
    values = model.evaluate_terms(encoder, model.draw(BATCH), ())[1]
    styles = BATCH.unlabelled[:, :2]
    assert values["style_norm"].item() == pytest.approx(styles.norm(dim=1).mean().item())
    fitted(points(), FewPoints(), max_steps=2, logger=log, log_every_n_steps=1)
    found = {key for _, row in log.rows for key in row}
    parts = [f"{key}_{part}" for key in ("d_real", "d_fake") for part in ("style", "category")]
    expected = {"reconstruction", "class_lab", "accuracy_lab", "style_norm", *parts}
    assert {f"train/{name}" for name in expected} <= found


# The classifier, its codes and its pictures


def images(**arguments):
    return FewLabels(MadeImages(value_range=(0.0, 1.0), **arguments), 20)


def coder(**arguments):
    torch.manual_seed(0)
    return SemiSupervisedAAE(data_shape=(1, 16, 16), **arguments)


def test_it_is_shown_scored_saved_and_watched(tmp_path):
    model, scores, average, alarms = coder(), Evaluation(), GeneratorEMA(0.9), Alarms()
    watched = []
    alarms._check = lambda trainer, key, value: watched.append(key)
    saver = Checkpoint(dirpath=str(tmp_path))
    data = images()
    fitted(
        model,
        data,
        4,
        callbacks=[average, scores, alarms, Pictures(0), saver],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=4,
        enable_checkpointing=True,
        default_root_dir=str(tmp_path),
    )
    assert {"accuracy", "code_sliced_w", "reconstruction_mse"} <= scores.scores.keys()
    assert "lipschitz" in watched
    for name in ("category", "reconstructions", "interpolation"):
        assert (tmp_path / "figures" / f"{name}.png").exists()
    (batch,) = data.evaluation_batches(0)
    record = model.read_batch(data.on_after_batch_transfer(batch, 0))
    told = average.networks["encoder"].eval()(record.real)[:, 15:].argmax(1)
    found = model.evaluation_record(record, 0)
    assert torch.equal(found.told, told)
    assert torch.equal(found.asked[0], found.latent[:, 15:].argmax(1))
    assert scores.scores["accuracy"] == pytest.approx((told == record.labels).double().mean())
    again, x = load(tmp_path / "last.ckpt"), torch.rand(20, 1, 16, 16)
    for read in ("tell_classes", "encode", "reconstruct"):
        assert torch.equal(getattr(again, read)(x), getattr(model.evaluated, read)(x))
    (tmp_path / "alone.safetensors").write_bytes(again.export(*again.averaged))
    alone = load(tmp_path / "alone.safetensors")
    assert torch.equal(alone.tell_classes(x), again.tell_classes(x))
    assert_same(alone.untrained().encode(x), coder().untrained().encode(x))


def test_columns_of_a_picture_are_the_classes():
    model = coder()
    fitted(model, images(), 1)
    sweep = model.final_pictures(Batch(torch.rand(16, 1, 16, 16)))["category"]
    assert sweep.columns == 10
    assert sweep.images.shape == (80, 1, 16, 16)
    style = fixed_latents(model, 8)[:, :15]
    for row, column in ((0, 0), (0, 7), (5, 7)):
        latent = torch.cat([style[row], torch.eye(10)[column]])[None]
        assert_close(sweep.images[10 * row + column], model.sample(latent)[0])


def test_it_is_scored_for_its_classes_and_for_those_of_its_codes():
    kinds = {type(metric) for metric in fitting_metrics(images(), coder())}
    assert ClassifierAccuracy in kinds
    read = CodeInformation(lambda x: x.flatten(1).argmax(1) % 10)
    record = vars(coder().evaluation_record(Batch(torch.rand(4, 1, 16, 16)), 0))
    read.observe(record, real=False)
    assert 0 <= read.compute()["code_mi"] <= math.log(10)


@pytest.mark.parametrize("variant", [AAE, BiGAN])
def test_other_models_with_an_encoder_have_codes_too(variant):
    model = variant(data_shape=(2,), prior=PRIOR)
    fitted(model, small_ring(), 1)
    found = model.evaluation_record(Batch(torch.randn(6, 2)), 0)
    assert torch.equal(found.asked[0], found.latent[:, 2:].argmax(1))
    assert found.told is None
    assert model.coded(found.code) is found.code


def test_an_encoder_may_tell_deviations_of_styles_and_outputs():
    class Located(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * OUTPUTS[:1].expand(len(x), 5), x.new_full((len(x), 5), -1.0)

    model = SemiSupervisedAAE(data_shape=(5,), prior=PRIOR, encoder=Located()).double()
    x = torch.zeros(20_000, 5).double()
    drawn, code = model.draw_codes(x), model.encode(x)
    assert_close(drawn[:, :2].mean(0), OUTPUTS[0, :2], atol=0.02, rtol=0)
    assert_close(drawn[:, :2].std(0), torch.full((2,), math.exp(-1)).double(), atol=0.01, rtol=0)
    assert_close(drawn[:, 2:].sum(1), torch.ones(len(x)).double())
    assert (drawn[:, 2:] >= 0).all()
    assert torch.equal(code[0, :2], OUTPUTS[0, :2])
    assert_close(code[0, 2:], OUTPUTS[0, 2:].softmax(0))


def test_it_learns_the_three_modes():
    """Chance is a third."""
    quick = partial(GANAdam, lr=0.02)
    scores = Evaluation([ClassifierAccuracy()])
    optimizers = {f"optimizer_{key}": quick for key in "gdec"}
    trainer = quiet_trainer(100, callbacks=[scores], limit_val_batches=1.0, num_sanity_val_steps=0)
    trainer.fit(points(regularizers=[R1(0.1)], **optimizers), FewPoints())
    assert scores.scores["accuracy"] == 1


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": NormalPrior(5)}, r"prior: it must be a CodePrior .* got NormalPrior\(dim=5\)"),
        ({"prior": CodePrior(NormalPrior(2), [], 1)}, "and one categorical code, the class, got"),
        ({"prior": CodePrior(NormalPrior(2), [3, 2])}, r"categories=\(3, 2\).* Use one with"),
        ({"prior": CodePrior(UniformPrior(2), [3], 1)}, r"continuous=1\). Use one with categor"),
        ({"num_classes": 3}, "num_classes: SemiSupervisedAAE takes none, since its classes are"),
        ({"augment": nn.Identity()}, "augment: SemiSupervisedAAE takes none, since its discrim"),
        ({"discriminator": nn.Linear(2, 1)}, "discriminator: a SemiSupervisedAAE makes two of"),
        ({"unlabelled_weight": -1.0}, "unlabelled_weight must be finite and at least 0, got -1"),
        ({"optimizer_c": 3}, "optimizer_c must make an optimizer"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        SemiSupervisedAAE(data_shape=(2,), **arguments)


def loader(**changes):
    batch = {
        "labelled": torch.randn(6, 2),
        "labels": torch.arange(6) % 3,
        "unlabelled": torch.randn(6, 2),
        **changes,
    }
    return DataLoader([{k: v[i] for k, v in batch.items()} for i in range(6)], batch_size=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.arange(6)}, "labels go from 0 to 5, but the model has num_classes 3"),
        ({"labels": torch.zeros(6)}, "labels must be torch.int64"),
        ({"labelled": torch.randn(6, 3)}, r"samples have shape \(3,\), but the generator makes"),
        ({"unlabelled": torch.randn(6, 3)}, r"samples have shape \(3,\), but the generator"),
    ],
)
def test_batches_that_it_cannot_learn_from_are_refused(changes, message):
    model = points()
    with pytest.raises(ValueError, match=message):
        quiet_trainer(2).fit(model, loader(**changes))
    assert not model.has_trained


def test_further_samples_are_not_needed():
    fitted(points(), loader(), 1)


def test_other_data_and_networks_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"SemiSupervisedAAE reads batches of .* Use FewLabels"):
        quiet_trainer(2).fit(coder(), MadeImages(value_range=(0.0, 1.0)))
    data = images()
    data.source.num_classes = 10
    with pytest.raises(
        ValueError, match=r"categories: the model has 3 classes.* has 10\. Use cat"
    ):
        quiet_trainer(2).fit(coder(prior=PRIOR), data)
    data = images(data_shape=(1, 16, 16))
    for arguments, message in (
        ({"discriminator": lambda shape: nn.Linear(2, 1)}, "discriminator: it cannot read"),
        ({"encoder": nn.Linear(2, 4)}, r"encoder: its output for 2 samples has shape \(2, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            quiet_trainer(2).fit(points(**arguments), FewPoints())
    with pytest.raises(ValueError, match="its batches have no labels"):
        points().check(Batch(torch.randn(4, 2)))
