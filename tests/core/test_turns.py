"""What a player's turn is made of: draws, views, regularizers, states, and what is refused."""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import pytest
import torch
from conftest import SMALL, Rows, fitted, quiet_trainer, small_ring, snapshot
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from datamodules import MixturePairs
from lightning_gans import ACGAN, GAN, WGAN, WGANGP, AdversarialModule, Player, Samples
from lightning_gans.augment import Augmentation, InstanceNoise
from lightning_gans.callbacks import Pictures
from lightning_gans.core.players import Batch, Domains, Pair, PartlyLabelled, read_batch
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import AdversarialLoss, Hinge, NonSaturating, RelativisticPaired
from lightning_gans.networks import MLPDiscriminator
from lightning_gans.regularizers import (
    R1,
    Regularizer,
    View,
    WeightRegularizer,
)

ADAM = partial(torch.optim.Adam, lr=1e-3)


# Draws


class Packs(GAN):
    """Its discriminator reads two samples at a time, which ``draw`` joins."""

    def __init__(self, *, lost=0, factor=Fraction(1, 2), **arguments):
        super().__init__(discriminator=nn.Linear(4, 1), **arguments)
        self.lost, self.factor, self.seen = lost, factor, []

    def configure_players(self):
        return [replace(player, factor=self.factor) for player in super().configure_players()]

    def draw(self, batch):
        samples = super().draw(batch)
        real, fake = (x.reshape(-1, 4)[self.lost :] for x in (samples.real, samples.fake))
        return Samples(real, fake)

    def check_networks(self):
        self._sample_shape = (2,)

    def discriminator_loss(self, samples):
        if self.training:
            self.seen.append(samples.real)
        return super().discriminator_loss(samples)


def test_a_draw_that_returns_packs_makes_every_update():
    rows = torch.arange(64.0).reshape(32, 2) / 64
    model = Packs(data_shape=(2,), prior=NormalPrior(2), n_critic=4)
    trainer = fitted(model, DataLoader(TensorDataset(rows), batch_size=32), max_steps=1)
    assert trainer.global_step == 1
    expected = rows.reshape(4, 4, 4)  # four updates of four packs
    assert torch.equal(torch.stack(model.seen), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lost": 1}, r"discriminator: draw must return a record with 4 rows for 8 rows .* got 3"),
        ({"factor": 1}, r"a record with 8 rows for 8 rows of the batch \(factor 1\), got 4"),
        ({"factor": Fraction(1, 3)}, r"with 8/3 rows for 8 rows of the batch \(factor 1/3\)"),
        ({"factor": 0}, "discriminator: factor must be above 0, got 0"),
    ],
)
def test_a_draw_of_another_number_of_rows_is_refused(arguments, message):
    model = Packs(data_shape=(2,), prior=NormalPrior(2), **arguments)
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        fitted(model, small_ring())
    assert all(map(torch.equal, before, snapshot(model)))


@dataclass(frozen=True)
class Nested(Batch):
    more: dict[str, torch.Tensor] | None = None
    inner: Batch | None = None
    both: tuple[torch.Tensor, ...] = ()


def test_records_of_any_nest_are_split_row_by_row():
    x = torch.arange(6)
    whole = Nested(x, None, {"a": x + 10}, Batch(x + 20, x), (x + 30, x + 40))
    assert len(whole) == 6
    assert len(list(whole.tensors())) == 6
    for part, rows in zip(whole.split(2), x.split(2), strict=True):
        assert torch.equal(part.real, rows)
        assert part.labels is None
        assert torch.equal(part.more["a"], rows + 10)
        assert torch.equal(part.inner.real, rows + 20)
        assert torch.equal(part.inner.labels, rows)
        assert torch.equal(torch.stack(part.both), torch.stack([rows + 30, rows + 40]))


