"""Pictures of a GAN in training: samples, the discriminator's level sets, curves, an animation."""

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from typing_extensions import override

from lightning_gans.callbacks import drawing
from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Batch, Reconstructs
from lightning_gans.core.priors import latents_between
from lightning_gans.core.randomness import EVALUATION, reseed
from lightning_gans.networks import evaluation_mode

__all__ = ["Pictures"]

LATENTS = 2**32 - 1
"""Key of the fixed latents in the stream of evaluation, which no batch has."""
ROWS, STEPS = 6, 10
"""Of the picture of interpolations."""
CLASSES, COLUMNS = 10, 8
"""Rows and columns of a picture with a row for each class, at most."""


class Pictures(Callback):
    """Draws samples of fixed latents at a cadence, and sums the run up at its end.

    Into the run's folder go ``samples/<update>.png`` and, for points in the plane,
    ``figures/level_sets_<update>.png``; at the end ``figures/curves.png``,
    ``figures/real_and_generated.png`` and ``figures/training.gif``, and for images
    ``figures/interpolation.png``: rows of images on the arcs between two latents each. A model
    that `Reconstructs` images leaves ``figures/reconstructions.png``, real rows over those that
    are made of them, and, if it has classes, ``figures/styles.png``: behind each real image its
    latents in every class, at most 10. Loggers that take images get each as ``media/<name>``.

    Images that are asked for by class have a row for each class, at most 10, of the same latents;
    the level sets of points that are asked for by class are those of class 0.

    The picture before the first update has the number 0. The axes and grey levels follow the
    ``value_range`` of the data module, [-1, 1] if it has none.

    Args:
        every_n_updates: generator updates between two pictures; 0 draws at the end only.
        num_samples: generated samples in a picture, at least 1; at most 64 if they are images, and
            8 of each class if they have classes.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, every_n_updates: int = 1000, num_samples: int = 1000) -> None:
        if every_n_updates < 0:
            raise ValueError(f"every_n_updates must be at least 0, got {every_n_updates}.")
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}.")
        self.every_n_updates = every_n_updates
        self.num_samples = num_samples
        self._real: tuple[Tensor, Tensor | None] | None = None
        self._rows: list[tuple[int, dict[str, float]]] = []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # on every process
        self._rows = _logged_rows(self._folder / "metrics.csv", trainer.global_step)
        self._draws = trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]
        self._drawn_at = -1
        data: Any = getattr(trainer, "datamodule", None)
        self._range: tuple[float, float] = getattr(data, "value_range", (-1.0, 1.0))
        self._real = None
        if hasattr(data, "floor_dataloader"):
            batch = next(iter(data.val_dataloader()))
            self._remember(pl_module, trainer.strategy.batch_to_device(batch))

    def _remember(self, gan: GAN, batch: Any) -> None:
        record: Any = gan.read_batch(batch)
        self._real = record.real, record.labels

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GAN)
        if self._real is None:
            self._remember(pl_module, batch)
        if trainer.global_step == 0 and self._drawn_at < 0 and self.every_n_updates > 0:
            self._draw(trainer, pl_module)

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, GAN)
        update = trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every > 0 and update % every == 0:
            self._rows.append((update, dict(pl_module.last_logged)))
        if self.every_n_updates and update % self.every_n_updates == 0:
            self._draw(trainer, pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        if self._drawn_at != trainer.global_step:
            self._draw(trainer, pl_module)
        if self._draws:
            self._sum_up(trainer, pl_module)

    def _draw(self, trainer: Trainer, gan: GAN) -> None:
        self._drawn_at = trainer.global_step
        if not self._draws:
            return
        fake, real, labels = self._samples(gan)
        title = f"{type(gan).__name__}, {trainer.global_step:,} generator updates"
        name = f"{trainer.global_step:07d}.png"
        picture = self._picture(fake, real, title)
        self._publish(trainer, "samples", picture, self._folder / "samples" / name)
        if fake.ndim == 2 and fake.shape[1] == 2 and gan.pack_size == 1:
            if labels is not None:
                fake, real = fake[labels == 0], self._of_class_0()
                title += ", class 0"
            with evaluation_mode(gan.discriminator), torch.no_grad():
                picture = drawing.level_sets(
                    lambda x: gan.discriminate(x.to(fake), fake.new_zeros(len(x)).long()),
                    fake,
                    real,
                    self._range,
                    title=title,
                )
            path = self._folder / "figures" / f"level_sets_{name}"
            self._publish(trainer, "level_sets", picture, path)

    def _sum_up(self, trainer: Trainer, gan: GAN) -> None:
        figures = self._folder / "figures"
        if self._rows:
            self._publish(trainer, "curves", drawing.curves(self._rows), figures / "curves.png")
        fake, real, _ = self._samples(gan)
        if fake.ndim == 2:
            left = self._picture(real[:0], real, "real")
            right = self._picture(fake, fake[:0], "generated")
        else:
            left, right = (
                drawing.image_grid(images, self._range, title=title)
                for images, title in ((real, "real"), (fake, "generated"))
            )
            picture = drawing.image_grid(self._between(gan), self._range, columns=STEPS)
            self._publish(trainer, "interpolation", picture, figures / "interpolation.png")
            if isinstance(gan.evaluated, Reconstructs):
                self._show_reconstructions(trainer, gan, gan.evaluated)
        both = drawing.side_by_side(left, right, gap=0 if fake.ndim == 2 else 16)
        drawing.save_png(both, figures / "real_and_generated.png")
        frames = sorted(figures.glob("level_sets_*.png")) or sorted(
            (self._folder / "samples").glob("*.png")
        )
        drawing.save_gif([drawing.read_png(frame) for frame in frames], figures / "training.gif")

    def _samples(self, gan: GAN) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns generated samples of the fixed latents, real ones like them, and the classes."""
        assert self._real is not None
        real, known = self._real
        number = self.num_samples if real.ndim == 2 else min(64, self.num_samples)
        reseed(gan.device, gan.seed, EVALUATION, LATENTS)
        if gan.num_classes is None:
            return gan.evaluated.sample(gan.sample_latent(number)), real[:number], None
        gan.check(Batch(real, known))
        if real.ndim == 2:
            labels = torch.arange(number, device=gan.device) % gan.num_classes
            latent = gan.sample_latent(number)
        else:
            labels = torch.arange(min(gan.num_classes, CLASSES), device=gan.device)
            latent = gan.sample_latent(COLUMNS).repeat(len(labels), 1)
            labels = labels.repeat_interleave(COLUMNS)
        return gan.evaluated.sample(latent, labels), self._real_of(labels), labels

    def _of_class_0(self) -> Tensor:
        """Returns real samples of class 0."""
        assert self._real is not None
        real, labels = self._real
        assert labels is not None
        return real[labels == 0]

    def _real_of(self, wanted: Tensor) -> Tensor:
        """Returns real samples of some classes, again and again if there are few; any if none."""
        assert self._real is not None
        real, labels = self._real
        assert labels is not None
        rows = torch.arange(len(wanted), device=wanted.device) % len(real)
        for label in torch.unique(wanted):
            places, found = ((which == label).nonzero()[:, 0] for which in (wanted, labels))
            if len(found):
                turns = torch.arange(len(places), device=found.device) % len(found)
                rows[places] = found[turns]
        return real[rows]

    def _between(self, gan: GAN) -> Tensor:
        """Returns images on the arcs between fixed latents, row by row, each of one class."""
        reseed(gan.device, gan.seed, EVALUATION, LATENTS)
        start, end = gan.sample_latent(2 * ROWS).chunk(2)
        labels = None
        if gan.num_classes is not None:
            labels = torch.arange(ROWS, device=gan.device) % gan.num_classes
            labels = labels.repeat_interleave(STEPS)
        return gan.evaluated.sample(latents_between(start, end, STEPS), labels)

    def _show_reconstructions(self, trainer: Trainer, gan: GAN, model: Reconstructs) -> None:
        """Draws real images over what is made of their latents, and the latents in every class."""
        assert self._real is not None
        real, labels = self._real
        columns = min(COLUMNS, len(real))
        number = min(4, len(real) // columns) * columns
        again = model.reconstruct(real[:number], None if labels is None else labels[:number])
        rows = [part.reshape(-1, columns, *again.shape[1:]) for part in (real[:number], again)]
        pictures = {"reconstructions": (torch.stack(rows, 1).flatten(0, 2), columns)}
        if gan.num_classes is not None:
            classes = torch.arange(min(gan.num_classes, CLASSES), device=gan.device)
            originals = self._real_of(classes)
            latent = model.encode(originals).repeat_interleave(len(classes), 0)
            styles = gan.evaluated.sample(latent, classes.repeat(len(classes)))
            styles = styles.reshape(len(classes), len(classes), *originals.shape[1:])
            table = torch.cat([originals[:, None], styles], 1)
            pictures["styles"] = table.flatten(0, 1), 1 + len(classes)
        for name, (images, width) in pictures.items():
            picture = drawing.image_grid(images, self._range, columns=width)
            path = self._folder / "figures" / f"{name}.png"
            self._publish(trainer, name, picture, path)

    def _picture(self, fake: Tensor, real: Tensor, title: str) -> drawing.Picture:
        return drawing.overview(fake, real, self._range, title=title)

    def _publish(self, trainer: Trainer, name: str, picture: drawing.Picture, path: Path) -> None:
        drawing.save_png(picture, path)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(
                    f"media/{name}", picture, trainer.global_step, dataformats="HWC"
                )
            elif isinstance(logger, WandbLogger):
                logger.log_image(f"media/{name}", [picture], step=trainer.global_step)


def _logged_rows(path: Path, update: int) -> list[tuple[int, dict[str, float]]]:
    """Returns the training rows that a resumed run has on disk already."""
    if update == 0 or not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("train/loss_d")]
    return [
        (int(row["step"]), {key: float(value) for key, value in row.items() if value})
        for row in rows
        if int(row["step"]) <= update
    ]
