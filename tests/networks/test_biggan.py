"""The networks of BigGAN: their sizes, chunks of latents, and shared vectors of classes."""

import pytest
import torch
from test_spectral import DIGIT, disturbed, number_of, photo, weights_of
from torch import nn
from torch.nn.functional import batch_norm, one_hot
from torch.nn.utils import parametrize
from torch.testing import assert_close

from lightning_gans.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    ConditionalBatchNorm2d,
    MappedBatchNorm2d,
    SelfAttention,
)
from lightning_gans.regularizers import Orthogonal

UNSHARED = {"width": 256, "attention": 0, "embedding_dim": None, "hierarchical": False}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("latent_dim", "side", "classes", "given_g", "given_d", "in_generator", "in_discriminator"),
    [
        (80, 32, 10, {}, {}, 9_416_196, 2_415_170),
        (128, 32, 10, UNSHARED, {"width": 256, "attention": 0}, 4_304_387, 4_207_361),
        slow(120, 128, 1000, {}, {}, 70_433_988, 87_982_370),
    ],
)
def test_they_have_the_published_numbers_of_parameters(
    latent_dim, side, classes, given_g, given_d, in_generator, in_discriminator
):
    with torch.device("meta"):
        made = BigGANGenerator(latent_dim, photo(side), num_classes=classes, **given_g)
        read = BigGANDiscriminator(photo(side), num_classes=classes, **given_d)
    assert (number_of(made), number_of(read)) == (in_generator, in_discriminator)


@pytest.mark.parametrize("side", [28, 32, slow(48), slow(64), slow(128)])
def test_images_of_every_size_are_made_and_read(side):
    images = BigGANGenerator(60, photo(side), width=8)(torch.zeros(2, 60))
    assert images.shape == (2, *photo(side))
    assert BigGANDiscriminator(photo(side), width=8)(images).shape == (2,)


# Chunks and vectors


def generator_of(**arguments):
    arguments = {"width": 8, "attention": 0, "num_classes": 3, **arguments}
    return disturbed(BigGANGenerator(12, DIGIT, **arguments)).eval().double()


def blocks_of(generator):
    return [part for part in generator.layers if hasattr(part, "main")]


def read_by(generator, latent, labels):
    """What the first layer and the blocks were called with."""
    seen = []
    hooks = [
        part.register_forward_pre_hook(lambda part, given: seen.append(given))
        for part in (generator.layers[0], *blocks_of(generator))
    ]
    with torch.no_grad():
        generator(latent, labels)
    for hook in hooks:
        hook.remove()
    return [seen[0][0], *(given[1] for given in seen[1:])]


def test_each_block_reads_a_chunk_of_its_own_beside_the_vector_of_the_class():
    generator = generator_of(embedding_dim=5, attention=14)
    latent, labels = torch.randn(2, 12).double(), torch.tensor([2, 0])
    first, *conditions = read_by(generator, latent, labels)
    vectors = generator.embedding.weight[labels]
    assert torch.equal(first, latent[:, :4])
    assert len(conditions) == 2
    for number, condition in enumerate(conditions, 1):
        chunk = latent[:, 4 * number : 4 * number + 4]
        assert_close(condition, torch.cat([vectors, chunk], 1), rtol=0, atol=0)


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_a_chunk_moves_what_comes_after_it_and_nothing_before(chunk):
    """Of the first layer and each block, whose weights alone get a gradient of what it does."""
    generator = generator_of(embedding_dim=5)
    latent, labels = torch.randn(2, 12).double(), torch.tensor([2, 0])
    outputs = []
    for part in (generator.layers[0], *blocks_of(generator)):
        part.register_forward_hook(lambda part, given, output: outputs.append(output))
    latent.requires_grad_()
    generator(latent, labels)
    for number, output in enumerate(outputs):
        (slopes,) = torch.autograd.grad(output.square().sum(), latent, retain_graph=True)
        moves = slopes.reshape(2, 3, 4)[:, chunk].abs().amax() > 0
        assert moves == (number >= chunk)


def test_all_blocks_share_one_embedding_and_without_it_have_tables():
    shared, own = generator_of(embedding_dim=5), generator_of(**{**UNSHARED, "width": 8})
    embeddings = [part for part in shared.modules() if isinstance(part, nn.Embedding)]
    assert [part.weight.shape for part in embeddings] == [(3, 5)]
    assert not parametrize.is_parametrized(embeddings[0])
    norms = [part for part in shared.modules() if isinstance(part, MappedBatchNorm2d)]
    assert len(norms) == 4
    assert all(norm.gain.weight.shape[1] == norm.bias.weight.shape[1] == 9 for norm in norms)
    tables = [part for part in own.modules() if isinstance(part, ConditionalBatchNorm2d)]
    assert len(tables) == 4
    assert not any(isinstance(part, MappedBatchNorm2d) for part in own.modules())
    assert own.embedding is None
    assert own.layers[0].in_features == 12


def test_gains_and_biases_are_linear_in_the_vector():
    norm = disturbed(MappedBatchNorm2d(4, condition_dim=3)).double()
    x = 2 + 3 * torch.randn(5, 4, 2, 2, dtype=torch.float64)
    condition = torch.randn(5, 3, dtype=torch.float64)
    plain = batch_norm(x, None, None, training=True)
    for found, image, vector in zip(norm(x, condition), plain, condition, strict=True):
        gain, bias = 1 + norm.gain.weight @ vector, norm.bias.weight @ vector
        assert_close(found, image * gain[:, None, None] + bias[:, None, None])
    assert_close(norm(x, torch.zeros(5, 3).double()), plain)  # not 0, which the maps alone give


