"""Does what the README says, line by line, as a new user in a new environment: make readme.

The lines are read from the README, and one that nothing here knows is an error. Only training is
made short. pip downloads what is not in its cache, and an environment takes 6 GB in the folder for
temporary files.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import shown

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = "make demo DEMO_FLAGS='--trainer.max_steps 200'"
MADE_BY_DEMO = ("runs/wgan_gp_ring_tuned/version_0/figures/training.gif",)
MADE_BY_PROGRAM = ("lightning_logs/version_0/checkpoints/best.ckpt",)
RUN_ELSEWHERE = ("make test",)  # make test-all does more, and is run before a change lands


@dataclass(frozen=True)
class Step:
    """A command of the README.

    Attributes:
        command: as it is run here.
        place: "checkout", or "work", an empty folder at first.
        promised: the files that the README says it makes there, or in a folder below.
    """

    command: str
    place: str
    promised: tuple[str, ...] = ()


def steps() -> Iterator[Step]:
    """Yields what the README shows, in its order.

    Raises:
        ValueError: if a line or a block is unknown.
    """
    for language, text in shown.blocks(README):
        if language == "python":
            yield _program(text)
        elif language == "bash":
            lines = (line for line in text.splitlines() if line)
            yield from (known(line) for line in lines if not line.startswith(RUN_ELSEWHERE))
        else:
            raise ValueError(f"The README has a block of {language}, which is not run here.")
    for call in re.findall(r"`(lightning_gans\.\w+\(.+?\))`", README.read_text()):
        yield Step(f"python -c {shlex.quote(f'import lightning_gans; {call}')}", "work")


def _program(text: str) -> Step:
    short, number = re.subn(r"max_steps=\d+", "max_steps=20", text)
    if number != 1:
        raise ValueError("The program in the README has no max_steps that could be made short.")
    return Step(f"python -c {shlex.quote(short)}", "work", MADE_BY_PROGRAM)


def known(line: str) -> Step:
    """Returns how a line is run here.

    Raises:
        ValueError: if that is unknown.
    """
    command, _, comment = line.partition(" #")
    name, *words = shlex.split(command)
    if name == "lightning-gans":
        promised = tuple(re.findall(r"\w+\.(?:png|json)", comment))
        return Step(shlex.join([name, *shown.shrunk(words)]), "work", promised)
    if [name, *words[:1]] == ["pip", "install"]:
        return Step(command.strip(), "checkout")
    if command.strip() == "make demo":
        return Step(DEMO, "checkout", MADE_BY_DEMO)
    raise ValueError(f"Nothing here knows how to run this line of the README: {line}")


def main() -> None:
    """Runs the lines, and ends with an error at the first that fails."""
    clean = ("MAKEFLAGS", "MAKELEVEL", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if name not in clean}
    with TemporaryDirectory(prefix="readme_") as folder:
        checkout, work = Path(folder, "checkout"), Path(folder, "work")
        environment = Path(folder, "environment")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{variables['PATH']}"
        for step in steps():
            print(f"readme: {step.command}", flush=True)
            began, place = time.monotonic(), Path(folder, step.place)
            done = subprocess.run(["bash", "-c", step.command], cwd=place, env=variables)
            missing = [name for name in step.promised if not any(place.rglob(name))]
            if done.returncode != 0 or missing:
                sys.exit(f"readme: exit code {done.returncode}, missing files {missing}")
            print(f"readme: {time.monotonic() - began:.0f} s", flush=True)
            if step.command == DEMO:
                shutil.rmtree(checkout / ".venv")  # 6 GB, before the next


if __name__ == "__main__":
    main()