def test_batches_are_read_as_what_they_are():
    x, y = torch.randn(2, 4, 3)
    labels = torch.arange(4)
    assert type(read_batch(x)) is type(read_batch([x])) is Batch
    assert torch.equal(read_batch((x, labels)).labels, labels)
    domains, pair = read_batch({"b": y, "a": x}), read_batch({"source": x, "target": y})
    assert type(domains) is Domains
    assert torch.equal(domains.b, y)
    assert type(pair) is Pair
    assert torch.equal(pair.target, y)
    assert pair.labels is None
    true = read_batch({"source": x, "target": y, "labels": labels})
    assert torch.equal(true.rows(slice(1, 3)).labels, labels[1:3])
    few = read_batch({"labelled": x, "labels": labels, "unlabelled": y})
    assert type(few) is PartlyLabelled
    assert few.further is None
    assert torch.equal(few.unlabelled, y)
    assert torch.equal(read_batch({**vars(few), "further": x + 1}).further, x + 1)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(4, 2), torch.zeros(4, 2)), "the second tensor .* labels are torch.int64"),
        ((torch.zeros(4, 2), torch.zeros(4).int()), "has dtype torch.int32 .* labels are torch"),
        ((torch.zeros(4),) * 3, "a batch must be a tensor of samples, .* got a tuple of 3"),
        ({"a": torch.zeros(4), "c": torch.zeros(4)}, "got a dict with the keys a, c"),
        ({"a": torch.zeros(4)}, "got a dict with the keys a"),
        (
            {"a": torch.zeros(4), "b": torch.zeros(4), "labels": torch.zeros(4)},
            "keys a, b, labels",
        ),
        ({"a": torch.zeros(4), "b": 3}, "got a dict with the keys a, b"),
        ("text", "got a str"),
    ],
)
def test_other_batches_are_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        read_batch(batch)


def test_a_second_source_is_not_taken_for_labels():
    two = TensorDataset(torch.randn(16, 2), torch.randn(16, 2))
    model = GAN(**SMALL)
    with pytest.raises(ValueError, match="use a dict with the keys a and b, or source and target"):
        fitted(model, DataLoader(two, batch_size=8))
    assert not model.has_trained


@pytest.mark.parametrize("draws", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (MixturePairs(), "GAN reads batches of samples, .* this data gives a and b, whose rows"),
        (MixturePairs(paired=True), "this data gives pairs, source and target. Use data such as"),
    ],
)
def test_batches_of_another_kind_are_refused_with_both_names(data, message, draws, tmp_path):
    model = GAN(**SMALL)
    more = {"callbacks": [Pictures(1)], "default_root_dir": str(tmp_path)} if draws else {}
    with pytest.raises(ValueError, match=f"data: .*{message}|data: GAN reads .* gives pairs"):
        quiet_trainer(2, limit_val_batches=1, **more).fit(model, data)
    assert not model.has_trained
    with pytest.raises(ValueError, match=r"data: GAN reads .* gives pairs, source and target"):
        quiet_trainer(2, limit_val_batches=1.0).validate(model, data, verbose=False)


def test_sources_of_unequal_length_are_refused_at_first_and_cut_at_the_end_of_a_loader():
    class Both(AdversarialModule):
        trains_on = (Domains,)

        def __init__(self):
            super().__init__()
            self.network = torch.nn.Linear(2, 1)
            self.seen = []

        def configure_players(self):
            return [Player("generator", [self.network], self.loss, ADAM)]

        def loss(self, x):
            self.seen.append((len(x.a), len(x.b)))
            return {"loss": self.network(x.a - x.b).square().mean()}

        def evaluation_record(self, batch, batch_idx):
            raise NotImplementedError

        floor_record = evaluation_record

    def loaders(size):
        sides = {"a": torch.randn(16, 2), "b": torch.randn(12, 2)}
        sizes = {"a": 8, "b": size}
        made = {key: DataLoader(x, batch_size=sizes[key]) for key, x in sides.items()}
        return CombinedLoader(made, "max_size_cycle")

    model = Both()
    quiet_trainer(2).fit(model, loaders(8))
    assert model.seen == [(8, 8), (8, 8), (4, 4)]  # the first one rehearses
    with pytest.raises(ValueError, match="a batch has 8 rows in one tensor and 6 in another"):
        quiet_trainer(2).fit(Both(), loaders(6))


