"""The training loop that every variant shares, and the plain GAN itself."""

import copy
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import isfinite, prod
from typing import Any, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from lightning_gans.core.checkpointing import CheckpointedModule
from lightning_gans.core.checks import (
    HALF,
    check_batch,
    check_classes,
    check_discriminator,
    check_generator,
    check_labels,
    check_makes,
    check_optimizer,
    check_outputs,
    check_precision,
    check_range,
    check_scheduler,
    check_sharing,
    made,
)
from lightning_gans.core.compiling import Compiled
from lightning_gans.core.idle import leave_out_idle_calls
from lightning_gans.core.players import DivergenceError, Player, Samples, split_batch
from lightning_gans.core.priors import NormalPrior, Prior
from lightning_gans.core.randomness import EVALUATION, NOISE, reseed
from lightning_gans.losses import minimax_discriminator_loss, non_saturating_generator_loss
from lightning_gans.networks import (
    MLPDiscriminator,
    MLPGenerator,
    evaluation_mode,
    has_batch_statistics,
)
from lightning_gans.networks.independence import declares_it, treats_samples_alone
from lightning_gans.networks.inspect import share_buffers
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import Penalty

__all__ = ["GAN"]

MOST_UPDATES = 10_000
"""Of a player in a round, whose samples come in one batch."""
BLOCK = 1000
"""Latents of an evaluation that are drawn at a time."""

_PLAIN = (str, int, float, type(None))
"""What is neither a tensor nor a module."""

