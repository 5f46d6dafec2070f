"""Loggers beside ``metrics.csv``, chosen by one flag: ``--trainer.logger TensorBoard``."""

import netrc
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

__all__ = ["TensorBoard", "WandB", "go_offline_without_key"]


def go_offline_without_key() -> None:
    """Lets W&B record offline if nobody has logged in here, where it would stop and ask."""
    if os.environ.get("WANDB_MODE") or os.environ.get("WANDB_API_KEY"):
        return
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1]
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        known = path.is_file() and netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        known = False
    if not known:
        os.environ["WANDB_MODE"] = "offline"


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
            self._root_dir = os.path.join(folder, "tensorboard")


class WandB(WandbLogger):
    """Lightning's Weights & Biases logger, keeping its files in the run's folder.

    Without a key it records offline and never asks for one.

    Args:
        save_dir: another folder for its files.
        project: where the run appears.
        **kwargs: as for Lightning's ``WandbLogger``.
    """

    def __init__(
        self, save_dir: str | None = None, project: str = "lightning_gans", **kwargs: Any
    ) -> None:
        go_offline_without_key()
        super().__init__(save_dir=save_dir or ".", project=project, **kwargs)
        self.follows_run = save_dir is None

    def follow(self, folder: str) -> None:
        """Keeps its files in a run's folder, unless another one was given."""
        if self.follows_run:
            self._save_dir = folder
            self._wandb_init["dir"] = folder
