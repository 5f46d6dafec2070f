# Train in two processes. Each has its own share of the data and its own noise.
#
#     python two_processes.py [updates]
import sys

import lightning.pytorch as pl
from datamodules import GaussianRing
from lightning_gans import WGANGP, Trainer
from lightning_gans.callbacks import Checkpoint


def main(updates):
    pl.seed_everything(0)
    trainer = Trainer(
        max_steps=updates,
        accelerator="cpu",  # "gpu" for two GPUs
        devices=2,
        callbacks=[Checkpoint()],
    )
    # Each process reads batches of 128, so that an update sees 256 samples.
    trainer.fit(WGANGP(data_shape=(2,), n_critic=2), GaussianRing(batch_size=128))
    if trainer.is_global_zero:
        print(f"{trainer.global_step} updates in {trainer.world_size} processes")


# The second process runs this file again, so nothing may train while it is only imported.
if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
