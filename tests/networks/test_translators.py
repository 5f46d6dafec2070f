"""Networks between two kinds of samples: published sizes, what a pixel depends on, what fits."""

import pytest
import torch
from torch import nn

from lightning_gans.networks import (
    CoupledDiscriminator,
    CoupledGenerator,
    LocalTranslator,
    MLPTranslator,
    PatchDiscriminator,
    ResNetTranslator,
    SmallTranslator,
    UNetTranslator,
    outputs_with_features,
)
from lightning_gans.networks.independence import treats_samples_alone

GREY = (1, 28, 28)
AFFINE = lambda channels: nn.InstanceNorm2d(channels, affine=True)  # noqa: E731


def colour(side):
    return 3, side, side


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: UNetTranslator(colour(256), colour(256)), 54_413_955),
        (lambda: UNetTranslator(colour(128), colour(128)), 41_828_995),
        (lambda: PatchDiscriminator((6, 256, 256)), 2_768_705),
        (lambda: PatchDiscriminator(colour(256), normalization=nn.InstanceNorm2d), 2_764_737),
        (lambda: ResNetTranslator(colour(256), colour(256)), 11_378_179),
        (lambda: ResNetTranslator(colour(128), colour(128), blocks=6), 7_837_699),
        (lambda: ResNetTranslator(GREY, GREY, width=32, blocks=6), 1_958_785),
        (lambda: ResNetTranslator(GREY, GREY, width=16, blocks=2), 195_521),
        (lambda: CoupledGenerator(100, GREY, GREY), 7_842_694),
        # With two outputs and not one, 427,593.
        (lambda: CoupledDiscriminator(GREY, GREY), 427_593 - 501),
        (lambda: CoupledDiscriminator(GREY, GREY, num_outputs=2), 427_593),
    ],
)
def test_networks_have_the_published_parameters(make, parameters):
    with torch.device("meta"):
        assert count(make()) == parameters


def test_dropout_is_next_to_the_innermost_level():
    def dropping(side):
        with torch.device("meta"):
            network = UNetTranslator(colour(side), colour(side))
        return [any(isinstance(part, nn.Dropout) for part in up) for up in network.ups]

    assert dropping(256) == [False] * 4 + [True] * 3 + [False]
    assert dropping(128) == [False] * 4 + [True] * 2 + [False]
    assert not any(dropping(32))


def dependence(network, shape, place):
    """Which pixels of the input an output depends on, as a table of (H, W)."""
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_().add_(0.01)  # so that nothing cancels
    output = network.double().eval()(x)
    output[0, 0, place, place].backward()
    return x.grad[0].abs().sum(0) > 0


