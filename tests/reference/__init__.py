"""A plain training loop, written apart from the library, that every game must agree with.

A game is a structure of players, a loss and regularizers. Each is written here a second time, as
formulas: `networks` are small ones of points, `losses` and `regularizers` are of outputs,
`players` say what is seen and minimized in their turns, `structures` and `games` put them
together, and `loop` plays them.
"""

from functools import partial

import torch

from datamodules import GaussianRing

BATCH = 6
SEED = 5
OPTIMIZER = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))


def noise(number):
    return torch.randn(number, 2, dtype=torch.float64)


def data(num_classes: int = 0) -> GaussianRing:
    modes, labels = num_classes or 8, bool(num_classes)
    return GaussianRing(modes, batch_size=BATCH, num_eval_samples=16, labels=labels)
