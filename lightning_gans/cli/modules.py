"""The modules that classes of the user's own are in."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lightning_gans.errors import InputError

__all__ = ["import_modules", "look_here"]


def look_here() -> None:
    """Lets Python find the user's own classes in the working directory, behind all else.

    The folder may be a download with a torch.py in it, or with a package that another one would
    import if it was there: so this is done only if the user names classes.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def import_modules(names: Sequence[str]) -> None:
    """Imports the modules that classes of the user's own are in.

    Raises:
        InputError: if there is no such module.
    """
    for name in names:
        look_here()
        try:
            import_module(name)
        except Exception as error:  # whatever the module does
            raise InputError(f"import: {name!r} cannot be imported: {error}.") from error
