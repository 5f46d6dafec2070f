"""What the pages under docs/ show does what they say."""

import os
import re
import shlex
import shutil
from importlib import import_module
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import shown
import yaml
from made import fill, make_digits
from shown import code

from lightning_gans.cli.catalogue import configs, configs_folder, variants
from lightning_gans.cli.main import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def commands(page):
    """Returns the commands of a page, those in its tables included."""
    found = [line for block in code(page, "bash") for line in block.splitlines()]
    found += re.findall(r"`(lightning-gans [^`]+)`", page.read_text())
    return [line for line in found if line.startswith("lightning-gans ")]


def write_examples():
    """Writes the modules that the pages name; each of docs/variants.md begins with its name."""
    for name, source in shown.sources().items():
        Path(f"{name}.py").write_text(source)
    Path("my_gan.py").write_text("from lightning_gans import GAN\n\nclass MyGAN(GAN): pass\n")


ENGLISH = [page for page in PAGES if ".zh." not in page.name]  # the others have the same commands


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_every_command_that_trains_is_understood(page, capsys):
    fill("photos")
    np.save("points.npy", np.zeros((30, 3)))
    write_examples()
    for line in commands(page):
        arguments = shlex.split(line, comments=True)[1:]
        if arguments[:1] != ["fit"] or "--ckpt_path" in arguments:
            continue
        if arguments[:-1] == ["fit", "--config"]:
            assert arguments[-1] in configs()  # each of which is trained from elsewhere
            continue
        if any(part.endswith("help") for part in arguments):
            main(arguments)
            assert capsys.readouterr().out.startswith("usage: lightning-gans fit ")
            continue
        if "--print_config" not in arguments:
            arguments.append("--print_config")
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 0, line
        capsys.readouterr()


@pytest.mark.slow
def test_the_commands_run_one_after_the_other_as_they_stand(capsys):
    """Shrunk by flags: only whether they are accepted is of interest here."""
    shutil.copytree(configs_folder(), "configs")
    np.save("points.npy", np.random.default_rng(0).normal(size=(100, 3)))
    write_examples()
    make_digits("data", test=100)
    fill("photos")
    lines = [line for block in code(DOCS / "commands.md", "bash") for line in block.splitlines()]
    assert len(lines) == 33
    for line in lines:
        command = shlex.split(line, comments=True)[1:]
        if command[:1] == ["fit"] and {"MNIST", "photos"} & {*command}:
            command += ["--data.batch_size", "4"]
        if "--neighbours" in command:
            command += ["--data.num_eval_samples", "100"]  # of fewer there is no percentile
        if command[:1] == ["diff"]:
            with pytest.raises(SystemExit, match="1"):
                main(command)
            continue
        main(shown.shrunk(command))
    printed = capsys.readouterr().out
    assert printed.count("real beside generated samples") == 11
    assert "MNIST: 60 images to train on" in printed
    assert "changed from the checkpoint: trainer.max_steps: 2 -> 4" in printed
    assert "new run, forked from runs/gan_ring/version_0/checkpoints/last.ckpt" in printed
    for made in ("samples.png", "samples.npy", "way.gif", "generator.onnx"):
        assert Path(made).is_file()
    assert Path("runs/wdcgangp_mnist/version_0/scores.json").is_file()


def test_settings_in_the_table_are_accepted():
    """Those of all rows at once; what is a row's second choice comes with the next command."""
    page = (DOCS / "commands.md").read_text()
    rows = re.findall(r"^\| [a-zA-Z0-9&/' ]+ \| (`.*`) \|$", page, re.MULTILINE)
    choices = [re.findall(r"`(--[^`]+)`", row) for row in rows]
    assert sum(map(len, choices)) == 11
    run = ["fit", "--model", "GAN", "--data", "GaussianRing", "--print_config"]
    for flags in zip_longest(*choices, fillvalue=""):
        with pytest.raises(SystemExit) as done:
            main([*run, *shlex.split(" ".join(flags))])
        assert done.value.code == 0, flags


def test_the_gallery_and_the_benchmarks_show_the_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gallery

    pages = dict(gallery.written())
    assert list(pages) == ["gallery.md", "benchmarks.md"]
    for name, text in pages.items():
        assert text == (DOCS / name).read_text(), "run python benchmarks/gallery.py"
    for config in configs():
        assert f"| `{config}`<br>" in pages["gallery.md"]
    assert gallery.papers().keys() == variants().keys()


