"""InfoGAN: its terms, who learns from them, what is logged, and what pictures show of codes."""

import math
from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import SMALL, MadeImages, Rows, fitted, same, small_ring, snapshot
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader

from lightning_gans import GAN, InfoGAN, load
from lightning_gans.augment import InstanceNoise
from lightning_gans.callbacks import Checkpoint, Evaluation
from lightning_gans.cli.commands.opening import latents
from lightning_gans.cli.main import main
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Batch, Samples
from lightning_gans.core.priors import CodePrior, NormalPrior, UniformPrior
from lightning_gans.losses import gaussian_nll
from lightning_gans.networks import (
    DCGANDiscriminator,
    InfoGANDiscriminator,
    InfoGANGenerator,
    MLPDiscriminator,
    SeparatePosterior,
)

DOUBLE = torch.float64
NOISE = NormalPrior(2)
CODES = {"category": torch.tensor([0, 2]), "continuous": ((0.5, -1.0), (0.0, 0.25))}
LOGITS = ((2.0, 0.0, -1.0), (0.0, 1.0, 0.0))
MEANS = ((0.25, -0.5), (1.0, 0.0))
LOG_SDS = ((-0.5, 0.0), (0.5, -1.0))


def doubles(rows):
    return torch.tensor(rows, dtype=DOUBLE)


def points(**arguments):
    return InfoGAN(**{**SMALL, "prior": CodePrior(NOISE, [3], 2), **arguments})


def read(model, samples, **outputs):
    """Returns the terms of the discriminator's loss, and what is noted, of given outputs."""
    noted = {}
    model.note = lambda **values: noted.update({n: v.mean().item() for n, v in values.items()})
    terms = model.auxiliary_d(Outputs(), Outputs(outputs), samples)
    return {name: term.item() for name, term in terms.items()}, noted


def asked(prior, categories, continuous):
    latent = prior.join(doubles(2 * [[0.3, 0.1]]), categories, doubles(continuous))
    return Samples(doubles(2 * [[0.0, 0.0]]), doubles(2 * [[0.0, 0.0]]), latent)


# The terms


def test_the_class_term_is_the_cross_entropy_of_logits_and_the_bound_has_its_ceiling():
    prior = CodePrior(NOISE, [3])
    terms, noted = read(
        points(prior=prior),
        asked(prior, [CODES["category"]], 2 * [[]]),
        category=doubles(LOGITS),
    )
    assert terms == {"category_d": pytest.approx(0.8606453667, abs=1e-10)}
    assert noted == {
        "mi_bound_category": pytest.approx(0.2379669219, abs=1e-10),
        "code_accuracy_category": 0.5,
    }
    # Some implementations end the network in a softmax, and read that as logits.
    assert terms["category_d"] != pytest.approx(0.9465609737, abs=1e-3)


def test_the_continuous_term_with_a_fixed_deviation():
    prior = CodePrior(NOISE, [], 2)
    terms, noted = read(
        points(prior=prior),
        asked(prior, [], CODES["continuous"]),
        continuous=doubles(MEANS),
    )
    assert terms == {"continuous_d": pytest.approx(2.1816270664, abs=1e-10)}
    without = terms["continuous_d"] - math.log(2 * math.pi)
    assert without == pytest.approx(0.34375, abs=1e-10)
    assert noted == {
        "mi_bound_continuous": pytest.approx(2 * math.log(2) - 2.1816270664, abs=1e-10),
        "code_error": pytest.approx(0.34375, abs=1e-10),  # 2 x 0.34375 over two entries
    }


def test_the_continuous_term_with_learned_deviations():
    prior = CodePrior(NOISE, [], 2)
    terms, _ = read(
        points(prior=prior, learned_sd=True),
        asked(prior, [], CODES["continuous"]),
        continuous=doubles(MEANS),
        log_sd=doubles(LOG_SDS),
    )
    expected = -0.1876029846 + math.log(2 * math.pi)
    assert terms == {"continuous_d": pytest.approx(expected, abs=1e-10)}


def test_gaussian_nll_is_minus_the_log_density():
    x, mean, log_sd = torch.randn(3, 5, 4, dtype=DOUBLE)
    density = torch.distributions.Normal(mean, log_sd.exp()).log_prob(x)
    assert_close(gaussian_nll(x, mean, log_sd), -density.sum(1).mean())


