"""The memory of a process."""

from pathlib import Path

__all__ = ["peak_memory", "resident_memory"]


def peak_memory() -> int:
    """Returns the greatest resident memory of this program so far, in bytes, as Linux tells it.

    ``getrusage`` would count what the process that started it had, too.
    """
    return _status("VmHWM:")


def resident_memory() -> int:
    """Returns the resident memory of this program, in bytes."""
    return _status("VmRSS:")


def _status(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(name)[2].split()[0]) * 2**10