GeneratorSource = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes a generator from Z, the shape of a sample and, as ``num_classes``, the classes if there
are any; or is the generator itself."""
DiscriminatorSource = Callable[[tuple[int, ...]], nn.Module]
"""Makes a discriminator from the shape of a sample and, as ``num_classes``, the classes if there
are any; or is the discriminator itself."""


class GAN(CheckpointedModule):
    """The GAN of the original paper with the non-saturating loss, and the base of all variants.

    One batch feeds one round: ``n_critic`` discriminator updates on consecutive equal slices of
    the batch, then one generator update. So ``global_step``, ``max_steps``, the x-axis of every
    logger and the cadence of checkpoints count generator updates.

    A variant overrides `discriminator_loss` and `generator_loss`, and `players` if it has more
    networks or players. It returns named terms; it never detaches, steps or logs.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), algorithm 1, with the
        generator's loss of section 3, https://arxiv.org/abs/1406.2661. The paper's k is
        ``n_critic``. It trains with momentum; the default here is Adam with the settings of DCGAN.

    Args:
        data_shape: shape of one sample, without the batch. The command line takes it from the
            data. Needed unless both networks are modules and a prior is given.
        generator: a module from latents (N, Z) to samples (N, ...), or what makes one from Z and
            ``data_shape``.
        discriminator: a module from samples (N, ...) to logits (N,) or (N, 1), or what makes one
            from ``data_shape``.
        prior: what latents are drawn from. By default a normal distribution with as many entries
            as a sample has, at most 100.
        num_classes: K, the classes that samples are asked for by, at least 1: the conditional GAN,
            which needs data with labels from 0 to K - 1. The networks are then called with the
            labels, int64, shape (N,), as second argument, and made with ``num_classes``. On ways
            between classes a generator is called with shares of all classes, shape (N, K).
        n_critic: discriminator updates before each generator update, at least 1.
        penalties: added to the discriminator's loss, see `lightning_gans.regularizers`.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's.
        scheduler: makes a learning-rate scheduler for each optimizer, stepped once a round.
        gradient_clip_norm: largest norm of one player's gradient; larger ones are scaled down.
        compile: let PyTorch compile the losses with their penalties, which takes a minute at the
            start; the same to rounding. A loss that cannot be compiled says so and runs without.

    Attributes:
        exported: names of the networks that generate, or find what to generate from.
        training_begun: whether a first round has been played; what fails before is bad input.
        live: the values last logged, training's and evaluation's, for a progress bar to show.

    Raises:
        ValueError: if an argument is out of range, or the networks do not fit each other or the
            data; always before the first update.
    """

    exported: tuple[str, ...] = ("generator",)

    def __init__(
        self,
        *,
        data_shape: tuple[int, ...] | None = None,
        generator: GeneratorSource = MLPGenerator,
        discriminator: DiscriminatorSource = MLPDiscriminator,
        prior: Prior | None = None,
        num_classes: int | None = None,
        n_critic: int = 1,
        penalties: Sequence[Penalty] = (),
        optimizer_g: OptimizerCallable = GANAdam,
        optimizer_d: OptimizerCallable = GANAdam,
        scheduler: LRSchedulerCallable | None = None,
        gradient_clip_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_plain_hyperparameters()
        self.automatic_optimization = False
        if not 1 <= n_critic <= MOST_UPDATES:
            limits = "at least 1" if n_critic < 1 else f"at most {MOST_UPDATES:,}"
            raise ValueError(f"n_critic must be {limits}, got {n_critic}.")
        for name, make in (("optimizer_g", optimizer_g), ("optimizer_d", optimizer_d)):
            check_makes(name, make)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        if gradient_clip_norm is not None and not gradient_clip_norm > 0:
            raise ValueError(f"gradient_clip_norm must be above 0, got {gradient_clip_norm}.")
        names = [penalty.name for penalty in penalties]
        if len(set(names)) < len(names):
            raise ValueError(f"penalties: each kind is allowed once, got {names}.")
        if data_shape is None:
            given = (isinstance(n, nn.Module) for n in (generator, discriminator))
            if prior is None or not all(given):
                raise ValueError(
                    "data_shape must be given, unless generator and discriminator are modules and "
                    "a prior says what the generator reads."
                )
        self.data_shape = None if data_shape is None else tuple(data_shape)
        self.prior = prior or NormalPrior(min(100, prod(self.data_shape or ())))
        self.num_classes = num_classes
        classes = {} if num_classes is None else {"num_classes": num_classes}
        self.generator = made("generator", generator, self.prior.dim, self.data_shape, **classes)
        self.discriminator = made(
            "discriminator", discriminator, self.data_shape, **self.discriminator_arguments()
        )
        if names and has_batch_statistics(self.discriminator):
            raise ValueError(
                f"discriminator: it has BatchNorm layers, which make each output depend on the "
                f"whole batch, but {', '.join(names)} is a penalty on the gradient of each sample "
                "alone. Give it no normalisation, or one of each sample alone, such as "
                "torch.nn.InstanceNorm2d."
            )
        self.n_critic = n_critic
        self.penalties = nn.ModuleList(penalties)
        self.optimizer_g = optimizer_g
        self.optimizer_d = optimizer_d
        self.scheduler = scheduler
        self.gradient_clip_norm = gradient_clip_norm
        self.compiles = compile
        self._compiled: dict[str, Compiled] = {}
        self.live: dict[str, float] = {}
        self._seen: dict[str, Tensor] = {}
        self.training_begun = False
        self._joins = False
        self._draws_ahead = False
        self._logging = False
        self._scaled = False
        self._place: int | None = None

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute, plain ones without a search among parameters, buffers and modules.

        Lightning sets the name of a hook before and after each call of one.
        """
        if name in self.__dict__ and isinstance(value, _PLAIN):
            super(nn.Module, self).__setattr__(name, value)
        else:
            super().__setattr__(name, value)

    # What a variant may override -----------------------------------------------------------------

    def players(self) -> list[Player]:
        """Returns the players of one round in the order of their turns."""
        discriminator = Player(
            "discriminator",
            [self.discriminator],
            self.optimizer_d,
            updates=self.n_critic,
            penalties=cast("list[Penalty]", list(self.penalties)),
        )
        return [discriminator, Player("generator", [self.generator], self.optimizer_g)]

    def discriminator_arguments(self) -> dict[str, int]:
        """Returns what a discriminator is made with beside the shape: the classes, if any.

        Without ``num_classes`` it is called with the samples alone. An override that needs more
        than the number of classes needs it set before the base's constructor runs.
        """
        return {} if self.num_classes is None else {"num_classes": self.num_classes}

    def sample_latent(self, n: int) -> Tensor:
        """Draws latents from the prior, shape (n, Z)."""
        return self.prior.sample(n, device=self.device, dtype=cast("torch.dtype", self.dtype))

    def sample_labels(self, n: int) -> Tensor | None:
        """Draws classes, int64, shape (n,), all equally likely; None for a GAN without classes."""
        if self.num_classes is None:
            return None
        return torch.randint(self.num_classes, (n,), device=self.device)

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples, shape (N, ...).

        Args:
            latent: shape (N, Z).
            labels: classes, int64, shape (N,), or their weights, shape (N, K); a GAN without
                classes reads none.
        """
        return (
            self.generator(latent) if self.num_classes is None else self.generator(latent, labels)
        )

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps samples, shape (N, ...), to logits, shape (N,), in single precision or better.

        Args:
            x: samples.
            labels: classes, int64, shape (N,); a GAN without classes reads none.

        Raises:
            ValueError: if the discriminator gives anything but one number a sample.
        """
        conditional = "num_classes" in self.discriminator_arguments()
        logits = self.discriminator(x, labels) if conditional else self.discriminator(x)
        return check_outputs("discriminator", logits, (len(x),))

    def draw(self, real: Tensor, labels: Tensor | None = None) -> Samples:
        """Generates a fake for each real sample, of the same class if there are classes."""
        latent = self.sample_latent(len(real))
        return Samples(real, self.generate(latent, labels), latent, labels)

    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the named terms of the discriminator's loss, without penalties."""
        real, fake = self.logits(samples)
        return {"adversarial_d": minimax_discriminator_loss(real, fake)}

    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        """Returns the named terms of the generator's loss."""
        fake = self.discriminate(samples.fake, samples.labels)
        return {"adversarial_g": non_saturating_generator_loss(fake)}

    def check_networks(self, fake: Tensor, labels: Tensor | None) -> None:
        """Refuses networks that cannot read samples; called before training, without gradients.

        Args:
            fake: some generated samples.
            labels: their classes, if the model has any.
        """
        check_discriminator(self.discriminate, fake, labels)

    def check_samples(self, real: Tensor, labels: Tensor | None) -> None:
        """Refuses samples and labels of a batch that the model cannot learn from.

        Called before the first update, on the CPU also before every other.
        """
        if self.num_classes is not None:
            check_labels(real, labels, self.num_classes)

    def summarize(self, row: dict[str, float]) -> dict[str, float]:
        """Returns a log row, extended by what follows from its values.

        Args:
            row: keys without the prefix ``train/``.
        """
        return row

    # What a variant may call ---------------------------------------------------------------------

    def logits(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Returns the logits of the real and of the fake samples, each of shape (N,).

        In one pass over both, if the discriminator is known to treat samples alone.
        """
        if self._joins:
            labels = None if samples.labels is None else torch.cat([samples.labels] * 2)
            both = self.discriminate(torch.cat([samples.real, samples.fake]), labels)
            real, fake = both.tensor_split([len(samples.real)])
        else:
            real = self.discriminate(samples.real, samples.labels)
            fake = self.discriminate(samples.fake, samples.labels)
        self.note(d_real=real, d_fake=fake)
        return real, fake

    def note(self, **values: Tensor) -> None:
        """Adds the means of some values to the log row, where one is due; costs nothing else."""
        if self._logging:
            self._seen.update((name, value.detach().mean()) for name, value in values.items())

    # Sampling and evaluation ---------------------------------------------------------------------

    @override
    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Same as `generate`."""
        return self.generate(latent, labels)

    @torch.no_grad()
    def sample(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents to samples as `generate` does, with the generator in evaluation mode.

        Half precision would round the samples to steps that scores and pictures can see: it is
        left out, and the result is in single precision or better.
        """
        with (
            evaluation_mode(self.generator),
            torch.autocast(latent.device.type, enabled=False),
        ):
            samples = self.generate(latent.to(self.dtype), labels)
        return samples.float() if samples.dtype in HALF else samples

    @property
    def evaluated(self) -> "GAN":
        """The model that is evaluated: the view made by `evaluate_with`, or this one."""
        return self.__dict__.get("_view", self)

    def evaluate_with(self, generator: nn.Module) -> None:
        """Makes `evaluated` a view of this model that shares everything but the generator.

        The model's own generator stays in its place, so that no checkpoint can catch the other.
        """
        self.__dict__["_view"] = self._with(generator=generator)

    def _with(self, **networks: nn.Module) -> "GAN":
        """Returns a view of this model with some other networks."""
        view = copy.copy(self)
        view._modules = {**self._modules, **networks}
        return view

    @override
    def on_validation_start(self) -> None:
        self._begin_scoring(self.trainer.val_dataloaders)

    @override
    def on_test_start(self) -> None:
        self._begin_scoring(self.trainer.test_dataloaders)

    @override
    def on_predict_start(self) -> None:
        self._begin_scoring(self.trainer.predict_dataloaders)

    def _begin_scoring(self, loader: Any) -> None:
        share_buffers(self)
        self._place = getattr(loader, "first", None)

    def _evaluation_latents(self, n: int, batch_idx: int) -> Tensor:
        """Draws the latents that go with the next ``n`` samples of an evaluation set.

        Where the loader tells which samples of the set are its own, each latent depends on the
        seed and the sample's place only, in however many processes and batches.
        """
        if self._place is None:
            reseed(self.device, self.seed, EVALUATION, batch_idx, self.global_rank)
            return self.sample_latent(n)
        start, end = self._place, self._place + n
        self._place = end
        drawn = []
        for block in range(start // BLOCK, -(-end // BLOCK)):
            reseed(self.device, self.seed, EVALUATION, block, 0)
            drawn.append(self.sample_latent(BLOCK))
        return torch.cat(drawn)[start % BLOCK :][:n]

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Returns the fields of `Samples`: the batch beside as many generated samples.

        The latents depend on the seed and on the samples' place only: two evaluations of the same
        weights give the same scores. A GAN with classes generates one sample of each label.
        """
        real, labels = split_batch(batch)
        if self.device.type == "cpu" or batch_idx == 0:
            self.check_samples(real, labels)
        latent = self._evaluation_latents(len(real), batch_idx)
        return vars(Samples(real, self.evaluated.sample(latent, labels), latent, labels))

    @override
    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Same as `validation_step`."""
        return self.validation_step(batch, batch_idx)

    @override
    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Returns as many generated samples as the batch has real ones."""
        return cast("Tensor", self.validation_step(batch, batch_idx)["fake"])

    # Before the first update ---------------------------------------------------------------------

    @override
    def setup(self, stage: str) -> None:
        """Takes the run's seed over and checks that the networks fit each other and the data."""
        check_precision(self.trainer.precision)
        if stage == "fit" and not any(part.training for part in self.modules()):
            self.train()  # a model that was loaded to be evaluated
        data = getattr(self.trainer, "datamodule", None)
        self.value_range = getattr(data, "value_range", self.value_range)
        strategy = self.trainer.strategy
        if isinstance(strategy, DDPStrategy):
            # Each backward pass reaches the parameters of one player only.
            strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
        if not torch.cuda.is_available():
            # Lightning asks PyTorch to look for GPUs without starting their driver. Where there is
            # none, an optimizer then searches for its library in every step.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        given = os.environ.get("PL_GLOBAL_SEED")
        self.seed = int(given) if given else strategy.broadcast(torch.initial_seed() % 2**32)
        synced = getattr(strategy, "_layer_sync", None) is not None
        if self.trainer.world_size > 1 and has_batch_statistics(self) and not synced:
            rank_zero_warn(
                "A network has BatchNorm layers, whose statistics each process computes on its "
                "own share of the batch. On GPUs, sync_batchnorm=True shares them."
            )
        self._check_networks()
        if stage == "fit":
            check_sharing({player.name: player.networks for player in self.players()})

    def _check_networks(self) -> None:
        """Refuses networks that do not fit each other or the data."""
        data = getattr(self.trainer, "datamodule", None)
        check_classes(self.num_classes, data)
        with evaluation_mode(self), torch.no_grad():
            latent, labels = self.sample_latent(2), self.sample_labels(2)
            for parameter in self.generator.parameters():
                # The trainer has not moved it to its device yet.
                latent = latent.to(parameter)
                labels = None if labels is None else labels.to(parameter.device)
                break
            fake = check_generator(self.generate, latent, labels, self.prior, self.data_shape)
            check_range(self.generator, fake, getattr(data, "value_range", None))
            self.check_networks(fake, labels)
        self._sample_shape = tuple(fake.shape[1:])

    @override
    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """Makes an optimizer for each player and, if asked for, its scheduler."""
        players = self.players()
        self._trained = {player.name: player.trained() for player in players}
        optimizers = [player.optimizer(self._trained[player.name]) for player in players]
        for player, optimizer in zip(players, optimizers, strict=True):
            check_optimizer(player.name, optimizer)
        if self.scheduler is None:
            return optimizers, []
        schedulers = [self.scheduler(optimizer) for optimizer in optimizers]
        for scheduler in schedulers:
            check_scheduler(scheduler, self.trainer.max_steps)
        period = getattr(schedulers[0], "T_max", None)
        if period is not None and self.trainer.max_steps > period:
            rank_zero_warn(
                f"The learning rate of {type(schedulers[0]).__name__} rises again after update "
                f"{period:,} (T_max), and training goes on until {self.trainer.max_steps:,}."
            )
        return optimizers, schedulers

    @override
    def on_train_start(self) -> None:
        self._scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        self.training_begun = False
        self.note_constants()
        leave_out_idle_calls(self.trainer)
        self._compiled = {}
        for player in self.players() if self.compiles else []:
            name = f"{type(self).__name__}.{player.name}_loss"
            self._compiled[player.name] = Compiled(name, partial(self._terms, player))
        self._start_clock()

    @override
    def on_train_end(self) -> None:
        self._compiled = {}  # so that the model can be pickled again

    @override
    def on_validation_end(self) -> None:
        self._start_clock()

    def _start_clock(self) -> None:
        self._clock = time.perf_counter(), self.trainer.global_step

    # One round -----------------------------------------------------------------------------------

    @override
    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Plays one round: every player takes its turn. Only the last update is counted."""
        real, labels = split_batch(batch)
        players = self.players()
        slices = max(player.updates for player in players)
        if not self.training_begun:
            check_batch(real, slices, self._sample_shape, self.discriminator)
            self._decide_what_is_joined()
        # To look at every batch on a GPU would be to wait for it.
        if self.device.type == "cpu" or not self.training_begun:
            self.check_samples(real, labels)
        size = len(real) // slices
        if size == 0:
            rank_zero_warn(f"A batch of {len(real)} samples is too small for a round: left out.")
            return
        trainer = cast("Any", self.trainer)
        self._update = trainer.global_step + 1
        every: int = trainer.log_every_n_steps
        self._logging = every > 0 and self._update % every == 0
        self._seen = {}
        reseed(self.device, self.seed, NOISE, self._update, self.global_rank)
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        try:
            for player, optimizer in zip(players, optimizers, strict=True):
                rows = slice((slices - player.updates) * size, slices * size)
                share = real[rows], None if labels is None else labels[rows]
                for name, parameters in self._trained.items():
                    if name != player.name:
                        _require_grad(parameters, False)
                _require_grad(self._trained[player.name], True)
                for index, samples in enumerate(self._draws(player, *share, size=size)):
                    counted = player is players[-1] and index == player.updates - 1
                    self._play(player, optimizer, samples, counted=counted)
        finally:
            for parameters in self._trained.values():
                _require_grad(parameters, True)
        for config in trainer.lr_scheduler_configs:
            config.scheduler.step()
        self.images_seen += slices * size * trainer.world_size
        self.training_begun = True
        if self._logging:
            self._log_row()

    def _decide_what_is_joined(self) -> None:
        """Finds out what may be read or made in one pass: only what is known to be the same so."""

        def usual(*names: str) -> bool:
            own = (getattr(getattr(self, name), "__func__", None) for name in names)
            return all(o is getattr(GAN, n) for o, n in zip(own, names, strict=True))

        self._joins = usual("discriminate") and treats_samples_alone(
            self.discriminator, 1 + len(self._sample_shape)
        )
        self._draws_ahead = (
            usual("draw", "generate", "sample_latent")
            and declares_it(self.prior)
            and treats_samples_alone(self.generator, 2)
        )

    def _draws(
        self, player: Player, real: Tensor, labels: Tensor | None, *, size: int
    ) -> Iterator[Samples]:
        """Draws what each update of a turn sees, all at once where that changes nothing."""
        draw = player.draw or self.draw
        if player.updates > 1 and player.draw is None and self._draws_ahead:
            own_generator = any(network is self.generator for network in player.networks)
            if not own_generator:
                yield from self.draw(real, labels).split(size)
                return
        for start in range(0, len(real), size):
            part = slice(start, start + size)
            yield draw(real[part], None if labels is None else labels[part])

    def _terms(self, player: Player, samples: Samples) -> dict[str, Tensor]:
        """Returns the terms of a player's loss and its penalties."""
        terms: dict[str, Tensor] = getattr(self, f"{player.name}_loss")(samples)
        if not isinstance(terms, dict):
            raise ValueError(
                f"{type(self).__name__}.{player.name}_loss must return a dict of named terms, "
                f'such as {{"adversarial": loss}}, got {type(terms).__name__}.'
            )
        if player.penalties:
            critic = partial(self.discriminate, labels=samples.labels)
            for penalty in player.penalties:
                terms[penalty.name] = penalty(critic, samples.real, samples.fake)
        return terms

    def _play(
        self, player: Player, optimizer: LightningOptimizer, samples: Samples, *, counted: bool
    ) -> None:
        """Makes one update: losses, backward, step."""
        compiled = self._compiled.get(player.name)
        terms = self._terms(player, samples) if compiled is None else compiled(samples)
        first, *others = terms.values()
        loss = sum(others, first)
        on_cpu = self.device.type == "cpu" and self.trainer.world_size == 1
        if on_cpu and not isfinite(loss.item()):
            # Elsewhere to look would be to wait: the rows that are logged tell.
            values = {name: term.item() for name, term in terms.items()}
            self._stop_diverged(f"loss_{player.key}", values, samples)
        if self._logging:
            self._last = samples
            self._seen[f"loss_{player.key}"] = loss.detach()
            if others:
                self._seen.update((name, term.detach()) for name, term in terms.items())
        self._grad_norm_key = f"grad_norm_{player.key}"
        optimizer.zero_grad()
        self.manual_backward(loss)
        if counted:
            optimizer.step()
        else:
            # The same path as optimizer.step(), except that Lightning does not count it.
            self.trainer.strategy.optimizer_step(optimizer.optimizer, do_nothing_closure)

    @override
    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips and notes the gradient norm, here because fp16 gradients are unscaled by now."""
        if self.gradient_clip_norm is None and not self._logging and not self._scaled:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm(p.grad for p in parameters if p.grad is not None)
        if self._scaled:
            self.skipped_steps = self.skipped_steps + (~norm.isfinite()).float()
        if self.gradient_clip_norm is not None:
            clip_grads_with_norm_(parameters, self.gradient_clip_norm, norm)
        if self._logging:
            self._seen[self._grad_norm_key] = norm

    def _log_row(self) -> None:
        """Writes one row to the loggers, at the cost of one transfer from the device."""
        if self._scaled:
            self._seen["skipped_steps"] = torch.as_tensor(self.skipped_steps, device=self.device)
        values = torch.stack([value.float() for value in self._seen.values()])
        values = self.trainer.strategy.reduce(values, reduce_op="mean")
        row = dict(zip(self._seen, values.tolist(), strict=True))
        # A scaler leaves steps out whose gradients overflow, and goes on.
        fatal = ("loss_",) if self._scaled else ("loss_", "grad_norm_")
        for name in row:
            if name.startswith(fatal) and not isfinite(row[name]):
                self._stop_diverged(name, row, self._last)
        row = self.summarize(row)
        start, before = self._clock
        row["updates_per_s"] = (self._update - before) / (time.perf_counter() - start)
        row["images_seen"] = self.images_seen
        row = {f"train/{name}": value for name, value in row.items()}
        self.live.update(row)
        for logger in self.trainer.loggers:
            logger.log_metrics(row, step=self._update)
        self._start_clock()

    def _stop_diverged(self, what: str, values: dict[str, float], samples: Samples) -> None:
        bad = [f"{name} = {value}" for name, value in values.items() if not isfinite(value)]
        spoilt = [
            name
            for name, weights in self._trained.items()
            if not all(weight.isfinite().all() for weight in weights)
        ]
        cause = f" The weights of the {' and the '.join(spoilt)} are not: a gradient was not."
        raise DivergenceError(
            f"{what} is not finite at update {self._update}: {', '.join(bad)}."
            f"{cause if spoilt else ''} Training was stopped, and earlier checkpoints are kept. "
            "Try a lower learning rate.",
            samples,
        )


def _require_grad(parameters: list[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)
