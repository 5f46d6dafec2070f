"""The best discriminator for what a generator makes."""

from functools import partial

import pytest
import torch
from conftest import SMALL, small_ring
from torch import nn
from torch.testing import assert_close

from datamodules import GaussianRing, SwissRoll
from lightning_gans import CGAN, GAN, LSGAN, VAEGAN, WGAN, MinimaxGAN
from lightning_gans.augment import InstanceNoise
from lightning_gans.core.optimum import beside_the_optimum
from lightning_gans.core.players import Batch
from lightning_gans.core.priors import NormalPrior
from lightning_gans.losses import NonSaturating
from lightning_gans.metrics import (
    held_out_bandwidth,
    kantorovich_potential,
    kernel_log_density,
    wasserstein_distance,
)
from lightning_gans.networks import MLPDiscriminator, MLPEncoder, MLPGenerator


def test_a_kernel_estimate_is_the_density_of_the_mixture():
    ring = GaussianRing(num_modes=5, sd=0.3)
    x = torch.randn(2500, 2)
    assert_close(kernel_log_density(x, ring.modes, ring.sd), ring.log_density(x))


def test_the_bandwidth_is_that_of_a_mode_and_not_of_the_whole():
    """Silverman's rule would blur eight narrow modes to a disc."""
    ring = GaussianRing()
    samples = ring.sample(2000, torch.Generator().manual_seed(0))
    found = held_out_bandwidth(samples)
    assert 0.2 * ring.sd < found < ring.sd
    error = kernel_log_density(ring.modes, samples, found) - ring.log_density(ring.modes)
    assert error.abs().max() < 0.6


def autoencoding_points():
    """Returns a VAE-GAN of points in the plane."""
    encoder = partial(MLPEncoder, stochastic=True)
    networks = {"generator": MLPGenerator, "discriminator": MLPDiscriminator, "encoder": encoder}
    return VAEGAN(data_shape=(2,), **networks)


def round_data():
    """Returns points around the origin, of deviation 1."""
    return GaussianRing(num_modes=1, radius=1e-6, sd=1.0, scale=1.0)


class Shift(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way = nn.Parameter(torch.tensor(way))

    def forward(self, z):
        return z + self.way


@pytest.mark.parametrize("kind", [GAN, MinimaxGAN])
def test_of_the_cross_entropy_the_best_is_p_over_p_plus_q(kind):
    data = round_data()
    gan = kind(data_shape=(2,), generator=Shift([1.0, 0.0]), prior=NormalPrior(2))
    best = beside_the_optimum(gan, Batch(data.sample(1000)), data)
    x = torch.tensor([[0.5, 0.0], [0.5, 1.0], [0.0, 0.0], [1.0, 0.5], [-0.5, 0.5], [9.0, 9.0]])
    expected = torch.sigmoid(0.5 - x[:, 0])
    assert_close(best.right.score(x)[:5], expected[:5], rtol=0, atol=0.08)
    assert best.right.score(x)[5].isnan()
    assert_close(best.left.score(x), gan.discriminate(x).sigmoid().detach())
    assert best.limits == (0.0, 1.0)


@pytest.mark.parametrize("data", [small_ring(), SwissRoll()])
def test_of_a_critic_the_best_is_the_potential_and_both_have_slope_1(data):
    gan = WGAN(**SMALL)
    real = data.sample(40, torch.Generator().manual_seed(3))
    best = beside_the_optimum(gan, Batch(real), data)
    fake = best.right.fake.double()
    both = torch.cat([real.double(), fake])
    potential = kantorovich_potential(real.double(), fake)
    assert_close(best.right.score(both), potential(both))
    assert f"W1 = {wasserstein_distance(real.double(), fake):.3g}" in best.right.note
    scaled = best.left.score(both.float())
    assert abs(scaled.mean()) < 1e-6
    ratio = scaled.diff() / gan.discriminate(both.float()).diff()
    slope = 1 / float(ratio.detach().median())
    assert f"critic / {slope:.3g}:" in best.left.note
    values = torch.cat([potential(both), scaled.double()])
    assert best.limits == pytest.approx((float(values.min()), float(values.max())), rel=1e-5)


@pytest.mark.parametrize(
    ("gan", "data"),
    [
        (GAN(**SMALL), SwissRoll()),  # which does not tell its density
        (LSGAN(**SMALL), small_ring()),
        (GAN(**SMALL, loss=NonSaturating(0.9)), small_ring()),  # 0.9 p / (p + q)
        (CGAN(data_shape=(2,), num_classes=8), small_ring()),
        (GAN(**SMALL, augment=InstanceNoise(0.5)), small_ring()),  # of blurred densities
        (WGAN(**SMALL, augment=InstanceNoise(0.5)), small_ring()),
        (autoencoding_points(), small_ring()),  # which learns from reconstructions, too
    ],
)
def test_where_the_best_is_not_known_nothing_is_drawn(gan, data):
    labels = torch.zeros(9).long()
    assert beside_the_optimum(gan, Batch(data.sample(9), labels), data) is None


def test_points_elsewhere_than_in_the_plane_have_no_picture():
    assert beside_the_optimum(WGAN(data_shape=(3,)), Batch(torch.randn(9, 3)), None) is None
