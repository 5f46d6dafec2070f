"""How many threads a run computes with."""

import json
import os
from pathlib import Path

import pytest
import torch
from conftest import SMALL, MadeImages, small_ring

from lightning_gans import DCGAN, WGANGP
from lightning_gans.cli import threads
from lightning_gans.cli.main import main
from lightning_gans.networks import MLPDiscriminator, MLPGenerator

SHORT = [
    *("--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--pictures.enabled", "false"),
    *("--data", "GaussianRing", "--data.num_eval_samples", "32", "--data.batch_size", "8"),
]


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    """Four cores, no number in the environment, and the tests' own one thread afterwards."""
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS")
    yield
    torch.set_num_threads(1)


def run(*arguments):
    main(["fit", "--model", "WGAN", "--name", "run", *SHORT, *arguments])


def recorded():
    return json.loads(Path("runs/run/version_0/run.json").read_text())["machine"]["threads"]


def test_large_networks_get_the_cores_and_small_ones_one_thread():
    ring = small_ring(batch_size=256)
    assert threads.choose_threads(WGANGP(**SMALL), ring, 1) == 1
    wide = {
        "generator": MLPGenerator(2, (2,), hidden=[512, 512]),
        "discriminator": MLPDiscriminator((2,), hidden=[512, 512]),
    }
    large = WGANGP(**{**SMALL, **wide})
    assert threads.choose_threads(large, ring, 1) == 4
    assert threads.choose_threads(large, ring, 2) == 2
    assert threads.choose_threads(large, ring, 8) == 1
    images = MadeImages((1, 32, 32), batch_size=64)
    assert threads.choose_threads(DCGAN(data_shape=(1, 32, 32)), images, 1) == 4


def test_the_number_is_the_rule_s_the_environment_s_the_record_s_or_the_flag_s(monkeypatch):
    torch.set_num_threads(3)
    run()
    assert recorded() == torch.get_num_threads() == 1

    path = Path("runs/run/version_0/run.json")
    record = json.loads(path.read_text())
    record["machine"]["threads"] = 2
    path.write_text(json.dumps(record))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    main(["fit", "--ckpt_path", "runs/run", "--trainer.max_steps", "4"])
    assert recorded() == torch.get_num_threads() == 2
    main(["fit", "--ckpt_path", "runs/run", "--trainer.max_steps", "6", "--threads", "1"])
    assert recorded() == torch.get_num_threads() == 1


def test_a_score_is_repeated_with_the_threads_of_the_run():
    """That of the best checkpoint too, which is not the one that the run resumes from."""
    run("--threads", "2")
    for checkpoint in ("runs/run", "runs/run/version_0/checkpoints/last.ckpt"):
        torch.set_num_threads(3)
        main(["evaluate", "--ckpt_path", checkpoint])
        assert torch.get_num_threads() == 2
        scores = json.loads(Path("runs/run/version_0/scores.json").read_text())
        assert scores["machine"]["threads"] == 2


def test_a_second_run_in_a_program_chooses_anew():
    run()
    assert "OMP_NUM_THREADS" not in os.environ
    wide = ["--model.generator.hidden", "[512,512]", "--data.batch_size", "256"]
    run("--model.generator", "MLPGenerator", *wide)
    assert torch.get_num_threads() == 4


def test_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run()
    assert recorded() == torch.get_num_threads() == 2
    assert os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("number", ["0", "-1", "1025"])
def test_a_number_out_of_range_is_refused(number, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("--threads", number)
    assert f"threads must be from 1 to 1,024, got {int(number):,}." in capsys.readouterr().err
    assert not os.path.exists("runs")


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 6), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("", 6)],
)
def test_cores_are_those_of_the_container(text, cores, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert threads.available_cores(tmp_path / "cpu.max") == cores
    assert threads.available_cores(tmp_path / "none") == 6


@pytest.mark.parametrize("content", ["", "[]", '{"machine": {"threads": "2"}}', '{"machine": 3}'])
def test_a_damaged_record_tells_no_number(content, tmp_path):
    folder = tmp_path / "runs" / "run" / "version_0"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "run.json").write_text(content)
    assert threads.recorded_threads(folder / "checkpoints" / "last.ckpt") is None
