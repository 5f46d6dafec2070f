"""Encoders, and discriminators of pairs."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lightning_gans.networks import (
    DCGANDiscriminator,
    DCGANEncoder,
    DCGANJointDiscriminator,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
    MLPJointDiscriminator,
    outputs_with_features,
)
from lightning_gans.networks.independence import treats_samples_alone

IMAGE = (1, 28, 28)
WIDE = {
    "hidden": [1024, 1024],
    "activation": partial(nn.LeakyReLU, 0.2),
    "normalization": nn.BatchNorm1d,
}


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_networks_of_the_authors_have_their_sizes():
    """Those of BiGAN's code for MNIST, but with gains and biases in the BatchNorm."""
    assert size(MLPGenerator(50, IMAGE, [1024, 1024], normalization=nn.BatchNorm1d)) == 1_907_472
    assert size(MLPEncoder(50, IMAGE, **WIDE)) == 1_906_738
    assert size(MLPJointDiscriminator(50, IMAGE, **WIDE)) == 1_907_713
    assert size(MLPEncoder(2, IMAGE, [1000, 1000])) == 1_788_002
    assert size(MLPGenerator(2, IMAGE, [1000, 1000])) == 1_788_784


def test_layers_come_in_the_order_of_the_authors():
    kinds = [type(part) for part in MLPEncoder(50, IMAGE, **WIDE).network.layers]
    head = [nn.Flatten, nn.Linear, nn.LeakyReLU]
    assert kinds == [*head, nn.Linear, nn.BatchNorm1d, nn.LeakyReLU, nn.Linear]


@pytest.mark.parametrize("latent_dim", [1, 3])
@pytest.mark.parametrize("kind", [partial(MLPEncoder, hidden=[8]), partial(DCGANEncoder, width=4)])
def test_an_encoder_tells_codes_or_their_means_and_deviations(kind, latent_dim):
    x = torch.randn(5, *IMAGE)
    assert kind(latent_dim, IMAGE)(x).shape == (5, latent_dim)
    encoder = kind(latent_dim, IMAGE, stochastic=True)
    mean, log_sd = encoder.eval()(x)
    assert mean.shape == log_sd.shape == (5, latent_dim)
    assert_close(torch.cat([mean, log_sd], 1), encoder.network(x))


def test_an_encoder_adds_noise_to_samples_in_training_alone():
    """A linear one, whose outputs tell the noise."""
    encoder, x = MLPEncoder(2, (2,), [], input_noise=0.3), torch.zeros(20_000, 2)
    _, layers = encoder.network
    with torch.no_grad():
        layers.layers[-1].weight.copy_(torch.eye(2))
        layers.layers[-1].bias.zero_()
    assert_close(encoder(x).std(0), torch.full((2,), 0.3), atol=0, rtol=0.03)
    assert not encoder.eval()(x).any()
    assert isinstance(MLPEncoder(2, (2,)).network, MLPDiscriminator)  # no layer more than before


def test_an_encoder_of_images_has_the_layers_of_the_discriminator():
    encoder = DCGANEncoder(6, IMAGE, width=4, hidden=8)
    discriminator = DCGANDiscriminator(IMAGE, width=4, hidden=8, num_outputs=6)
    shapes = [[p.shape for p in network.parameters()] for network in (encoder, discriminator)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "make",
    [partial(MLPJointDiscriminator, hidden=[8]), partial(DCGANJointDiscriminator, width=4)],
)
def test_a_discriminator_of_pairs_reads_both_and_tells_features(make):
    network = make(3, IMAGE).eval()
    x, latent = torch.randn(4, *IMAGE), torch.randn(4, 3)
    outputs = network(x, latent)
    assert outputs.shape == (4,)
    assert not torch.equal(network(x, latent + 1), outputs)
    assert not torch.equal(network(x + 1, latent), outputs)
    again, features = outputs_with_features(network, x, latent)
    assert torch.equal(again, outputs)
    *_, last, _ = network.layers
    assert_close(last(features)[:, 0], outputs)
    assert make(3, IMAGE, num_outputs=2)(x, latent).shape == (4, 2)


def test_the_convolutions_of_pairs_are_those_of_the_discriminator():
    network = DCGANJointDiscriminator(50, IMAGE, width=16, hidden=256).eval()
    convolutions = [part for part in network.image if isinstance(part, nn.Conv2d)]
    assert [tuple(part.weight.shape[:2]) for part in convolutions] == [(16, 1), (32, 16)]
    x, latent = torch.randn(2, *IMAGE), torch.randn(2, 50)
    read = torch.cat([network.image(x), network.latent(latent)], 1)
    assert read.shape == (2, 32 * 7 * 7 + 256)
    assert torch.equal(network.layers(read), network(x, latent))


@pytest.mark.parametrize(
    ("network", "alone"),
    [
        (MLPEncoder(2, (3,), [4]), True),
        (MLPEncoder(2, (3,), [4, 4], normalization=nn.BatchNorm1d), False),
        (MLPEncoder(2, (3,), [4], input_noise=0.1), False),
        (MLPJointDiscriminator(2, (3,), [4]), True),
        (DCGANJointDiscriminator(2, IMAGE, width=4), False),
        (DCGANJointDiscriminator(2, IMAGE, width=4, normalization=None), True),
    ],
)
def test_whether_they_treat_samples_alone_is_known(network, alone):
    assert treats_samples_alone(network, 2) is alone


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLPEncoder(0, (3,)), "latent_dim must be at least 1, got 0"),
        (
            lambda: MLPEncoder(2, (3,), input_noise=-0.1),
            "sd must be finite and at least 0, got -0.1",
        ),
        (lambda: MLPEncoder(2, (3,), [0]), "hidden: every layer needs at least 1 unit"),
        (lambda: DCGANEncoder(2, (1, 6, 6)), "data_shape: DCGAN needs images"),
        (lambda: DCGANJointDiscriminator(2, IMAGE, hidden=0), "hidden must be at least 1, got 0"),
        (lambda: DCGANJointDiscriminator(0, IMAGE), "latent_dim must be at least 1, got 0"),
        (lambda: MLPJointDiscriminator(2, (3,), num_outputs=0), "num_outputs must be at least 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
