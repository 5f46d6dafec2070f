"""Refined samples of a model: each depends on the seed and on its place only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from lightning_gans.core.latent import LatentModule
from lightning_gans.networks import evaluation_mode
from lightning_gans.networks.shapes import check_sizes
from lightning_gans.randomness import EVALUATION, reseed
from lightning_gans.sampling.base import Refiner

__all__ = ["Refined", "RefinedEvaluation", "Refinement", "real_samples", "refine"]

BLOCK = 100
"""Latents that are drawn at a time."""
LEAST = 8
"""Real samples, of which one half may be used for calibration."""


class Refined(NamedTuple):
    """Refined samples.

    Attributes:
        samples: shape (N, ...).
        latent: what they were generated from, shape (N, Z).
        acceptance: share of the proposals that were accepted; None if none can be rejected.
    """

    samples: Tensor
    latent: Tensor
    acceptance: float | None


class Refinement:
    """The latents that a refiner draws for a model, as it is now.

    Args:
        refiner: draws them.
        model: that is sampled from.
        real: real samples, shape (N, ...), if the refiner ``needs_real``.
        seed: decides the latents.

    Attributes:
        refiner: as given.

    Raises:
        ValueError: if the model cannot be refined, or real samples are missing or do not fit.
    """

    def __init__(
        self, refiner: Refiner, model: LatentModule, real: Tensor | None = None, seed: int = 0
    ) -> None:
        refiner.check(model)
        self.refiner = refiner
        self._model, self._seed = model, seed
        self._accepted = self._proposed = 0
        self._block: tuple[int, Tensor] | None = None
        with self._drawing(0, 1):
            self._draw = refiner.prepare(model, _checked(refiner, model, real))

    @property
    def acceptance(self) -> float | None:
        """The share of the proposals so far that were accepted; None if none can be rejected."""
        return self._accepted / self._proposed if self._proposed else None

    def latents(self, start: int, n: int) -> Tensor:
        """Returns the latents at ``n`` places from a start, shape (n, Z)."""
        blocks = range(start // BLOCK, -(-(start + n) // BLOCK))
        return torch.cat([self._drawn(block) for block in blocks])[start % BLOCK :][:n]

    def _drawn(self, block: int) -> Tensor:
        if self._block is None or self._block[0] != block:
            with self._drawing(block):
                latent, accepted, proposed = self._draw(BLOCK)
            self._block = block, latent
            self._accepted += accepted
            self._proposed += proposed
        return self._block[1]

    @contextmanager
    def _drawing(self, *place: int) -> Iterator[None]:
        """Seeds the default generators and puts the model in evaluation mode, for a while."""
        device = self._model.device
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(device.type, enabled=False),
            evaluation_mode(self._model),
        ):
            reseed(device, self._seed, EVALUATION, *place)
            yield


def _checked(refiner: Refiner, model: LatentModule, real: Tensor | None) -> Tensor | None:
    """Returns the real samples where the model is, or None if the refiner does not read them."""
    if not refiner.needs_real:
        return None
    name = type(refiner).__name__
    if real is None:
        raise ValueError(f"real is missing: {name} needs real samples. Use real=SAMPLES.")
    shape = tuple(model.example().fake.shape[1:])
    if tuple(real.shape[1:]) != shape or len(real) < LEAST:
        raise ValueError(
            f"real must have shape (N, {', '.join(map(str, shape))}) with N at least {LEAST} for "
            f"{name}, got {tuple(real.shape)}."
        )
    if not real.is_floating_point():
        raise ValueError(
            f"real must have floating-point values for {name}, got {real.dtype}. Use samples as "
            "the data module makes them, in its value_range."
        )
    if not real.isfinite().all():
        raise ValueError(
            f"real must have finite values for {name}, got {int((~real.isfinite()).sum())} that "
            "are not. Use samples as the data module makes them."
        )
    return real.to(model.device, cast("torch.dtype", model.dtype), copy=True)


def refine(
    model: LatentModule, refiner: Refiner, n: int, *, real: Tensor | None = None, seed: int = 0
) -> Refined:
    """Returns refined samples of a model; PyTorch's generators are left as they are.

    Args:
        model: of a checkpoint or of a run, as `load` opens it with ``averaged=False``: the
            discriminator has learnt against the generator itself, not against its average.
        refiner: such as ``MetropolisHastings()``.
        n: how many, at least 1.
        real: real samples, shape (N, ...), if the refiner ``needs_real``: none that the refined
            ones will be compared with, and better none that the model was trained on.
        seed: decides the samples; those at a place do not depend on how many there are.

    Raises:
        ValueError: if the model cannot be refined, or an argument is out of range.
    """
    check_sizes(n=n)
    refinement = Refinement(refiner, model, real, seed)
    latent = refinement.latents(0, n)
    return Refined(model.sample(latent), latent, refinement.acceptance)


def real_samples(data: Any) -> Tensor:
    """Returns the further real samples of a data module, which scores compare nothing with.

    Args:
        data: a data module that has been set up.

    Raises:
        ValueError: if it has none.
    """
    if not hasattr(data, "floor_dataloader"):
        raise ValueError(
            f"data: {type(data).__name__} has no further real samples. Use data with a "
            "floor_dataloader, or refine in Python with real=SAMPLES."
        )
    batches = (data.on_after_batch_transfer(batch, 0) for batch in data.floor_dataloader())
    return torch.cat([batch if isinstance(batch, Tensor) else batch[0] for batch in batches])


class RefinedEvaluation(Callback):
    """Lets a trainer score refined samples in place of the generator's own, in one process.

    It comes after `GeneratorEMA`, if there is one, and puts the generator itself in the place of
    the average if the refiner asks the discriminator. Real samples are those that the floors of
    the scores are of.

    Args:
        refiner: draws the latents.

    Attributes:
        refiner: as given.
        refinement: of the last evaluation.
    """

    def __init__(self, refiner: Refiner) -> None:
        self.refiner = refiner
        self.refinement: Refinement | None = None

    def about(self) -> dict[str, Any]:
        """Returns how the samples of the last evaluation were refined, as plain data."""
        acceptance = None if self.refinement is None else self.refinement.acceptance
        return {
            "by": type(self.refiner).__name__,
            **vars(self.refiner),
            "acceptance": acceptance,
            "generator": "raw" if self.refiner.reads_discriminator else "as evaluated",
        }

    def check(self, trainer: Trainer, model: LightningModule) -> None:
        """Refuses a model that cannot be refined, and several processes.

        Args:
            trainer: that is to evaluate the model.
            model: the model.

        Raises:
            ValueError: if they are not what is needed.
        """
        if not isinstance(model, LatentModule):
            raise ValueError(
                f"refine: a {type(model).__name__} does not generate samples from latents. Use a "
                "GAN."
            )
        if trainer.world_size > 1:
            raise ValueError(
                f"refine: samples are refined in one process, got {trainer.world_size}. Use "
                "--trainer.devices 1."
            )
        self.refiner.check(model)

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.check(trainer, pl_module)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, pl_module)

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, pl_module)

    def _begin(self, trainer: Trainer, model: LightningModule) -> None:
        assert isinstance(model, LatentModule)
        if self.refiner.reads_discriminator:
            model.evaluate_with()
        data = trainer.datamodule  # type: ignore[attr-defined]
        real = real_samples(data) if self.refiner.needs_real else None
        self.refinement = Refinement(self.refiner, model, real, model.seed)
        model.evaluate_latents(self.refinement.latents)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LatentModule)
        pl_module.evaluate_latents(None)

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_end(trainer, pl_module)
