"""``lightning-gans compare``: trains configs with several seeds each, and draws their page."""

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from lightning_gans.cli.commands.budget import estimate
from lightning_gans.cli.commands.following import follow
from lightning_gans.cli.mistakes import check
from lightning_gans.cli.places import check_out
from lightning_gans.cli.request import check_name
from lightning_gans.cli.screen import say
from lightning_gans.cli.trials import Trials
from lightning_gans.comparison.beside import check_beside
from lightning_gans.comparison.engines import Engine, LocalEngine, SubmititEngine, visible_gpus
from lightning_gans.comparison.planning import Planned, State, cells_of, plan
from lightning_gans.comparison.reading import Run, read_run
from lightning_gans.comparison.running import Runner, number_of
from lightning_gans.comparison.sweeps import Sweep, parse_seeds, parse_settings, read_sweep
from lightning_gans.errors import InputError, RunError
from lightning_gans.finding import RUNS, run_in
from lightning_gans.progress import Work
from lightning_gans.terminal import console

__all__ = ["compare"]

SEEDS = (0, 1, 2)
"""If none are given."""
JOBS = 2
"""Runs at a time on this machine, if the number is not given."""
NAME = "compare"
"""Of a comparison that is given none."""
ROOT = "trainer.default_root_dir"
"""Key of the folder of all runs."""
PAGE = "compare.html"
MEMORY = "cells.json"
"""File in the folder of a comparison that keeps what its configs come to."""


def compare(
    configs: Sequence[str] = (),
    *,
    seeds: str | None = None,
    sweep: Path | None = None,
    settings: Sequence[str] = (),
    jobs: int | None = None,
    name: str = NAME,
    out: Path | None = None,
    max_hours: float | None = None,
    plan_only: bool = False,
    retry_failed: bool = False,
    only_draw: Sequence[Path] = (),
    engine: str = "local",
    slurm: Sequence[str] = (),
    allow: Sequence[str] = (),
    command: str = "",
) -> None:
    """Trains what is missing of a comparison, and draws its page.

    Args:
        configs: names or files.
        seeds: such as 0,1,2.
        sweep: file of settings to try with every config.
        settings: of all runs, as KEY=VALUE.
        jobs: runs at a time; 2 on this machine, and all on a cluster, if it is not given.
        name: of the comparison, and of its folder among the runs.
        out: the page; ``compare.html`` in that folder, if it is not given.
        max_hours: time after which the runs are stopped, to be resumed another time.
        plan_only: whether the commands of the missing runs are printed, and nothing is trained.
        retry_failed: whether runs that have failed before are resumed.
        only_draw: run folders to draw; nothing is trained then.
        engine: "local" or "slurm".
        slurm: parameters of the jobs, as KEY=VALUE.
        allow: modules with classes of the user's own.
        command: that does the same again, for the page.

    Raises:
        InputError: if something the user gave cannot be used; nothing has been trained then.
        RunError: if a run has failed, or is not finished in time.
    """
    if only_draw:
        trains = configs or seeds or sweep or settings or jobs or max_hours or retry_failed
        if trains or plan_only or slurm:
            raise InputError(
                "only-draw trains nothing. Leave out the configs and all flags except --out, "
                "--name and --import."
            )
        _draw([_run_at(path) for path in only_draw], out or Path(PAGE), name, command)
        return
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}.")
    if max_hours is not None and not 0 < max_hours < float("inf"):
        raise InputError(f"max-hours must be finite and above 0, got {max_hours:g}.")
    check_name(name)
    chosen = parse_settings(settings)
    root = Path(dict(chosen).get(ROOT, str(RUNS))) / name
    page = out or root / PAGE
    check_out(page, ".html")
    check_beside(page)
    place = _engine(engine, slurm)
    swept = Sweep() if sweep is None else read_sweep(sweep)
    numbers = _seeds(seeds, swept)
    fixed = tuple((key, value) for key, value in chosen if key != ROOT)
    cells = cells_of(configs, fixed, swept, allow)
    for cell in cells:
        check(["fit", *cell.flags])
    at_once = jobs or (None if place.outlives else JOBS)
    told = sys.stderr if plan_only else sys.stdout
    with _printing(plan_only), Trials(root / MEMORY) as trials:
        with Work("resolving the configs", len(cells), "cells") as work:
            resolved = [trials.config(cell, cells) for cell in work.over(cells)]
        states = {run: run.state() for run in plan(cells, resolved, numbers, root)}
        left = [run for run in states if _is_left(states[run], retry_failed)]
        print(_counts(states), file=told)
        if left and not place.outlives:
            print(estimate(trials, left, states, at_once or 1, max_hours), file=told)
    if plan_only:
        for run in left:
            print(shlex.join([*_program(), *run.command]))
        return
    runner = Runner(states, place, at_once, retries=retry_failed, tell=say)
    follow(runner, max_hours)
    try:
        _draw(_drawable(runner), page, name, command)
    except InputError as error:
        _conclude(runner)  # runs without scores may have failed, or been stopped before them
        raise RunError(f"no page was drawn: {error}") from error
    _conclude(runner)


