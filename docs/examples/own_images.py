# Train on a folder of your own images. Good pictures take hours on a CPU: try a few updates first.
#
#     python own_images.py photos [updates]
import sys

import lightning.pytorch as pl
from datamodules import ImageFolder
from lightning_gans import DCGAN, Trainer
from lightning_gans.callbacks import Checkpoint, GeneratorEMA, Pictures

folder = sys.argv[1]
updates = int(sys.argv[2]) if sys.argv[2:] else 20000

pl.seed_everything(0)
# Images of any size are cropped at their centre and scaled to 32 x 32.
data = ImageFolder(folder, image_size=32, batch_size=16)
model = DCGAN(data_shape=data.data_shape)
callbacks = [GeneratorEMA(), Pictures(), Checkpoint()]
trainer = Trainer(max_steps=updates, accelerator="cpu", callbacks=callbacks)
trainer.fit(model, data)
print(f"the pictures are in {trainer.log_dir}")
