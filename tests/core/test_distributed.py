"""Two processes on gloo against the plain loop that plays them one after the other."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distributed.score_images import metrics
from distributed.score_points import critic_scores, scores
from distributed.stand import stood
from lightning.pytorch import LightningModule
from reference import BATCH
from reference.games import CASES as PLAYED
from reference.games import GAMES
from reference.loop import play, tolerance
from torch.testing import assert_close

from lightning_gans.core.trust import known_classes
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import Regularizer

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[1] / "distributed"


CASES = [f"{name}:{n_critic}" for name, n_critic in PLAYED]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """All games, played by two machines of one process each, on this one."""
    folder = tmp_path_factory.mktemp("trained")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    torchrun += ["--nproc_per_node", "1", "--master_addr", "127.0.0.1", "--master_port", str(port)]
    script = [str(SCRIPTS / "train_game.py"), str(folder), "2", *CASES]
    nodes = [
        subprocess.Popen(
            [*torchrun, "--node_rank", str(rank), *script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    for rank, node in enumerate(nodes):
        printed, _ = node.communicate(timeout=400)
        assert f"{len(CASES)} cases in process {rank} of 2" in printed, printed
    return folder


def assert_like_the_reference(folder, case):
    name, n_critic = case.split(":")
    first, second = (torch.load(folder / f"{case}.rank{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first.pop("images_seen") == 5 * int(n_critic) * BATCH * 2
    expected = play(GAMES[name], rounds=5, n_critic=int(n_critic), ranks=2)
    assert first.keys() == expected.keys()
    for key, value in expected.items():
        assert_close(first[key], value, rtol=0, atol=tolerance(GAMES[name], key, 1e-10))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_like_the_mean_of_their_gradients(case, trained):
    assert_like_the_reference(trained, case)


@pytest.mark.in_two_processes("train_game")
def test_processes_that_lightning_starts_train_alike(left_behind):
    assert_like_the_reference(left_behind, "WGANGP:3")


def test_every_variant_loss_and_regularizer_is_among_the_games():
    models = [game.model(1) for game in GAMES.values()]
    assert {type(model) for model in models} >= known_classes(LightningModule)
    losses = {type(part) for model in models for part in model.modules()}
    assert losses >= known_classes(AdversarialLoss)
    of_generators = [getattr(model, "regularizers_g", ()) for model in models]
    given = [*(model.regularizers for model in models), *of_generators]
    assert {type(r) for part in given for r in part} == known_classes(Regularizer)


def test_the_reference_itself_tells_processes_apart():
    """Both processes drawing the same noise would pass for one; that must not go unseen."""
    one, two = (play(GAMES["WGANGP"], rounds=1, n_critic=1, ranks=ranks) for ranks in (1, 2))
    assert any((one[key] - two[key]).abs().max() > 1e-4 for key in one)


@pytest.mark.in_two_processes("download_once")
def test_only_one_process_downloads(left_behind):
    assert len((left_behind / "downloads.txt").read_text().splitlines()) == 1


@pytest.mark.in_two_processes("score_points")
def test_points_are_scored_in_two_processes_as_in_one(left_behind):
    """The same samples are generated, and none is counted by one process only."""
    alone = scores(1)
    both = torch.load(left_behind / "4100.pt")
    assert {"reconstruction_mse", "mean_sample_mse", "reconstruction_fidelity"} <= both[0].keys()
    for found, expected in zip(both, (alone.scores, alone.floors), strict=True):
        assert found.keys() == expected.keys()
        assert {
            "modes_pacgan",
            "w1",
            "sliced_w",
            "kl",
            "label_fidelity",
            "class_diversity",
        } <= found.keys()
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.in_two_processes("score_points")
def test_a_critic_is_scored_in_two_processes_as_in_one(left_behind):
    alone, both = critic_scores(1), torch.load(left_behind / "101.pt")
    assert "critic_gap" in both[0]
    assert both[0] == pytest.approx(alone.scores, rel=1e-6)
    assert both[1] == pytest.approx(alone.floors, rel=1e-6)


@pytest.mark.in_two_processes("score_images")
def test_images_are_scored_in_two_processes_as_in_one(left_behind):
    ranks = [torch.load(left_behind / f"rank{rank}.pt") for rank in range(2)]
    assert [len(rank["fake"]) for rank in ranks] == [21, 20]
    assert not torch.equal(ranks[0]["fake"][:20], ranks[1]["fake"])
    record = {key: torch.cat([rank[key] for rank in ranks]) for key in ("real", "fake", "labels")}
    expected = {}
    for metric in metrics():
        metric.observe(record, real=True)
        metric.observe(record, real=False)
        expected.update((name, float(value)) for name, value in metric.compute().items())
    for rank in ranks:
        assert rank["scores"] == pytest.approx(expected, rel=1e-6)
        assert rank["num_samples"] == 41
    assert ranks[0]["scores"] == ranks[1]["scores"]
    assert ranks[0]["floors"] == ranks[1]["floors"]
    assert ranks[0]["floors"].keys() == expected.keys()


@pytest.mark.in_two_processes("stand")
def test_standing_statistics_in_two_processes_are_those_in_one(left_behind):
    expected = stood(1)
    assert expected.pop("rank") == 0
    assert any("running_var" in name for name in expected)
    for rank in range(2):
        found = torch.load(left_behind / f"rank{rank}.pt")
        assert found.pop("rank") == rank
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
