"""Trains the classifier that generated photos are judged by, on CIFAR-10 in folders by class.

    python benchmarks/object_judge.py --photos photos

Writes the weights and a record of how they were made beside
``lightning_gans/metrics/objects.py``. The images that an `ImageFolder` holds out are looked at
once, after the last epoch. It takes about 45 minutes of one core with bfloat16 instructions. If it
was stopped, the same command resumes it.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  its name everywhere
from trained import ROOT

from datamodules import ImageFolder
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.metrics.objects import OBJECT_JUDGE_FILE, ObjectJudge

HELD_OUT = 5_000
STATE = ROOT / "runs" / "object_judge.pt"
"""Where the state of training is kept until it ends."""


def moved(images: Tensor, margin: int = 4, hole: int = 8) -> Tensor:
    """Returns images, (N, 3, H, W), each mirrored or not, shifted, and with a grey square."""
    number, _, height, width = images.shape
    images = torch.where(torch.rand(number, 1, 1, 1) < 0.5, images.flip(3), images)
    padded = F.pad(images, [margin] * 4, mode="reflect")
    sides = torch.arange(height), torch.arange(width)
    rows, columns = (torch.randint(0, 2 * margin + 1, (number, 1)) + side for side in sides)
    images = padded[torch.arange(number)[:, None, None], :, rows[:, :, None], columns[:, None]]
    low, left = torch.randint(0, height, (number, 1)), torch.randint(0, width, (number, 1))
    in_rows = (sides[0] - low).abs() < hole // 2
    in_columns = (sides[1] - left).abs() < hole // 2
    covered = in_rows[:, :, None] & in_columns[:, None]
    return images.masked_fill(covered[..., None], 0.5).movedim(-1, 1)


def accuracy(judge: ObjectJudge, images: Tensor, labels: Tensor) -> float:
    """Returns the share of images that are classified rightly."""
    judge.eval()
    with torch.no_grad():
        decisions = torch.cat([judge(part / 255)[1].argmax(1) for part in images.split(500)])
    return float((decisions == labels).double().mean())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True, help="CIFAR-10, a folder for each class")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OBJECT_JUDGE_FILE)
    given = parser.parse_args()
    data = ImageFolder(given.photos, 32, cache=True)
    data.setup()
    training = data.training
    test = [data.held_out[0], data.held_out[2]]
    labels = training.labels
    assert labels is not None
    assert sum(len(rows) for _, rows in test) == HELD_OUT

    torch.manual_seed(given.seed)
    judge = ObjectJudge().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        judge.parameters(), given.lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    batches = len(training) // given.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, given.lr, total_steps=given.epochs * batches, pct_start=0.2
    )
    settings = (given.epochs, given.batch_size, given.lr, given.seed)
    parts = {"judge": judge, "optimizer": optimizer, "schedule": schedule}
    done, seconds = 0, 0.0
    if STATE.exists():
        state = torch.load(STATE)
        if state["settings"] != settings:
            raise SystemExit(f"{STATE} has other settings: {state['settings']}. Delete it first.")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        done, seconds = state["done"], state["seconds"]
    for epoch in range(done, given.epochs):
        start = time.process_time()
        judge.train()
        order = torch.randperm(len(training))[: batches * given.batch_size]
        for rows in order.split(given.batch_size):
            images = moved(training.read(rows) / 255)
            with torch.autocast("cpu", torch.bfloat16):
                logits = judge(images.contiguous(memory_format=torch.channels_last))[1]
            loss = F.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds += time.process_time() - start
        print(f"epoch {epoch + 1} of {given.epochs}, last loss {float(loss):.4f}", flush=True)
        states = {name: part.state_dict() for name, part in parts.items()}
        kept = {"done": epoch + 1, "seconds": seconds, "settings": settings, **states}
        STATE.parent.mkdir(exist_ok=True)
        torch.save({**kept, "random": torch.get_rng_state()}, STATE.with_suffix(".new"))
        os.replace(STATE.with_suffix(".new"), STATE)

    save_file({k: v.contiguous() for k, v in judge.state_dict().items()}, given.out)
    images = torch.cat([source.read(rows) for source, rows in test])
    truth = torch.cat([source.labels[rows] for source, rows in test])
    record = {
        "command": f"python benchmarks/object_judge.py --epochs {given.epochs} --batch_size "
        f"{given.batch_size} --lr {given.lr} --seed {given.seed}",
        "trained_on": "45,000 of the training photos of CIFAR-10, as JPEG files, mirrored, "
        "shifted and with a square covered, at random; in bfloat16",
        "held_out_accuracy": accuracy(judge, images, truth),
        "held_out": len(truth),
        "parameters": sum(parameter.numel() for parameter in judge.parameters()),
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        "cpu_seconds": round(seconds, 1),
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(torch.device("cpu")),
    }
    given.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    STATE.unlink()
    print(f"accuracy {record['held_out_accuracy']:.4f}, {given.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
