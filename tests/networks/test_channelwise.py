from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lightning_gans import PacGAN
from lightning_gans.networks import (
    ChannelwiseDiscriminator,
    ChannelwiseGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    has_batch_statistics,
    outputs_with_features,
)
from lightning_gans.networks.independence import treats_samples_alone


def test_each_channel_is_made_from_its_part_of_the_dense_layer():
    torch.manual_seed(0)
    generator = ChannelwiseGenerator(
        5, (3, 4, 6), partial(MLPGenerator, hidden=[7], output=nn.Tanh), channel_dim=2
    ).double()
    latent = torch.randn(4, 5, dtype=torch.float64)
    parts = latent @ generator.dense.weight.T + generator.dense.bias
    channels = [generator.network(parts[:, start : start + 2]) for start in (0, 2, 4)]
    assert_close(generator(latent), torch.cat(channels, 1), rtol=1e-12, atol=1e-12)
    assert generator(latent).shape == (4, 3, 4, 6)
    assert generator.output_range == (-1.0, 1.0)


def test_the_latents_of_channels_begin_independent():
    """Their covariance is that of normal latents: the identity, not only that of each channel."""
    generator = ChannelwiseGenerator(7, (3, 16, 16), channel_dim=2).double()
    weight = generator.dense.weight
    assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-6)
    assert not generator.dense.bias.any()


def test_all_channels_are_read_by_one_network_and_joined():
    torch.manual_seed(0)
    discriminator = ChannelwiseDiscriminator(
        (3, 4, 6), partial(MLPDiscriminator, hidden=[7]), channel_features=2, hidden=5
    ).double()
    x = torch.randn(4, 3, 4, 6, dtype=torch.float64)
    read = torch.cat([discriminator.network(x[:, c : c + 1]) for c in range(3)], 1)
    leaky = nn.LeakyReLU(0.2)
    _, first, _, last, _ = discriminator.joined
    hidden = leaky(leaky(read) @ first.weight.T + first.bias)
    expected = (hidden @ last.weight.T + last.bias).squeeze(1)
    assert_close(discriminator(x), expected, rtol=1e-12, atol=1e-12)
    outputs, features = outputs_with_features(discriminator, x)
    assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    assert_close(features, hidden, rtol=1e-12, atol=1e-12)


def test_one_network_has_fewer_weights_than_one_for_each_channel():
    def size(network):
        return sum(p.numel() for p in network.parameters())

    one, three = (ChannelwiseGenerator(6, (c, 28, 28)) for c in (1, 3))
    assert size(three) - size(one) == 2 * 32 * (6 + 1)  # of the dense layer alone
    one, three = (ChannelwiseDiscriminator((c, 28, 28)) for c in (1, 3))
    assert size(three) - size(one) == 2 * 128 * 256


def test_several_outputs_are_given_as_such():
    discriminator = ChannelwiseDiscriminator((2, 16, 16), num_outputs=3)
    assert discriminator(torch.zeros(5, 2, 16, 16)).shape == (5, 3)


def test_no_image_depends_on_another_unless_the_network_has_batch_statistics():
    network = partial(DCGANDiscriminator, width=2, normalization=None)
    alone = ChannelwiseDiscriminator((3, 16, 16), network)
    assert treats_samples_alone(alone, 4)
    x = torch.randn(4, 3, 16, 16)
    changed = x.clone()
    changed[0] = 0
    assert_close(alone(changed)[1:], alone(x)[1:])
    normalized = ChannelwiseDiscriminator((3, 16, 16), partial(DCGANDiscriminator, width=2))
    assert has_batch_statistics(normalized)
    assert not treats_samples_alone(normalized, 4)
    plain = partial(DCGANGenerator, width=2, normalization=None)
    assert treats_samples_alone(ChannelwiseGenerator(4, (3, 16, 16), plain), 2)
    assert not treats_samples_alone(ChannelwiseGenerator(4, (3, 16, 16)), 2)


def test_the_gradient_of_each_channel_is_that_of_the_weights_it_passes():
    """Where every LeakyReLU has the slope 1, the discriminator is linear and its slope known."""
    discriminator = ChannelwiseDiscriminator(
        (3, 4, 4), partial(MLPDiscriminator, hidden=[]), channel_features=2, hidden=2
    ).double()
    for layer in discriminator.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, 0.1)
            nn.init.constant_(layer.bias, 9.0)
    x = torch.rand(5, 3, 4, 4, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x)
    # Two features of the channel, each read by two units, which one weight each joins.
    assert_close(gradient, torch.full_like(x, 2 * 2 * 0.1**3), rtol=1e-12, atol=0)


def test_packs_are_read_channel_by_channel_too():
    model = PacGAN(
        data_shape=(3, 16, 16),
        pack_size=2,
        generator=partial(ChannelwiseGenerator, network=partial(DCGANGenerator, width=2)),
        discriminator=partial(
            ChannelwiseDiscriminator, network=partial(DCGANDiscriminator, width=2)
        ),
    )
    assert model.discriminator.joined[1].in_features == 6 * 128
    x = model.sample(4)
    assert x.shape == (4, 3, 16, 16)
    assert model.outputs(x)["logit"].shape == (2,)


@pytest.mark.parametrize("size", ["channel_dim", "channel_features", "hidden", "num_outputs"])
def test_sizes_below_the_least_are_refused(size):
    kind = ChannelwiseGenerator if size == "channel_dim" else ChannelwiseDiscriminator
    given = (4, (3, 16, 16)) if size == "channel_dim" else ((3, 16, 16),)
    with pytest.raises(ValueError, match=rf"^{size} must be at least [12], got 0"):
        kind(*given, **{size: 0})


def test_data_that_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"need images, \(C, H, W\), got \(2,\)"):
        ChannelwiseGenerator(4, (2,))
    with pytest.raises(ValueError, match=r"need images, \(C, H, W\), got \(2,\)"):
        ChannelwiseDiscriminator((2,))
