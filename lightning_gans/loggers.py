"""Loggers beside ``metrics.csv``, chosen by one flag: ``--trainer.logger TensorBoard``."""

import configparser
import netrc
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_gans.core.lightning_compat import (
    move_tensorboard,
    move_wandb,
    wandb_run,
    wandb_settings,
)
from lightning_gans.files import replacing
from lightning_gans.metrics import better

__all__ = ["TensorBoard", "WandB", "go_offline_without_key", "wandb_identity"]


def go_offline_without_key() -> None:
    """Lets W&B record offline in this process if it would stop and ask for a key."""
    if _asks_for_key():
        os.environ["WANDB_MODE"] = "offline"


def _asks_for_key() -> bool:
    """Tells whether nobody has logged in here, and W&B is not told in which mode to run."""
    if os.environ.get("WANDB_MODE") or os.environ.get("WANDB_API_KEY"):
        return False
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return not path.is_file() or netrc.netrc(path).authenticators(_wandb_host()) is None
    except (OSError, netrc.NetrcParseError):
        return True


def _wandb_host() -> str:
    """Returns the host of the W&B server, from the environment or W&B's own settings."""
    address = os.environ.get("WANDB_BASE_URL")
    if not address:
        own = os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb"
        parser = configparser.ConfigParser(interpolation=None)
        with suppress(configparser.Error, UnicodeDecodeError):
            parser.read([Path(own) / "settings", Path("wandb") / "settings"])
        address = parser.get("default", "base_url", fallback="https://api.wandb.ai")
    return urlsplit(address).netloc


def wandb_identity(folder: Path) -> str | None:
    """Returns the identity of the W&B run of a run folder, if there is one.

    Raises:
        ValueError: if the file that holds it is damaged.
    """
    path = folder / "wandb" / "id"
    known = path.read_text(errors="replace").strip() if path.is_file() else None
    if known is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", known):
        raise ValueError(
            f"{path} is damaged: it is not the identity of a W&B run. Remove it to log the rest "
            "of the training as another W&B run."
        )
    return known


class TensorBoard(TensorBoardLogger):
    """Lightning's TensorBoard logger, writing into the folder ``tensorboard`` of the run.

    Args:
        save_dir: another folder to write to.
        **kwargs: as for Lightning's ``TensorBoardLogger``.
    """

    def __init__(self, save_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(save_dir or ".", name="", version="", **kwargs)
        self.follows_run = save_dir is None

    def follow(self, folder: str) -> None:
        """Writes into a run's folder, unless another one was given."""
        if self.follows_run:
            move_tensorboard(self, os.path.join(folder, "tensorboard"))

    def follow_scores(self, folder: str) -> None:
        """Writes the scores of a checkpoint beside the rows of the training, unless elsewhere.

        In a folder of their own they are points of their own: on the curves of the training they
        would be steps back.
        """
        if self.follows_run:
            move_tensorboard(self, os.path.join(folder, "tensorboard", "scores"))


class WandB(WandbLogger):
    """Lightning's Weights & Biases logger, keeping its files in the run's folder.

    Without a key it records offline and never asks for one. A resumed run continues its W&B
    run, which is named after its folder. At the end the checkpoints become an artifact; the
    summary has the best of each score. A checkpoint that is scored later is a W&B run of its own.

    Args:
        save_dir: another folder for its files.
        project: where the run appears.
        name: of the run, in place of that of its folder.
        group: runs of the same group are shown together, such as the seeds of an experiment.
        tags: words to find the run by.
        job_type: what the run does in its group.
        log_model: make artifacts of the checkpoints: at the end, never, or "all" the time.
        offline: record only, to upload later.
        **kwargs: as for Lightning's ``WandbLogger``.
    """

    def __init__(
        self,
        save_dir: str | None = None,
        project: str = "lightning_gans",
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        job_type: str | None = None,
        log_model: bool | Literal["all"] = True,
        offline: bool = False,
        **kwargs: Any,
    ) -> None:
        if offline or _asks_for_key():
            # Lightning's own way forbids artifacts, which are recorded offline too, and is for
            # every later logger of the process.
            kwargs["mode"] = "offline"
        about: dict[str, Any] = {"group": group, "tags": tags, "job_type": job_type}
        super().__init__(
            name=name,
            save_dir=save_dir or ".",
            project=project,
            log_model=log_model,
            **about,
            **kwargs,
        )
        self.follows_run = save_dir is None
        self._described: set[str] = set()

    def follow(self, folder: str) -> None:
        """Takes its name from a run's folder, and keeps its files and its identity there.

        Files are kept elsewhere if another folder was given.
        """
        run = Path(folder)
        if self.follows_run:
            move_wandb(self, folder)
        if wandb_settings(self)["name"] is None:
            wandb_settings(self, name=f"{run.parent.name}/{run.name}")
        self._identify(run)

    def follow_scores(self, folder: str, name: str | None, job_type: str) -> None:
        """Records the scores of a checkpoint as a W&B run of their own.

        The W&B run of the training is left alone: the training may be logging to it, and its
        history would go back to the update of the checkpoint.

        Args:
            folder: where its files are kept, unless another folder was given.
            name: of the W&B run, unless another one was given; W&B makes one up without.
            job_type: likewise.
        """
        if self.follows_run:
            move_wandb(self, folder)
        given = wandb_settings(self)
        if given["name"] is None and name is not None:
            wandb_settings(self, name=name)
        if given["job_type"] is None:
            wandb_settings(self, job_type=job_type)

    @rank_zero_only
    def _identify(self, run: Path) -> None:
        """Takes the identity that the run has had, or gives it one."""
        known = wandb_identity(run)
        given = wandb_settings(self)["id"] or os.environ.get("WANDB_RUN_ID")
        identity = given or known or secrets.token_hex(4)
        if identity != known:
            with replacing(run / "wandb" / "id") as file:
                file.write(identity.encode())
        wandb_settings(self, id=identity)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs values; of a score the best becomes its summary."""
        for key in [key for key in metrics if key not in self._described]:
            stage, _, score = key.partition("/")
            summary = {"low": "min", "high": "max", "same": "last"}[better(score)]
            if stage in ("val", "test"):
                self.experiment.define_metric(
                    key, step_metric="trainer/global_step", summary=summary
                )
            self._described.add(key)
        super().log_metrics(metrics, step)

    def to_upload(self) -> str | None:
        """Returns the command that uploads what was recorded offline, if anything was."""
        run = wandb_run(self)
        if run is None or not run.offline:
            return None
        assert self.save_dir is not None
        return f"wandb sync {Path(self.save_dir, 'wandb', 'offline-run-*')}"
