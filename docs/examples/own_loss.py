# Train with a loss of your own. All models but SGAN, EBGAN and BEGAN take it.
#
#     python own_loss.py [updates [samples to score]]
import sys

import lightning.pytorch as pl
from datamodules import GaussianRing
from lightning_gans import GAN, Trainer
from lightning_gans.callbacks import Evaluation
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import R1
from torch.nn.functional import logsigmoid

updates = int(sys.argv[1]) if sys.argv[1:] else 2000
samples = int(sys.argv[2]) if sys.argv[2:] else 10000


class Smoothed(AdversarialLoss):
    """Cross-entropy with real labels of 0.9 (one-sided label smoothing)."""

    def discriminator(self, real, fake):
        of_real = 0.9 * logsigmoid(real) + 0.1 * logsigmoid(-real)
        return -of_real.mean() - logsigmoid(-fake).mean()

    def generator(self, fake, real=None):
        return -logsigmoid(fake).mean()


pl.seed_everything(0)
model = GAN(data_shape=(2,), loss=Smoothed, regularizers=[R1(0.1)])
evaluation = Evaluation()
trainer = Trainer(max_steps=updates, accelerator="cpu", callbacks=[evaluation])
trainer.fit(model, GaussianRing(batch_size=128, num_eval_samples=samples))
print(evaluation.scores)
