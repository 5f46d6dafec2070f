"""``lightning-gans evaluate``: every score that fits the data, as a table and as JSON."""

from collections.abc import Sequence
from pathlib import Path

from lightning_gans.cli.commands.opening import writing
from lightning_gans.cli.places import check_out
from lightning_gans.cli.scores import LATEST, write_scores
from lightning_gans.cli.training import run
from lightning_gans.finding import checkpoint_in, explained, folder_of

__all__ = ["evaluate"]


def evaluate(
    ckpt_path: Path,
    out: Path | None = None,
    *,
    split: str = "validation",
    allow: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> None:
    """Scores a checkpoint, prints the table and writes the scores.

    Args:
        ckpt_path: file or run folder.
        out: a ``.json`` file, in place of the files in the folder of the checkpoint's run; of a
            checkpoint outside any run ``scores.json``, if it is not given.
        split: "validation" or "test", the samples that are compared with.
        allow: modules with classes of the user's own.
        flags: further arguments, as for ``lightning-gans validate``.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    with explained():
        is_outside = folder_of(checkpoint_in(ckpt_path)) is None
    out = Path(LATEST) if out is None and is_outside else out
    if out is not None:
        check_out(out, ".json")
    command = "test" if split == "test" else "validate"
    imports = [part for name in allow for part in ("--import", name)]
    cli = run([command, "--ckpt_path", str(ckpt_path), *imports, *flags], keeps_scores=out is None)
    assert cli is not None
    if out is not None and cli.scored is not None:
        with writing(out):
            write_scores(cli.scored, out)
