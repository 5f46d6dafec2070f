"""Pix2Pix, CycleGAN and CoGAN: their losses, what their players see, and what is refused."""

from functools import partial

import pytest
import torch
from conftest import fitted
from torch import nn
from torch.nn.functional import l1_loss
from torch.utils.data import DataLoader

from datamodules import GaussianRing, MixturePairs, SwissRoll, UnpairedSources
from lightning_gans import BEGAN, GAN, CoGAN, CycleGAN, Domains, Pair, Pix2Pix, load
from lightning_gans.augment import FlipAndShift
from lightning_gans.callbacks import Checkpoint, Evaluation
from lightning_gans.core.domains import DomainSamples
from lightning_gans.core.history import History
from lightning_gans.core.players import Translated, Translates
from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.core.showing import Grid, Moved
from lightning_gans.core.translating import rows_of
from lightning_gans.losses import (
    BoundaryEquilibrium,
    EnergyMargin,
    LeastSquares,
    NonSaturating,
)
from lightning_gans.networks import (
    LocalTranslator,
    MinibatchFeatures,
    MinibatchStdDev,
    MLPDiscriminator,
    MLPTranslator,
    PatchDiscriminator,
)
from lightning_gans.regularizers import R1, Consistency, GradientPenalty

close = partial(pytest.approx, rel=0, abs=1e-10)
REAL, FAKE = ([[1.0], [-0.5], [2.0]], [[0.5], [-1.5], [0.25]])
POINTS = {"translator": MLPTranslator, "discriminator": MLPDiscriminator}
SIZES = {"batch_size": 6, "num_eval_samples": 16}
IMAGES = {
    "translator": partial(LocalTranslator, width=2),
    "discriminator": partial(PatchDiscriminator, width=2, strided=1),
}


def unpaired():
    return UnpairedSources(GaussianRing(**SIZES), SwissRoll(**SIZES))


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


class Raised(nn.Module):
    def forward(self, x):
        return x + 0.1


class Read(nn.Module):
    """A discriminator whose logit is its input, or the last entry of it."""

    def forward(self, x):
        return x[:, -1]


# The losses of the specification, in double precision


def test_the_losses_of_a_cycle_gan():
    model = CycleGAN(data_shape=(1,), **POINTS).double()
    model.to_b, model.to_a = Halved(), Raised()
    model.discriminator_a = model.discriminator_b = Read()
    a, b = (torch.tensor(x, dtype=torch.float64)[:, None] for x in ([0.2, -0.4], [0.6, 0.0]))
    samples = model.draw(Domains(a, b))
    terms = {name: term.item() for name, term in model.generator_loss(samples).items()}
    assert terms["cycle_a"] + terms["cycle_b"] == close(10 * 0.30)
    assert terms["identity_a"] + terms["identity_b"] == close(5 * 0.25)
    assert terms["adversarial_g_a"] + terms["adversarial_g_b"] == close(1.575)
    assert sum(terms.values()) == close(5.825)
    assert terms["adversarial_g_b"] != close(1.575 / 2)  # which would be halved
    judged = {name: term.item() for name, term in model.discriminator_loss(samples).items()}
    assert judged == {"adversarial_d_a": close(0.775), "adversarial_d_b": close(0.3025)}


def test_squared_distances_in_the_place_of_absolute_ones():
    model = CycleGAN(data_shape=(1,), distance="l2", cycle_weight=1.0, **POINTS).double()
    model.to_b, model.to_a = Halved(), Raised()
    model.discriminator_a = model.discriminator_b = Read()
    a, b = (torch.tensor(x, dtype=torch.float64)[:, None] for x in ([0.2, -0.4], [0.6, 0.0]))
    terms = model.generator_loss(model.draw(Domains(a, b)))
    assert terms["cycle_a"].item() == close((0.0**2 + 0.3**2) / 2)
    assert terms["cycle_b"].item() == close((0.25**2 + 0.05**2) / 2)


def test_the_losses_of_pix2pix():
    networks = {"generator": nn.Identity(), "discriminator": Read()}
    model = Pix2Pix(data_shape=(1,), **networks)
    real, fake = (torch.tensor(x, dtype=torch.float64) for x in (REAL, FAKE))
    samples = Translated(real, fake, source=torch.zeros_like(real))
    assert type(model.losses[0]) is NonSaturating
    (judged,) = model.discriminator_loss(samples).values()
    assert judged.item() == close(0.5692827275)  # half of the usual
    terms = model.generator_loss(samples)
    assert terms["adversarial_g"].item() == close(0.9171432273)
    assert terms["l1"].item() == close(100 * l1_loss(real, fake).item())
    near = Translated(fake + 0.03, fake, source=real)
    assert sum(model.generator_loss(near).values()).item() == close(3.9171432273)


