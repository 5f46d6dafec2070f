"""What the README shows does what it says."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import readme_by_line
import shown
import torch

from lightning_gans import load
from lightning_gans.cli.catalogue import configs, configs_folder, variants
from lightning_gans.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "images.json").read_text())


def test_it_is_short_and_opens_with_the_demo_a_picture_and_a_table():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert len(re.findall(r"!\[|<img ", README)) <= 10
    for start in ("make demo", "make test", "![", "| "):
        assert next(i for i, line in enumerate(lines) if line.startswith(start)) < 40


def test_make_readme_knows_every_line_of_it():
    commands = [step.command for step in readme_by_line.steps()]
    assert [command.split()[0] for command in commands] == [
        *("make", "pip", "pip", "python"),
        *["lightning-gans"] * 6,
        "python",
    ]
    with pytest.raises(ValueError, match="how to run this line of the README: make coffee"):
        readme_by_line.known("make coffee")


def printed(target):
    """Returns what make would do for a target."""
    command = ["make", "--no-print-directory", "-n", target]  # also below another make
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_demo_says_what_it_installs_and_leaves_the_tools_out():
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, name)
    demo = printed("demo")
    assert re.match(r'echo "Installing PyTorch .* 6 GB', demo)
    assert "pip install --editable .\n" in demo
    assert "dev" not in demo
    assert "pip install --editable '.[dev]'\n" in printed("test")
    Path(".venv").mkdir()
    Path(".venv/installed").touch()
    assert "pip" not in printed("demo")
    assert printed("test").count("pip install") == 1


@pytest.mark.slow
def test_the_python_example_runs_as_it_stands():
    (example,) = shown.code(PAGES[0], "python")
    assert len([line for line in example.splitlines() if line]) == 10
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["samples"].shape == (64, 2)
    assert names["trainer"].global_step == 2000
    assert names["callbacks"][0].scores["w1"] < 0.5
    assert Path(names["trainer"].log_dir, "figures", "training.gif").is_file()


@pytest.mark.slow
def test_the_commands_run_one_after_the_other_as_they_stand(capsys):
    """Shrunk by flags: only whether they are accepted is of interest here."""
    lines = [line for block in shown.code(PAGES[0], "bash") for line in block.splitlines()]
    commands = [shlex.split(x, comments=True)[1:] for x in lines if x.startswith("lightning-gans")]
    assert len(commands) == 6
    for command in commands:
        main(shown.shrunk(command))
    assert "changed from the checkpoint: trainer.max_steps: 2 -> 4" in capsys.readouterr().out
    assert Path("samples.png").is_file()
    assert Path("runs/gan_ring/version_0/scores.json").is_file()
    assert Path("runs/compare/compare.csv").read_text().count("\n") == 7
    model = load("gan_ring")
    assert model.n_critic == 2
    best = load("runs/gan_ring/version_0/checkpoints/best.ckpt")
    assert all(map(torch.equal, model.parameters(), best.parameters()))


def test_the_collection_has_every_model_with_its_measured_score(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import photos
    import tasks

    results = RESULTS | {config: runs[0] for config, runs in tasks.of_configs().items()}
    results |= photos.of_configs()
    table = README.partition("## The collection")[2].partition("\nEvery model")[0]
    rows = re.findall(r"^\| .*\|$", table, re.MULTILINE)
    named = re.findall(r"`([A-Z]\w+)`", "".join(row.partition("<img")[0] for row in rows))
    assert sorted(named) == sorted(variants())
    measured = re.findall(r"`(\w+)`, (fd_\w+) ([\d.]+)", table)
    assert len(measured) >= table.count("<img")
    for config, name, score in measured:
        assert float(score) == round(results[config]["scores"][name], 2)
    points = tasks.recorded("synthetic")
    assert "`r3gan_grid_tuned`, all 25 modes in ten of ten runs" in table
    assert [run["scores"]["modes"] for run in points["r3gan_grid_tuned"]] == [25] * 10
    modes = re.findall(r"`(\w+_ring)` (\d)", table)
    assert len(modes) == 8
    for config, number in modes:
        assert [run["scores"]["modes"] for run in points[config]] == [int(number)]
    accuracies = re.findall(r"([\d.]+) with `(\w+)`", table)
    assert len(accuracies) == 2
    for accuracy, config in accuracies:
        scores = [run["scores"]["accuracy"] for run in tasks.of_configs()[config]]
        assert round(sum(scores) / 3, 3) == float(accuracy)
    digits = RESULTS["gan_mnist"]["floors"]["fd_digits"]
    objects = results["sngan_cifar10_small"]["floors"]["fd_objects"]
    text = f"real digits score {digits:.2f}, and real photos {objects:.2f}."
    assert text in " ".join(README.split())
    assert f"all {len(configs())} configs" in README


def test_every_link_into_the_repository_leads_somewhere():
    for document in PAGES:
        text = document.read_text()
        targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
        targets += re.findall(r'<img src="([^"]+)"', text)
        for target in targets:
            place, _, heading = target.partition("#")
            path = document.parent / place if place else document
            assert path.exists(), f"{document.name}: {target}"
            if heading:
                assert heading in headings(path), f"{document.name}: {target}"


def headings(page):
    """Returns the headings of a page as they stand in links."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in found]


def test_every_page_is_linked_from_the_readme_or_a_page_that_is():
    linked, found = [ROOT / "README.md"], set()
    while linked:
        page = linked.pop()
        found.add(page)
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", page.read_text()):
            path = (page.parent / target).resolve()
            if path not in found:
                linked.append(path)
    assert found >= {page.resolve() for page in PAGES}


def test_every_configuration_is_mentioned():
    documents = "".join(page.read_text() for page in PAGES)
    for path in configs_folder().glob("*.yaml"):
        assert path.stem in documents
