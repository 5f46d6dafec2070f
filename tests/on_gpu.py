"""Trains, stops, resumes and scores on a GPU, in every precision that the trainer accepts.

    python tests/on_gpu.py

The tests run on a CPU; this is for a machine with a GPU. Each line tells what was done and whether
it is exact: a resumed run ends with the bits of the one that was not stopped, and ``evaluate``
repeats the scores of the run. Ends with exit code 1 if anything differs.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from interrupted import command, content, rows
from made import fill

from lightning_gans.cli.main import main as run

RING = ["GaussianRing"]
FOLDER = ["ImageFolder", "--data.path", "photos", "--data.image_size", "16"]
CASES = {
    **{
        p: (RING, ["--trainer.precision", p])
        for p in ("32-true", "bf16-mixed", "16-mixed", "64-true")
    },
    "compiled": (RING, ["--model.compile", "true"]),
    "images": (FOLDER, ["--trainer.deterministic", "true"]),
    "images, bf16-mixed": (
        FOLDER,
        ["--trainer.deterministic", "true", "--trainer.precision", "bf16-mixed"],
    ),
}


def quietly(arguments: list[str]) -> None:
    """Runs a command; shows what it printed only if it fails."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            run(arguments)
    except BaseException:
        print(said.getvalue()[-3000:])
        raise


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Returns the places in which two checkpoints differ."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        if torch.equal(one, other):
            return []
        return [f"{where} by {(one.double() - other.double()).abs().max().item():.1e}"]
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return [d for k in one for d in differences(one[k], other.get(k), f"{where}/{k}")]
    if isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f"{where}/{i}")]
    return [] if one == other else [f"{where}: {one} and {other}"]


def check(name: str) -> bool:
    """Runs one case in the working directory; returns whether all of it is exact."""
    data, more = CASES[name]
    arguments = command(2, data, 6, 4, *more)
    arguments[arguments.index("--trainer.max_steps") + 1] = "8"
    model = ["--model", "WDCGANGP"] if data is FOLDER else []
    if model:
        at = arguments.index("--model")
        del arguments[at : at + 4]
        arguments[at:at] = model
    quietly(arguments)
    start = Path("runs/half/version_0")
    shutil.copytree("runs/run/version_0", start)
    longer = ["--trainer.max_steps", "14"]
    quietly(["fit", "--ckpt_path", str(start / "checkpoints" / "last.ckpt"), *longer])
    begun = time.perf_counter()
    whole = [*arguments, "--name", "whole", *longer]
    quietly(whole)
    seconds = time.perf_counter() - begun
    folders = start, Path("runs/whole/version_0")
    states = [content(folder / "checkpoints" / "last.ckpt") for folder in folders]
    for state in states:
        state.pop("config")
    found = differences(*states)
    trained = [[row for row in rows(f) if row["train/loss_d"]] for f in folders]
    if trained[0] != trained[1]:
        found.append("metrics.csv")
    quietly(["evaluate", "--ckpt_path", str(folders[1] / "checkpoints" / "last.ckpt")])
    scores = json.loads(Path("scores.json").read_text())["scores"]
    if scores != json.loads((folders[1] / "run.json").read_text())["scores"]:
        found.append("scores of evaluate")
    print(
        f"{name}: {'exact' if not found else found[:4]}, 14 updates in {seconds:.1f} s", flush=True
    )
    return not found


def main() -> None:
    """Runs all cases."""
    if not torch.cuda.is_available():
        sys.exit("there is no GPU")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    good = True
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            fill("photos", 60, (16, 16))
            good &= check(name)
            os.chdir("/")
    sys.exit(not good)


if __name__ == "__main__":
    main()
