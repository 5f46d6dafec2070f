"""Regularizers that differentiate nothing: of outputs and of weights."""

from functools import partial

import pytest
import torch
from conftest import MadeImages, Rows, fitted, small_ring
from torch import nn
from torch.testing import assert_close

from lightning_gans import DCGAN, GAN
from lightning_gans.augment import InstanceNoise
from lightning_gans.core.players import Batch
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import MMD, Cramer, NonSaturating
from lightning_gans.networks import (
    DCGANCritic,
    GlobalPoolDiscriminator,
    GradientNormalization,
    MaxPoolDiscriminator,
    MLPDiscriminator,
    SpectralNorm,
    outputs_with_features,
)
from lightning_gans.networks.equalized import EqualizedLinear
from lightning_gans.regularizers import (
    BalancedConsistency,
    Consistency,
    FeatureMatching,
    LeCam,
    Orthogonal,
    View,
    lecam_penalty,
    orthogonal_penalty,
)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


REAL, FAKE = doubles(1.0, -3.0, 2.0), doubles(0.5, -1.5, 0.25)


def view(real=REAL, fake=FAKE, **more):
    return View(lambda x: x, real, fake, real_logits=real, fake_logits=fake, **more)


# LeCam


def test_lecam_has_the_value_of_its_paper_and_not_that_of_its_code():
    value = lecam_penalty(REAL, FAKE, 0.5, -0.5).item()
    assert value == pytest.approx(6.2708333333, rel=0, abs=1e-9)
    closed = (1.5**2 + 2.5**2 + 2.5**2) / 3 + (0 + 2.0**2 + 0.25**2) / 3
    assert value == pytest.approx(closed, rel=0, abs=1e-12)
    code = (REAL + 0.5).relu().square().mean() + (0.5 - FAKE).relu().square().mean()
    assert code.item() == pytest.approx(4.1875, abs=1e-12)


def test_its_gradient_pulls_each_output_to_the_other_average():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    lecam_penalty(real, fake, 0.5, -0.5).backward()
    assert_close(real.grad, 2 * (REAL + 0.5) / 3)
    assert_close(fake.grad, 2 * (FAKE - 0.5) / 3)


def test_its_averages_move_as_published():
    penalty = LeCam(decay=0.99).double()
    penalty.averages.copy_(doubles(0.5, -0.5))
    penalty.updates.fill_(1000)
    penalty.after_turn([view(doubles(1.0, -0.5, 2.0))], lambda value: value)
    assert_close(penalty.averages, doubles(0.5033333333, -0.4975), rtol=0, atol=1e-9)
    assert_close(penalty.averages[0], doubles(0.99 * 0.5 + 0.01 * 2.5 / 3)[0])


def test_its_first_averages_are_plain_means_over_all_processes():
    penalty = LeCam(decay=0.6).double()
    for outputs in (doubles(1.0), doubles(3.0), doubles(8.0)):
        penalty.after_turn([view(outputs, outputs)], lambda value: value + 1)
    # (2 + 4) / 2 = 3, and then 0.6 of it, since 2 / 3 is more than the decay
    assert_close(penalty.averages, doubles(*[0.6 * 3 + 0.4 * 9] * 2))
    assert penalty.updates == 3


def test_it_counts_from_its_start():
    penalty = LeCam(weight=2.0, start=2).double()
    for expected in (0.0, 0.0, None):
        value = penalty(view()).item()
        if expected is not None:
            assert value == expected
            penalty.after_turn([view()], lambda value: value)
    assert value == pytest.approx(
        2 * lecam_penalty(REAL, FAKE, REAL.mean(), FAKE.mean()).item(), abs=1e-12
    )


