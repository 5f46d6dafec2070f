"""Times the image data against torchvision's way of serving it, and measures its memory.

    python benchmarks/image_data.py --data_dir data --photos photos

Prints and writes to ``results/image_data.json``: the images per second of MNIST against those of a
torchvision Dataset with ToTensor and Normalize behind a DataLoader in the same process; the share
that loading takes of a training step of ``WDCGANGP``; and by how much reading a dataset raises the
peak memory, for MNIST and for a folder of images that is kept in memory.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import lightning.pytorch as pl
import torch
import torchvision
from memory import peak_memory
from torch import Tensor
from torch.utils.data import DataLoader
from trained import told

from datamodules import MNIST, ImageFolder
from datamodules.images import ImageData
from lightning_gans import WDCGANGP
from lightning_gans.cli.environment import code_version, machine, versions

RESULTS = Path(__file__).parent / "results" / "image_data.json"
BATCH = 320


def ours(data_dir: str) -> Iterator[Tensor]:
    """Yields normalized batches as a model gets them."""
    data = MNIST(data_dir)
    data.setup()
    draw = data.training_batches(0, BATCH, 0, 1)
    position = 0
    while True:
        yield data.on_after_batch_transfer(draw(position), 0)[0]
        position += 1


def theirs(data_dir: str) -> Iterator[Tensor]:
    """Yields the same from a torchvision Dataset."""
    to_tensor = torchvision.transforms.ToTensor()
    normalize = torchvision.transforms.Normalize((0.5,), (0.5,))
    transform = torchvision.transforms.Compose([to_tensor, normalize])
    dataset = torchvision.datasets.MNIST(data_dir, transform=transform)
    while True:
        yield from (images for images, _ in DataLoader(dataset, BATCH, shuffle=True))


def rate(batches: Iterator[Tensor], number: int) -> float:
    """Returns images a second."""
    start = time.perf_counter()
    for _ in range(number):
        next(batches)
    return number * BATCH / (time.perf_counter() - start)


class LoadingShare(pl.Callback):
    """Adds up the time between two training steps that goes into the next batch."""

    def __init__(self) -> None:
        self.loading = self.total = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts a clock around the stream's draws and the transfer."""
        data: MNIST = trainer.datamodule  # type: ignore[attr-defined]
        assert data._stream is not None
        data._stream.draw = self._timed(data._stream.draw)
        data.on_after_batch_transfer = self._timed(data.on_after_batch_transfer)
        self._start = time.perf_counter()

    def _timed(self, call: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object) -> object:
            start = time.perf_counter()
            result = call(*arguments)
            self.loading += time.perf_counter() - start
            return result

        return timed

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops the clock."""
        self.total = time.perf_counter() - self._start


def loading_share(data_dir: str, updates: int) -> float:
    """Returns the share of a training step that loading its batch takes."""
    share = LoadingShare()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=updates,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[share],
    )
    trainer.fit(WDCGANGP(data_shape=(1, 28, 28)), MNIST(data_dir))
    return share.loading / share.total


def read_and_measure(data: ImageData) -> None:
    """Prints the bytes of a dataset, and by how much reading it raises the peak of memory."""
    before = peak_memory()
    data.setup()
    peak = peak_memory() - before
    sources = {id(source): source for source, _ in data.held_out}.values()
    size = sum(len(source) for source in sources) * math.prod(data.data_shape)
    print(json.dumps({"bytes": size, "peak": peak}))


def memory_of(*flags: str) -> dict[str, int]:
    """Returns what `read_and_measure` finds in a process of its own."""
    command = [sys.executable, __file__, "--memory_only", *flags]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, int] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--photos", help="folder of images")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--memory_only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_only:
        photos = given.photos
        read_and_measure(ImageFolder(photos, 32, cache=True) if photos else MNIST(given.data_dir))
        return
    memory = {"MNIST": memory_of("--data_dir", given.data_dir)}
    if given.photos:
        memory["ImageFolder"] = memory_of("--photos", given.photos)
    pairs = ours(given.data_dir), theirs(given.data_dir)
    turns = told(range(given.repetitions), "turn")
    rates = [(rate(pairs[0], 200), rate(pairs[1], 10)) for _ in turns]
    result = {
        "ratio": median(a / b for a, b in rates),
        "images_per_s": median(a for a, _ in rates),
        "torchvision_images_per_s": median(b for _, b in rates),
        "loading_share": loading_share(given.data_dir, 10),
        "memory": memory,
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(torch.device("cpu")),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['ratio']:.0f} times torchvision's images per second")
    print(f"loading is {result['loading_share']:.2%} of a training step of WDCGANGP")
    for name, found in memory.items():
        peak, size = (found[key] / 2**20 for key in ("peak", "bytes"))
        print(f"{name}: reading {size:.0f} MiB raises the peak of memory by {peak:.0f} MiB")


if __name__ == "__main__":
    main()
