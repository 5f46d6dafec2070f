"""The commands that train and score: ``lightning-gans {fit,validate,test,predict}``."""

import argparse
import shutil
import signal
import sys
from contextlib import nullcontext, suppress
from os.path import expanduser
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from lightning.pytorch.cli import ArgsType, LightningArgumentParser
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

import datamodules  # noqa: F401  so that its classes are found by name
import lightning_gans.variants  # noqa: F401  likewise
from datamodules.files import UnreadableImageError
from lightning_gans.callbacks import Evaluation
from lightning_gans.callbacks.preemption import Preempted
from lightning_gans.cli.catalogue import configs_folder
from lightning_gans.cli.messages import (
    print_header,
    print_resume_hint,
    print_summary,
    print_uploads,
)
from lightning_gans.cli.origins import SECTIONS, end_with_nothing_left, read_origin
from lightning_gans.cli.parser import cause_of, mended, reason, trusting
from lightning_gans.cli.preparing import DATA_HEADING, prepare
from lightning_gans.cli.processes import OtherProcessFailed, fail_together
from lightning_gans.cli.request import (
    Request,
    check_trainer,
    class_name,
    config_file,
    own_modules,
)
from lightning_gans.cli.runs import RunLogger, RunRecord, parent_of
from lightning_gans.cli.scores import (
    LATEST,
    ROWS,
    check_places,
    keep,
    record_of,
    refuse_links,
)
from lightning_gans.cli.screen import say
from lightning_gans.cli.threads import (
    check_threads,
    choose_threads,
    recorded_threads,
    threads_of_environment,
    use_threads,
)
from lightning_gans.core.building import check_shapes
from lightning_gans.core.divergence import DivergenceError
from lightning_gans.core.lightning_compat import CommandLine
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.trust import known_paths
from lightning_gans.errors import InputError, RunError
from lightning_gans.files import replacing
from lightning_gans.finding import folder_of, run_of
from lightning_gans.loggers import TensorBoard, WandB, go_offline_without_key
from lightning_gans.sampling import RefinedEvaluation, Refiner, truncate
from lightning_gans.spelling import nearest
from lightning_gans.terminal import is_lost
from lightning_gans.trainer import Trainer, silence_notices

__all__ = ["GANCLI", "run"]