def test_it_reads_the_outputs_of_the_loss_and_makes_no_pass_of_its_own():
    passes = []
    critic = nn.Linear(2, 1)
    critic.register_forward_hook(lambda *_: passes.append(1))
    plain = GAN(data_shape=(2,), discriminator=critic)
    fitted(plain, max_steps=3)
    before = len(passes)
    passes.clear()
    penalized = GAN(data_shape=(2,), discriminator=critic, regularizers=[LeCam(start=1)])
    fitted(penalized, max_steps=3)
    assert len(passes) == before
    assert penalized.regularizers[0].updates == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 1.0}, "LeCam: decay must be at least 0 and below 1, got 1.0. Use 0.99"),
        ({"decay": -0.1}, "LeCam: decay must be at least 0 and below 1, got -0.1. Use"),
        ({"decay": float("nan")}, "LeCam: decay must be at least 0 and below 1, got nan"),
        ({"start": 0}, "LeCam: start must be at least 1, got 0. Use 1"),
    ],
)
def test_lecam_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeCam(**arguments)


def test_lecam_refuses_a_game_of_several_discriminators():
    with pytest.raises(ValueError, match="LeCam follows one discriminator, but this game has se"):
        LeCam()(view(name="a"))


# Orthogonal


MATRIX = doubles([1.0, 2.0], [0.0, 1.0])


def test_rows_that_are_not_orthogonal_cost_their_products():
    weight = MATRIX.clone().requires_grad_()
    value = orthogonal_penalty(weight)
    value.backward()
    assert value.item() == 8
    # Its authors' code adds half of this; columns in place of rows would give another gradient.
    assert torch.equal(weight.grad, doubles([0.0, 8.0], [8.0, 16.0]))
    full = (MATRIX @ MATRIX.T - torch.eye(2)).square().sum()
    assert full == 24
    assert orthogonal_penalty(3 * torch.eye(3)) == 0


def test_filters_are_what_makes_an_output_in_each_kind_of_layer():
    linear = nn.Linear(2, 2)
    convolution = nn.Conv2d(2, 3, 2)
    transposed = nn.ConvTranspose2d(2, 3, 2)
    network = nn.Sequential(linear, convolution, transposed, nn.Embedding(4, 2), nn.LayerNorm(3))
    expected = 0.0
    for filters in (linear.weight, [*convolution.weight], [*transposed.weight.transpose(0, 1)]):
        flat = [part.flatten() for part in filters]
        expected += sum(
            (one @ other).item() ** 2 for one in flat for other in flat if one is not other
        )
    value = Orthogonal(weight=0.5)([network]).item()
    assert value == pytest.approx(0.5 * expected, rel=1e-5)


def test_filters_of_different_groups_read_different_channels():
    """One group after the other, they are those of separate layers."""
    apart = nn.Conv2d(2, 2, 1, groups=2, bias=False)
    nn.init.ones_(apart.weight)
    assert Orthogonal(weight=1.0)([apart]).item() == 0
    grouped, transposed = nn.Conv2d(4, 6, 2, groups=2), nn.ConvTranspose2d(4, 6, 2, groups=2)
    for layer, kind in ((grouped, nn.Conv2d), (transposed, nn.ConvTranspose2d)):
        parts = [kind(2, 3, 2) for _ in range(2)]
        for part, weight in zip(parts, layer.weight.chunk(2), strict=True):
            part.weight = nn.Parameter(weight.clone())
        together = Orthogonal(weight=1.0)([nn.Sequential(*parts)])
        assert Orthogonal(weight=1.0)([layer]).item() == pytest.approx(together.item(), rel=1e-5)


def test_layers_with_spectral_norm_are_read_before_it():
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2).double())
    layer.parametrizations.weight.original = nn.Parameter(10 * MATRIX)
    vector = layer.parametrizations.weight[0]._u.clone()
    assert Orthogonal(weight=0.5)([layer]).item() == 0.5 * 80_000  # not that of the norm 1
    assert torch.equal(layer.parametrizations.weight[0]._u, vector)


def test_a_layer_that_two_networks_share_counts_once():
    shared, one, other = (nn.Linear(3, 3) for _ in range(3))
    networks = [nn.Sequential(part, shared) for part in (one, other)]
    expected = sum(orthogonal_penalty(layer.weight).item() for layer in (shared, one, other))
    assert Orthogonal(weight=1.0)(networks).item() == pytest.approx(expected, rel=1e-6)


def test_the_generator_takes_it_too_and_its_term_has_a_name_of_its_own():
    model = GAN(data_shape=(2,), regularizers_g=[Orthogonal(0.1)])
    fitted(model, max_steps=1, log_every_n_steps=1)
    assert model.last_logged["train/orthogonal_g"] > 0


