# Train a conditional GAN, then generate samples of the classes you choose.
#
#     python conditional.py [updates [samples to score]]
import sys

import lightning.pytorch as pl
import torch
from datamodules import GaussianRing
from lightning_gans import CGAN, Trainer
from lightning_gans.callbacks import Evaluation

updates = int(sys.argv[1]) if sys.argv[1:] else 3000
samples = int(sys.argv[2]) if sys.argv[2:] else 10000

pl.seed_everything(0)
data = GaussianRing(batch_size=128, labels=True, num_eval_samples=samples)  # a class for each mode
model = CGAN(data_shape=(2,), num_classes=8)
trainer = Trainer(max_steps=updates, accelerator="cpu", callbacks=[Evaluation()])
trainer.fit(model, data)

labels = torch.tensor([0, 0, 0, 4, 4, 4])
points = model.sample(model.sample_latent(len(labels)), labels)
for label, point in zip(labels, points, strict=True):
    print(f"class {label}: {point[0]:.2f}, {point[1]:.2f}")

# The same latent in every class:
latent = model.sample_latent(1).expand(8, -1)
print(model.sample(latent, torch.arange(8)))
