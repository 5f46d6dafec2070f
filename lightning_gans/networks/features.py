"""The features of a discriminator: what its last layer with weights reads."""

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["chain_with_features", "outputs_with_features"]


def outputs_with_features(network: nn.Module, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the outputs of a discriminator and its features, shape (N, F), in one pass.

    Any ``torch.nn.Sequential`` has features, and so do the discriminators of this package. Another
    network has them if it has a method ``with_features`` of the same arguments and values.

    Args:
        network: the discriminator.
        x: samples, shape (N, ...).
        labels: classes of the samples, if the network reads them.

    Raises:
        ValueError: if it has no features.
    """
    own = getattr(network, "with_features", None)
    if own is not None:
        outputs, features = own(x, *labels)
        return outputs, features.flatten(1)
    if isinstance(network, nn.Sequential):
        return chain_with_features(network, x)
    raise ValueError(
        f"discriminator: {type(network).__name__} has no features, which a regularizer reads. Use "
        "a torch.nn.Sequential or a discriminator of this package, or give it a method "
        "with_features that returns outputs and features."
    )


def chain_with_features(chain: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the outputs of a chain of layers, and what the last one with weights reads.

    Args:
        chain: the layers.
        x: its input, shape (N, ...).

    Raises:
        ValueError: if no layer with weights comes before that one.
    """
    layers = list(_layers(chain))
    weighted = [i for i, layer in enumerate(layers) if next(layer.parameters(), None) is not None]
    if len(weighted) < 2:
        raise ValueError(
            f"discriminator: it has no features, which a regularizer reads, since it has "
            f"{len(weighted)} layers with weights. Use at least 2."
        )
    for layer in layers[: weighted[-1]]:
        x = layer(x)
    features = x.flatten(1)
    for layer in layers[weighted[-1] :]:
        x = layer(x)
    return x, features


def _layers(chain: nn.Sequential) -> Iterator[nn.Module]:
    """Yields the layers of a chain and of the chains in it."""
    for layer in chain:
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer)
        else:
            yield layer
