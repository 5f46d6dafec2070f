"""Runs checks in turn, all in the same two processes: to start those takes longer than a check."""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

if __name__ == "__main__":
    torch.set_num_threads(1)
    root, *names = sys.argv[1:]
    for name in names:
        folder = Path(root, name)
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        import_module(f"distributed.{name}").main(folder)
        (folder / f"done{os.environ['LOCAL_RANK']}").touch()