# What the players see


def test_the_discriminators_judge_what_the_translators_have_just_made():
    """Six passes of translators in a round: none is made again for the discriminators."""
    model = CycleGAN(data_shape=(2,), history_size=0, **POINTS)
    passes, made, judged = [], [], []
    for name in ("to_a", "to_b"):
        getattr(model, name).register_forward_hook(lambda *given: passes.append(given[2]))
    draw, remember = model.draw, model.remember
    model.draw = lambda batch: made.append(draw(batch)) or made[-1]
    model.remember = lambda batch: judged.append(remember(batch)) or judged[-1]
    fitted(model, unpaired(), max_steps=1)
    del passes[: len(passes) - 6]  # those before are of checks
    assert len(passes) == 6
    assert torch.equal(judged[-1].fake_a, made[-1].fake_a)
    assert torch.equal(judged[-1].fake_b, passes[1])
    assert not judged[-1].fake_a.requires_grad


def test_players_play_in_the_order_of_the_paper_and_rounds_are_counted():
    turns = []
    model = CycleGAN(data_shape=(2,), updates_g=2, n_critic=3, **POINTS)
    usual = model.after_turn
    model.after_turn = lambda player, *rest: turns.append(player.name) or usual(player, *rest)
    trainer = fitted(model, unpaired(), max_steps=2)
    assert trainer.global_step == 2
    assert turns == (["generator"] * 2 + ["discriminator"] * 3) * 2


def test_one_draw_of_the_augmentation_serves_both_sides_of_a_pair():
    seen = []

    class Watching(PatchDiscriminator):
        def forward(self, x):
            seen.append((self.training, x))
            return super().forward(x)

    shift = FlipAndShift(0.25)
    networks = {
        "generator": partial(LocalTranslator, width=2),
        "discriminator": partial(Watching, width=2, strided=1, normalization=None),
    }
    model = Pix2Pix(data_shape=(1, 8, 8), augment=shift, **networks)
    x = torch.rand(6, 1, 8, 8) - 1
    fitted(model, DataLoader([{"source": x, "target": x + 1}], batch_size=None), max_steps=1)
    moved = [pair for training, pair in seen if training]
    source, target = moved[0].split(1, 1)  # of the real pairs
    shown = target != 0
    torch.testing.assert_close(target, source + shown, rtol=0, atol=1e-6)
    assert not torch.equal(source, x)


def test_a_history_fills_and_then_gives_old_samples_for_half_of_the_new():
    torch.manual_seed(0)
    history = History(50, (1,))
    alone = lambda x: x[None]  # noqa: E731
    first = torch.arange(50.0)[:, None]
    assert torch.equal(history(first, alone), first)
    assert torch.equal(history.samples, first)
    old = 0
    for start in range(50, 4050, 100):
        new = torch.arange(start, start + 100.0)[:, None]
        given = history(new, alone)
        taken = given != new
        old += taken.sum().item()
        assert (given[taken] < new[taken]).all()
        assert history.samples.unique().numel() == 50  # each of them once
    assert history.number == 50
    assert abs(old - 2000) < 3 * (4000 * 0.25) ** 0.5


def test_processes_have_one_history_in_the_order_of_their_ranks():
    new = torch.arange(12.0).reshape(2, 6, 1)
    found = []
    for rank in range(2):
        history = History(4, (1,))
        draws = []
        for turn in range(2):
            torch.manual_seed(turn)
            draws.append([torch.randint(4, (6,)), torch.rand(6) < 0.5])
        given = iter([new, *(torch.stack(both) for both in zip(*draws, strict=True))])
        shown = history(new[rank], lambda x, given=given: next(given), rank)
        found.append((shown, history.samples))
    assert torch.equal(found[0][1], found[1][1])
    assert torch.equal(found[0][0][:4], new[0, :4])  # which fill it
    assert all(len(shown) == 6 for shown, _ in found)


def test_a_checkpoint_has_the_history_and_an_export_has_not(tmp_path):
    model = CycleGAN(data_shape=(2,), history_size=7, **POINTS)
    saver = Checkpoint(dirpath=str(tmp_path))
    fitted(model, unpaired(), max_steps=2, enable_checkpointing=True, callbacks=[saver])
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert saved["history.0.number"] == 7
    assert torch.equal(saved["history.1.samples"], model.history[1].samples)
    assert saved["history.1.samples"].abs().sum() > 0
    exported = model.export(*model.averaged)
    assert b"history.0" not in exported
    assert b"to_b" in exported


