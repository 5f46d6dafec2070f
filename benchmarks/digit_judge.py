"""Trains the classifier that generated digits are judged by, on MNIST.

    python benchmarks/digit_judge.py --data_dir data

Writes the weights and a record of how they were made beside ``lightning_gans/metrics/digits.py``.
The test images are looked at once, after the last epoch.
"""

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  its name everywhere

from datamodules import MNIST
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.metrics.digits import JUDGE_FILE, DigitJudge


def moved(images: Tensor) -> Tensor:
    """Returns images, (N, 1, 28, 28), each turned, scaled and shifted a little at random."""
    number = len(images)
    angle = (torch.rand(number) - 0.5) * math.radians(20)
    scale = 1 + (torch.rand(number) - 0.5) * 0.2
    shift = (torch.rand(number, 2) - 0.5) * 4 * 2 / 28
    rotation = (
        torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1) / scale[:, None]
    )
    matrix = torch.cat([rotation.view(-1, 2, 2), shift[:, :, None]], 2)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def accuracy(judge: DigitJudge, images: Tensor, labels: Tensor) -> float:
    """Returns the share of images that are classified rightly."""
    judge.eval()
    with torch.no_grad():
        decisions = torch.cat([judge(part / 255)[1].argmax(1) for part in images.split(1000)])
    return float((decisions == labels).double().mean())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=JUDGE_FILE)
    given = parser.parse_args()
    data = MNIST(given.data_dir)
    data.prepare_data()
    training, test = data.read_split(True), data.read_split(False)

    torch.manual_seed(given.seed)
    judge = DigitJudge()
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.01)
    batches = len(training) // given.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, given.lr, total_steps=given.epochs * batches
    )
    start = time.monotonic()
    for epoch in range(given.epochs):
        judge.train()
        order = torch.randperm(len(training))[: batches * given.batch_size]
        for rows in order.split(given.batch_size):
            logits = judge(moved(training.images[rows] / 255))[1]
            loss = F.cross_entropy(logits, training.labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {given.epochs}, last loss {float(loss):.4f}", flush=True)
    seconds = time.monotonic() - start

    save_file(judge.state_dict(), given.out)
    record = {
        "command": f"python benchmarks/digit_judge.py --epochs {given.epochs} --batch_size "
        f"{given.batch_size} --lr {given.lr} --seed {given.seed}",
        "trained_on": "the 60,000 training images of MNIST, turned, scaled and shifted at random",
        "test_accuracy": accuracy(judge, test.images, test.labels),
        "parameters": sum(parameter.numel() for parameter in judge.parameters()),
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        "seconds": round(seconds, 1),
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(torch.device("cpu")),
    }
    given.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"test accuracy {record['test_accuracy']:.4f}, {given.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