class GANCLI(CommandLine):
    """LightningCLI with run folders, and with checkpoints that bring their configuration along.

    Precedence, lowest to highest: ``configs/default.yaml``, the configuration in the
    checkpoint, files given with ``--config``, flags. With ``--ckpt_path auto`` the same command
    line begins a run and resumes it, so the checkpoint adds nothing to it.

    Args:
        arguments: the command line after the program's name.
        keeps_scores: whether scores of a checkpoint are written into the folder of its run.
        refiner: of the samples that are scored, if they are refined.
        truncation: psi of their styles, if they are truncated.
        looks_for_copies: whether samples are compared with all training images, too.

    Attributes:
        scored: the record of the scores that a checkpoint has got, once it has.
        refining: what refines the samples that are scored, if anything does.

    Raises:
        InputError: if something the user gave cannot be used.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        keeps_scores: bool = True,
        refiner: Refiner | None = None,
        truncation: float | None = None,
        looks_for_copies: bool = False,
    ) -> None:
        self.scored: dict[str, Any] | None = None
        self.refining = None if refiner is None else RefinedEvaluation(refiner)
        self._truncation = truncation
        self._keeps_scores = keeps_scores
        self._looks_for_copies = looks_for_copies
        self._run: RunLogger | None = None
        self._changes: dict[str, str] = {}
        self._request = Request(arguments)
        strict: dict[str, Any] = {"exit_on_error": False, "allow_abbrev": False}
        of_command = {
            **strict,
            "default_config_files": [str(configs_folder() / "default.yaml")],
            "description": getattr(self, self._request.command).__doc__,
        }
        self._origin = read_origin(self._request)
        super().__init__(
            AdversarialModule,
            LightningDataModule,
            trainer_class=Trainer,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_kwargs={**strict, self._request.command: of_command},
            args=arguments,
        )

    # Parsing -------------------------------------------------------------------------------------

    @override
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static there
        """Returns the command that runs alone: to build the parsers of the others takes time."""
        command = self._request.command
        return {command: super().subcommands()[command]}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, help="Name of the run and of its folder.")
        parser.add_argument(
            "--threads",
            type=int | None,
            help="Threads on the CPU. A resumed run has those that it had; else OMP_NUM_THREADS "
            "tells them, or the size of the networks.",
        )
        for key, callback in SECTIONS.items():
            parser.add_lightning_class_args(callback, key)
        (parser.groups or {})["data"].title = DATA_HEADING
        for compute in (data_shape, data_shapes):
            parser.link_arguments(
                "data",
                f"model.init_args.{compute.__name__}",
                compute_fn=compute,
                apply_on="instantiate",
            )

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        request, origin = self._request, self._origin
        names = {*known_paths(), *request.named()}
        guard = trusting(names) if origin.checked else nullcontext()
        with config_file(origin.checked) as file, guard:
            flags = ["--config", file] if file else []
            self.config = parser.parse_args([request.command, *flags, *request.arguments])
            config = self.config[request.command]
            check_threads(config.threads)
            if request.command == "fit":
                check_trainer(vars(config.trainer))
                _check_machine(config.trainer)
                request.check_place(origin.path)
            root = config.get("trainer.default_root_dir")  # validate and test have none
            if root is not None:
                config["trainer.default_root_dir"] = expanduser(root)
            config.name = config.name or request.name() or _default_name(config)
            if request.forks:
                config.name = request.name_of_fork(config.name)
            config.ckpt_path = None if origin.path is None else str(origin.path)
            # Under this name Lightning looks for the arguments of the model, too.
            self.config_dump: dict[str, Any] = yaml.safe_load(
                self.parser_of(request.command).dump(
                    config, skip_unset=False, skip_validation=True
                )
            )
        for key in ("ckpt_path", "weights_only", "verbose", "return_predictions"):
            self.config_dump.pop(key, None)
        if origin.settings is not None:
            self._changes = request.changes(origin.settings, self.config_dump, origin.networks)
        if request.command == "fit" and 0 < config.trainer.max_steps <= origin.updates:
            end_with_nothing_left(origin, config.trainer.max_steps, forks=request.forks)

    # Making --------------------------------------------------------------------------------------

    @override
    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except Exception as error:  # what settings lead to is anyone's guess
            raise InputError(str(cause_of(error))) from error
        self.model.new_seed = "seed_everything" in self._changes
        self.model.new_settings = any(key.startswith("model.") for key in self._changes)
        self._set_threads()

    def _set_threads(self) -> None:
        """Uses as many threads as the user says, or the resumed run had, or the networks need."""
        if self.trainer.strategy.root_device.type != "cpu":
            return
        processes = self.trainer.num_devices
        threads = (
            self.setting("threads")
            or (recorded_threads(Path(self.checkpoint)) if self.checkpoint else None)
            or threads_of_environment()
            or choose_threads(self.model, self.datamodule, processes)
        )
        use_threads(threads, processes)

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        kwargs["logger"] = [] if self.subcommand == "predict" else self._loggers()
        self._record = RunRecord(self.config_dump, sys.argv, self._parent())
        self.trainer_defaults["callbacks"] = [self._record]
        trainer: Any = super().instantiate_trainer(**kwargs)
        assert isinstance(trainer, Trainer)
        return trainer

    def _loggers(self) -> list[Logger]:
        """Returns what the user asks for, and before it ``metrics.csv`` of a training."""
        trainer = self.made("trainer")
        given = trainer.logger
        if trainer.fast_dev_run:
            return []
        others = given if isinstance(given, list) else [given] if given else []
        others = [logger for logger in others if logger is not True]
        if any(isinstance(logger, WandbLogger) for logger in others):
            go_offline_without_key()
        if self.subcommand != "fit":
            self._follow_scores(others)
            return others
        run = self._resumed
        if run is not None:
            number = int(run.name.removeprefix("version_"))
            self._run = RunLogger(str(run.parent.parent), run.parent.name, number)
        else:
            self._run = RunLogger(trainer.default_root_dir, self.setting("name"))
        for logger in others:
            if isinstance(logger, TensorBoard | WandB):
                logger.follow(self._run.log_dir)
        return [self._run, *others]

    def _follow_scores(self, loggers: list[Logger]) -> None:
        """Lets loggers of scores write into the run folder, or else into the working directory."""
        folder = self._scored_run or Path()
        name = Path(self.checkpoint).stem if self.checkpoint else None
        if self._scored_run is not None:
            run = folder.resolve()
            name = f"{run.parent.name}/{run.name}/{name}"
        for logger in loggers:
            if isinstance(logger, TensorBoard):
                refuse_links(folder / "tensorboard", folder / "tensorboard" / "scores")
                logger.follow_scores(str(folder))
            if isinstance(logger, WandB):
                refuse_links(folder / "wandb")
                logger.follow_scores(str(folder), name, str(self.subcommand))

    @property
    def _scored_run(self) -> Path | None:
        """The run folder that holds the checkpoint, if there is one."""
        return folder_of(Path(self.checkpoint)) if self.checkpoint else None

    @property
    def _modules(self) -> list[str]:
        """The modules that a command with a checkpoint of this run has to import."""
        return sorted({*self._request.modules, *own_modules(self.config_dump)})

    @property
    def _resumed(self) -> Path | None:
        """The folder of the run that a training resumes, if it does not begin a new one."""
        return (
            run_of(Path(self.checkpoint)) if self.checkpoint and not self._request.forks else None
        )

    def _parent(self) -> dict[str, Any] | None:
        """Returns what is recorded of the checkpoint that a new run begins from, if from one."""
        begins = self.subcommand == "fit" and self._resumed is None
        return parent_of(Path(self.checkpoint)) if self.checkpoint and begins else None

    @property
    def evaluation(self) -> Evaluation:
        """Returns the callback that scores, with what it has found."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        return next(c for c in callbacks if isinstance(c, Evaluation))

    @property
    def checkpoint(self) -> str | None:
        """Returns the checkpoint that is resumed from, or that is scored."""
        return self.setting("ckpt_path")

    # Running -------------------------------------------------------------------------------------

    def fit(self, model: AdversarialModule, **kwargs: Any) -> None:
        """Trains a model."""
        if self.trainer.is_global_zero:
            self._make_folder()
            self._take_folder()
            flags = {part.partition("=")[0] for part in self._request.arguments}
            print_header(
                self.trainer,
                model,
                self.datamodule,
                self.setting("seed_everything"),
                self.checkpoint,
                list(self._changes.values()),
                batch_is_given="--data.batch_size" in flags,
                is_new=self._resumed is None,
            )
        try:
            self._run_guarded(model, **kwargs)
        except (InputError, RunError, OtherProcessFailed) as error:
            if model.has_trained or isinstance(error.__cause__, DivergenceError):
                self._print_resume_hint()
            else:
                self._leave_no_trace()
            raise
        except Preempted as end:
            if end.number != signal.SIGINT:
                self._mark_preempted()
            self._end_early(model, end.note)
            raise
        except SystemExit:
            self._end_early(model)
            raise
        finally:
            if self._run is not None:
                self._run.give_back()
        if self._run is not None and self.trainer.is_global_zero:
            folder = Path(self._run.log_dir)
            print_summary(self.trainer, folder, self._modules, trained=model.has_trained)

    def validate(self, model: AdversarialModule, **kwargs: Any) -> None:
        """Scores a model on the validation data."""
        self._score(model, **kwargs)

    def test(self, model: AdversarialModule, **kwargs: Any) -> None:
        """Scores a model on the test data."""
        self._score(model, **kwargs)

    def _score(self, model: AdversarialModule, **kwargs: Any) -> None:
        """Scores a model; what is kept of the scores goes into the folder of its run."""
        folder = self._scored_run
        keeps = self._keeps_scores and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        if folder is not None and keeps:
            check_places(folder)
        if self._truncation is not None:
            self._truncate(model, self._truncation)
        if self.refining is not None:
            self._refine(model)
        self.evaluation.looks_for_copies = self._looks_for_copies
        if self.trainer.is_global_zero:
            what = self.checkpoint or "an untrained model: there is no --ckpt_path"
            say(f"scores of {what}")
        self._run_guarded(model, **{**kwargs, "verbose": False})
        if not self.trainer.is_global_zero:
            return
        told = self.trainer, model, self.datamodule, self.checkpoint
        self.scored = record_of(*told, self._truncation)
        if folder is not None and keeps:
            earlier = " (in place of the earlier ones)" if (folder / LATEST).exists() else ""
            keep(self.scored, folder)
            say(f"these scores{earlier}: {folder / LATEST}")
            say(f"a row for each scoring of the run: {folder / ROWS}")
        elif self.checkpoint is not None and keeps:
            say(
                "the checkpoint is in no run folder, so the scores are only printed. Use "
                "lightning-gans evaluate --out FILE to write them."
            )
        if folder is None and keeps and is_lost():
            raise RunError(
                "the scores were only printed, and are lost. Use lightning-gans evaluate --out "
                "FILE to write them."
            )
        print_uploads(self.trainer)

    def _truncate(self, model: AdversarialModule, psi: float) -> None:
        """Lets samples of truncated styles be scored, if the model is one that has styles."""
        try:
            truncate(model, psi)  # averages of the generator are copies of it
        except ValueError as error:
            raise InputError(str(error)) from error

    def _refine(self, model: AdversarialModule) -> None:
        """Lets refined samples be scored, if the model is one whose samples can be refined."""
        assert self.refining is not None
        assert isinstance(self.trainer, Trainer)
        try:
            self.refining.check(self.trainer, model)
        except ValueError as error:
            raise InputError(str(error)) from error
        # Behind the average of the generator, which it replaces.
        self.trainer.callbacks.append(self.refining)  # type: ignore[attr-defined]

    def predict(self, model: AdversarialModule, **kwargs: Any) -> None:
        """Generates as many samples as the validation data has, into an array file.

        Those of a model of two kinds of samples go into a file for each.
        """
        if self.checkpoint is None:
            raise InputError("ckpt_path: predict needs a checkpoint. Use --ckpt_path.")
        if self.trainer.world_size > 1:
            raise InputError(
                f"trainer.devices: predict runs in one process, got {self.trainer.world_size}. "
                "Use --trainer.devices 1."
            )
        checkpoint = Path(self.checkpoint)
        folder = self._scored_run or checkpoint.parent
        refuse_links(folder / "samples")
        kwargs["return_predictions"] = True
        batches = self._run_guarded(model, **kwargs)
        for name in model.comparisons:
            samples = torch.cat([batch[name] if name else batch for batch in batches])
            ending = f"_{name}" if name else ""
            target = folder / "samples" / f"{checkpoint.stem}{ending}.npy"
            with replacing(target) as file:
                np.save(file, samples.float().cpu().numpy())
            say(f"{len(samples):,} samples as one array: {target}")

    def _run_guarded(self, model: AdversarialModule, **kwargs: Any) -> Any:
        """Runs the command; of several processes, the first that fails tells why."""
        run = getattr(self.trainer, str(self.subcommand))
        try:
            return run(model, **{**kwargs, "weights_only": True})
        except SystemExit as end:
            # Lightning ends these with code 1 and with code 0.
            if isinstance(end.__context__, KeyboardInterrupt):
                raise SystemExit(128 + signal.SIGINT) from end
            if isinstance(end, SIGTERMException):  # which came before the callbacks listened
                raise SystemExit(128 + signal.SIGTERM) from end
            raise
        except Exception as error:
            first = fail_together(self.trainer)
            told = self._explanation(error, model)
            if told is None:
                raise
            told.first = first
            raise told from error

    def _explanation(
        self, error: Exception, model: AdversarialModule
    ) -> InputError | RunError | None:
        """Returns an error of one line, that blames the input or the disk; None for a traceback.

        What fails before the first update is to be blamed on the input.
        """
        begun = model.has_trained
        if isinstance(error, InputError | RunError):
            return error
        if isinstance(error, OSError):
            missing = isinstance(error, FileNotFoundError) and not begun
            return (InputError if missing else RunError)(str(error))
        if isinstance(error, DivergenceError) or (
            begun and isinstance(error, UnreadableImageError)
        ):
            return RunError(str(error))
        if begun:
            return None
        if isinstance(error, ValueError | ImportError | MisconfigurationException):
            return InputError(str(error))
        if self.checkpoint is None:
            return None
        # What a damaged checkpoint leads to is anyone's guess.
        reason = f"{type(error).__name__}: {error}"
        return InputError(f"ckpt_path: {self.checkpoint} does not fit: {reason}")

    def _make_folder(self) -> None:
        """Asks for the run's folder, which makes it."""
        try:
            _ = self._run and self._run.log_dir
        except OSError as error:
            raise InputError(
                f"trainer.default_root_dir: the run's folder cannot be made: {error}"
            ) from error

    def _take_folder(self) -> None:
        """Takes the run's folder; the other processes hear of it if that is not possible."""
        try:
            if self._run is not None:
                self._run.take()
        except OSError as error:
            raise RunError(f"{self._run and self._run.log_dir}: {error}") from error
        except InputError as error:
            environment = getattr(self.trainer.strategy, "cluster_environment", None)
            if environment is None or not environment.creates_processes_externally:
                raise  # before there are others, and before any logger begins
            self._record.problem = str(error)

    def _end_early(self, model: AdversarialModule, note: str = "") -> None:
        """Tells how to resume a run that was stopped, or removes one that has not trained."""
        if model.has_trained or (self._run is not None and not self._run.is_new):
            self._print_resume_hint(note)
        else:
            self._leave_no_trace()
            if self.trainer.is_global_zero:
                removed = "" if self._run is None else ", and the run folder is removed"
                say(f"stopped before the first update{removed}")

    @rank_zero_only
    def _leave_no_trace(self) -> None:
        """Removes the folder of a run that could not begin."""
        if self._run is not None and self._run.is_new:
            folder = Path(self._run.log_dir)
            if any(isinstance(logger, WandbLogger) for logger in self.trainer.loggers):
                import wandb  # takes half a second, which other runs need not wait

                wandb.finish(exit_code=2)  # it would write into the folder again
            shutil.rmtree(folder, ignore_errors=True)  # a network may keep an open file
            with suppress(OSError):  # other runs of this name
                folder.parent.rmdir()
                for made in self._run.made:
                    made.rmdir()

    @rank_zero_only
    def _mark_preempted(self) -> None:
        """Tells W&B that its run has not failed."""
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.mark_preempting()

    @rank_zero_only
    def _print_resume_hint(self, note: str = "") -> None:
        if self._run is not None:
            print_resume_hint(self.trainer, Path(self._run.log_dir), self._modules, note)


