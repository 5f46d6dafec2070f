"""Times the scores by nearest neighbours, and measures their memory.

    python benchmarks/nearest.py --data_dir data     # about four minutes of one core

Prints and writes to ``results/nearest.json``: the CPU seconds of precision, recall, density and
coverage of random features, and by how much they raise the peak memory; and the CPU seconds of
looking through the training digits of MNIST for copies of 10,000 images.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from memory import peak_memory, resident_memory
from trained import write_results

from datamodules import MNIST
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.metrics import TrainingNeighbours, manifold_scores

NUM_FEATURES = 64


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Returns the CPU seconds of some work, and the MB by which it raises the peak memory."""
    before, start = resident_memory(), time.process_time()
    work()
    return {
        "cpu_seconds": round(time.process_time() - start, 1),
        "megabytes": round((peak_memory() - before) / 1e6),
    }


def of_features(number: int) -> dict[str, float]:
    """Measures the four scores of as many real and generated features."""
    real, fake = torch.randn(2, number, NUM_FEATURES)
    return measured(lambda: manifold_scores(real, fake))


def of_copies(data_dir: str) -> dict[str, float]:
    """Measures how long the test digits take that are set against the training digits."""
    data = MNIST(data_dir)
    data.setup()
    metric = TrainingNeighbours.of(data)
    source, rows = data.held_out[0]
    images = data.normalize(source.read(rows))

    def work() -> None:
        for real in (True, False):
            for part in images.split(500):
                metric.update(part, real=real)
        metric.compute()

    return measured(work)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data", help="folder above MNIST")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        # The smaller ones first: the peak is that of the program.
        **{f"{number:,} features": of_features(number) for number in (10_000, 50_000)},
        "copies of MNIST": of_copies(given.data_dir),
        **{"commit": code_version(), "versions": versions()},
        "machine": machine(torch.device("cpu")),
    }
    write_results("nearest", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