def test_layers_that_it_cannot_read_are_named():
    network = nn.Sequential(nn.Linear(2, 2), EqualizedLinear(2, 2))
    with pytest.raises(ValueError, match="Orthogonal cannot read the weights of EqualizedLinear"):
        Orthogonal()([network])


def test_networks_without_layers_are_refused_before_training():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * x[:, 0]

    model = GAN(
        generator=nn.Linear(2, 2),
        discriminator=Scaled(),
        prior=NormalPrior(2),
        regularizers=[Orthogonal()],
    )
    with pytest.raises(ValueError, match="Orthogonal found no linear or convolutional layer in S"):
        fitted(model, small_ring(), max_steps=1)
    assert not model.has_trained


# Consistency


class Fixed(nn.Module):
    """Maps the samples that outputs are looked up by to others."""

    def forward(self, x):
        return x + 100


def looked_up(x):
    """Outputs (1, 2) of real samples, (1.5, 2) of augmented ones; (0, -1) and (0.5, -1.5)."""
    table = {1: 1.0, 2: 2.0, 101: 1.5, 102: 2.0, 3: 0.0, 4: -1.0, 103: 0.5, 104: -1.5}
    return doubles(*(table[int(value)] for value in x))


def test_consistency_has_its_published_values():
    seen = View(looked_up, doubles(1.0, 2.0), doubles(3.0, 4.0))
    assert Consistency(10.0, Fixed())(seen).item() == pytest.approx(1.25, abs=1e-12)
    assert BalancedConsistency(10.0, Fixed())(seen).item() == pytest.approx(3.75, abs=1e-12)
    same = BalancedConsistency(10.0, nn.Identity())(seen)
    assert same.item() == 0


def test_the_gradient_runs_through_both_outputs():
    weight = doubles(2.0).requires_grad_()
    seen = View(lambda x: x * weight, doubles(1.0, 2.0), doubles(3.0, 4.0))
    Consistency(1.0, Fixed())(seen).backward()
    assert weight.grad.item() == 2 * 2.0 * 100**2  # of (100 w)^2


def test_consistency_reads_the_outputs_of_the_loss():
    passes = []

    def critic(x):
        passes.append(len(x))
        return x

    BalancedConsistency(1.0, Fixed())(View(critic, REAL, FAKE, real_logits=REAL, fake_logits=FAKE))
    assert passes == [3, 3]


@pytest.mark.parametrize("loss", [NonSaturating, partial(MMD, num_outputs=16), Cramer])
@pytest.mark.parametrize("kind", [Consistency, BalancedConsistency])
def test_samples_that_stay_as_they_are_cost_nothing_with_any_loss(kind, loss):
    model = GAN(data_shape=(2,), loss=loss, regularizers=[kind(1.0, nn.Identity())])
    player, _ = model.configure_players()
    samples = model.draw(Batch(torch.randn(16, 2)))
    terms, *_ = model.evaluate_terms(player, samples, (True,))
    assert_close(terms[kind.name], torch.zeros(()), atol=1e-12, rtol=0)


@pytest.mark.parametrize("loss", [partial(MMD, num_outputs=4), partial(Cramer, num_outputs=4)])
def test_lecam_follows_one_value_of_each_sample_with_any_loss(loss):
    lecam, rows = LeCam(0.0, decay=0.0), Rows()
    model = GAN(data_shape=(2,), loss=loss, regularizers=[lecam])
    fitted(model, small_ring(), max_steps=1, log_every_n_steps=1, logger=rows)
    ((_, row),) = rows.rows
    assert_close(lecam.averages.tolist(), [row["train/d_real"], row["train/d_fake"]])


def test_consistency_of_points_needs_an_augmentation_that_reads_them():
    model = GAN(data_shape=(2,), regularizers=[Consistency()])
    with pytest.raises(ValueError, match=r"FlipAndShift is for images, but .* shape \(2,\)"):
        fitted(model, small_ring(), max_steps=1)
    assert not model.has_trained
    fitted(GAN(data_shape=(2,), regularizers=[Consistency(augment=InstanceNoise())]), max_steps=1)


