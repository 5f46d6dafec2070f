"""What made a result: the code, the versions and the machine."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

__all__ = ["code_version", "machine", "versions"]


def code_version() -> str | None:
    """Returns the commit of this package's code, if it runs from a checkout of git."""
    here = Path(__file__)

    def git(*arguments: str) -> str | None:
        result = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(here.parent), *arguments],
            capture_output=True,
            text=True,
        )
        return result.stdout.strip() if result.returncode == 0 else None

    try:
        if git("ls-files", "--error-unmatch", here.name) is None:
            return None
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "-uno")
    except OSError:
        return None
    return f"{commit} with changes" if commit and changes else commit


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide results."""
    packages = ("lightning-gans", "torch", "lightning", "torchmetrics", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def machine(device: torch.device) -> dict[str, Any]:
    """Returns what a program runs on, as it is written into records.

    Args:
        device: that it computes on.
    """
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return match[1] if match else platform.processor()
