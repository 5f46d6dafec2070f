# Stop a run half-way, resume it, and end with the same weights as a run that never stopped.
#
#     python resume.py [updates]
import sys

import lightning.pytorch as pl
import torch
from datamodules import GaussianRing
from lightning_gans import WGANGP, Trainer
from lightning_gans.callbacks import Checkpoint

updates = int(sys.argv[1]) if sys.argv[1:] else 1000


def train(name, max_steps, checkpoint=None):
    """Trains to `max_steps` updates in all, from the start or from a checkpoint."""
    pl.seed_everything(0)
    model = WGANGP(data_shape=(2,), n_critic=2)
    callbacks = [Checkpoint(dirpath=name)]
    trainer = Trainer(max_steps=max_steps, accelerator="cpu", logger=False, callbacks=callbacks)
    trainer.fit(model, GaussianRing(batch_size=128), ckpt_path=checkpoint)
    return model


train("stopped", updates // 2)
resumed = train("stopped", updates, checkpoint="stopped/last.ckpt")
straight = train("straight", updates)
for name, weights in straight.state_dict().items():
    assert torch.equal(weights, resumed.state_dict()[name]), name
print("the resumed run ended with the same weights")
