"""Trains a game of the reference in several processes and saves what each of them ends with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lightning.pytorch as pl
import torch
from reference import GAMES, SEED, data


def main(name: str, n_critic: str, folder: str) -> None:
    torch.set_num_threads(1)
    pl.seed_everything(SEED)
    model = GAMES[name].model(int(n_critic))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        precision="64-true",
        max_steps=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(model, data())
    state = {**model.state_dict(), "images_seen": torch.tensor(model.images_seen)}
    torch.save(state, Path(folder) / f"rank{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