@pytest.mark.parametrize("given", [{"embedding_dim": 5}, {**UNSHARED, "width": 8}])
def test_between_classes_lie_images_of_weighted_vectors(given):
    generator = generator_of(**given)
    z = torch.randn(2, 12, dtype=torch.float64)
    tables = [
        table
        for part in generator.modules()
        for table in (
            [part.gain, part.bias]
            if isinstance(part, ConditionalBatchNorm2d)
            else [part.weight]
            if isinstance(part, nn.Embedding)
            else []
        )
    ]
    with torch.no_grad():
        whole = generator(z, torch.tensor([0, 2]))
        assert_close(generator(z, one_hot(torch.tensor([0, 2]), 3).double()), whole)
        between = generator(z, torch.tensor([[0.25, 0.0, 0.75]] * 2).double())
        for table in tables:
            table[1] = 0.25 * table[0] + 0.75 * table[2]
        assert_close(generator(z, torch.tensor([1, 1])), between)
    assert (whole[0] - between[0]).abs().max() > 0.01
    with pytest.raises(ValueError, match="labels: a network of 3 classes needs the class"):
        generator(z)


def test_without_classes_the_blocks_read_their_chunks_alone():
    generator = generator_of(num_classes=None)
    latent = torch.randn(2, 12).double()
    first, *conditions = read_by(generator, latent, None)
    assert torch.equal(torch.cat([first, *conditions], 1), latent)
    assert not any(isinstance(part, nn.Embedding) for part in generator.modules())
    plain = generator_of(num_classes=None, hierarchical=False)
    assert read_by(plain, latent, None)[1:] == [None, None]


# Norms and initial weights


def test_all_layers_have_spectral_norm_1_but_the_shared_embedding():
    networks = BigGANGenerator(12, DIGIT, 8, num_classes=3), BigGANDiscriminator(DIGIT, 8, None, 3)
    without = []
    for network in networks:
        for part, weight, bias in weights_of(network.eval()):
            assert bias is None or not bias.any()
            flat = weight.flatten(1)
            square = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
            assert_close(square, torch.eye(len(square)), rtol=0, atol=1e-5)
            if not parametrize.is_parametrized(part):
                without.append(part)
                continue
            largest = torch.linalg.matrix_norm(part.weight.flatten(1), 2)
            assert largest.item() == pytest.approx(1, abs=1e-4)
    assert without == [networks[0].embedding]


def attends(part):
    return isinstance(part, SelfAttention)


def test_attention_begins_without_an_effect_and_is_where_it_was_published():
    found = [
        [(place, part.scale.item()) for place, part in enumerate(network.layers) if attends(part)]
        for network in (BigGANGenerator(80, photo(32), 8), BigGANDiscriminator(photo(32), 8))
    ]
    assert found == [[(4, 0.0)], [(1, 0.0)]]  # behind the second block, and the first
    for network in (BigGANGenerator(12, DIGIT, 8, 0), BigGANDiscriminator(DIGIT, 8, 0)):
        assert not any(map(attends, network.modules()))


def test_orthogonal_regularization_has_the_gradient_of_the_authors_code():
    """2 * strength * (W W^T * (1 - I)) W for every matrix but the shared embedding."""
    generator = generator_of(embedding_dim=5, attention=14)
    Orthogonal(5e-5)([generator]).backward()
    assert generator.embedding.weight.grad is None
    matrices = [p for p in generator.parameters() if p.ndim >= 2]
    for weight in matrices:
        if weight is generator.embedding.weight:
            continue
        flat = weight.detach().flatten(1)
        others = flat @ flat.T * (1 - torch.eye(len(flat)).double())
        assert_close(weight.grad.flatten(1), 2 * 1e-4 * others @ flat, rtol=1e-5, atol=1e-12)
    # Neither the whole equation's, which is twice as large, nor that of columns in place of rows.
    assert len(matrices) == 1 + 1 + 2 * (3 + 4) + 4 + 1


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: BigGANGenerator(100, DIGIT),
            "latent_dim must divide into 3 chunks, for the first layer and each of 2 blocks, got "
            "100. Use a prior of 99 or 102 entries, or hierarchical False",
        ),
        (lambda: BigGANGenerator(2, photo(32)), "4 chunks, .* got 2. Use a prior of 4 entries"),
        (lambda: BigGANGenerator(12, DIGIT, embedding_dim=0), "embedding_dim must be at least 1"),
        (
            lambda: BigGANGenerator(12, DIGIT, embedding_dim=None, num_classes=3),
            "embedding_dim: blocks that read chunks .* got None. Use 128 as published, or",
        ),
        (lambda: BigGANGenerator(12, (3, 40, 40)), "128 pixels, got 40 x 40. Use 32 x 32"),
        (lambda: BigGANDiscriminator((3, 16, 16)), "128 pixels, got 16 x 16. Use 28 x 28"),
        (lambda: BigGANGenerator(12, DIGIT, attention=16), "got 16. Use one of 7, 14, 28"),
        (lambda: BigGANDiscriminator(DIGIT, attention=28), "got 28. Use one of 7, 14"),
        (lambda: BigGANGenerator(12, DIGIT, width=4), "channels must be a multiple of 8, got 4"),
        (lambda: BigGANGenerator(12, DIGIT, width=0), "width must be at least 1, got 0"),
        (lambda: MappedBatchNorm2d(4, 0), "condition_dim must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        make()
    BigGANGenerator(12, DIGIT, width=8)
