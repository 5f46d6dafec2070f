"""What the README shows does what it says."""

import json
import re
import shlex
from pathlib import Path

import pytest

from lightning_gans.cli.catalogue import configs, configs_folder, variants
from lightning_gans.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "images.json").read_text())


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_it_is_short_and_opens_with_the_demo_a_picture_and_a_table():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert len(re.findall(r"!\[|<img ", README)) <= 10
    for start in ("make demo", "make test", "![", "| "):
        assert next(i for i, line in enumerate(lines) if line.startswith(start)) < 40


@pytest.mark.slow
def test_the_python_example_runs_as_it_stands():
    (example,) = blocks("python")
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
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(x, comments=True)[1:] for x in lines if x.startswith("lightning-gans")]
    assert len(commands) == 5
    for command in commands:
        if command[0] == "fit":
            steps = "4" if "--ckpt_path" in command else "2"
            command = [part if part != "60000" else steps for part in command]
            command += ["--trainer.max_steps", steps, "--trainer.val_check_interval", "2"]
            command += ["--pictures.every_n_updates", "0", "--data.num_eval_samples", "32"]
        main(command)
    assert "changed from the checkpoint: trainer.max_steps: 2 -> 4" in capsys.readouterr().out
    assert Path("samples.png").is_file()
    assert Path("scores.json").is_file()


def test_the_collection_has_every_model_with_its_measured_score():
    rows = re.findall(r"^\| .*<img .*\|$", README, re.MULTILINE)
    named = re.findall(r"`(\w*GAN\w*)`", "".join(row.rpartition("<img")[0] for row in rows))
    assert sorted(named) == sorted(variants())
    for row in rows:
        config, score = re.search(r"`(\w+)`, fd_digits ([\d.]+) \|$", row).groups()
        assert float(score) == round(RESULTS[config]["scores"]["fd_digits"], 2)
    assert f"real digits score\n{RESULTS['gan_mnist']['floors']['fd_digits']:.2f}" in README
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