def data_shape(data: object) -> Any:
    """Returns the shape of a sample that a data module tells, None if it does not.

    Raises:
        ValueError: if it is no shape.
    """
    shape = getattr(data, "data_shape", None)
    check_shapes(**{f"data: {type(data).__name__}.data_shape": shape})
    return shape


def data_shapes(data: object) -> Any:
    """Returns the shapes of samples of two kinds that a data module tells, None if it does not.

    Raises:
        ValueError: if one is no shape.
    """
    shapes = getattr(data, "data_shapes", None)
    name = f"data: {type(data).__name__}.data_shapes"
    if shapes is not None and not isinstance(shapes, list | tuple):
        raise ValueError(f"{name} must be two shapes, such as ((2,), (2,)), got {shapes!r}.")
    for index, shape in enumerate(shapes or ()):
        check_shapes(**{f"{name}[{index}]": shape})
    return shapes


def _default_name(config: Any) -> str:
    return "_".join(class_name(config[key].class_path).lower() for key in ("model", "data"))


def _check_machine(trainer: Any) -> None:
    """Refuses a device that this machine does not have, and a strategy that Lightning lacks.

    Raises:
        InputError: if the trainer is to use one.
    """
    accelerator, strategy = trainer.accelerator, trainer.strategy
    has_gpu = CUDAAccelerator.is_available()
    missing = {
        "cuda": not has_gpu,
        "gpu": not (has_gpu or MPSAccelerator.is_available()),
        "mps": not MPSAccelerator.is_available(),
    }
    if missing.get(accelerator):
        raise InputError(
            f"trainer.accelerator: PyTorch finds no {accelerator} device on this machine. Use "
            "--trainer.accelerator cpu, or auto."
        )
    known = [*StrategyRegistry.available_strategies(), "auto"]
    if isinstance(strategy, str) and strategy not in known:
        near = nearest(strategy, known) or "ddp or auto"
        raise InputError(f"trainer.strategy: there is no strategy {strategy}. Use {near}.")


def run(
    arguments: list[str],
    *,
    keeps_scores: bool = True,
    refiner: Refiner | None = None,
    truncation: float | None = None,
    looks_for_copies: bool = False,
) -> GANCLI | None:
    """Runs one of these commands; returns what ran it, or None for ``prepare``.

    Args:
        arguments: the command and what follows it.
        keeps_scores: as for `GANCLI`.
        refiner: as for `GANCLI`.
        truncation: as for `GANCLI`.
        looks_for_copies: as for `GANCLI`.

    Raises:
        InputError: if something the user gave cannot be used.
        RunError: if the run is stopped on its way by what it comes to, or by a broken image.
    """
    silence_notices()
    try:
        with mended():
            if arguments[0] != "prepare":
                return GANCLI(
                    arguments,
                    keeps_scores=keeps_scores,
                    refiner=refiner,
                    truncation=truncation,
                    looks_for_copies=looks_for_copies,
                )
            prepare(arguments[1:])
            return None
    except argparse.ArgumentError as error:
        raise InputError(reason(error)) from error