@pytest.mark.parametrize("name", ["refine", "few_images", "over_time", "photos"])
def test_the_table_of_an_experiment_shows_its_results(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    experiment = import_module(name)
    page = experiment.PAGE.read_text()
    assert experiment.written() == page, f"run python benchmarks/{name}.py table"


def test_the_pages_show_what_was_measured_on_a_gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import networks

    for page, text in networks.written().items():
        assert text == page.read_text(), "run python benchmarks/networks.py table"


@pytest.mark.slow
def test_training_is_timed_up_to_its_first_update(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import startup

    fit, expected = startup.COMMANDS[startup.TO_FIRST_UPDATE]
    assert startup.timed(fit, expected)["processor"] > 0
    with pytest.raises(RuntimeError, match="ended with exit code 2"):
        startup.timed((*fit, "--model.n_critc", "2"), expected)


def test_the_jobs_for_clusters_are_understood(monkeypatch, capsys):
    fill("photos")
    jobs = [DOCS / "examples" / "slurm" / f"{name}.sh" for name in ("single", "seeds", "requeue")]
    torchrun, shown = code(DOCS / "clusters.md", "bash")[1:]
    assert shown == jobs[-1].read_text()
    for name, value in (("SLURM_NNODES", "2"), ("SLURM_ARRAY_TASK_ID", "3")):
        monkeypatch.setenv(name, value)  # not a whole job: Lightning would look for its machines
    scripts = "\n".join([torchrun, *(path.read_text() for path in jobs)]).replace("\\\n", " ")
    launched = re.findall(
        r"^(?:srun|torchrun) .*?(?:lightning-gans|lightning_gans) (.*)", scripts, re.M
    )
    assert len(launched) == 4
    for line in launched:
        with pytest.raises(SystemExit) as done:
            main([*shlex.split(os.path.expandvars(line)), "--print_config"])
        assert done.value.code == 0, line
        printed = yaml.safe_load(capsys.readouterr().out)
        assert printed["trainer"]["num_nodes"] == (2 if "num_nodes" in line else 1)
        assert printed["seed_everything"] == (3 if "ARRAY" in line else 0)


@pytest.mark.parametrize("name", [pytest.param("start.md", marks=pytest.mark.slow), "data.md"])
def test_the_examples_in_python_run_as_they_stand(name):
    names, updates = {}, []
    for example in code(DOCS / name, "python"):
        exec(compile(example, name, "exec"), names)
        updates.append(names["trainer"].global_step)
    assert updates == ([20, 10] if name == "data.md" else [200])


def test_the_gradient_of_a_gradient_is_what_the_page_says(capsys):
    (program,) = code(DOCS / "tutorials.md", "python")
    names = {}
    exec(program, names)
    said = re.findall(r"^print\(.*\)  # (.*)$", program, re.M)
    assert len(said) == 5
    assert capsys.readouterr().out.splitlines() == said
    assert names["w"].grad.tolist() == pytest.approx([14.4, 25.6])


BRIEF = "--trainer.max_steps 3 --pictures.enabled false"
ONE = "--data.num_eval_samples 32"
TWO = "--data.a.num_eval_samples 32 --data.b.num_eval_samples 32"


def test_what_is_shown_trains_and_is_opened_again(capsys):
    write_examples()
    *trained, sample, further = commands(DOCS / "variants.md")
    for line in trained:
        small = TWO if "UnpairedSources" in line else ONE
        main([*shlex.split(line)[1:], *small.split(), *BRIEF.split()])
    assert "ACGAN on GaussianRing" in capsys.readouterr().out
    main(shlex.split(sample)[1:])
    assert Path("samples.png").is_file()
    main([*shlex.split(further)[1:], "--trainer.max_steps", "4"])
    assert "resuming from" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["start", "tutorials"])
def test_both_languages_say_the_same(name):
    """As far as can be told: the same commands, headings, tables, code and links."""
    pages = (DOCS / f"{name}.md", DOCS / f"{name}.zh.md")
    english, chinese = ([line.split(" #")[0].strip() for line in commands(p)] for p in pages)
    assert english == chinese
    assert code(pages[0], "python") == code(pages[1], "python")

    def marks(page):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.DOTALL)
        links = re.findall(r"\]\(([^)]+)\)", text)
        return {
            "headings": re.findall(r"^#+", text, re.M),
            "rows": len(re.findall(r"^\|", text, re.M)),
            "code": sorted(re.findall(r"`([^`]+)`", text)),
            "links": sorted(link for link in links if not link.startswith(name)),
        }

    assert marks(pages[0]) == marks(pages[1])


def test_the_program_of_the_comparison_draws_the_runs_that_are_there():
    quick = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]
    quick += ["--data.num_eval_samples", "32", "--pictures.every_n_updates", "0"]
    for name in ("gan_ring", "lsgan_ring"):
        main(["fit", "--config", name, *quick])
    (program,) = code(DOCS / "compare.md", "python")
    exec(program, {})
    page = Path("compare.html").read_text()
    assert "gan_ring" in page
    assert "lsgan_ring" in page
    assert Path("compare.csv").read_text().count("\n") == 3
