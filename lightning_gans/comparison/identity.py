"""Which runs are runs of the same thing: those whose settings differ in nothing that counts."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

__all__ = ["identity", "settings_of"]

LEFT_OUT = {
    *("seed_everything", "name", "threads", "progress", "pictures", "checkpoint"),
    *("trainer.max_steps", "trainer.max_time", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.profiler"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary"),
    *("trainer.log_every_n_steps", "trainer.val_check_interval"),
    "trainer.check_val_every_n_epoch",
}
"""Settings that have no say in weights and scores, but in how long a run is, in where its files
go, and in when something is written or shown."""
WORKERS = "num_workers"
"""Name of such a setting of the data, wherever it is."""
OF_DATA = ("cache", "data_dir")
"""Names of such settings of this package's data. Data of others may mean by them which data."""


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run that decide its weights and scores, except for the seed.

    Args:
        config: the whole configuration, as ``config.yaml`` has it.
    """
    settings = {key: value for key, value in config.items() if key not in LEFT_OUT}
    trainer = settings.get("trainer")
    if isinstance(trainer, dict):
        kept = {key: value for key, value in trainer.items() if f"trainer.{key}" not in LEFT_OUT}
        settings["trainer"] = kept
    if "data" in settings:
        settings["data"] = _without_idle(settings["data"])
    return settings


def _without_idle(value: Any, idle: Collection[str] = (WORKERS,)) -> Any:
    """Returns settings without those of some names, and without more where data is ours."""
    if isinstance(value, list):
        return [_without_idle(part) for part in value]
    if not isinstance(value, dict):
        return value
    is_ours = str(value.get("class_path")).startswith("datamodules.")
    inside = (WORKERS, *OF_DATA) if is_ours else (WORKERS,)
    return {
        key: _without_idle(part, inside if key == "init_args" else (WORKERS,))
        for key, part in value.items()
        if key not in idle
    }


def identity(config: dict[str, Any]) -> str:
    """Returns 12 hexadecimal digits that runs share whose `settings_of` are equal.

    Args:
        config: the whole configuration, as ``config.yaml`` has it.
    """
    text = json.dumps(settings_of(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