# Two discriminators


class Two(GAN):
    """A generator between two discriminators, the second of which reads half of each sample."""

    def __init__(self, *, loss=NonSaturating, names=("", "second"), **arguments):
        super().__init__(**SMALL, loss=loss, **arguments)
        self.second = nn.Linear(1, 1)
        self.names = names
        self.losses = [self.loss, self.loss if isinstance(loss, nn.Module) else loss()]
        self.read = []

    def configure_players(self):
        discriminator, generator = super().configure_players()
        networks = [self.discriminator, self.second]
        return [replace(discriminator, networks=networks), generator]

    def look(self, x):
        if self.training:
            self.read.append(x.shape)
        return self.second(x)[:, 0]

    def views(self, samples):
        (first,) = super().views(samples)
        half = (x[:, :1] for x in (samples.real, samples.fake))
        return [replace(first, name=self.names[0]), View(self.look, *half, name=self.names[1])]

    def discriminator_loss(self, samples):
        terms = {}
        for view, loss in zip(self.views(samples), self.losses, strict=True):
            real, fake = view.discriminate(view.real), view.discriminate(view.fake)
            term = self.adversarial_d(loss, real, fake, view.name)
            terms[f"adversarial_d{view.name}"] = term
        return terms

    def generator_loss(self, samples):
        terms = {}
        for view, loss in zip(self.views(samples), self.losses, strict=True):
            term = self.adversarial_g(loss, view.discriminate(view.fake), None, view.name)
            terms[f"adversarial_g{view.name}"] = term
        return terms


def test_regularizers_see_every_discriminator_with_its_own_samples():
    seen = []

    class Noted(R1):
        def penalize(self, view):
            seen.append((view.name, view.real.shape[1], view.discriminate(view.real)))
            return super().penalize(view)

    model = Two(regularizers=[Noted(2.0)])
    rows = Rows()
    fitted(model, max_steps=1, logger=rows, log_every_n_steps=1)
    assert [(name, size) for name, size, _ in seen[2:]] == [("", 2), ("second", 1)]
    assert model.read.count((8, 1)) == 5  # real, fake, two of the penalty's, the generator's
    # At the start the slopes of a linear discriminator are its weights.
    fresh = Two(regularizers=[R1(2.0)])
    view = fresh.views(Samples(torch.randn(8, 2), torch.randn(8, 2)))[1]
    expected = fresh.second.weight.item() ** 2
    assert R1(2.0)(view).item() == pytest.approx(expected, rel=1e-6)


def test_logits_are_logged_by_discriminator_and_not_by_the_generators_turn():
    model = Two()
    noted = []
    usual = model.adversarial_d

    def look(loss, real, fake, name=""):
        if model.training:
            noted.append((real.mean().item(), fake.mean().item()))
        return usual(loss, real, fake, name)

    model.adversarial_d = look
    fitted(model, max_steps=1, log_every_n_steps=1)
    row = model.last_logged
    found = [row[f"train/d_{side}{end}"] for end in ("", "_second") for side in ("real", "fake")]
    assert found == pytest.approx([value for pair in noted for value in pair], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("", "")}, "name: '' is used twice in one update. Use another name"),
    ],
)
def test_two_discriminators_of_one_name_are_refused(change, message):
    model = Two(**change)
    with pytest.raises(ValueError, match=message):
        fitted(model)
    assert not model.has_trained


# States


class Counting(NonSaturating):
    """Counts its updates, and averages the outputs."""

    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.zeros(()))
        self.calls = []

    def after_turn(self, player, real, fake, mean):
        self.calls.append((player, None if real is None else real.shape, fake.requires_grad))
        self.average += mean(fake.mean())