@contextmanager
def _printing(commands: bool) -> Iterator[None]:
    """Shows progress elsewhere than on the standard output, if that is for a shell to run.

    Args:
        commands: whether it is.
    """
    console().stderr = commands
    try:
        yield
    finally:
        console().stderr = False


def _engine(name: str, slurm: Sequence[str]) -> Engine:
    """Returns where the runs train."""
    parameters = {}
    for text in slurm:
        key, equals, value = text.partition("=")
        if not (equals and key.isidentifier()):
            raise InputError(f"slurm must be KEY=VALUE, such as partition=gpu, got {text}.")
        try:
            found = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"slurm: {key} is not YAML: {value}. Use quotes inside.") from error
        if type(found) is int and not value.strip().lstrip("+-").isdecimal():
            found = value  # to YAML, 1:30:00 is the number 5400
        parameters[key] = found
    if name == "slurm":
        return SubmititEngine("slurm", parameters)
    if parameters:
        raise InputError("slurm: this is for jobs of a cluster. Use --engine slurm, too.")
    return LocalEngine(visible_gpus())


def _seeds(given: str | None, sweep: Sweep) -> tuple[int, ...]:
    if given is None:
        return sweep.seeds or SEEDS
    if sweep.seeds is not None:
        raise InputError("seeds: the sweep has seeds, too. Use only one of the two.")
    return parse_seeds(given)


def _is_left(state: State, retries: bool) -> bool:
    return state.status in ("new", "stopped") or (retries and state.status == "failed")


def _counts(states: Mapping[Planned, State]) -> str:
    """Returns how many runs there are, and how far they are."""
    numbers: Counter[str] = Counter(state.status for state in states.values())
    words = {
        "finished": "finished",
        "failed": "failed before",
        "running": "in training elsewhere",
        "stopped": "to resume",
        "new": "to begin",
    }
    parts = [f"{numbers[status]} {text}" for status, text in words.items() if numbers[status]]
    cells = len({run.cell for run in states})
    return f"{number_of(len(states), 'run')} of {number_of(cells, 'cell')}: {', '.join(parts)}"


def _program() -> list[str]:
    """Returns how this program is called in a shell."""
    script = shutil.which("lightning-gans")
    return ["lightning-gans"] if script else [sys.executable, "-m", "lightning_gans"]


def _drawable(runner: Runner) -> list[Run]:
    """Returns the runs that there is something to show of, cell by cell."""
    found = []
    for run, state in runner.states.items():
        reason = runner.failed.get(run)
        if state.folder is not None:
            drawn = _run_in(state.folder)
        elif reason is not None:  # before its first update: it has left a log only
            drawn = Run(
                folder=run.home,
                name=Path(run.cell.config).stem,
                config={**run.config, "seed_everything": run.seed},
                record={},
                status="failed",
                seed=run.seed,
                updates=0,
                message=reason,
                parent=None,
            )
        else:
            continue
        found.append(drawn if reason is None else replace(drawn, status="failed", message=reason))
    return found


def _run_in(folder: Path) -> Run:
    """Returns the run of a folder.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return read_run(folder)
    except ValueError as error:
        raise InputError(str(error)) from error


def _run_at(path: Path) -> Run:
    """Returns the run that a path or a name stands for.

    Raises:
        InputError: if there is none, or it is damaged.
    """
    try:
        return _run_in(run_in(path))
    except FileNotFoundError as error:
        raise InputError(f"only-draw: {error}") from error


def _draw(runs: Sequence[Run], page: Path, title: str, command: str) -> None:
    """Draws the page, and says where it is."""
    from lightning_gans.comparison.page import draw  # takes a while, which a plan need not wait

    if not runs:
        raise RunError("no run has begun, so there is no page to draw.")
    with Work("drawing the page"):
        draw(runs, page, title=title, command=command)
    say(f"the page: {page}")


def _conclude(runner: Runner) -> None:
    """Ends a comparison that has not come to its end with an error."""
    left = len(runner.states) - runner.finished - len(runner.failed)
    if left:
        raise RunError(f"time is up with {runner}. The same command resumes the others.")
    if runner.failed:
        number = f"{len(runner.failed)} of {number_of(len(runner.states), 'run')}"
        raise RunError(f"{number} failed. Use --retry-failed to resume what failed.")
