"""What takes long to make, kept for the next page of the same runs."""

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning_gans import __version__
from lightning_gans.files import replacing

__all__ = ["Fragments"]


class Fragments:
    """What has been made of the same inputs before, kept in a file.

    Args:
        path: the file; one that is damaged is as good as none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_bytes())
            self._found = found if isinstance(found, dict) else {}
        code = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
        self._code = [sha256(b"".join(code)).hexdigest(), __version__, version("matplotlib")]

    def of(self, kind: str, inputs: Any, make: Callable[[], Any]) -> Any:
        """Returns what is made of some inputs, as JSON holds it.

        Args:
            kind: of what is made.
            inputs: everything that decides it, as JSON can hold it.
            make: called if they are new.
        """
        key = sha256(json.dumps([self._code, kind, inputs]).encode()).hexdigest()
        if key not in self._used:
            new = key not in self._found
            self._used[key] = json.loads(json.dumps(make())) if new else self._found[key]
        return self._used[key]

    def save(self) -> None:
        """Keeps what was used, for the next page."""
        if self._used.keys() != self._found.keys():
            with suppress(OSError), replacing(self.path) as file:  # it saves time only
                file.write(json.dumps(self._used).encode())
