"""Times what Lightning itself adds to a bare loop, in the smallest module that can hold the loop.

    python benchmarks/floor.py

The module has manual optimization and does nothing of its own: no logs, no bar, no checkpoints.
``training_step`` plays a round of the bare loop of `speed.py`'s workload (c), with Lightning's
``manual_backward`` and optimizers. It takes turns with the bare loop, once alone and once with as
many callbacks as a run of ``lightning-gans fit`` has, which do nothing. Writes
``results/floor.json``.
"""

import argparse
import itertools
import logging
import time
from functools import partial
from statistics import median, quantiles
from typing import Any

import torch
from bare import Bare
from duel import Watch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from trained import write_results

from datamodules import GaussianRing
from lightning_gans import WGANGP
from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.networks import MLPDiscriminator, MLPGenerator

CALLBACKS = 5
"""Of a run: for progress, evaluation, pictures, checkpoints and the run's record."""
UPDATES = 200
"""Of one turn."""


class Smallest(LightningModule):
    """The bare loop with Lightning around it.

    Args:
        loop: that plays the rounds.
    """

    def __init__(self, loop: Bare) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.networks = torch.nn.ModuleList([loop.generator, loop.critic])
        self.loop = loop

    def configure_optimizers(self) -> list[Optimizer]:
        """Returns the optimizers of the loop."""
        found: list[Optimizer] = self.loop.optimizers
        return found

    def on_train_start(self) -> None:
        """Puts Lightning's ways into the loop."""
        self.loop.backward = self.manual_backward
        self.loop.optimizers = self.optimizers()

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Plays a round."""
        self.loop.update()


class Nothing(Callback):
    """A callback that does nothing.

    Args:
        number: which of them.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def state_key(self) -> str:
        """Lightning allows one callback of a name."""
        return f"Nothing{self.number}"


class Turns(Watch):
    """Lets a bare loop play whenever the run has made some updates, and times both.

    Args:
        loop: the bare loop.
    """

    def __init__(self, loop: Bare) -> None:
        self.loop = loop
        self.ratios: list[float] = []
        self._start = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Ends the run's turn, if it has made its updates."""
        if (batch_idx + 1) % UPDATES:
            return
        seconds = time.perf_counter() - self._start
        start = time.perf_counter()
        for _ in range(UPDATES):
            self.loop.update()
        if batch_idx >= UPDATES:  # the first turn warms up
            self.ratios.append(seconds / (time.perf_counter() - start))
        self._start = time.perf_counter()


def ratios(callbacks: int, rounds: int) -> list[float]:
    """Returns the time of each turn of the run, as a share of the bare loop's."""
    torch.manual_seed(0)
    data = GaussianRing(batch_size=256)
    gan = WGANGP(
        data_shape=(2,),
        generator=partial(MLPGenerator, hidden=[128] * 2),
        discriminator=partial(MLPDiscriminator, hidden=[128] * 2),
        n_critic=1,
    )
    turns = Turns(Bare(gan, data, 256, half=False))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=2 * UPDATES * (rounds + 1),  # Lightning counts each optimizer's steps
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[turns, *map(Nothing, range(callbacks))],
    )
    trainer.fit(Smallest(Bare(gan, data, 256, half=False)), itertools.repeat(0))
    return turns.ratios


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="turns of each side")
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    found: dict[str, Any] = {"updates_of_a_turn": UPDATES, "ratios": {}}
    for callbacks in (0, CALLBACKS):
        found["ratios"][callbacks] = measured = ratios(callbacks, given.rounds)
        low, _, high = quantiles(measured, n=4)
        print(
            f"with {callbacks} callbacks: {median(measured):.3f} of the bare loop "
            f"({low:.3f} to {high:.3f})"
        )
    found.update(threads=torch.get_num_threads(), machine=machine(torch.device("cpu")))
    found.update(versions=versions(), commit=code_version())
    write_results("floor", found)


if __name__ == "__main__":
    main()
