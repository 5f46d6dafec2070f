"""The loop of every game: rounds of players, the rows of the log, and the noise of a round.

It knows players and records. A subclass has the networks and says how they play.
"""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from math import isfinite
from typing import Any, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm, parametrize
from torch.optim import Optimizer
from typing_extensions import override

from lightning_gans.augment import Augmentation
from lightning_gans.core import batch_checks, checks, turns
from lightning_gans.core.checkpointing import RECORD_KEY, checked_range
from lightning_gans.core.compiling import Compiled
from lightning_gans.core.divergence import divergence
from lightning_gans.core.lightning_compat import do_nothing_closure, spare_driver_search
from lightning_gans.core.players import Player, Record
from lightning_gans.core.reduction import GradientReduction
from lightning_gans.core.rows import RunningMeans
from lightning_gans.core.terms import TermsModule
from lightning_gans.core.timing import Stopwatch
from lightning_gans.networks import evaluation_mode
from lightning_gans.randomness import NOISE, reseed

__all__ = ["STATEFUL", "AdversarialModule"]

STATEFUL = ("loss", "class_loss", "losses", "regularizers", "regularizers_g", "augment", "history")
"""Attributes of a model that are no networks and may have a state."""


class AdversarialModule(TermsModule):
    """The base of all games: players that take turns, each with networks, a loss, an optimizer.

    One batch feeds one round: each player in turn makes its updates on consecutive equal slices of
    the batch; one with fewer updates than others takes the last slices. So ``global_step``,
    ``max_steps``, the x-axis of every logger and the cadence of checkpoints count rounds.

    A subclass makes networks and says who plays (`configure_players`). Losses return named terms;
    they never detach, step or log. In a player's turn its own parameters alone require gradients.

    Args:
        augment: maps samples to samples of the same shape, see `augmented`; none if it is None.
        scheduler: makes a learning-rate scheduler for each optimizer, stepped once a round.
        gradient_clip_norm: largest norm of one player's gradient; larger ones are scaled down.
        compile: let PyTorch compile the losses with their regularizers, which takes a minute at
            the start; the same to rounding. A loss that cannot be compiled says so and runs
            without.

    Attributes:
        averaged: names of the networks that a trained model is used for, such as the generator:
            those that `GeneratorEMA` averages and that are exported.
        left_out: names of networks that no player trains on purpose.
        players: the players in the order of their turns, while a trainer trains the model.
        has_trained: whether a first round has been played; what fails before is bad input.
        images_per_update: rows of the batch that an update sees, over all processes.
        new_settings: whether training continues from the checkpoint of a model with other
            settings. The learning rates are those of this one then, unless there is a scheduler,
            and the next row holds means over the updates since, so that no term is left over.
        scheduled: values of this update that schedules have given to scalars, for the rows.
        last_logged: the values last logged, training's and evaluation's, for progress bars.
        stopwatch: runs while the model trains, and stands still in validations; a callback that
            does other work pauses it.

    Raises:
        ValueError: if an argument is out of range; always before the first update.
    """

    averaged: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        augment: nn.Module | None = None,
        scheduler: LRSchedulerCallable | None = None,
        gradient_clip_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__(augment)
        self.automatic_optimization = False
        if gradient_clip_norm is not None and not gradient_clip_norm > 0:
            raise ValueError(f"gradient_clip_norm must be above 0, got {gradient_clip_norm}.")
        self.scheduler = scheduler
        self.gradient_clip_norm = gradient_clip_norm
        self.compiles = compile
        self.players: list[Player] = []
        self.has_trained = False
        self.images_per_update = 0
        self.scheduled: dict[str, float] = {}
        self.last_logged: dict[str, float] = {}
        self._compiled: dict[str, Compiled] = {}
        self._means = RunningMeans()
        self.stopwatch = Stopwatch()
        self.new_settings = False

    # What a subclass says ------------------------------------------------------------------------

    @abstractmethod
    def configure_players(self) -> list[Player]:
        """Returns the players in the order of their turns; called once a fit."""

    def check_networks(self) -> None:
        """Raises a ValueError if networks do not fit each other or the data.

        Called before training and before evaluation, without gradients, in evaluation mode.
        """

    def after_turn(self, player: Player, seen: Any, terms: Mapping[str, Tensor]) -> None:
        """Does what a game needs after an update of a player; nothing by itself.

        Args:
            player: whose update it was.
            seen: what it saw.
            terms: of its loss.
        """

    def mixed(self, seen: Any) -> Record:
        """Returns what a discriminator sees when an augmentation replaces some real samples.

        Called if the augmentation overrides `Augmentation.mixed`, with what was drawn.

        Args:
            seen: what the discriminator would see without.
        """
        raise ValueError(
            f"augment: {type(self).__name__} does not tell which samples "
            f"{type(self.augment).__name__} may replace. Use ADA, or write the method mixed."
        )

    @property
    def batches_per_round(self) -> int:
        """The slices of a round's batch: the most updates that one of the players makes."""
        return max(player.updates for player in self.players or self.configure_players())

    def usable(self, number: int) -> int:
        """Returns how many samples of an update are played with, all by itself.

        A discriminator that judges several samples at a time leaves the rest out where a loader
        ends with a smaller batch.

        Args:
            number: of samples there are.
        """
        return number

    # Before the first update ---------------------------------------------------------------------

    @override
    def setup(self, stage: str) -> None:
        """Takes the run's seed over and checks networks and players."""
        if stage == "fit":
            checks.check_hooks(self)
        checks.check_precision(self.trainer.precision)
        checks.check_strategy(self.trainer.strategy)
        checks.warn_of_emulated_bf16(self.trainer)
        if stage == "fit" and not any(part.training for part in self.modules()):
            self.train()  # a model that was loaded to be evaluated
        data = getattr(self.trainer, "datamodule", None)
        told = getattr(data, "value_range", self.value_range)
        self.value_range = None if told is None else checked_range(told)
        for part in self.modules():
            if isinstance(part, Augmentation):
                part.processes = self.trainer.world_size
                part.value_range = self.value_range or part.value_range
        strategy = self.trainer.strategy
        spare_driver_search()
        given = os.environ.get("PL_GLOBAL_SEED")
        if given:
            self.seed = int(given)
        elif stage == "fit" or not self.has_seed:
            self.seed = strategy.broadcast(torch.initial_seed() % 2**32)
        self.has_seed = True
        checks.warn_of_batch_statistics(self, self.trainer)
        with evaluation_mode(self), torch.no_grad():
            self.check_networks()
        if stage == "fit":
            self.__dict__.pop("_view", None)  # the average of an earlier training
            self.players = checks.check_players(self.configure_players())
            checks.warn_of_unowned(self, self.players, self.left_out)
            self._losses, self._means = {}, RunningMeans()
            self.stopwatch = Stopwatch()
            # Before Lightning asks loggers to write: that of TensorBoard does so but once.
            self.tell_settings(self.trainer.loggers)

    @override
    def teardown(self, stage: str) -> None:
        self.players = []

    @override
    def configure_optimizers(self) -> tuple[list[Optimizer], list[Any]]:
        """Makes an optimizer for each player and, if asked for, its scheduler.

        Schedulers have the names ``lr_d``, ``lr_g`` and so on, for ``LearningRateMonitor``.
        """
        self._trained = {player.name: player.trained() for player in self.players}
        optimizers = [
            checks.make_optimizer(player.name, player.optimizer, self._trained[player.name])
            for player in self.players
        ]
        make = self.scheduler
        schedulers = [] if make is None else [make(optimizer) for optimizer in optimizers]
        checks.check_schedulers(schedulers, self.trainer.max_steps)
        self._rates = [[g.get("lr") for g in o.param_groups] for o in optimizers]
        return optimizers, [
            {"scheduler": scheduler, "interval": "step", "name": f"lr_{player.key}"}
            for player, scheduler in zip(self.players if make else [], schedulers, strict=True)
        ]

    @override
    def on_train_start(self) -> None:
        ready = {"setup": bool(self.players), "configure_optimizers": hasattr(self, "_trained")}
        checks.check_called(self, **ready)
        self._scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        self.has_trained = self._plays = self._was_idle = False
        self.scheduled = {}
        self.note_constants()
        self._means.to(self.device)
        if self.new_settings and self.scheduler is None:
            for optimizer, rates in zip(self.trainer.optimizers, self._rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    if rate is not None:
                        group["lr"] = rate
        several = isinstance(self.trainer.strategy, DDPStrategy)
        trained = self._trained.items() if several else ()
        self._reductions = {name: GradientReduction(name, part) for name, part in trained}
        # Spectral norm makes a power iteration whenever a weight is read: one an update is enough.
        changed = any(parametrize.is_parametrized(part) for part in self.modules())
        self._reads_once: Any = parametrize.cached if changed else nullcontext
        self._compiled = {}
        for player in self.players if self.compiles else []:
            function = partial(self.evaluate_terms, player)
            self._compiled[player.name] = Compiled(player.loss_name, function)
        checks.warn_of_loaders(self.trainer.train_dataloader)
        self._epoch_began = self.trainer.global_step
        self._last_row = self.trainer.global_step, self.stopwatch.read()[0]
        self.stopwatch.start()

    @override
    def on_train_epoch_start(self) -> None:
        self.stopwatch.start()

    @override
    def on_train_epoch_end(self) -> None:
        """Stops the time.

        Raises:
            ValueError: if two epochs have passed without an update, and there is no last one.
        """
        self.stopwatch.stop()  # the last epoch ends before callbacks sum the run up
        # The rest of an epoch that is resumed may be empty once.
        began, self._epoch_began = self._epoch_began, self.trainer.global_step
        idle = began == self.trainer.global_step
        if idle and self._was_idle and self.trainer.max_epochs == -1:
            raise ValueError(
                "data: no round was played in two epochs. Either all batches are too small, or "
                "the data can be read only once, as a generator can. Use a "
                "torch.utils.data.DataLoader with larger batches."
            )
        self._was_idle = idle

    @override
    def on_train_end(self) -> None:
        self._compiled = {}  # so that the model can be pickled again

    @override
    def on_validation_start(self) -> None:
        super().on_validation_start()
        self._ran = self.stopwatch.stop()

    @override
    def on_validation_end(self) -> None:
        if self._ran:
            self.stopwatch.start()

    def _mix(self, player: Player) -> Callable[[Any], Record] | None:
        """Returns what replaces real samples in the updates of a player, if anything does."""
        replaces = (
            player.name == "discriminator"
            and isinstance(self.augment, Augmentation)
            and self.augment.replaces_real
        )
        return self.mixed if replaces else None

    def check_first(self, batch: Record) -> None:
        """Raises a ValueError if the first batch is of another kind than the model learns from.

        Args:
            batch: the record that `read_batch` returns.
        """
        batch_checks.check_kind(batch, self.trains_on, self)
        batch_checks.check_rows(batch, self.batches_per_round, self)
        self.check(batch)
        is_declared = self.value_range is not None
        for name, real in self.made_by(batch):
            batch_checks.check_values(name, real, getattr(self, name), is_declared=is_declared)

    def made_by(self, batch: Any) -> Iterable[tuple[str, Tensor]]:
        """Returns real samples of the kind that a network makes, and its name; none by itself.

        Args:
            batch: the record that `read_batch` returns.
        """
        return ()

    def _rehearse(self, batch: Record, size: int) -> None:
        """Computes all terms of all players once, before any of them makes an update."""
        names: dict[str, str] = {}
        self._round = turns.Round(rehearsing=True)
        with evaluation_mode(self), torch.no_grad():
            for player in self.players:
                rows = batch.rows(slice(0, size))
                seen = next(turns.draws(player, rows, size, self._mix(player)))
                every = (True,) * len(player.regularizers)
                terms, noted, _ = self.evaluate_terms(player, seen, every)
                checks.check_terms(player, terms, noted, names)
                checks.check_adapts(self.augment, player, self._round.judged, self._losses)
        checks.check_losses(self._losses)
        checks.check_followed(self.augment, self.players)
        self._following = {
            player.name: turns.following(player, self._losses, self.augment)
            for player in self.players
        }

    # One round -----------------------------------------------------------------------------------

    @override
    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Plays one round: every player takes its turn. Only the last update is counted."""
        record = self.read_batch(batch)
        slices = self.batches_per_round
        if not self.has_trained:
            checks.check_called(self, on_train_start=hasattr(self, "_reductions"))
            self._plays = True
            self.check_first(record)
        record = record.even()  # a loader of two sources may end with a smaller batch of one
        size = self.usable(len(record) // slices)
        exact = len(record) == slices * size
        # To look at every batch on a GPU would be to wait for it.
        if self.device.type == "cpu" and self.has_trained:
            self.check(record)
        if size == 0:
            rank_zero_warn(
                f"Skipped a batch of {len(record)} samples, too few for the {slices} updates of a "
                "round. Use drop_last=True in the data loader."
            )
            return
        if not self.has_trained:
            self._rehearse(record, size)
        trainer = cast("Any", self.trainer)
        update, every = trainer.global_step + 1, trainer.log_every_n_steps
        logs = every > 0 and update % every == 0
        self._round = turns.Round(update, logs=logs, playing=True, batch=record)
        reseed(self.device, self.seed, NOISE, update, self.global_rank)
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        try:
            for player, optimizer in zip(self.players, optimizers, strict=True):
                first = (slices - player.updates) * size
                rows = record if exact and first == 0 else record.rows(slice(first, slices * size))
                turns.require_gradients(self._trained, player.name)
                drawn = turns.draws(player, rows, size, self._mix(player))
                for index in range(player.updates):
                    self._play(player, optimizer, drawn, index)
        finally:
            self._round.playing = False
            turns.require_gradients(self._trained, None)
        for config in trainer.lr_scheduler_configs:
            config.scheduler.step()
        self.images_per_update = size * trainer.world_size
        judged = [player.updates for player in self.players if player.name == "discriminator"]
        self.images_seen += (judged[0] if judged else slices) * self.images_per_update
        self.updates_made = update
        self.has_trained = True
        now, self._round = self._round, turns.Round()  # whose tensors nothing reads any more
        if now.logs:
            self._log_row(now)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Refuses a ``training_step`` of a subclass that plays no round."""
        if batch is not None and not (self._plays or self.has_trained):
            raise ValueError(
                f"{type(self).__name__}.training_step must call super().training_step, which "
                "plays a round. Use configure_players to say who plays, and with which losses."
            )

    def _play(
        self, player: Player, optimizer: LightningOptimizer, drawn: Iterator[Record], index: int
    ) -> None:
        """Makes one update: samples, losses, backward, step."""
        # A function of the number of the update, so that a resumed run keeps the phase.
        number = (self._round.update - 1) * player.updates + index
        due = tuple(number % regularizer.every == 0 for regularizer in player.regularizers)
        compiled = self._compiled.get(player.name)
        # One autocast may span all updates of a round and keep weights of the first in half
        # precision. Lightning's own does not keep them, but that of a plugin may.
        torch.clear_autocast_cache()
        with self._reads_once():
            seen = self._round.seen = next(drawn)
            terms, noted, judged = (
                self.evaluate_terms(player, seen, due) if compiled is None else compiled(seen, due)
            )
        first, *others = terms.values()
        loss = sum(others, first)
        on_cpu = self.device.type == "cpu" and self.trainer.world_size == 1
        if on_cpu and not isfinite(loss.item()):
            # Elsewhere to look would be to wait: the rows that are logged tell.
            values = {name: term.item() for name, term in terms.items()}
            name = f"loss_{player.key}"
            raise divergence(name, self._round, values, self._trained)
        self._means.add({f"loss_{player.key}": loss, **terms, **noted})
        self._round.norm_key = f"grad_norm_{player.key}"
        for parameter in self._trained[player.name]:
            parameter.grad = None  # as zero_grad() does, but without a profiler's label
        if self._reductions:
            with cast("Any", self.trainer.model).no_sync():
                self.manual_backward(loss)
            self._reductions[player.name](due)
        else:
            self.manual_backward(loss)
        if not self.has_trained and index == 0:
            checks.warn_of_unused(self, player)
        if player is self.players[-1] and index == player.updates - 1:
            optimizer.step()
        else:
            # The same path as optimizer.step(), except that Lightning does not count it.
            self.trainer.strategy.optimizer_step(optimizer.optimizer, do_nothing_closure)
        if parts := self._following[player.name]:
            mean = self.mean_over_processes
            turns.after_update(player, seen, judged, self._losses, parts, mean)
            augment = self.augment
            if isinstance(augment, Augmentation) and augment in parts and (new := augment.log()):
                self._means.add({f"augment.{name}": value for name, value in new.items()})
        self.after_turn(player, seen, terms)

    @override
    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips and notes the gradient norm, here because fp16 gradients are unscaled by now."""
        if self.gradient_clip_norm is None and not self._round.logs and not self._scaled:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm(p.grad for p in parameters if p.grad is not None)
        if self._scaled:
            self.skipped_steps = self.skipped_steps + (~norm.isfinite()).float()
        if self.gradient_clip_norm is not None:
            clip_grads_with_norm_(parameters, self.gradient_clip_norm, norm)
        self._round.norms[self._round.norm_key] = norm

    def _log_row(self, now: turns.Round) -> None:
        """Writes one row to the loggers, at the cost of one transfer from the device."""
        if self._scaled:
            now.norms["skipped_steps"] = torch.as_tensor(self.skipped_steps, device=self.device)
        row = self._means.take(now.norms, self.mean_over_processes)
        # A scaler leaves steps out whose gradients overflow, and goes on.
        fatal = ("loss_",) if self._scaled else ("loss_", "grad_norm_")
        for name in row:
            if name.startswith(fatal) and not isfinite(row[name]):
                raise divergence(name, now, row, self._trained)
        seconds, cpu_seconds = self.stopwatch.read()
        (last, before), self._last_row = self._last_row, (now.update, seconds)
        row["updates_per_s"] = (now.update - last) / max(seconds - before, 1e-9)
        row["images_seen"] = self.images_seen
        row |= {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3)}
        row |= self.scheduled
        row = {f"train/{name}": value for name, value in row.items()}
        self.last_logged.update(row)
        # Where checkpoints and early stopping look.
        values = torch.tensor([*row.values()], dtype=torch.float64)
        self.trainer.callback_metrics.update(zip(row, values, strict=True))
        for logger in self.trainer.loggers:
            logger.log_metrics(row, step=now.update)

    # Checkpoints ---------------------------------------------------------------------------------

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the sums of the next row, of all processes, which all have to call this."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[RECORD_KEY]["means"] = self._means.state(self.trainer.strategy.all_gather)
        checkpoint[RECORD_KEY]["seconds"] = self.stopwatch.read()

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the sums of the next row and the time of training over."""
        if self.new_settings:
            self._keep_own_states(checkpoint)
        super().on_load_checkpoint(checkpoint)
        record = checkpoint[RECORD_KEY]
        if self.players and "means" in record and not self.new_settings:
            self._means.load(record["means"], self.global_rank, self.trainer.world_size)
        if self.players and "seconds" in record:
            self.stopwatch.load(record["seconds"])

    def _keep_own_states(self, checkpoint: dict[str, Any]) -> None:
        """Gives losses, regularizers and augmentations that are new a state of their own.

        Those of the checkpoint that the model does not have are left out.
        """
        saved = checkpoint["state_dict"]
        own = {k: v for k, v in self.state_dict().items() if k.split(".")[0] in STATEFUL}
        for name in [name for name in saved if name.split(".")[0] in STATEFUL and name not in own]:
            del saved[name]
        for name, value in own.items():
            saved.setdefault(name, value)
