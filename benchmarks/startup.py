"""Times how soon the command line answers, and how soon training starts, beside bare imports.

    python benchmarks/startup.py run      # on an idle machine, about five minutes
    python benchmarks/startup.py table

Each command runs in a process of its own. The commands take turns, so that a machine that slows
down slows all of them down. The first round does not count: it brings the files into memory.
``fit`` is ended where its first update begins, when the run folder is made, the networks are built
and the first batch is drawn. Writes ``results/startup.json``: seconds on the clock, and seconds of
the processor, those of the kernel included.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from trained import ROOT, recorded, told, write_results

from lightning_gans.cli.environment import code_version, machine, versions

AT_FIRST_UPDATE = 77
"""Exit code of a run that has come to its first update."""
FIT = f"""
import os, sys
from lightning_gans.cli import main, mistakes

def check(arguments, check=mistakes.check):
    check(arguments)  # before PyTorch is imported, as always
    from lightning_gans.core.module import AdversarialModule
    AdversarialModule.training_step = lambda *arguments: os._exit({AT_FIRST_UPDATE})

mistakes.check = check
main.main(sys.argv[1:])
"""
"""``lightning-gans`` up to the first update."""
COMMAND = ("-m", "lightning_gans")
IMPORTS = "import lightning, torchmetrics, torch"
END = "; import os; os._exit(0)"
"""Ends a process as the first update does, without tidying up."""
BARE = f"`{IMPORTS}`"
TO_FIRST_UPDATE = "`lightning-gans fit --config gan_ring`, up to the first update"
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "`import torch`": (("-c", f"import torch{END}"), 0),
    BARE: (("-c", f"{IMPORTS}{END}"), 0),
    "`lightning-gans --version`": ((*COMMAND, "--version"), 0),
    "`lightning-gans list`": ((*COMMAND, "list"), 0),
    "`lightning-gans fit --help`": ((*COMMAND, "fit", "--help"), 0),
    "`lightning-gans fit --model.help WGANGP`": ((*COMMAND, "fit", "--model.help", "WGANGP"), 0),
    "the refusal of a misspelt config": ((*COMMAND, "fit", "--config", "gan_rign"), 2),
    TO_FIRST_UPDATE: (
        ("-c", FIT, "fit", "--config", "gan_ring", "--trainer.accelerator", "cpu"),
        AT_FIRST_UPDATE,
    ),
}
"""What follows ``python`` and the exit code, by what the table says."""


def timed(arguments: tuple[str, ...], expected: int) -> dict[str, float]:
    """Returns the seconds that a process takes, on the clock and of the processor.

    Args:
        arguments: of Python.
        expected: the exit code.

    Raises:
        RuntimeError: if the process ends with another one.
    """
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expected:
        raise RuntimeError(f"{arguments} ended with exit code {process.returncode}.")
    return {"clock": clock, "processor": usage.ru_utime + usage.ru_stime}


def run(repetitions: int) -> dict[str, Any]:
    """Returns the seconds of each repetition of each command."""
    load, _, _ = os.getloadavg()
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    for repetition in told(range(repetitions + 1), "turn"):
        for name, (arguments, expected) in COMMANDS.items():
            taken = timed(arguments, expected)
            if repetition > 0:
                seconds[name].append(taken)
    return {"load_before": load, "seconds": seconds}


def table(found: dict[str, Any]) -> list[str]:
    """Returns the rows of the table: medians, and how many times the bare imports they are."""
    rows = [
        "| command | seconds | relative to the imports (range) | "
        "processor seconds | relative to the imports (range) |",
        "|---|---|---|---|---|",
    ]
    bare = found["seconds"][BARE]
    for name, turns in found["seconds"].items():
        cells = [name]
        for kind in ("clock", "processor"):
            pairs = zip(turns, bare, strict=True)
            ratios = [ours[kind] / theirs[kind] for ours, theirs in pairs]
            cells.append(f"{median(turn[kind] for turn in turns):.2f}")
            cells.append(f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--repetitions", type=int, default=11)
    given = parser.parse_args()
    if given.action == "run":
        found = run(given.repetitions)
        found.update(machine=machine(torch.device("cpu")), versions=versions())
        found.update(commit=code_version())
        write_results("startup", found)
    print("\n".join(table(recorded("startup"))))


if __name__ == "__main__":
    main()
