"""Files and folders that are whole or not there."""

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lightning_gans.files import filling, replacing


def write_a_file() -> None:
    with replacing(Path("folder/made")) as file:
        file.write(b"new")


def write_a_folder() -> None:
    with filling(Path("folder/made")) as folder:
        (folder / "inside").write_bytes(b"new")


def is_interrupted(write: Callable[[], None], line: int) -> bool:
    """Writes, and is interrupted before the line of this number, if there are so many.

    What clears up after an error is let run: an interrupt there would be a second one.
    """
    passed = 0

    def interrupt(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if event == "line" and sys.exc_info()[0] is None:
            passed += 1
            if passed > line:
                raise KeyboardInterrupt
        return interrupt

    def begin(frame: FrameType, event: str, _: Any) -> Any:
        path = Path(frame.f_code.co_filename)
        return interrupt if path.name == "files.py" or "pathlib" in str(path) else None

    before = sys.gettrace()
    sys.settrace(begin)
    try:
        write()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("write", [write_a_file, write_a_folder])
def test_an_interrupt_at_any_line_leaves_nothing_half_written(write):
    for line in count():
        if not is_interrupted(write, line):
            break
        left = os.listdir("folder") if Path("folder").exists() else []
        assert left in ([], ["made"]), line
        if left:
            break
    assert line > 10
    assert os.listdir("folder") == ["made"]
