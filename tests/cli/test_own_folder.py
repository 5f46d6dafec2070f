"""A folder ``datamodules`` of the user's own, as many projects have one, does no harm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_gans.cli.main import main

CONSOLE = [str(Path(sys.executable).with_name("lightning-gans"))]
MODULE = [sys.executable, "-m", "lightning_gans"]
FIT = ["fit", "--config", "gan_ring", "--trainer.max_steps", "2", "--data.num_eval_samples", "32"]
RAISES = 'raise RuntimeError("the user\'s own module was imported")\n'


def make_folder(*, is_package):
    """Makes a package that raises when it is imported, or a folder with a module that does."""
    folder = Path("datamodules")
    folder.mkdir()
    (folder / "broken.py").write_text(RAISES)
    (folder / "mine.py").write_text("class Mine: pass\n")
    if is_package:
        (folder / "__init__.py").write_text(RAISES)


def run(*command, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("start", [CONSOLE, MODULE], ids=["console script", "python -m"])
@pytest.mark.parametrize("is_package", [True, False])
def test_lists_know_the_data_of_this_package(start, is_package, capsys):
    main(["list"])
    expected = capsys.readouterr().out
    make_folder(is_package=is_package)
    done = run(*start, "list")
    assert (done.stdout, done.stderr) == (expected, "")


@pytest.mark.slow
@pytest.mark.parametrize("start", [CONSOLE, MODULE], ids=["console script", "python -m"])
def test_training_reads_the_data_of_this_package(start):
    make_folder(is_package=True)
    done = run(*start, *FIT)
    assert done.returncode == 0, done.stderr
    assert "GAN on GaussianRing" in done.stdout
    assert Path("runs/gan_ring/version_0/checkpoints/last.ckpt").is_file()


BOTH = f"""
from datamodules import GaussianRing
from datamodules.mine import Mine
from lightning_gans.cli.main import main
assert GaussianRing.__module__ == "datamodules.synthetic"
main({FIT})
"""


@pytest.mark.slow
def test_a_script_beside_a_folder_without_init_finds_both():
    """Python prefers a package to a folder without ``__init__.py``, wherever it finds the two."""
    make_folder(is_package=False)
    Path("script.py").write_text(BOTH)
    done = run(sys.executable, "script.py")
    assert done.returncode == 0, done.stderr
    assert Path("runs/gan_ring/version_0/checkpoints/last.ckpt").is_file()


OWN_DATA = """
import sys
import torch
from lightning_gans import GAN, Trainer, load
from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures
model = GAN(data_shape=(2,))
trainer = Trainer(max_steps=1, accelerator="cpu", callbacks=[Checkpoint(dirpath="checkpoints")])
trainer.fit(model, torch.utils.data.DataLoader(torch.randn(8, 2), batch_size=8))
assert type(load("checkpoints/last.ckpt")) is GAN
assert "datamodules" not in sys.modules
from datamodules import GaussianRing
"""


@pytest.mark.slow
def test_a_script_beside_a_package_trains_on_its_own_data():
    """Python finds the package beside the script first, and says so where ours is imported."""
    make_folder(is_package=True)
    Path("datamodules/__init__.py").write_text("")
    Path("script.py").write_text(OWN_DATA)
    done = run(sys.executable, "script.py")
    assert done.returncode == 1
    end = f"cannot import name 'GaussianRing' from 'datamodules' ({Path.cwd()}/datamodules/"
    assert f"ImportError: {end}__init__.py)" in done.stderr


@pytest.mark.parametrize("arguments", [["list"], FIT, ["evaluate", "--ckpt_path", "runs/ring"]])
@pytest.mark.parametrize("file", ["datamodules/__init__.py", "datamodules.py"])
def test_what_hides_the_data_of_this_package_is_named(file, arguments):
    Path("datamodules").mkdir()
    Path(file).write_text(RAISES)
    Path("script.py").write_text(f"from lightning_gans.cli.main import main\nmain({arguments})\n")
    path = os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH")])])
    for done in (run(sys.executable, "script.py"), run(*CONSOLE, *arguments, PYTHONPATH=path)):
        assert done.returncode == 2
        assert done.stderr == (
            f"lightning-gans: error: {Path.cwd() / file} hides the package datamodules that "
            "comes with lightning_gans. Use another name, or remove the file if it is empty.\n"
        )
