"""Data from a user's own array, in memory or in a file."""

from os.path import expanduser
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from datamodules.stream import Permutations, VectorData, generator_for
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["ArrayData"]

LARGEST = 1e9
"""Absolute value of an entry."""


class ArrayData(VectorData):
    """Rows of an array, shape (N, d), in memory or in a NumPy file. They are read as float32.

    A twentieth of the rows, 2 at least and ``num_eval_samples`` at most, is held out to validate,
    and as many to test on. Training reads the other rows in an endless chain of random
    permutations: each process reads its own share and over one pass every row is read once.

    Args:
        path: a .npy file with a floating-point or integer array of shape (N, d), N at least 20; in
            Python also the array or tensor itself.
        batch_size: rows of one discriminator update and process, at least 1.
        num_eval_samples: largest number of rows in each evaluation set, at least 2.

    Raises:
        ValueError: if the file is missing or not such an array, or a value is not finite.

    Example:
        >>> ArrayData(torch.rand(1000, 3)).data_shape
        (3,)
    """

    def __init__(
        self,
        path: str | NDArray[Any] | Tensor,
        batch_size: int = 256,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(batch_size, num_eval_samples)
        if isinstance(path, np.ndarray | Tensor):
            given = torch.as_tensor(path).detach().cpu()
            if given.dtype == torch.bfloat16:  # which NumPy does not know
                given = given.float()
            rows = _rows(given.numpy(), "the array")
            if path.dtype in (np.float64, torch.float64):
                rank_zero_only(print)("ArrayData casts the float64 array to float32.")
        elif path:
            rows = _rows(_read(Path(expanduser(path))), str(path))
        else:
            raise ValueError("path must name a .npy file, got ''.")
        order = torch.randperm(len(rows), generator=generator_for(0, EVALUATION_DATA, 0))
        held_out = min(num_eval_samples, max(2, len(rows) // 20))
        self.num_eval_samples = held_out
        self._validation, self._test = torch.split(rows[order[: 2 * held_out]], held_out)
        self._training = rows[order[2 * held_out :]]
        self._permutations = Permutations(len(self._training))
        self.data_shape = (rows.shape[1],)
        if rows.min() == rows.max():
            raise ValueError(
                f"path: all values of the array are {float(rows.min()):g}. Use rows that differ."
            )
        self.value_range = (float(rows.min()), float(rows.max()))

    @override
    def epoch_length(self, size: int, ranks: int) -> int:
        """Returns the whole batches of one pass over the training rows, at least 1."""
        return max(1, len(self._training) // (size * ranks))

    @override
    def training_batch(self, seed: int, position: int, size: int, rank: int, ranks: int) -> Tensor:
        rows = self._permutations.rows(seed, (position * ranks + rank) * size, size)
        return self._training[rows]

    @override
    def evaluation_set(self, index: int) -> Tensor:
        further = generator_for(0, EVALUATION_DATA, 1)
        if index == 1:
            rows = torch.randperm(len(self._training), generator=further)[: self.num_eval_samples]
            return self._training[rows]
        return self._test if index == 2 else self._validation


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise ValueError(f"path: {path} cannot be read: {error}") from error


def _read(path: Path) -> NDArray[Any]:
    """Returns the array in a file."""
    if not _is_file(path):
        raise ValueError(f"path: there is no file {path}.")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(
            f"path: {path} is not a whole .npy file of numbers, as numpy.save writes it."
        ) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"path: {path} must hold one array, got an archive.")
    return array


def _rows(array: NDArray[Any], name: str) -> Tensor:
    """Returns the rows of an array in single precision, if training can use them.

    Args:
        array: numbers.
        name: of the array in messages.
    """
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"path: {name} must be a numeric array of shape (N, d), got {array.dtype} of shape "
            f"{array.shape}."
        )
    if array.shape[0] < 20 or array.shape[1] < 1:
        raise ValueError(f"path: {name} needs at least 20 rows and a column, got {array.shape}.")
    rows = torch.from_numpy(array.astype(np.float32))
    bad = (~rows.isfinite()).any(1).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"path: {len(bad)} rows of {name} hold NaN or infinite values, the first is row "
            f"{int(bad[0])} (counted from 0)."
        )
    if rows.abs().max() > LARGEST:
        raise ValueError(
            f"path: a value of {name} is as large as {float(rows.abs().max()):.3g}, whose square "
            f"may overflow in training. Scale the data to values below {LARGEST:.0e}."
        )
    return rows
