"""Self-attention, and where the networks of SAGAN have it."""

import pytest
import torch
from test_spectral import DIGIT, disturbed, photo
from torch.testing import assert_close

from lightning_gans.networks import SAGANDiscriminator, SAGANGenerator, SelfAttention


def test_attention_is_a_mean_of_the_values_at_other_places():
    """Pixel by pixel; keys and values are the maxima of 2 x 2 pixels."""
    attention = disturbed(SelfAttention(8)).double()
    x = torch.randn(2, 8, 4, 6, dtype=torch.float64)
    reads = [
        torch.einsum("oc,nchw->nohw", layer.weight[:, :, 0, 0], x)
        for layer in (attention.query, attention.key, attention.value)
    ]
    query, key, value = reads
    key, value = (m.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)) for m in (key, value))
    expected = torch.empty_like(x)
    for n in range(2):
        for i in range(4):
            for j in range(6):
                likeness = (query[n, :, i, j, None, None] * key[n]).sum(0)
                weights = likeness.exp() / likeness.exp().sum()
                mean = (weights * value[n]).sum((1, 2))
                found = attention.output.weight[:, :, 0, 0] @ mean
                expected[n, :, i, j] = x[n, :, i, j] + attention.scale * found
    assert attention.scale != 0
    assert_close(attention(x), expected)


@pytest.mark.parametrize(
    ("side", "attention", "in_generator", "in_discriminator"),
    # The place in the layers and the channels; the first block is at 2, and at 0.
    [
        (128, None, (6, 128), (1, 64)),
        pytest.param(128, 32, (5, 256), (2, 128), marks=pytest.mark.slow),
    ],
)
def test_attention_is_where_it_is_asked_for(side, attention, in_generator, in_discriminator):
    with torch.device("meta"):
        generator = SAGANGenerator(8, photo(side), attention=attention)
        discriminator = SAGANDiscriminator(photo(side), attention=attention)
    for network, expected in ((generator, in_generator), (discriminator, in_discriminator)):
        (found,) = [
            (index, part.output.out_channels)
            for index, part in enumerate(network.layers)
            if isinstance(part, SelfAttention)
        ]
        assert found == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelfAttention(12), "channels must be a multiple of 8, got 12. Use 16"),
        (lambda: SAGANGenerator(8, DIGIT, width=4), "channels must be a multiple of 8, got 4"),
        (
            lambda: SAGANGenerator(8, DIGIT, attention=16),
            "the side of images inside the network, got 16. Use one of 7, 14, 28",
        ),
        (lambda: SAGANDiscriminator(DIGIT, attention=28), "got 28. Use one of 7, 14."),
    ],
)
def test_channels_and_sides_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