# Feature matching


def test_feature_matching_has_its_published_value():
    """Of the features ((0, 1), (2, 0)) and ((1, 1), (2, 2)); 0.75 with absolute differences."""
    real, fake = doubles([0.0, 1.0], [2.0, 0.0]), doubles([1.0, 1.0], [2.0, 2.0])
    fake.requires_grad_()
    seen = View(looked_up, real, fake, outputs=lambda x: {"features": x})
    value = FeatureMatching(weight=1.0)(seen)
    value.backward()
    assert value.item() == pytest.approx(1.25, abs=1e-12)
    assert_close(fake.grad, doubles([0.5, 1.0], [0.5, 1.0]))


def test_features_are_what_the_last_layer_reads_in_each_network():
    torch.manual_seed(0)
    for network, shape in (
        (nn.Sequential(nn.Linear(2, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 1))), (2,)),
        (MLPDiscriminator((2,), [8, 8]), (2,)),
        (MLPDiscriminator((1, 4, 4), [8]), (1, 4, 4)),
        (DCGANCritic((1, 16, 16), width=4), (1, 16, 16)),
        (MaxPoolDiscriminator((1, 16, 16)), (1, 16, 16)),
        (GlobalPoolDiscriminator((1, 16, 16)), (1, 16, 16)),
        (SpectralNorm(network=MLPDiscriminator((2,), [8])), (2,)),
        (GradientNormalization(network=MLPDiscriminator((2,), [8])), (2,)),
    ):
        network.eval()
        read = []
        *_, last = (part for part in network.modules() if isinstance(part, nn.Linear))
        last.register_forward_pre_hook(lambda _, given, read=read: read.append(given[0]))
        x = torch.randn(3, *shape)
        outputs, features = outputs_with_features(network, x)
        assert torch.equal(features, read[0])
        assert torch.equal(outputs, network(x))


def test_features_of_patches_and_of_classes():
    patches = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, 1, 2))
    outputs, features = outputs_with_features(patches, torch.randn(5, 1, 4, 4))
    assert outputs.shape == (5, 1, 2, 2)
    assert features.shape == (5, 3 * 3 * 3)
    told = MLPDiscriminator((2,), [8], num_classes=3)
    x, labels = torch.randn(4, 2), torch.tensor([0, 1, 2, 0])
    outputs, features = outputs_with_features(told, x, labels)
    assert torch.equal(outputs, told(x, labels))
    assert features.shape == (4, 8)


class Opaque(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.first(x).relu())


class Open(Opaque):
    def with_features(self, x):
        features = self.first(x).relu()
        return self.last(features), features


def test_a_network_of_the_users_own_may_say_what_its_features_are():
    def model(network):
        return GAN(data_shape=(2,), discriminator=network, regularizers_g=[FeatureMatching()])

    fitted(model(Open()), max_steps=1)
    for network, message in (
        (Opaque(), "Opaque has no features, which a regularizer reads. Use a torch.nn.Sequential"),
        (nn.Linear(2, 1), "Linear has no features"),
        (nn.Sequential(nn.Linear(2, 1)), "has 1 layers with weights. Use at least 2"),
    ):
        refused = model(network)
        with pytest.raises(ValueError, match=message):
            fitted(refused, max_steps=1)
        assert not refused.has_trained


def test_a_discriminator_is_not_taught_to_match_features():
    with pytest.raises(
        ValueError, match=r"^regularizers: FeatureMatching is a term of generators.*regularizers_g"
    ):
        GAN(data_shape=(2,), regularizers=[FeatureMatching()])


def test_a_game_without_features_is_refused():
    with pytest.raises(ValueError, match="FeatureMatching reads features, which this game does n"):
        FeatureMatching()(view())


# What they have in common


@pytest.mark.parametrize(
    "make", [lambda: LeCam(start=1), Orthogonal, Consistency, BalancedConsistency]
)
def test_a_discriminator_with_batch_statistics_is_allowed(make):
    matching = [FeatureMatching()]
    model = DCGAN(data_shape=(1, 16, 16), regularizers=[make()], regularizers_g=matching)
    fitted(model, MadeImages(), max_steps=2)
    assert model.has_trained
