"""Times the image data against torchvision's way of serving it, and measures its memory.

    python benchmarks/image_data.py --data_dir data

Prints three ratios and writes them to ``results/image_data.json``: batches of MNIST against a
torchvision Dataset with ToTensor and Normalize behind a DataLoader in the same process; the share
that loading takes of a training step of ``wdcgan_gp_mnist``; and the peak memory of reading MNIST.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import lightning.pytorch as pl
import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import MNIST
from lightning_gans import WDCGANGP
from lightning_gans.provenance import code_version, machine, versions

RESULTS = Path(__file__).parent / "results" / "image_data.json"
BATCH = 320


def ours(data_dir: str) -> Iterator[Tensor]:
    """Yields normalised batches as a model gets them."""
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


def peak_memory(data_dir: str) -> tuple[int, int]:
    """Returns the bytes of MNIST, and by how much reading it raised the peak of a process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    data = MNIST(data_dir)
    data.setup()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    images = (data.training, data.held_out[0][0])
    return sum(part.images.numel() for part in images), after - before


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--memory_only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_only:
        print(json.dumps(peak_memory(given.data_dir)))
        return
    command = [sys.executable, __file__, "--memory_only", "--data_dir", given.data_dir]
    fresh = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    size, peak = json.loads(fresh.splitlines()[-1])
    pairs = ours(given.data_dir), theirs(given.data_dir)
    rates = [(rate(pairs[0], 200), rate(pairs[1], 10)) for _ in range(given.repetitions)]
    result = {
        "ratio": median(a / b for a, b in rates),
        "images_per_s": median(a for a, _ in rates),
        "torchvision_images_per_s": median(b for _, b in rates),
        "loading_share": loading_share(given.data_dir, 10),
        "bytes": size,
        "peak_memory": peak,
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(torch.device("cpu")),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['ratio']:.0f} times torchvision's images per second")
    print(f"loading is {result['loading_share']:.2%} of a training step of wdcgan_gp_mnist")
    print(f"reading raises the peak memory by {peak / 2**20:.0f} MiB for {size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
