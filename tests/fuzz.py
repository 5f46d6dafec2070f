"""Files that chance has changed, and what opening them may come to."""

import contextlib
import copy
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_gans import load
from lightning_gans.cli.main import main

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.just(2**62),  # what lies between may be had, and take all memory
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["torch.nn.Linear", "lightning_gans.WGAN", "os.system", "no.such.thing"]),
    st.lists(st.integers(-2, 9), max_size=3),
    st.dictionaries(st.text(max_size=6), st.integers(-2, 9), max_size=2),
    st.just({"class_path": "torch.nn.Linear", "init_args": {"in_features": 2}}),
)


BRIEF = [
    *("--name", "run", "--model", "GAN", "--data", "GaussianRing"),
    *("--data.num_eval_samples", "16", "--data.batch_size", "4"),
    *("--trainer.max_steps", "1", "--trainer.val_check_interval", "5"),
    *("--pictures.enabled", "false"),
]
"""A run that is over at once."""


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Cuts, overwrites, inserts or repeats a part of a file."""
    start = draw(st.integers(0, len(content)))
    size = draw(st.integers(0, 64))
    kind = draw(st.sampled_from(["cut", "overwrite", "insert", "repeat"]))
    if kind == "cut":
        return content[:start]
    if kind == "repeat":
        return content[: start + size] + content[start:]
    noise = draw(st.binary(min_size=size, max_size=size))
    rest = start if kind == "insert" else start + size
    return content[:start] + noise + content[rest:]


def places(state: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the paths to all entries of nested dicts."""
    found = [path] if path else []
    if isinstance(state, dict):
        for key, value in state.items():
            found += places(value, (*path, key))
    return found


@st.composite
def changed_entries(draw: st.DrawFn, state: dict[Any, Any]) -> dict[Any, Any]:
    """Replaces or deletes one to three entries of nested dicts."""
    state = copy.deepcopy(state)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(state)))
        inner = state
        for key in path:
            inner = inner[key]
        if draw(st.booleans()):
            inner[last] = copy.deepcopy(draw(PLAIN))
        else:
            del inner[last]
        if not state:
            break
    return state


def ends_of(
    cases: int, changed: st.SearchStrategy[Any], act: Callable[[Any], str], *, repeat: bool
) -> Counter[str]:
    """Returns how often each end came of what was done with changed things.

    Args:
        cases: how many, at least.
        changed: draws them.
        act: does something with one and returns what came of it.
        repeat: the same cases each time.
    """
    ends: Counter[str] = Counter()

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=repeat,
        suppress_health_check=list(HealthCheck),
    )
    @given(changed)
    def check(thing: Any) -> None:
        ends[act(thing)] += 1

    check()
    assert ends.total() >= cases
    return ends


def opens_bytes(content: bytes) -> str:
    """Opens a file with these bytes."""
    Path("changed").write_bytes(content)
    return opens_or_refuses(Path("changed"))


def opens_entries(state: object) -> str:
    """Opens a checkpoint with these entries."""
    torch.save(state, "changed.ckpt")
    return opens_or_refuses(Path("changed.ckpt"))


def opens_or_refuses(path: Path) -> str:
    """Opens a file; only the errors that `load` promises come through."""
    try:
        load(path)
    except ValueError:
        return "refused"
    return "opened"


def ended(*arguments: str) -> str:
    """Runs a command; only the exit codes 0 and 2 come through, and no other exception."""
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        try:
            main([*arguments])
        except SystemExit as end:
            code = end.code
        else:
            code = 0
    assert code in (0, 2), silence.getvalue()
    return "refused" if code else "done"


def parses_or_refuses(text: str) -> str:
    """Reads a configuration by the command line."""
    Path("changed.yaml").write_text(text)
    return ended("fit", "--config", "changed.yaml", "--print_config")


def runs_or_refuses(state: object, command: str) -> str:
    """Trains on from a checkpoint with these entries, or scores it."""
    torch.save(state, "changed.ckpt")
    more = ["--trainer.max_steps", "2"] if command == "fit" else []
    return ended(command, "--ckpt_path", "changed.ckpt", *more)
