"""``lightning-gans evaluate``: every score that fits the data, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_gans.callbacks import Evaluation
from lightning_gans.callbacks.drawing import beside_neighbours, save_picture
from lightning_gans.cli.commands.opening import writing
from lightning_gans.cli.commands.refining import refiner_of, say_refined
from lightning_gans.cli.places import check_out
from lightning_gans.cli.scores import LATEST, refuse_links, write_scores
from lightning_gans.cli.screen import say
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
    neighbours: bool = False,
    truncation: float | None = None,
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
        neighbours: whether samples are compared with all training images, too. The picture of the
            nearest ones goes into ``figures/neighbours.png`` of the run folder, or with ``out``
            into ``<its name>_neighbours.png`` beside it.
        truncation: psi, see `lightning_gans.sampling.truncate`. The scores are not those of the
            whole distribution then: they go to ``scores_truncated.json`` alone.
        refine: how latents are chosen, see `lightning_gans.sampling`. The scores are not the
            generator's own then: they go to ``scores_<refine>.json`` alone, with both to
            ``scores_<refine>_truncated.json``.
        settings: of that.

    Raises:
        InputError: if an argument cannot be used; nothing has been written then.
    """
    refiner = refiner_of(refine, settings or {})
    with explained():
        folder = folder_of(checkpoint_in(ckpt_path))
    changed = [refine] if refine else []
    changed += [] if truncation is None else ["truncated"]
    if out is None and changed:
        out = (folder or Path()) / f"scores_{'_'.join(changed)}.json"
        refuse_links(out)
    elif out is None and folder is None:
        out = Path(LATEST)
    if out is not None:
        check_out(out, ".json")
    picture = _place_of_picture(out, folder) if neighbours else None
    command = "test" if split == "test" else "validate"
    imports = [part for name in allow for part in ("--import", name)]
    arguments = [command, "--ckpt_path", str(ckpt_path), *imports, *flags]
    cli = run(
        arguments,
        keeps_scores=out is None,
        refiner=refiner,
        truncation=truncation,
        looks_for_copies=neighbours,
    )
    assert cli is not None
    if cli.refining is not None and cli.refining.refinement is not None:
        say_refined(cli.refining.refinement)
    if out is not None and cli.scored is not None:
        with writing(out):
            write_scores(cli.scored, out)
    if picture is not None and cli.scored is not None:
        _draw_neighbours(cli.evaluation, picture)


def _place_of_picture(out: Path | None, folder: Path | None) -> Path:
    """Returns where the picture of neighbours goes: beside the scores, or among the run's figures.

    Raises:
        InputError: if it cannot be written there.
    """
    if out is not None:
        path = out.with_name(f"{out.stem}_neighbours.png")
    else:
        assert folder is not None
        path = folder / "figures" / "neighbours.png"
        refuse_links(path.parent)
    refuse_links(path)
    check_out(path, ".png")
    return path


def _draw_neighbours(evaluation: Evaluation, path: Path) -> None:
    """Draws generated images beside the nearest training images, for each comparison."""
    for name, metric in evaluation.training_neighbours().items():
        if metric.shown is None:
            say("no picture of neighbours: the generator makes values that are not finite")
            continue
        place = path.with_stem(f"{path.stem}_{name}") if name else path
        with writing(place):
            save_picture(beside_neighbours(*metric.shown), place)
