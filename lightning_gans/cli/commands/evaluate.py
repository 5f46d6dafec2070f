"""``lightning-gans evaluate``: every score that fits the data, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_gans.cli.commands.opening import writing
from lightning_gans.cli.commands.refining import refiner_of, say_refined
from lightning_gans.cli.places import check_out
from lightning_gans.cli.scores import LATEST, refuse_links, write_scores
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
    refine: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Scores a checkpoint, prints the table and writes the scores.

    Args:
        ckpt_path: file or run folder.
        out: a ``.json`` file, in place of the files in the folder of the checkpoint's run; of a
            checkpoint outside any run ``scores.json``, if it is not given.
        split: "validation" or "test", the samples that are compared with.
        allow: modules with classes of the user's own.
        flags: further arguments, as for ``lightning-gans validate``.
        refine: how latents are chosen, see `lightning_gans.sampling`. The scores are not the
            generator's own then: they go to ``scores_<refine>.json`` alone.
        settings: of that.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    refiner = refiner_of(refine, settings or {})
    with explained():
        folder = folder_of(checkpoint_in(ckpt_path))
    if out is None and refiner is not None:
        out = (folder or Path()) / f"scores_{refine}.json"
        refuse_links(out)
    elif out is None and folder is None:
        out = Path(LATEST)
    if out is not None:
        check_out(out, ".json")
    command = "test" if split == "test" else "validate"
    imports = [part for name in allow for part in ("--import", name)]
    arguments = [command, "--ckpt_path", str(ckpt_path), *imports, *flags]
    cli = run(arguments, keeps_scores=out is None, refiner=refiner)
    assert cli is not None
    if cli.refining is not None and cli.refining.refinement is not None:
        say_refined(cli.refining.refinement)
    if out is not None and cli.scored is not None:
        with writing(out):
            write_scores(cli.scored, out)
