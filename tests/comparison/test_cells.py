"""Which runs make a cell, what cells are called, and which runs cannot be compared."""

from pathlib import Path

import pytest
from made_runs import made_run

from lightning_gans.comparison.cells import cells_of, differences, short, shown
from lightning_gans.comparison.reading import read_run
from lightning_gans.errors import InputError

LR = "model.init_args.optimizer_g.init_args.lr"
OPTIMIZER = "model.init_args.optimizer_g.class_path"


def runs(*arguments):
    """Returns runs of seeds, names and changes of the config."""
    return [
        read_run(made_run(Path(f"runs/{index}"), seed, name=name, changes=changes))
        for index, (seed, name, changes) in enumerate(arguments)
    ]


def test_runs_that_differ_in_their_seeds_only_are_a_cell():
    found = cells_of(
        runs(
            (2, "wgan", {LR: 0.1}),
            (0, "gan", {}),
            (0, "wgan", {LR: 0.1}),
            (1, "gan", {"trainer.max_steps": 600}),
        )
    )
    assert [cell.label for cell in found] == ["wgan", "gan"]
    assert [[run.seed for run in cell.runs] for cell in found] == [[0, 2], [0, 1]]
    assert found[0].settings[LR] == 0.1
    assert len({cell.identity for cell in found}) == 2


def test_labels_name_the_settings_that_tell_cells_of_one_name_apart():
    found = cells_of(
        runs(
            (0, "gan", {LR: 1e-4}),
            (0, "gan", {LR: 1e-3, "model.init_args.n_critic": 5}),
            (0, "gan", {LR: 1e-3, "model.init_args.n_critic": 1}),
            (0, "other", {LR: 1.0}),
        )
    )
    assert [cell.label for cell in found] == [
        "gan, n_critic 1, optimizer_g.lr 0.0001",
        "gan, n_critic 5, optimizer_g.lr 0.001",
        "gan, n_critic 1, optimizer_g.lr 0.001",
        "other",
    ]


def test_settings_that_look_alike_in_short_are_named_in_full():
    found = cells_of(
        runs(
            (0, "gan", {OPTIMIZER: "a.Adam"}),
            (0, "gan", {OPTIMIZER: "b.Adam"}),
            (0, "wgan", {LR: 0.12345678}),
            (0, "wgan", {LR: 0.12345679}),
        )
    )
    assert [cell.label for cell in found] == [
        "gan, optimizer_g a.Adam",
        "gan, optimizer_g b.Adam",
        "wgan, optimizer_g.lr 0.12345678",
        "wgan, optimizer_g.lr 0.12345679",
    ]
    assert shown("weights.pt") == "weights.pt"
    assert shown("torch.optim.Adam") == "Adam"


@pytest.mark.parametrize(("other", "equal"), [("b/one.pt", True), ("a/two.pt", False)])
def test_scores_of_other_inception_weights_are_refused(other, equal):
    """A file may lie elsewhere on another machine, but has its name."""
    key = "evaluation.inception_weights"
    found = runs((0, "gan", {key: "a/one.pt"}), (0, "wgan", {key: other}))
    if equal:
        assert [cell.label for cell in cells_of(found)] == ["gan", "wgan"]
        return
    with pytest.raises(
        InputError, match=r"different metrics \(.*inception_weights: one.pt and two"
    ):
        cells_of(found)


def test_a_setting_that_tells_no_more_cells_apart_is_not_named():
    found = cells_of(
        runs((0, "gan", {OPTIMIZER: "a.Adam"}), (0, "gan", {OPTIMIZER: "a.SGD", LR: 1.0}))
    )
    assert [cell.label for cell in found] == ["gan, optimizer_g Adam", "gan, optimizer_g SGD"]


def test_control_characters_in_names_are_escaped():
    assert cells_of(runs((0, "a\x1b[2J\nb", {})))[0].label == "a\\x1b[2J\\nb"


def test_settings_are_shown_as_flags_have_them():
    assert short("model.init_args.optimizer_g.init_args.lr") == "model.optimizer_g.lr"
    assert short("model.class_path") == "model"
    assert [shown(value) for value in ("a.b.Adam", "a b.c", 2e-4, 3, None, [1, 2], True)] == [
        *("Adam", "a b.c", "0.0002", "3", "null", "[1, 2]", "true")
    ]
    assert differences([{"a": 1, "b": 2}, {"a": 1, "c": 3}]) == {
        "b": [2, "\u2013"],
        "c": ["\u2013", 3],
    }


@pytest.mark.parametrize(
    ("changes", "record", "message"),
    [
        (
            {"data.class_path": "datamodules.MNIST"},
            {},
            r"a and b have different data \(data: GaussianRing and MNIST\): their scores are not "
            "comparable. Use one page for each",
        ),
        ({"data.init_args.num_modes": 25}, {}, r"different data \(data.num_modes: 8 and 25\)"),
        ({"evaluation.metrics": ["a"]}, {}, r"different metrics \(evaluation.metrics: null and"),
        (
            {"data.init_args.num_eval_samples": 500},
            {},
            r"a and b were scored at different numbers of samples \(data.num_eval_samples: 10000 "
            r"and 500\)",
        ),
        ({"trainer.limit_val_batches": 2}, {}, r"different numbers of samples \(trainer.limit_"),
        ({}, {"samples": 64}, r"different numbers of samples \(samples: 10000 and 64\)"),
    ],
)
def test_runs_whose_scores_mean_different_things_are_refused(changes, record, message):
    first = read_run(made_run(Path("a")))
    second = read_run(made_run(Path("b"), 1, changes=changes, **record))
    with pytest.raises(InputError, match=message):
        cells_of([first, second])


@pytest.mark.parametrize("setting", ["num_labels", "label_seed", "split_seed", "jitter", "subset"])
def test_training_data_may_differ(setting):
    runs = [
        read_run(made_run(Path(name), changes={f"data.init_args.{setting}": value}))
        for name, value in (("a", 50), ("b", 100))
    ]
    assert [cell.label for cell in cells_of(runs)] == [
        f"gan_ring, data.{setting} 50",
        f"gan_ring, data.{setting} 100",
    ]


def test_batches_and_workers_may_differ():
    one = read_run(made_run(Path("a")))
    other = read_run(made_run(Path("b"), changes={"data.init_args.batch_size": 64}))
    assert [cell.label for cell in cells_of([one, other])] == [
        "gan_ring, data.batch_size 256",
        "gan_ring, data.batch_size 64",
    ]


def test_a_run_counts_once():
    first, copy = (read_run(made_run(Path(name), 3)) for name in "ab")
    with pytest.raises(InputError, match=r"a and b have the same settings and the same seed, 3."):
        cells_of([first, copy])
    with pytest.raises(InputError, match=r"a is given twice."):
        cells_of([first, read_run(Path("a"))])
