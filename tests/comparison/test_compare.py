"""The command line of ``compare``: what it refuses, prints, trains and draws."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import until
from planned import PROGRAM, brief

from lightning_gans.callbacks import Evaluation
from lightning_gans.cli import trying
from lightning_gans.cli.commands import budget, following
from lightning_gans.cli.main import main
from lightning_gans.cli.mistakes import check
from lightning_gans.cli.trials import Trials
from lightning_gans.comparison import engines, running
from lightning_gans.errors import InputError
from lightning_gans.progress import Work

TINY = (
    *("gan_ring", "--set", "data.num_eval_samples=64", "--set", "data.batch_size=8"),
    *("--set", "pictures.enabled=false"),
)
SMALL = (*TINY, "--set", "trainer.max_steps=10")


@pytest.fixture
def quick(monkeypatch):
    """Resolves configs in this process, trains by ``brief_fit.py``, and returns what is drawn."""
    monkeypatch.setattr(engines, "PROGRAM", PROGRAM)
    monkeypatch.setattr(running, "PAUSE", 0.01)
    monkeypatch.setattr(running, "PATIENCE", 0.02)
    asked, drawn = [], []

    def ask(trials, cell, **more):
        asked.append(more["tries"])
        answer = trying._answer({"arguments": ["fit", *cell.flags], **more})
        if "config" in answer:
            Path("config.yaml").write_text(yaml.safe_dump(answer["config"]))
        if "refused" in answer:
            raise trying.InputError(answer["refused"])
        return answer

    def draw(runs, out, *, title, command):
        drawn.append(SimpleNamespace(runs=list(runs), out=out, title=title, command=command))

    monkeypatch.setattr(Trials, "_ask", ask)
    page = SimpleNamespace(draw=draw)
    monkeypatch.setitem(sys.modules, "lightning_gans.comparison.page", page)
    return SimpleNamespace(asked=asked, drawn=drawn)


@pytest.fixture
def untried(monkeypatch):
    """No rounds are tried."""
    monkeypatch.setattr(Trials, "cost", lambda *_, **__: None)


def end_of(arguments, code):
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    assert end.value.code == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "compare needs configs, such as: lightning-gans compare gan_ring wgan_ring"),
        (["gan_rin"], "there is no file and no configuration gan_rin: did you mean gan_ring?"),
        (["gan_ring", "wgan_ring", "gan_ring"], "gan_ring is given twice."),
        (["gan_ring", "--seeds", "0,0"], "seeds: 0 is given twice."),
        (["gan_ring", "--set", "seed_everything=1"], "Use --seeds."),
        (["gan_ring", "--jobs", "0"], "jobs must be at least 1, got 0."),
        (["gan_ring", "--jobs", "two"], "argument --jobs: it must be a whole number, got two"),
        (["gan_ring", "--max-hours", "0"], "max-hours must be finite and above 0, got 0."),
        (["gan_ring", "--max-hours", "nan"], "max-hours must be finite and above 0, got nan."),
        (["gan_ring", "--name", "a/b"], "name: it must be the name of a folder, got 'a/b'."),
        (["gan_ring", "--out", "page.pdf"], "out: the name must end in .html, got page.pdf."),
        (["gan_ring", "--engine", "cloud"], "invalid choice: 'cloud'"),
        (["gan_ring", "--slurm", "time=3"], "slurm: this is for jobs of a cluster."),
        (["gan_ring", "--slurm", "comment=a: b: c"], "slurm: comment is not YAML: a: b: c."),
        (["gan_ring", "--sweep", "none.yaml"], "sweep: none.yaml cannot be read"),
        (["gan_ring", "--trainer.max_steps", "3"], "compare does not know --trainer.max_steps 3"),
        (["gan_ring", "--only-draw", "x"], "only-draw trains nothing."),
        (["--only-draw", "x", "--plan-only"], "only-draw trains nothing."),
        (["--only-draw", "x", "--jobs", "2"], "only-draw trains nothing."),
        (["--only-draw", "runs/none"], "only-draw: There is no run folder at runs/none."),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    end_of(arguments, 2)
    printed = capsys.readouterr().err
    assert printed.startswith("lightning-gans: error: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert not Path("runs").exists()


def test_files_in_the_place_of_a_page_s_are_told_before_anything_is_trained(capsys):
    Path("scores.csv").write_text("mine")
    end_of(["gan_ring", "--out", "scores.html"], 2)
    assert (
        "out: scores.csv is there already, without a page, and scores.html would replace it. Use "
        "another name"
    ) in capsys.readouterr().err
    assert not Path("runs").exists()


def in_new_process(*lines):
    """Runs lines of Python that may call ``main``; returns the lines that they print."""
    script = "\n".join(["import sys, time", "from lightning_gans.cli.main import main", *lines])
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.splitlines()


def test_a_misspelt_setting_is_told_before_pytorch_is_imported():
    told = in_new_process(
        "for text in ('model.lr=1', 'data.batch_size=many', 'trainer.max_stps=3'):",
        "    try: main(['compare', 'gan_ring', '--set', text])",
        "    except SystemExit as end: assert end.code == 2",
        "assert 'torch' not in sys.modules",
    )
    assert [line.removeprefix("lightning-gans: error: ") for line in told] == [
        "model: GAN has no setting lr. Use --model.optimizer_g.lr and --model.optimizer_d.lr.",
        "data.batch_size must be a whole number, got many.",
        "there is no flag --trainer.max_stps: did you mean --trainer.max_steps?",
    ]


def sweep(**parameters):
    found = {key.replace("__", "."): {"values": values} for key, values in parameters.items()}
    Path("sweep.yaml").write_text(yaml.safe_dump({"method": "grid", "parameters": found}))
    return ("--sweep", "sweep.yaml")


def test_seeds_in_the_sweep_and_on_the_command_line_are_refused(capsys):
    end_of([*SMALL, *sweep(seed_everything=[0, 1]), "--seeds", "0,1"], 2)
    assert "seeds: the sweep has seeds, too. Use only one of the two." in capsys.readouterr().err


@pytest.mark.usefixtures("quick", "untried")
def test_cells_that_are_the_same_are_refused(capsys):
    end_of([*SMALL, *sweep(trainer__log_every_n_steps=[1, 2])], 2)
    assert (
        "gan_ring trainer.log_every_n_steps=1 and gan_ring trainer.log_every_n_steps=2 are the "
        "same cell"
    ) in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_cell_that_cannot_begin_is_refused_before_any_run(capsys):
    end_of([*SMALL, "--set", "model.prior.dim=0"], 2)
    assert "dim" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.usefixtures("quick", "untried")
def test_a_plan_is_the_commands_of_the_missing_runs(capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    arguments = [*SMALL, *sweep(model__n_critic=[1, 2], seed_everything=[4, 5]), "--plan-only"]
    shown = partial(Work, every_n_seconds=0.001)
    monkeypatch.setattr("lightning_gans.cli.commands.compare.Work", shown)
    main(["compare", *arguments])
    printed = capsys.readouterr()
    assert "resolving the configs: " in printed.err  # and not among the commands
    assert "4 runs of 2 cells: 4 to begin\n" in printed.err
    commands = [shlex.split(line) for line in printed.out.splitlines()]
    assert len(commands) == 4
    for number, words in enumerate(commands):
        assert words[:4] == ["lightning-gans", "fit", "--config", "gan_ring"]
        assert f"--model.n_critic={1 + number // 2}" in words
        assert f"--seed_everything={4 + number % 2}" in words
        assert words[-1] == "--ckpt_path=auto"
        check(words[1:])
    assert list(Path("runs/compare").glob("gan*")) == []


def test_a_comparison_trains_draws_and_has_nothing_left_then(quick, capsys):
    arguments = ["compare", *SMALL, "--seeds", "1,0", "--name", "mine"]
    main(arguments)
    printed = capsys.readouterr().out
    assert printed.startswith("2 runs of 1 cell: 2 to begin\n")
    assert re.search(r"\nabout 0:\d\d with 2 at a time, and 1.8\d MB of disk\n", printed)
    assert "(2 of 2 runs)\nthe page: runs/mine/compare.html\n" in printed
    (drawn,) = quick.drawn
    assert [(run.seed, run.updates, run.status) for run in drawn.runs] == [
        (1, 10, "finished"),
        (0, 10, "finished"),
    ]
    assert (drawn.title, drawn.out) == ("mine", Path("runs/mine/compare.html"))
    assert drawn.command == shlex.join(["lightning-gans", *arguments])
    assert quick.asked == [False, True]
    main([*arguments, "--out", "page.html"])
    assert capsys.readouterr().out == "2 runs of 1 cell: 2 finished\nthe page: page.html\n"
    assert quick.asked == [False, True]  # what a config comes to is remembered
    main(["compare", "--only-draw", *map(str, sorted(Path("runs/mine").glob("gan*")))])
    assert [run.seed for run in quick.drawn[2].runs] == [0, 1]
    assert (quick.drawn[2].title, quick.drawn[2].out) == ("compare", Path("compare.html"))


@pytest.mark.usefixtures("untried")
def test_configs_may_stand_between_flags_and_runs_elsewhere(quick):
    root = ("--set", "trainer.default_root_dir=elsewhere")
    main(["compare", "--seeds", "0", *SMALL, *root])
    assert len(list(Path("elsewhere/compare").glob("gan_ring-*-seed_0/version_0"))) == 1
    assert not Path("runs").exists()
    end_of(["--seeds", "0", *SMALL, *root, "wgan_rin"], 2)


@pytest.mark.usefixtures("untried")
def test_a_failed_run_is_drawn_and_the_exit_code_tells(quick, capsys):
    arguments = [*SMALL, "--seeds", "0,1,2"]
    brief(s1={"diverge": 7}, s2={"refused": "data: there is none"})
    end_of(arguments, 1)
    assert (
        "lightning-gans: error: 2 of 3 runs failed. Use --retry-failed" in capsys.readouterr().err
    )
    runs = quick.drawn[0].runs
    assert [(run.seed, run.status, run.updates) for run in runs] == [
        (0, "finished", 10),
        (1, "failed", 7),
        (2, "failed", 0),
    ]
    assert [run.message for run in runs[1:]] == [
        "DivergenceError: the loss is not finite",
        "data: there is none",
    ]
    assert runs[2].config["data"] == runs[0].config["data"]
    brief()
    end_of(arguments, 1)
    assert "3 runs of 1 cell: 1 finished, 2 failed before\n" in capsys.readouterr().out
    main(["compare", *arguments, "--retry-failed"])
    assert [run.status for run in quick.drawn[-1].runs] == ["finished"] * 3


@pytest.mark.usefixtures("untried")
def test_time_is_up(quick, capsys):
    brief(s0={"seconds": 0.2}, s1={"seconds": 0.2})
    longer = [*SMALL, "--set", "trainer.val_check_interval=2", "--seeds", "0,1", "--jobs", "1"]
    end_of([*longer, "--max-hours", str(1.4 / 3600)], 1)
    printed = capsys.readouterr()
    assert "stopping 1 run after the current round" in printed.out
    assert "time is up with 0 of 2 runs finished. The same command resumes" in printed.err
    assert [run.status for run in quick.drawn[0].runs] == ["stopped"]
    main(["compare", *longer])
    assert [run.status for run in quick.drawn[1].runs] == ["finished"] * 2


@pytest.mark.usefixtures("untried")
def test_time_that_is_up_before_a_run_has_scores_is_said(monkeypatch, quick, capsys):
    from lightning_gans.comparison import page

    def draw(runs, *arguments, **more):
        raise InputError("no run has scores of the validation split.")

    monkeypatch.setattr(page, "draw", draw)
    brief(s0={"seconds": 0.5})
    end_of([*SMALL, "--seeds", "0", "--jobs", "1", "--max-hours", str(3 / 3600)], 1)
    assert "time is up with 0 of 1 run finished" in capsys.readouterr().err


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_comparison_and_its_runs(number, quick, capsys):
    brief(s0={"seconds": 0.05})
    before = signal.getsignal(number)

    def send():
        until(lambda: list(Path("runs/compare").glob("gan*/version_0/checkpoints/last.ckpt")))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    end_of([*TINY, "--set", "trainer.max_steps=1000", "--seeds", "0"], 128 + number)
    thread.join()
    printed = capsys.readouterr().out
    assert printed.endswith(
        "stopped with 0 of 1 run finished; the same command resumes the others\n"
    )
    assert signal.getsignal(number) is before
    (record,) = Path("runs/compare").glob("gan*/version_0/run.json")
    assert json.loads(record.read_text())["status"] == "stopped: SIGTERM"
    assert quick.drawn == []


@pytest.mark.usefixtures("untried", "quick")
def test_a_line_now_and_then_tells_how_far_the_runs_are(monkeypatch, capsys):
    monkeypatch.setattr(following, "LINE_EVERY", 0.1)
    brief(s0={"seconds": 0.05}, s1={"seconds": 0.05})
    main(["compare", *SMALL, "--seeds", "0,1"])
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if re.match(r"\d of 2 runs finished", line)]
    pattern = r"0 of 2 runs finished, 0:0\d left: gan_ring seed 0 at \d of 10, gan_ring seed 1 at"
    assert any(re.match(pattern, line) for line in told)


@pytest.mark.usefixtures("untried", "quick")
@pytest.mark.parametrize("columns", [44, 100])
def test_a_bar_shows_what_each_run_is_at(columns, terminal, monkeypatch):
    screen = terminal(columns)
    monkeypatch.setattr(following, "DRAWINGS_PER_S", 100)
    brief(s0={"seconds": 0.03}, s1={"seconds": 0.05})
    main(["compare", *SMALL, "--seeds", "0,1"])
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen())
    finished = "0 of 2 runs" if columns < 60 else "0 of 2 runs finished"
    assert re.search(rf"{finished}.* [1-9]\d/100", shown)
    assert re.search(r"gan_ring seed 1 .* 5/10", shown)
    assert all(len(line) <= columns for line in re.split("[\r\n]", shown) if "/10" in line)


@pytest.mark.usefixtures("quick", "untried")
def test_a_folder_that_cannot_be_written_to_ends_it_with_one_line(capsys):
    Path("runs").write_text("")
    end_of([*SMALL, "--seeds", "0", "--out", "page.html"], 1)
    assert "error: the runs cannot be started: " in capsys.readouterr().err


def test_a_disk_without_room_is_refused(quick, monkeypatch, capsys):
    free = SimpleNamespace(free=1000)
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda path: free)
    end_of([*SMALL, "--seeds", "0"], 2)
    assert re.search(
        r"the runs need about \d+ kB, but .* has 1 kB left. Use fewer runs",
        capsys.readouterr().err,
    )
    assert quick.drawn == []


def test_a_trial_tells_what_a_run_takes():
    flags = ["fit", "--config", *SMALL[:1], *(f"--{part}" for part in SMALL[2::2])]
    config = trying.resolved(flags)
    cost = trying.cost_of(flags, config, 1, whole=True)
    assert 0 < cost.update < 1
    assert 0 < cost.validation < 20
    assert cost.fixed > 0
    assert cost.disk > 800_000  # two checkpoints of 450 kB
    rounds = trying.cost_of(flags, config, 1, whole=False)
    assert rounds.validation == 0
    assert list(Path().iterdir()) == []


def test_a_trial_knows_that_real_data_is_scored_only_once(monkeypatch):
    late = 0.0
    score = Evaluation._score_real_data

    def slowly(*given):
        nonlocal late
        late += 1000.0
        return score(*given)

    clock = SimpleNamespace(perf_counter=lambda: time.perf_counter() + late)
    monkeypatch.setattr(trying, "time", clock)
    monkeypatch.setattr(Evaluation, "_score_real_data", slowly)
    flags = ["fit", "--config", *SMALL[:1], *(f"--{part}" for part in SMALL[2::2])]
    cost = trying.cost_of(flags, trying.resolved(flags), 1, whole=True)
    assert 0 < cost.update < 1
    assert 0 < cost.validation < 20
    assert 1000 < cost.fixed < 2000  # it is scored once


@pytest.mark.slow
def test_what_is_finished_is_drawn_without_pytorch():
    """Another process imports it, if a cell has to be resolved or tried."""
    small = [
        *(f"main(['compare', *{SMALL}, '--seeds', '0'])",),
        "print('torch' in sys.modules, time.process_time())",
    ]
    first = in_new_process(*small)
    assert first[0] == "1 run of 1 cell: 1 to begin"
    assert re.match(r"about 0:\d\d with 2 at a time, and 9\d\d kB of disk", first[1])
    second = in_new_process(*small)
    assert second[0] == "1 run of 1 cell: 1 finished"
    has_torch, seconds = second[-1].split()
    assert has_torch == "False"
    assert float(seconds) < 2
