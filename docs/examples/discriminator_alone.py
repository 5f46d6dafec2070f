# Try a discriminator alone: can it tell real samples from uniform noise?
#
#     python discriminator_alone.py [updates]
#
# Network and loss are those of the config lsgan_pattern; its steps are smaller, and far more.
import sys

import torch
from datamodules import OneZeroPattern, UniformNoise
from lightning_gans.losses.functional import least_squares_discriminator_loss
from lightning_gans.networks import MLPDiscriminator
from torch.nn import Sigmoid

updates = int(sys.argv[1]) if sys.argv[1:] else 1000

torch.manual_seed(0)
patterns, noise = OneZeroPattern(), UniformNoise(size=4)
discriminator = MLPDiscriminator((4,), hidden=[3], activation=Sigmoid, output=Sigmoid)
optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.5)
for _ in range(updates):
    loss = least_squares_discriminator_loss(
        discriminator(patterns.sample(32)), discriminator(noise.sample(32))
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    real, fake = (discriminator(data.sample(1000)).mean().item() for data in (patterns, noise))
print(f"after {updates:,} updates: {real:.2f} for patterns, {fake:.2f} for noise")
