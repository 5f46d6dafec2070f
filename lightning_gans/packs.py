"""Packs of samples, which a discriminator judges as one."""

from torch import Tensor

__all__ = ["packed", "unpacked"]


def packed(x: Tensor, size: int) -> Tensor:
    """Joins each ``size`` samples in a row: images along channels, vectors along entries.

    Args:
        x: samples, shape (N, C, ...), N a multiple of ``size``.
        size: samples of a pack.

    Returns:
        Packs, shape (N / size, size * C, ...).

    Example:
        >>> import torch
        >>> packed(torch.arange(8).reshape(4, 2), 2)
        tensor([[0, 1, 2, 3],
                [4, 5, 6, 7]])
    """
    return x if size == 1 else x.reshape(len(x) // size, size * x.shape[1], *x.shape[2:])


def unpacked(x: Tensor, size: int) -> Tensor:
    """Takes packs apart: the reverse of `packed`.

    Args:
        x: packs, shape (N / size, size * C, ...).
        size: samples of a pack.

    Returns:
        Samples, shape (N, C, ...).
    """
    return x if size == 1 else x.reshape(len(x) * size, x.shape[1] // size, *x.shape[2:])
