"""Exports: weights as safetensors, and what they belong to as JSON in the header of the file."""

import json
import os
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lightning_gans.files import is_overgrown

__all__ = ["export_bytes", "is_export", "read_export"]

HEADER_KEY = "lightning_gans"
"""Key of the JSON among the metadata of the file."""


def export_bytes(weights: dict[str, Tensor], description: dict[str, Any]) -> bytes:
    """Returns the content of a safetensors file.

    Args:
        weights: tensors by name.
        description: plain data.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    return save(contiguous, {HEADER_KEY: json.dumps(description)})


def is_export(path: str | os.PathLike[str]) -> bool:
    """Tells whether a file looks like safetensors: a length of eight bytes, then JSON."""
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False  # whoever reads it whole will tell


def read_export(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the description that a file holds, with its weights as ``state_dict``.

    Raises:
        ValueError: if it is damaged, or was not written by `export_bytes`.
    """
    try:
        with safe_open(path, "pt") as file:
            description = (file.metadata() or {}).get(HEADER_KEY)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    try:
        found = json.loads(description or "")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} was not exported by lightning_gans.") from error
    if not isinstance(found, dict) or is_overgrown(found):
        raise ValueError(f"{path} was not exported by lightning_gans.")
    return {**found, "state_dict": weights}
