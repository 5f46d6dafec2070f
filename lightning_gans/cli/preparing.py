"""The command ``lightning-gans prepare``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule

from lightning_gans.cli.parser import cause_of
from lightning_gans.cli.screen import say
from lightning_gans.errors import InputError

__all__ = ["DATA_HEADING", "prepare"]

DATA_HEADING = "The data (lightning-gans list shows the classes)"
"""In place of the beginning of Lightning's docstring."""


def prepare(arguments: list[str]) -> None:
    """Downloads and checks a dataset, for machines that train where there is no network.

    Args:
        arguments: the command line after ``prepare``.

    Raises:
        InputError: if the data is not complete in the end.
    """
    parser = ArgumentParser(prog="lightning-gans prepare", description="Get a dataset ready.")
    parser.exit_on_error = False
    parser.add_subclass_arguments(LightningDataModule, "data")
    (parser.groups or {})["data"].title = DATA_HEADING
    config = parser.parse_args(arguments)
    try:
        data = parser.instantiate_classes(config).data
    except (ValueError, TypeError, ImportError) as error:
        raise InputError(str(cause_of(error))) from error
    try:
        with _made(getattr(data, "data_dir", None)):
            data.prepare_data()
        data.setup("fit")
    except ValueError as error:
        raise InputError(str(error)) from error
    say(f"{type(data).__name__}: {_counted(getattr(data, 'training', None))}")


def _counted(training: Any) -> str:
    """Returns how many images there are to train on, of each kind if there are two."""
    if training is None:
        return "ready"
    if not isinstance(training, Mapping):
        return f"{len(training):,} images to train on"
    numbers = {name: len(source) for name, source in training.items()}
    counts = [f"{number:,} of kind {name}" for name, number in numbers.items()]
    return f"{' and '.join(counts)} to train on"


@contextmanager
def _made(folder: Path | None) -> Iterator[None]:
    """Makes the folder that data is downloaded into; a new one goes again if nothing is."""
    if folder is None or folder.exists():
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"data_dir: {folder} cannot be made: {error.strerror}.") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):  # another program may have begun in one of them
            for path in made:
                path.rmdir()
        raise
