"""The worked examples under docs/examples run, shrunk by their arguments."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from made import fill

from lightning_gans.cli.main import main

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
ARGUMENTS = {
    "conditional.py": ["4", "64"],
    "discriminator_alone.py": ["400"],
    "own_array.py": ["4"],
    "own_images.py": ["photos", "2"],
    "own_loss.py": ["4", "64"],
    "own_metric.py": ["4"],
    "own_network.py": ["4"],
    "own_structure.py": ["4", "64"],
    "resume.py": ["4"],
}
APART = {"two_processes.py", "use_onnx.py"}
"""In processes of its own; run by a script."""


def run(name, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def commands(name, *arguments):
    """Returns the commands of a script, with its arguments in their places."""
    text = re.sub(r"\$\{1:-\d+\}", arguments[0], (EXAMPLES / name).read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith(("lightning-gans ", "python "))]


def test_every_example_is_listed_and_short():
    page = (EXAMPLES / "README.md").read_text()
    files = [path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".sh")]
    assert {path.name for path in files if path.suffix == ".py"} == {*ARGUMENTS, *APART}
    for path in files:
        assert f"]({path.relative_to(EXAMPLES)})" in page
        assert path.read_text().startswith("#")
        code = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        assert len(code) <= 40


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_example_runs(name, monkeypatch):
    fill("photos")
    arguments = ARGUMENTS[name]
    names = run(name, *arguments, monkeypatch=monkeypatch)
    assert names["updates"] == int(arguments[-1] if name == "own_images.py" else arguments[0])
    if "trainer" in names:
        assert names["trainer"].global_step == names["updates"]
    if name == "discriminator_alone.py":
        assert names["real"] > 0.8 > 0.2 > names["fake"]
    if name == "own_array.py":
        assert names["generated"].shape == (1000, 2)


def test_an_exported_generator_is_used_without_this_package(monkeypatch, capsys):
    fit, export, use = commands("export_onnx.sh", "2")
    main([*fit[1:], "--data.num_eval_samples", "32", "--pictures.enabled", "false"])
    main(export[1:])
    assert use[0] == "python"
    run(*use[1:], monkeypatch=monkeypatch)
    assert "16 samples of shape (2,)" in capsys.readouterr().out
    used = (EXAMPLES / "use_onnx.py").read_text()
    assert "lightning" not in used
    assert "import torch" not in used


def test_a_run_is_recorded_for_wandb_without_a_network(capsys):
    (fit,) = commands("wandb_offline.sh", "2")
    main([*fit[1:], "--data.num_eval_samples", "32", "--pictures.enabled", "false"])
    wandb.finish()  # as the end of the process does
    wandb.teardown()
    upload = (EXAMPLES / "wandb_offline.sh").read_text().splitlines()[-1].removeprefix("# ")
    assert upload in capsys.readouterr().out
    assert list(Path().glob(upload.split()[-1]))


@pytest.mark.slow
def test_the_example_of_two_processes_runs():
    command = [sys.executable, str(EXAMPLES / "two_processes.py"), "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 updates in 2 processes") == 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.sh")), ids=lambda path: path.name)
def test_every_script_is_valid_bash(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
