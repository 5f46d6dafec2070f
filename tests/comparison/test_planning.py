"""What a comparison trains, and how far its runs are, by their folders."""

import os
from pathlib import Path

import pytest
from planned import config, leave, runs_of

from lightning_gans.cli.locks import RunLock
from lightning_gans.comparison.estimates import Cost, bytes_of, makespan, seconds_of
from lightning_gans.comparison.identity import identity
from lightning_gans.comparison.planning import Cell, State, cells_of, plan
from lightning_gans.comparison.sweeps import Sweep
from lightning_gans.errors import InputError

COST = Cost(fixed=10.0, update=0.5, validation=2.0, threads=1, disk=1000, picture=10)


def refusal(act, *arguments):
    with pytest.raises(InputError) as refused:
        act(*arguments)
    return str(refused.value)


def test_cells_are_configs_times_choices():
    sweep = Sweep(((("model.n_critic", "1"),), (("model.n_critic", "5"),)))
    cells = cells_of(["gan_ring", "a/wgan.yaml"], (("trainer.max_steps", "3"),), sweep, ["mine"])
    assert [cell.label for cell in cells] == [
        "gan_ring model.n_critic=1",
        "gan_ring model.n_critic=5",
        "wgan model.n_critic=1",
        "wgan model.n_critic=5",
    ]
    assert cells[3].flags == [
        *("--import", "mine", "--config", "a/wgan.yaml"),
        *("--trainer.max_steps=3", "--model.n_critic=5"),
    ]


def test_configs_of_the_same_name_are_told_apart_by_their_folders():
    cells = cells_of(["a/gan.yaml", "b/gan.yaml"], (), Sweep())
    assert [cell.label for cell in cells] == ["a/gan.yaml", "b/gan.yaml"]


def test_cells_that_cannot_be_are_refused():
    assert refusal(cells_of, [], (), Sweep()).startswith("compare needs configs")
    assert refusal(cells_of, ["a", "b", "a"], (), Sweep()) == "a is given twice."
    sweep = Sweep(((("model.n_critic", "1"),),))
    twice = (("model.n_critic", "2"),)
    assert refusal(cells_of, ["a"], twice, sweep).startswith("set: model.n_critic is in the sweep")


def test_a_run_is_an_ordinary_command():
    (run,) = runs_of(3)
    key = identity(run.config)
    assert run.home == Path(f"runs/compare/gan-{key}-seed_3")
    assert run.label == "gan seed 3"
    assert run.command == [
        *("fit", "--config", "gan", "--trainer.max_steps=10", "--seed_everything=3"),
        *("--trainer.default_root_dir=runs/compare", f"--name=gan-{key}-seed_3"),
        "--ckpt_path=auto",
    ]


def test_a_run_too_short_for_a_validation_has_one_at_its_end():
    (run,) = runs_of(0, max_steps=4)
    assert "--trainer.val_check_interval=4" in run.command
    (longer,) = runs_of(0, max_steps=5)
    assert not any("val_check_interval" in part for part in longer.command)
    assert longer.home == run.home  # which a longer run resumes


def planned(*configs):
    cells = [Cell(f"c{number}", (), f"c{number}") for number in range(len(configs))]
    return plan(cells, configs, [0], Path("runs"))


def test_cells_that_differ_in_no_result_are_refused():
    same = config(10, log_every_n_steps=7)
    assert refusal(planned, config(10), same) == (
        "c0 and c1 are the same cell: none of the settings that differ between them decides any "
        "result."
    )
    assert len(planned(config(10), config(10, devices=2))) == 2


def test_cells_of_different_data_are_refused():
    other = {**config(10), "data": {"class_path": "SwissRoll", "init_args": {"batch_size": 8}}}
    assert refusal(planned, config(10), other) == (
        "c0 and c1 have different data (data: GaussianRing and SwissRoll): their scores are not "
        "comparable. Use one page for each."
    )
    fewer = {**config(10), "model": {"class_path": "WGAN"}}
    fewer["data"]["init_args"]["num_eval_samples"] = 10
    assert "were scored at different numbers of samples" in refusal(planned, config(10), fewer)
    larger = {**config(10), "data": {"class_path": "GaussianRing", "init_args": {"batch_size": 9}}}
    assert len(planned(config(10), larger)) == 2


def test_runs_that_cannot_be_followed_are_refused():
    elsewhere = {**config(), "checkpoint": {"dirpath": "/scratch"}}
    assert refusal(planned, elsewhere).startswith("c0: checkpoint.dirpath is not for")
    assert refusal(planned, config(fast_dev_run=1)).startswith("c0: trainer.fast_dev_run is not")
    assert refusal(planned, config(-1)) == "c0 has no end. Use --set trainer.max_steps=10000."
    for end in ({"max_time": "00:01:00:00"}, {"max_epochs": 3}):
        assert len(planned(config(-1, **end))) == 1


