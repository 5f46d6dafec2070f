"""``lightning-gans evaluate``: every score that fits the data, as a table and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from lightning_gans.callbacks import Evaluation
from lightning_gans.cli.commands.opening import check_out, writing
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.cli.training import run
from lightning_gans.errors import InputError
from lightning_gans.files import replacing

__all__ = ["evaluate"]


def evaluate(
    ckpt_path: Path,
    out: Path,
    *,
    split: str = "validation",
    allow: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> None:
    """Scores a checkpoint, prints the table and writes the scores.

    Args:
        ckpt_path: file or run folder.
        out: a ``.json`` file.
        split: "validation" or "test", the samples that are compared with.
        allow: modules with classes of the user's own.
        flags: further arguments, as for ``lightning-gans validate``.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    check_out(out, ".json")
    command = "test" if split == "test" else "validate"
    imports = [part for name in allow for part in ("--import", name)]
    cli = run([command, "--ckpt_path", str(ckpt_path), *imports, *flags])
    assert cli is not None
    callbacks = cli.trainer.callbacks  # type: ignore[attr-defined]
    (evaluation,) = (c for c in callbacks if isinstance(c, Evaluation))
    if not cli.trainer.is_global_zero:
        return
    if not evaluation.scores:
        raise InputError("nothing was scored: the settings leave no samples or no metric.")
    found = {
        "checkpoint": cli.checkpoint,
        "model": type(cli.model).__name__,
        "data": type(cli.datamodule).__name__,
        "split": split,
        "samples": evaluation.num_samples,
        "scores": evaluation.scores,
        "floors": evaluation.floors,
        "commit": code_version(),
        "versions": versions(),
        "machine": machine(cli.trainer.strategy.root_device),
    }
    with writing(out), replacing(out) as target:
        target.write(json.dumps(found, indent=2).encode() + b"\n")
