"""Trains games of the reference in several processes and saves what each of them ends with."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lightning.pytorch as pl
import torch
from reference import SEED
from reference.games import GAMES

from lightning_gans.networks.inspect import share_buffers


def main(folder: str | Path, nodes: str = "1", *cases: str) -> None:
    for case in cases or ["WGANGP:3"]:
        name, n_critic = case.split(":")
        pl.seed_everything(SEED, verbose=False)
        model = GAMES[name].model(int(n_critic))
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=2 // int(nodes),
            num_nodes=int(nodes),
            precision="64-true",
            max_steps=5,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            callbacks=GAMES[name].callbacks,
        )
        trainer.fit(model, GAMES[name].data())
        assert trainer.world_size == 2
        share_buffers(model)  # as before an evaluation
        state = {**model.state_dict(), "images_seen": torch.tensor(model.images_seen)}
        torch.save(state, Path(folder) / f"{case}.rank{trainer.global_rank}.pt")
    print(f"{len(cases)} cases in process {os.environ.get('RANK', 0)} of 2")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