@pytest.mark.parametrize(
    ("devices", "number"),
    [("auto", 1), (None, 1), (2, 2), ("2", 2), ([0, 1], None), ("0,1", None)],
)
def test_the_devices_that_a_run_needs(devices, number):
    (run,) = planned(config(devices=devices))
    assert run.devices == number


@pytest.mark.parametrize(
    ("record", "status", "message"),
    [
        ({}, "finished", ""),
        ({"status": "running", "updates": 4}, "stopped", None),
        ({"status": "stopped: SIGTERM", "updates": 4}, "stopped", None),
        ({"status": "stopped: KeyboardInterrupt", "updates": 4}, "stopped", None),
        (
            {"status": "stopped: DivergenceError: loss_d is nan", "updates": 4},
            "failed",
            "DivergenceError: loss_d is nan",
        ),
    ],
)
def test_the_state_of_a_run_is_that_of_its_folder(record, status, message):
    (run,) = runs_of(0)
    assert run.state() == State("new")
    folder = leave(run, **record)
    state = run.state()
    assert (state.status, state.folder) == (status, folder)
    assert state.updates == record.get("updates", 10)
    assert message is None or state.message == message


def test_the_newest_run_that_has_begun_counts():
    (run,) = runs_of(0)
    leave(run, status="stopped: OSError: full", updates=3)
    second = leave(run, 10, status="stopped: SIGTERM", updates=4)
    (run.home / "version_11").mkdir()  # killed before its first update
    assert run.state().folder == second


def test_a_longer_run_resumes_what_is_finished():
    (run,) = runs_of(0, max_steps=10)
    leave(run)
    (longer,) = runs_of(0, max_steps=20)
    assert longer.state() == State("stopped", run.home / "version_0", 10)
    (shorter,) = runs_of(0, max_steps=5)
    assert refusal(shorter.state) == (
        f"{run.home}/version_0 has 10 updates, and trainer.max_steps is 5. Use --set "
        "trainer.max_steps=10, or another --name."
    )


def test_a_run_that_its_time_or_its_epochs_have_ended_is_finished():
    (timed,) = planned(config(10, max_time="00:00:00:05"))
    leave(timed, updates=7)
    assert timed.state().status == "finished"
    (longer,) = planned(config(10, max_time="00:00:01:00"))
    assert longer.home == timed.home
    assert longer.state().status == "stopped"


def test_a_run_that_is_trained_now_is_somebody_elses():
    (run,) = runs_of(0)
    folder = leave(run, status="stopped: SIGTERM", updates=4)
    lock = RunLock(folder)
    lock.acquire()
    state = run.state()
    assert (state.status, state.folder) == ("running", folder)
    assert f"process {os.getpid()}" in state.message
    lock.release()
    assert run.state().status == "stopped"
    new = run.home / "version_1"
    new.mkdir()
    lock = RunLock(new)  # which has yet to begin
    lock.acquire()
    assert run.state().folder == new
    lock.release()


def test_the_folder_of_another_run_is_refused():
    (run,) = runs_of(0)
    leave(run, config={"model": {"class_path": "WGAN"}})
    assert "has been trained with other settings than gan seed 0" in refusal(run.state)
    (other,) = runs_of(1)
    leave(other, seed=2)
    assert "has been trained with other settings than gan seed 1" in refusal(other.state)


def test_a_damaged_folder_is_refused():
    (run,) = runs_of(0)
    (leave(run) / "run.json").write_text("{")
    assert "version_0/run.json" in refusal(run.state)


def test_what_a_run_takes():
    (run,) = runs_of(0, max_steps=20)  # validated every 5 updates
    assert seconds_of(run, State("new"), COST) == 10 + 20 * 0.5 + 4 * 2
    (more,) = runs_of(0, max_steps=23)  # and once more at the end
    assert seconds_of(more, State("new"), COST) == 10 + 23 * 0.5 + 5 * 2
    half = State("stopped", Path("x"), 12)
    assert seconds_of(run, half, COST) == 10 + 8 * 0.5 + 2 * 2
    assert bytes_of(run, State("new"), COST) == 1000 + 6 * 10
    assert bytes_of(run, half, COST) == 0
    (short,) = runs_of(0, max_steps=4)
    assert seconds_of(short, State("new"), COST) == 10 + 4 * 0.5 + 2
    rounds = Cost(fixed=1.0, update=0.1, validation=0.0, threads=2, disk=0, picture=0)
    assert rounds.with_the_rest_of(COST) == Cost(10.0, 0.1, 2.0, 2, 1000, 10)


def test_runs_that_share_a_machine_take_as_long_as_the_last():
    assert makespan([], 2) == 0
    assert makespan([3, 3, 3], 1) == 9
    assert makespan([5, 1, 1, 4], 2) == 6
    assert makespan([5, 1, 1, 4], 8) == 5