# Evaluation


def test_pairs_tell_the_truth_and_others_do_not():
    model = CycleGAN(data_shape=(2,), **POINTS)
    a, b, labels = torch.randn(3, 2), torch.randn(3, 2), torch.tensor([0, 1, 2])
    found = model.evaluation_record(Pair(a, b, labels), 0)
    assert torch.equal(found.b.fake, model.translate(a))
    assert torch.equal(found.b.source, a)
    assert torch.equal(found.b.truth, b)
    assert torch.equal(found.b.back, model.translate(model.translate(a), "b_to_a"))
    assert torch.equal(found.a.fake, model.translate(b, "b_to_a"))
    assert torch.equal(found.a.labels, labels)
    other = model.evaluation_record(Domains(a, b), 0)
    assert other.a.truth is other.b.truth is other.a.labels is None
    assert torch.equal(other.a.fake, found.a.fake)


def test_translations_are_made_in_evaluation_mode():
    networks = {"generator": nn.Dropout(0.5), "discriminator": Read()}
    model = Pix2Pix(data_shape=(4,), **networks).train()
    x = torch.ones(50, 4)
    assert torch.equal(model.translate(x), x)
    assert not torch.equal(model(x), x)
    assert model.generator.training
    assert isinstance(model, Translates)
    with pytest.raises(ValueError, match="direction must be a_to_b for a Pix2Pix, got b_to_a"):
        model.translate(x, "b_to_a")


def test_pictures_have_rows_of_sources_translations_the_way_back_and_the_truth():
    shapes = (1, 4, 4), (3, 4, 4)
    model = CycleGAN(data_shapes=shapes, identity_weight=0.0, **{**IMAGES, "discriminator": Whole})
    a, b = (torch.rand(10, *shape) for shape in shapes)
    found = model.pictures(Pair(a, b), 9)
    assert list(found) == ["samples", "samples_a"]
    grid = found["samples"]
    assert (grid.columns, grid.images.shape) == (8, (32, 3, 4, 4))
    assert grid.note == "rows: source, translated, back, truth"
    assert torch.equal(grid.images[:8], a[:8].expand(-1, 3, -1, -1))
    assert torch.equal(grid.images[8:16], model.translate(a[:8]))
    assert torch.equal(grid.images[24:], b[:8])
    unpaired = model.pictures(Domains(a, b), 5)["samples"]
    assert (len(unpaired.images), unpaired.note) == (3 * 5, "rows: source, translated, back")
    points = Translated(a[:, 0, 0, :2], b[:, 0, 0, :2], source=a[:, 0, 1, :2])
    assert isinstance(rows_of(points), Moved)
    assert isinstance(grid, Grid)


class Whole(nn.Module):
    def __init__(self, data_shape):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0))

    def forward(self, x):
        return self.layers(x)


def test_kinds_of_different_channels_are_translated():
    shapes = (1, 16, 16), (3, 16, 16)
    model = CycleGAN(data_shapes=shapes, identity_weight=0.0, **IMAGES)
    batch = {"a": torch.rand(4, *shapes[0]), "b": torch.rand(4, *shapes[1])}
    fitted(model, DataLoader([batch] * 2, batch_size=None), max_steps=2)
    assert model.history[1].samples.shape == (50, 3, 16, 16)
    pairs = {"generator": IMAGES["translator"], "discriminator": IMAGES["discriminator"]}
    model = Pix2Pix(data_shapes=shapes, **pairs)
    batch = {"source": batch["a"], "target": batch["b"]}
    fitted(model, DataLoader([batch] * 2, batch_size=None), max_steps=2)
    assert model.translate(batch["source"]).shape == (4, 3, 16, 16)


# CoGAN


def test_one_latent_makes_a_sample_of_each_kind():
    model = CoGAN(data_shapes=((1, 28, 28), (2, 28, 28)))
    latent = model.sample_latent(3)
    one, other = model.parted(model.sample(latent))
    assert (one.shape, other.shape) == ((3, 1, 28, 28), (3, 2, 28, 28))
    assert torch.equal(model.generate(latent)[:, :1], model.parted(model.generate(latent))[0])
    seen = model.draw(Domains(torch.zeros(5, 1, 28, 28), torch.zeros(5, 2, 28, 28)))
    assert isinstance(seen, DomainSamples)
    views = model.views(seen)
    assert [view.name for view in views] == ["a", "b"]
    assert views[1].fake is seen.fake_b
    model.eval()
    assert torch.equal(views[1].discriminate(seen.fake_b), model.discriminator.b(seen.fake_b))


