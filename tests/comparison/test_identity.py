"""Runs are of the same cell if nothing that decides their results differs."""

import copy

import pytest

from lightning_gans.comparison.identity import identity, settings_of

CONFIG = {
    "seed_everything": 0,
    "trainer": {
        **{"max_steps": 300, "max_time": None, "default_root_dir": "runs", "logger": None},
        **{"devices": "auto", "precision": None, "val_check_interval": 100},
        **{"log_every_n_steps": 50, "enable_progress_bar": None, "callbacks": None},
    },
    "model": {"class_path": "lightning_gans.variants.GAN", "init_args": {"n_critic": 1}},
    "data": {
        "class_path": "datamodules.Pair",
        "init_args": {
            "a": {
                "class_path": "datamodules.MNIST",
                "init_args": {"num_workers": 2, "batch_size": 8, "data_dir": "data"},
            },
        },
    },
    "evaluation": {"latent_draws": 1},
    "checkpoint": {"dirpath": None, "every_n_updates": 1000},
    "progress": {"every_n_seconds": 30.0},
    "pictures": {"enabled": True},
    "name": "gan_ring",
    "threads": None,
}


def changed(*path, value):
    config = copy.deepcopy(CONFIG)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seed_everything",), 1),
        (("name",), "other"),
        (("threads",), 4),
        (("trainer", "max_steps"), 600),
        (("trainer", "max_time"), "00:01:00:00"),
        (("trainer", "default_root_dir"), "/scratch"),
        (("trainer", "logger"), [{"class_path": "WandB"}]),
        (("trainer", "enable_progress_bar"), False),
        (("trainer", "val_check_interval"), 300),
        (("trainer", "log_every_n_steps"), 10),
        (("data", "init_args", "a", "init_args", "num_workers"), 8),
        (("data", "init_args", "a", "init_args", "data_dir"), "elsewhere"),
        (("data", "init_args", "a", "init_args", "cache"), False),
        (("checkpoint", "every_n_updates"), 50),
        (("progress", "every_n_seconds"), 1.0),
        (("pictures", "enabled"), False),
    ],
)
def test_what_decides_no_result_does_not_count(path, value):
    assert identity(changed(*path, value=value)) == identity(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "init_args", "n_critic"), 2),
        (("trainer", "devices"), 2),
        (("trainer", "precision"), "bf16-mixed"),
        (("trainer", "callbacks"), [{"class_path": "GeneratorEMA"}]),
        (("data", "init_args", "a", "init_args", "batch_size"), 16),
        (("data", "init_args", "a", "init_args", "path"), "elsewhere"),
        (("evaluation", "latent_draws"), 2),
    ],
)
def test_what_decides_results_counts(path, value):
    assert identity(changed(*path, value=value)) != identity(CONFIG)


def test_identity_is_that_of_the_sorted_settings():
    """Runs are found by it later, so it must not change with versions of Python or this file."""
    backwards = dict(reversed(CONFIG.items()))
    assert identity(backwards) == identity(CONFIG) == "2448a7d07633"
    assert settings_of({"data": [{"num_workers": 1}], "name": "x"}) == {"data": [{}]}


def test_data_of_ones_own_may_differ_in_any_setting_but_workers():
    """Its data_dir may tell which data, not where a download lies."""
    config = changed("data", value={"class_path": "mine.Photos", "init_args": {"num_workers": 0}})
    arguments = config["data"]["init_args"]
    same = identity(config)
    arguments["num_workers"] = 4
    assert identity(config) == same
    for name, value in (("data_dir", "cats"), ("cache", True)):
        arguments[name] = value
        assert identity(config) != same
        same = identity(config)
    arguments["a"] = {"class_path": "datamodules.MNIST", "init_args": {"data_dir": "x"}}
    same = identity(config)
    arguments["a"]["init_args"]["data_dir"] = "y"
    assert identity(config) == same
