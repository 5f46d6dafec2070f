"""Two processes on gloo against the plain loop that plays them one after the other."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distributed.score_images import metrics
from reference import BATCH, GAMES, play
from torch.testing import assert_close

SCRIPTS = Path(__file__).parent / "distributed"


@pytest.mark.parametrize(
    ("name", "n_critic"), [("WGANGP", 3), ("WGANGP", 1), ("WGAN", 2), ("LSGAN", 1)]
)
def test_two_processes_train_like_the_mean_of_their_gradients(name, n_critic, tmp_path):
    command = [sys.executable, str(SCRIPTS / "train_game.py"), name, str(n_critic), str(tmp_path)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first.pop("images_seen") == 5 * n_critic * BATCH * 2
    expected = play(GAMES[name], rounds=5, n_critic=n_critic, ranks=2)
    assert first.keys() == expected.keys()
    for key, value in expected.items():
        assert_close(first[key], value, rtol=0, atol=1e-10)


def test_the_reference_itself_tells_processes_apart():
    """Both processes drawing the same noise would pass for one; that must not go unseen."""
    one, two = (play(GAMES["WGANGP"], rounds=1, n_critic=1, ranks=ranks) for ranks in (1, 2))
    assert any((one[key] - two[key]).abs().max() > 1e-4 for key in one)


def test_only_one_process_downloads():
    command = [sys.executable, str(SCRIPTS / "download_once.py")]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert len(Path("downloads.txt").read_text().splitlines()) == 1


def test_images_are_scored_in_two_processes_as_in_one(tmp_path):
    command = [sys.executable, str(SCRIPTS / "score_images.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    assert [len(rank["fake"]) for rank in ranks] == [21, 20]
    assert not torch.equal(ranks[0]["fake"][:20], ranks[1]["fake"])
    expected = {}
    for metric in metrics():
        for kind in ("real", "fake"):
            metric.update(torch.cat([rank[kind] for rank in ranks]), real=kind == "real")
        expected.update((name, float(value)) for name, value in metric.compute().items())
    for rank in ranks:
        assert rank["scores"] == pytest.approx(expected, rel=1e-6)
        assert rank["num_samples"] == 41
    assert ranks[0]["scores"] == ranks[1]["scores"]
    assert ranks[0]["floors"] == ranks[1]["floors"]
    assert ranks[0]["floors"].keys() == expected.keys()
