"""Games whose generators turn samples of one kind into samples of another."""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.core.domains import Shape, TwoDomainModule, sides
from lightning_gans.core.network_checks import check_range, check_translator, in_single
from lightning_gans.core.players import Domains, Pair, Translated
from lightning_gans.core.showing import COLUMNS, Comparison, Drawing, Grid, Moved
from lightning_gans.networks import evaluation_mode

__all__ = ["TranslationModule", "TranslatorSource", "floor_of", "rows_of"]

TranslatorSource = Callable[[Shape, Shape], nn.Module]
"""Makes a translator from the shapes of a sample that it reads and of one that it makes."""


class TranslationModule(TwoDomainModule):
    """Base of the games whose generators are translators.

    Attributes:
        translators: names of the networks by direction: ``a_to_b``, and ``b_to_a`` if there is
            one.
    """

    translators: Mapping[str, str] = {"a_to_b": "generator"}

    @override
    def forward(self, x: Tensor, direction: str = "a_to_b") -> Tensor:
        """Maps samples, shape (N, ...), to samples of the other kind."""
        made: Tensor = getattr(self, self.translators[direction])(x)
        return made

    @torch.no_grad()
    def translate(self, x: Tensor, direction: str = "a_to_b") -> Tensor:
        """Returns what becomes of samples, made with the translator in evaluation mode.

        Half precision is left out: the result is in single precision or better.

        Args:
            x: samples, shape (N, ...).
            direction: one of ``translators``.

        Raises:
            ValueError: if there is no such direction.
        """
        if direction not in self.translators:
            raise ValueError(
                f"direction must be {' or '.join(self.translators)} for a {type(self).__name__}, "
                f"got {direction}."
            )
        network = getattr(self, self.translators[direction])
        with evaluation_mode(network), torch.autocast(x.device.type, enabled=False):
            made: Tensor = network(x.to(cast("torch.dtype", self.dtype)))
        return in_single(made)

    def translated(self, batch: Domains | Pair, direction: str = "a_to_b") -> Translated:
        """Returns the samples of a batch that are translated, and what becomes of them.

        Args:
            batch: whose rows belong together if it is a pair; the truth is known then.
            direction: one of ``translators``.
        """
        labels = batch.labels if isinstance(batch, Pair) else None
        source, real = sides(batch) if direction == "a_to_b" else sides(batch)[::-1]
        model = self.evaluated
        fake = model.translate(source, direction)
        way_back = next((way for way in self.translators if way != direction), None)
        return Translated(
            real,
            fake,
            labels=labels,
            source=source,
            truth=real if isinstance(batch, Pair) else None,
            back=None if way_back is None else model.translate(fake, way_back),
        )

    @override
    def check_networks(self) -> None:
        weight = next(self.parameters())
        data = getattr(self.trainer, "datamodule", None)
        for direction, name in self.translators.items():
            read, made = self.shapes if direction == "a_to_b" else self.shapes[::-1]
            x = torch.zeros(2, *read, dtype=weight.dtype, device=weight.device)
            network = getattr(self, name)
            found = check_translator(name, network, x, made)
            check_range(network, found, getattr(data, "value_range", None))
        super().check_networks()

    @override
    def made_by(self, batch: Domains | Pair) -> Iterable[tuple[str, Tensor]]:
        a, b = sides(batch)
        return [(name, b if way == "a_to_b" else a) for way, name in self.translators.items()]


def floor_of(real: Tensor, labels: Tensor | None) -> Translated:
    """Returns the evaluation record of real samples in the place of translations.

    Args:
        real: shape (N, ...).
        labels: their classes, if they are known.
    """
    return Translated(real, real, labels=labels, source=real)


def rows_of(record: Translated) -> Drawing:
    """Returns what there is to see of translations: sources, translations, back, and the truth.

    Args:
        record: images, a row of each in turn; points in the plane, which are shown before and
            after; or vectors.
    """
    if record.source.shape[1:] == record.fake.shape[1:] == (2,):
        return Moved(record.source, record.fake, record.real)
    if record.fake.ndim != 4:
        return Comparison(record.fake, record.real)
    columns = min(COLUMNS, len(record))
    parts = {
        "source": record.source,
        "translated": record.fake,
        "back": record.back,
        "truth": record.truth,
    }
    known = {name: part for name, part in parts.items() if part is not None}
    images = [part[: len(part) // columns * columns] for part in known.values()]
    channels = max(part.shape[1] for part in images)
    shown = [part.expand(-1, channels, -1, -1) for part in images]
    rows = [part.reshape(-1, columns, *part.shape[1:]) for part in shown]
    return Grid(torch.stack(rows, 1).flatten(0, 2), columns, f"rows: {', '.join(known)}")
