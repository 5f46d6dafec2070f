# Score samples with a metric of your own, and keep the checkpoint that it likes best.
#
#     python own_metric.py [updates]
import sys

import lightning.pytorch as pl
from datamodules import GaussianRing
from lightning_gans import WGANGP, Trainer
from lightning_gans.callbacks import Checkpoint, Evaluation
from lightning_gans.metrics import SlicedWasserstein
from lightning_gans.metrics.base import SampleMetric, Score
from lightning_gans.regularizers import GradientPenalty

updates = int(sys.argv[1]) if sys.argv[1:] else 2000


class MeanDistance(SampleMetric):
    """The distance between the mean of the generated samples and the mean of the real ones."""

    about = (Score("mean_distance", "distance between the means", best="low", shown=True),)

    def compute(self):
        real, fake = self.collected()  # shape (N, d) each
        return {"mean_distance": (real.mean(0) - fake.mean(0)).norm()}


pl.seed_everything(0)
evaluation = Evaluation([MeanDistance(), SlicedWasserstein()])
callbacks = [evaluation, Checkpoint("val/mean_distance")]
trainer = Trainer(max_steps=updates, accelerator="cpu", callbacks=callbacks)
model = WGANGP(data_shape=(2,), n_critic=2, penalty=GradientPenalty(0.1))
trainer.fit(model, GaussianRing(batch_size=128))
print(f"score {evaluation.scores['mean_distance']:.4f}")
print(f"real data {evaluation.floors['mean_distance']:.4f}")
print(f"best checkpoint {trainer.checkpoint_callback.best_model_path}")