def test_each_code_has_its_own_term_weight_and_bound():
    prior = CodePrior(NOISE, [3, 2], 1)
    samples = asked(prior, [CODES["category"], torch.tensor([1, 0])], [[0.5], [0.25]])
    outputs = {
        "category": doubles(LOGITS),
        "category_2": doubles(((0.0, 0.0), (0.0, 0.0))),
        "continuous": doubles(((0.5,), (0.25,))),
    }
    model = points(prior=prior, category_weight=0.5, continuous_weight=2.0)
    assert [*model.heads().items()] == [("category", 3), ("category_2", 2), ("continuous", 1)]
    terms, noted = read(model, samples, **outputs)
    assert terms == {
        "category_d": pytest.approx(0.5 * 0.8606453667, abs=1e-10),
        "category_2_d": pytest.approx(0.5 * math.log(2), abs=1e-10),
        "continuous_d": pytest.approx(math.log(2 * math.pi), abs=1e-10),
    }
    assert noted["mi_bound_category_2"] == pytest.approx(0, abs=1e-15)
    assert noted["mi_bound_category"] == pytest.approx(0.2379669219, abs=1e-10)
    assert noted["mi_bound_continuous"] == pytest.approx(
        math.log(2) - math.log(2 * math.pi) / 2, abs=1e-10
    )
    terms_g = model.auxiliary_g(Outputs(outputs), samples)
    assert {name.replace("_g", "_d"): t.item() for name, t in terms_g.items()} == terms


# Who learns from them


def turn(model, player):
    """Returns which parameters a player's information terms have a gradient for."""
    model.note = lambda **values: None
    samples = model.draw(Batch(torch.randn(8, 2)))
    fake = model.outputs(samples.fake)
    terms = (
        model.auxiliary_d(fake, fake, samples)
        if player == "discriminator"
        else model.auxiliary_g(fake, samples)
    )
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(sum(terms.values()), [*parameters.values()], allow_unused=True)
    pairs = zip(parameters, gradients, strict=True)
    return {name for name, gradient in pairs if gradient is not None and gradient.any()}


def test_both_players_are_taught_and_q_is_the_discriminators():
    model = points()
    players = {player.name: player for player in model.configure_players()}
    assert players["discriminator"].trained() == [*model.discriminator.parameters()]
    assert players["generator"].trained() == [*model.generator.parameters()]
    for player in players:
        taught = turn(model, player)
        # The trunk is, too: the frequent way to train Q with the generator leaves it out.
        assert {"discriminator.layers.1.weight", "generator.layers.0.weight"} <= taught


def test_a_posterior_of_its_own_is_updated_with_the_discriminator_and_teaches_the_generator():
    apart = partial(
        SeparatePosterior,
        network=partial(MLPDiscriminator, hidden=[8]),
        posterior=partial(MLPDiscriminator, hidden=[8]),
    )
    model = points(discriminator=apart)
    (discriminator, _) = model.configure_players()
    assert set(discriminator.trained()) == set(model.discriminator.parameters())
    for player in ("discriminator", "generator"):
        taught = turn(model, player)
        assert any(name.startswith("discriminator.posterior") for name in taught)
        assert any(name.startswith("generator") for name in taught)
        assert not any(name.startswith("discriminator.network") for name in taught)
    before = snapshot(model.discriminator.posterior)
    fitted(model, max_steps=2)
    assert not same(before, snapshot(model.discriminator.posterior))


def test_without_weights_nobody_is_taught():
    model = points(category_weight=0.0, continuous_weight=0.0)
    assert turn(model, "discriminator") == turn(model, "generator") == set()


def test_it_learns_to_read_codes_that_show():
    """The generator is linear and stays as it is, so that a linear Q can read its samples."""
    prior = CodePrior(ConstantNoise(), [2], 1)
    model = InfoGAN(
        data_shape=(4,),
        generator=nn.Linear(4, 4),
        discriminator=nn.Linear(4, 4),
        prior=prior,
        optimizer_g=partial(torch.optim.SGD, lr=1e-9),
        optimizer_d=partial(torch.optim.Adam, lr=0.05),
    )
    fitted(model, DataLoader(torch.randn(64, 4), 64), max_steps=200, log_every_n_steps=50)
    assert model.last_logged["train/code_accuracy_category"] > 0.95
    assert model.last_logged["train/code_error"] < 0.05