def test_a_loss_with_a_state_follows_each_update_and_is_saved(tmp_path):
    loss = Counting()
    model = GAN(**SMALL, loss=loss, n_critic=2)
    trainer = fitted(model, max_steps=2)
    turns = [("discriminator", (8,), False)] * 2 + [("generator", None, False)]
    assert loss.calls == 2 * turns
    assert loss.average != 0
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(saved["loss.average"], loss.average)


def test_two_discriminators_do_not_share_a_loss_with_a_state():
    with pytest.raises(ValueError, match=r"the discriminators '' and 'second' share a Counting"):
        fitted(Two(loss=Counting()))
    fitted(Two(loss=Counting), max_steps=1)


class Gap(Regularizer):
    """Reads the outputs of the loss's own pass, and remembers what it read."""

    name = "gap"
    reads_gradient = False

    def __init__(self):
        super().__init__(0.5)
        self.register_buffer("last", torch.zeros(2))

    def penalize(self, view):
        return (view.real_logits.mean() - view.fake_logits.mean()).square()

    def after_turn(self, views, mean):
        (view,) = views
        assert not view.real_logits.requires_grad
        self.last.copy_(mean(torch.stack([view.real_logits.mean(), view.fake_logits.mean()])))


def test_a_regularizer_reads_the_outputs_of_the_loss_at_no_cost():
    calls = []
    model = GAN(**SMALL, regularizers=[Gap()])
    model.discriminator.register_forward_hook(
        lambda module, inputs, _: calls.append(len(inputs[0])) if model.training else None
    )
    fitted(model, max_steps=1, log_every_n_steps=1)
    assert calls == [8, 8, 8]  # real, fake and the generator's: a hook keeps passes apart
    row = model.last_logged
    gap = (row["train/d_real"] - row["train/d_fake"]) ** 2
    assert row["train/gap"] == pytest.approx(0.5 * gap, rel=1e-5)
    found = model.regularizers[0].last.tolist()
    assert found == pytest.approx([row["train/d_real"], row["train/d_fake"]], rel=1e-6)


class Length(Regularizer):
    """The mean length of the latents: what a generator's regularizer can see."""

    name = "length"
    reads_gradient = False

    def penalize(self, view):
        assert view.fake.requires_grad == torch.is_grad_enabled()  # in its generator's turn
        return view.samples.latent.norm(dim=1).mean() + 0 * view.fake.sum()


class Squares(WeightRegularizer):
    """The sum of the squared weights of the player's networks."""

    name = "squares"

    def penalize(self, networks):
        return sum(p.square().sum() for network in networks for p in network.parameters())


def test_a_generator_has_regularizers_of_samples_and_of_weights():
    model = GAN(**SMALL, regularizers=[Squares(0.1)], regularizers_g=[Length(2.0), Squares(0.3)])
    networks = model.discriminator, model.generator
    before = [sum(p.square().sum().item() for p in n.parameters()) for n in networks]
    latents = []
    usual = model.sample_latent
    model.sample_latent = lambda n: latents.append(usual(n)) or latents[-1]
    fitted(model, max_steps=1, log_every_n_steps=1)
    row = model.last_logged
    assert row["train/squares"] == pytest.approx(0.1 * before[0], rel=1e-5)
    assert row["train/squares_g"] == pytest.approx(0.3 * before[1], rel=1e-5)
    expected = 2 * latents[-1].norm(dim=1).mean().item()
    assert row["train/length_g"] == pytest.approx(expected, rel=1e-5)
    total = sum(row[f"train/{name}_g"] for name in ("adversarial", "length", "squares"))
    assert row["train/loss_g"] == pytest.approx(total, rel=1e-6)


# Lazy terms and rows


