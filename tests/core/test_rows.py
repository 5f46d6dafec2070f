"""Means of the values of many updates, and their sums in checkpoints."""

import json
import math

import pytest
import torch
from conftest import SMALL, Rows, quiet_trainer, small_ring

from lightning_gans import GAN
from lightning_gans.core.rows import RunningMeans
from lightning_gans.core.timing import MEASURED
from lightning_gans.regularizers import R1

CPU = torch.device("cpu")


def scalars(**values):
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}


def same(tensor):
    return tensor


def test_each_value_is_the_mean_over_the_updates_that_computed_it():
    means = RunningMeans()
    means.add(scalars(loss=1.0, penalty=8.0))
    means.add(scalars(loss=2.0))
    means.add(scalars(loss=6.0))
    means.add(scalars(other=0.5))
    row = means.take(scalars(norm=7.0), same)
    assert row == {"loss": 3.0, "penalty": 8.0, "other": 0.5, "norm": 7.0}
    means.add(scalars(loss=4.0))
    assert means.take({}, same) == {"loss": 4.0, "penalty": 8.0, "other": 0.5}


def test_sums_are_in_double_precision():
    means = RunningMeans()
    for _ in range(3000):
        means.add(scalars(x=0.1))
    found = means.take({}, same)["x"]
    assert found == pytest.approx(torch.tensor(0.1).item(), rel=1e-14)


@pytest.mark.parametrize("stop", range(1, 6))
def test_sums_continue_from_a_state_with_the_same_bits(stop):
    torch.manual_seed(0)
    updates = [{"a": torch.rand(()), "b": torch.rand(())} for _ in range(6)]
    updates[2] = {"a": updates[2]["a"]}
    whole, first, again = RunningMeans(), RunningMeans(), RunningMeans()
    for update in updates:
        whole.add(update)
    for update in updates[:stop]:
        first.add(update)
    again.load(json.loads(json.dumps(first.state(same))), 0, 1)
    again.to(CPU)
    for update in updates[stop:]:
        again.add(update)
    assert again.take({}, same) == whole.take({}, same)


def test_each_process_goes_to_its_own_sums_and_others_to_the_mean():
    ranks = [RunningMeans(), RunningMeans()]
    for rank, means in enumerate(ranks):
        means.add(scalars(x=1.0 + rank, y=10.0 * rank))
    flat = [torch.tensor([1.0, 0.0]).double(), torch.tensor([2.0, 10.0]).double()]
    state = ranks[0].state(lambda mine: torch.stack(flat))
    for rank, expected in enumerate(({"x": 1.0, "y": 0.0}, {"x": 2.0, "y": 10.0})):
        means = RunningMeans()
        means.load(state, rank, 2)
        assert means.take({}, same) == expected
    means = RunningMeans()
    means.load(state, 2, 3)
    assert means.take({}, same) == {"x": 1.5, "y": 5.0}


GOOD = {"names": [["x"]], "counts": [2], "sums": [[3.0]], "last": {"x": 1.0}}


@pytest.mark.parametrize(
    "change",
    [
        {"names": "x"},
        {"names": [[3]]},
        {"names": [["\x1b[31m"]]},
        {"counts": [0]},
        {"counts": [2, 2]},
        {"sums": [[3.0, 4.0]]},
        {"sums": [["3"]]},
        {"sums": []},
        {"last": {"x": "1"}},
        {"last": {"\x1b[31m": 1.0}},
        {"last": [1.0]},
    ],
)
def test_damaged_sums_are_refused_before_training(change):
    RunningMeans().load(GOOD, 0, 1)
    with pytest.raises(ValueError, match="the sums of its next log row are damaged"):
        RunningMeans().load({**GOOD, **change}, 0, 1)
    with pytest.raises(ValueError, match="the sums of its next log row are damaged"):
        RunningMeans().load(None, 0, 1)


@pytest.mark.parametrize("stop", [4, 5])
def test_rows_of_a_resumed_run_are_those_of_a_run_that_was_not_stopped(stop, tmp_path):
    """Also if the checkpoint is written when training is over."""

    def run(steps, start=None):
        torch.manual_seed(1)
        rows = Rows()
        trainer = quiet_trainer(steps, logger=rows, log_every_n_steps=3)
        model = GAN(**SMALL, regularizers=[R1(2.0, every=4)], n_critic=2)
        trainer.fit(model, small_ring(), ckpt_path=start)
        drop = {*MEASURED, "train/images_seen"}
        return trainer, {
            step: {name: value for name, value in row.items() if name not in drop}
            for step, row in rows.rows
        }

    _, whole = run(9)
    trainer, _ = run(stop)
    path = str(tmp_path / "stop.ckpt")
    trainer.save_checkpoint(path)
    _, again = run(9, path)
    assert again == {step: row for step, row in whole.items() if step > stop}
    assert all(math.isfinite(value) for row in again.values() for value in row.values())