def test_a_co_gan_is_evaluated_on_pairs_of_its_own():
    networks = {"generator": nn.Linear(100, 4), "discriminator": nn.ModuleDict()}
    networks["discriminator"].update({name: nn.Linear(2, 1) for name in "ab"})
    model = CoGAN(data_shape=(2,), **networks)
    a, b = torch.randn(4, 2), torch.randn(4, 2)
    found, again = (model.evaluation_record(Domains(a, b), 0) for _ in range(2))
    assert torch.equal(found.a.fake, again.a.fake)
    assert torch.equal(found.a.source, found.b.fake)
    assert found.a.truth is None


def test_a_pair_is_pictured_as_its_images_next_to_each_other():
    def pairs_of(*channels):
        networks = {"generator": nn.Linear(100, 1), "discriminator": nn.ModuleDict()}
        return CoGAN(data_shapes=tuple((c, 2, 2) for c in channels), **networks)

    grey, coloured = torch.rand(3, 1, 2, 2), torch.rand(3, 3, 2, 2)
    found = pairs_of(1, 3).pictured(torch.cat([grey, coloured], 1))
    assert torch.equal(found, torch.cat([grey.repeat(1, 3, 1, 1), coloured], 3))
    other = torch.rand(3, 5, 2, 2)
    assert pairs_of(2, 3).pictured(other) is other  # there is no picture of two channels
    points = torch.rand(3, 4)
    assert pairs_of(1, 1).pictured(points) is points


def test_codes_of_a_co_gan_are_not_scored_since_its_pairs_do_not_tell_them():
    networks = {"generator": nn.Linear(6, 4), "discriminator": nn.ModuleDict()}
    networks["discriminator"].update({name: nn.Linear(2, 1) for name in "ab"})
    model = CoGAN(data_shape=(2,), prior=CodePrior(NormalPrior(2), [3], 1), **networks)
    evaluation = Evaluation()
    fitted(
        model,
        unpaired(),
        max_steps=1,
        callbacks=[evaluation],
        limit_val_batches=1.0,
        check_val_every_n_epoch=None,
        val_check_interval=1,
    )
    assert "modes_a" in evaluation.scores
    assert not any(name.startswith("code_") for name in evaluation.scores)


# What is refused


def test_batches_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"CycleGAN reads batches of a and b.*gives pairs"):
        fitted(CycleGAN(data_shape=(2,), **POINTS), MixturePairs(paired=True, **SIZES))
    networks = {"generator": nn.Linear(2, 2), "discriminator": nn.Linear(4, 1)}
    with pytest.raises(ValueError, match=r"Pix2Pix reads batches of pairs.*gives a and b"):
        fitted(Pix2Pix(data_shape=(2,), **networks), MixturePairs(**SIZES))
    networks = {"generator": nn.Linear(100, 4), "discriminator": nn.ModuleDict()}
    networks["discriminator"].update({name: nn.Linear(2, 1) for name in "ab"})
    with pytest.raises(ValueError, match=r"CoGAN reads batches of a and b.*gives samples"):
        fitted(CoGAN(data_shape=(2,), **networks), GaussianRing(**SIZES))


def test_images_are_counted_that_the_discriminators_have_seen():
    model = CycleGAN(data_shape=(2,), updates_g=3, **POINTS)
    seen = []
    usual = model.discriminator_loss
    model.discriminator_loss = lambda samples: (seen.append(len(samples)), usual(samples))[1]
    fitted(model, unpaired(), max_steps=4)
    rounds = seen[1:]  # the first was a rehearsal
    assert model.images_seen == sum(rounds) == 4 * 6


def test_a_shorter_last_batch_is_cut_to_whole_groups():
    judge = partial(MinibatchFeatures, network=MLPDiscriminator, layer=MinibatchStdDev)
    rows = [{"a": row, "b": row} for row in torch.randn(14, 2)]

    def played(batch_size):
        model = CycleGAN(data_shape=(2,), translator=MLPTranslator, discriminator=judge)
        fitted(model, DataLoader(rows, batch_size=batch_size), max_steps=4)
        return model

    assert played(8).images_seen == 2 * (8 + 4)  # of batches of 8 and 6
    with pytest.raises(ValueError, match="7 samples of an update cannot be split into groups of"):
        played(7)