@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_lazy_regularizer_is_computed_in_each_kth_update_and_counts_k_times(n_critic):
    computed = []

    class Noted(R1):
        def penalize(self, view):
            if model.training:
                computed.append((model.trainer.global_step, view.real))
            return super().penalize(view)

    model = WGAN(**SMALL, regularizers=[Noted(1.0, every=4)], n_critic=n_critic)
    fitted(model, max_steps=9)
    updates = range(0, 9 * n_critic, 4)
    assert [step for step, _ in computed] == [update // n_critic for update in updates]


def test_a_row_holds_means_over_all_updates_since_the_last_and_repeats_lazy_terms():
    values = {}

    class Noted(GAN):
        def after_turn(self, player, seen, terms):
            values.setdefault(self._round.update, []).append(
                {name: term.item() for name, term in terms.items()}
            )

    rows = Rows()
    model = Noted(**SMALL, regularizers=[R1(3.0, every=10)], n_critic=2)
    fitted(model, max_steps=8, logger=rows, log_every_n_steps=2)
    last = {}
    for step, row in rows.rows:
        updates = [terms for number in (step - 1, step) for terms in values[number]]
        for name in ("adversarial_d", "r1", "adversarial_g"):
            found = [terms[name] for terms in updates if name in terms]
            if found:
                last[name] = sum(found) / len(found)
            assert row[f"train/{name}"] == pytest.approx(last[name], rel=1e-6)
    # Computed in the updates 1 and 11 of the discriminator, in the rounds 1 and 6.
    penalties = [row["train/r1"] for _, row in rows.rows]
    assert penalties[0] == penalties[1] != penalties[2] == penalties[3]
    assert 0 not in penalties


# Augmentation


class Shift(Augmentation):
    """Moves samples away, and notes what it is given."""

    def __init__(self):
        super().__init__()
        self.register_buffer("strength", torch.ones(()))
        self.sizes, self.views = [], []

    def forward(self, x):
        self.sizes.append(len(x))
        return x + 100 * self.strength

    def after_turn(self, views, mean):
        self.views.append(views)
        self.strength += 1


def test_both_players_read_real_and_fake_samples_augmented_and_nobody_else_does():
    augment = Shift()
    read = []
    model = WGANGP(**SMALL, augment=augment, n_critic=2)
    model.discriminator.register_forward_hook(
        lambda module, inputs, _: read.append(inputs[0].detach().min().item() > 50)
    )
    ring = small_ring(num_eval_samples=16)
    trainer = quiet_trainer(1, limit_val_batches=1.0, num_sanity_val_steps=1)
    trainer.fit(model, ring)
    # Real, fake and the penalty's points of two updates, then the generator's.
    assert augment.sizes[-7:] == [8] * 7
    assert read[-7:] == [True] * 7
    # Networks and losses are tried without: by their shapes, and once in each turn.
    assert read[:-7] == [False] * 5
    assert augment.sizes[:-7] == [2]
    assert model.discriminate(torch.zeros(1, 2)) == model.discriminator(torch.zeros(1, 2))


def test_an_augmentation_that_adapts_sees_the_outputs_and_is_saved(tmp_path):
    augment = Shift()
    model = GAN(**SMALL, augment=augment, n_critic=2)
    trainer = fitted(model, max_steps=3)
    assert augment.strength == 1 + 3 * 2  # updates of the discriminator
    (view,) = augment.views[0]
    assert view.real_logits.shape == (8,)
    assert not view.real_logits.requires_grad
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"]
    assert saved["augment.strength"] == 7


def test_noise_is_added_with_its_standard_deviation():
    x = torch.zeros(20_000, 2)
    noisy = InstanceNoise(0.3)(x)
    assert_close(noisy.std(0), torch.full((2,), 0.3), rtol=0.03, atol=0)
    assert_close(noisy.mean(0), torch.zeros(2), rtol=0, atol=0.01)
    assert torch.equal(InstanceNoise(0.0)(x), x)
    with pytest.raises(ValueError, match="sd must be finite and at least 0, got -1"):
        InstanceNoise(-1)


def test_an_augmentation_that_changes_the_shape_is_refused():
    model = GAN(**SMALL, augment=nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"augment: it makes samples of shape \(2, 3\) from"):
        fitted(model)
    assert not model.has_trained


# Outputs


class Embedding(AdversarialLoss):
    """Compares mean embeddings."""

    num_outputs = 5

    def discriminator(self, real, fake):
        assert real.shape == fake.shape == (8, 5)
        return -(real.mean(0) - fake.mean(0)).square().sum()

    def generator(self, fake, real=None):
        assert fake.shape == (8, 5)
        return fake.mean(0).square().sum()


def test_a_loss_may_read_several_outputs_of_each_sample():
    model = GAN(**SMALL, loss=Embedding)
    fitted(model, max_steps=2)
    assert model.discriminator(torch.zeros(3, 2)).shape == (3, 5)


class Patches(nn.Module):
    """One logit for each of 3 x 2 patches."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 6)

    def forward(self, x):
        return self.layer(x).reshape(-1, 1, 3, 2)


@pytest.mark.parametrize("loss", [Hinge, RelativisticPaired])
def test_patches_are_averaged_like_samples(loss):
    model = GAN(**{**SMALL, "discriminator": Patches()}, loss=loss, regularizers=[R1(1.0)])
    samples = Samples(torch.randn(8, 2), torch.randn(8, 2))
    real, fake = (model.discriminator(x) for x in (samples.real, samples.fake))
    expected = model.loss.discriminator(real.flatten(), fake.flatten())
    assert_close(model.discriminator_loss(samples)["adversarial_d"], expected)
    fitted(model, max_steps=2)


def test_outputs_of_different_shapes_are_refused():
    model = GAN(**SMALL)
    with pytest.raises(ValueError, match=r"have shape \(4,\) for real samples, but \(4, 1\) for"):
        model.adversarial_d(model.loss, torch.zeros(4), torch.zeros(4, 1))
    with pytest.raises(ValueError, match="RelativisticPaired compares generated samples with"):
        model.adversarial_g(RelativisticPaired(), torch.zeros(4))


def test_the_generator_is_compared_with_real_logits_that_have_no_graph():
    model = GAN(**SMALL, loss=RelativisticPaired)
    seen = []
    usual = model.loss.generator
    model.loss.generator = lambda fake, real: (
        seen.append((fake.requires_grad, real.requires_grad)) or usual(fake, real)
    )
    fitted(model, max_steps=1)
    assert seen[-1] == (True, False)


class Typo(ACGAN):
    def auxiliary_g(self, fake, samples):
        return {"class_g": fake["classes"].sum()}


def test_an_unknown_head_is_refused_before_the_first_update():
    model = Typo(data_shape=(2,), num_classes=3)
    with pytest.raises(ValueError, match="there is no head 'classes', only logit, class"):
        fitted(model, small_ring(num_modes=3, labels=True))
    assert not model.has_trained


def test_heads_are_split_in_their_order():
    class Heads(GAN):
        def heads(self):
            return {"one": 1, "three": 3}

    model = Heads(data_shape=(2,), discriminator=partial(MLPDiscriminator, hidden=[4]))
    x = torch.randn(7, 2)
    outputs, whole = model.outputs(x), model.discriminator(x)
    assert list(outputs) == ["logit", "one", "three"]
    assert torch.equal(outputs["logit"], whole[:, 0])
    assert torch.equal(outputs["one"], whole[:, 1:2])
    assert torch.equal(outputs["three"], whole[:, 2:])


# Players


def game(*, second="generator", terms=None, note="noted", **changes):
    class Changed(GAN):
        def configure_players(self):
            discriminator, generator = super().configure_players()
            return [discriminator, replace(generator, name=second, **changes)]

        def discriminator_loss(self, samples):
            self.note(noted=samples.real)
            return super().discriminator_loss(samples)

        def generator_loss(self, samples):
            self.note(**{note: samples.fake})
            return super().generator_loss(samples) if terms is None else terms(samples)

    return Changed(**SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"second": "discriminator"}, "2 players are called 'discriminator'"),
        ({"networks": []}, "generator: the player must have at least one network"),
        ({"updates": 0}, "generator: updates must be at least 1, got 0"),
        ({"note": "noted"}, "hold two values under the name 'noted', the other one of the discr"),
        (
            {"note": "x", "terms": lambda s: {"adversarial_d": s.fake.sum()}},
            "two values under the name 'adversarial_d'",
        ),
        ({"note": "x", "terms": lambda s: {"a": s.fake}}, r"but 'a' is shape \(8, 2\)"),
        ({"note": "x", "terms": lambda s: {"a": 3.0}}, "must be a scalar tensor, but 'a' is 3.0"),
        ({"note": "x", "terms": lambda s: {}}, "generator: its loss has no terms"),
        ({"note": "x", "terms": lambda s: s.fake.sum()}, "loss must return a dict of named terms"),
        ({"note": "x", "views": None, "regularizers": [Gap()]}, "gap needs views of a discrim"),
        ({"regularizers": [R1(), R1()]}, r"each regularizer may be used once, got \['r1', 'r1'\]"),
    ],
)
def test_players_that_cannot_play_are_refused_before_the_first_update(changes, message):
    model = game(**changes)
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        fitted(model)
    assert all(map(torch.equal, before, snapshot(model)))
    assert not model.has_trained


def test_a_game_without_players_is_refused():
    class Nobody(GAN):
        def configure_players(self):
            return []

    with pytest.raises(ValueError, match="configure_players: there must be at least one player"):
        fitted(Nobody(**SMALL))


def test_players_are_made_once_a_fit():
    calls = []

    class Counted(GAN):
        def configure_players(self):
            calls.append(self.trainer)
            return super().configure_players()

    model = Counted(**SMALL)
    fitted(model, max_steps=3)
    assert len(calls) == 1
    fitted(model, max_steps=3)
    assert len(calls) == 2
    assert model.players == []


def test_a_loss_that_is_none_is_refused():
    with pytest.raises(ValueError, match="loss must be an AdversarialLoss or make one, got"):
        GAN(**SMALL, loss=nn.MSELoss)
    with pytest.raises(ValueError, match="penalty must be a Regularizer or make one, got 3"):
        WGANGP(**SMALL, penalty=3)


@pytest.mark.parametrize("order", [1, -1])
def test_players_take_their_turns_in_the_order_that_is_given(order):
    turns = []

    class Ordered(GAN):
        def configure_players(self):
            return super().configure_players()[::order]

        def after_turn(self, player, seen, terms):
            turns.append(player.name)

    trainer = fitted(Ordered(**SMALL, n_critic=2), max_steps=2)
    expected = ["discriminator", "discriminator", "generator"][::order]
    assert turns == 2 * expected
    assert trainer.global_step == 2


def test_an_update_makes_one_power_iteration():
    """Real, fake and the penalty's points are read with the same weights."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))
    model = WGANGP(**{**SMALL, "discriminator": nn.Sequential(layer)}, n_critic=3)
    norm = layer.parametrizations.weight[0]
    calls = []
    usual = norm._power_method
    norm._power_method = lambda *arguments: calls.append(model.training) or usual(*arguments)
    fitted(model, max_steps=2)
    # One in each update, of the generator's turn too, where the discriminator is read as well.
    assert len(calls) == 2 * 4


def test_arguments_are_saved_as_they_were_given():
    """A constructor that replaces None leaves nothing that a checkpoint would have to ask for."""

    class Default(GAN):
        def __init__(self, *, prior=None, **arguments):
            prior = prior or NormalPrior(3)
            super().__init__(prior=prior, **arguments)

    model = Default(data_shape=(2,))
    assert model.prior.dim == 3
    assert model.hparams["prior"] is None
    assert model._objects == []
