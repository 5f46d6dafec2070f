"""How many threads a run computes with on the CPU.

Threads wait for each other after every layer. Small networks win little by them, and lose most of
their speed where other programs keep the cores busy. The choice depends on the size of the
networks and never on timing: the number of threads changes the last bits of sums, and exact
resume with them.
"""

import json
import os
from math import ceil, prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightning_gans.errors import InputError

__all__ = [
    "available_cores",
    "check_threads",
    "choose_threads",
    "recorded_threads",
    "threads_of_environment",
    "use_threads",
]

WORTHWHILE = 2**24
"""Multiplications of a layer, on one batch, from which on several threads pay."""
MOST = 1024


def available_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Returns the cores that this process may use: those of its affinity and of its container.

    Args:
        quota: where Linux tells the share of the cores that a container has.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return max(1, min(cores, ceil(int(share) / int(period))))
    except (OSError, ValueError):  # there is no container, or no limit
        return cores


def check_threads(threads: int | None) -> None:
    """Refuses a number of threads that is out of range.

    Raises:
        InputError: if it is.
    """
    if threads is not None and not 1 <= threads <= MOST:
        raise InputError(f"threads must be from 1 to {MOST:,}, got {threads:,}.")


def recorded_threads(checkpoint: Path) -> int | None:
    """Returns the threads of the run that a checkpoint belongs to, if its record tells them."""
    try:
        record = json.loads((checkpoint.resolve().parent.parent / "run.json").read_bytes())
        threads = record["machine"]["threads"]
    except (OSError, RecursionError, ValueError, KeyError, TypeError):
        return None  # a damaged record is told of later
    return threads if type(threads) is int and 1 <= threads <= MOST else None


def threads_of_environment() -> int | None:
    """Returns the number that ``OMP_NUM_THREADS`` gives, if it is one."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    number = int(text) if text.isdecimal() and len(text) < 5 else 0
    return number if 1 <= number <= MOST else None


def choose_threads(model: nn.Module, data: Any, processes: int) -> int:
    """Returns one thread for small networks, and a process's share of the cores for large ones.

    Args:
        model: with all its networks.
        data: tells the samples of a batch and their shape.
        processes: of the run on this machine.
    """
    batch = getattr(data, "batch_size", 1)
    pixels = prod(tuple(getattr(data, "data_shape", None) or ())[1:])
    work = 0
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            work = max(work, batch * layer.weight.numel())
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # Half the sides of an image are typical of the layers with the most work.
            work = max(work, batch * layer.weight.numel() * max(1, pixels // 4))
    return max(1, available_cores() // processes) if work >= WORTHWHILE else 1


def use_threads(threads: int, processes: int) -> None:
    """Computes with some threads.

    Args:
        threads: of each process.
        processes: of the run on this machine. Those that Lightning starts read the environment,
            where it would put a number of its own.
    """
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)
