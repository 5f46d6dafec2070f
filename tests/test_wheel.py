"""The wheel, built and installed where nothing of the checkout is in reach."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
IN_TURN = """
import json, sys
import datamodules, lightning_gans
from lightning_gans.cli.main import main
print(lightning_gans, datamodules)
for command in json.loads(sys.argv[1]):
    main(command)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_the_packages_and_the_configurations_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"lightning_gans", "datamodules"}
    configs = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert {f"lightning_gans/configs/{name}" for name in configs} <= names
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources | {
        f"lightning_gans/configs/{name}" for name in configs
    }
    assert {"lightning_gans/py.typed", "datamodules/py.typed"} <= names


def test_it_trains_samples_and_exports_from_another_folder(wheel, tmp_path):
    """Its dependencies are borrowed from this environment, the checkout is not."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    (site,) = environment.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command):
        done = subprocess.run(
            [environment / "bin" / command[0], *command[1:]],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "wgan_gp_ring_tuned" in run("lightning-gans", "list")
    brief = ["--trainer.max_steps", "2", "--data.num_eval_samples", "32", "--data.batch_size", "8"]
    checkpoint = ["--ckpt_path", "runs/gan_ring"]
    commands = [
        ["fit", "--config", "gan_ring", *brief],
        ["sample", *checkpoint, "--out", "samples.npy"],
        ["export", *checkpoint],
    ]
    where, *_ = run("python", "-c", IN_TURN, json.dumps(commands)).splitlines()
    assert where.count(str(site)) == 2
    for made in ("runs/gan_ring/version_0/run.json", "samples.npy", "generator.safetensors"):
        assert (tmp_path / made).is_file()