@pytest.mark.parametrize("model", [GAN, partial(CycleGAN, **POINTS)])
@pytest.mark.parametrize("regularizer", [R1(1.0), GradientPenalty(1.0), Consistency(1.0)])
def test_regularizers_that_do_not_move_a_generator_are_refused(model, regularizer):
    with pytest.raises(ValueError, match=r"regularizers_g: \w+ has no gradient by the generated"):
        model(data_shape=(2,), regularizers_g=[regularizer])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GAN(data_shape=(2,), loss=EnergyMargin), "EnergyMargin reads energies, which"),
        (
            lambda: CycleGAN(data_shape=(2,), loss=BoundaryEquilibrium, **POINTS),
            "the discriminator of CycleGAN gives none. Use EBGAN or BEGAN",
        ),
        (
            lambda: BEGAN(data_shape=(1, 16, 16), loss=NonSaturating),
            "discriminator of BEGAN gives energies, .* but NonSaturating wants high outputs",
        ),
    ],
)
def test_losses_of_energies_and_of_logits_are_not_mixed_up(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CycleGAN(**POINTS), "data_shape must be given, or data_shapes"),
        (
            lambda: CycleGAN(data_shape=(2,), translator=nn.Linear(2, 2)),
            "translator: a CycleGAN makes two of them, got a Linear. Use its class, or",
        ),
        (
            lambda: CycleGAN(data_shapes=((2,), (3,)), **POINTS),
            r"identity_weight must be 0 for samples of shapes \(2,\) and \(3,\), got 5.0",
        ),
        (
            lambda: CycleGAN(data_shape=(2,), history_size=-1, **POINTS),
            "history_size must be at least 0, got -1. Use 50",
        ),
        (
            lambda: CycleGAN(data_shape=(2,), distance="l3", **POINTS),
            "distance must be one of l1, l2, got 'l3'",
        ),
        (lambda: CycleGAN(data_shape=(2,), updates_g=0, **POINTS), "updates_g must be at least 1"),
        (
            lambda: CycleGAN(data_shape=(2,), cycle_weight=-1.0, **POINTS),
            "cycle_weight must be finite and at least 0, got -1.0",
        ),
        (
            lambda: Pix2Pix(data_shape=(1, 64, 64), l1_weight=-1.0),
            "l1_weight must be finite and at least 0",
        ),
        (
            lambda: Pix2Pix(data_shapes=((1, 8, 8), (1, 9, 8))),
            r"samples of shape \(1, 8, 8\) cannot be joined to samples of shape \(1, 9, 8\)",
        ),
        (lambda: CoGAN(data_shapes=((1, 28, 28), (1, 36, 28))), "cannot be joined, since they"),
        (lambda: CoGAN(data_shape=(1, 28, 28), n_critic=0), "n_critic must be at least 1"),
        (
            lambda: Pix2Pix(data_shape=(1, 64, 64), discriminator_weight=float("inf")),
            "discriminator_weight must be finite and at least 0, got inf",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_networks_and_data_that_do_not_fit_are_refused_before_training():
    data = MixturePairs(paired=True, **SIZES)
    for networks, message in (
        (
            {"generator": nn.Linear(2, 3)},
            r"generator: it makes samples of shape \(3,\)",
        ),
        ({"generator": nn.Linear(3, 2)}, r"generator: it cannot read samples of shape \(2,\)"),
        ({"discriminator": nn.Linear(3, 1)}, r"discriminator: it cannot read samples of shape"),
    ):
        given = {"generator": nn.Linear(2, 2), "discriminator": nn.Linear(4, 1), **networks}
        with pytest.raises(ValueError, match=message):
            fitted(Pix2Pix(data_shape=(2,), **given), data)
    model = CycleGAN(data_shape=(3,), **POINTS)
    with pytest.raises(ValueError, match=r"samples of a have shape \(2,\), but the model"):
        fitted(model, MixturePairs(**SIZES))
    assert not model.has_trained


def test_saved_models_are_opened_again(tmp_path):
    model = CycleGAN(data_shape=(2,), **POINTS)
    saver = Checkpoint(dirpath=str(tmp_path))
    fitted(model, unpaired(), max_steps=1, enable_checkpointing=True, callbacks=[saver])
    (tmp_path / "both.safetensors").write_bytes(model.export(*model.averaged))
    x = torch.randn(5, 2)
    loaded = load(tmp_path / "last.ckpt", translator=MLPTranslator, discriminator=MLPDiscriminator)
    for direction in ("a_to_b", "b_to_a"):
        assert torch.equal(loaded.translate(x, direction), model.translate(x, direction))


def test_each_discriminator_has_a_loss_of_its_own():
    loss = LeastSquares()
    model = CycleGAN(data_shape=(2,), loss=loss, **POINTS)
    assert model.losses[0] is loss
    assert model.losses[1] is not loss
    assert type(model.losses[1]) is LeastSquares
    usual = CycleGAN(data_shape=(2,), **POINTS)
    assert [part.weight for part in usual.losses] == [1.0, 1.0]