class ConstantNoise(NormalPrior):
    """Noise that is always 0."""

    def __init__(self) -> None:
        super().__init__(1)

    def sample(self, n, **where):
        return 0 * super().sample(n, **where)


# What it is made of


def test_its_defaults_are_those_of_the_authors():
    model = InfoGAN(data_shape=(2,))
    assert repr(model.prior) == (
        "CodePrior(dim=74, noise=UniformPrior(dim=62, low=-1.0, high=1.0), categories=(10,), "
        "continuous=2)"
    )
    for name, rate in (("optimizer_g", 1e-3), ("optimizer_d", 2e-4)):
        defaults = getattr(model, name)(model.parameters()).defaults
        assert (defaults["lr"], defaults["betas"]) == (rate, (0.5, 0.999))
    assert model.discriminator(torch.zeros(5, 2)).shape == (5, 13)
    assert (model.category_weight, model.continuous_weight, model.learned_sd) == (1, 1, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"prior": NormalPrior(4)},
            r"prior: it must have codes, got NormalPrior\(dim=4\)\. Use a CodePrior",
        ),
        ({"num_classes": 3}, r"num_classes: InfoGAN has no classes, got 3, .* CGAN or ACGAN\."),
        (
            {"prior": CodePrior(NormalPrior(4), [3]), "learned_sd": True},
            r"learned_sd: the prior has no continuous codes .* Leave it out",
        ),
        ({"category_weight": -1.0}, r"category_weight must be finite and at least 0, got -1\.0"),
        (
            {"continuous_weight": -1.0},
            r"continuous_weight must be finite and at least 0, got -1\.0",
        ),
        (
            {
                "discriminator": partial(InfoGANDiscriminator, num_logits=7),
                "data_shape": (1, 8, 8),
            },
            r"reads codes, so that num_outputs must be above num_logits \(7\), got 6",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        points(**arguments)


def test_a_discriminator_with_too_few_outputs_is_refused_before_training():
    model = points(discriminator=nn.Sequential(nn.Linear(2, 5)))
    with pytest.raises(ValueError, match=r"output for 2 samples has shape \(2, 5\), but must .*6"):
        fitted(model)


@pytest.mark.parametrize(
    "network", [InfoGANDiscriminator, partial(SeparatePosterior, network=DCGANDiscriminator)]
)
def test_networks_that_read_codes_are_refused_where_there_are_none(network):
    with pytest.raises(ValueError, match=r"reads codes, so that num_outputs must be above"):
        GAN(data_shape=(1, 16, 16), discriminator=network)


# The networks


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_the_networks_have_the_parameters_of_the_authors():
    generator = InfoGANGenerator(74, (1, 28, 28))
    discriminator = InfoGANDiscriminator((1, 28, 28), num_outputs=13)
    assert parameters(generator) == 6_645_121
    assert parameters(discriminator.trunk) == 6_556_992
    assert parameters(discriminator.logit) == 1_025
    assert parameters(discriminator.codes) == 132_876
    assert parameters(InfoGANGenerator(74, (1, 28, 28), width=16, hidden=None)) == 127_649
    slopes = {m.negative_slope for m in discriminator.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.1}


def test_a_dense_layer_is_normalised_entry_by_entry():
    generator = InfoGANGenerator(5, (1, 8, 8), width=2, hidden=None)
    latent = torch.randn(16, 5)
    small = generator.layers[:6](latent)
    assert small.shape == (16, 4, 2, 2)
    linear, normalization = generator.layers[0], generator.layers[2]
    units = nn.functional.batch_norm(
        linear(latent), None, None, normalization.weight, normalization.bias, training=True
    )
    assert_close(small.flatten(1), units.relu())


def test_the_heads_read_the_trunk_and_the_features_are_its_output():
    network = InfoGANDiscriminator((1, 8, 8), 2, 6, 4, num_logits=2, num_outputs=5).eval()
    images = torch.randn(3, 1, 8, 8)
    outputs, features = network.with_features(images)
    assert features.shape == (3, 6)
    assert_close(outputs, network(images))
    assert_close(outputs[:, :2], network.logit(features))
    assert_close(outputs[:, 2:], network.codes(features))


def test_a_separate_posterior_reads_beside_the_discriminator():
    judge, reader = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1), nn.Flatten(0)), nn.Linear(2, 3)
    joined = SeparatePosterior(network=judge, posterior=reader, num_outputs=4)
    x = torch.randn(5, 2)
    outputs, features = joined.with_features(x)
    assert_close(joined(x), torch.cat([judge(x)[:, None], reader(x)], 1))
    assert_close(outputs, joined(x))
    assert_close(features, judge[0](x))


