"""How a model is evaluated: on which networks, and what metrics and pictures are given."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn
from typing_extensions import Self, override

from lightning_gans.core.batch_checks import check_kind
from lightning_gans.core.checkpointing import CheckpointedModule
from lightning_gans.core.players import Record, read_batch
from lightning_gans.core.showing import Drawing
from lightning_gans.networks.inspect import share_buffers
from lightning_gans.regularizers import View

__all__ = ["EvaluatedModule"]


class EvaluatedModule(CheckpointedModule, ABC):
    """A module that reads batches as records, and is evaluated with other networks if asked to.

    Attributes:
        trains_on: kinds of records that the model learns from; others are refused.
        evaluates_on: kinds that it is evaluated on, likewise.
        comparisons: names of what is compared with real data, fields of the evaluation record that
            are records with the fields ``real`` and ``fake`` themselves; "" is the whole record.
            The scores of each have its name, and those of all a mean without.
    """

    trains_on: ClassVar[tuple[type[Record], ...]] = (Record,)
    evaluates_on: ClassVar[tuple[type[Record], ...]] = (Record,)
    comparisons: tuple[str, ...] = ("",)

    def read_batch(self, batch: Any) -> Record:
        """Returns the record of a loader's batch: see `lightning_gans.core.players.read_batch`."""
        return read_batch(batch)

    def read_evaluation_batch(self, batch: Any) -> Record:
        """Returns the record of a batch that the model is to be evaluated on.

        Raises:
            ValueError: if it is of another kind than ``evaluates_on``.
        """
        record = self.read_batch(batch)
        check_kind(record, self.evaluates_on, self)
        return record

    def check(self, batch: Any) -> None:
        """Raises a ValueError if the model cannot learn from a batch.

        Called before the first update, on the CPU also before every other.

        Args:
            batch: the record that `read_batch` returns.
        """

    @abstractmethod
    def evaluation_record(self, batch: Any, batch_idx: int) -> Record:
        """Returns all that metrics and pictures read of a batch.

        Args:
            batch: the record that `read_batch` returns.
            batch_idx: its number.
        """

    @abstractmethod
    def floor_record(self, batch: Any) -> Record:
        """Returns the evaluation record with real samples in the place of generated ones.

        Args:
            batch: the record that `read_batch` returns.
        """

    def pictures(self, real: Any, number: int) -> dict[str, Drawing]:
        """Returns what is drawn regularly: pictures by name, the first called ``samples``.

        Args:
            real: the record of a batch.
            number: generated samples in a picture.
        """
        return {}

    def final_pictures(self, real: Any) -> dict[str, Drawing]:
        """Returns what is drawn beside that at the end of training.

        Args:
            real: the record of a batch.
        """
        return {}

    def evaluation_views(self, outputs: Mapping[str, Any]) -> Sequence[View]:
        """Returns what discriminators would be shown of an evaluation, for `Alarms`.

        Args:
            outputs: of ``validation_step``.
        """
        return ()

    def health(self) -> dict[str, float]:
        """Returns further values that `Alarms` logs; it watches those that it has a limit for."""
        return {}

    def begin_evaluation(self, loader: Any) -> None:
        """Gives all processes the same buffers; called before each evaluation.

        Args:
            loader: of the evaluation.
        """
        share_buffers(self)

    @property
    def evaluated(self) -> Self:
        """The model that is evaluated: the view made by `evaluate_with`, or this one."""
        return self.__dict__.get("_view", self)

    def evaluate_with(self, **networks: nn.Module) -> None:
        """Makes `evaluated` a view of this model that shares everything but some networks.

        The model's own networks stay in their place, so that no checkpoint can catch the others.
        """
        view = copy.copy(self)
        view.__dict__.pop("_view", None)  # each would keep the one before alive
        view._modules = {**self._modules, **networks}
        self.__dict__["_view"] = view

    @override
    def on_validation_start(self) -> None:
        self.begin_evaluation(self.trainer.val_dataloaders)

    @override
    def on_test_start(self) -> None:
        self.begin_evaluation(self.trainer.test_dataloaders)

    @override
    def on_predict_start(self) -> None:
        self.begin_evaluation(self.trainer.predict_dataloaders)

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Returns the fields of `evaluation_record`."""
        record = self.read_evaluation_batch(batch)
        if self.device.type == "cpu" or batch_idx == 0:
            self.check(record)
        return vars(self.evaluation_record(record, batch_idx))

    @override
    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Same as `validation_step`."""
        return self.validation_step(batch, batch_idx)

    @override
    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """Returns what is generated in an evaluation; of several ``comparisons`` by name."""
        found = self.validation_step(batch, batch_idx)
        if self.comparisons == ("",):
            return found["fake"]
        return {name: found[name].fake for name in self.comparisons}
