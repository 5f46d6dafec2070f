from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lightning_gans.networks import (
    MLPDiscriminator,
    MLPGenerator,
    evaluation_mode,
    has_batch_statistics,
)


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


def test_generator_has_the_layers_that_were_asked_for():
    network = MLPGenerator(
        3, (1, 2, 2), [5, 6], nn.Tanh, normalization=nn.BatchNorm1d, output=nn.Sigmoid
    )
    assert kinds(network) == [
        *("Linear", "Tanh"),
        *("Linear", "BatchNorm1d", "Tanh"),
        *("Linear", "Sigmoid", "Unflatten"),
    ]
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linear]
    assert sizes == [(3, 5), (5, 6), (6, 4)]
    assert network(torch.randn(7, 3)).shape == (7, 1, 2, 2)


def test_discriminator_has_the_layers_that_were_asked_for():
    network = MLPDiscriminator((1, 2, 2), [5, 6], normalization=nn.LayerNorm)
    assert kinds(network) == [
        *("Flatten", "Linear", "ReLU"),
        *("Linear", "LayerNorm", "ReLU"),
        *("Linear", "Flatten"),
    ]
    assert network(torch.randn(7, 1, 2, 2)).shape == (7,)


def test_without_hidden_layers_both_are_linear():
    generator, discriminator = MLPGenerator(2, (3,), []), MLPDiscriminator((3,), [])
    z, x = torch.randn(4, 2), torch.randn(4, 3)
    linear = generator.layers[0]
    assert_close(generator(z), z @ linear.weight.T + linear.bias)
    linear = discriminator.layers[1]
    assert_close(discriminator(x), (x @ linear.weight.T + linear.bias).squeeze(1))


def test_a_layer_without_units_is_refused():
    with pytest.raises(ValueError, match=r"every layer needs at least 1 unit, got \[4, 0\]"):
        MLPGenerator(2, (2,), [4, 0])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), True),
        (nn.SyncBatchNorm(2), True),
        (nn.Sequential(nn.InstanceNorm2d(2), nn.LayerNorm(2), nn.GroupNorm(1, 2)), False),
    ],
)
def test_batch_statistics_are_found(module, expected):
    assert has_batch_statistics(module) is expected


def test_evaluation_mode_gives_each_part_its_mode_back_even_after_an_error():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout().eval(), nn.BatchNorm1d(2)))
    before = [part.training for part in network.modules()]
    inside = []
    with suppress(RuntimeError), evaluation_mode(network):
        inside += [part.training for part in network.modules()]
        raise RuntimeError
    assert not any(inside)
    assert [part.training for part in network.modules()] == before