@pytest.mark.parametrize(("strided", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_depends_on_a_patch(strided, field):
    network = PatchDiscriminator((1, 128, 128), width=2, strided=strided, normalization=None)
    place = network(torch.zeros(1, 1, 128, 128)).shape[-1] // 2
    seen = dependence(network, (1, 128, 128), place)
    rows, columns = seen.any(1).sum(), seen.any(0).sum()
    assert (rows, columns) == (field, field)
    assert seen.sum() == field**2


def test_a_local_translator_reads_five_by_five_pixels():
    seen = dependence(LocalTranslator((1, 20, 20), (1, 20, 20), width=3), (1, 20, 20), 9)
    assert seen.nonzero().tolist() == [[i, j] for i in range(7, 12) for j in range(7, 12)]


TRANSLATORS = [
    (UNetTranslator, {"widths": [2, 3, 4]}),
    (ResNetTranslator, {"width": 2, "blocks": 1}),
    (SmallTranslator, {"width": 2, "blocks": 1}),
    (LocalTranslator, {"width": 2}),
]


@pytest.mark.parametrize(("kind", "arguments"), TRANSLATORS)
def test_a_translator_keeps_the_sides_of_all_images_that_fit_its_stride(kind, arguments):
    network = kind((1, 28, 36), (3, 28, 36), **arguments).eval()
    assert network.output_range == (-1.0, 1.0)
    for rows, columns in ((28, 36), (28 + network.stride, 36), (28, 36 + 2 * network.stride)):
        made = network(torch.zeros(2, 1, rows, columns))
        assert made.shape == (2, 3, rows, columns)
        assert made.abs().max() <= 1


@pytest.mark.parametrize("sides", [(28, 28), (17, 40), (5, 6), (9, 33)])
def test_a_u_net_halves_odd_sides_too(sides):
    x = torch.randn(2, 1, *sides)
    for skips in (True, False):
        network = UNetTranslator((1, *sides), (2, *sides), widths=[2, 3, 4], skips=skips)
        assert network(x).shape == (2, 2, *sides)


def test_a_u_net_of_28_pixels_reads_them_at_14_7_and_4():
    network = UNetTranslator(GREY, GREY, widths=[2, 3, 4])
    assert network.sides == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert network.stride == 8
    assert [tuple(down[-1].weight.shape) for down in (network.downs[0],)] == [(2, 1, 4, 4)]
    assert UNetTranslator(GREY, GREY, width=1).sides[-1] == (1, 1)


def test_what_has_been_read_is_joined_to_what_is_written():
    """Without the innermost levels, the outermost still tells images apart; not without skips."""
    x = torch.rand(2, 1, 16, 16)
    for skips in (True, False):
        network = UNetTranslator((1, 16, 16), (1, 16, 16), widths=[4, 4, 4], skips=skips).eval()
        network.downs[2].register_forward_hook(lambda *given: torch.zeros_like(given[2]))
        made = network(x)
        assert torch.equal(made[0], made[1]) is not skips


def test_batch_norm_of_one_image_is_instance_norm_with_a_gain_and_a_bias():
    """Which lets a pix2pix of single images be evaluated as it was trained."""
    torch.manual_seed(0)
    usual = UNetTranslator(colour(32), colour(32), width=2, dropout=0.0)
    alone = UNetTranslator(colour(32), colour(32), width=2, dropout=0.0, normalization=AFFINE)
    alone.load_state_dict(
        {k: v for k, v in usual.state_dict().items() if "running" not in k and "num_b" not in k}
    )
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(alone.eval()(x), usual.train()(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: UNetTranslator((1, 28, 28), (1, 28, 28), widths=[4] * 6),
            "images of 28 x 28 pixels can be halved 5 times, but the U-Net has 6 levels",
        ),
        (lambda: UNetTranslator(GREY, colour(32)), "is to read 28 x 28 and to make 32 x 32"),
        (lambda: UNetTranslator(GREY, GREY, dropout=1.0), "dropout must be at least 0 and below"),
        (lambda: UNetTranslator(GREY, GREY, widths=[4, 0]), r"widths\[1\] must be at least 1"),
        (lambda: UNetTranslator((2,), (2,)), r"these networks need images, \(C, H, W\), got \(2,"),
        (
            lambda: ResNetTranslator((1, 30, 28), (1, 30, 28)),
            "sides are multiples of 4, got 30 x 28 pixels. Use 32 x 28",
        ),
        (lambda: SmallTranslator((1, 27, 28), (1, 27, 28)), "multiples of 2, got 27 x 28"),
        (lambda: LocalTranslator(GREY, (1, 28, 29)), "read 28 x 28 and to make 28 x 29"),
        (lambda: SmallTranslator(GREY, GREY, blocks=0), "blocks must be at least 1, got 0"),
        (
            lambda: PatchDiscriminator((1, 23, 28)),
            "3 strided layers needs images of at least 24 x 24 pixels, got 23 x 28",
        ),
        (lambda: CoupledGenerator(4, (1, 32, 28), (1, 32, 28)), "got 32 x 28. Use 36 x 28"),
        (lambda: CoupledGenerator(4, GREY, (1, 28, 36)), "28 x 28 and of 28 x 36 pixels have no"),
        (
            lambda: CoupledDiscriminator((1, 12, 28), (1, 12, 28)),
            "at least 16 x 16 pixels",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_images_that_do_not_fit_a_u_net_are_refused_with_the_sizes():
    network = UNetTranslator(GREY, GREY, widths=[2, 3, 4])
    with pytest.raises(ValueError, match=r"30 x 28 pixels do not fit a network for 28 x 28.*of 8"):
        network(torch.zeros(1, 1, 30, 28))


def test_smallest_images_of_each_discriminator_give_one_patch():
    for strided, side in ((1, 6), (2, 12), (3, 24)):
        network = PatchDiscriminator((1, side, side), width=1, strided=strided)
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 1, 1, 1)


def test_patches_have_features():
    network = PatchDiscriminator((1, 16, 16), width=2, strided=1, normalization=None)
    x = torch.randn(3, 1, 16, 16)
    outputs, features = outputs_with_features(network, x)
    assert torch.equal(outputs, network(x))
    assert features.shape == (3, 4 * 7 * 7)


def test_coupled_networks_have_layers_in_common():
    generator = CoupledGenerator(3, GREY, (2, 28, 28), width=1)
    pairs = generator(torch.randn(4, 3))
    assert pairs.shape == (4, 3, 28, 28)
    read = generator.shared(torch.zeros(4, 3))
    assert torch.equal(generator(torch.zeros(4, 3))[:, 1:], generator.b(read))
    judges = CoupledDiscriminator(GREY, (2, 28, 28), width=2)
    common = {id(p) for p in judges.a.parameters()} & {id(p) for p in judges.b.parameters()}
    assert len(common) == len(list(judges.a.parameters())) - 2  # all but the first layer
    assert judges.a(pairs[:, :1]).shape == judges.b(pairs[:, 1:]).shape == (4,)


def test_vectors_are_translated_by_perceptrons():
    network = MLPTranslator((2, 3), (4,), hidden=[5], output=nn.Tanh)
    assert network(torch.zeros(7, 2, 3)).shape == (7, 4)
    assert network.output_range == (-1.0, 1.0)
    assert count(network) == 6 * 5 + 5 + 5 * 4 + 4
    assert not hasattr(network, "stride")


def test_networks_without_batch_statistics_treat_samples_alone():
    for network, ndim in (
        (LocalTranslator(GREY, GREY, 2), 4),
        (ResNetTranslator(GREY, GREY, 2, 1), 4),
        (MLPTranslator((2,), (2,)), 2),
        (PatchDiscriminator(GREY, 2, normalization=None), 4),
    ):
        assert treats_samples_alone(network, ndim), type(network).__name__
    for network in (SmallTranslator(GREY, GREY, 2), PatchDiscriminator(GREY, 2)):
        assert not treats_samples_alone(network, 4), type(network).__name__
