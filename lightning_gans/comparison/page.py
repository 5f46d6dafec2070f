"""One page of many runs, with all that it shows in it: no script and no request."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning_gans.comparison import sections, tables
from lightning_gans.comparison.beside import CACHE, NUMBERS, ROWS, check_beside
from lightning_gans.comparison.cells import Cell, cells_of
from lightning_gans.comparison.fragments import Fragments
from lightning_gans.comparison.markup import tag, text
from lightning_gans.comparison.pictures import curves, samples, weights
from lightning_gans.comparison.reading import FolderError, Run
from lightning_gans.comparison.summary import as_csv, summarized
from lightning_gans.errors import InputError, RunError
from lightning_gans.files import replacing

__all__ = ["draw"]

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
"""What a browser lets the page do: show pictures that are in it, in its own style."""


def draw(
    runs: Sequence[Run], out: Path, *, title: str, command: str, split: str = "validation"
) -> None:
    """Writes a page of some runs, and its numbers beside it: ``.json`` and ``.csv``.

    What takes long is kept in ``.cache.json``, and made again only for runs that have changed.

    Args:
        runs: of the same data; those that differ in their seeds only make a cell.
        out: the page, a ``.html`` file.
        title: its heading.
        command: that makes it again.
        split: whose scores are in the tables, "validation" or "test".

    Raises:
        InputError: if the runs cannot be compared, or the files beside the page are others;
            nothing has been written then.
        RunError: if a file cannot be written; the earlier page is kept.
    """
    if not runs:
        raise InputError("there are no runs to draw. Use folders such as runs/gan_ring/version_0.")
    if out.suffix not in (".html", ".htm") or out.is_dir():
        raise InputError(f"out: the page must be a .html file, got {out}.")
    check_beside(out)
    cells = cells_of(runs)
    fragments = Fragments(out.with_suffix(CACHE))
    try:
        known = [[cell.label, cell.identity, [_known(run) for run in cell.runs]] for cell in cells]
        summary = fragments.of("summary", [known, split], lambda: summarized(cells, split))
        page = _page(cells, summary, known, fragments, title, command)
    except FolderError as error:
        raise InputError(str(error)) from error
    data = {"title": title, "command": command, **summary}
    files = {
        out.with_suffix(NUMBERS): json.dumps(data, indent=2).encode() + b"\n",
        out.with_suffix(ROWS): as_csv(summary),
        out: page.encode(),
    }
    try:
        with ExitStack() as stack:
            for path, content in files.items():
                stack.enter_context(replacing(path)).write(content)
    except OSError as error:
        raise RunError(
            f"{out} could not be written: {error}. The page that was there before is kept."
        ) from error
    fragments.save()


def _known(run: Run) -> list[str]:
    return [str(run.folder), run.digest]


def _page(
    cells: Sequence[Cell],
    summary: Mapping[str, Any],
    known: Any,
    fragments: Fragments,
    title: str,
    command: str,
) -> str:
    first = cells[0].label
    parts = {
        ("scores", "Scores"): sections.about_scores(summary) + tables.mean_scores(summary),
        ("differences", f"Differences from {first}"): sections.differences(summary),
        ("curves", "Curves"): curves(cells, summary, known, fragments),
        ("samples", "Samples"): samples(cells, summary, fragments),
        ("weights", "Weights"): weights(cells, summary, fragments),
        ("failed", "Failed runs"): sections.failures(cells),
        ("settings", "What differs"): tables.differing(summary),
        ("runs", "All runs"): tables.every_run(cells),
        ("repeat", "How to repeat it"): tag("pre", text(command), tabindex="0"),
    }
    parts = {about: inner for about, inner in parts.items() if inner}
    links = [tag("li", tag("a", text(name), href=f"#{key}")) for key, name in parts]
    body = [
        tag("h1", text(title)),
        sections.head(cells, summary),
        sections.notes(cells),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        *(
            tag("section", tag("h2", text(name)), inner, id=key)
            for (key, name), inner in parts.items()
        ),
    ]
    return _html(title, body, _toggles(len(cells)))


def _html(title: str, body: Sequence[str], style: str) -> str:
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            tag("title", text(title)),
            tag("style", Path(__file__).with_name("page.css").read_text() + style),
            "</head>",
            tag("body", tag("main", "\n".join(body))),
            "</html>\n",
        ]
    )


def _toggles(number: int) -> str:
    """Returns the style rules of what chooses axes and cells."""
    hidden = [
        f"#curves:has(#over-{unit}:checked) .over:not(.over-{unit})" for unit in sections.UNITS
    ]
    hidden += [f"#curves:has(#show-{index}:not(:checked)) .c{index}" for index in range(number)]
    # The seeds of all cells are one picture.
    hidden.append("#curves:has(.controls input[type=checkbox]:not(:checked)) .seeds")
    return f"{','.join(hidden)}{{display:none}}"
