"""Averages over updates of the networks that generate."""

import copy
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import nn
from typing_extensions import override

from lightning_gans.core.averaging import Average
from lightning_gans.core.checkpointing import AVERAGE_KEY
from lightning_gans.core.module import AdversarialModule
from lightning_gans.networks.inspect import share_buffers

__all__ = ["GeneratorEMA", "GeneratorSWA"]


class GeneratorEMA(Callback):
    """Keeps an average of the generator, which is evaluated and drawn in its place.

    A model says which of its networks are averaged (``averaged``): the generator, and an encoder
    or a second generator if it has one. The networks themselves are never replaced.

    After generator update n an average moves towards its network by 1 - d. By default d is the
    smaller of ``decay`` and (1 + n) / (10 + n): early on, the average forgets the initial weights
    faster. With ``half_life``, d is 1/2 to the power of B / h, where B are the samples of one
    update over all processes, and h is the half-life, or ``rampup`` times the images so far where
    that is less; images are n B. Trained weights and the statistics of normalization layers are
    averaged, all other buffers are copied.

    References:
        | The Unusual Effectiveness of Averaging in GAN Training (Yazici et al., 2019), equation 4,
        | https://arxiv.org/abs/1806.04498; the ramp of ``decay`` is not in the paper.
        | Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), whose
        | code has the half-life and its ramp, https://arxiv.org/abs/2006.06676. Its appendix
        | counts images likewise.

    Args:
        decay: share of the average that each update keeps, in [0, 1); 0.999 if neither it nor a
            half-life is given.
        half_life: images after which a state of the generator counts half, at least 0.
        rampup: largest half-life in units of the images so far, above 0; no limit if it is not
            given. Only with ``half_life``.
        start: generator updates before which the average is a copy, at least 0.

    Attributes:
        networks: the averaged networks by name, in evaluation mode.

    Raises:
        ValueError: if an argument is out of range, or two are mutually exclusive.
    """

    def __init__(
        self,
        decay: float | None = None,
        half_life: float | None = None,
        rampup: float | None = None,
        start: int = 0,
    ) -> None:
        if decay is not None and half_life is not None:
            raise ValueError("decay and half_life are mutually exclusive. Use one of them.")
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}.")
        if half_life is not None and not 0 <= half_life < float("inf"):
            raise ValueError(
                f"half_life must be a finite number of images of at least 0, got {half_life}."
            )
        if rampup is not None and half_life is None:
            raise ValueError("rampup limits the half-life. Use it with half_life.")
        if rampup is not None and not rampup > 0:
            raise ValueError(f"rampup must be above 0, got {rampup}.")
        if start < 0:
            raise ValueError(f"start must be at least 0, got {start}.")
        self.decay = 0.999 if decay is None else decay
        self.half_life = half_life
        self.rampup = rampup
        self.start = start
        self.networks: dict[str, nn.Module] = {}
        self._averages: list[Average] = []
        self._updates = 0

    @property
    @override
    def state_key(self) -> str:
        return AVERAGE_KEY

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" or not self._follows(pl_module):
            self.networks = {}  # without those of an earlier training, or of another model

    @override
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._follow(pl_module)
        if AVERAGE_KEY not in checkpoint["callbacks"]:
            rank_zero_warn(
                "The checkpoint has no averaged generator. The average starts at its weights."
            )

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)
        self._updates = trainer.global_step

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._settle(pl_module)

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._settle(pl_module)

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._settle(pl_module)

    def _follows(self, model: LightningModule) -> bool:
        """Tells whether the averages, if there are any, are those of a model."""
        sources = [average.source for average in self._averages]
        return all(any(s is part for part in model.children()) for s in sources)

    def _settle(self, model: LightningModule) -> None:
        """Makes the averages ready to be evaluated, the same in all processes."""
        self._follow(model)
        for average in self._averages:
            average.settle()
            share_buffers(average.network)

    def _follow(self, model: LightningModule) -> None:
        """Moves the averages to where the trainer put the model.

        They are made when they are first needed: before, lazy layers may have no weights yet.
        """
        assert isinstance(model, AdversarialModule)
        self._averages = []
        for name in model.averaged:
            network = getattr(model, name)
            if name not in self.networks:
                average = copy.deepcopy(network)
                self.networks[name] = average.requires_grad_(False).eval()
            average = self.networks[name]
            for part in ("parameters", "buffers"):
                pairs = zip(getattr(average, part)(), getattr(network, part)(), strict=True)
                for own, value in pairs:
                    own.data = own.data.to(value)
            self._averages.append(Average(average, network))
        model.evaluate_with(**self.networks)

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if trainer.global_step == self._updates:
            return
        self._updates = trainer.global_step
        kept = self._kept(self._updates, pl_module.images_per_update)
        for average in self._averages:
            average.move(1 - kept)

    def _kept(self, update: int, images: int) -> float:
        """Returns the share of the average that an update keeps.

        Args:
            update: number of the generator update, from 1.
            images: samples of one update over all processes.
        """
        if update <= self.start:
            return 0.0
        if self.half_life is None:
            return min(self.decay, (1 + update) / (10 + update))
        half_life = self.half_life
        if self.rampup is not None:
            half_life = min(half_life, self.rampup * update * images)
        return float(0.5 ** (images / max(half_life, 1e-8)))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {name: network.state_dict() for name, network in self.networks.items()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(state_dict[name])


class GeneratorSWA(GeneratorEMA):
    """Keeps the plain mean of the generator over all updates after a number of them.

    Everything else is as for `GeneratorEMA`: stochastic weight averaging with a share of 1 / n for
    the n-th update that counts. The statistics of normalization layers are averaged with the
    weights; they are not computed anew, as the paper on classifiers does.

    References:
        | Averaging Weights Leads to Wider Optima and Better Generalization (Izmailov et al.,
        | 2018), https://arxiv.org/abs/1803.05407; it averages once a cycle, not in each update.
        | The Unusual Effectiveness of Averaging in GAN Training (Yazici et al., 2019), the moving
        | average in its comparison, https://arxiv.org/abs/1806.04498

    Args:
        start: generator updates before those that count, at least 0; until then the average is a
            copy.

    Raises:
        ValueError: if ``start`` is out of range.
    """

    def __init__(self, start: int) -> None:
        super().__init__(start=start)

    @override
    def _kept(self, update: int, images: int) -> float:
        number = max(1, update - self.start)
        return (number - 1) / number
