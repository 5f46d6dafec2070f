"""The modules that classes of the user's own are in."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from lightning_gans.errors import InputError

__all__ = ["check_data_package", "import_modules", "look_here"]

DATA_PACKAGE = Path(__file__).parents[2] / "datamodules" / "__init__.py"
"""The data modules, which are installed beside this package."""


def check_data_package() -> None:
    """Refuses to take another package ``datamodules`` for that of the data modules.

    Raises:
        InputError: if Python finds another one first, such as beside a script that runs a command.
    """
    found = find_spec("datamodules")  # which does not import it
    assert found is not None
    assert found.origin is not None
    if not DATA_PACKAGE.samefile(found.origin):
        raise InputError(
            f"{found.origin} hides the package datamodules that comes with lightning_gans. Use "
            "another name, or remove the file if it is empty."
        )


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
