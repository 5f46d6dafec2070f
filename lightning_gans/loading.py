"""Opening a run, a checkpoint or an export without naming the class of its model."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from lightning_gans.core.checkpointing import (
    AVERAGE_KEY,
    RECORD_KEY,
    CheckpointedModule,
    has_record,
    read_checkpoint,
    trusting,
)
from lightning_gans.core.exports import is_export, read_export
from lightning_gans.core.gan import GAN
from lightning_gans.core.trust import Trust
from lightning_gans.errors import one_line
from lightning_gans.finding import checkpoint_in

__all__ = ["load", "load_trusting"]


def load(
    path: str | os.PathLike[str],
    *,
    averaged: bool = True,
    allow: Iterable[str | type] = (),
    **arguments: Any,
) -> GAN:
    """Returns the model of a run, a checkpoint or an export, on the CPU, in evaluation mode.

    The model of an export has the weights of the networks that were exported, such as the
    generator; its other networks are untrained. A model that is no `GAN` is returned as its own
    class all the same.

    No code is run that the file brings along: it may name the networks, priors, losses,
    regularizers, augmentations, optimizers and schedulers of this package and of PyTorch, and your
    own classes if you allow them.

    Args:
        path: a checkpoint, a safetensors file made by ``lightning-gans export``, or a run: its
            folder (``runs/gan_ring/version_0``), the folder of all runs of a name
            (``runs/gan_ring``), or just the name (``gan_ring``), which is looked up in ``runs``.
            A name stands for its newest run, and a run for its ``best.ckpt``, or for
            ``last.ckpt`` if there is no best checkpoint.
        averaged: give the generator its averaged weights, if the checkpoint has any.
        allow: classes of your own that the file may name, or names of packages with such classes.
        arguments: constructor arguments that win over the saved ones. Networks that were handed
            to the constructor as objects, and objects of classes that are not of this package, are
            not in the checkpoint and have to be given here.

    Raises:
        FileNotFoundError: if there is no such file and no run with a checkpoint.
        ValueError: if the file is not a checkpoint of this package, names a class that is not
            allowed, or an argument is missing.
    """
    file = checkpoint_in(Path(path))
    return load_trusting(trusting(allow), file, averaged=averaged, **arguments)


def load_trusting(
    trust: Trust, path: str | os.PathLike[str], *, averaged: bool = True, **arguments: Any
) -> GAN:
    """Returns the model of a checkpoint: as `load`, of a file.

    Args:
        trust: what the file may name, and how a user allows it more.
        path: the file.
        averaged: as in `load`.
        arguments: as in `load`.

    Raises:
        FileNotFoundError: as `load`.
        ValueError: as `load`.
    """
    exported = Path(path).is_file() and is_export(path)
    saved = read_export(path) if exported else read_checkpoint(path)
    if not has_record(saved):
        raise ValueError(f"{path} was not exported by lightning_gans.")
    model = cast("GAN", _saved_class(saved, path, trust)._rebuilt(saved, path, arguments, trust))
    try:
        average = saved.get("callbacks", {}).get(AVERAGE_KEY)
        for name in model.averaged if averaged and average is not None else ():
            getattr(model, name).load_state_dict(average[name])
    except Exception as error:  # what a damaged file leads to is anyone's guess
        reason = one_line(str(error))
        raise ValueError(f"{path}: its averaged generator is damaged: {reason}") from error
    return model.eval()


def _saved_class(
    saved: dict[str, Any], path: str | os.PathLike[str], trust: Trust
) -> type[CheckpointedModule]:
    """Returns the class of a checkpoint or an export."""
    try:
        return trust.find(saved[RECORD_KEY]["class_path"], CheckpointedModule, "model")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