# What is logged, scored and shown


def test_rows_tell_the_bounds_and_how_well_codes_are_read():
    rows = Rows()
    fitted(points(augment=InstanceNoise(0.1)), max_steps=2, log_every_n_steps=1, logger=rows)
    (row, *_) = (row for _, row in rows.rows)
    names = {name.removeprefix("train/") for name in row}
    assert names >= {
        *("mi_bound_category", "mi_bound_continuous", "code_accuracy_category", "code_error"),
        *("category_d", "category_g", "continuous_d", "continuous_g"),
    }
    assert row["train/mi_bound_category"] == pytest.approx(
        math.log(3) - row["train/category_d"], abs=1e-5
    )


def test_codes_are_read_from_samples_in_evaluation_mode():
    model = points(
        discriminator=partial(MLPDiscriminator, hidden=[8, 8], normalization=nn.BatchNorm1d)
    )
    x = torch.randn(6, 2)
    found = model.train().read_codes(x)
    assert_close(found["category"].sum(1), torch.ones(6))
    outputs = model.discriminator.eval()(x)
    assert_close(found["category"], outputs[:, 1:4].softmax(1))
    assert_close(found["continuous"], outputs[:, 4:])
    assert not found["category"].requires_grad


@pytest.mark.parametrize("labels", [True, False])
def test_an_evaluation_asks_for_codes_and_real_samples_have_their_labels(labels):
    evaluation = Evaluation()
    model = points(prior=CodePrior(NOISE, [8]))
    fitted(
        model,
        small_ring(labels=labels, num_eval_samples=400),
        max_steps=1,
        callbacks=[evaluation],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=1,
        num_sanity_val_steps=0,
    )
    assert 0 <= evaluation.scores["code_mi"] <= math.log(8)
    assert 1 / 8 <= evaluation.scores["code_matched"] <= 1
    if labels:
        assert evaluation.floors["code_mi"] == pytest.approx(math.log(8), abs=0.05)
        assert evaluation.floors["code_matched"] == 1
    else:
        assert "code_mi" not in evaluation.floors


def test_an_evaluation_tells_the_codes_that_its_samples_are_generated_from():
    model, (x, labels) = points(), (torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1]))
    fakes = model.evaluation_record(Batch(x, labels), 0)
    codes = model.prior.split(fakes.latent)
    assert torch.equal(fakes.asked[0], codes.categories[0])
    assert torch.equal(fakes.continuous, codes.continuous)
    floor = model.floor_record(Batch(x, labels))
    assert torch.equal(floor.asked[0], labels)
    assert floor.continuous is None


def test_the_scores_are_of_the_codes_that_the_samples_are_generated_from():
    """The generator puts each value on a mode of its own."""
    modes = small_ring().modes
    generator = nn.Linear(10, 2, bias=False)
    order = torch.randperm(8)
    with torch.no_grad():
        generator.weight.copy_(torch.cat([torch.zeros(2, 2), modes[order].T], 1))
    evaluation = Evaluation()
    model = points(
        prior=CodePrior(NOISE, [8]),
        generator=generator,
        optimizer_g=partial(torch.optim.SGD, lr=1e-9),
    )
    fitted(
        model,
        small_ring(num_eval_samples=800),
        max_steps=1,
        callbacks=[evaluation],
        limit_val_batches=1.0,
    )
    assert evaluation.scores["code_matched"] == 1
    assert evaluation.scores["code_mi"] == pytest.approx(math.log(8), abs=0.02)


