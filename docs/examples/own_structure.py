# Train a structure of your own: the discriminator also tells by how much a sample was turned, a
# task without labels that keeps its features useful (Chen et al., 2019, from memory:
# https://arxiv.org/abs/1811.11212).
#
#     python own_structure.py [updates [samples to score]]
import sys

import lightning.pytorch as pl
import torch
from datamodules import SwissRoll
from lightning_gans import GAN, Trainer
from lightning_gans.callbacks import Evaluation
from torch.nn.functional import cross_entropy

updates = int(sys.argv[1]) if sys.argv[1:] else 2000
samples = int(sys.argv[2]) if sys.argv[2:] else 10000


class TurningGAN(GAN):
    """A GAN of points in the plane, whose discriminator has a head for four turns."""

    def __init__(self, *, weight_d=1.0, weight_g=0.2, **kwargs):
        super().__init__(**kwargs)
        self.weight_d, self.weight_g = weight_d, weight_g

    def heads(self):
        return {"turn": 4}  # outputs beside the logit

    def told(self, points):
        """Returns how badly the head tells turns by 0, 90, 180 and 270 degrees."""
        turns = torch.arange(len(points), device=points.device) % 4
        matrix = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).to(points)
        powers = torch.stack([torch.matrix_power(matrix, k) for k in range(4)])
        turned = torch.einsum("ni,nij->nj", points, powers[turns])
        return cross_entropy(self.outputs(turned)["turn"], turns)

    def auxiliary_d(self, real, fake, samples):  # `real` and `fake` are outputs by name
        return {"turn_real": self.weight_d * self.told(samples.real)}

    def auxiliary_g(self, fake, samples):
        return {"turn_fake": self.weight_g * self.told(samples.fake)}


pl.seed_everything(0)
model = TurningGAN(data_shape=(2,))
evaluation = Evaluation()
trainer = Trainer(
    max_steps=updates, accelerator="cpu", callbacks=[evaluation], log_every_n_steps=10
)
trainer.fit(model, SwissRoll(batch_size=128, num_eval_samples=samples))
print(evaluation.scores)
print({name: value for name, value in model.last_logged.items() if "turn" in name})
