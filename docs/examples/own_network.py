# Give a GAN networks of your own: any two modules that fit each other and the data.
#
#     python own_network.py [updates]
import sys

import lightning.pytorch as pl
from datamodules import GaussianRing
from lightning_gans import GAN, Trainer, load
from lightning_gans.callbacks import Checkpoint
from lightning_gans.core.priors import NormalPrior
from torch import nn

updates = int(sys.argv[1]) if sys.argv[1:] else 2000


class Residual(nn.Module):
    """A block of a network of your own."""

    def __init__(self, size):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, x):
        return x + self.layers(x)


def networks():
    """A generator from 16 latent numbers to a point, and a discriminator to one logit."""
    generator = nn.Sequential(nn.Linear(16, 64), Residual(64), Residual(64), nn.Linear(64, 2))
    discriminator = nn.Sequential(nn.Linear(2, 64), Residual(64), Residual(64), nn.Linear(64, 1))
    return {"generator": generator, "discriminator": discriminator, "prior": NormalPrior(16)}


pl.seed_everything(0)
model = GAN(**networks())
trainer = Trainer(max_steps=updates, accelerator="cpu", callbacks=[Checkpoint()])
trainer.fit(model, GaussianRing(batch_size=128))

# A checkpoint holds weights, not code. Give `load` new networks to put the weights into.
again = load(trainer.log_dir, **networks())
print(again.sample(4))
