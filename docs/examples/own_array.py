# Train on a NumPy array of your own, shape (N, d), and generate more rows like it.
#
#     python own_array.py [updates]
import sys

import lightning.pytorch as pl
import numpy as np
from datamodules import ArrayData
from lightning_gans import WGANGP, Trainer
from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures
from lightning_gans.regularizers import GradientPenalty

updates = int(sys.argv[1]) if sys.argv[1:] else 2000

# Replace these points with your own: any array of numbers of shape (N, d).
draw = np.random.default_rng(0)
angle = draw.uniform(0, np.pi, 2000)
points = np.stack([np.cos(angle), np.sin(angle)], 1) + draw.normal(0, 0.05, (2000, 2))

pl.seed_everything(0)
data = ArrayData(points, batch_size=128)
model = WGANGP(data_shape=data.data_shape, n_critic=2, penalty=GradientPenalty(0.1))
callbacks = [Evaluation(), Pictures(), Checkpoint("val/sliced_w")]
trainer = Trainer(
    max_steps=updates,
    check_val_every_n_epoch=None,  # with None, val_check_interval counts updates:
    val_check_interval=500,  # an epoch of a small array has only a few
    accelerator="cpu",
    callbacks=callbacks,
)
trainer.fit(model, data)

generated = model.sample(1000).numpy()
np.save("generated.npy", generated)
print(f"generated.npy holds {len(generated)} rows; the pictures are in {trainer.log_dir}")
