"""What the README shows does what it says."""

import re
import shlex
import shutil
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from made import fill, make_digits

from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_python_example_runs_as_it_stands():
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line]) == 15
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["samples"].shape == (64, 2)
    assert names["trainer"].global_step == 1000
    assert names["callbacks"][0].scores["w1"] < 0.5
    assert Path(names["trainer"].log_dir, "figures", "training.gif").is_file()


def commands():
    """Returns the commands of the README after the program's name, comments removed."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    ours = [line for line in lines if re.match(r"(\.venv/bin/)?lightning-gans ", line)]
    return [shlex.split(line, comments=True)[1:] for line in ours]


@pytest.mark.slow
def test_the_commands_run_one_after_the_other_as_they_stand(capsys):
    """Shrunk by flags: they are of no interest here but for what they accept."""
    shutil.copytree(configs_folder(), "configs")
    np.save("points.npy", np.random.default_rng(0).normal(size=(100, 3)))
    Path("my_gan.py").write_text("from lightning_gans import GAN\n\nclass MyGAN(GAN): pass\n")
    make_digits("data")
    fill("photos")
    assert len(commands()) == 18
    for command in commands():
        shrunk = {
            "--trainer.val_check_interval": "2",
            "--pictures.every_n_updates": "0",
            "--data.num_eval_samples": "32",
        }
        going_on = "--ckpt_path" in command
        if command[:1] == ["fit"]:
            command = [c if c != "60000" else "4" for c in command]
            shrunk["--trainer.max_steps"] = "4" if going_on else "2"
            if "MNIST" in command or "photos" in command:
                shrunk["--data.batch_size"] = "4"
        else:
            shrunk = {}
        main([*command, *(part for flag in shrunk.items() for part in flag)])
    printed = capsys.readouterr().out
    assert printed.count("real beside generated samples") == 10
    assert "MNIST: 60 images to train on" in printed
    assert "changed from the checkpoint: trainer.max_steps: 2 -> 4" in printed
    for made in ("samples.png", "samples.npy", "way.gif", "scores.json", "generator.onnx"):
        assert Path(made).is_file()


def test_settings_in_the_table_are_accepted():
    """Those of all rows at once; what is a row's second choice comes with the next command."""
    rows = re.findall(r"^\| [a-zA-Z0-9&/' ]+ \| (`.*`) \|$", README, re.MULTILINE)
    choices = [re.findall(r"`(--[^`]+)`", row) for row in rows]
    assert sum(map(len, choices)) == 10
    run = ["fit", "--model", "GAN", "--data", "GaussianRing", "--print_config"]
    for flags in zip_longest(*choices, fillvalue=""):
        with pytest.raises(SystemExit) as done:
            main([*run, *shlex.split(" ".join(flags))])
        assert done.value.code == 0, flags


def test_every_link_into_the_repository_leads_somewhere():
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_configuration_is_mentioned():
    documents = README + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for path in configs_folder().glob("*.yaml"):
        assert path.stem in documents
