"""Small datasets on the disk, in the forms of the real ones."""

import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array):
    header = struct.pack(">4B", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def make_digits(root, name="MNIST", training=60, test=30):
    """Writes files in the form of MNIST; returns their arrays in the order of their names."""
    folder = Path(root) / name / "raw"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    arrays = []
    for number in (training, test):
        arrays.append(draw.integers(256, size=(number, 28, 28), dtype=np.uint8))
        arrays.append(draw.integers(10, size=number, dtype=np.uint8))
    for file, array in zip(NAMES, arrays, strict=True):
        (folder / f"{file}-ubyte").write_bytes(idx(array))
    return arrays


def make_photos(root, each=8):
    """Writes files in the form of CIFAR-10; returns pixels and labels of every file."""
    folder = Path(root) / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    found = []
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = draw.integers(256, size=(each, 3072), dtype=np.uint8)
        labels = draw.integers(10, size=each).tolist()
        with (folder / name).open("wb") as file:
            pickle.dump({b"data": pixels, b"labels": labels}, file, protocol=2)
        found.append((pixels, labels))
    return found


DRAW = np.random.default_rng(0)


def noise(*shape):
    return DRAW.integers(256, size=shape, dtype=np.uint8)


def fill(root, number=40, size=(8, 8), classes=()):
    """Writes PNGs whose first two pixels tell their number."""
    for index in range(number):
        pixels = noise(*size, 3)
        pixels[0, 0] = index
        name = classes[index % len(classes)] if classes else "."
        Path(root, name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(Path(root, name, f"{index:03d}.png"))