class Shows(nn.Module):
    """A generator of images whose first pixels are the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, latent):
        pixels = torch.cat([latent, latent.new_zeros(len(latent), 256 - latent.shape[1])], 1)
        return (self.weight * pixels).reshape(-1, 1, 16, 16)


def pictures(prior):
    model = InfoGAN(
        data_shape=(1, 16, 16),
        generator=Shows(),
        discriminator=partial(DCGANDiscriminator, width=4),
        prior=prior,
        optimizer_g=partial(torch.optim.SGD, lr=1e-9),
    )
    fitted(model, MadeImages(), max_steps=1)
    found = model.final_pictures(Batch(torch.zeros(4, 1, 16, 16)))
    shown = {
        name: grid.images.flatten(1)[:, : prior.dim].unflatten(0, (-1, grid.columns))
        for name, grid in found.items()
    }
    return {name: table for name, table in shown.items() if name != "interpolation"}


def test_pictures_show_each_value_of_a_code_with_all_else_equal():
    shown = pictures(CodePrior(NOISE, [3, 12], 2))
    assert [*shown] == ["category", "category_2", "continuous_1", "continuous_2"]
    sizes = {name: tuple(table.shape[:2]) for name, table in shown.items()}
    assert sizes == {
        "category": (8, 3),
        "category_2": (8, 10),  # at most ten columns
        "continuous_1": (3, 9),
        "continuous_2": (3, 9),
    }
    places = {"category": slice(2, 5), "category_2": slice(5, 17)}
    places |= {"continuous_1": slice(17, 18), "continuous_2": slice(18, 19)}
    for name, table in shown.items():
        others = torch.ones(19, dtype=torch.bool)
        others[places[name]] = False
        assert_close(table[:, :, others], table[:, :1, others].expand(-1, table.shape[1], -1))
    one_hot = torch.eye(12)[:10].expand(8, -1, -1)
    assert_close(shown["category"][:, :, 2:5], torch.eye(3).expand(8, -1, -1))
    assert_close(shown["category_2"][:, :, 5:17], one_hot)
    steps = torch.linspace(-2, 2, 9).expand(3, -1)
    assert_close(shown["continuous_1"][:, :, 17], steps)
    assert_close(shown["continuous_2"][:, :, 18], steps)
    # A row for each value of the first code, and the same noise in all of them.
    rows = shown["continuous_1"][:, 0]
    assert_close(rows[:, 2:5], torch.eye(3))
    assert_close(rows[:, :2], rows[:1, :2].expand(3, -1))


def test_without_categories_rows_are_latents():
    shown = pictures(CodePrior(NOISE, [], 1))
    assert {name: tuple(table.shape[:2]) for name, table in shown.items()} == {
        "continuous_1": (8, 9)
    }
    assert len(torch.unique(shown["continuous_1"][:, 0, 0])) == 8


def test_commands_take_models_with_codes(capsys):
    codes = "--model.prior CodePrior --model.prior.noise UniformPrior --model.prior.noise.dim 2"
    codes += " --model.prior.categories [8] --model.prior.continuous 1"
    brief = "--trainer.max_steps 2 --data.num_eval_samples 64 --pictures.every_n_updates 0"
    main(["fit", "--model", "InfoGAN", "--data", "GaussianRing", *codes.split(), *brief.split()])
    for command in (
        *("sample --n 9 --out s.npy", "interpolate --n 2 --steps 3 --out way.png", "evaluate"),
        *("export --out g.safetensors", "export --out g.onnx"),
    ):
        name, *flags = command.split()
        main([name, "--ckpt_path", "infogan_gaussianring", *flags])
    assert "code_matched" in capsys.readouterr().out
    model, exported = load("infogan_gaussianring"), load("g.safetensors")
    assert model.prior.sizes == exported.prior.sizes == {"category": 8, "continuous": 1}
    assert type(model.prior.noise) is UniformPrior
    latent = latents(model, 9, 0)
    assert np.array_equal(np.load("s.npy"), model.sample(latent).numpy())
    assert torch.equal(exported.sample(latent), model.sample(latent))
    session = onnxruntime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["prior"] == repr(model.prior)


def test_it_is_saved_with_its_codes_and_exported(tmp_path):
    model = points(prior=CodePrior(UniformPrior(2), [3], 2), learned_sd=True)
    saver = Checkpoint(dirpath=str(tmp_path))
    fitted(model, max_steps=2, enable_checkpointing=True, callbacks=[saver])
    given = {name: SMALL[name] for name in ("generator", "discriminator")}
    loaded = load(tmp_path / "last.ckpt", prior=model.prior, **given)
    latent = model.sample_latent(4)
    assert torch.equal(loaded.sample(latent), model.sample(latent))
    assert_close(loaded.read_codes(loaded.sample(latent)), model.read_codes(model.sample(latent)))
    (tmp_path / "generator.safetensors").write_bytes(model.export("generator"))
    exported = load(tmp_path / "generator.safetensors", prior=model.prior, **given)
    assert torch.equal(exported.sample(latent), model.sample(latent))
